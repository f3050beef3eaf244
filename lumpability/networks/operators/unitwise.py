"""Operators that work along some axes and treat all others alike: pooling, resizing, reductions, softmax, norms.

Along collapsed axes every unit is a function of its own and passes.  Unit axes that are worked along are taken
together: their labels leave together or not at all, so that a norm over the units holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import ONE, Value
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.tensor import Declined, Tensor
from lumpability.numbers.float_arrays import Array

__all__: list[str] = []

_POOLS = (
    "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool InstanceNormalization"
)
_RESIZES = "Resize Upsample"
_REDUCTIONS = (
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
    "ReduceSumSquare ArgMax ArgMin"
)
_ALONG = "Softmax LogSoftmax Hardmax CumSum LayerNormalization RMSNormalization LpNormalization MeanVarianceNormalization"
OPERATORS = frozenset(f"{_POOLS} {_RESIZES} {_REDUCTIONS} {_ALONG}".split())

_LINEAR = frozenset(
    ["AveragePool", "GlobalAveragePool", "Resize", "Upsample", "ReduceMean", "ReduceSum", "CumSum"]
)
_POSITIVE = frozenset(
    [
        *("MaxPool", "GlobalMaxPool", "LpPool", "GlobalLpPool", "ReduceMax", "ReduceMin"),
        *("ReduceL1", "ReduceL2"),
    ]
)
_SIGNS: dict[str, str | int] = {
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceSumSquare", "LpPool", "GlobalLpPool"), 0),
    **dict.fromkeys(("AveragePool", "CumSum"), "weak"),
    "Softmax": 1,
}
_KEEP_SIGNS = frozenset(
    [
        *("MaxPool", "GlobalAveragePool", "GlobalMaxPool", "Resize", "Upsample", "ReduceMean"),
        *("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"),
    ]
)
_KEEP_CONSTANTS = frozenset(
    [
        *("MaxPool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMean", "ReduceMax"),
        *("ReduceMin", "AveragePool"),
    ]
)


def serves(call: Call) -> bool:
    """Whether nothing moves but the data, sizes apart."""
    return call.moving(0) and (
        call.op in ("Resize", "Upsample")
        or not any(map(call.moving, range(1, len(call.node.input))))
    )


def apply(call: Call) -> None:
    """Record the output."""
    call.only_first_output()
    tensor, shape = call.tensor(0), call.shape()
    axes = {axis % tensor.rank for axis in _axes(call, tensor.rank)} if tensor.rank else set()
    kept = tensor.units - axes
    if call.op == "InstanceNormalization":
        kept = kept | {1}  # its scales tell channels apart
    seen = call.work.view(tensor, kept)
    if tensor.units - kept and not kept:
        call.work.labels.hold(seen.labels, f"{call.where} works along its units")
    units = kept
    if len(shape) != tensor.rank:  # keepdims=0
        units = frozenset(axis - sum(a < axis for a in axes) for axis in kept)
    name = call.named((call.name(0), kept), (call.node.output[0], units))
    if call.op == "InstanceNormalization":
        values = _normalised(call, seen, name)
    else:
        sized = call.op == "Resize" and call.name(3)  # its sizes are those of the output
        name += call.stored(*range(1, 3 if sized else len(call.node.input)))
        given, lifts = [(seen.ids, seen.facs)], call.op == "Softmax"
        values = call.work.algebra.apply(given, _rule(call, name), lifts=lifts)
    arrays = [seen.labels, *values]
    if len(shape) != tensor.rank:  # keepdims=0
        arrays = [array.reshape(np.delete(array.shape, sorted(axes))) for array in arrays]
    call.yields(units, arrays[0], (arrays[1], arrays[2]))


def _normalised(call: Call, seen: Tensor, name: Any) -> tuple[Array, Array]:
    """Scale and shift of a channel's norm, which is zero for a constant."""
    algebra, shape = call.work.algebra, (1, -1, *(1 for _ in range(seen.rank - 2)))
    known = [array for slot in (1, 2) if (array := call.constant(slot)) is not None]
    seen.along(known[0].size)  # declines if there are other channels

    def rule(values: list[Value]) -> Value:
        (atom, factor), (first, scale), (second, shift) = values
        if first != ONE or second != ONE:
            raise Declined("has weights that are no numbers")
        if not scale and algebra.domains.touches(values):
            raise Declined("multiplies what may be infinite by zero")
        norm = Fraction(0) if atom == ONE else scale
        return algebra.total([(algebra.atom((name, atom, factor)), norm), (ONE, shift)])

    weights = [algebra.constant(array.reshape(shape)) for array in known]
    return algebra.apply([(seen.ids, seen.facs), *weights], rule)


