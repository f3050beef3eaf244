"""The task sheet of a network, and its solution."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.kinds import admits_factors
from lumpability.networks.layers import Dense
from lumpability.teaching.exercises.neurons import NetworkTask, content_of
from lumpability.teaching.exercises.pages import Code, Grid, Heading, Hidden, Item, Items, Text

__all__ = ["network_answer", "sheet_items", "solution_items"]


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
