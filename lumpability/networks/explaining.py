"""`explain` for networks: reads off a finished lumping why two neurons share a class, or do not.

Two columns of one layer are added up anew (`lumpability.networks.pairs`) and compared entry by entry; nothing
else of the network is read.  How neurons are named: layer:neuron, the number of the layer in the
network and of the neuron (or channel) in the layer, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.arrays import to_fractions
from lumpability.networks.merging import MergedStage
from lumpability.networks.pairs import Pair
from lumpability.networks.reasons import ColumnEntry, NetworkExplanation
from lumpability.networks.shaping import ShapeLayer

if TYPE_CHECKING:
    from lumpability.networks.lumping import NetworkLumping

__all__ = ["Neuron", "explain_neurons", "origins"]

Neuron = str | tuple[int, int]
"""A neuron: "2:17" or (2, 17) is neuron (or channel) 17 of layer 2."""


def explain_neurons(
    lumping: NetworkLumping, first: Neuron, second: Neuron, *, limit: int = 10
) -> NetworkExplanation:
    """Say why two neurons share a class, or do not; see `NetworkLumping.explain`."""
    here, a = _located(lumping, first)
    there, b = _located(lumping, second)
    one, other = lumping.stages[here], lumping.stages[there]
    names = f"{one.stage.position}:{a}", f"{other.stage.position}:{b}"
    both = f"{names[0]} and {names[1]}"
    notes = [*_notes(lumping, here, a)]
    if names[0] == names[1]:
        same = f"{names[0]} is one neuron"
        return NetworkExplanation(*names, True, "same", same, Fraction(1), notes=tuple(notes))
    notes += _notes(lumping, there, b)
    told = {"notes": tuple(notes)}
    if here != there:
        apart = f"{both} are apart: neurons of different layers are never merged"
        return NetworkExplanation(*names, False, "layers", apart, **told)
    if one.stage.held is not None:
        held = f"{both} are apart: the layer stays as it is ({one.stage.held})"
        return NetworkExplanation(*names, False, "held", held, **told)
    pair = Pair(one, a, b)
    rows = _Rows(lumping, here, pair, limit)
    labels = one.partition.labels
    if labels[a] == labels[b]:
        return rows.together(names, both, tuple(notes))
    return rows.apart(names, both, tuple(notes))


class _Rows:
    """Two columns of a layer, and what is said about them."""

    def __init__(self, lumping: NetworkLumping, number: int, pair: Pair, limit: int) -> None:
        self.lumping, self.pair, self.limit = lumping, pair, limit
        self.merged = pair.merged
        self.names = origins(lumping, number)

    def together(
        self, names: tuple[str, str], both: str, notes: tuple[str, ...]
    ) -> NetworkExplanation:
        ratio = self.merged.factors[self.pair.second] / self.merged.factors[self.pair.first]
        block = int(self.merged.partition.labels[self.pair.first])
        shown = [row for row, numbers in enumerate(self.pair.columns) if any(numbers)][: self.limit]
        weights = len(self.pair.columns)
        equal = "equal" if ratio == 1 else f"{ratio} times that of {names[0]}"
        sentence = (
            f"{both} share class {block}: the column of {names[1]} is {equal} in all {weights} entries, and "
            f"{self._rule()}"
        )
        return NetworkExplanation(
            *names,
            True,
            "multiples",
            sentence,
            ratio,
            self._entries(shown),
            weights - len(shown),
            notes=notes,
        )

    def apart(self, names: tuple[str, str], both: str, notes: tuple[str, ...]) -> NetworkExplanation:
        pair, group = self.pair, self.merged.group
        constants = [unit for unit in (pair.first, pair.second) if unit in self.merged.constants]
        ratio, row = pair.ratio, pair.difference(group)
        columns = len(pair.columns)
        shown = [] if row is None else self._until(row)
        after = 0 if row is None else columns - row - 1
        reason = "columns"
        if len(constants) == 1:
            reason = "constant"
            which = names[0 if constants[0] == pair.first else 1]
            why = f"{which} is constant and folded, the other is not"
        elif row is None:
            reason = "function"
            why = f"their columns are multiples by {ratio}, but {self._treatment(ratio)}"
        elif ratio is not None:
            reason = "factor"
            why = f"their columns are multiples by {ratio}, but {self._rule()}"
        else:
            why = self._difference(row)
        sentence = f"{both} are apart: {why}"
        return NetworkExplanation(
            *names,
            False,
            reason,
            sentence,
            ratio,
            self._entries(shown),
            columns - len(shown) - after,
            after,
            notes,
        )

    def _rule(self) -> str:
        """Say which factors pass, and what lets them."""
        steps = [type(step).__name__.lower() for step in self.merged.stage.steps]
        functions = [
            getattr(getattr(step, "activation", None), "name", name)
            for step, name in zip(self.merged.stage.steps, steps, strict=True)
        ]
        after = ", ".join(functions) or "the next layer"
        if self.lumping.kind == "exact":
            return "an exact lumping admits equal columns only"
        return f"{after} lets pass: {self.merged.group.value}"

    def _difference(self, row: int) -> str:
        """Say in which entry two columns differ."""
        (entry,) = self._entries([row])
        what = "biases" if not entry.sources else f"weights from {entry.name}"
        scaled = row != self.pair.lead and self.pair.divisors(self.merged.group) != (1, 1)
        if not scaled:
            return f"their {what} are {entry.first} and {entry.second}"
        return (
            f"scaled to the same first weight, their {what} are {entry.first_normal} and "
            f"{entry.second_normal}"
        )

    def _treatment(self, ratio: Fraction | None) -> str:
        """Name the first layer after the weights that treats the two differently."""
        stage = self.merged.stage
        layers = self.lumping.network.layers
        places = [place for place in stage.after if not isinstance(layers[place], ShapeLayer)]
        left, right = Fraction(1), ratio or Fraction(1)
        for step, place in zip(stage.steps, places, strict=True):
            one, left = step.pull(self.pair.first, left)
            other, right = step.pull(self.pair.second, right)
            if one != other:
                return f"layer {place} ({layers[place].title}) treats them differently"
        return f"what follows leaves different factors of them ({left} and {right})"

    def _until(self, row: int) -> list[int]:
        """Choose which entries to show: nonzero ones from the first, and the one that differs."""
        found = [k for k in range(row) if any(self.pair.columns[k])]
        return [*found[: self.limit - 1], row]

    def _entries(self, rows: Sequence[int]) -> tuple[ColumnEntry, ...]:
        left, right = self.pair.divisors(self.merged.group)
        entries = []
        for row in rows:
            a, b = self.pair.columns[row]
            source = self.pair.source(row)
            sources = tuple(self.names(k, row) for k in source.rows)
            entries.append(ColumnEntry(sources, source.factors, a, b, a / left, b / right))
        return tuple(entries)


class origins:  # noqa: N801  # used like a function
    """Names of the rows of a layer's weights: the inputs or neurons that they belong to."""
