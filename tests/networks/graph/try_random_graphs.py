"""Random graphs, reduced, and compared with the original in onnxruntime.

    python tests/networks/graph/try_random_graphs.py --graphs 10000 --seed 0

prints what goes wrong, with the seed that makes the graph again, and how many graphs were reduced.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from random_graphs import random_network

from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.networks.graph.compare import compare_models, session
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import reduce_graph

_MANY = 100  # steps, and the size of other free axes
_SINGLE, _DOUBLE = 1e-4, 1e-7
"""Largest relative differences by rounding."""


def in_double(model: Any) -> bytes:
    """Return a model that computes in double precision."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    tensors = [*copy.graph.initializer]
    for node in copy.graph.node:
        for item in node.attribute:
            if node.op_type in ("Cast", "ConstantOfShape") and item.name == "to" and item.i == 1:
                item.i = 11
            if item.HasField("t"):
                tensors.append(item.t)
    for tensor in tensors:
        if tensor.data_type == 1:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for item in (*copy.graph.input, *copy.graph.output):
        if item.type.tensor_type.elem_type == 1:
            item.type.tensor_type.elem_type = 11
    del copy.graph.value_info[:]
    return bytes(copy.SerializeToString())


def largest_output(network: GraphNetwork) -> float:
    """Return the largest magnitude of outputs at some inputs, to compare differences with."""
    random, largest = np.random.default_rng(1), 1e-6
    for size in (5, 9):
        shape = [n if isinstance(n, int) else size for n in network.ends["input"][0][2]]
        given = network(random.normal(size=shape).astype(np.float32))
        for values in given if isinstance(given, list) else [given]:
            finite = values[np.isfinite(values)]
            largest = max(largest, float(np.abs(finite).max(initial=0.0)))
    return largest


def wrong(network: GraphNetwork, quotient: GraphNetwork, points: int = 9) -> float:
    """Return by how much two graphs differ, relative to the outputs; 0 if that is only how floats add up."""
    scale = largest_output(network)
    difference = (
        compare_models(network.to_bytes(), quotient.to_bytes(), points).largest_difference / scale
    )
    if difference < _SINGLE:
        return 0.0
    try:
        models = [in_double(one.model) for one in (network, quotient)]
        exact = compare_models(models[0], models[1], points).largest_difference / scale
    except InvalidInput:  # an operator that onnxruntime has in single precision only
        rounding = max(100 * _SINGLE, 10 * sensitivity(network) / scale)
        return difference if difference > rounding else 0.0
    return exact if exact > _DOUBLE else 0.0


def sensitivity(network: GraphNetwork) -> float:
    """Return by how much outputs change if every input moves to the next float.

    A recurrent network may be chaotic: then no two orders of adding agree after some dozens of steps.
    """
    name, _, shape = network.ends["input"][0]
    sizes = [n if isinstance(n, int) else _MANY for n in shape]
    given = np.random.default_rng(2).normal(size=sizes).astype(np.float32)
    run = session(network.to_bytes()).run
    pairs = [run(None, {name: x}) for x in (given, np.nextafter(given, np.float32(np.inf)))]
    return max(float(np.abs(a - b).max(initial=0.0)) for a, b in zip(*pairs, strict=True))


def tried(seed: int) -> tuple[str, str]:
    """Make, reduce and compare one graph; say what came of it, and what is wrong."""
    steps = int(np.random.default_rng(seed).integers(3, 13))
    try:
        network = random_network(seed, steps)
        session(network.to_bytes())
    except (LumpabilityError, onnx.shape_inference.InferenceError) as error:
        return "not valid", str(error)[:200]
    lumping = reduce_graph(network)
    if lumping.is_unchanged:
        return "unchanged", ""
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    difference = wrong(network, lumping.quotient)
    return ("wrong", f"off by {difference:.3g}") if difference else ("reduced", "")


def main() -> None:
    """Try many graphs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first graph")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    started = time.process_time()
    for seed in range(given.seed, given.seed + given.graphs):
        try:
            result, told = tried(seed)
        except Exception as error:  # noqa: BLE001  # it is told with the seed
            result, told = "raised", f"{type(error).__name__}: {error}"
        counts[result] += 1
        if result in ("wrong", "raised", "not valid"):
            print(f"seed {seed}: {result}, {told}", flush=True)
        if (seed - given.seed + 1) % 500 == 0:
            print(f"{seed - given.seed + 1} graphs: {dict(counts)}", flush=True)
    print(f"{given.graphs} graphs, {time.process_time() - started:.0f} CPU s: {dict(counts)}")


if __name__ == "__main__":
    main()
