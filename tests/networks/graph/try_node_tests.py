"""onnx's own tests of its operators: each float input left free, the others made constants, reduced and run again.

    python tests/networks/graph/try_node_tests.py [NAME]

prints what goes wrong: a model that is raised upon, that onnxruntime or the checker refuses although it took the
original, or that computes something else on the data of the test.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.networks.graph.compare import session
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import reduce_graph
from lumpability.numbers.float_arrays import Array

FLOATS = (1, 10, 11)
_KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
_TOLERANCE = 1e-3
_WIDEST = 512
"""Units of the widest layer that is put before an operator."""
Data = dict[str, Any]


def cases() -> Iterator[tuple[str, Any, Data]]:
    """Yield the name of each test, its model and the data of its inputs."""
    for kind in _KINDS:
        with warnings.catch_warnings():  # some tests overflow while they are made
            warnings.simplefilter("ignore")
            tests = load_model_tests(kind=kind)
        for test in tests:
            model = test.model
            if model is None and test.model_dir and (Path(test.model_dir) / "model.onnx").exists():
                model = onnx.load(str(Path(test.model_dir) / "model.onnx"))
            if model is None:
                continue
            stored = {item.name for item in model.graph.initializer}
            inputs = [item for item in model.graph.input if item.name not in stored]
            data = list(test.data_sets[0][0]) if test.data_sets else _stated(test, len(inputs))
            if len(data) == len(inputs):
                yield test.name, model, dict(zip((i.name for i in inputs), data, strict=True))


def _stated(test: Any, count: int) -> list[Any]:
    """Return the data that a test keeps in files."""
    found = []
    for number in range(count):
        path = Path(test.model_dir) / "test_data_set_0" / f"input_{number}.pb"
        if not path.exists():
            return []
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        found.append(numpy_helper.to_array(tensor))
    return found


def variants(model: Any, data: Data) -> Iterator[tuple[Any, Data]]:
    """Yield the model as it is, and with one float input alone; its first axis is free, or not."""
    yield model, data
    if not all(isinstance(value, np.ndarray | np.generic) for value in data.values()):
        return
    for item in list(model.graph.input):
        kind = item.type.tensor_type
        if item.name not in data or kind.elem_type not in FLOATS:
            continue
        for free in (False, True):
            copy = onnx.ModelProto()
            copy.CopyFrom(model)
            for name, value in data.items():
                if name != item.name:
                    copy.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
            del copy.graph.input[:]
            copy.graph.input.append(item)
            if free:
                if not kind.shape.dim:
                    continue
                copy.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
            yield copy, {item.name: np.asarray(data[item.name])}
            if not free:
                yield from _between_layers(copy, item, np.asarray(data[item.name]))


def _between_layers(model: Any, item: Any, value: Array) -> Iterator[tuple[Any, Data]]:
    """Yield the model with layers before its input and after its outputs, along the last axis and along the second.

    Units before it are zero or multiples of others.
    """
    try:
        outputs = session(model.SerializeToString()).run(None, {item.name: value})
    except Exception:  # noqa: BLE001  # onnxruntime raises classes of its own
        return
    if not all(isinstance(found, np.ndarray) for found in outputs):  # sequences and maps
        return
    random, kind = np.random.default_rng(value.size), item.type.tensor_type.elem_type
    for axis in {value.ndim - 1, 1} if value.ndim > 1 else {0} if value.size > 1 else set():
        count = value.shape[axis]
        if count > _WIDEST:
            continue
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        nodes = list(copy.graph.node)
        del copy.graph.node[:], copy.graph.output[:]
        copy.graph.input[0].name = "given"
        columns = np.repeat(np.arange(count), 2)[:count]
        weights = random.integers(-1, 2, (count, count))[:, columns]
        weights = weights * random.choice([1, 1, 2, 0, -1], count)
        copy.graph.node.extend(_layer("given", item.name, weights, axis, value.ndim, value.dtype))
        copy.graph.node.extend(nodes)
        names = [item.name for item in model.graph.output]
        for name, found in zip(names, map(np.asarray, outputs), strict=True):
            if found.dtype == value.dtype and found.ndim and found.size:
                last = min(axis, found.ndim - 1)
                mixing = random.integers(-2, 3, (found.shape[last], 2))
                read = _layer(name, f"{name} read", mixing, last, found.ndim, value.dtype)
                copy.graph.node.extend(read)
                made = onnx.helper.make_tensor_value_info(f"{name} read", kind, [None] * found.ndim)
                copy.graph.output.append(made)
        if copy.graph.output:
            yield copy, {"given": value}


def _layer(x: str, y: str, weights: Array, axis: int, rank: int, dtype: Any) -> list[Any]:
    """Return nodes that multiply an axis of a tensor by weights."""
    node, order = onnx.helper.make_node, list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    stored = numpy_helper.from_array(weights.astype(dtype))
    names = [x, y] if axis == rank - 1 else [f"{y} turned", f"{y} product"]
    nodes = [
        node("Constant", [], [f"{y} weights"], value=stored),
        node("MatMul", [names[0], f"{y} weights"], [names[1]]),
    ]
    if axis == rank - 1:
        return nodes
    turns = (
        node("Transpose", [x], [names[0]], perm=order),
        node("Transpose", [names[1]], [y], perm=order),
    )
    return [turns[0], *nodes, turns[1]]


def tried(model: Any, data: Data) -> tuple[str, str]:
    """Reduce a model; say what came of it, and what is wrong."""
    try:
        network = GraphNetwork(model)
        lumping = reduce_graph(network)
    except LumpabilityError as error:
        return ("raised" if "internal" in str(error) else "refused"), str(error)
    except Exception as error:  # noqa: BLE001  # it is what is looked for
        return "raised", f"{type(error).__name__}: {error}"
    if lumping.is_unchanged:
        return "unchanged", ""
    try:
        wanted = session(network.to_bytes()).run(None, data)
    except Exception:  # noqa: BLE001  # onnxruntime raises classes of its own
        return "not run", ""
    try:
        found = session(lumping.quotient.to_bytes()).run(None, data)
    except (InvalidInput, RuntimeError, ValueError) as error:
        return "wrong", f"onnxruntime: {error}"
    for first, second in zip(wanted, found, strict=True):
        if not _agree(np.asarray(first), np.asarray(second)):
            return "wrong", "another function"
    return "reduced", ""


def _agree(first: Array, second: Array) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if first.dtype.kind not in "fiub":
        return bool(first.tolist() == second.tolist())
    wide = [array.astype(np.float64) for array in (first, second)]
    return bool(np.allclose(*wide, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))


def main() -> None:
    """Try all tests whose names contain a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    started = time.process_time()
    for name, model, data in cases():
        for variant, inputs in variants(model, data) if given.name in name else ():
            result, told = tried(variant, inputs)
            counts[result] += 1
            if result in ("raised", "wrong", "refused"):
                print(f"{name}: {result}, {told[:200]}", flush=True)
    print(
        f"{sum(counts.values())} models, {time.process_time() - started:.0f} CPU s: {dict(counts)}"
    )


if __name__ == "__main__":
    main()
