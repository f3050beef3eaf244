"""Proof of a network lumping: every layer's identity, checked again in exact arithmetic.

For every layer l with weights W, b of the network and W^, b^ of the quotient

    A_{l-1} W_l = W^_l A_l      and      b_l + (constants' rows of W_l) = b^_l A_l,

where A_l has one positive (or admissible) factor c(s) in each column.  Constants have aggregated weights
zero and the stated value; dead units have zero aggregated weights into everything that stays.  Together
with act(c x) = carry(c) act(x), checked for every factor, this gives h_l = h^_l A_l on all inputs by
induction.  Nothing here uses the engine or the code that found the classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from lumpability.networks.after import key_and_factor, value_after
from lumpability.networks.aggregation import BLOCK, Aggregation, Incoming
from lumpability.networks.arrays import Array, is_safe, products_agree, round_to, to_fractions
from lumpability.networks.network import Network
from lumpability.networks.stages import stages_of
from lumpability.quotient import Verdict

if TYPE_CHECKING:
    from lumpability.networks.merging import MergedStage
    from lumpability.networks.narrowing import NewWeights, Rounding

__all__ = ["NetworkCertificate"]


@dataclass(frozen=True, eq=False)
class NetworkCertificate:
    """What a network lumping claims, and the means to check it.

    Attributes
    ----------
    stages : tuple of MergedStage
        Partition, factors, constants and live classes of every layer with weights.
    weights : tuple of NewWeights
        The exact weights of the quotient.
    rounding : Rounding
        What storing them changed; the identity is about the exact ones.
    kind : str
    quotient : Network
        What was stored; its weight matrices must be the rounded exact ones.
    """

    stages: tuple[MergedStage, ...]
    weights: tuple[NewWeights, ...]
    rounding: Rounding
    kind: str
    quotient: Network

    def verify(self) -> Verdict:
        """Check every identity; a falsy verdict says which layer and unit fail.

        Returns
        -------
        Verdict

        Notes
        -----
        About one pass over all weights.
        """
        for number, stage in enumerate(self.stages):
            below = self.stages[number - 1] if stage.stage.open else None
            problem = (
                _check_factors(stage, self.kind)
                or _check_weights(stage, below, self.weights[number])
                or _check_constants(stage, below)
            )
            if problem is not None:
                where = f"layer {stage.stage.position}: {problem}"
                return Verdict(self.kind, where, f"rejected: {where}")
        problem = _check_stored(self.quotient, self.stages, self.weights)
        if problem is not None:
            return Verdict(self.kind, problem, f"rejected: {problem}")
        rounded = f"; {self.rounding}" if self.rounding.rounded else ""
        text = f"A W = W^ A and b = b^ A hold exactly in all {len(self.stages)} layers{rounded}"
        return Verdict(self.kind, None, text)


def _check_stored(
    quotient: Network, stages: tuple[MergedStage, ...], weights: tuple[NewWeights, ...]
) -> str | None:
    """Check that the quotient's weight matrices are the exact ones, rounded, rows where units arrive."""
    stored = stages_of(quotient)
    kept = list(range(len(stages)))
    empty = [i for i, stage in enumerate(stages) if not stage.live.any()]
    if len(stored) < len(stages) and empty:  # dense layers below a constant were dropped
        last = empty[-1] + 1
        first = last - (len(stages) - len(stored))
        if not all(stages[i].stage.open for i in range(first + 1, last + 1)):
            return "the quotient lacks layers"
        kept = [i for i in kept if not first <= i < last]
    if len(stored) != len(kept):
        return "the quotient has other layers"
    rows: Array | None = None
    for i, found in zip(kept, stored, strict=True):
        expected = round_to(weights[i].matrix, found.matrix.dtype)[0]
        bias = weights[i].bias
        if expected.size == 0:
            expected = np.zeros(found.matrix.shape, dtype=found.matrix.dtype)
            bias = bias if weights[i].matrix.shape[1] else None
        elif found.open and rows is not None:
            placed = np.empty_like(expected)
            placed[rows.ravel()] = expected
            expected = placed
        same = expected.shape == found.matrix.shape and np.array_equal(expected, found.matrix)
        has = np.zeros(found.units) if found.layer.bias is None else found.layer.bias
        wanted = np.zeros(found.units) if bias is None else round_to(bias, has.dtype)[0]
        if not same or not np.array_equal(has, wanted):
            return f"layer {found.position} of the quotient is not what the proof is about"
        rows = found.rows
    return None


def _row_owners(below: MergedStage) -> tuple[Array, Array]:
    """Return the unit and the position of every row of the next matrix."""
    rows = below.stage.rows
    assert rows is not None
    owner, place = np.empty(rows.size, dtype=np.int64), np.empty(rows.size, dtype=np.int64)
    owner[rows] = np.arange(len(rows))[:, None]
    place[rows] = np.arange(rows.shape[1])
    return owner, place


def _aggregated(stage: MergedStage, below: MergedStage | None) -> tuple[Aggregation, Array, int]:
    """Return A W with its rows ordered by class and position, the classes of the rows, and the width."""
    matrix, bias = stage.stage.matrix, stage.stage.layer.bias
    if below is None:
        return Aggregation(matrix, bias, Incoming.separate(len(matrix))), np.arange(len(matrix)), 1
    owner, place = _row_owners(below)
    width = int(place.max()) + 1
    constant = np.zeros(below.stage.units, dtype=bool)
    constant[list(below.constants)] = True
    moving = np.flatnonzero(~constant[owner])
    key = below.partition.labels[owner[moving]].astype(np.int64) * width + place[moving]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    members = moving[order]
    folded = np.flatnonzero(constant[owner])
    values = np.array([below.constants[unit] for unit in owner[folded].tolist()], dtype=object)
    incoming = Incoming(members, starts, below.carried[owner[members]], folded, values)
    return Aggregation(matrix, bias, incoming), key[order][starts] // width, width


