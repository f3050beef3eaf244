"""What each operator does to unit axes, labels and values, and what remains of it when units leave.

One module for each family, each with two functions.  ``apply(call)`` records the node's outputs in the analysis, or
raises `Declined`, and then the node is carried as it is (`opaque`).  ``edit(call, edit)`` changes the node's constants
and attributes after the units that leave have been chosen.
"""

from __future__ import annotations

from typing import Any

from lumpability.networks.operators import (
    contraction,
    elementwise,
    group_norm,
    movement,
    opaque,
    product,
    recurrent,
    steps,
    unitwise,
)
from lumpability.networks.tensors.protobuf import STEPS

__all__ = ["family_of", "opaque"]

_FAMILIES: tuple[Any, ...] = (
    contraction,
    product,
    elementwise,
    movement,
    group_norm,
    unitwise,
    recurrent,
)


def family_of(call: Any) -> Any:
    """Return the module that understands a node, or `opaque`.

    Examples
    --------
    >>> from lumpability.networks.graph.examples import residual
    >>> [family_of(call).__name__.rpartition(".")[2] for call in residual().analysis.calls]
    ['contraction', 'elementwise', 'contraction', 'elementwise', 'elementwise', 'contraction']
    """
    if call.node.domain == STEPS:
        return steps if steps.serves(call) else opaque
    if call.node.domain not in ("", "ai.onnx"):
        return opaque
    for family in _FAMILIES:
        if call.op in family.OPERATORS and family.serves(call):
            return family
    return opaque
