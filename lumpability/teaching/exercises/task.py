"""A task: a small chain and the kind of lumping to find, as a value and as text; and its rounds of refinement.

A task is written as one line of JSON, which a sheet holds in a comment.  Any document with such a line can be
graded; the rest of the document does not matter.

In every round each state is observed: its sums into (or from) every block of the present partition, depending on
the kind.  States that share a block and differ in a sum are separated, all at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidInput
from lumpability.files import opened
from lumpability.formats.strict_json import check_version, parse_object
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.definition import block_sums, rounds
from lumpability.teaching.exercises.neurons import NetworkTask, content_of, network_task

Observation = dict[tuple[str, int], Exact]
"""For (direction, block) a sum that is not zero: into the block for "out", from it for "in"."""

MARK = "lumpability-exercise: "
"""The text before the JSON in a sheet."""
LARGEST_SHEET = 1 << 20
FORMAT, VERSION = "lumpability/exercise", 1
_CLASSES: dict[str, type[MarkovChain]] = {"CTMC": CTMC, "DTMC": DTMC}


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """A chain whose coarsest lumping is to be found by hand.

    Attributes
    ----------
    chain : CTMC or DTMC
        Without parameters.  Its labels are the partition to start from.
    kind : str
        Any that has a coarsest lumping.
    made : str
        The command that makes the task; empty if there is none.

    Raises
    ------
    InvalidInput
        For a chain with parameters or with rewards, which sheets do not show.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> Task(land_of_oz(), "ordinary")
    Task(ordinary, 3 states)
    """

    chain: MarkovChain
    kind: str
    made: str = ""

    def __post_init__(self) -> None:
        find_kind(self.kind).conditions(self.chain)  # refuses what makes no sense
        if not self.chain.is_rational or self.chain.rewards:
            raise InvalidInput("an exercise is about numbers and labels: no parameters, no rewards")

    def __repr__(self) -> str:
        return f"Task({self.kind}, {self.chain.n} states{self._rounds()})"

    def _rounds(self) -> str:
        words = self.made.split()
        return f", {words[words.index('--rounds') + 1]} rounds" if "--rounds" in words else ""


def write_task(task: Task | NetworkTask) -> str:
    """Return a task as one line of JSON, which can stand in a comment of any markup.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> print(write_task(Task(land_of_oz(), "ordinary"))[:60])
    {"format": "lumpability/exercise", "version": 1, "kind": "or
    """
    head = {"format": FORMAT, "version": VERSION, "kind": task.kind, "made": task.made}
    content = content_of(task) if isinstance(task, NetworkTask) else _chain_content(task.chain)
    # "-->" would end a comment.
    return json.dumps(head | content).replace("-", r"\u002d").replace(">", r"\u003e")


def _chain_content(chain: MarkovChain) -> dict[str, Any]:
    names = [str(state) for state in chain.states]
    return {
        "type": type(chain).__name__,
        "states": names,
        "rates": [
            [names[source], names[target], str(rate)]
            for source in range(chain.n)
            for target, rate in chain.matrix.row(source)
        ],
        "labels": {
            name: [names[state] for state in np.flatnonzero(mask)]
            for name, mask in chain.labels.items()
        },
    }


def read_task(path: str | Path) -> Task | NetworkTask:
    """Read the task from a sheet in any of the formats.

    Raises
    ------
    FormatError
        If the file holds no task, or one that is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.teaching.exercises import exercise, sheet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "sheet.md")
    ...     _ = path.write_text(sheet(exercise(seed=1)))
    ...     read_task(path)
    Task(ordinary, 6 states)
    """
    with opened(path, max_bytes=LARGEST_SHEET, text=True) as file:
        text = file.read(LARGEST_SHEET + 1).decode(errors="replace")
        line = next((line for line in text.splitlines() if MARK in line), None)
        if line is None:
            raise FormatError(
                "holds no task: give a sheet made by 'lumpability exercise'", path=path
            )
        found = line.partition(MARK)[2].strip().removesuffix("-->")
        content = parse_object(found.encode(), path, decimals=False)
        check_version(content, path, FORMAT, VERSION)
        return _task(content, path)


def _task(content: dict[str, Any], path: str | Path) -> Task | NetworkTask:
    try:
        if content["type"] == "Network":
            return network_task(content, str(content["kind"]), str(content["made"]))
        states = [str(name) for name in content["states"]]
        rates = [(source, target, rate) for source, target, rate in content["rates"]]
        labels = {str(name): list(members) for name, members in content["labels"].items()}
        made, kind, build = str(content["made"]), str(content["kind"]), _CLASSES[content["type"]]
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError):
        raise FormatError("the task in it is damaged: make a new sheet", path=path) from None
    return Task(build.from_rates(rates, states=states, labels=labels), kind, made)


def observations(chain: MarkovChain, partition: Partition, *, kind: str) -> list[Observation]:
    """Return the sums of every state that one round compares.

    Parameters
    ----------
    chain : CTMC or DTMC
    partition : Partition
    kind : str
        For "proportional" the sums are shares of the rate out of the block.

    Returns
    -------
    list of dict
        For each state the sums that are not zero, by direction and block.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> chain = land_of_oz()
    >>> observations(chain, Partition.of([0, 1, 0]), kind="ordinary")[0]
    {('out', 0): Fraction(3, 4), ('out', 1): Fraction(1, 4)}
    """
    found: list[Observation] = [{} for _ in range(chain.n)]
    chosen = find_kind(kind)
    for condition in chosen.conditions(chain):
        for state, own in enumerate(partition.labels.tolist()):
            sums = chosen.normal.of(block_sums(condition.matrix, partition, state), own)
            found[state].update({(condition.direction, b): total for b, total in sums.items()})
    return found


def rounds_of(chain: MarkovChain, *, kind: str) -> list[Partition]:
    """Return the partitions after 0, 1, 2, ... rounds, up to the one that no round splits.

    Parameters
    ----------
    chain : CTMC or DTMC
    kind : str

    Returns
    -------
    list of Partition
        The first is by what the kind respects (labels and rewards), the last the coarsest lumping.

    Notes
    -----
    O(rounds x transitions).

    Examples
    --------
    >>> from lumpability.markov.examples import machine_repair
    >>> [len(partition) for partition in rounds_of(machine_repair(3), kind="ordinary")]
    [2, 4]
    """
    chosen = find_kind(kind)
    matrices = [condition.matrix for condition in chosen.conditions(chain)]
    return list(rounds(matrices, chain.respected(chosen.respects), chosen.normal))


def block_text(chain: MarkovChain, partition: Partition, block: int) -> str:
    """Return all members of a block, in braces: exercises are small.

    >>> from lumpability.markov.examples import land_of_oz
    >>> block_text(land_of_oz(), Partition.of([0, 1, 0]), 0)
    '{rain, snow}'
    """
    members = (str(chain.states[state]) for state in partition.blocks[block].tolist())
    return "{" + ", ".join(members) + "}"
