"""The nodes of a graph that hold weights: how many units they make, how many of these differ, what holds them.

Units of several layers leave together if elementwise operators or joins between them say so; such layers are *coupled*.
Units are *held* if a node needs all of them as they are, and then it matters how many parameters that keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from lumpability.networks.graph.analysis import Analysis


class Held(NamedTuple):
    """What one reason keeps as it is.

    Attributes
    ----------
    units : int
    parameters : int
        Weights and biases of these units.
    """

    units: int
    parameters: int


@dataclass(frozen=True)
class LayerSummary:
    """A node with weights.

    Attributes
    ----------
    output : str
        Name of its output.
    title : str
        The operator.
    units : int
    classes : int
        Units that are no multiples of each other, those that are zero not counted.
    zero : int
        Units whose value is zero for every input.
    parameters : int
        Weights and biases of the units.
    held : dict of str to int
        Units that are not to leave, by the reason.
    coupled : tuple of str
        Outputs of other layers whose units leave together with these.
    last : bool
        Whether only outputs are computed from it, by nodes without weights.
    """

    output: str
    title: str
    units: int
    classes: int
    zero: int
    parameters: int
    held: dict[str, int]
    coupled: tuple[str, ...]
    last: bool


@dataclass(frozen=True)
class LayerReport(LayerSummary):
    """What became of the units of a node with weights.

    Attributes
    ----------
    left : int
        Units that stay.
    """

    left: int


def held_by_reason(layers: Iterable[LayerSummary], analysis: Analysis) -> dict[str, Held]:
    """Return what each reason keeps, most parameters first; a node that is carried keeps its own weights too.

    >>> from lumpability.networks.graph.examples import residual
    >>> held_by_reason(residual().layers, residual().analysis)
    {}
    """
    found: dict[str, Held] = {
        f"{call.where} {call.why}": Held(0, weights)
        for call, weights in analysis.carried
        if weights
    }
    for layer in layers:
        for reason, count in layer.held.items():
            units, parameters = found.get(reason, Held(0, 0))
            own = layer.parameters * count // max(layer.units, 1)
            found[reason] = Held(units + count, parameters + own)
    return dict(sorted(found.items(), key=lambda item: (-item[1].parameters, -item[1].units)))


def barriers_of(held: dict[str, Held]) -> list[dict[str, Any]]:
    """Return what is not examined as plain data.

    >>> barriers_of({"a norm runs over it": Held(8, 64)})
    [{'title': 'a norm runs over it', 'why': 'held', 'units': 8, 'parameters': 64}]
    """
    return [
        {"title": reason, "why": "held", "units": found.units, "parameters": found.parameters}
        for reason, found in held.items()
    ]


def layers_of(analysis: Analysis) -> list[LayerSummary]:
    """Return the nodes with weights whose units are known, in order.

    >>> from lumpability.networks.graph.examples import residual
    >>> [(layer.output, layer.units, layer.classes, layer.coupled) for layer in residual().layers]
    [('a', 8, 2, ('b',)), ('b', 8, 3, ('a',)), ('y', 2, 2, ())]
    """
    calls = [c for c in analysis.calls if c is not None and {"layer", "cell"} & c.notes.keys()]
    roots = [set(analysis.labels.roots(labels_of(analysis, call)).flat) - {0} for call in calls]
    owners: dict[int, list[str]] = {}
    for call, some in zip(calls, roots, strict=True):
        for root in some:
            owners.setdefault(root, []).append(name_of(call))
    last = _last(analysis)
    found = []
    for call, some in zip(calls, roots, strict=True):
        name, held = name_of(call), _held(analysis, call)
        others = dict.fromkeys(other for root in sorted(some) for other in owners[root])
        ids, facs = values_of(analysis, call)
        others.pop(name, None)
        found.append(
            LayerSummary(
                output=name,
                title=call.op,
                units=units_of(call),
                classes=len(np.unique(ids[facs != 0])),
                zero=int((facs == 0).sum()),
                parameters=_parameters(call),
                held=held,
                coupled=tuple(others),
                last=name in last,
            )
        )
    return found


def name_of(call: Any) -> str:
    """Return the name of a layer, that of its first output."""
    return str(next(filter(None, call.node.output)))


def labels_of(analysis: Analysis, call: Any) -> Any:
    """Return the labels of a layer's units."""
    return call.notes["labels"] if "cell" in call.notes else analysis.tensors[name_of(call)].labels


def values_of(analysis: Analysis, call: Any) -> tuple[Any, Any]:
    """Return atoms and factors of a layer's units, flat."""
    if "cell" in call.notes:
        return call.notes["units"].ravel(), (~call.notes["zero"]).ravel().astype(np.int64)
    tensor = analysis.tensors[name_of(call)]
    return tensor.ids.ravel(), tensor.facs.ravel()


def units_of(call: Any) -> int:
    """Return how many units a layer has."""
    if "cell" in call.notes:
        return int(call.notes["labels"].size)
    return sum(matrix.shape[1] for matrix in call.notes["layer"].matrices)


def _parameters(call: Any) -> int:
    if "cell" in call.notes:
        cell = call.notes["cell"]
        arrays = (cell.inputs, cell.states, cell.bias, cell.peepholes)
        return sum(array.size for array in arrays if array is not None)
    layer = call.notes["layer"]
    bias = 0 if layer.bias is None else layer.bias.size
    return int(sum(matrix.size for matrix in layer.matrices)) + bias


def _held(analysis: Analysis, call: Any) -> dict[str, int]:
    held: dict[str, int] = {}
    for label in labels_of(analysis, call).reshape(-1).tolist():
        reason = analysis.labels.reason(label)
        if reason and reason != analysis.OUTPUT:
            held[reason] = held.get(reason, 0) + 1
    return held


def _last(analysis: Analysis) -> set[str]:
    """Return outputs of nodes with weights from which outputs of the model are computed without other weights."""
    index, found = analysis.index, set()
    pending, seen = list(index.outputs), set()
    while pending:
        name = pending.pop()
        place = index.producer.get(name)
        if name in seen or place is None:
            continue
        seen.add(name)
        call = analysis.calls[place]
        if call is not None and {"layer", "cell"} & call.notes.keys():
            found.add(name_of(call))
        else:
            pending += index.nodes[place].input
    return found
