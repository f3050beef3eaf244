"""A linear node as matrices, one for each group of channels, and matrices in the layout of the node's weights.

A row is a channel and a kernel tap, a column a unit.  Gemm, MatMul, Conv (grouped and depthwise too), ConvTranspose,
Einsum with one axis replaced, and embeddings have this form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.tensor import Declined
from lumpability.numbers.float_arrays import Array

OPERATORS = frozenset(["Gemm", "MatMul", "Conv", "ConvTranspose", "Einsum", "Gather"])


@dataclass
class Layer:
    """A node as matrices, one for each group of channels.

    - slot, weight_slot: inputs of the node that move, and that hold the weights
    - axis, out_axis: of the channels, in the input and in the output
    - matrices: list of array, shape (channels * taps, units)
    - bias: array of shape (units,), or None
    - share, scale: what the product has to be multiplied by to be comparable with the bias, and both after that
    """

    slot: int
    weight_slot: int
    axis: int
    out_axis: int
    matrices: list[Array]
    bias: Array | None = None
    bias_slot: int = 2
    taps: int = 1
    pads: bool = False
    share: Fraction = Fraction(1)
    scale: Fraction = Fraction(1)

    @property
    def groups(self) -> int:
        """Number of groups of channels."""
        return len(self.matrices)

    @property
    def depthwise(self) -> bool:
        """Whether every channel has one unit of its own."""
        return self.groups > 1 and self.matrices[0].shape == (self.taps, 1)


def serves(call: Call) -> bool:
    """Whether the weights are stored."""
    if call.op == "Gather":
        table = call.constant(0)
        return table is not None and table.ndim == 2 and call.attributes.get("axis", 0) == 0
    if call.op == "MatMul":
        return (call.constant(0) is None) != (call.constant(1) is None)
    if call.op == "Einsum":
        return _letters(call) is not None
    weights = call.constant(1)
    return weights is not None and call.moving(0) and not (call.name(2) and call.moving(2))


def layer_of(call: Call) -> Layer:
    """Return the node as matrices; declines what it does not cover."""
    layer: Layer = {
        "Gemm": _gemm,
        "MatMul": _matmul,
        "Conv": _convolution,
        "ConvTranspose": _convolution,
        "Einsum": _einsum,
        "Gather": _embedding,
    }[call.op](call)
    first = layer.matrices[0]
    if first.dtype.kind != "f" or not all(np.isfinite(m).all() for m in layer.matrices):
        raise Declined("has weights that are not finite floats")
    if layer.bias is not None and not np.isfinite(layer.bias).all():
        raise Declined("has weights that are not finite floats")
    if layer.bias is not None and layer.bias.shape != (sum(m.shape[1] for m in layer.matrices),):
        raise Declined("has a bias that does not fit its weights")
    return layer


def _gemm(call: Call) -> Layer:
    given = call.attributes
    weights, bias = call.constant(1), call.constant(2)
    if given.get("transA", 0) or weights is None or weights.ndim != 2:
        raise Declined("transposes what it multiplies")
    alpha, beta = (Fraction(float(np.float32(given.get(k, 1.0)))) for k in ("alpha", "beta"))
    (matrix,) = matrices_of(call, weights)
    if not alpha or (bias is not None and not beta):
        raise Declined("multiplies by zero")
    if bias is not None:
        if bias.size not in (1, matrix.shape[1]) or (bias.ndim > 1 and bias.shape[-1] != bias.size):
            raise Declined("adds numbers that differ within the batch")
        bias = np.broadcast_to(bias.reshape(-1), matrix.shape[1:])
    share, scale = (Fraction(1), alpha) if bias is None else (alpha / beta, beta)
    return Layer(0, 1, 1, 1, [matrix], bias, share=share, scale=scale)


def _matmul(call: Call) -> Layer:
    slot = 0 if call.moving(0) else 1
    weights, rank = call.weights(1 - slot), call.tensor(slot).rank
    if weights.ndim != 2 or rank < 1:
        raise Declined("multiplies by weights of more than two axes")
    axis = rank - 1 if slot == 0 else max(rank - 2, 0)
    return Layer(slot, 1 - slot, axis, axis, matrices_of(call, weights))


def _letters(call: Call) -> tuple[int, str, str, str] | None:
    """Return the input of an Einsum that moves, its letters, those of the weights, and the one that is summed over.

    None unless one axis of the input is replaced by an axis of weights with two.
    """
    ends = str(call.attributes.get("equation", "")).replace(" ", "").split("->")
    terms = ends[0].split(",")
    moving = [slot for slot in range(len(terms)) if call.moving(slot)]
    if len(ends) != 2 or len(terms) != 2 or len(moving) != 1:
        return None
    data, weights = terms[moving[0]], terms[1 - moving[0]]
    summed = [letter for letter in weights if letter in data]
    if (
        len(weights) != 2
        or len(summed) != 1
        or len(set(data) - {"."}) < len(data.replace("...", ""))
    ):
        return None
    made = weights.replace(summed[0], "")
    return (
        (moving[0], data, weights, summed[0]) if ends[1] == data.replace(summed[0], made) else None
    )


def _einsum(call: Call) -> Layer:
    found = _letters(call)
    assert found is not None
    slot, data, _, summed = found
    weights = call.weights(1 - slot)
    before = data.partition("...")[0]
    place = data.index(summed)
    axis = place if summed in before else call.tensor(slot).rank - (len(data) - place)
    return Layer(slot, 1 - slot, axis, axis, matrices_of(call, weights))


def _is_turned(call: Call) -> bool:
    """Whether the weights of an Einsum have the new units first."""
    found = _letters(call)
    return found is not None and found[2][1] == found[3]


def _convolution(call: Call) -> Layer:
    weights, given = call.weights(1), call.attributes
    pads = call.op == "ConvTranspose" or any(given.get("pads", ()))
    pads = pads or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    taps, matrices = math.prod(weights.shape[2:]), matrices_of(call, weights)
    return Layer(0, 1, 1, 1, matrices, call.constant(2), taps=taps, pads=pads)


def matrices_of(call: Call, weights: Array) -> list[Array]:
    """Return a node's weights as matrices, shape (channels * taps, units), one for each group of channels."""
    if call.op == "Gemm":
        return [weights.T if call.attributes.get("transB", 0) else weights]
    if call.op == "MatMul":
        return [weights if call.moving(0) else weights.T]
    if call.op == "Einsum":
        return [weights.T if _is_turned(call) else weights]
    groups, taps = int(call.attributes.get("group", 1)), math.prod(weights.shape[2:])
    if call.op == "Conv":
        return [part.T for part in weights.reshape(groups, weights.shape[0] // groups, -1)]
    parts = weights.reshape(groups, weights.shape[0] // groups, weights.shape[1], taps)
    return [part.transpose(0, 2, 1).reshape(-1, weights.shape[1]) for part in parts]


def _embedding(call: Call) -> Layer:
    table, rank = call.weights(0), len(call.shape())
    return Layer(1, 0, -1, rank - 1, [table])


def restored(call: Call, layer: Layer, parts: list[Array]) -> Array:
    """Return matrices in the layout of the node's weights."""
    given = call.weights(layer.weight_slot)
    if call.op == "Conv":
        return np.concatenate([m.T.reshape(m.shape[1], -1, *given.shape[2:]) for m in parts])
    if call.op == "ConvTranspose":
        taps = layer.taps
        return np.concatenate(
            [
                m.reshape(-1, taps, m.shape[1])
                .transpose(0, 2, 1)
                .reshape(-1, m.shape[1], *given.shape[2:])
                for m in parts
            ]
        )
    (matrix,) = parts
    turned = {
        "Gemm": bool(call.attributes.get("transB", 0)),
        "MatMul": layer.slot == 1,
        "Einsum": call.op == "Einsum" and _is_turned(call),
    }[call.op]
    return np.ascontiguousarray(matrix.T if turned else matrix)
