"""What a pruning method did to a network, as the relaxed lumping that it is: `explain_pruning`.

Pruning of weights by size, quantisation, rounding, low rank and fine-tuning keep all units: A = I, and the residual is
E = W - W^, beta = b - b^.  Pruning of neurons is a lift with zero columns: the next layer misses h.  With compensated
biases the columns are zero and the constants are not.  Merging of similar neurons, with factors or without, is a lift
of classes: the residual of a unit is (A W)_s - c (A W)_rep.

The lift of the smaller network is guessed from the weights (`lumpability.networks.difference.relation`); a wrong
guess makes the bound looser, never wrong.  For every layer it is said what became of each neuron, how many weights
are zero, how many distinct values are left and what the residual is; the difference of the outputs is certified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.difference import AffineNetwork, Ranges
from lumpability.networks.difference.affine import apply_activation, as_dense
from lumpability.networks.difference.lifts import Lift, incoming
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.network import Network
from lumpability.networks.regions.box import Box
from lumpability.networks.relaxed.lumping import related
from lumpability.networks.relaxed.pruned import PrunedLayer, PrunedNeuron, PruningExplanation
from lumpability.numbers.float_arrays import Array


def explain_pruning(
    original: Network | GraphNetwork,
    smaller: Network | GraphNetwork,
    *,
    region: Box | tuple[Any, Any] | None = None,
) -> PruningExplanation:
    """Explain what was pruned, merged, rounded or quantised in a network, and certify the difference.

    Parameters
    ----------
    original, smaller : Network or GraphNetwork
        Of the same layers with the same activations; layers may have fewer neurons.  Joins of branches and all
        layers that `lumpability.compare` bounds are covered.
    region : Box or (low, high), optional
        The inputs for which residuals and the bound hold; by default all, and the bound is then one of the
        difference over max(1, abs(x)).

    Raises
    ------
    InvalidInput
        If the networks do not have the same inputs, outputs and number of layers, or the region does not fit.
    NotJustified
        If a layer is not covered.

    Notes
    -----
    The bound is derived in exact arithmetic; see `lumpability.networks.relaxed.derive`.

    Examples
    --------
    >>> from lumpability.networks import Network
    >>> full = Network.dense([([[1, 0.1]], None, "relu"), ([[1], [2]], None, None)])
    >>> less = Network.dense([([[1, 0]], None, "relu"), ([[1], [2]], None, None)])
    >>> found = explain_pruning(full, less, region=Box([0], [1]))
    >>> found.layers[0].zeroed, round(float(found.bound), 9)
    (1, 0.2)
    """
    for network in (original, smaller):
        if not isinstance(network, Network | GraphNetwork):
            raise InvalidInput(
                f"pruning is explained for networks, not for a {type(network).__name__}"
            )
    found = related(original, smaller, region, in_order=True)
    certificate = found.certificate
    layers = [
        _layer(number, found.sides, found.lifts, _name(original, layer.position))
        for number, layer in enumerate(found.sides[0].network.layers)
        if layer.position is not None
    ]
    return PruningExplanation(tuple(layers), certificate.bound, certificate.meaning, certificate)


def _name(network: Network | GraphNetwork, position: int) -> str:
    """Return the number of a layer, or what names a node of a graph elsewhere: its output."""
    if isinstance(network, Network):
        return str(position)
    return str(network.index.nodes[position].output[0])


def _layer(
    number: int, sides: tuple[Ranges, Ranges], lifts: Sequence[Lift], name: str
) -> PrunedLayer:
    """Explain one layer, counted from 0, given the lifts of all layers by their numbers."""
    layer, less = (one.network.layers[number] for one in sides)
    lift, columns, left = lifts[number + 1], incoming(layer, lifts), incoming(less)
    missing = columns - left @ lift.full
    off = sides[1].reach(less) @ np.abs(missing)
    residual, beta = missing[:-1], missing[-1]
    stays = np.asarray(lift.full.any(axis=0))
    low, high = sides[0].post(number + 1)
    missed = np.maximum(np.abs(high - lift.shift), np.abs(low - lift.shift))
    members = Counter(lift.source[stays].tolist())
    silent = _silent(sides[1].network, number)
    neurons = []
    for unit in range(layer.units):
        source, factor, value = int(lift.source[unit]), float(lift.factor[unit]), 0.0
        became = "merged" if members[source] > 1 else "kept" if factor == 1 else "rescaled"
        if not stays[unit] or (source in silent and members[source] == 1):
            value = silent[source] if stays[unit] else float(lift.shift[unit])
            became, factor = "constant" if value else "dropped", 0.0
        of, far = (source, off) if stays[unit] else (None, missed)
        neurons.append(PrunedNeuron(unit, became, of, factor, value, float(far[unit])))
    weights = left[:-1]
    reference = _reference(columns[:-1], lift, less.units)
    zeroed = int(((weights == 0) & (reference != 0)).sum())
    changes = [np.abs(residual[:, stays]), np.abs(beta[stays])]
    largest = float(max(part.max(initial=0.0) for part in changes))
    rank = _lost_rank(weights, reference)
    values = [int(np.unique(part[:-1]).size) for part in (left, incoming(layer))]
    return PrunedLayer(
        layer=layer.position or 0,
        name=name,
        units=layer.units,
        left=less.units,
        zeroed=zeroed,
        weights=weights.size,
        values=values[0],
        values_before=values[1],
        rank=rank,
        largest_change=largest,
        residual=float(off[stays].max(initial=0.0)),
        method="; ".join(_methods(neurons, (reference, weights), beta[stays], zeroed, rank)),
        neurons=tuple(neurons),
    )


def _silent(network: AffineNetwork, number: int) -> dict[int, float]:
    """Return the value of each neuron that reads nothing, and 0 for those that nothing reads."""
    layer = network.layers[number]
    found: dict[int, float] = {}
    if number + 1 == len(network.layers):
        return found
    reads = np.zeros(layer.units, dtype=bool)
    for matrix in layer.matrices:
        reads |= as_dense(matrix).any(axis=0)
    for unit in np.flatnonzero(~reads).tolist():
        found[unit] = float(apply_activation(layer, layer.bias)[unit])
    read = np.zeros(layer.units, dtype=bool)
    for above in network.layers[number + 1 :]:
        for source, matrix in above.terms:
            if source == number + 1:
                read |= as_dense(matrix).any(axis=1)
    return {**found, **dict.fromkeys(np.flatnonzero(~read).tolist(), 0.0)}


def _reference(weight: Array, lift: Lift, units: int) -> Array:
    """Return what the smaller layer's weights would be if nothing but neurons had changed."""
    reference = np.zeros((len(weight), units))
    for unit in np.flatnonzero(lift.full.any(axis=0))[::-1].tolist():  # first members count
        reference[:, lift.source[unit]] = weight[:, unit] / lift.factor[unit]
    return reference


