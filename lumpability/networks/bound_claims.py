"""The claims of a certificate, each bound to its layer of the network.

A claim is plain data: the classes of a layer's units, the factor c(s) of each unit, which units are constant
and with which value, and which classes are used above.  Everything else is computed from the network: the
factor after the activation, the aggregated weights

    U = [A_{l-1} W_l ; N_{l-1} W_l]   with bias   b_l + (constants' rows of W_l),

and the weights of the quotient: column of a class = column of its first member divided by its factor.
Nothing here uses the code that finds classes or makes a quotient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from lumpability.networks.claims import LayerClaim
from lumpability.networks.layers import Conv
from lumpability.networks.weight_stages import Stage
from lumpability.numbers.float_arrays import Array, divided, to_fractions
from lumpability.numbers.groups import Group
from lumpability.partition import Partition
from lumpability.structure.dense import DenseStructure, RowClasses


@dataclass(frozen=True, eq=False)
class NewWeights:
    """The exact weights of one layer of the quotient, before they are rounded to a stored type."""

    # Shape (row classes, classes).  W^: live row classes of the layer below, live classes of this
    # one.
    matrix: Array
    bias: Array | None  # b^; None if the layer had none and needs none
    # S: weights of the pre-activations of the layer below; None if no unit is reflected there.
    skip: Array | None = None


@dataclass(frozen=True, eq=False)
class BoundClaim:
    """A claim, the layer of the network that it is about, and the layers beside it."""

    claim: LayerClaim
    stage: Stage
    # The claim about the layer that this one reads; None if that layer stays as it is.
    below: BoundClaim | None
    above: Stage | None
    kind: str  # "proportional" or "exact"

    @property
    def partition(self) -> Partition:
        """The classes."""
        return self.claim.partition

    @property
    def live(self) -> Array:
        """The mask of the classes that are units of the quotient."""
        return self.claim.live

    @property
    def constant_classes(self) -> Array:
        """Whether each class is constant, shape (classes,)."""
        constant = np.zeros(len(self.partition), dtype=bool)
        constant[self.partition.labels[list(self.claim.constants)]] = True
        return constant

    @property
    def firsts(self) -> Array:
        """The first member of each unit's class, shape (units,)."""
        return self.partition.representatives[self.partition.labels]

    @property
    def group(self) -> Group:
        """Factors by which columns of one class may differ."""
        return self.stage.group(self.kind, antiparallel=self.claim.antiparallel)

    @property
    def only_zero(self) -> bool:
        """Whether only the constant zero may be folded, because the layer above has padding."""
        layer = None if self.above is None else self.above.layer
        return isinstance(layer, Conv) and layer.is_padded

    @cached_property
    def moving(self) -> Array:
        """Whether each unit is not a constant."""
        moving = np.ones(self.stage.units, dtype=bool)
        moving[list(self.claim.constants)] = False
        return moving

    @cached_property
    def reflected(self) -> Array:
        """Whether each unit has the opposite sign of its class and no factor of that sign passes."""
        if self.stage.reflection is None:
            return np.zeros(self.stage.units, dtype=bool)
        negative = np.array([factor < 0 for factor in self.claim.factors.tolist()], dtype=bool)
        return np.asarray(self.moving & negative)

    @cached_property
    def carried(self) -> Array:
        """Each factor after the activation; 0 if the activation does not pass the factor."""
        firsts = self.firsts.tolist()
        left: dict[tuple[int, Fraction], Fraction] = {}
        carried = []
        for unit, factor in enumerate(self.claim.factors.tolist()):
            if unit == firsts[unit] and factor == 1:
                carried.append(factor)
                continue
            case = (-1 if self.stage.is_uniform else unit, factor)
            if case not in left:
                measure, common = self.stage.pull(firsts[unit], Fraction(1))
                key, rest = self.stage.pull(unit, factor)
                left[case] = rest / common if key == measure else Fraction(0)
            carried.append(left[case])
        return np.array(carried, dtype=object)

    @cached_property
    def rows(self) -> Rows:
        """The aggregated weights."""
        return aggregated(self.stage, self.below)

    @property
    def stays(self) -> Array:
        """Whether each row of the aggregated weights comes from a unit of the quotient, shape (rows,)."""
        every = np.ones(self.rows.summed.classes, dtype=bool)
        return every if self.below is None else self.below.live[self.rows.classes]

    def weights(self) -> NewWeights:
        """Return the exact weights of the quotient's layer."""
        live = self.partition.representatives[self.live]
        scale = self.claim.factors[live]
        rows, summed, stays = self.rows, self.rows.summed, self.stays
        bias = divided(summed.bias[live], scale)
        none = self.stage.layer.bias is None and not np.array(bias != 0, dtype=bool).any()
        if rows.is_stored and len(live) == summed.columns and stays.all():
            whole = divided(summed.matrix, scale)
            return NewWeights(whole, None if none else bias)
        plain = np.flatnonzero(stays[: rows.plain])
        matrix = divided(summed.entries(plain, live), scale)
        skip = None
        skipped = rows.plain + np.flatnonzero(stays[rows.plain :])
        if len(skipped):
            found = divided(summed.entries(skipped, live), scale)
            if np.array(found != 0, dtype=bool).any():
                skip = np.zeros(matrix.shape, dtype=found.dtype)
                skip = to_fractions(skip) if found.dtype == object else skip
                place = np.cumsum(stays[: rows.plain]) - 1
                skip[place[rows.places[skipped]]] = found
        return NewWeights(matrix, None if none else bias, skip)


