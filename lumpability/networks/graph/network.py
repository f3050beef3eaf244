"""A network as the graph of its ONNX file; nothing of the file is lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.graph.bodies import inlined
from lumpability.networks.graph.compare import session
from lumpability.networks.graph.layers import Held, LayerSummary, held_by_reason, layers_of
from lumpability.networks.tensors.index import Index, is_weight, reads_shape
from lumpability.networks.tensors.protobuf import onnx
from lumpability.numbers.float_arrays import Array

if TYPE_CHECKING:
    from lumpability.networks.graph.analysis import Analysis


@dataclass(frozen=True, eq=False, repr=False)
class GraphNetwork:
    """A network that is the graph of an ONNX model.  Do not change the model.

    Attributes
    ----------
    model : ModelProto
    folder : Path or None
        Where its external data lies.

    Raises
    ------
    FormatError
        If the graph is not valid: a tensor defined twice or never, NaN among the weights.

    Examples
    --------
    >>> from lumpability.networks.graph.examples import residual
    >>> network = residual()
    >>> network
    GraphNetwork(x -> y, 6 nodes, 16 hidden neurons, 98 parameters)
    >>> network(np.zeros((1, 2), np.float32)).tolist()
    [[0.0, 0.0]]
    """

    domain: ClassVar[str] = "graph"

    model: Any
    folder: Path | None = None

    def __post_init__(self) -> None:
        _ = self.index

    @classmethod
    def from_bytes(cls, data: bytes, folder: Path | None = None) -> GraphNetwork:
        """Read an ONNX model from memory."""
        model = onnx().ModelProto()
        model.ParseFromString(data)
        return cls(model, folder)

    def __reduce__(self) -> Any:
        return GraphNetwork.from_bytes, (self.to_bytes(), self.folder)

    @cached_property
    def index(self) -> Index:
        """The graph, indexed, with the bodies of Scan and Loop written into it."""
        return Index(inlined(self.model), self.folder)

    @cached_property
    def analysis(self) -> Analysis:
        """Unit axes, couplings and values of all tensors."""
        from lumpability.networks.graph.analysis import Analysis

        return Analysis(self.index)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model's bytes, in hexadecimal."""
        return sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the model as the bytes of an ONNX file."""
        data: bytes = self.model.SerializeToString(deterministic=True)
        return data

    @property
    def ends(self) -> dict[str, list[tuple[str, str, list[int | str]]]]:
        """Name, type and shape of the inputs and of the outputs; a free dimension is a string.

        >>> from lumpability.networks.graph.examples import residual
        >>> residual().ends["input"]
        [('x', 'float32', ['N', 2])]
        """
        return {
            "input": [_end(item) for item in self.index.inputs],
            "output": [_end(item) for item in self.model.graph.output],
        }

    @property
    def parameter_count(self) -> int:
        """Number of stored weights: floats, and integers of eight bits or fewer.

        Constants that nodes state count if they are arrays that are read as numbers.
        """
        return sum(array.size for array in self._weights())

    @property
    def byte_count(self) -> int:
        """Bytes of the stored weights."""
        return sum(array.nbytes for array in self._weights())

    @property
    def sizes(self) -> dict[str, int]:
        """All counts, under the names they have in reports."""
        return {
            "hidden_neurons": self.hidden_neurons,
            "parameters": self.parameter_count,
            "bytes": self.byte_count,
        }

    def _weights(self) -> list[Array]:
        index = self.index
        stated = [
            value
            for name, value in index.constant_nodes.items()
            if value.size > 1
            and any(
                not reads_shape(index.nodes[n].op_type, k) for n, k in index.users.get(name, ())
            )
        ]
        return [array for array in (*index.constants.values(), *stated) if is_weight(array)]

    @cached_property
    def layers(self) -> tuple[LayerSummary, ...]:
        """The nodes with weights, in order."""
        return tuple(layers_of(self.analysis))

    @property
    def held(self) -> dict[str, Held]:
        """Units that are not to leave, and their parameters, by the reason; most first."""
        return held_by_reason(self.layers, self.analysis)

    @cached_property
    def hidden_neurons(self) -> int:
        """Units of all layers with weights, those apart from which only outputs are computed excluded."""
        return sum(layer.units for layer in self.layers if not layer.last)

    def __call__(self, *inputs: Any) -> Any:
        """Run the model in onnxruntime.

        - inputs: in the order of the model's inputs

        Raises `InvalidInput` if onnxruntime cannot run the model on these inputs.  Raises `MissingDependency`
        without the package ``onnxruntime``.
        """
        names = self.ends["input"]
        if len(names) != len(inputs):
            raise InvalidInput(f"the network takes {len(names)} inputs, not {len(inputs)}")
        untyped = [name for name, kind, _ in names if kind == "unknown"]
        if untyped:
            raise InvalidInput(f"the model does not say the type of its input {untyped[0]!r}")
        feeds = {
            name: np.asarray(x, dtype=kind)
            for x, (name, kind, _) in zip(inputs, names, strict=True)
        }
        run = session(self.to_bytes())
        try:
            found = run.run(None, feeds)
        except Exception as error:  # onnxruntime raises classes of its own
            raise InvalidInput(f"onnxruntime cannot run the network: {error}") from error
        return found[0] if len(found) == 1 else found

    def __repr__(self) -> str:
        ends = [", ".join(name for name, _, _ in self.ends[role]) for role in ("input", "output")]
        return (
            f"GraphNetwork({ends[0]} -> {ends[1]}, {len(self.model.graph.node)} nodes, "
            f"{self.hidden_neurons} hidden neurons, {self.parameter_count} parameters)"
        )


def _end(item: Any) -> tuple[str, str, list[int | str]]:
    helper = onnx().helper
    kind = item.type.tensor_type
    try:
        dtype = str(np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)))
    except (KeyError, TypeError):
        dtype = "unknown"
    shape = [d.dim_value if d.dim_value > 0 else d.dim_param or "free" for d in kind.shape.dim]
    return item.name, dtype, shape
