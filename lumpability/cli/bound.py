"""`lumpability bound`: an interval that contains a quantity of a chain, proved, from any partition of its states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.certificate.bounds.decimals import decimals
from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.failures import dashed
from lumpability.cli.models import describe, units
from lumpability.cli.partition_file import read_partition
from lumpability.cli.solve import named_state, read_chain, times_option
from lumpability.markov.approximate.bounds import (
    Bounds,
    Expected,
    Hitting,
    Interval,
    LongRun,
    Question,
    Stationary,
    TimeBounded,
    Transient,
    bounds,
)
from lumpability.markov.approximate.tolerance import read_positive_share
from lumpability.show.text import Table
from lumpability.vocabulary import count

_EXAMPLES = """\b
Examples:
  lumpability lump chain.drn --tolerance 1% --partition blocks.json
  lumpability bound chain.drn blocks.json --stationary operational
  lumpability bound chain.drn blocks.json --transient operational --times 0:100:5 --plot curve.pdf
  lumpability bound chain.drn blocks.json --until failed --accuracy 1e-6 --certificate proof.json
"""


_ASKED = options.added(
    *(
        click.option(f"--{name}", metavar=metavar, show_default="not asked", help=about)
        for name, metavar, about in (
            ("stationary", "NAME", "The stationary average of a label or reward."),
            ("long-run", "NAME", "The long-run average from the start."),
            ("transient", "NAME", "A label or reward at --times."),
            ("time-bounded", "TARGET", "Whether a label or state is reached within --times."),
            ("hitting", "TARGET", "Whether a label or state is ever reached."),
            ("until", "TARGET", "What is earned until a label or state is reached."),
        )
    )
)
"""The questions, of which one is asked."""


@command("bound", examples=_EXAMPLES)
@options.file_argument("model")
@options.file_argument("partition")
@_ASKED
@click.option(
    "--expected", metavar="NAME", show_default="the time", help="What a reward earns until --until."
)
@times_option
@click.option(
    "--initial", metavar="STATE", show_default="as the file says", help="The state at time 0."
)
@click.option(
    "--accuracy",
    metavar="SHARE",
    callback=options.checked_by(lambda share: read_positive_share(share, "accuracy")),
    show_default="blocks alone",
    help="Shrink to this half-width, such as 1e-6 or 0.1%, relative to the range of what is averaged; not for --times.",
)
@click.option(
    "--over",
    type=click.Choice(["hull", "members"]),
    show_default="by size",
    help="With --times: hold for all chains in the hull, or for this one.",
)
@options.file_option(
    "--certificate", about="Write the proof, for lumpability verify; of one interval."
)
@options.file_option(
    "--plot", about="With --times: draw the intervals and the exact curve: .pdf, .png or .svg."
)
@options.reading
def bound_command(
    stages: Stages,
    *,
    model: Path,
    partition: Path,
    times: Any,
    accuracy: str | None,
    over: Any,
    certificate: Path | None,
    plot: Path | None,
    read: options.Read,
    **asked: str | None,
) -> Outcome:
    """Bound a quantity of the chain in MODEL by a proved interval.

    The interval is computed from the blocks in PARTITION, a file as check reads it. Any partition will do: the
    closer it is to a lumping, the narrower the interval. Both ends are proved in exact arithmetic.

    Ask one question: --stationary, --long-run, --transient, --time-bounded, --hitting, or --until.
    """
    chain = read_chain(stages, read, model, "bound")
    blocks = read_partition(partition, units(chain))
    questions = _questions(chain, times, asked)
    if certificate is not None and len(questions) > 1:
        raise click.UsageError("--certificate is for one interval: give one number of --times")
    if plot is not None and times is None:
        raise click.UsageError("--plot is for --times")
    with stages("bounding"):
        found = bounds(chain, blocks)
        intervals = _answers(found, questions, accuracy, over, stages)
    with stages("writing"):
        if certificate is not None:
            intervals[0].certify().write(certificate)
        if plot is not None:
            from lumpability.show.intervals import intervals_over_time
            from lumpability.show.plots import save

            save(intervals_over_time(intervals, chain), plot)
    return Outcome(
        lambda: {
            "path": str(model),
            "partition": str(partition),
            "model": describe(chain).data,
            "blocks": len(blocks),
            "intervals": [_data(interval) for interval in intervals],
        },
        _tables(found, intervals, stages),
        read=model,
        written={"certificate": certificate, "plot": plot},
    )


def _questions(chain: Any, times: Any, asked: dict[str, str | None]) -> list[Question]:
    """Return the question that was asked, once for each time."""
    others = ("expected", "initial")
    given = [name for name, of in asked.items() if of is not None and name not in others]
    if len(given) != 1:
        raise click.UsageError(
            "ask one question: --stationary, --long-run, --transient, --time-bounded, --hitting or --until"
        )
    kind, name = given[0], str(asked[given[0]])
    if asked["expected"] is not None and kind != "until":
        raise click.UsageError("--expected is for --until")
    timed = kind in ("transient", "time_bounded")
    if timed and times is None:
        raise click.UsageError(f"{dashed(kind)} needs --times")
    if times is not None and not timed:
        raise click.UsageError("--times is for --transient and --time-bounded")
    initial = asked["initial"]
    start = None if initial is None else named_state(chain, initial, label=False)
    if kind == "stationary":
        return [Stationary(name)]
    if kind == "long_run":
        return [LongRun(name, initial=start)]
    if kind == "transient":
        return [Transient(name, time, initial=start) for time in times]
    target = named_state(chain, name)
    if kind == "time_bounded":
        return [TimeBounded(target, time, initial=start) for time in times]
    if kind == "hitting":
        return [Hitting(target, initial=start)]
    return [Expected(asked["expected"], until=target, initial=start)]


def _answers(
    found: Bounds, questions: list[Question], accuracy: str | None, over: Any, stages: Stages
) -> list[Interval]:
    def progress(now: float, wanted: float) -> None:
        timed = isinstance(now, int)
        stages.detail(f"{now:,} steps" if timed else f"half-width {now:.1e} of {wanted:.1e}")

    first = questions[0]
    if len(questions) == 1:
        return [found.answer(first, accuracy=accuracy, over=over, progress=progress)]
    if accuracy is not None:
        raise click.UsageError("--accuracy is not for --times")
    times = [getattr(question, "time", None) for question in questions]
    answers: list[Interval]
    if isinstance(first, Transient):
        answers = found.transient(
            times, of=first.of, initial=first.initial, over=over, progress=progress
        )
    else:
        assert isinstance(first, TimeBounded)
        answers = found.time_bounded(
            first.target, times, initial=first.initial, over=over, progress=progress
        )
    return answers


def _data(interval: Interval) -> dict[str, Any]:
    time = interval.certify().asked.time
    return {
        "question": interval.question,
        "time": None if time is None else str(time),
        "lower": str(interval.lower),
        "upper": str(interval.upper),
        "estimate": interval.estimate,
        "holds_in_hull": interval.holds_in_hull,
    }


def _tables(found: Bounds, intervals: list[Interval], stages: Stages) -> list[Table]:
    rows = tuple(
        (
            interval.question,
            decimals(interval.lower, interval.upper),
            f"{float(interval.width / 2):.1e}" if interval.width else "exact",
        )
        for interval in intervals
    )
    covers = "every chain in the hull" if intervals[0].holds_in_hull else "this chain"
    facts = (
        ("blocks", f"{found.chain.n:,} states in {count(len(found.partition), 'block')}"),
        ("proved for", f"{covers}, in exact arithmetic"),
        ("bounded", f"{stages.seconds['bounding']:.2f} s"),
    )
    return [Table("bound", rows, ("question", "interval", "half-width")), Table("how", facts)]
