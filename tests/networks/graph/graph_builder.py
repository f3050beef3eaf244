"""A graph written node by node, and random graphs of all operators that the library understands."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lumpability.networks.graph.network import GraphNetwork

SIZE = 6
"""Height and width of random convolutional graphs."""


class Graph:
    """Nodes and constants; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def const(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(values, np.int64)

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"t{len(self.nodes)}" + "abc"[k] for k in range(outputs)]
        self.nodes.append(
            helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attributes)
        )
        return names[0] if outputs == 1 else names

    def model(self, outputs: list[str], opset: int = 18, **inputs: list[Any]) -> GraphNetwork:
        """Return the graph as a network; inputs are float32 of the shapes given."""
        kind = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "graph",
            [kind(name, 1, shape) for name, shape in inputs.items()],
            [kind(name, 1, None) for name in outputs],
            self.stored,
        )
        domains = [helper.make_opsetid("", opset)]
        if any(node.domain for node in self.nodes):
            domains.append(helper.make_opsetid("foreign", 1))
        model = helper.make_model(graph, opset_imports=domains, ir_version=8)
        known = onnx.shape_inference.infer_shapes(model, data_prop=True)
        for item, found in zip(model.graph.output, known.graph.output, strict=True):
            item.CopyFrom(found)
        return GraphNetwork(model)


def random_network(seed: int, steps: int = 8) -> GraphNetwork:
    """Return a random graph with ternary weights, rows of which are often zero or multiples of others."""
    maker = _Maker(np.random.default_rng(seed))
    return maker.network(steps)


