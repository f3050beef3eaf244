"""Matrix products of two tensors that both move: attention scores, and scores times values.

Where the contracted axis has units (query and key), their labels leave together pair by pair, and what comes out has one
label for each head.  Where it is positions (scores times values), the units of the values pass; a head's scores may
leave exactly if all its values do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import Value
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.labels import HELD
from lumpability.networks.tensors.tensor import Declined, Reader, Tensor
from lumpability.numbers.float_arrays import Array, varying_axes

__all__: list[str] = []

OPERATORS = frozenset({"MatMul"})
_MOST = 1 << 18


def serves(call: Call) -> bool:
    """Whether both factors move."""
    return call.moving(0) and call.moving(1)


def apply(call: Call) -> None:
    """Record the output, and who reads whom."""
    left, right = call.tensor(0), call.tensor(1)
    shape = call.shape()
    if not call.real(call.node.output[0]):
        raise Declined("multiplies integers, which wrap around")
    rank = len(shape)
    if left.rank != rank or right.rank != rank or rank < 2:
        raise Declined("multiplies tensors of different ranks that both depend on the input")
    sides = _unit_axes(call, left, right)
    batch = {a for a in sides[0] | sides[1] if a < rank - 2}
    if any(left.shape[a] != right.shape[a] for a in batch):  # type: ignore[index]
        raise Declined("uses the units of one factor for several of the other")
    rows, columns = rank - 2 in sides[0], rank - 1 in sides[1]
    inner = rank - 1 in sides[0] or rank - 2 in sides[1]
    if (inner and (rows or columns)) or (rows and columns):
        raise Declined("multiplies units on more than one axis")
    first = call.work.view(
        left, batch | ({rank - 1} if inner else set()) | ({rank - 2} if rows else set())
    )
    second = call.work.view(
        right, batch | ({rank - 2} if inner else set()) | ({rank - 1} if columns else set())
    )
    values = _values(call, first, second, batch, inner)
    if inner:
        labels = _of_pairs(call, first, second, batch)
    elif rows or columns:
        labels = _passed(call, *((second, first) if columns else (first, second)), rank)
    else:
        call.work.labels.unite(first.labels, second.labels)
        labels = first.labels
    units = batch | ({rank - 2} if rows else set()) | ({rank - 1} if columns else set())
    call.yields(units, labels, values)
    call.notes["heads"] = sorted(batch)


def _unit_axes(call: Call, *factors: Tensor) -> list[set[int]]:
    """Return the axes of each factor along which different units leave; positions that a mask tells apart are none."""
    against = call.work.against
    if against is not None:
        found = against.call(call).notes["axes"]
    else:
        found = [one.units & {*varying_axes(one.labels)} for one in factors]
    call.notes["axes"] = found
    return [
        {a for a in axes if one.shape is not None and one.shape[a] > 1}
        for axes, one in zip(found, factors, strict=True)
    ]


def _values(
    call: Call, first: Tensor, second: Tensor, batch: set[int], inner: bool
) -> tuple[Array, Array]:
    algebra = call.work.algebra
    name = call.named((call.name(0), first.units), (call.name(1), second.units))

    def pair(values: list[Value]) -> Value:
        (a, f), (b, g) = values
        if not f * g and algebra.domains.touches(values):
            return algebra.nothing(a, b)
        return algebra.atom((name, a, b)), f * g

    if not inner:
        return algebra.apply([(first.ids, first.facs), (second.ids, second.facs)], pair)
    if math.prod(first.ids.shape) > _MOST:
        raise Declined("multiplies more elements than are followed one by one")
    turned = [np.swapaxes(a, -1, -2) for a in (second.ids, second.facs)]
    ids, facs = algebra.apply([(first.ids, first.facs), (turned[0], turned[1])], pair)
    call.notes["zero"] = facs == 0
    flat = [a.reshape(-1, a.shape[-1]) for a in (ids, facs)]
    totals = [
        algebra.total((a, algebra.fractions[f]) for a, f in zip(*row, strict=True))
        for row in zip(flat[0].tolist(), flat[1].tolist(), strict=True)
    ]
    shape = (*ids.shape[:-1], 1)
    numbers = [algebra.numbers(total) for total in totals]
    return (
        np.array([a for a, _ in numbers]).reshape(shape),
        np.array([f for _, f in numbers]).reshape(shape),
    )


def _of_pairs(call: Call, first: Tensor, second: Tensor, batch: set[int]) -> Array:
    """Unite the labels of query and key units; return one label for each head."""
    work = call.work
    queries, keys = first.labels, np.swapaxes(second.labels, -1, -2)
    work.labels.unite(queries, keys)
    shape = [*queries.shape[:-1], 1]
    count = math.prod(shape)
    heads = work.labels.fresh(count) if batch else np.full(count, HELD)
    size = queries.shape[-1]
    flat = queries.reshape(-1)
    uses = np.repeat(np.eye(count, dtype=bool), size, axis=1)
    own = np.array([work.algebra.atom(("pair", call.number, k)) for k in range(len(flat))])
    facs = np.where(call.notes["zero"].reshape(-1), 0, 1)
    call.reader(Reader(call.number, 0, flat, own, facs, uses, heads))
    return heads.reshape(shape)


def _passed(call: Call, values: Tensor, scores: Tensor, rank: int) -> Array:
    """Let the units of the values pass; heads are read by the values' units."""
    work = call.work
    labels = np.broadcast_to(
        values.labels, np.broadcast_shapes(values.labels.shape, scores.labels.shape)
    )
    heads = np.broadcast_to(scores.labels, labels.shape)
    flat = scores.labels.reshape(-1)
    place = np.broadcast_to(
        np.arange(len(flat)).reshape(scores.labels.shape), labels.shape
    ).reshape(-1)
    uses = place[:, None] == np.arange(len(flat))
    own = np.array([work.algebra.atom(("head", call.number, k)) for k in range(len(flat))])
    call.reader(
        Reader(call.number, 0, flat, own, np.ones(len(flat), np.int64), uses, labels.reshape(-1))
    )
    call.notes["gate"] = (heads, labels)
    return labels


def uneven(call: Call, edit: Any) -> Array | None:
    """Return labels to give back so that both factors and the output keep the same heads."""
    names = (call.name(0), call.name(1), call.node.output[0])
    shape = call.shape()
    for axis in call.notes["heads"]:
        kept = []
        for name in names:
            tensor = call.work.tensors[name]
            other = tuple(a for a in range(tensor.rank) if a != axis)
            alive = edit.keeps(tensor.labels)
            kept.append(
                alive.any(axis=other)
                if alive.shape[axis] > 1
                else np.broadcast_to(alive.any(axis=other), (shape[axis],))
            )
        wanted = np.logical_or.reduce(kept)
        for name, have in zip(names, kept, strict=True):
            for head in np.flatnonzero(wanted & ~have).tolist():
                labels = call.work.tensors[name].labels
                place = head if labels.shape[axis] > 1 else 0
                return np.asarray(np.take(labels, [place], axis=axis).reshape(-1)[:1])
    return None


def edit(call: Call, edit: Any) -> None:
    """Nothing is stored here."""
