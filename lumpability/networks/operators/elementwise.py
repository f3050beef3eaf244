"""Operators that treat every element alike: sums, products, activations, batch normalisation, comparisons.

Labels of the operands leave together, element by element.  An operand that is broadcast along an axis on which the
labels of the others differ is held.  Values: sums are linear combinations, products multiply, an activation lets pass
the factors of its group; what is not listed with a rule merges only equal values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.networks.operators.scalar_rules import OPERATORS, rule_of
from lumpability.networks.tensors.algebra import Algebra
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.labels import HELD
from lumpability.networks.tensors.tensor import Declined
from lumpability.numbers.float_arrays import Array, varying_axes

__all__ = ["OPERATORS"]

_FEW, _MOST = 1 << 14, 1 << 18
"""Elements up to which values are followed one by one, in one tensor, and in all that have more."""


def serves(call: Call) -> bool:
    """Whether the node is element by element in all its inputs."""
    if call.op in ("QuantizeLinear", "DequantizeLinear"):
        return all(
            (value := call.constant(slot)) is not None and value.size == 1
            for slot in range(1, len(call.node.input))
            if call.name(slot)
        ) and not call.moving(1)
    if call.op == "BatchNormalization":
        return call.moving(0) and all(call.constant(slot) is not None for slot in range(1, 5))
    return True


def apply(call: Call) -> None:
    """Record the output."""
    call.only_first_output()
    shape = call.shape()
    operands = _operands(call)
    rank = len(shape)
    for _, array, tensor in operands:
        sizes = tensor.shape if array is None else array.shape
        if not all(n in (1, m) for n, m in zip(sizes[::-1], shape[::-1], strict=False)):
            raise Declined("reads sizes that do not fit its output")
    units: set[int] = set()
    for _, array, tensor in operands:
        if tensor is not None:
            units |= {axis + rank - tensor.rank for axis in tensor.units}
        elif array is not None:
            units |= {axis + rank - array.ndim for axis in varying_axes(array)}
    units = {axis for axis in units if shape[axis] > 1}
    compact = tuple(n if axis in units else 1 for axis, n in enumerate(shape))
    count = math.prod(compact)
    if count > _FEW:
        call.work.followed += count
    if call.work.followed > _MOST and count > _FEW:
        raise Declined("treats more elements than are followed one by one")
    values, labels = [], []
    for _, array, tensor in operands:
        if array is not None:
            values.append(_shown(call.work.algebra, array, rank, units))
        elif tensor is not None:
            axes = {a for a in range(tensor.rank) if a + rank - tensor.rank in units}
            seen = call.work.view(tensor, axes)
            grow = (1,) * (rank - tensor.rank)
            values.append(
                (seen.ids.reshape(grow + seen.ids.shape), seen.facs.reshape(grow + seen.ids.shape))
            )
            labels.append(seen.labels.reshape(grow + seen.labels.shape))
    facts, slots = call.work.choices[0], tuple(slot for slot, _, _ in operands)
    types = tuple(facts.code(name) for name in (*call.node.input, call.node.output[0]) if name)
    own = call.stored(1, 2) if call.op in ("QuantizeLinear", "DequantizeLinear") else ()
    key = (call.named(), call.work.index.opsets[""], slots, types, own)
    found = call.work.algebra.apply(values, rule_of(call, operands), key)
    call.yields(units, _united(call, labels, compact), found)


def _operands(call: Call) -> list[tuple[int, Array | None, Any]]:
    """Return slot, constant and tensor of each operand; parameters of batch normalisation get axes for broadcasting."""
    found: list[tuple[int, Array | None, Any]] = []
    used = 1 if call.op in ("Dropout", "Cast", "CastLike") else len(call.node.input)
    if call.op == "Dropout" and _in_training(call):
        raise Declined("drops units at random")
    if call.op in ("QuantizeLinear", "DequantizeLinear"):
        used = 1
    for slot in range(used):
        if not call.name(slot):
            continue
        known = call.constant(slot)
        if known is None:
            found.append((slot, None, call.tensor(slot)))
        else:
            found.append((slot, _aligned(call, slot, known), None))
    if not any(tensor is not None for _, _, tensor in found):
        raise Declined
    return found


def _in_training(call: Call) -> bool:
    """Whether a Dropout may drop anything."""
    if call.version < 7:
        return not call.attributes.get("is_test", 0)
    mode = call.constant(2)
    return call.moving(2) or (mode is not None and bool(mode))


def _aligned(call: Call, slot: int, known: Array) -> Array:
    """Return a constant with the axes by which it is broadcast."""
    rank = len(call.shape())
    if call.op == "BatchNormalization":
        if call.attributes.get("training_mode", 0) or not call.attributes.get("spatial", 1):
            raise Declined("normalises with statistics of the input")
        return known.reshape((1, -1) + (1,) * (rank - 2)) if rank > 1 else known
    axis = call.attributes.get("axis")
    if (
        call.version < 7 and axis is not None and known.ndim
    ):  # old broadcasting names the first axis
        return known.reshape(known.shape + (1,) * (rank - (axis % rank) - known.ndim))
    if call.version < 7 and call.op == "PRelu" and known.size > 1:
        return known.reshape((-1,) + (1,) * (rank - 2))
    return known


def _shown(algebra: Algebra, array: Array, rank: int, units: set[int]) -> tuple[Array, Array]:
    """Return the values of a constant on the unit axes."""
    for axis in range(array.ndim):
        if axis + rank - array.ndim not in units:
            array = np.take(array, [0], axis=axis)
    return algebra.constant(array.reshape((1,) * (rank - array.ndim) + array.shape))


def _united(call: Call, labels: Sequence[Array], compact: tuple[int, ...]) -> Array:
    """Let labels of operands leave together, and return those of the output."""
    full = [array for array in labels if array.shape == compact]
    widest = full[0] if full else None
    work = call.work.labels
    for array in labels:
        if widest is None or array is widest:
            continue
        axes = tuple(a for a, n in enumerate(array.shape) if n == 1 and compact[a] > 1)
        first = widest
        for axis in axes:
            first = np.take(first, [0], axis=axis)
        if bool((first == widest).all()):
            work.unite(array, first, f"{call.where} joins it with one that is held")
        else:
            work.hold(array, f"{call.where} uses it for several units")
    if widest is not None:
        return widest
    # No operand has all unit axes: constants or different axes of two operands span the output.
    grown = np.broadcast_arrays(*labels)[0]
    for array in labels:
        if array.shape != grown.shape:
            work.hold(array, f"{call.where} uses it for several units")
    return np.broadcast_to(
        grown if len(labels) == 1 else np.zeros((1,) * len(compact), np.int64) + HELD, compact
    )


def edit(call: Call, edit: Any) -> None:
    """Give constants the units that are left."""
    rank = len(call.shape())
    for slot in range(len(call.node.input)):
        known = call.constant(slot)
        if known is None or known.size == 1 or call.op in ("Dropout", "CastLike"):
            continue
        aligned = _aligned(call, slot, known)
        cut = edit.cut(call.node.output[0], aligned, rank)
        if cut is not aligned:
            numbers = np.arange(known.size).reshape(aligned.shape)
            places = edit.cut(call.node.output[0], numbers, rank)
            shape = _as(known, aligned, cut)
            edit.constant(call, slot, cut.reshape(shape), places=places.reshape(shape))


def _as(known: Array, aligned: Array, cut: Array) -> tuple[int, ...]:
    """Return the shape of a constant after a cut, without the axes that alignment gave it."""
    if known.ndim == 1:
        return (cut.size,)
    return tuple(cut.shape if known.ndim == aligned.ndim else cut.shape[: known.ndim])
