"""Random movements of data along free axes, by amounts that are computed from sizes."""

from typing import Any

import numpy as np
import pytest
from graph_builder import Graph
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.tensors.protobuf import evaluated
from lumpability.numbers.float_arrays import Array

pytest.importorskip("onnxruntime")
FAR = (1 << 63) - 1
SIZES = [(1, 5, 3), (2, 8, 8), (3, 9, 4), (2, 4, 4), (1, 16, 7), (5, 7, 8), (4, 24, 32)]


class Movements(Graph):
    """Tensors of rank 3, and numbers that are computed from their shapes."""

    def __init__(self, random: np.random.Generator) -> None:
        super().__init__()
        self.random = random
        self.tensors = ["x", "z"]
        self.numbers: list[str] = []
        for name in ("x", "z", "x"):
            self.measure(name)

    def axis(self) -> int:
        return int(self.random.integers(3))

    def one(self, names: list[str]) -> str:
        return names[int(self.random.integers(max(0, len(names) - 6), len(names)))]

    def number(self, *constants: int) -> str:
        """Return one of some constants, or a computed number."""
        if self.random.random() < 0.6:
            return self.ints(int(self.random.choice(constants)))
        return self.one(self.numbers)

    def joined(self, *names: str) -> str:
        return self.add("Concat", *names, axis=0)

    def measure(self, name: str) -> None:
        size = self.add("Gather", self.add("Shape", name), self.ints(self.axis()))
        op = self.random.choice(["Add", "Sub", "Mul", "Div", "Mod", "Min", "Max"])
        self.numbers += [size, self.add(op, size, self.ints(int(self.random.integers(1, 4))))]

    def step(self) -> None:
        x, three = self.one(self.tensors), range(3)
        match self.random.choice(
            [
                "crop",
                "crop",
                "view",
                "turn",
                "pad",
                "tile",
                "join",
                "pick",
                "grow",
                "add",
                "mean",
                "size",
            ]
        ):
            case "crop":
                ends = self.number(FAR, 1, 4, 9, 20, -1)
                step = self.ints(int(self.random.choice([1, 1, 2])))
                y = self.add(
                    "Slice", x, self.number(0, 0, 1, -2), ends, self.ints(self.axis()), step
                )
            case "view":
                shape = self.joined(*(self.number(0, 1, 4) for _ in range(2)), self.ints(-1))
                y = self.add(
                    "Reshape",
                    x,
                    self.random.choice([shape, self.add("Shape", self.one(self.tensors))]),
                )
            case "turn":
                y = self.add("Transpose", x, perm=self.random.permutation(3).tolist())
            case "pad":
                y = self.add("Pad", x, self.joined(*(self.number(0, 0, 1) for _ in range(6))))
            case "tile":
                y = self.add("Tile", x, self.joined(*(self.number(1, 1, 2) for _ in three)))
            case "join":
                y = self.add("Concat", x, self.one(self.tensors), axis=self.axis())
            case "pick":
                y = self.add("Gather", x, self.number(0, 1, -1), axis=self.axis())
            case "grow":
                y = self.add("Expand", x, self.joined(*(self.number(1, 1) for _ in three)))
            case "add":
                y = self.add(self.random.choice(["Add", "Mul", "Max"]), x, self.one(self.tensors))
            case "mean":
                y = self.add("ReduceMean", x, self.ints(self.axis()))
            case _:
                self.measure(x)
                return
        self.tensors.append(y)


def run(network: GraphNetwork, **inputs: Array) -> dict[str, Array]:
    """Return all tensors that can be computed."""
    found: dict[str, Any] = {
        item.name: numpy_helper.to_array(item) for item in network.model.graph.initializer
    }
    found |= inputs
    for node in network.model.graph.node:
        try:
            values = evaluated(node, [found[name] for name in node.input], network.index.opsets)
        except Exception:  # noqa: BLE001  # at these sizes it fails, and so does what follows
            continue
        if values[0].size < 1 << 14:
            found[node.output[0]] = values[0]
    return found


@given(st.integers(0, 2**32 - 1))
def test_tensors_that_count_as_equal_are_equal_at_every_size(seed: int) -> None:
    random = np.random.default_rng(seed)
    maker = Movements(random)
    for _ in range(16):
        maker.step()
    network = maker.model([], x=["N", 4, "T"], z=["N", "S", 4])
    analysis = network.analysis
    groups: dict[Any, list[str]] = {}
    for name, tensor in analysis.tensors.items():
        if tensor.shape is not None:
            value = (tensor.ids.tobytes(), tensor.facs.tobytes())
            groups.setdefault((analysis.sizes.dims[name], tensor.units, value), []).append(name)
    for n, t, s in SIZES:
        x, z = (random.normal(size=shape).astype(np.float32) for shape in ((n, 4, t), (n, s, 4)))
        found = run(network, x=x, z=z)
        for name in analysis.known.keys() & found.keys():
            assert np.array_equal(found[name], analysis.known[name])
        for names in groups.values():
            same = [found[name] for name in names if name in found]
            assert all(a.shape == same[0].shape for a in same)
            assert all(np.allclose(a, same[0], rtol=1e-3, atol=1e-4, equal_nan=True) for a in same)
