"""A graph as a torch module: its nodes are run one after the other by torch's functions.

The module's parameters are the weights of the graph, under their names with dots replaced, so that it can be trained
on; running means and variances, and constants that nodes make, are buffers.  The operators that torch's exporter makes of usual networks are here; a graph with others is refused by name.
`lumpability.networks.modules.shrunken` runs module and graph side by side before either is handed out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork, require
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.modules.given import Given
from lumpability.networks.modules.torch_operators import OPERATORS
from lumpability.networks.tensors.protobuf import attributes
from lumpability.numbers.float_arrays import Array


def graph_module(network: GraphNetwork, reason: str = "") -> Any:
    """Return a torch module that runs a graph.

    - reason: why it is not of the class that the graph came from

    Raises `InvalidNetwork` if an operator of the graph is not known here.
    """
    index, known = network.index, network.analysis.known
    steps = [node for node in index.nodes if not all(not n or n in known for n in node.output)]
    unknown = sorted({n.op_type for n in steps if n.op_type not in OPERATORS or n.domain})
    if unknown:
        raise InvalidNetwork(
            f"no torch function is known here for {', '.join(unknown)}: write the network as ONNX"
        )
    read = {name for node in steps for name in node.input} | set(index.outputs)
    constants = {name: value for name, value in known.items() if name in read}
    ends = ([item.name for item in index.inputs], list(index.outputs))
    measured = {
        name for node in steps if node.op_type == "BatchNormalization" for name in node.input[3:]
    }
    trained = index.constants.keys() - measured
    module = _made(
        [(node.op_type, attributes(node), list(node.input), list(node.output)) for node in steps],
        constants,
        ends,
        index.opsets[""],
        trained,
    ).eval()
    module.reason = reason
    return module


def _made(*given: Any) -> Any:
    """Return a module; a copy or a file of one is made by this."""
    ends = given[2]
    return _class(len(ends[0]))(*given)


@cache
def _class(count: int) -> Callable[..., Any]:
    """Return the class of modules that run graphs of some inputs; torch is imported when it is first needed."""
    torch = require("torch", extra="torch")

    class GraphModule(torch.nn.Module):  # type: ignore[misc, name-defined]
        """A graph whose nodes are run by torch; `reason` says why it is not of another class."""

        reason: str = ""

        def __init__(
            self,
            steps: list[tuple[str, dict[str, Any], list[str], list[str]]],
            constants: dict[str, Array],
            ends: tuple[list[str], list[str]],
            version: int,
            trained: set[str],
        ) -> None:
            super().__init__()
            self.steps, self.ends, self.version, self.trained = steps, ends, version, trained
            self.names: dict[str, str] = {}
            for number, (name, value) in enumerate(constants.items()):
                plain = re.sub(r"\W", "_", name)
                plain = f"{plain}_{number}" if hasattr(self, plain) else plain
                tensor = torch.from_numpy(np.array(value))
                if name in trained and tensor.is_floating_point() and tensor.ndim:
                    self.register_parameter(plain, torch.nn.Parameter(tensor))
                else:
                    self.register_buffer(plain, tensor)
                self.names[name] = plain

        def forward(self, *inputs: Any) -> Any:
            """Run the graph; several outputs are returned as a tuple."""
            found = {name: getattr(self, plain) for name, plain in self.names.items()}
            found.update(zip(self.ends[0], inputs, strict=True))
            for op, given, read, written in self.steps:
                values = [found[name] if name else None for name in read]
                made = OPERATORS[op](torch, Given(op, given, self.version, len(written)), *values)
                made = made if isinstance(made, tuple) else (made,)
                found.update(zip(written, made, strict=False))
            outputs = tuple(found[name] for name in self.ends[1])
            return outputs[0] if len(outputs) == 1 else outputs

        def __reduce__(self) -> tuple[Any, ...]:
            found = {k: getattr(self, n).detach().cpu().numpy() for k, n in self.names.items()}
            given = (self.steps, found, self.ends, self.version, self.trained)
            return _made, given, {"reason": self.reason}

        def extra_repr(self) -> str:
            """Name the operators, in order."""
            return ", ".join(op for op, *_ in self.steps)

    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [inspect.Parameter(name, plain) for name in ("self", *(f"x{k}" for k in range(count)))]
    GraphModule.forward.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return GraphModule