def _check_weights(
    stage: MergedStage, below: MergedStage | None, weights: NewWeights
) -> str | None:
    """Check A W = W^ A on what stays, zero from dead classes, and the biases."""
    summed, row_class, _ = _aggregated(stage, below)
    labels = stage.partition.labels
    place = np.full(len(stage.partition), -1)
    place[stage.live] = np.arange(int(stage.live.sum()))
    columns = np.flatnonzero(stage.live[labels])
    target, factors = place[labels[columns]], stage.factors[columns]
    stays = np.ones(len(row_class), dtype=bool) if below is None else below.live[row_class]
    expected_row = np.cumsum(stays) - 1
    if weights.matrix.shape != (int(stays.sum()), int(stage.live.sum())):
        return f"the quotient's weights have shape {weights.matrix.shape}"
    step = max(1, BLOCK // max(len(columns), 1))
    for low in range(0, len(row_class), step):
        rows = np.arange(low, min(low + step, len(row_class)))
        found = summed.entries(rows, columns)
        claimed = (
            weights.matrix[np.where(stays[rows], expected_row[rows], 0)] if stays.any() else None
        )
        wrong = np.array(found != 0, dtype=bool)
        if claimed is not None:
            there = stays[rows]
            wrong[there] = ~_multiples(found[there], claimed[there][:, target], factors)
        if wrong.any():
            unit = int(columns[np.flatnonzero(wrong.any(axis=0))[0]])
            return f"A W = W^ A fails for unit {unit}"
    claimed_bias = np.zeros(int(stage.live.sum())) if weights.bias is None else weights.bias
    right = _multiples(summed.bias[columns][None], claimed_bias[target][None], factors)[0]
    if not right.all():
        return f"b = b^ A fails for unit {int(columns[np.flatnonzero(~right)[0]])}"
    return None


def _multiples(found: Array, claimed: Array, factors: Array) -> Array:
    """Return where found = claimed * factor, exactly, factors by column."""
    ones = np.array([factor == 1 for factor in factors.tolist()], dtype=bool)
    if ones.all() and object not in (found.dtype, claimed.dtype):
        return np.asarray(found == claimed)
    by = np.array([float(factor) for factor in factors.tolist()])
    known = all(Fraction(x) == f for x, f in zip(by.tolist(), factors.tolist(), strict=True))
    floats = object not in (found.dtype, claimed.dtype)
    if floats and known and is_safe(found) and is_safe(claimed) and is_safe(by):
        return products_agree(found, np.ones(1), claimed, by)
    return np.array(to_fractions(found) == to_fractions(claimed) * factors, dtype=bool)


def _check_factors(stage: MergedStage, kind: str) -> str | None:
    """Check act(c x) = carry(c) act(x) for every factor, and that held units stay."""
    one = stage.stage
    plain = all(f == 1 for f in stage.factors.tolist()) and all(
        f == 1 for f in stage.carried.tolist()
    )
    if one.held is not None:
        fine = len(stage.partition) == one.units and plain and stage.live.all()
        return None if fine and not stage.constants else f"units were changed although {one.held}"
    if not all(stage.factors.tolist()):
        return "a factor is zero"
    if one.is_uniform:
        cases = set(zip(stage.factors.tolist(), stage.carried.tolist(), strict=True))
        for factor, carried in cases:
            key, left = key_and_factor(one.steps, 0, factor)
            if key != key_and_factor(one.steps, 0, Fraction(1))[0] or left != carried:
                return f"factor {factor} does not pass what follows"
            if kind == "exact" and factor != 1:
                return f"factor {factor} in an exact lumping"
        return None
    return _check_functions(stage)


def _check_functions(stage: MergedStage) -> str | None:
    """Check that members of a class are followed by the same function up to their factors."""
    constant: Any = stage.constants
    for members in stage.partition.blocks:
        moving = [unit for unit in members.tolist() if unit not in constant]
        if len(moving) < 2:
            continue
        pulled = [key_and_factor(stage.stage.steps, unit, stage.factors[unit]) for unit in moving]
        first_key, first_left = pulled[0]
        for unit, (key, left) in zip(moving, pulled, strict=True):
            if key != first_key or left != stage.carried[unit] * first_left:
                return f"units {moving[0]} and {unit} are followed by different functions"
    return None


def _check_constants(stage: MergedStage, below: MergedStage | None) -> str | None:
    """Check the values of constants, and that dead classes are classes."""
    constant = np.array(sorted(stage.constants), dtype=np.int64)
    folded = set(stage.partition.labels[constant].tolist())
    dead = [b for b in np.flatnonzero(~stage.live).tolist() if b not in folded]
    dead = [b for b in dead if len(stage.partition.blocks[b]) > 1]
    if not len(constant) and not dead:
        return None
    summed, row_class, _ = _aggregated(stage, below)
    rows = np.arange(len(row_class))
    moves = ~summed.zero_columns(constant)
    for unit, moving in zip(constant.tolist(), moves.tolist(), strict=True):
        start = None if moving else to_fractions(summed.bias[unit : unit + 1]).tolist()[0]
        if value_after(stage.stage.steps, unit, start) != stage.constants[unit]:
            return f"unit {unit} is not the constant {stage.constants[unit]}"
    for number in dead:
        members = stage.partition.blocks[number]
        found = to_fractions(summed.entries(rows, members))
        bias = to_fractions(summed.bias[members])
        ratio = stage.factors[members] / stage.factors[members[0]]
        if np.any(found != found[:, :1] * ratio) or np.any(bias != bias[0] * ratio):
            return f"the dead units {members.tolist()} are not multiples of each other"
    return None
