"""The only file of the graph package that touches ``onnx``: arrays, attributes, one node evaluated, one node's types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork, require
from lumpability.numbers.float_arrays import Array

_EVALUATED_FROM = {"DequantizeLinear": 19}
"""Operators whose older versions the evaluator lacks, and that mean the same since."""
_INFERRED_AS = {
    **dict.fromkeys(("GroupNormalization", "MeanVarianceNormalization"), ("Relu", 1)),
    "GreaterOrEqual": ("Greater", 2),
    "LessOrEqual": ("Less", 2),
}
"""Operators for which onnx infers no shape, others whose outputs have the same, and the inputs that these take."""


STEPS = "lumpability.steps"
"""The domain of the ends of graphs inside Scan, Loop and If, see `lumpability.networks.operators.steps`."""


def onnx() -> Any:
    """Return the package ``onnx``, its evaluator included, or raise `MissingDependency`."""
    require("onnx.reference", extra="onnx")
    return require("onnx", extra="onnx")


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node that are not graphs; strings are decoded."""
    found = {}
    for item in node.attribute:
        if item.type in (5, 10):
            continue
        try:
            value = onnx().helper.get_attribute_value(item)
        except ValueError:  # of no type
            continue
        found[item.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return found


def has_infinite(values: Iterable[Any]) -> bool:
    """Whether a number among attributes, or in their lists, is infinite or NaN."""
    numbers = (x for value in values for x in (value if isinstance(value, list) else [value]))
    return not all(math.isfinite(x) for x in numbers if isinstance(x, float))


def subgraphs(node: Any) -> list[Any]:
    """Return the graphs inside a node (bodies of If, Loop, Scan)."""
    found = []
    for item in node.attribute:
        if item.type == 5:
            found.append(item.g)
        elif item.type == 10:
            found += item.graphs
    return found


def array_of(tensor: Any, folder: Path | None = None) -> Array:
    """Return a TensorProto as an array; types that numpy lacks become float32, exactly.

    Raises `InvalidNetwork` if its data do not fit its type and shape.
    """
    helper = onnx().numpy_helper
    try:
        array = np.asarray(helper.to_array(tensor, "" if folder is None else str(folder)))
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidNetwork(f"tensor {tensor.name!r} cannot be read: {error}") from error
    if array.dtype.kind == "V" or array.dtype.name.startswith(("bfloat", "float8")):
        return np.asarray(array.astype(np.float32))
    return array


def tensor_of(array: Array, name: str, like: Any = None) -> Any:
    """Return an array as a TensorProto, of the element type of another one."""
    module = onnx()
    if like is not None:
        wanted = module.helper.tensor_dtype_to_np_dtype(like)
        array = array.astype(wanted)
    return module.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


def evaluated(node: Any, inputs: Sequence[Array | None], opsets: Mapping[str, int]) -> list[Any]:
    """Run one node in onnx's own evaluator.

    - inputs: in the order of the node's inputs; None where one is left out
    """
    given = {
        name: np.asarray(value)
        for name, value in zip(node.input, inputs, strict=False)
        if name and value is not None
    }
    module = onnx()
    ends = [[module.ValueInfoProto(name=n) for n in names if n] for names in (given, node.output)]
    least = _EVALUATED_FROM.get(node.op_type, 1)
    imports = [
        module.helper.make_opsetid(domain, max(version, least))
        for domain, version in opsets.items()
        if domain != "ai.onnx"
    ]
    # For a node that is not part of a model the evaluator takes the newest version of its operator.
    model = module.ModelProto(opset_import=imports)
    model.graph.node.append(node)
    model.graph.input.extend(ends[0])
    model.graph.output.extend(ends[1])
    with np.errstate(all="ignore"):
        run = module.reference.ReferenceEvaluator(model).run(None, given)
    return [value if isinstance(value, list) else np.asarray(value) for value in run]


def tensor_type(code: int, shape: Sequence[int] | None) -> Any:
    """Return a TypeProto of a tensor."""
    return onnx().helper.make_tensor_type_proto(code, None if shape is None else list(shape))


def inferred(
    node: Any,
    types: Mapping[str, Any],
    data: Mapping[str, Array],
    opsets: Mapping[str, int],
    ir: int,
) -> tuple[dict[str, Any], str]:
    """Return the types of a node's outputs as onnx infers them, or none and why not."""
    module = onnx()
    if node.domain == STEPS:
        return dict(zip(node.output, _type_of_step(node, types), strict=False)), ""
    like = _INFERRED_AS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if like is not None:
        operator, count = like
        node = module.helper.make_node(operator, node.input[:count], node.output[:1])
    try:
        schema = module.defs.get_schema(
            node.op_type, max_inclusive_version=opsets[node.domain], domain=node.domain
        )
        tensors = {
            name: module.numpy_helper.from_array(value, name) for name, value in data.items()
        }
        imports = [module.helper.make_opsetid(name, version) for name, version in opsets.items()]
        found = module.shape_inference.infer_node_outputs(
            schema, node, dict(types), tensors, opset_imports=imports, ir_version=ir
        )
    except module.shape_inference.InferenceError as error:
        return {}, str(error).partition("\n")[0]
    except Exception:  # noqa: BLE001  # classes of its own; what has no type is carried along
        return {}, ""
    return dict(found), ""


def _type_of_step(node: Any, types: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the type of what an end of a body yields, if it is known."""
    given = attributes(node)
    if node.op_type == "Count":
        yield tensor_type(given["kind"], [])
        return
    read = node.input[: 2 if node.op_type == "Sequence" else 1]
    known = [types[name] for name in read if name in types]
    if node.op_type == "If":
        yield from _type_of_both(*(types.get(name) for name in node.input[1:]))
        return
    if len(known) < len(read) or not all(one.tensor_type.HasField("shape") for one in known):
        return
    if node.op_type in ("Element", "Sequence") and not known[-1].tensor_type.shape.dim:
        return
    kind = type(known[0])()
    kind.CopyFrom(known[0])
    dims = list(known[0].tensor_type.shape.dim)
    if node.op_type == "Element":
        del dims[given["axis"] % len(dims)]
    elif node.op_type == "Sequence":
        steps = known[1].tensor_type.shape.dim
        dims.insert(given["axis"] % (len(dims) + 1), steps[given["along"] % len(steps)])
    del kind.tensor_type.shape.dim[:]
    kind.tensor_type.shape.dim.extend(dims)
    yield kind


def _type_of_both(first: Any, second: Any) -> Iterator[Any]:
    """Yield what is common to two types, if they are of tensors and anything is."""
    if first is None or second is None or not first.tensor_type.elem_type:
        return
    kind = type(first)()
    kind.CopyFrom(first)
    mine, other = kind.tensor_type, second.tensor_type
    if mine.elem_type != other.elem_type:
        return
    if not other.HasField("shape") or len(mine.shape.dim) != len(other.shape.dim):
        mine.ClearField("shape")
    for one, two in zip(mine.shape.dim, other.shape.dim, strict=False):
        if one != two:
            one.Clear()
    yield kind


def inferred_sizes(
    node: Any,
    types: Mapping[str, tuple[int, Sequence[int | str] | None]],
    data: Mapping[str, Array],
    opsets: Mapping[str, int],
    ir: int,
) -> dict[str, list[int | str | None]]:
    """Return the shapes of a node's outputs as onnx infers them where sizes may be symbols; None where it does not.

    - types: mapping of str to (element type, shape or None)
    """
    made = {
        name: onnx().helper.make_tensor_type_proto(kind, None if dims is None else list(dims))
        for name, (kind, dims) in types.items()
    }
    found = {}
    for name, kind in inferred(node, made, data, opsets, ir)[0].items():
        if kind.HasField("tensor_type") and kind.tensor_type.HasField("shape"):
            found[name] = [
                dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
                for dim in kind.tensor_type.shape.dim
            ]
    return found
