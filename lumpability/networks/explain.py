"""`explain` for networks: why two neurons share a class of a lumping, or why not.

Two columns of one layer are summed again and compared entry by entry; nothing else of the network is read.
The normal form of a column is the column divided by the part of its first nonzero entry that lies in the layer's
group of factors.  Columns with equal normal forms are multiples by a factor of that group; otherwise the first
entry in which the normal forms differ tells the units apart.  The bias comes last.  Neurons are named
layer:neuron, with the number of the layer in the network and of the neuron (or channel) in the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.networks.claims import admits_factors
from lumpability.networks.explanation import ColumnEntry, NetworkExplanation
from lumpability.networks.layers import Layer
from lumpability.networks.merging import MergedStage
from lumpability.networks.reshape import ShapeLayer
from lumpability.networks.unit_functions import Activated
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group

Neuron = str | tuple[int, int]
"""A neuron: "2:17" or (2, 17) is neuron (or channel) 17 of layer 2."""

RowNames = Callable[[int], str]
"""Names of the rows of a layer's stored weights."""

Stages = Sequence[MergedStage]


def explain_neurons(
    layers: Sequence[Layer],
    stages: Stages,
    kind: str,
    first: Neuron,
    second: Neuron,
    *,
    limit: int = 10,
) -> NetworkExplanation:
    """Explain why two neurons share a class, or why not; see `NetworkLumping.explain`."""
    here, a = _located(stages, first)
    there, b = _located(stages, second)
    one, other = stages[here], stages[there]
    names = f"{one.stage.position}:{a}", f"{other.stage.position}:{b}"
    notes = tuple(_notes(one, a))
    tell = partial(NetworkExplanation, kind, names)
    if names[0] == names[1]:
        return tell(True, "same", f"{names[0]} is one neuron", Fraction(1), notes=notes)
    tell = partial(tell, notes=(*notes, *_notes(other, b)))
    both = f"{names[0]} and {names[1]}"
    apart = f"{both} are apart"
    if here != there:
        return tell(False, "layers", f"{apart}: neurons of different layers are never merged")
    if one.stage.held is not None:
        return tell(False, "held", f"{apart}: the layer stays as it is ({one.stage.held})")
    if one.within is not None and one.within.labels[a] != one.within.labels[b]:
        given = "the partition within which the network was lumped separates them"
        return tell(False, "within", f"{apart}: {given}")
    found = _Comparison(layers, stages, kind, here, Pair(one, a, b), limit=limit)
    block = int(one.partition.labels[a])
    if block == one.partition.labels[b]:
        factor, told = found.together(names)
        rows = [row for row, pair in enumerate(found.pair.columns) if any(pair)][:limit]
        reason, claim, after = "multiples", f"{both} share class {block}: {told}", 0
    else:
        reason, factor, told, rows, after = found.apart(names)
        claim = f"{apart}: {told}"
    equal = len(found.pair.columns) - len(rows) - after
    return tell(reason == "multiples", reason, claim, factor, found.entries(rows), equal, after)


