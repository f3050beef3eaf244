"""`lump(module, example)`: the reduction of a torch module's graph, and the way back into modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork, NotJustified, require
from lumpability.networks.graph.reduce import GraphLumping, reduce_graph
from lumpability.networks.modules.export import Exported, differs, export
from lumpability.networks.modules.runner import graph_module
from lumpability.networks.modules.shrunken import shrunken
from lumpability.networks.modules.state import Remainder, remainders


@dataclass(frozen=True, eq=False, repr=False)
class ModuleLumping(GraphLumping):
    """A torch module, as a graph, and a smaller graph that computes the same function.

    Attributes
    ----------
    exported : Exported
        The module, a copy in evaluation mode, and the graph that torch's exporter made of it.
    """

    exported: Exported | None = None

    @property
    def module(self) -> Any:
        """The module, in evaluation mode, with masks and parametrisations applied."""
        assert self.exported is not None
        return self.exported.module

    @property
    def remainders(self) -> dict[str, Remainder]:
        """What stays of each parameter and buffer, by its name in the state dict.

        Raises `NotJustified` if that is not an array with one value for each entry.
        """
        values = {name: np.asarray(t.cpu().numpy()) for name, t in self.module.state_dict().items()}
        constants = self.network.index.constants
        missing = [n for n, v in values.items() if v.dtype.kind == "f" and n not in constants]
        if missing:
            raise NotJustified(
                f"the exporter keeps no constant for {missing[0]!r}: with the package onnxscript it "
                "does, pip install 'lumpability[torch]'"
            )
        return remainders(self, values)

    def state_dict(self) -> dict[str, Any]:
        """Return the smaller tensors under the names of the module's own state dict.

        Load them into a module of the same class that is made with the smaller widths: training code stays what it is.

        Raises
        ------
        NotJustified
            If a parameter would need two values, or what stays of it is no array.
        """
        torch = require("torch", extra="torch")
        left = self.remainders
        return {
            name: torch.from_numpy(np.array(left[name].value)) if name in left else tensor.clone()
            for name, tensor in self.module.state_dict().items()
        }

    def to_torch(self) -> Any:
        """Return a smaller module that computes the same, in evaluation mode.

        It is a copy of the module with smaller parameters, of the same class, where the module's code does not depend
        on its widths; otherwise a module that runs the nodes of the reduced graph by torch's functions, and whose
        attribute `reason` says why.  Either is run beside the reduced graph before it is returned.

        Raises
        ------
        InvalidNetwork
            If no torch function is known for an operator: write the quotient as ONNX.
        """
        assert self.exported is not None
        try:
            return shrunken(self.exported, self.quotient, self.state_dict(), self.remainders)
        except NotJustified as reason:
            module = graph_module(self.quotient, str(reason))
            if differs(
                replace(self.exported, keywords=()), module, self.exported.inputs, self.quotient
            ):
                raise InvalidNetwork(
                    f"torch computes something else than the reduced graph: write it as ONNX ({reason})"
                ) from reason
            return module


def lump_module(
    module: Any,
    example: Any,
    *,
    exact_weights: bool = False,
    align: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> ModuleLumping:
    """Reduce the graph of a torch module; see `lumpability.lump`.

    Raises as `export` and `reduce_graph`.
    """
    exported = export(module, example)
    found = reduce_graph(
        exported.graph, exact_weights=exact_weights, align=align, progress=progress
    )
    known = {item.name: getattr(found, item.name) for item in fields(found)}
    return ModuleLumping(**known, exported=exported)
