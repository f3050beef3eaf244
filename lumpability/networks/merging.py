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

Class factors are relative to the first member.  If they are fractions with odd denominators, they are multiplied by
the least common denominator, so that factors and weights stay dyadic; if the largest is large then, all are divided
by the power of two that leaves it between 1 and 2, so that no sum of weights gets large.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lumpability.networks.bound_claims import BoundClaim, aggregated
from lumpability.networks.claims import LayerClaim, admits_factors
from lumpability.networks.layers import Conv
from lumpability.networks.network import Network
from lumpability.networks.unit_functions import key_and_factor, value_after
from lumpability.networks.weight_stages import Stage, stages_of
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.groups import Group
from lumpability.partition import Partition
from lumpability.refinement import Engine, EngineName, Progress, multiples, refine
from lumpability.refinement.columns import column_factors
from lumpability.structure.dense import DenseStructure

_LARGE = 16
"""A factor that sums of weights are not to be multiplied by."""


@dataclass(frozen=True, eq=False)
class MergedStage(BoundClaim):
    """The classes of one stage: what is claimed about it, and how that was found."""

    within: Partition | None = None  # the initial partition of the units, if one was given
    engine: str | None = None  # which grouped the columns; None if no units may merge

    @property
    def factors(self) -> Array:
        """Shape (units,): the column of s is c(s) times the column of its class."""
        return self.claim.factors

    @property
    def constants(self) -> dict[int, Fraction]:
        """Units whose output has this value for every input, added to the next bias."""
        return self.claim.constants

    @property
    def summed(self) -> DenseStructure:
        """The weights and bias, aggregated by the classes below."""
        return self.rows.summed

    @property
    def kept(self) -> Array:
        """Numbers of the classes that stay."""
        return np.flatnonzero(self.live)


def merge(
    network: Network,
    kind: str = "proportional",
    *,
    within: Sequence[Partition] | None = None,
    engine: EngineName | Engine = "auto",
    reflect: Collection[int] = (),
    unfolded: Collection[int] = (),
    progress: Progress | None = None,
) -> list[MergedStage]:
    """Return the classes of every stage of a network.

    - kind: {"proportional", "exact"}
    - within: for each stage, a partition of its units: merge only inside its blocks
    - engine (str or callable): see `lumpability.refinement.refine`; "auto" takes the dense accelerator
    - reflect: numbers of stages where units of opposite sign merge, with a skip
    - unfolded: numbers of stages where only the constant zero is folded
    - progress (callable): called after each stage with the number of classes and of units so far

    Linear in the number of weights; layers without duplicates are decided by their first rows.

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
                only_zero=number in unfolded,
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
    only_zero: bool = False,
) -> MergedStage:
    """Return the classes of one stage, given those below it.

    - below: the stage that this one reads, if it reads from classes
    - kind: {"proportional", "exact"}
    - within: merge only inside its blocks
    - antiparallel: merge units of opposite sign where the activation has a reflection
    - only_zero: fold no other constant
    """
    rows, count = aggregated(stage, below), stage.units
    partition, factors = Partition.discrete(count), np.full(count, Fraction(1), dtype=object)
    constants: dict[int, Fraction] = {}
    grouped = None
    if stage.held is None:
        group = stage.group(kind, antiparallel=antiparallel)
        grouped = group_columns(rows.summed, group, engine)
        constants = _constants(stage, rows.summed, grouped, above, only_zero)
        partition = _classes(stage, grouped, constants, kind)
        partition = partition if within is None else partition.meet(within)
        factors = _factors(stage, partition, grouped)
    live = np.ones(len(partition), dtype=bool)
    live[partition.labels[list(constants)]] = False
    claim = LayerClaim(
        layer=stage.position,
        partition=partition,
        factors=factors,
        constants=constants,
        live=live,
        antiparallel=antiparallel and stage.reflection is not None,
        held=stage.held,
        admits=None if grouped is None else group.value,
    )
    found = MergedStage(
        claim, stage, below, above, kind, within, None if grouped is None else grouped.engine
    )
    vars(found)["rows"] = rows  # as the cached property would compute them again
    return found


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

    >>> from lumpability.structure.dense import RowClasses
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
    stage: Stage,
    summed: DenseStructure,
    columns: Columns,
    above: Stage | None,
    only_zero: bool,
) -> dict[int, Fraction]:
    """Return the units with a constant output that can be added to the next bias."""
    padded = above is not None and isinstance(above.layer, Conv) and above.layer.is_padded
    only_zero = only_zero or padded
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


def _factors(stage: Stage, partition: Partition, columns: Columns) -> Array:
    """Return c(s) for every unit."""
    factors = np.full(stage.units, Fraction(1), dtype=object)
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
            members = partition.blocks[number]
            largest = common * max(abs(factor) for factor in factors[members].tolist())
            shift = int(largest).bit_length() - 1
            factors[members] *= Fraction(common, 1 << shift if largest > _LARGE else 1)
    return factors


def _without_dead(merged: list[MergedStage]) -> list[MergedStage]:
    """Mark classes without outgoing weights as not live, from the last stage to the first."""
    live: list[Array] = []
    above: MergedStage | None = None
    for one in reversed(merged):
        stays = one.live.copy()
        if one.stage.held is None and above is not None:
            columns = above.partition.representatives[live[-1]]
            rows = np.arange(above.summed.classes)[:, None]
            used = np.zeros(len(stays), dtype=bool)
            used[above.rows.classes[~above.summed.zero_classes(rows, columns)]] = True
            stays &= used
        live.append(stays)
        above = one
    result: list[MergedStage] = []
    for one, stays in zip(merged, reversed(live), strict=True):
        below = result[-1] if one.stage.open else None
        found = replace(one, claim=replace(one.claim, live=stays), below=below)
        vars(found)["rows"] = one.rows  # they do not depend on what is dead
        result.append(found)
    return result


def reasons(one: MergedStage) -> dict[str, int]:
    """Count the units of a stage that are removed, by reason.

    >>> twins = Network.dense([([[1, 2, 0]], None, "relu"), ([[1], [1], [1]], None, None)])
    >>> reasons(merge(twins)[0])
    {'identical': 0, 'proportional': 1, 'antiparallel': 0, 'constant': 1, 'dead': 0}
    """
    counts = dict.fromkeys(("identical", "proportional", "antiparallel", "constant", "dead"), 0)
    constant, labels = one.constant_classes, one.partition.labels
    counts["constant"] = len(one.constants)
    counts["dead"] = int((~one.live & ~constant)[labels].sum())
    firsts = one.partition.representatives
    merged = np.flatnonzero(one.live[labels] & (firsts[labels] != np.arange(len(labels))))
    for unit in merged.tolist():
        ratio = one.factors[unit] / one.factors[firsts[labels[unit]]]
        reason = "identical" if ratio == 1 else "proportional" if ratio > 0 else "antiparallel"
        counts[reason] += 1
    return counts
