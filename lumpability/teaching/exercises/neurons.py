"""Exercises about networks: find the classes of neurons, layer by layer, and the smaller network.

A network with integer weights is built from its classes.  For each class the column, summed over merged rows with
their factors, is drawn first.  Members get multiples of it, and the weights from a class of the layer below are
divided among its members such that the sums are right.  First members have factor 1, so that
the smaller network has integer weights as well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from lumpability.dispatch import lump
from lumpability.errors import InvalidInput
from lumpability.networks import Network, NetworkLumping
from lumpability.networks.claims import admits_factors
from lumpability.networks.layers import Dense
from lumpability.numbers.rationals import read_text
from lumpability.teaching.exercises.pages import Code, Grid, Heading, Hidden, Item, Items, Text

LARGEST = 16
"""Largest number of hidden neurons of an exercise."""

KINDS = ("proportional", "exact")
_ATTEMPTS = 1000
_INPUTS, _OUTPUTS = 2, 1
Matrix = list[list[int]]


@dataclass(frozen=True, eq=False, repr=False)
class NetworkTask:
    """A small ReLU network whose classes of neurons are to be found by hand.

    Attributes
    ----------
    network : Network
        Dense layers with ReLU between them.
    kind : {"proportional", "exact"}
    made : str
        The command that makes the task; empty if there is none.

    Examples
    --------
    >>> NetworkTask(Network.dense([([[1, 2]], [0, 0], "relu"), ([[1], [1]], [0], None)]), "exact")
    NetworkTask(exact, 2 neurons)
    """

    network: Network
    kind: str
    made: str = ""

    def __repr__(self) -> str:
        return f"NetworkTask({self.kind}, {self.network.hidden_neurons} neurons)"

    @property
    def layers(self) -> list[Dense]:
        """The layers with weights.

        Examples
        --------
        >>> len(network_exercise(neurons=4, layers=1).layers)
        2
        """
        return [layer for layer in self.network.layers if isinstance(layer, Dense)]

    @property
    def lumping(self) -> NetworkLumping:
        """The coarsest lumping.

        Examples
        --------
        >>> network_exercise(neurons=4, layers=1, seed=1).lumping.is_irreducible
        False
        """
        found: NetworkLumping = lump(self.network, kind=self.kind)
        return found


def network_exercise(
    kind: str = "proportional", *, neurons: int = 6, layers: int = 2, seed: int = 0
) -> NetworkTask:
    """Make a network with neurons to merge in every hidden layer.

    Parameters
    ----------
    kind : {"proportional", "exact"}
        Whether members of a class may differ by a factor.
    neurons : int
        Hidden neurons in all; at least 3 for each layer, at most 16.
    layers : int
        Hidden layers.
    seed : int
        The same arguments give the same network, on every machine.

    Raises
    ------
    InvalidInput
        If there is no such network; the message says what is possible.

    Examples
    --------
    >>> task = network_exercise(neurons=7, layers=2, seed=1)
    >>> task
    NetworkTask(proportional, 7 neurons)
    >>> task.lumping.quotient.hidden_neurons < 7
    True
    """
    if kind not in KINDS:
        raise InvalidInput(
            f"networks have no kind {kind!r}: choose proportional or exact", kind=kind
        )
    if layers < 1 or not 3 * layers <= neurons <= LARGEST:
        raise InvalidInput(
            f"{neurons} neurons in {layers} layers: an exercise has at least 1 layer, at least 3 neurons in "
            f"each, and at most {LARGEST} in all",
            neurons=neurons,
            layers=layers,
        )
    random = Random(f"network {kind} {neurons} {layers} {seed}")  # noqa: S311 - no secret
    for _ in range(_ATTEMPTS):
        network, classes = _candidate(random, kind, neurons, layers)
        lumping = lump(network, kind=kind)
        if [len(partition) for partition in lumping.partitions[:-1]] == classes and all(
            row.constant == row.dead == 0 for row in lumping.table
        ):
            made = f"exercise --network --kind {kind} --states {neurons} --rounds {layers} --seed {seed}"
            return NetworkTask(network, kind, made)
    raise InvalidInput(  # no arguments are known that lead here
        f"none of {_ATTEMPTS} networks drawn will do: choose another seed", seed=seed
    )


def _candidate(random: Random, kind: str, neurons: int, layers: int) -> tuple[Network, list[int]]:
    """Draw a network; return it with the number of classes of each hidden layer."""
    sizes = [3] * layers
    for _ in range(neurons - 3 * layers):
        sizes[random.randrange(layers)] += 1
    below = [(row, 1) for row in range(_INPUTS)]  # class and factor of every row
    built: list[tuple[Matrix, list[int], str | None]] = []
    counts: list[int] = []
    for size in sizes:
        count = random.randint(2, size - 1)
        owner = [*range(count), *(random.randrange(count) for _ in range(size - count))]
        factors = [1] * count + [
            random.choice((1, 2, 3) if admits_factors(kind) else (1,)) for _ in owner[count:]
        ]
        order = sorted(range(size), key=lambda s: (s >= count, random.random()))
        # First members come first, the others anywhere after them.
        owner, factors = [owner[s] for s in order], [factors[s] for s in order]
        columns = [[random.randint(-2, 3) for _ in range(_rows(below))] for _ in range(count)]
        biases = [random.randint(-2, 2) for _ in range(count)]
        weight = [
            _shared_out(random, [factor * entry for entry in columns[own]], below)
            for own, factor in zip(owner, factors, strict=True)
        ]
        bias = [factor * biases[own] for own, factor in zip(owner, factors, strict=True)]
        built.append((_transposed(weight), bias, "relu"))
        counts.append(count)
        below = list(zip(owner, factors, strict=True))
    last = [[random.choice((-2, -1, 1, 2)) for _ in below] for _ in range(_OUTPUTS)]
    built.append((_transposed(last), [random.randint(-2, 2) for _ in range(_OUTPUTS)], None))
    return Network.dense(built), counts


def _rows(below: list[tuple[int, int]]) -> int:
    return max(own for own, _ in below) + 1


def _shared_out(random: Random, column: list[int], below: list[tuple[int, int]]) -> list[int]:
    """Divide the weight from every class below among its members; the first, of factor 1, takes the rest."""
    rest, weights, first = list(column), [0] * len(below), {}
    for row, (own, factor) in enumerate(below):
        if own in first:
            weights[row] = random.randint(-1, 1)
            rest[own] -= factor * weights[row]
        else:
            first[own] = row
    for own, row in first.items():
        weights[row] = rest[own]
    return weights


def _transposed(rows: Matrix) -> Matrix:
    return [list(row) for row in zip(*rows, strict=True)]


def content_of(task: NetworkTask) -> dict[str, Any]:
    """Return the layers of a task as plain data with exact numbers.

    >>> content_of(network_exercise(neurons=3, layers=1))["layers"][1]["bias"]
    ['...']
    """
    return {
        "type": "Network",
        "layers": [
            {"weights": _texts(layer.weight), "bias": _texts(np.asarray(layer.bias)[None])[0]}
            for layer in task.layers
        ],
    }


def network_task(content: dict[str, Any], kind: str, made: str) -> NetworkTask:
    """Return the task of such data; wrong data raise errors of Python or of the network.

    >>> task = network_exercise(neurons=3, layers=1)
    >>> network_task(content_of(task), task.kind, task.made)
    NetworkTask(proportional, 3 neurons)
    """
    layers = content["layers"]
    dense = [
        (
            [[float(read_text(entry)) for entry in row] for row in layer["weights"]],
            [float(read_text(entry)) for entry in layer["bias"]],
            "relu" if number < len(layers) - 1 else None,
        )
        for number, layer in enumerate(layers)
    ]
    if kind not in KINDS:
        raise ValueError(kind)
    return NetworkTask(Network.dense(dense), kind, made)


def _texts(matrix: Any) -> list[list[str]]:
    return [[str(Fraction(float(entry))) for entry in row] for row in matrix.tolist()]


def sheet_items(task: NetworkTask, hidden: str) -> list[Item]:
    """Return the page of the task sheet."""
    factor = "a positive multiple of" if admits_factors(task.kind) else "equal to"
    classes = (
        "From the first hidden layer to the last: two neurons share a class when the column of one is "
        f"{factor} the column of the other, bias included."
    )
    merge = (
        "Before you compare the columns of a layer, merge the rows of each class below: add them up, each "
        "times the factor of its neuron."
    )
    keep = "Give the smaller network: of each class keep the first neuron, with the merged rows."
    return [
        Heading(f"Exercise: merge the neurons of a network ({task.kind})", 1),
        Text(
            "Each table holds the weights of a layer: a column for each of its neurons, a row for each neuron "
            "below it, and its biases last. Every layer but the last has the activation relu. Neurons are "
            "numbered from 0."
        ),
        *_tables(task.layers),
        Heading("What to do"),
        Items((classes, merge, keep, "Compute both networks at an input of your choice.")),
        Heading("How to write the answer"),
        Text(
            "As JSON: for each hidden layer the classes, as lists of neurons; and the weights and biases of "
            "the smaller network, classes in the order in which you list them."
        ),
        Code(
            '{"classes": [[[0, 2], [1]], ...],\n'
            ' "layers": [{"weights": [[1, -2], [0, "1/2"]], "bias": [0, 3]}, ...]}'
        ),
        *([Text(f"This sheet: lumpability {task.made}")] if task.made else []),
        Hidden(hidden),
    ]


def solution_items(task: NetworkTask) -> list[Item]:
    """Return the page of the solution."""
    lumping = task.lumping
    page: list[Item] = [Heading(f"Solution: merge the neurons of a network ({task.kind})", 1)]
    for number, (partition, factors) in enumerate(
        zip(lumping.partitions[:-1], lumping.factors, strict=False), 1
    ):
        page.append(Heading(f"Hidden layer {number}"))
        rows = tuple(
            (
                str(block[0]),
                ", ".join(map(str, block.tolist())),
                ", ".join(str(factors[neuron]) for neuron in block.tolist()),
            )
            for block in partition
        )
        page.append(Grid(("first", "class", "factors"), rows))
    answer = network_answer(task)
    page += [
        Heading("The smaller network"),
        *_tables([layer for layer in lumping.quotient.layers if isinstance(layer, Dense)]),
        Text(lumping.stats.proof.partition(";")[0]),
        Heading("The answer as JSON"),
        Code(json.dumps(answer)),
    ]
    return page


def network_answer(task: NetworkTask) -> dict[str, Any]:
    """Return the answer that is right in every step."""
    lumping = task.lumping
    small = NetworkTask(lumping.quotient, task.kind)
    return {
        "classes": [[b.tolist() for b in partition] for partition in lumping.partitions[:-1]],
        "layers": content_of(small)["layers"],
    }


def _tables(layers: list[Dense]) -> list[Item]:
    page: list[Item] = []
    for number, layer in enumerate(layers, 1):
        bias = np.asarray(layer.bias)[None]
        names = [*map(str, range(layer.weight.shape[0])), "bias"]
        rows = [
            [str(Fraction(entry)) for entry in row]
            for row in np.vstack([layer.weight, bias]).tolist()
        ]
        columns = (f"layer {number}", *map(str, range(layer.units)))
        page.append(
            Grid(columns, tuple((name, *row) for name, row in zip(names, rows, strict=True)))
        )
    return page