class _Comparison:
    """Two columns of a layer, and the sentences about them."""

    def __init__(
        self,
        layers: Sequence[Layer],
        stages: Stages,
        kind: str,
        number: int,
        pair: Pair,
        *,
        limit: int,
    ) -> None:
        self.layers, self.kind, self.pair, self.limit = layers, kind, pair, limit
        self.merged = pair.merged
        below = stages[number - 1] if self.merged.stage.open else None
        self.skips = 0
        if below is not None and below.stage.rows is not None:
            self.skips = (
                len(np.unique(below.partition.labels[below.reflected])) * below.stage.rows.shape[1]
            )
        self.name_of = row_names(stages, number)

    def together(self, names: tuple[str, str]) -> tuple[Fraction | None, str]:
        """Return the factor between the two, and why they share a class."""
        ratio = self.merged.factors[self.pair.second] / self.merged.factors[self.pair.first]
        weights = len(self.pair.columns)
        if ratio == 1:
            return ratio, f"their columns are equal in all {weights} entries"
        return ratio, (
            f"the column of {names[1]} is {ratio} times that of {names[0]} in all {weights} entries, "
            f"and {self._rule()}"
        )

    def apart(self, names: tuple[str, str]) -> tuple[str, Fraction | None, str, list[int], int]:
        """Return the reason, the factor between the two if any, why, the rows to show, and how many are after."""
        pair = self.pair
        constants = [unit for unit in (pair.first, pair.second) if unit in self.merged.constants]
        ratio, row = pair.ratio, pair.difference(self.merged.group)
        rows = [] if row is None else self._until(row)
        after = 0 if row is None else len(pair.columns) - row - 1
        if len(constants) == 1:
            which = names[0 if constants[0] == pair.first else 1]
            return (
                "constant",
                ratio,
                f"{which} is constant and folded, the other is not",
                rows,
                after,
            )
        if row is None:
            why = f"their columns are multiples by {ratio}, but {self._treatment(ratio)}"
            return "function", ratio, why, rows, after
        if ratio is not None:
            why = f"their columns are multiples by {ratio}, but {self._rule()}"
            return "factor", ratio, why, rows, after
        return "columns", ratio, self._difference(row), rows, after

    def _source_name(self, stored: int, row: int) -> str:
        """Name a stored row; the rows that skip the activation come after the rows of A W."""
        skipped = self.merged.summed.classes - self.skips <= row
        return f"{self.name_of(stored)} before its activation" if skipped else self.name_of(stored)

    def _rule(self) -> str:
        """Return in words which factors pass, and through which functions."""
        stage = self.merged.stage
        functions = [
            step.activation.name if isinstance(step, Activated) else type(step).__name__.lower()
            for step in stage.steps
        ]
        after = ", ".join(functions) or "the next layer"
        if self.merged.claim.antiparallel:
            return f"{after} admits both signs by a skip: act(-x) = act(x) - {stage.reflection} x"
        if not admits_factors(self.kind):
            return "an exact lumping admits equal columns only"
        return f"{after} admits {self.merged.group.value}"

    def _difference(self, row: int) -> str:
        """Return in words the entry in which two columns differ."""
        (entry,) = self.entries([row])
        what = "biases" if not entry.sources else f"weights from {entry.name}"
        scaled = row != self.pair.lead and set(self.pair.divisors(self.merged.group)) != {1}
        if not scaled:
            return f"their {what} are {entry.first} and {entry.second}"
        return (
            f"scaled to the same first weight, their {what} are {entry.first_normal} and "
            f"{entry.second_normal}"
        )

    def _treatment(self, ratio: Fraction | None) -> str:
        """Name the first layer after the weights that treats the two differently."""
        stage = self.merged.stage
        layers = self.layers
        places = [place for place in stage.after if not isinstance(layers[place], ShapeLayer)]
        left, right = Fraction(1), ratio or Fraction(1)
        for step, place in zip(stage.steps, places, strict=True):
            one, left = step.pull(self.pair.first, left)
            other, right = step.pull(self.pair.second, right)
            if one != other:
                return f"layer {place} ({layers[place].title}) treats them differently"
        return f"what follows leaves different factors of them ({left} and {right})"

    def _until(self, row: int) -> list[int]:
        """Choose the entries to show: the first nonzero ones, and the one that differs."""
        found = [k for k in range(row) if any(self.pair.columns[k])]
        return [*found[: self.limit - 1], row]

    def entries(self, rows: Sequence[int]) -> tuple[ColumnEntry, ...]:
        """Return what is shown of some rows."""
        left, right = self.pair.divisors(self.merged.group)
        entries = []
        for row in rows:
            a, b = self.pair.columns[row]
            source = self.pair.source(row)
            sources = tuple(self._source_name(k, row) for k in source.rows)
            entries.append(ColumnEntry(sources, source.factors, a, b, a / left, b / right))
        return tuple(entries)


def _located(merged: Stages, neuron: Neuron) -> tuple[int, int]:
    """Return the stage and the unit of a neuron."""
    parts = neuron.split(":") if isinstance(neuron, str) else neuron
    try:
        layer, unit = (int(part) for part in parts)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"{neuron!r} names no neuron: write layer:neuron, for example 2:17", neuron=neuron
        ) from None
    stages = {one.stage.position: number for number, one in enumerate(merged)}
    if layer not in stages:
        known = ", ".join(map(str, stages))
        raise InvalidInput(
            f"layer {layer} has no weights: layers with weights are {known}", neuron=neuron
        )
    units = merged[stages[layer]].stage.units
    if not 0 <= unit < units:
        raise InvalidInput(f"layer {layer} has neurons 0 .. {units - 1}, not {unit}", neuron=neuron)
    return stages[layer], unit


