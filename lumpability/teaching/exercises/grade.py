"""Whether a student's answer is right, and if not, the first wrong step and the reason.

An answer gives the partition after every round and the matrix of the quotient.  A partition is wrong for one of
three reasons: it merges states that were apart before; it separates two states whose sums all agree; or it leaves
two states together that differ in a sum.  The grader names the states and sums.  An answer may also give steps, one
splitter at a time; then a step may leave states together, except for the last.  For the quotient, the grader
names the first entry that differs from its sum, with that sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lumpability.dispatch import lump
from lumpability.errors import InvalidInput
from lumpability.files import opened
from lumpability.formats.strict_json import parse_object
from lumpability.markov.chains import CTMC
from lumpability.markov.kinds import find_kind
from lumpability.markov.lumping import Lumping
from lumpability.numbers.exact_array import Exact
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.teaching.exercises.neuron_grade import grade_network, read_blocks, read_numbers
from lumpability.teaching.exercises.neurons import NetworkTask
from lumpability.teaching.exercises.task import (
    LARGEST_SHEET,
    Observation,
    Task,
    block_text,
    observations,
)


@dataclass(frozen=True)
class Grade:
    """The outcome; truthy if all is right.

    Attributes
    ----------
    right : tuple of str
        The steps that are right, up to the first wrong one.
    wrong : str or None
        The first wrong step.
    why : str or None
        The reason, in one sentence.

    Examples
    --------
    >>> bool(Grade(("round 1", "quotient"))), bool(Grade((), "round 1", "a and b have equal sums"))
    (True, False)
    """

    right: tuple[str, ...]
    wrong: str | None = None
    why: str | None = None

    def __bool__(self) -> bool:
        return self.wrong is None

    def __str__(self) -> str:
        done = f"right: {', '.join(self.right)}" if self.right else "nothing right before it"
        return done if self.wrong is None else f"wrong: {self.wrong}: {self.why} ({done})"


def grade(task: Task | NetworkTask, answer: dict[str, Any]) -> Grade:
    """Check an answer, step by step, up to the first wrong one.

    Parameters
    ----------
    task : Task or NetworkTask
    answer : dict
        For a network ``classes`` and ``layers``, see its sheet.  For a chain ``rounds``: the partition after each
        round, as lists of lists of states, first the one by labels; or ``steps``: the same with any number of
        steps.  And ``quotient``: its matrix, rows of numbers (integers or texts such as "1/2"), blocks in the order
        of the last partition; for a CTMC the diagonal is not compared.  Either may be left out.

    Raises
    ------
    InvalidInput
        If the answer has neither, or they are not partitions and a matrix.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> task = Task(land_of_oz(), "ordinary")
    >>> last = [["rain", "snow"], ["nice"]]
    >>> print(grade(task, {"rounds": [last], "quotient": [["3/4", "1/4"], [1, 0]]}))
    right: the start, stable at the end, the quotient
    >>> print(grade(task, {"rounds": [last, [["rain"], ["snow"], ["nice"]]]}))
    wrong: round 1: rain and snow are apart, but all their sums are equal: 3/4 into {rain, snow}, 1/4 into {nice} (right: the start)
    """
    if isinstance(task, NetworkTask):
        done, name, why = grade_network(task, answer)
        return Grade(tuple(done)) if why is None else Grade(tuple(done), name, why)
    known = {"rounds", "steps", "quotient"}
    if not answer.keys() & known or answer.keys() - known or {"rounds", "steps"} <= answer.keys():
        raise InvalidInput("an answer has 'rounds' (or 'steps') and 'quotient', and nothing else")
    steps = answer.get("rounds", answer.get("steps"))
    right: list[str] = []
    lumping = lump(task.chain, kind=task.kind)
    listed: list[list[str]] | None = None
    if steps is not None:
        word = "round" if "rounds" in answer else "step"
        partitions = _partitions(task, steps, word)
        for name, why in _steps(task, partitions, word):
            if why is not None:
                return Grade(tuple(right), name, why)
            right.append(name)
        listed = steps[-1]
    if "quotient" in answer:
        final = lumping.partition
        order = list(range(len(final))) if listed is None else _order(task, final, listed)
        why = _wrong_entry(lumping, order, answer["quotient"])
        if why is not None:
            return Grade(tuple(right), "the quotient", why)
        right.append("the quotient")
    return Grade(tuple(right))


def read_answer(path: str | Path) -> dict[str, Any]:
    """Read a student's answer, a JSON object; decimal numbers are read as the rationals that are meant.

    Raises
    ------
    FormatError
        If the file is not JSON.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "answer.json")
    ...     _ = path.write_text('{"quotient": [[0, "1/2"], [3, 0]]}')
    ...     read_answer(path)
    {'quotient': [[0, '1/2'], [3, 0]]}
    """
    with opened(path, max_bytes=LARGEST_SHEET, text=True) as file:
        return parse_object(file.read(LARGEST_SHEET), path, decimals=True)


def _partitions(task: Task, steps: Any, word: str) -> list[Partition]:
    if not isinstance(steps, list) or not steps:
        raise InvalidInput(f"'{word}s' is a list of partitions, the first of them by labels")
    return [
        read_blocks(step, _names(task), f"{word} {number}", "blocks", "states")
        for number, step in enumerate(steps)
    ]


def _names(task: Task) -> list[str]:
    return [str(state) for state in task.chain.states]


def _steps(task: Task, partitions: Sequence[Partition], word: str) -> Any:
    """Yield the name of each step and what is wrong with it, None if nothing."""
    chain, kind = task.chain, task.kind
    start = chain.respected(find_kind(kind).respects)
    yield "the start", _not_the_start(task, partitions[0], start)
    for number, (before, after) in enumerate(pairwise(partitions), 1):
        seen = observations(chain, before, kind=kind)
        yield (
            f"{word} {number}",
            _put_together(task, before, after)
            or _torn_apart(task, seen, before, after)
            or (_left_together(task, seen, before, after) if word == "round" else None),
        )
    last = partitions[-1]
    seen = observations(chain, last, kind=kind)
    yield "stable at the end", _left_together(task, seen, last, last)


def _not_the_start(task: Task, found: Partition, start: Partition) -> str | None:
    pair = _pair(found.labels, start.labels) or _pair(start.labels, found.labels)
    if pair is None:
        return None
    a, b = (_names(task)[state] for state in pair)
    same = start.labels[pair[0]] == start.labels[pair[1]]
    return f"{a} and {b} have {'the same' if same else 'different'} labels"


def _put_together(task: Task, before: Partition, after: Partition) -> str | None:
    pair = _pair(after.labels, before.labels)
    if pair is None:
        return None
    a, b = (_names(task)[state] for state in pair)
    return f"{a} and {b} share a block, though they were apart before"


def _torn_apart(
    task: Task, seen: list[Observation], before: Partition, after: Partition
) -> str | None:
    keys = _keys(seen, before)
    pair = _pair(keys, after.labels)
    if pair is None:
        return None
    a, b = (_names(task)[state] for state in pair)
    sums = ", ".join(
        f"{shown(total)} {_way(direction)} {block_text(task.chain, before, block)}"
        for (direction, block), total in sorted(seen[pair[0]].items(), key=lambda item: item[0])
    )
    return f"{a} and {b} are apart, but all their sums are equal: {sums or 'they are zero'}"


def _left_together(
    task: Task, seen: list[Observation], before: Partition, after: Partition
) -> str | None:
    pair = _pair(after.labels, _keys(seen, before))
    if pair is None:
        return None
    first, second = (seen[state] for state in pair)
    own = int(before.labels[pair[0]])
    places = sorted({*first, *second}, key=lambda place: (place[1] == own, place))
    direction, block = next(p for p in places if first.get(p, 0) != second.get(p, 0))
    a, b = (_names(task)[state] for state in pair)
    zero: Exact = 0
    sums = (shown(one.get((direction, block), zero)) for one in (first, second))
    what = "shares" if find_kind(task.kind).scaled else "sums"
    return (
        f"{a} and {b} share a block, but their {what} {_way(direction)} "
        f"{block_text(task.chain, before, block)} are {' and '.join(sums)}"
    )


def _keys(seen: list[Observation], before: Partition) -> list[Any]:
    return [
        (block, frozenset(sums.items()))
        for block, sums in zip(before.labels.tolist(), seen, strict=True)
    ]


def _pair(same: Any, different: Any) -> tuple[int, int] | None:
    """Return two states that agree in the first sequence and differ in the second, or None."""
    first: dict[Any, int] = {}
    for state, key in enumerate(same):
        other = first.setdefault(key, state)
        if different[other] != different[state]:
            return other, state
    return None


def _way(direction: str) -> str:
    return "into" if direction == "out" else "from"


def _order(task: Task, final: Partition, listed: list[list[str]]) -> list[int]:
    """Return the numbers of the final blocks in the order in which the answer lists them."""
    names = _names(task)
    return [int(final.labels[names.index(block[0])]) for block in listed if block]


def _wrong_entry(lumping: Lumping, order: list[int], matrix: Any) -> str | None:
    chain, final = lumping.chain, lumping.partition
    size = len(final)
    if not isinstance(matrix, list) or not all(isinstance(row, list) for row in matrix):
        raise InvalidInput("'quotient' is a list of rows, which are lists of numbers")
    if len(matrix) != size or any(len(row) != size for row in matrix):
        return f"its matrix has {size} rows and {size} columns, one for each block"
    free_diagonal = isinstance(chain, CTMC) and not lumping.notion.keeps_jumps
    for row, source in zip(matrix, order, strict=True):
        numbers = read_numbers(row, f"the row of {block_text(chain, final, source)} in 'quotient'")
        expected = dict(lumping.quotient.matrix.row(source))
        for number, target in zip(numbers, order, strict=True):
            correct: Exact = expected.get(target, 0)
            if number != correct and not (free_diagonal and source == target):
                here, there = (block_text(chain, final, block) for block in (source, target))
                return (
                    f"from {here} to {there} it is {shown(correct)}, not {shown(number)}: "
                    f"{_origin(lumping, source, target)}"
                )
    return None


def _origin(lumping: Lumping, source: int, target: int) -> str:
    """Return in words the rates that an entry of the quotient sums."""
    chain, final = lumping.chain, lumping.partition
    if not lumping.notion.outgoing:
        state, direction, block = int(final.representatives[target]), "from", source
        matrix = chain.matrix.transposed
    else:
        state, direction, block = int(final.representatives[source]), "into", target
        matrix = chain.matrix
    terms = [
        f"{shown(rate)} {direction} {chain.states[other]}"
        for other, rate in matrix.row(state)
        if final.labels[other] == block
    ]
    told = f"{chain.states[state]} has {', '.join(terms) or f'nothing {direction} it'}"
    if not lumping.notion.outgoing:
        here, there = (int(final.blocks.sizes[b]) for b in (source, target))
        told += f"; times {there} over {here}, the sizes of the blocks"
    return told
