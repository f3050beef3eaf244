"""Merging neurons: one forward pass for classes and constants, one backward pass for the dead.

Layer l of the theory: h_l = F(h_{l-1} W_l + b_l).  Forward, with the classes of the layer below,

* the columns of U = [A_{l-1} W_l; b_l] that are multiples of each other, by factors that the activation
  passes, form one class; c(s) is the factor, and A_l has the factor after the activation;
* a unit whose aggregated weights are all zero is constant: F(b) is added to the next bias (before a padded
  convolution only if it is zero, since padding is not constant).

Backward, a class whose aggregated outgoing weights are all zero is dead and removed.  One pass of each is a
fixpoint: a merge below never separates anything above; a folded constant only changes biases above it, which
are compared later; and a dead class has zero weights into every column that is still compared.

In the stages of `reflect`, units of opposite sign merge too: act(-c y) = c act(y) - r c y, with r the
reflection of the activation.  The pre-activation y of such a class is a second input of the next layer, with a
row class of its own and the factors -r c; a skip past the activation carries it there.

Class factors are relative to the first member.  If they are fractions with odd denominators, the class has the
column of its first member divided by the least common denominator, so that factors and weights stay dyadic.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lumpability.networks.claims import LayerClaim
from lumpability.networks.kinds import admits_factors
from lumpability.networks.layers import Conv
from lumpability.networks.network import Network
from lumpability.networks.unit_functions import key_and_factor, value_after
from lumpability.networks.weight_stages import Stage, stages_of
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.groups import Group
from lumpability.partition import Partition
from lumpability.refinement import Engine, EngineName, Progress, multiples, refine
from lumpability.refinement.columns import column_factors
from lumpability.structure.dense import DenseStructure, RowClasses

__all__ = ["Columns", "MergedStage", "group_columns", "merge", "merge_stage", "reasons"]


@dataclass(frozen=True, eq=False)
class MergedStage:
    """The classes of one stage."""

    stage: Stage
    summed: DenseStructure  # its weights and bias, aggregated by the classes below
    partition: Partition  # of the units; constants and dead units included
    factors: Array  # shape (units,): the column of s is c(s) times the column of its class
    # Shape (units,): the factor after the activation, of c(s), or of abs(c(s)) if the stage has a
    # reflection.
    carried: Array
    # Shape (classes,): the column of the class is the column of its first member divided by this.
    scale: Array
    # Units whose output has this value for every input, folded into the next bias.
    constants: dict[int, Fraction]
    live: Array  # shape (classes,): classes that stay: neither constant nor dead
    group: Group = Group.ONE  # factors by which columns were allowed to differ
    antiparallel: bool = False  # whether units of opposite sign were merged where possible
    within: Partition | None = None  # the initial partition of the units, if one was given
    engine: str | None = None  # which grouped the columns; None if no units may merge

    def claim(self) -> LayerClaim:
        """Return the claim of a certificate about the stage."""
        return LayerClaim(
            layer=self.stage.position,
            partition=self.partition,
            factors=self.factors,
            constants=self.constants,
            live=self.live,
            antiparallel=self.antiparallel,
            held=self.stage.held,
            admits=None if self.stage.held is not None else self.group.value,
        )

    @property
    def kept(self) -> Array:
        """Numbers of the classes that stay."""
        return np.flatnonzero(self.live)

    @property
    def is_constant(self) -> Array:
        """Whether each class is constant, shape (classes,)."""
        folded = np.zeros(len(self.partition), dtype=bool)
        folded[self.partition.labels[list(self.constants)]] = True
        return folded

    @property
    def reflected(self) -> Array:
        """Whether each unit has the opposite sign of its class and needs the skip, shape (units,)."""
        if self.stage.reflection is None:
            return np.zeros(self.stage.units, dtype=bool)
        negative = np.array([factor < 0 for factor in self.factors.tolist()], dtype=bool)
        negative[list(self.constants)] = False
        return negative

    def incoming(self) -> RowClasses:
        """Return the classes of the rows of the next weight matrix, class by class.

        After them come the skipped pre-activations of classes with reflected units, in the same order.
        """
        assert self.stage.rows is not None
        rows = self.stage.rows
        width = rows.shape[1]
        constant = self.is_constant
        number = np.cumsum(~constant) - 1
        labels = self.partition.labels
        parts = [(np.flatnonzero(~constant[labels]), self.carried)]
        if self.stage.reflection is not None and (reflected := self.reflected).any():
            parts.append((np.flatnonzero(reflected), self.factors * self.stage.reflection))
        members, starts, factors, total = [], [], [], 0
        for units, factor in parts:
            key = (number[labels[units]][:, None] * width + np.arange(width)).ravel()
            order = np.argsort(key, kind="stable")
            starts.append(total + np.flatnonzero(np.diff(key[order], prepend=-1)))
            members.append(rows[units].ravel()[order])
            factors.append(np.repeat(factor[units], width)[order])
            total += len(order)
        folded = np.array(sorted(self.constants), dtype=np.int64)
        values = np.array([self.constants[unit] for unit in folded.tolist()], dtype=object)
        return RowClasses(
            members=np.concatenate(members),
            starts=np.concatenate(starts),
            factors=np.concatenate(factors),
            constant_rows=rows[folded].ravel(),
            constants=np.repeat(values, width),
        )

    def row_classes(self, classes: Array) -> Array:
        """Return the row classes of the next matrix that some classes feed, shape (classes, k)."""
        assert self.stage.rows is not None
        number = np.cumsum(~self.is_constant) - 1
        width = self.stage.rows.shape[1]
        return np.asarray(number[classes][:, None] * width + np.arange(width))

    def skip_classes(self, classes: Array) -> Array:
        """Return the row classes of the skipped pre-activations of some classes with reflected units."""
        assert self.stage.rows is not None
        width = self.stage.rows.shape[1]
        skips = np.unique(self.partition.labels[self.reflected])
        first = int((~self.is_constant).sum())
        number = first + np.searchsorted(skips, classes)
        return np.asarray(number[:, None] * width + np.arange(width))

    @property
    def has_skip(self) -> Array:
        """Whether each class has reflected units, shape (classes,)."""
        found = np.zeros(len(self.partition), dtype=bool)
        found[self.partition.labels[self.reflected]] = True
        return found


def merge(
    network: Network,
    kind: str = "proportional",
    *,
    within: Sequence[Partition] | None = None,
    engine: EngineName | Engine = "auto",
    reflect: Collection[int] = (),
    progress: Progress | None = None,
) -> list[MergedStage]:
    """Return the classes of every stage of a network.

    Parameters
    ----------
    kind : {"proportional", "exact"}
    within : sequence of Partition, optional
        For each stage, a partition of its units: merge only inside its blocks.
    engine : str or callable
        See `lumpability.refinement.refine`; "auto" takes the dense accelerator.
    reflect : collection of int
        Numbers of stages where units of opposite sign merge, with a skip.
    progress : callable, optional
        Called after each stage with the number of classes and of units so far.

    Notes
    -----
    Linear in the number of weights; layers without duplicates are decided by their first rows.

    Examples
    --------
    >>> twins = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    >>> first, last = merge(twins)
    >>> first.partition, first.factors.tolist()
    (Partition([[0, 1]]), [Fraction(1, 1), Fraction(2, 1)])
    """
    stages = stages_of(network)
    merged: list[MergedStage] = []
    for number, stage in enumerate(stages):
        below = merged[-1] if stage.open else None
        above = stages[number + 1] if number + 1 < len(stages) else None
        merged.append(
            merge_stage(
                stage,
                below,
                above,
                kind,
                within=None if within is None else within[number],
                engine=engine,
                antiparallel=number in reflect,
            )
        )
        if progress is not None:
            progress(
                sum(len(one.partition) for one in merged), sum(one.stage.units for one in merged)
            )
    return _without_dead(merged)


def merge_stage(
    stage: Stage,
    below: MergedStage | None,
    above: Stage | None,
    kind: str,
    *,
    within: Partition | None = None,
    engine: EngineName | Engine = "auto",
    antiparallel: bool = False,
) -> MergedStage:
    """Return the classes of one stage, given those below it.

    Parameters
    ----------
    below : MergedStage or None
        The stage that this one reads, if it reads from classes.
    kind : {"proportional", "exact"}
    within : Partition, optional
        Merge only inside its blocks.
    antiparallel : bool
        Merge units of opposite sign where the activation has a reflection.
    """
    matrix, count = stage.matrix, stage.units
    incoming = RowClasses.separate(len(matrix)) if below is None else below.incoming()
    summed = DenseStructure(matrix, stage.layer.bias, incoming)
    ones = np.full(count, Fraction(1), dtype=object)
    if stage.held is not None:
        every = np.ones(count, dtype=bool)
        return MergedStage(stage, summed, Partition.discrete(count), ones, ones, ones, {}, every)
    group = stage.group(kind, antiparallel=antiparallel)
    columns = group_columns(summed, group, engine)
    constants = _constants(stage, summed, columns, above)
    partition = _classes(stage, columns, constants, kind)
    partition = partition if within is None else partition.meet(within)
    factors, scale = _factors(stage, partition, columns)
    carried = _carried(stage, partition, factors)
    live = np.ones(len(partition), dtype=bool)
    live[partition.labels[list(constants)]] = False
    signs = antiparallel and stage.reflection is not None
    return MergedStage(
        stage, summed, partition, factors, carried, scale, constants, live, group, signs, within,
        columns.engine,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns grouped up to factors."""

    leader: Array  # shape (n,): first column of the group of each
    factors: dict[int, Fraction]  # the factor of a column over its leader, if it is not 1
    zero: Array  # shape (n,): columns whose weights are all zero (the bias need not be)
    engine: str  # which grouped them