@dataclass(frozen=True, eq=False)
class Rows:
    """A W and N W, with their rows ordered by class and position."""

    summed: DenseStructure
    # Shape (rows,): the class below, or the row itself if the layer below stays as it is.
    classes: Array
    places: Array  # shape (rows,): the row of A W that belongs to the same class and position
    plain: int  # number of rows of A W; those of N W follow

    @property
    def is_stored(self) -> bool:
        """Whether the aggregated weights are the stored matrix itself."""
        return self.plain == len(self.summed.matrix) and self.summed.below.is_plain


def bind(claims: Sequence[LayerClaim], stages: Sequence[Stage], kind: str) -> list[BoundClaim]:
    """Bind each claim to its stage of a network; there are as many claims as stages."""
    bound: list[BoundClaim] = []
    for number, (claim, stage) in enumerate(zip(claims, stages, strict=True)):
        below = bound[-1] if stage.open else None
        above = stages[number + 1] if number + 1 < len(stages) else None
        bound.append(BoundClaim(claim, stage, below, above, kind))
    return bound


def aggregated(stage: Stage, below: BoundClaim | None) -> Rows:
    """Aggregate the weights of a stage by the classes of the stage that it reads."""
    matrix, bias = stage.matrix, stage.layer.bias
    if below is None:
        every = np.arange(len(matrix))
        summed = DenseStructure(matrix, bias, RowClasses.separate(len(matrix)))
        return Rows(summed, every, every, len(matrix))
    assert below.stage.rows is not None
    width = below.stage.rows.shape[1]
    owner = np.empty(len(matrix), dtype=np.int64)
    position = np.empty(len(matrix), dtype=np.int64)
    owner[below.stage.rows] = np.arange(below.stage.units)[:, None]
    position[below.stage.rows] = np.arange(width)
    parts = [(below.moving, below.carried)]
    if below.reflected.any():
        parts.append((below.reflected, below.claim.factors * below.stage.reflection))
    members: list[Array] = []
    starts, factors, keys = [], [], []
    for chosen, factor in parts:
        found = np.flatnonzero(chosen[owner])
        key = below.partition.labels[owner[found]] * width + position[found]
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.diff(key[order], prepend=-1))
        starts.append(first + sum(len(part) for part in members))
        members.append(found[order])
        factors.append(factor[owner[found[order]]])
        keys.append(key[order][first])
    folded = np.flatnonzero(~below.moving[owner])
    values = [below.claim.constants[unit] for unit in owner[folded].tolist()]
    incoming = RowClasses(
        np.concatenate(members),
        np.concatenate(starts),
        np.concatenate(factors),
        folded,
        np.array(values, dtype=object),
    )
    key = np.concatenate(keys)
    classes, places = key // width, np.searchsorted(keys[0], key)
    summed = DenseStructure(matrix, bias, incoming)
    return Rows(summed, classes, places, len(keys[0]))