class _Maker(Graph):
    def __init__(self, random: np.random.Generator) -> None:
        super().__init__()
        self.random = random
        self.spatial = bool(random.random() < 0.5)
        self.tail = [SIZE, SIZE] if self.spatial else []
        self.start = int(random.integers(2, 4))
        self.pool = [("x", self.start)]

    def weights(self, *shape: int) -> str:
        random = self.random
        values = random.integers(-1, 2, shape) * (
            random.random(shape) < random.choice([0.3, 0.6, 0.9])
        )
        if random.random() < 0.4:
            factors = random.choice([1, 1, 2, 3, -1, 0.5], (shape[0],) + (1,) * (len(shape) - 1))
            values = values[random.integers(0, shape[0], shape[0])] * factors
        return self.const(values)

    def numbers(self, count: int, *choices: float) -> str:
        return self.const(self.random.choice(choices, (count,) + (1,) * len(self.tail)))

    def layer(self, x: str, inputs: int, units: int) -> str:
        bias = self.const(self.random.integers(-1, 2, units) * (self.random.random() < 0.6))
        if not self.spatial:
            if self.random.random() < 0.5:
                return self.add("Gemm", x, self.weights(units, inputs), bias, transB=1)
            turned = self.add("Transpose", self.weights(units, inputs), perm=[1, 0])
            return self.add("Add", self.add("MatMul", x, turned), bias)
        size, groups = int(self.random.choice([1, 3])), 1
        if inputs % 2 == units % 2 == 0 and self.random.random() < 0.3:
            groups = 2
        common = {"group": groups, "pads": [size // 2] * 4}
        if self.random.random() < 0.15:
            shape = (inputs, units // groups, size, size)
            return self.add("ConvTranspose", x, self.weights(*shape), bias, **common)
        return self.add(
            "Conv", x, self.weights(units, inputs // groups, size, size), bias, **common
        )

    def activation(self, x: str, channels: int) -> str:
        op = str(
            self.random.choice(
                [
                    "Relu",
                    "Relu",
                    "LeakyRelu",
                    "Tanh",
                    "Sigmoid",
                    "Abs",
                    "Neg",
                    "Clip",
                    "Max",
                    "PRelu",
                    "Elu",
                ]
            )
        )
        if op == "Clip":
            return self.add(op, x, self.const(0.0), self.const(6.0))
        if op == "Max":
            return self.add(op, x, self.const(0.0))
        return self.add(op, x, self.numbers(channels, 0, 0.5)) if op == "PRelu" else self.add(op, x)

    def step(self, x: str, channels: int) -> tuple[str, int] | None:
        random, same = self.random, [t for t, n in self.pool if n == channels and t != x]
        other = same[int(random.integers(len(same)))] if same else None
        kind = str(random.choice(_STEPS if self.spatial else _STEPS[:-2]))
        if kind == "layer":
            units = int(random.integers(2, 9))
            return self.activation(self.layer(x, channels, units), units), units
        if kind == "activation":
            return self.activation(x, channels), channels
        if kind == "join":
            op = str(random.choice(["Add", "Sub", "Max", "Sum"]))
            return self.add(op, x, other or self.layer(x, channels, channels)), channels
        if kind == "gate":
            gate = self.layer(x, channels, channels)
            gate = self.add("GlobalAveragePool", gate) if self.spatial else gate
            return self.add("Mul", x, self.add("Sigmoid", gate)), channels
        if kind == "concat":
            name, more = self.pool[int(random.integers(len(self.pool)))]
            return self.add("Concat", x, name, axis=1), channels + more
        if kind == "scale":
            op = str(random.choice(["Mul", "Add", "Div", "Min"]))
            return self.add(op, x, self.numbers(channels, 1, 2, -1, 0.5)), channels
        if kind == "normalise":
            gamma, beta, mean = (
                self.const(random.choice([0, 1, -1, 2], channels)) for _ in range(3)
            )
            variance = self.const(random.choice([1, 0.25, 3], channels))
            epsilon = float(random.choice([0, 1e-5]))
            return self.add(
                "BatchNormalization", x, gamma, beta, mean, variance, epsilon=epsilon
            ), channels
        if kind == "mean":
            mean = self.add("ReduceMean", x, self.ints(*(range(2, 4) if self.spatial else [1])))
            return self.add("Sub", x, mean), channels
        if kind == "where":
            test = self.add("Greater", x, self.const(0.0))
            return self.add(
                "Where", test, other or x, self.const(float(random.integers(2)))
            ), channels
        if kind == "softmax":
            return self.add("Softmax", x, axis=int(random.choice([1, -1]))), channels
        return self.move(kind, x, channels)

    def move(self, kind: str, x: str, channels: int) -> tuple[str, int] | None:
        random = self.random
        if kind == "gather":
            chosen = random.integers(0, channels, int(random.integers(1, channels + 2)))
            return self.add("Gather", x, self.ints(*chosen), axis=1), len(chosen)
        if kind == "pool":
            op = str(random.choice(["MaxPool", "AveragePool"]))
            return self.add(op, x, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1]), channels
        if kind == "depthwise":
            kernel = self.weights(channels, 1, 3, 3)
            return self.add("Conv", x, kernel, group=channels, pads=[1] * 4), channels
        if channels < 3:
            return None
        cut = int(random.integers(1, channels))
        if kind == "slice":
            return self.add(
                "Slice", x, self.ints(cut), self.ints(channels), self.ints(1)
            ), channels - cut
        if kind == "split":
            first, second = self.add("Split", x, self.ints(cut, channels - cut), outputs=2, axis=1)
            self.pool.append((first, cut))
            return second, channels - cut
        if channels % 2:
            return None
        wide = self.add("Reshape", x, self.ints(0, 2, channels // 2, *self.tail))
        turned = self.add("Transpose", wide, perm=[0, 2, 1, *range(3, 3 + len(self.tail))])
        return self.add("Reshape", turned, self.ints(0, -1, *self.tail)), channels

    def network(self, steps: int) -> GraphNetwork:
        for _ in range(steps):
            first = max(0, len(self.pool) - 3)
            found = self.step(*self.pool[int(self.random.integers(first, len(self.pool)))])
            if found is not None:
                self.pool.append(found)
        x, channels = self.pool[-1]
        if self.spatial:
            x = self.add("GlobalAveragePool", x) if self.random.random() < 0.5 else x
            channels *= (
                1 if self.nodes and self.nodes[-1].op_type == "GlobalAveragePool" else SIZE**2
            )
            x = self.add("Flatten", x)
        y = self.add("Gemm", x, self.weights(2, channels), transB=1)
        return self.model([y], x=["N", self.start, *self.tail])


_STEPS = [
    "layer",
    "layer",
    "layer",
    "activation",
    "join",
    "join",
    "gate",
    "concat",
    "scale",
    "normalise",
    "mean",
    "where",
    "softmax",
    "gather",
    "slice",
    "split",
    "shuffle",
    "pool",
    "depthwise",
]
