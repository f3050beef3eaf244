"""`lumpability solve`: one question about a chain, answered on the quotient that it needs."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.errors import InvalidInput
from lumpability.files import writing
from lumpability.formats import SOURCES
from lumpability.markov.answer import Answer
from lumpability.markov.chains import MarkovChain
from lumpability.markov.question import KINDS, QUANTITIES, ask
from lumpability.markov.solve.solution import METHODS
from lumpability.numbers.parameters import to_expression
from lumpability.numbers.rationals import brief, read_number
from lumpability.show.text import Table
from lumpability.symbolic.matrices import signs
from lumpability.vocabulary import count

_SHOWN = 40
_MOST_NUMBERS = 100_000
_EXAMPLES = """\b
Examples:
  lumpability solve chain.drn
  lumpability solve chain.drn --label operational
  lumpability solve chain.drn hitting-time --target failed --states
  lumpability solve chain.drn transient --label failed --times 0:100:5 --plot failed.pdf
  lumpability solve model.sm reward --reward power --sweep mu=1:10:1/2 --csv power.csv
"""


def read_numbers(text: str) -> list[Fraction]:
    """Read numbers and ranges: "1,2,5" or "1:10:1/2", which is 1, 3/2, ..., 10.

    Raises `InvalidInput` for anything else.

    >>> [str(x) for x in read_numbers("0:1:0.25,7")]
    ['0', '1/4', '1/2', '3/4', '1', '7']
    """
    found: list[Fraction] = []
    for part in text.split(","):
        ends = [Fraction(read_number(piece)) for piece in part.split(":")]
        if len(ends) == 1:
            found += ends
            continue
        low, high, step = (*ends, Fraction(1))[:3]
        if len(ends) > 3 or step <= 0 or high < low:
            raise InvalidInput(f"{part!r} is no range: give FIRST:LAST or FIRST:LAST:STEP")
        steps = int((high - low) / step)
        if steps >= _MOST_NUMBERS:
            raise InvalidInput(f"{part!r} has more than {_MOST_NUMBERS:,} numbers")
        found += [low + step * i for i in range(steps + 1)]
    return found


def read_times(text: str) -> list[Fraction]:
    """Read numbers and ranges that are not negative."""
    found = read_numbers(text)
    if min(found) < 0:
        raise InvalidInput(f"{min(found)} is negative")
    return found


times_option = click.option(
    "--times",
    metavar="NUMBERS",
    callback=options.read_by(read_times),
    show_default="none",
    help="Points of time: 1,2,5 or FIRST:LAST:STEP; numbers of steps for a DTMC.",
)


def _assigned(values: tuple[str, ...]) -> dict[str, list[Fraction]]:
    """Read NAME=NUMBERS, several of them; commas separate assignments where a name follows."""
    found: dict[str, list[Fraction]] = {}
    for text in values:
        pieces: list[str] = []
        for piece in text.split(","):
            if "=" in piece or not pieces:
                pieces.append(piece)
            else:
                pieces[-1] += f",{piece}"
        for piece in pieces:
            name, equals, numbers = piece.partition("=")
            if not equals:
                raise InvalidInput(f"{piece!r} assigns nothing: give NAME=NUMBERS")
            found[name.strip()] = read_numbers(numbers)
    return found


@command("solve", examples=_EXAMPLES)
@options.file_argument("model")
@click.argument("quantity", type=click.Choice(QUANTITIES), default="stationary")
@click.option(
    "--target",
    metavar="NAME",
    show_default="none",
    help="A label or a state; of hitting-time and such.",
)
@click.option(
    "--avoid",
    metavar="NAME",
    show_default="none",
    help="A label or a state not to be visited before the target; of hitting-probability.",
)
@times_option
@click.option(
    "--label", metavar="NAME", show_default="all blocks", help="Only the probability of this label."
)
@click.option(
    "--reward",
    metavar="NAME",
    show_default="none",
    help="A reward of the chain; of reward and such.",
)
@click.option(
    "--initial",
    metavar="STATE",
    show_default="as the file says",
    help="The state at time 0; until a target: the one number from there.",
)
@click.option(
    "--values",
    metavar="NAME=X,...",
    show_default="parameters stay",
    multiple=True,
    callback=options.read_by(_assigned),
    help="Numbers in place of parameters.",
)
@click.option(
    "--sweep",
    metavar="NAME=A:B:STEP",
    show_default="no sweep",
    multiple=True,
    callback=options.read_by(_assigned),
    help="Answer for each of these numbers in place of a parameter, or of a constant of a PRISM or JANI "
    "source; the chain is lumped once, for all.",
)
@click.option("--states", is_flag=True, help="Carry the answer back to the states, a row for each.")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="ordinary",
    show_default=True,
    help="The kind of the lumping; exact and strict determine probabilities of single states.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="How equations are solved; auto is exact up to 64 blocks and with parameters.",
)
@click.option(
    "--epsilon",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=1e-10,
    show_default=True,
    help="Largest error of truncation at a time.",
)
@options.file_option("--csv", about="Write all rows as text with commas.")
@options.file_option(
    "--plot",
    about="Draw the numbers: .pdf, .png or .svg; over the parameter, the time, or the names.",
)
@click.option(
    "--log",
    type=click.Choice(["x", "y", "xy"]),
    show_default="none",
    help="Logarithmic axes of the plot.",
)
@options.reading
def solve_command(
    stages: Stages,
    *,
    model: Path,
    quantity: Any,
    initial: str | None,
    values: dict[str, list[Fraction]] | None,
    csv: Path | None,
    plot: Path | None,
    log: str | None,
    read: options.Read,
    **asked: Any,
) -> Outcome:
    """Answer one question about the Markov chain in MODEL.

    The chain is lumped for this question: only what it needs is kept apart. The quotient is solved, exactly if
    it is small or has parameters, otherwise in floating point with a bound on the error of every number.

    QUANTITY is one of: stationary (fractions of time in the long run), transient (probabilities at --times),
    hitting-probability and hitting-time (of --target), reward (of --reward, per unit of time in the long run),
    instantaneous-reward and accumulated-reward (at and up to --times), reward-until (--target).
    """
    several = next((name for name, numbers in (values or {}).items() if len(numbers) > 1), None)
    if several is not None:
        raise click.UsageError(f"--values gives {several} several numbers: use --sweep")
    fixed = {name: numbers[0] for name, numbers in (values or {}).items()}
    if log is not None and plot is None:
        raise click.UsageError("--log is for --plot")
    swept = [*fixed, *(asked["sweep"] or ())] if model.suffix.lower() in SOURCES else []
    chain = read_chain(stages, read, model, "solve", **({"parametric": swept} if swept else {}))
    named = {
        name: named_state(chain, asked[name])
        for name in ("target", "avoid")
        if asked[name] is not None
    }
    start = None if initial is None else named_state(chain, initial, label=False)
    with stages("solving"):
        answer = ask(chain, quantity, **(asked | named), initial=start, values=fixed or None)
    with stages("writing"):
        if csv is not None:
            with writing(csv) as file:
                file.write(answer.to_csv().encode(errors="backslashreplace"))
        if plot is not None:
            from lumpability.show.plots import answer_values, save

            save(answer_values(answer, log=log or ""), plot)
    return Outcome(
        lambda: {"path": str(model), **_data(answer)},
        _tables(answer, stages),
        read=model,
        written={"csv": csv, "plot": plot},
    )


def read_chain(stages: Stages, read: options.Read, model: Path, verb: str, **more: Any) -> Any:
    """Read a model that must be a Markov chain."""
    with stages("reading", model.name):
        chain = read(model, **more)
    if chain.domain != "chain":
        raise click.UsageError(f"{verb} is for Markov chains, not for a {type(chain).__name__}")
    return chain


def named_state(chain: Any, name: str, *, label: bool = True) -> Any:
    """Return a label as it is, and a state's name or number as a target; a state also by a label of its own."""
    if label and name in chain.labels:
        return name
    if name in chain.states:
        return [name] if label else name
    if name.isdecimal() and int(name) in chain.states:
        return [int(name)] if label else int(name)
    if not label and name in chain.labels and chain.labels[name].sum() == 1:
        return chain.states[int(chain.labels[name].argmax())]
    return name  # the error names it


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else brief(value)