def _notes(one: MergedStage, unit: int) -> Iterator[str]:
    """Return in words whether a neuron is constant or dead."""
    name = f"{one.stage.position}:{unit}"
    if unit in one.constants:
        bias = to_fractions(one.summed.bias[unit : unit + 1]).tolist()[0]
        zero = one.summed.zero_columns(np.array([unit]))[0]
        weights = f"its aggregated weights are zero and its bias is {bias}"
        why = weights if zero else "it is scaled by zero"
        yield (
            f"{name} is constant: {why}, so its output is {one.constants[unit]} for every input, which is "
            "folded into the next bias"
        )
    elif not one.live[one.partition.labels[unit]]:
        yield (
            f"{name} is dead: the aggregated weights of its class into everything that stays are zero, so it "
            "is removed"
        )


def row_names(stages: Stages, number: int) -> RowNames:
    """Return a function that names the rows of a layer's stored weights by their inputs or neurons.

    `number` counts layers with weights.
    """
    stage = stages[number].stage
    below = stages[number - 1].stage if stage.open else None
    if below is not None and below.rows is not None:
        width = below.rows.shape[1]
        owner = np.empty(below.rows.size, dtype=np.int64)
        owner[below.rows.ravel()] = np.arange(below.rows.size)
        single = width == 1

        def neuron(row: int) -> str:
            unit, place = divmod(int(owner[row]), width)
            return f"{below.position}:{unit}" + ("" if single else f"[{place}]")

        return neuron
    where = "" if number == 0 else f" of layer {stage.position}"
    taps = 1 if stage.layer.weight.ndim == 2 else int(np.prod(stage.layer.weight.shape[2:]))

    def given(row: int) -> str:
        channel, tap = divmod(row, taps)
        return f"input {channel}" + ("" if taps == 1 else f"[{tap}]") + where

    return given


@dataclass(frozen=True)
class Source:
    """The stored rows that are summed in one row of aggregated weights."""

    rows: tuple[int, ...]  # rows of the stored weights, ascending; empty for the bias
    factors: tuple[Fraction, ...]  # the factors of these rows in the sum


@dataclass(frozen=True, eq=False)
class Pair:
    """Two units of one stage."""

    merged: MergedStage
    first: int
    second: int

    @cached_property
    def columns(self) -> list[tuple[Fraction, Fraction]]:
        """The two aggregated weights in every row class, and last the two biases."""
        summed, units = self.merged.summed, np.array([self.first, self.second])
        entries = to_fractions(summed.entries(np.arange(summed.classes), units))
        rows = [*entries.tolist(), to_fractions(summed.bias[units]).tolist()]
        return [(a, b) for a, b in rows]

    @property
    def lead(self) -> int | None:
        """The first row in which not both columns are zero; None if there is none."""
        return next((row for row, pair in enumerate(self.columns) if any(pair)), None)

    @property
    def ratio(self) -> Fraction | None:
        """The number by which the first column has to be multiplied to give the second, if there is one."""
        if self.lead is None:
            return Fraction(1)
        a, b = self.columns[self.lead]
        ratio = b / a if a else Fraction(0)
        return ratio if ratio and self.disagreement(ratio) is None else None

    def disagreement(self, factor: Fraction) -> int | None:
        """Return the first row in which the second number is not the factor times the first."""
        found = (row for row, (a, b) in enumerate(self.columns) if b != factor * a)
        return next(found, None)

    def divisors(self, group: Group) -> tuple[Fraction, Fraction]:
        """Return the divisors that bring the two columns to their normal forms."""
        a, b = (
            next((pair[side] for pair in self.columns if pair[side]), Fraction(1))
            for side in (0, 1)
        )
        return group.part(a), group.part(b)

    def difference(self, group: Group) -> int | None:
        """Return the first row in which the normal forms differ; None if they are equal."""
        a, b = self.divisors(group)
        return self.disagreement(b / a)

    def source(self, row: int) -> Source:
        """Return the stored rows that are summed in a row."""
        incoming = self.merged.summed.below
        if row == incoming.classes:
            return Source((), ())
        bounds = np.append(incoming.starts, len(incoming.members))[row : row + 2]
        members: Array = incoming.members[bounds[0] : bounds[1]]
        order = np.argsort(members, kind="stable")
        factors = incoming.factors[bounds[0] : bounds[1]][order]
        return Source(tuple(members[order].tolist()), tuple(factors.tolist()))
