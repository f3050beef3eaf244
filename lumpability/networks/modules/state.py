"""Which entries of which parameters stay, and their new values: the smaller state dict of a module.

The exporter names the graph's constants after the parameters, and moves them about before they are used (a transposed
weight, the gates of an LSTM in another order).  These nodes are run on the numbers of the entries, so that every entry
of every constant that a reduction keeps is known as an entry of a parameter.  What stays of a parameter has to be an
array again, with one value for each entry: a state dict can hold nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import NotJustified
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping
from lumpability.networks.tensors.index import Index
from lumpability.networks.tensors.protobuf import evaluated
from lumpability.numbers.float_arrays import Array

_MOVES = frozenset(
    [
        *(
            *("Identity", "Cast", "CastLike", "Transpose", "Reshape", "Squeeze", "Unsqueeze"),
            "Flatten",
        ),
        *("Slice", "Split", "Concat", "Gather", "Expand"),
    ]
)


@dataclass(frozen=True, eq=False)
class Remainder:
    """What stays of a parameter.

    - rows: for each axis the positions that stay
    - value: the new values, sums of merged columns included
    - nodes: first outputs of the nodes that read it
    """

    rows: tuple[Array, ...]
    value: Array
    nodes: tuple[str, ...]


@dataclass
class _Entries:
    """The entries of one parameter: which were seen where a node reads them, which stay, and with what value."""

    seen: Array
    kept: Array
    value: Array
    nodes: list[str]


def remainders(
    lumping: GraphLumping, parameters: Mapping[str, Array] | None = None
) -> dict[str, Remainder]:
    """Return what stays of the constants of a graph that are parameters of a module.

    - parameters: values by the names of the graph's constants; by default all its constants

    Raises `NotJustified` if a parameter is used twice and would need two values, what stays of it is no array,
    or the network computes other numbers from it before they are used.

    >>> from lumpability import lump
    >>> from lumpability.networks.graph.examples import residual
    >>> found = remainders(lump(residual()))
    >>> [rows.tolist() for rows in found["A"].rows], found["A"].value.shape
    ([[0, 1], [0, 1, 2, 3]], (2, 4))
    """
    index = lumping.network.index
    given = index.constants if parameters is None else parameters
    entries = {
        name: _Entries(
            np.zeros(value.size, bool),
            np.zeros(value.size, bool),
            np.array(value, dtype=np.float64).ravel(),
            [],
        )
        for name, value in given.items()
        if value.dtype.kind == "f" and name in index.constants
    }
    for node, slot, numbers in _reads(index, given, entries):
        _note(lumping, (node, slot), numbers, entries)
    return {name: _remainder(name, found, given[name]) for name, found in entries.items()}


def _reads(
    index: Index, given: Mapping[str, Array], entries: Mapping[str, _Entries]
) -> Iterator[tuple[Any, int, dict[str, Array]]]:
    """Yield where a node reads a constant made of parameters: for each of these, the numbers of its entries or -1."""
    made: dict[str, dict[str, Array]] = {}
    for name in entries:
        made[name] = {name: np.arange(given[name].size).reshape(given[name].shape)}
    values = index.choices[0].values
    for node in index.nodes:
        folded = all(not name or name in values for name in node.output)
        if folded and node.op_type in _MOVES and any(name in made for name in node.input):
            for k, numbers in enumerate(_moved(index, node, made, values)):
                made[node.output[k]] = numbers
            continue
        for slot, name in enumerate(node.input):
            if name in made and node.op_type not in ("Shape", "Size"):
                yield node, slot, made[name]


def _moved(
    index: Index, node: Any, made: Mapping[str, dict[str, Array]], values: Mapping[str, Array]
) -> Iterator[dict[str, Array]]:
    """Yield for each output the numbers of the parameters' entries."""
    sources = list(dict.fromkeys(s for name in node.input for s in made.get(name, ())))
    if node.op_type in ("Cast", "CastLike"):
        yield made[node.input[0]]
        return
    found = []
    data = range(len(node.input)) if node.op_type == "Concat" else (0,)
    for source in sources:
        inputs: list[Array | None] = [values.get(name) for name in node.input]
        for slot in data:
            nothing = np.full(values[node.input[slot]].shape, -1)
            inputs[slot] = made.get(node.input[slot], {}).get(source, nothing)
        found.append(evaluated(node, inputs, index.opsets))
    for k in range(len(node.output)):
        yield {source: arrays[k] for source, arrays in zip(sources, found, strict=True)}


def _note(
    lumping: GraphLumping,
    place: tuple[Any, int],
    numbers: Mapping[str, Array],
    entries: Mapping[str, _Entries],
) -> None:
    """Record what stays where a node reads a constant."""
    node, slot = place
    values = lumping.network.index.choices[0].values
    if all(not name or name in values for name in node.output):
        name = next(iter(numbers))
        raise NotJustified(
            f"the network computes with the parameter {name!r} before it is used ({node.op_type}): "
            "what leaves is no part of it"
        )
    new = _constant(lumping.quotient, node, slot)
    places = lumping.places.get((node.output[0], slot), np.arange(new.size)).ravel()
    for name, found in numbers.items():
        entry, flat = entries[name], found.ravel()
        mine = flat[places]
        here, stays = (np.zeros(len(entry.seen), bool) for _ in range(2))
        value = entry.value.copy()
        here[flat[flat >= 0]] = True
        stays[mine[mine >= 0]] = True
        value[mine[mine >= 0]] = new.ravel()[mine >= 0]
        both = here & entry.seen
        agree = (stays == entry.kept) & (~stays | (value == entry.value))
        if not bool(agree[both].all()):
            raise NotJustified(
                f"the parameter {name!r} is used more than once ({', '.join(entry.nodes)}, {node.output[0]}) "
                "and would need two values: to_torch gives each its own"
            )
        entry.seen |= here
        entry.kept |= stays
        entry.value = value
        entry.nodes.append(node.output[0])


def _constant(quotient: GraphNetwork, node: Any, slot: int) -> Array:
    """Return the constant that a node of the reduced graph reads."""
    index = quotient.index
    name = index.nodes[index.producer[node.output[0]]].input[slot]
    return index.choices[0].values[name]


def _remainder(name: str, entry: _Entries, given: Array) -> Remainder:
    if not entry.seen.any():
        return Remainder(tuple(np.arange(n) for n in given.shape), given, ())
    kept = (entry.kept | ~entry.seen).reshape(given.shape)
    rows = tuple(
        np.flatnonzero(kept.any(axis=tuple(b for b in range(kept.ndim) if b != a)))
        for a in range(kept.ndim)
    )
    box = np.ix_(*rows)
    if not bool(kept[box].all()):
        raise NotJustified(f"what stays of the parameter {name!r} is no array")
    value = entry.value.reshape(given.shape)[box] if rows else entry.value.reshape(given.shape)
    return Remainder(rows, value.astype(given.dtype), tuple(entry.nodes))