def group_columns(
    summed: DenseStructure, group: Group, engine: EngineName | Engine = "auto"
) -> Columns:
    """Group the columns of [A W; b] that are multiples of each other by factors of a group.

    The layer is refined as a structure (`lumpability.structure.dense`): units of one block have
    proportional columns.

    Examples
    --------
    >>> matrix = np.array([[1.0, 3.0, -1.0], [2.0, 6.0, -2.0]])
    >>> layer = DenseStructure(matrix, None, RowClasses.separate(2))
    >>> found = group_columns(layer, Group.POSITIVE)
    >>> found.leader.tolist(), found.factors
    ([0, 0, 2], {1: Fraction(3, 1)})
    """
    refined = refine(summed, normal=multiples(group), engine=engine)
    found, units = refined.partition, np.arange(summed.columns)
    leader = found.representatives[found.labels[units]].astype(np.int64)
    factors = column_factors(summed, leader, group)
    return Columns(leader, factors, summed.zero_columns(units), refined.engine)


def _constants(
    stage: Stage, summed: DenseStructure, columns: Columns, above: Stage | None
) -> dict[int, Fraction]:
    """Return the units with a constant output that can be added to the next bias."""
    only_zero = above is not None and isinstance(above.layer, Conv) and above.layer.is_padded
    units = range(stage.units) if not stage.is_uniform else np.flatnonzero(columns.zero).tolist()
    found = {}
    for unit in units:
        start = summed.bias[unit] if columns.zero[unit] else None
        exact = (
            None
            if start is None
            else Fraction(start if isinstance(start, Fraction) else float(start))
        )
        value = value_after(stage.steps, unit, exact)
        if value is not None and (value == 0 or not only_zero):
            found[unit] = value
    return found


