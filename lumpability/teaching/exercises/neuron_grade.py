"""Whether the answer to an exercise about a network is right, and if not, the first wrong step and the reason.

Classes of a layer are right if they are those of the coarsest lumping.  If they are wrong, the grader names two
neurons, and the sums in which they differ or their common factor.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.dispatch import check
from lumpability.errors import InvalidInput
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.teaching.exercises.neurons import NetworkTask, network_answer


def grade_network(task: NetworkTask, answer: dict[str, Any]) -> tuple[list[str], str, str | None]:
    """Return the steps that are right, the last step examined, and what is wrong with it, if anything."""
    if not answer.keys() & {"classes", "layers"} or answer.keys() - {"classes", "layers"}:
        raise InvalidInput("an answer has 'classes' and 'layers', and nothing else")
    lumping, name = task.lumping, ""
    right: list[str] = []
    orders: list[list[int]] = [list(range(len(p))) for p in lumping.partitions[:-1]]
    if "classes" in answer:
        given = _classes(task, answer["classes"])
        for number, (found, best) in enumerate(zip(given, lumping.partitions, strict=False), 1):
            name = f"layer {number}"
            why = _wrong_classes(task, given[:number], found, best, lumping.factors[number - 1])
            if why is not None:
                return right, name, why
            right.append(name)
            orders[number - 1] = [
                int(best.labels[block[0]]) for block in answer["classes"][number - 1] if block
            ]
    if "layers" in answer:
        name = "the smaller network"
        why = _wrong_weights(network_answer(task)["layers"], answer["layers"], orders)
        if why is not None:
            return right, name, why
        right.append(name)
    return right, name, None


def _classes(task: NetworkTask, classes: Any) -> list[Partition]:
    hidden = task.layers[:-1]
    if not isinstance(classes, list) or len(classes) != len(hidden):
        raise InvalidInput(
            f"'classes' has a list of classes for each of the {len(hidden)} hidden layers"
        )
    return [
        read_blocks(given, layer.units, f"layer {number}", "classes", "neurons")
        for number, (given, layer) in enumerate(zip(classes, hidden, strict=True), 1)
    ]


def read_blocks(
    given: Any, states: int | list[str], where: str, blocks: str, members: str
) -> Partition:
    """Return the partition of one step of an answer, lists of members; empty lists are left out."""
    if not isinstance(given, list) or not all(isinstance(block, list) for block in given):
        raise InvalidInput(f"{where} is not a list of {blocks}, which are lists of {members}")
    try:
        return Partition.of([block for block in given if block], states=states)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def read_numbers(given: Any, where: str) -> ExactArray:
    """Return a row of numbers of an answer."""
    if not isinstance(given, list):
        raise InvalidInput(f"{where} is not a list of numbers")
    try:
        return ExactArray.read(given)[0]
    except (InvalidInput, TypeError) as error:
        raise InvalidInput(
            f'{where} holds something that is no number ({error}): write 3, 0.5 or "1/2"'
        ) from None


def _wrong_classes(
    task: NetworkTask, given: list[Partition], found: Partition, best: Partition, factors: Any
) -> str | None:
    if not found.refines(best):
        # Later layers are not examined yet.
        return str(check(task.network, dict(enumerate(given)), kind=task.kind).witness)
    for block in best:
        labels = found.labels[block]
        if len(set(labels.tolist())) > 1:
            other = int(block[np.flatnonzero(labels != labels[0])[0]])
            first = int(block[0])
            factor = factors[other] / factors[first]
            return (
                f"neurons {first} and {other} are apart, but over the merged rows the column of {other} is "
                f"{factor} times that of {first}"
            )
    return None


def _wrong_weights(expected: Any, given: Any, orders: list[list[int]]) -> str | None:
    if not isinstance(given, list) or len(given) != len(expected):
        raise InvalidInput(f"'layers' is a list of {len(expected)} layers with weights and bias")
    above = [*orders, list(range(len(expected[-1]["bias"])))]
    below = [list(range(len(expected[0]["weights"]))), *orders]
    for number, (want, got) in enumerate(zip(expected, given, strict=True), 1):
        if not isinstance(got, dict) or got.keys() != {"weights", "bias"}:
            raise InvalidInput(f"layer {number} of the answer has 'weights' and 'bias'")
        rows, columns = below[number - 1], above[number - 1]
        wanted = [[want["weights"][r][c] for c in columns] for r in rows]
        wanted.append([want["bias"][c] for c in columns])
        names = [f"from class {i}" for i in range(len(rows))] + ["the bias"]
        weights = got["weights"]
        if not isinstance(weights, list):
            raise InvalidInput(f"the weights of layer {number} are not a list of rows")
        found = [
            read_numbers(row, f"layer {number}, {name}")
            for row, name in [(row, f"row {i}") for i, row in enumerate(weights)]
            + [(got["bias"], "the bias")]
        ]
        if [len(row) for row in found] != [len(columns)] * (len(rows) + 1):
            return f"layer {number} has {len(rows)} rows and {len(columns)} columns"
        for name, want_row, numbers in zip(names, wanted, found, strict=True):
            for column, (right, entry) in enumerate(zip(want_row, numbers, strict=True)):
                if Fraction(right) != entry:
                    return f"in layer {number}, class {column}, {name} is {right}, not {entry}"
    return None
