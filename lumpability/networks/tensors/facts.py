"""What is known of a graph at one choice of the free dimensions: folded constants, inferred types and shapes.

A tensor that depends on no input is folded by onnx's own evaluator, where that computes what runtimes do.  What depends
on the shape of a tensor is *derived*: it is a number at this choice, and another one at others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumpability.networks.tensors.protobuf import (
    attributes,
    evaluated,
    inferred,
    onnx,
    subgraphs,
    tensor_type,
)
from lumpability.numbers.float_arrays import Array

Shape = tuple[int, ...]

_RANDOM = ("Random", "Multinomial", "Bernoulli")
_SMALL = 1024
_MOST = 1 << 27
_LARGER = frozenset(
    [
        *("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "Upsample", "OneHot"),
        *("EyeLike", "Concat", "MatMul", "Gemm", "Einsum"),
    ]
)
_NO_LARGER = frozenset(
    [
        *("Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"),
        "DequantizeLinear",
    ]
)
_FOLDS = frozenset(
    [
        *("Constant", "Identity", "Cast", "CastLike", "Reshape", "Flatten", "Squeeze"),
        *("Unsqueeze", "Transpose", "Slice", "Split", "Concat", "Gather", "GatherElements"),
        *("GatherND", "ScatterElements", "ScatterND", "Expand", "Tile", "Pad"),
        *("ConstantOfShape", "Range", "EyeLike", "OneHot", "NonZero", "Trilu", "DepthToSpace"),
        *("SpaceToDepth", "Where", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"),
        *("Not", "And", "Or", "Xor", "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Sign"),
        *("Min", "Max", "Sum", "Mean", "Pow", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Sin"),
        *("Cos", "Tanh", "Sigmoid", "Relu", "Clip", "Floor", "Ceil", "Round", "IsNaN", "IsInf"),
        *("MatMul", "Gemm", "Einsum", "CumSum", "ReduceSum", "ReduceMean", "ReduceMax"),
        *("ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
        *("QuantizeLinear", "DequantizeLinear"),
    ]
)
"""Operators of which onnx's evaluator computes what runtimes do; constants made by others are carried along."""


@dataclass
class Facts:
    """What is known of a graph at one choice of the free dimensions.

    - values: tensors that depend on no input
    - derived: tensors of `values` that depend on the shape of one that is not
    - wrong: by first output: what is wrong with nodes that do not fit what they read
    """

    sizes: dict[str, int]
    values: dict[str, Array] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)
    derived: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)

    def code(self, name: str) -> int:
        """Return ONNX's number of a tensor's element type, 0 if it is unknown."""
        if name in self.values:
            return _code(self.values[name])
        return int(self.types[name].tensor_type.elem_type) if name in self.types else 0

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor, or None if it is unknown."""
        if name in self.values:
            return tuple(self.values[name].shape)
        kind = self.types.get(name)
        if (
            kind is None
            or not kind.HasField("tensor_type")
            or not kind.tensor_type.HasField("shape")
        ):
            return None
        dims = kind.tensor_type.shape.dim
        if not all(d.HasField("dim_value") and d.dim_value >= 0 for d in dims):
            return None
        return tuple(int(d.dim_value) for d in dims)


def facts_at(index: Any, sizes: dict[str, int]) -> Facts:
    """Fold constants and infer shapes with the free dimensions set to some sizes."""
    known = Facts(sizes, dict(index.constants))
    for item in index.defaults:
        del known.values[item.name]
    for item in (*index.inputs, *index.defaults):
        kind = type(item.type)()
        kind.CopyFrom(item.type)
        for dim, size in zip(kind.tensor_type.shape.dim, index.sizes(item), strict=True):
            dim.dim_value = sizes[size] if isinstance(size, str) else size
        known.types[item.name] = kind
    for number, node in enumerate(index.nodes):
        if not _folded(index, number, node, known):
            _infer(index, node, known)
    return known


def _folded(index: Any, number: int, node: Any, known: Facts) -> bool:
    if node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx"):
        return _measured(node, known)
    if index.local[number] or node.op_type.startswith(_RANDOM):
        return False
    if node.op_type == "CastLike" and node.input[0] in known.values:
        return _cast_like(node, known)
    if any(name and name not in known.values for name in node.input) or subgraphs(node):
        return False
    if node.op_type not in _FOLDS or not _is_small(index, node, known):
        return False
    if index.opsets[""] < 7 and {"axis", "broadcast"} <= attributes(node).keys():
        return False
    try:
        given = [known.values.get(name) for name in node.input]
        found = evaluated(node, given, index.opsets)
    except Exception:  # noqa: BLE001  # what cannot be folded is carried along
        return False
    if not all(isinstance(value, np.ndarray) for value in found):
        return False
    outputs = [name for name in node.output if name]
    known.values.update(zip(outputs, found, strict=False))
    if any(name in known.derived for name in node.input):
        known.derived.update(outputs)
    return True


def _measured(node: Any, known: Facts) -> bool:
    """Fold what measures a tensor of known shape."""
    shape = known.shape(node.input[0])
    if shape is None:
        return False
    if node.op_type == "Shape":
        extent = attributes(node)
        value = np.array(shape, dtype=np.int64)[extent.get("start", 0) : extent.get("end")]
    else:
        value = np.array(np.prod(shape), dtype=np.int64)
    known.values[node.output[0]] = value
    if node.input[0] not in known.values or node.input[0] in known.derived:
        known.derived.add(node.output[0])
    return True


def _cast_like(node: Any, known: Facts) -> bool:
    """Fold a constant that takes the type of a tensor, of which nothing else matters."""
    code = known.code(node.input[1])
    if not code:
        return False
    value, kind = known.values[node.input[0]], onnx().helper.tensor_dtype_to_np_dtype(code)
    if value.dtype.kind not in "fiub" or np.dtype(kind).kind not in "fiub":
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        known.values[node.output[0]] = value.astype(kind)
    if node.input[0] in known.derived:
        known.derived.add(node.output[0])
    return True


def _is_small(index: Any, node: Any, known: Facts) -> bool:
    """Whether folding a node makes no tensor much larger than what it reads."""
    if sum(known.values[name].size for name in node.input if name) > _MOST:
        return node.op_type in _NO_LARGER
    if node.op_type not in _LARGER:
        return True
    _infer(index, node, known)
    shapes = [known.shape(name) for name in node.output if name]
    return all(shape is not None and math.prod(shape) <= _MOST for shape in shapes)


def _infer(index: Any, node: Any, known: Facts) -> None:
    types, data = {}, {}
    for name in filter(None, node.input):
        if name in known.values:
            value = known.values[name]
            if value.size <= _SMALL:
                data[name] = value
            types[name] = tensor_type(_code(value), value.shape)
        elif name in known.types:
            types[name] = known.types[name]
    found, wrong = inferred(node, types, data, index.opsets, index.model.ir_version)
    known.types.update(found)
    if wrong and all(known.shape(name) for name in node.input if name):
        known.wrong[node.output[0]] = (
            f"the node {node.name or node.output[0]!r} ({node.op_type}) does not fit what it reads: {wrong}"
        )


def _code(value: Array) -> int:
    return int(onnx().helper.np_dtype_to_tensor_dtype(value.dtype))
