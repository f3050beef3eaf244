"""A graph written node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from lumpability.networks.graph.network import GraphNetwork


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
        facts = GraphNetwork(model).index.choices[0]
        for item, found in zip(model.graph.output, known.graph.output, strict=True):
            shape = facts.shape(item.name)
            if not found.type.tensor_type.HasField("shape") and shape is not None:
                found.CopyFrom(kind(item.name, 1, [None] * len(shape)))
            item.CopyFrom(found)
        return GraphNetwork(model)