def _lost_rank(weight: Array, reference: Array) -> int | None:
    """Return the rank of a matrix if it is smaller than that of the original."""
    if min(weight.shape) > _LARGEST_RANKED or np.array_equal(weight, reference):
        return None
    found, before = (int(np.linalg.matrix_rank(one, rtol=1e-6)) for one in (weight, reference))
    return found if 0 < found < before else None


def _methods(
    neurons: list[PrunedNeuron],
    weights: tuple[Array, Array],
    beta: Array,
    zeroed: int,
    rank: int | None,
) -> list[str]:
    """Return what the changes of a layer look like, in words."""
    reference, found = weights
    became = {one.became for one in neurons}
    told = []
    if "merged" in became:
        factors = any(one.became == "merged" and one.factor != 1 for one in neurons)
        told.append("neurons merged, with factors" if factors else "neurons merged")
    if "constant" in became:
        told.append("neurons made constant")
    if "dropped" in became:
        told.append("neurons dropped")
    if "rescaled" in became:
        told.append("neurons rescaled")
    left = np.ones(found.shape, dtype=bool)
    if zeroed:
        left[found == 0] = False
    if zeroed:
        told.append(f"{zeroed:,} of {found.size:,} weights set to zero")
    moved = np.abs(found - reference) > 1e-12 * np.abs(reference)
    if (moved & left).any():
        told.append(_rounding(reference, found, left, rank))
    elif np.abs(beta).max(initial=0.0) > 0:
        told.append("biases changed")
    return told or ["unchanged"]


def _rounding(reference: Array, found: Array, left: Array, rank: int | None) -> str:
    """Return what the change of the weights that are not zeroed looks like."""
    if np.array_equal(reference.astype(np.float16)[left], found[left]):
        return "weights rounded to half precision"
    if np.array_equal(reference.astype(np.float32)[left], found[left]):
        return "weights rounded to single precision"
    values = np.unique(found).size
    if values <= _FEW_VALUES and values * 4 <= np.unique(reference).size:
        return f"weights quantised to {values} values"
    return "weights changed" if rank is None else f"weights of rank {rank}"


_FEW_VALUES, _LARGEST_RANKED = 1 << 10, 1 << 10