def _tables(answer: Answer, stages: Stages) -> list[Table]:
    lumping, records = answer.lumping, answer.records()
    rows = tuple(
        (*map(_text, record[:-1]), _accuracy(*record[-2:]))
        for record in itertools.islice(records, _SHOWN)
    )
    more = len(records) - len(rows)
    title = f"{answer.quantity}{f' (of {len(records):,} rows the first {_SHOWN})' if more else ''}"
    columns = answer.columns
    right = frozenset(i for i, name in enumerate(columns) if name != "name")
    stats = lumping.stats
    facts = [
        ("lumping", f"{stats.states:,} -> {count(stats.blocks, 'block')}, for this question alone"),
        ("proof", stats.proof),
        *_conditions(lumping.quotient),
        ("solved", f"{stages.seconds['solving']:.2f} s, lumping included"),
    ]
    return [Table(title, rows, columns, right), Table("how", tuple(facts))]


def _conditions(quotient: MarkovChain) -> list[tuple[str, str]]:
    """Say for which values of parameters formulas hold: those at which every rate is positive."""
    if quotient.is_rational:
        return []
    weights = (to_expression(weight) for weight in quotient.matrix.weights.values)
    assumed = [f"{name} > 0" for name in quotient.parameters]
    assumed += [str(one) for one in signs(weights, zero=False)[1]]
    return [("for all", ", ".join(assumed))]


def _accuracy(value: Any, error: float | None) -> str:
    if error is None:
        return "unknown"
    if error == 0 and isinstance(value, Fraction) and _text(value) != str(value):
        return "exact, shown rounded"
    return "exact" if error == 0 else f"{error:.1e}"


def _data(answer: Answer) -> dict[str, Any]:
    rows = [
        {
            "point": {name: str(value) for name, value in row.point.items()},
            "time": None if row.time is None else str(row.time),
            "name": row.name if isinstance(row.name, int) else str(row.name),
            "states": row.size,
            "value": row.value
            if isinstance(row.value, float) and math.isfinite(row.value)
            else str(row.value),
            "error": row.error,
        }
        for row in answer.rows
    ]
    stats = answer.lumping.stats
    return {
        "quantity": answer.quantity,
        "states": stats.states,
        "blocks": stats.blocks,
        "proof": stats.proof,
        "rows": rows,
    }
