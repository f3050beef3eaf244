"""A copy of a torch module with smaller parameters, run against the reduced graph before it is returned."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from lumpability.errors import NotJustified, require
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.modules.export import Exported, differs
from lumpability.networks.modules.state import Remainder
from lumpability.networks.tensors.protobuf import attributes


def shrunken(
    exported: Exported,
    quotient: GraphNetwork,
    state: Mapping[str, Any],
    remainders: Mapping[str, Remainder],
) -> Any:
    """Return a copy of a module with other parameters and the widths that follow from them.

    - quotient: what the copy has to compute
    - state: the state dict that the copy gets
    - remainders: which nodes read a parameter

    Raises `NotJustified` if the copy does not run, or computes something else.
    """
    torch = require("torch", extra="torch")
    small = copy.deepcopy(exported.module)
    for name, tensor in state.items():
        path, _, key = name.rpartition(".")
        part = small.get_submodule(path)
        old = getattr(part, key)
        stored = isinstance(old, torch.nn.Parameter)
        new = torch.nn.Parameter(tensor, requires_grad=old.requires_grad) if stored else tensor
        setattr(part, key, new)
    for path, part in small.named_modules():
        found = remainders.get(f"{path}.weight" if path else "weight")
        groups = [] if found is None else [_groups(quotient, name) for name in found.nodes]
        _fit(part, max(groups, default=1))
    kind = type(small).__name__
    try:
        other = differs(exported, small, exported.inputs, quotient)
    except Exception as error:  # the code of the module may raise anything
        raise NotJustified(
            f"the code of {kind} depends on its widths ({str(error).partition(chr(10))[0]}): make one with "
            "smaller widths and load state_dict(), or write the quotient as ONNX"
        ) from error
    if other:
        node = next((n for n in quotient.index.nodes if _has_new_bias(n, quotient, state)), None)
        if node is not None:
            raise NotJustified(
                f"units that are constant give {node.op_type} {node.name or node.output[0]!r} a bias, for which {kind} "
                "has no parameter: give the layer a bias of zeros first, or write the quotient as ONNX"
            )
        raise NotJustified(
            f"the code of {kind} depends on its widths: with smaller parameters it computes something "
            "else; write the quotient as ONNX"
        )
    return small


def _has_new_bias(node: Any, quotient: GraphNetwork, state: Mapping[str, Any]) -> bool:
    """Whether a layer adds numbers that are no parameter of the module."""
    name = (
        node.input[2]
        if node.op_type in ("Conv", "ConvTranspose", "Gemm") and node.input[2:]
        else ""
    )
    value = quotient.analysis.known.get(name)
    return name not in state and value is not None and bool(value.any())


def _groups(quotient: GraphNetwork, output: str) -> int:
    """Return the number of groups of channels of a node of the reduced graph."""
    index = quotient.index
    return int(attributes(index.nodes[index.producer[output]]).get("group", 1))


def _fit(part: Any, groups: int) -> None:
    """Let the widths that a module of torch states be those of its parameters."""
    weight = getattr(part, "weight", None)
    shape = () if weight is None else tuple(weight.shape)
    widths: dict[str, int] = {}
    if hasattr(part, "in_features") and len(shape) == 2:
        widths = {"out_features": shape[0], "in_features": shape[1]}
    elif hasattr(part, "kernel_size") and hasattr(part, "groups"):
        outside, inside = shape[0], shape[1] * groups
        first, last = (outside, inside) if part.transposed else (inside, outside)
        widths = {"groups": groups, "in_channels": first, "out_channels": last}
    elif hasattr(part, "num_features"):
        known = next(
            (t for t in (weight, getattr(part, "running_mean", None)) if t is not None), None
        )
        widths = {} if known is None else {"num_features": len(known)}
    elif hasattr(part, "num_embeddings"):
        widths = {"num_embeddings": shape[0], "embedding_dim": shape[1]}
    elif hasattr(part, "num_parameters"):
        widths = {"num_parameters": shape[0]}
    elif hasattr(part, "weight_hh_l0"):
        widths = {
            "input_size": part.weight_ih_l0.shape[1],
            "hidden_size": part.weight_hh_l0.shape[1],
        }
    for name, width in widths.items():
        setattr(part, name, int(width))
