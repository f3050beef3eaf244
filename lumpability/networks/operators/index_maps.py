"""Where the elements of tensors go when an operator moves them: the operator is run on their numbers.

The map is split into where units go and where positions go; positions that go elsewhere for different units make their
axis one of units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from lumpability.networks.operators.routes import Routes
from lumpability.networks.tensors.index import Facts, Shape
from lumpability.networks.tensors.polynomials import Size
from lumpability.networks.tensors.protobuf import evaluated
from lumpability.networks.tensors.tensor import Declined
from lumpability.networks.tensors.views import View
from lumpability.numbers.float_arrays import Array, varying_axes

_MOST = 1 << 25


def numbered(
    node: Any,
    facts: Facts,
    slots: Sequence[int],
    opsets: Any,
    *,
    short: frozenset[int] = frozenset(),
    views: Mapping[str, View] = MappingProxyType({}),
) -> list[Array]:
    """Run the operator on the numbers of its elements, from 1; 0 stands for what a Pad puts in.

    Of the axes in `short` one position is taken.  Tensors with a view have its axes.
    """
    given: list[Array | None] = [facts.values.get(name) for name in node.input]
    first = 1
    for slot in slots:
        shape = shortened(facts, node.input[slot], short, views)
        size = math.prod(shape)
        if first + size > _MOST:
            raise Declined("moves more elements than are followed one by one")
        given[slot] = np.arange(first, first + size).reshape(shape)
        first += size
    if node.op_type == "Pad":
        if len(given) > 2:
            given[2] = np.array(0)
        node = _without_value(node)
    joined = node.op_type == "Reshape" and bool(views.keys() & {node.input[0], node.output[0]})
    if joined:
        given[1] = np.array(shortened(facts, node.output[0], short, views), dtype=np.int64)
    if any(value is None and name for name, value in zip(node.input, given, strict=True)):
        raise Declined("takes parameters that are computed from the network's inputs")
    try:
        found = evaluated(node, given, opsets)
    except Exception as error:
        raise Declined("does not run at sizes that the inputs may have") from error
    if not all(isinstance(value, np.ndarray) and value.dtype.kind == "i" for value in found):
        raise Declined
    return found


def shortened(facts: Facts, name: str, short: frozenset[int], views: Mapping[str, View]) -> Shape:
    """Return the shape of a tensor, or of its view, with size one on some axes."""
    shape = facts.shape(name)
    if shape is None:
        raise Declined("reads a tensor whose shape is unknown")
    if name in views:
        shape = views[name].apart(shape)
    return tuple(1 if axis in short else n for axis, n in enumerate(shape))


def _without_value(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    for item in copy.attribute:
        if item.name == "value":
            item.f = 0.0
    return copy


@dataclass
class Input:
    """One input of a movement.

    - units: axes whose positions are told apart
    - dims: the shape at all sizes
    - routes: axes that are carried whole, or whose positions become something that has a name
    """

    shape: Shape
    units: frozenset[int]
    dims: tuple[Size, ...]
    routes: Routes = field(default_factory=Routes)


def maps(
    inputs: Sequence[Input], numbers: Array, dims: tuple[Size, ...]
) -> tuple[frozenset[int], Array, set[tuple[int, int]], list[Any]]:
    """Split a map of elements into where units and where positions go.

    - numbers: for each element of the output the number of one of the inputs', from 1, all inputs in a row; 0
      for none
    - dims: shape of the output at all sizes
    - returns units (frozenset of int): unit axes of the output
    - returns source (int array): for each element of the output on its unit axes, the element of the inputs on
      theirs; -1 for none
    - returns mixed (set of (int, int)): input and axis that must be a unit axis first: where its positions go
      depends on the unit
    - returns moves (list): for each input the map of its positions, as a name; None if they stay where they are

    >>> numbers = np.arange(1, 7).reshape(2, 3).T
    >>> maps([Input((2, 3), frozenset({1}), (2, 3))], numbers, (3, 2))[:3]
    (frozenset({0}), array([[0],
           [1],
           [2]]), set())
    """
    compact = []
    first = 0
    for one in inputs:
        small = tuple(n if a in one.units else 1 for a, n in enumerate(one.shape))
        count = math.prod(small)
        compact.append(
            np.broadcast_to(np.arange(first, first + count).reshape(small), one.shape).ravel()
        )
        first += count
    source = np.append(np.concatenate(compact), -1)[numbers - 1]
    units = frozenset(varying_axes(source))
    open_axes = {axis for axis, size in enumerate(dims) if not isinstance(size, int)}
    open_axes |= {axis for one in inputs for axis in one.routes.carried.values()}
    mixed: set[tuple[int, int]] = set()
    moves: list[Any] = []
    for part, one in enumerate(inputs):
        move: list[Any] = []
        inner = [None if a in one.units or n == 1 else n for a, n in enumerate(one.dims)]
        outer = [None if a in units or n == 1 else n for a, n in enumerate(dims)]
        for axis, place in one.routes.carried.items():
            if axis in one.units:
                continue
            inner[axis] = outer[place]  # equal, or the model does not run
            if place in units:
                mixed.add((part, axis))
            if len(dims) - place != len(one.dims) - axis:
                move.append((axis - len(one.dims), place - len(dims)))
        move += [
            (axis - len(one.dims), name)
            for axis, name in one.routes.renamed.items()
            if axis not in one.units
        ]
        straight = inner == outer and not move
        for axis in range(len(one.shape)):
            known = axis in one.routes.carried or axis in one.routes.renamed
            if known or axis in one.units or one.shape[axis] == 1:
                continue
            found = _positions(inputs, part, axis, numbers)
            low = np.where(found < 0, one.shape[axis], found)
            if any(bool((found.max(axis=a) > low.min(axis=a)).any()) for a in units):
                mixed.add((part, axis))
                continue
            line = np.arange(one.shape[axis]).reshape((-1,) + (1,) * (len(one.shape) - axis - 1))
            straight = straight and bool(((found < 0) | (found == line)).all())
            along = found.max(axis=tuple(units), keepdims=True)
            for a in open_axes:
                along = np.take(along, [0], axis=a)
            move.append((axis - len(one.shape), along.tobytes()))
        moves.append(None if straight else (tuple(inner), tuple(outer), *move))
    index = tuple(slice(None) if a in units else slice(0, 1) for a in range(numbers.ndim))
    return units, source[index], mixed, moves


def _positions(inputs: Sequence[Input], part: int, axis: int, numbers: Array) -> Array:
    """Return where each element of the output lies on an axis of an input; -1 if it is from another."""
    shape = inputs[part].shape
    line = np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - axis - 1))
    every = [np.full(math.prod(one.shape), -1) for one in inputs]
    every[part] = np.broadcast_to(line, shape).ravel()
    return np.asarray(np.append(np.concatenate(every), -1)[numbers - 1])
