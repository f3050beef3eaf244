"""`lumpability exercise` makes task sheets with solutions; `lumpability grade` checks answers."""

from __future__ import annotations

from pathlib import Path

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, show, show_json
from lumpability.cli.failures import NO
from lumpability.errors import InvalidInput
from lumpability.files import reading, together, writing
from lumpability.show.text import Table
from lumpability.teaching.exercises import (
    FORMATS,
    NetworkTask,
    Task,
    exercise,
    grade,
    network_exercise,
    read_answer,
    read_task,
    sheet,
)
from lumpability.teaching.exercises import solution as solution_of

_KINDS = ("ordinary", "bisimulation", "exact", "strict", "proportional")  # for networks two of them
_SUFFIXES = {".md": "markdown", ".tex": "latex", ".html": "html"}
_MAKE_EXAMPLES = """\b
Examples:
  lumpability exercise --seed 7
  lumpability exercise --kind exact --states 5 --rounds 2 -o sheet.tex --solution solution.tex
  lumpability exercise --network --states 7 --rounds 2 --seed 1
  lumpability exercise --chain my_chain.drn --format html -o sheet.html
"""
_GRADE_EXAMPLES = """\b
Examples:
  lumpability grade sheet.md answer.json
  lumpability grade sheet.html answer.json --json
"""


@click.command("exercise", epilog=_MAKE_EXAMPLES)
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
    show_default="ordinary; for networks proportional",
    help="The notion of lumpability.",
)
@click.option(
    "--network",
    is_flag=True,
    help="Ask which neurons of a network can be merged, instead of about a chain.",
)
@click.option(
    "--states",
    type=int,
    default=6,
    show_default=True,
    help="States of the chain; hidden neurons of the network.",
)
@click.option(
    "--rounds",
    type=int,
    show_default="3; for networks 2",
    help="Rounds of refinement that the coarsest lumping takes, exactly; hidden layers of the network.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The same seed gives the same chain.",
)
@options.file_option(
    "--chain", metavar="MODEL", default="a random one", about="Take the chain from this file."
)
@click.option(
    "--format",
    "markup",
    type=click.Choice(FORMATS),
    show_default="by the suffix of the file, else markdown",
    help="Format of the sheet and the solution.",
)
@click.option(
    "--show-seed",
    is_flag=True,
    help="Say on the sheet how it was made; with the seed anybody can make the solution.",
)
@options.file_option("-o", "--output", default="stdout", about="Write the sheet to a file.")
@options.file_option("--solution", about="Also write the solution to a file.")
@options.reading
@options.debug
@together()
def exercise_command(
    *,
    kind: str | None,
    network: bool,
    states: int,
    rounds: int | None,
    seed: int,
    chain: Path | None,
    markup: str | None,
    show_seed: bool,
    output: Path | None,
    solution: Path | None,
    read: options.Read,
) -> None:
    """Make a task sheet: find the coarsest lumping by hand.

    The chain has small numbers and takes exactly the given number of rounds. A network has neurons to
    merge in every hidden layer. The sheet holds its task in a comment, so that "lumpability grade" can
    check answers.
    """
    if chain is None:
        task = _made(network, kind, states, rounds, seed)
    else:
        model = read(chain)
        if network or model.domain != "chain":
            raise click.UsageError("--chain takes a Markov chain, not a network")
        task = Task(model, kind or "ordinary")
    text = sheet(task, markup=_markup(markup, output), seed=show_seed)
    if solution is not None:
        answer = solution_of(task, markup=_markup(markup, solution))
        _write(answer, solution)
    if output is None:
        click.echo(text)
    else:
        _write(text, output)


def _made(
    network: bool, kind: str | None, states: int, rounds: int | None, seed: int
) -> Task | NetworkTask:
    try:
        if network:
            layers = 2 if rounds is None else rounds
            return network_exercise(
                kind or "proportional", neurons=states, layers=layers, seed=seed
            )
        rounds = 3 if rounds is None else rounds
        return exercise(kind or "ordinary", states=states, rounds=rounds, seed=seed)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from None


@click.command("grade", epilog=_GRADE_EXAMPLES)
@options.file_argument("task")
@options.file_argument("answer")
@options.as_json
@options.debug
@click.pass_context
def grade_command(ctx: click.Context, *, task: Path, answer: Path, as_json: bool) -> None:
    """Check ANSWER, a student's file, against the sheet TASK.

    The answer has "rounds", the partitions after each round (or "steps", with any number of partitions),
    and "quotient", a matrix; for a network "classes" and "layers". The sheet says how to write them. The
    exit code is 0 if the answer is right. It is 1 if not; the command then names the first wrong step,
    with the states and sums that show it.
    """
    with Stages() as stages:
        with stages("reading", answer.name):
            asked, given = read_task(task), read_answer(answer)
        with stages("checking"), reading(answer):
            result = grade(asked, given)
    if as_json:
        show_json(
            "grade",
            task=str(task),
            answer=str(answer),
            correct=bool(result),
            right=list(result.right),
            wrong=result.wrong,
            why=result.why,
            seconds=stages.seconds,
        )
    else:
        rows = [("verdict", "right" if result else "wrong")]
        rows += [("right", step) for step in result.right]
        if result.wrong is not None and result.why is not None:
            rows += [("wrong", result.wrong), ("because", result.why)]
        show(Table(f"{answer.name}: {asked.kind} lumping", tuple(rows)))
    if not result:
        ctx.exit(NO)


def _markup(asked: str | None, path: Path | None) -> str:
    return asked or _SUFFIXES.get(path.suffix.lower() if path else "", "markdown")


def _write(text: str, path: Path) -> None:
    with writing(path) as file:
        file.write(text.encode())