def _rule(call: Call, name: Any) -> Any:
    op, given = call.op, call.attributes
    group = "linear" if op in _LINEAR else "positive" if op in _POSITIVE else "equal"
    if op == "Resize" and (given.get("mode", "nearest") == "cubic" or given.get("exclude_outside")):
        group = "linear"
    constants = "same" if op in _KEEP_CONSTANTS else "some"
    if op == "AveragePool" and given.get("count_include_pad", 0):
        constants = "none"
    if op in ("Resize", "Upsample"):
        plain = given.get("coordinate_transformation_mode", "") != "tf_crop_and_resize"
        constants = (
            "same" if plain and given.get("mode", "nearest") in ("nearest", "linear") else "none"
        )
        group = group if plain else "equal"
    if op in ("CumSum", *_ALONG.split(), "LpPool", "GlobalLpPool"):
        constants = "none"
    chooses = op in ("MaxPool", "ReduceMax", "ReduceMin") or (
        op in _RESIZES.split() and given.get("mode", "nearest") == "nearest"
    )
    if not chooses and not call.real(call.node.output[0]):  # sums of integers wrap, means round
        group, constants = "equal", "none" if constants == "none" else "some"
    sign: str | int | None = "same" if op in _KEEP_SIGNS else _SIGNS.get(op)
    if op in _RESIZES.split() and (constants != "same" or group != "linear"):
        sign = None
    return call.work.algebra.unary(name, group, constants, sign)


def _axes(call: Call, rank: int) -> list[int]:
    """Return the axes that are worked along."""
    op, given = call.op, call.attributes
    spatial: Callable[[], list[int]] = lambda: list(range(2, rank))  # noqa: E731
    if op in _POOLS.split():
        return spatial()
    if op in _RESIZES.split():
        return _resized(call)
    if op in ("ArgMax", "ArgMin"):
        return [given.get("axis", 0)]
    if op in _REDUCTIONS.split():
        return _reduced(call, rank)
    if op == "CumSum":
        axis = call.constant(1)
        if axis is None or axis.size != 1:
            raise Declined("takes its axis from the network's inputs")
        return [int(axis.item())]
    if op in ("Softmax", "LogSoftmax", "Hardmax"):
        axis = given.get("axis", -1 if call.version >= 13 else 1)
        return [axis] if call.version >= 13 else list(range(axis % rank, rank))
    if op == "LpNormalization":
        return [given.get("axis", -1)]
    if op == "MeanVarianceNormalization":
        return list(given.get("axes", (0, 2, 3)))
    return list(range(given.get("axis", -1) % rank, rank))  # LayerNormalization, RMSNormalization


def _resized(call: Call) -> list[int]:
    if any(
        call.moving(slot) and call.name(slot) not in call.work.choices[0].values
        for slot in (1, 2, 3)
    ):
        raise Declined("takes its sizes from the network's inputs")
    before, after = call.dims(call.name(0)), call.dims(call.node.output[0])
    scales = call.constant(2 if call.op == "Resize" and call.version >= 11 else 1)
    if scales is None and "scales" in call.attributes:
        scales = np.array(call.attributes["scales"])
    if scales is not None and scales.size == len(after):
        return [axis for axis, scale in enumerate(scales.tolist()) if scale != 1]
    changed = [a for a, (m, n) in enumerate(zip(before, after, strict=True)) if m != n]
    return sorted({*changed, *range(2, len(after))})


def _reduced(call: Call, rank: int) -> list[int]:
    axes = call.attributes.get("axes")
    if axes is None and call.name(1):
        known = call.constant(1)
        if known is None:
            raise Declined("takes its axes from the network's inputs")
        axes = known.tolist()
    if not axes and call.attributes.get("noop_with_empty_axes", 0):
        raise Declined
    return list(axes) if axes else list(range(rank))


def edit(call: Call, edit: Any) -> None:
    """Let the sizes of a Resize follow; scales stay.  Cut the weights of a norm."""
    if call.op == "InstanceNormalization":
        kept = edit.axis(call.node.output[0], 1)
        for slot in (1, 2):
            array = call.weights(slot)
            edit.constant(call, slot, array[kept], places=kept)
    if call.op == "Resize" and call.name(3):
        edit.shape_constant(call, 3, call.node.output[0])
