"""Near misses: classes that would be one class if a few weights were different.

Two columns of aggregated weights differ in d entries if, for some factor c that the layer's rule admits, all
but d entries of the second are c times those of the first.  If d is at most k, then at least one of the first
k + 1 nonzero entries of the first column agrees, and gives c.  So for each such row r all columns are divided by
their entry in row r and compared entry by entry.  Correctly rounded quotients of proportional entries are equal,
so comparing floats misses nothing.  Everything reported has been confirmed in fractions.

To remove a difference, one stored weight (or the bias) of each member of one of the two classes is changed; the
smaller class is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.claims import admits_factors
from lumpability.networks.explain import Pair, RowNames, Stages, row_names
from lumpability.networks.layers import Conv, Dense, Layer
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network
from lumpability.notebook_hooks import Record
from lumpability.numbers.float_arrays import Array, round_to, to_fractions

_SAMPLE = 64
_CONFIRMED = 4  # candidates kept for each pair asked for, because some fail in fractions


@dataclass(frozen=True)
class WeightChange(Record):
    """A stored weight, and the value that it would need.

    Attributes
    ----------
    layer, neuron : int
    source : str
        The input or neuron that the weight comes from, or "bias".
    row : int or None
        Its row in the weight matrix (of a convolution: channel and tap); None for the bias.
    value, needed : Fraction
    representable : bool
        Whether the stored type holds the needed value.
    """

    layer: int
    neuron: int
    source: str
    row: int | None
    value: Fraction
    needed: Fraction
    representable: bool

    def __str__(self) -> str:
        return f"{self.layer}:{self.neuron} from {self.source}: {self.value} -> {self.needed}"


@dataclass(frozen=True)
class NearMiss(Record):
    """Two classes that would be one class if some weights were different.

    Attributes
    ----------
    first, second : str
        The first members of the classes, as layer:neuron.
    factor : Fraction
        The number that would multiply the first column to give the second.
    changes : tuple of WeightChange

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.networks import Network
    >>> network = Network.dense([([[1, 2], [3, 6.5]], None, "relu"), ([[1], [1]], None, None)])
    >>> print(lump(network).near_misses()[0])
    0:0 and 0:1 would be one neuron (factor 2) with another weight: 0:0 from input 1: 3 -> 13/4
    """

    first: str
    second: str
    factor: Fraction
    changes: tuple[WeightChange, ...]

    @property
    def distance(self) -> Fraction:
        """The sum of all changes, as absolute values."""
        return _effort(self.changes)[2]

    def apply(self, network: Network) -> Network:
        """Return the network with the needed weights.

        Raises `NotJustified` if its type cannot hold one of them; carries ``change``.  Raises `InvalidInput` if
        the network is not the one that was lumped.

        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2], [3, 6.5]], None, "relu"), ([[1], [1]], None, None)])
        >>> changed = lump(network).near_misses()[0].apply(network)
        >>> changed.layers[0].weight.tolist(), changed.hidden_neurons - lump(changed).quotient.hidden_neurons
        ([[1.0, 2.0], [3.25, 6.5]], 1)
        """
        layers = list(network.layers)
        for change in self.changes:
            layer = layers[change.layer] if change.layer < len(layers) else None
            layers[change.layer] = _changed(layer, change)
        return replace(network, layers=tuple(layers))

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        return {**super().to_json(), "distance": str(self.distance)}

    def __str__(self) -> str:
        weights = "another weight" if len(self.changes) == 1 else "other weights"
        changes = ", ".join(map(str, self.changes))
        return (
            f"{self.first} and {self.second} would be one neuron (factor {self.factor}) with {weights}: "
            f"{changes}"
        )


def _changed(layer: Layer | None, change: WeightChange) -> Layer:
    """Return a layer with one weight or bias changed."""
    if not isinstance(layer, Dense | Conv) or not _fits(layer, change):
        raise InvalidInput(f"this is another network: it has no weight {change}", change=change)
    if not change.representable:
        raise NotJustified(
            f"{layer.weight.dtype} cannot hold {change.needed}: store the network in a wider type",
            change=change,
        )
    if change.row is None:
        bias = (
            np.zeros(layer.units, layer.weight.dtype) if layer.bias is None else layer.bias.copy()
        )
        bias[change.neuron] = float(change.needed)
        return replace(layer, bias=bias)
    matrix = layer.matrix.copy()
    matrix[change.row, change.neuron] = float(change.needed)
    return layer.with_matrix(matrix, layer.bias)


def _fits(layer: Dense | Conv, change: WeightChange) -> bool:
    """Whether a layer has the weight of a change."""
    matrix = layer.matrix
    if change.neuron >= layer.units or (change.row or 0) >= len(matrix):
        return False
    if change.row is not None:
        return Fraction(float(matrix[change.row, change.neuron])) == change.value
    bias = 0.0 if layer.bias is None else float(layer.bias[change.neuron])
    return Fraction(bias) == change.value


def near_misses(stages: Stages, kind: str, limit: int = 10, *, weights: int = 2) -> list[NearMiss]:
    """Return pairs of classes that differ in the fewest weights; see `NetworkLumping.near_misses`."""
    found: list[NearMiss] = []
    for number, one in enumerate(stages):
        if one.stage.held is None:
            found += _Layer(stages, kind, number, weights).misses(limit)
    found.sort(key=lambda miss: _effort(miss.changes))
    return found[:limit]


class _Layer:
    """One layer of a lumping whose classes are compared in pairs."""

    def __init__(self, stages: Stages, kind: str, number: int, weights: int) -> None:
        self.kind, self.weights = kind, weights
        self.one = stages[number]
        self.below = stages[number - 1] if self.one.stage.open else None
        self.names = row_names(stages, number)

    def misses(self, limit: int) -> Iterator[NearMiss]:
        """Yield pairs of classes that nearly merge, confirmed in fractions."""
        firsts = self.one.partition.representatives[self.one.kept]
        most = _CONFIRMED * limit
        rows: dict[tuple[int, int], set[int]] = {}
        for _, _, row, a, b in sorted(_candidates(self.one, firsts, self.weights, most)):
            if (a, b) in rows or len(rows) < most:
                rows.setdefault((a, b), set()).add(row)
        for (a, b), leading in rows.items():
            pair = Pair(self.one, a, b)
            ways = [way for row in sorted(leading) for way in self._ways(pair, row)]
            if ways:
                factor, changes = min(ways, key=lambda way: _effort(way[1]))
                position = self.one.stage.position
                yield NearMiss(f"{position}:{a}", f"{position}:{b}", factor, changes)

    def _ways(self, pair: Pair, row: int) -> Iterator[tuple[Fraction, tuple[WeightChange, ...]]]:
        """Yield factors and changes that make two columns multiples, with one row unchanged."""
        left, right = pair.columns[row]
        factor = self.one.group.part(right) / self.one.group.part(left)
        differing = [k for k, (a, b) in enumerate(pair.columns) if b != factor * a]
        if 0 < len(differing) <= self.weights and self._same_function(pair, factor):
            for side in (0, 1):
                changes = self._changes(pair, side, factor, differing)
                if changes:
                    yield factor, changes

    def _same_function(self, pair: Pair, factor: Fraction) -> bool:
        """Whether the functions that follow both units are equal up to the factor."""
        one, left = self.one.stage.pull(pair.first, Fraction(1))
        other, right = self.one.stage.pull(pair.second, factor)
        return one == other and (admits_factors(self.kind) or left == right)

    def _changes(
        self, pair: Pair, side: int, factor: Fraction, differing: list[int]
    ) -> tuple[WeightChange, ...]:
        """Return the changes to one of the two classes that remove the differences; () if none do."""
        one = self.one
        unit = (pair.first, pair.second)[side]
        members = one.partition.blocks[int(one.partition.labels[unit])].tolist()
        changes = []
        for row in differing:
            a, b = pair.columns[row]
            missing = b / factor - a if side == 0 else factor * a - b
            rows: list[tuple[int | None, Fraction]] = [(None, Fraction(1))]
            if row < one.summed.classes:
                source = pair.source(row)
                rows = [
                    (stored, by)
                    for stored, by in zip(source.rows, source.factors, strict=True)
                    if not _is_reflected(self.below, stored)
                ]
            if not rows:
                return ()
            stored, by = rows[0]
            for member in members:
                change = missing * one.factors[member] / one.factors[unit] / by
                changes.append(_change(one, member, stored, change, self.names))
        return tuple(changes)


def _effort(changes: tuple[WeightChange, ...]) -> tuple[int, int, Fraction]:
    """Order by number of changes, then by those that the stored type cannot hold, then by size."""
    odd = sum(not change.representable for change in changes)
    total = sum((abs(change.needed - change.value) for change in changes), Fraction(0))
    return len(changes), odd, total


def _candidates(
    one: MergedStage, firsts: Array, weights: int, limit: int
) -> Iterator[tuple[int, float, int, int, int]]:
    """Yield differences, size of the largest, the row that gives the factor, and the two units."""
    values, known = one.summed.block(0, one.summed.classes, firsts)
    plain = known[:, None] & np.ones(len(firsts), dtype=bool)
    matrix = np.where(plain, values, 0).astype(np.float64)
    if one.summed.bias.dtype != object:
        matrix = np.vstack([matrix, one.summed.bias[firsts].astype(np.float64)])
    order = np.argsort(matrix == 0, axis=0, kind="stable")[: weights + 1]
    for row in np.unique(order).tolist():
        leading = np.flatnonzero((order == row).any(axis=0) & (matrix[row] != 0))
        present = np.flatnonzero(matrix[row] != 0)
        with np.errstate(over="ignore", under="ignore"):
            normal = matrix[:, present] / one.group.parts(matrix[row, present])
        spread = np.linspace(0, len(matrix) - 1, min(_SAMPLE, len(matrix))).astype(np.int64)
        sample = normal[np.unique(spread)]
        for place in np.searchsorted(present, leading).tolist():
            near = np.flatnonzero((sample != sample[:, [place]]).sum(axis=0) <= weights)
            near = near[near != place]
            differs = normal[:, near] != normal[:, [place]]
            counts = differs.sum(axis=0)
            few = np.flatnonzero(counts <= weights)
            with np.errstate(over="ignore", invalid="ignore"):
                sizes = np.abs(normal[:, near[few]] - normal[:, [place]]).max(axis=0, initial=0.0)
            for k in np.lexsort((sizes, counts[few]))[:limit].tolist():
                a, b = sorted((int(firsts[present[place]]), int(firsts[present[near[few[k]]]])))
                yield int(counts[few[k]]), float(sizes[k]), row, a, b


def _is_reflected(below: MergedStage | None, stored: int) -> bool:
    """Whether a stored row belongs to a neuron that also reaches the layer by a skip."""
    if below is None or below.stage.rows is None:
        return False
    owner = int(np.flatnonzero((below.stage.rows == stored).any(axis=1))[0])
    return bool(below.reflected[owner])


def _change(
    one: MergedStage, unit: int, row: int | None, change: Fraction, names: RowNames
) -> WeightChange:
    layer = one.stage.layer
    if row is None:
        stored: Any = np.zeros(1) if layer.bias is None else layer.bias[unit : unit + 1]
    else:
        stored = one.stage.matrix[row, unit : unit + 1]
    value = to_fractions(stored).tolist()[0]
    needed = value + change
    _, off = round_to(to_fractions([needed]), stored.dtype)
    name = "bias" if row is None else names(row)
    return WeightChange(one.stage.position, unit, name, row, value, needed, not len(off))