def _classes(
    stage: Stage, columns: Columns, constants: dict[int, Fraction], kind: str
) -> Partition:
    """Group units with proportional columns, equal functions after them, and equal constancy."""
    leader = columns.leader.astype(np.int64)
    if constants:
        folded = np.zeros(len(leader), dtype=np.int64)
        folded[list(constants)] = 1
        leader = leader * 2 + folded
    if stage.is_uniform:
        return Partition(leader)
    keys: dict[Hashable, int] = {}
    sizes = np.bincount(leader)
    labels = []
    for unit, first in enumerate(leader.tolist()):
        key: Hashable = (first,)
        if sizes[first] > 1:
            factor = columns.factors.get(unit, Fraction(1))
            function, left = key_and_factor(stage.steps, unit, factor)
            key = (first, function, None if admits_factors(kind) else left)
        labels.append(keys.setdefault(key, len(keys)))
    return Partition(labels)


def _factors(stage: Stage, partition: Partition, columns: Columns) -> tuple[Array, Array]:
    """Return c(s) for every unit, and the divisor of each class's first member."""
    factors = np.full(stage.units, Fraction(1), dtype=object)
    scale = np.full(len(partition), Fraction(1), dtype=object)
    for unit, factor in columns.factors.items():
        factors[unit] = factor
    odd: dict[int, int] = {}
    for unit in columns.factors:
        number = int(partition.labels[unit])
        first = columns.factors.get(int(partition.representatives[number]), Fraction(1))
        if first != 1:  # the group was split: factors become relative to the new first member
            for member in partition.blocks[number].tolist():
                factors[member] = columns.factors.get(member, Fraction(1)) / first
        denominator = factors[unit].denominator
        odd[number] = math.lcm(odd.get(number, 1), denominator // (denominator & -denominator))
    for number, common in odd.items():
        if common > 1 and stage.is_uniform:
            scale[number] = Fraction(common)
            factors[partition.blocks[number]] *= common
    return factors, scale


def _carried(stage: Stage, partition: Partition, factors: Array) -> Array:
    """Return the factors after the steps that follow the weights."""
    if stage.is_uniform:
        left = {c: stage.pull(0, c)[1] for c in set(factors.tolist())}
        return np.array([left[c] for c in factors.tolist()], dtype=object)
    carried = np.full(len(factors), Fraction(1), dtype=object)
    for members in partition.blocks:
        if len(members) > 1:
            rest = [
                key_and_factor(stage.steps, unit, factors[unit])[1] for unit in members.tolist()
            ]
            carried[members] = [one / rest[0] for one in rest]
    return carried


def _without_dead(merged: list[MergedStage]) -> list[MergedStage]:
    """Mark classes without outgoing weights as not live, from the last stage to the first."""
    result: list[MergedStage] = []
    above: MergedStage | None = None
    for one in reversed(merged):
        live = one.live.copy()
        if one.stage.held is None and above is not None:
            columns = above.partition.representatives[above.live]
            dead = one.kept[above.summed.zero_classes(one.row_classes(one.kept), columns)]
            skips = one.has_skip[dead]
            if skips.any():  # the next layer may use only the skip of a class
                rows = one.skip_classes(dead[skips])
                skips[skips] = ~above.summed.zero_classes(rows, columns)
            live[dead[~skips]] = False
        above = replace(one, live=live)
        result.append(above)
    return result[::-1]


def reasons(one: MergedStage) -> dict[str, int]:
    """Count the units of a stage that are removed, by reason.

    Examples
    --------
    >>> twins = Network.dense([([[1, 2, 0]], None, "relu"), ([[1], [1], [1]], None, None)])
    >>> reasons(merge(twins)[0])
    {'identical': 0, 'proportional': 1, 'antiparallel': 0, 'constant': 1, 'dead': 0}
    """
    counts = dict.fromkeys(("identical", "proportional", "antiparallel", "constant", "dead"), 0)
    constant, labels = one.is_constant, one.partition.labels
    counts["constant"] = len(one.constants)
    counts["dead"] = int((~one.live & ~constant)[labels].sum())
    firsts = one.partition.representatives
    merged = np.flatnonzero(one.live[labels] & (firsts[labels] != np.arange(len(labels))))
    for unit in merged.tolist():
        ratio = one.factors[unit] / one.factors[firsts[labels[unit]]]
        reason = "identical" if ratio == 1 else "proportional" if ratio > 0 else "antiparallel"
        counts[reason] += 1
    return counts
