"""`lumpability exercise` makes task sheets with solutions; `lumpability grade` checks answers."""

from __future__ import annotations

from pathlib import Path

import click

from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.errors import InvalidInput
from lumpability.files import reading, writing
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


@command("exercise", examples=_MAKE_EXAMPLES, in_json=False)
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
def exercise_command(
    stages: Stages,
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
) -> Outcome:
    """Make a task sheet: find the coarsest lumping by hand.

    The chain has small numbers and takes exactly the given number of rounds. A network has neurons to
    merge in every hidden layer. The sheet holds its task in a comment, so that "lumpability grade" can
    check answers.
    """
    if chain is None:
        with stages("making"):
            task = _made(network, kind, states, rounds, seed)
    else:
        with stages("reading", chain.name):
            model = read(chain)
        if network or model.domain != "chain":
            raise click.UsageError("--chain takes a Markov chain, not a network")
        task = Task(model, kind or "ordinary")
    text = sheet(task, markup=_markup(markup, output), seed=show_seed)
    if solution is not None:
        with writing(solution) as file:
            file.write(solution_of(task, markup=_markup(markup, solution)).encode())
    if output is not None:
        with writing(output) as file:
            file.write(text.encode())
    return Outcome(dict, text=text if output is None else "")


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


@command("grade", examples=_GRADE_EXAMPLES)
@options.file_argument("task")
@options.file_argument("answer")
def grade_command(stages: Stages, *, task: Path, answer: Path) -> Outcome:
    """Check ANSWER, a student's file, against the sheet TASK.

    The answer has "rounds", the partitions after each round (or "steps", with any number of partitions),
    and "quotient", a matrix; for a network "classes" and "layers". The sheet says how to write them. The
    exit code is 0 if the answer is right. It is 1 if not; the command then names the first wrong step,
    with the states and sums that show it.
    """
    with stages("reading", answer.name):
        asked, given = read_task(task), read_answer(answer)
    with stages("checking"), reading(answer):
        result = grade(asked, given)
    rows = [("verdict", "right" if result else "wrong")]
    rows += [("right", step) for step in result.right]
    if result.wrong is not None and result.why is not None:
        rows += [("wrong", result.wrong), ("because", result.why)]
    return Outcome(
        lambda: {
            "task": str(task),
            "answer": str(answer),
            "correct": bool(result),
            "right": list(result.right),
            "wrong": result.wrong,
            "why": result.why,
        },
        [Table(f"{answer.name}: {asked.kind} lumping", tuple(rows))],
        holds=bool(result),
    )


def _markup(asked: str | None, path: Path | None) -> str:
    return asked or _SUFFIXES.get(path.suffix.lower() if path else "", "markdown")
