"""Proof of a network lumping: every layer's identity, checked again in exact arithmetic.

For every layer l with weights W, b of the network and W^, b^ of the quotient

    A_{l-1} W_l = W^_l A_l      and      b_l + (constants' rows of W_l) = b^_l A_l,

where A_l has one admissible factor c(s) in each column.  Constants have aggregated weights zero and the
stated value; dead units have zero aggregated weights into everything that stays.  What follows the weights
of unit s takes c(s) y to carried(s) times what it makes of y at the first member of the class, for all y.
Where the sign is reflected, act(-c y) = c act(y) - r c y, the terms in y form a second identity

    N_{l-1} W_l = S_l A_l,      N[C, s] = r c(s) for reflected units, else 0.

Together this gives h_l = h^_l A_l on all inputs by induction.  Last, the stored quotient must be what all
this is about (`lumpability.networks.stored`).  The network is cut into stages anew; nothing here uses the
engine or the code that found the classes and made the quotient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from lumpability.networks.after import value_after
from lumpability.networks.aggregation import BLOCK, Aggregation, Incoming
from lumpability.networks.arrays import Array, is_safe, products_agree, to_fractions
from lumpability.networks.layers import Conv
from lumpability.networks.network import Network
from lumpability.networks.rounding import Rounding
from lumpability.networks.stages import Stage, stages_of
from lumpability.networks.stored import StoredQuotient
from lumpability.quotient import Verdict

if TYPE_CHECKING:
    from lumpability.networks.merging import MergedStage
    from lumpability.networks.narrowing import NewWeights

__all__ = ["NetworkCertificate"]


@dataclass(frozen=True, eq=False)
class NetworkCertificate:
    """What a network lumping claims, and the means to check it.

    Attributes
    ----------
    network, quotient : Network
        As stored; the quotient must hold the rounded exact weights and the parameters of first members.
    stages : tuple of MergedStage
        Partition, factors, constants and live classes of every layer with weights.
    weights : tuple of NewWeights
        The exact weights of the quotient.
    rounding : Rounding
        What storing them changed; the identity is about the exact ones.
    kind : str
    """

    network: Network
    quotient: Network
    stages: tuple[MergedStage, ...]
    weights: tuple[NewWeights, ...]
    rounding: Rounding
    kind: str

    def verify(self) -> Verdict:
        """Check every identity; a falsy verdict says which layer and unit fail.

        Returns
        -------
        Verdict

        Notes
        -----
        About one pass over all weights.
        """
        problem = next(self._problems(), None)
        if problem is not None:
            return Verdict(self.kind, problem, f"rejected: {problem}")
        rounded = f"; {self.rounding}" if self.rounding.rounded else ""
        text = f"A W = W^ A and b = b^ A hold exactly in all {len(self.stages)} layers{rounded}"
        return Verdict(self.kind, None, text)

    def _problems(self) -> Iterator[str]:
        cut = stages_of(self.network)
        if not len(cut) == len(self.stages) == len(self.weights):
            yield f"the network has {len(cut)} layers with weights, the claim {len(self.stages)}"
            return
        claims = [
            replace(claim, stage=stage) for claim, stage in zip(self.stages, cut, strict=True)
        ]
        for number, claim in enumerate(claims):
            below = claims[number - 1] if claim.stage.open else None
            above = cut[number + 1] if number + 1 < len(cut) else None
            problem = (
                _check_sizes(claim)
                or _check_factors(claim, self.kind)
                or _check_weights(claim, below, self.weights[number])
                or _check_constants(claim, below, above)
            )
            if problem is not None:
                yield f"layer {claim.stage.position}: {problem}"
        stored = StoredQuotient(self.network, self.quotient, tuple(claims), self.weights)
        problem = stored.problem()
        if problem is not None:
            yield problem
        elif stored.largest_change != self.rounding.largest:
            yield f"rounding changed a weight by {stored.largest_change}, not {self.rounding.largest}"


def _check_sizes(claim: MergedStage) -> str | None:
    units, classes = claim.stage.units, len(claim.partition)
    fits = len(claim.partition.labels) == len(claim.factors) == len(claim.carried) == units
    within = all(0 <= unit < units for unit in claim.constants)
    return None if fits and within and len(claim.live) == classes else "the claim does not fit"


def _moving(claim: MergedStage) -> Array:
    """Whether each unit is not a constant."""
    moving = np.ones(claim.stage.units, dtype=bool)
    moving[list(claim.constants)] = False
    return moving


def _reflected(claim: MergedStage) -> Array:
    """Whether each unit has the opposite sign of its class and no factor of that sign passes."""
    if claim.stage.reflection is None:
        return np.zeros(claim.stage.units, dtype=bool)
    negative = np.array([factor < 0 for factor in claim.factors.tolist()], dtype=bool)
    return np.asarray(_moving(claim) & negative)


@dataclass(frozen=True, eq=False)
class _Rows:
    """A W and N W, with their rows ordered by class and position.

    Attributes
    ----------
    summed : Aggregation
    classes : int array, shape (rows,)
        Class of each row.
    places : int array, shape (rows,)
        Row of W^, or of S, if all classes stayed.
    plain : int
        Number of rows of A W; those of N W follow.
    """

    summed: Aggregation
    classes: Array
    places: Array
    plain: int


def _aggregated(claim: MergedStage, below: MergedStage | None) -> _Rows:
    matrix, bias = claim.stage.matrix, claim.stage.layer.bias
    if below is None:
        every = np.arange(len(matrix))
        separate = Aggregation(matrix, bias, Incoming.separate(len(matrix)))
        return _Rows(separate, every, every, len(matrix))
    rows, reflection = below.stage.rows, below.stage.reflection
    assert rows is not None
    width = rows.shape[1]
    owner, place = np.empty(rows.size, dtype=np.int64), np.empty(rows.size, dtype=np.int64)
    owner[rows] = np.arange(len(rows))[:, None]
    place[rows] = np.arange(width)
    moving = _moving(below)
    parts = [(moving, below.carried)]
    if reflection is not None:
        parts.append((_reflected(below), below.factors * reflection))
    members: list[Array] = []
    starts: list[Array] = []
    factors: list[Array] = []
    keys: list[Array] = []
    for chosen, factor in parts:
        found = np.flatnonzero(chosen[owner])
        key = below.partition.labels[owner[found]].astype(np.int64) * width + place[found]
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.diff(key[order], prepend=-1))
        starts.append(first + sum(len(part) for part in members))
        members.append(found[order])
        factors.append(factor[owner[found[order]]])
        keys.append(key[order][first])
    folded = np.flatnonzero(~moving[owner])
    values = np.array([below.constants[unit] for unit in owner[folded].tolist()], dtype=object)
    incoming = Incoming(
        np.concatenate(members), np.concatenate(starts), np.concatenate(factors), folded, values
    )
    key = np.concatenate(keys)
    places = np.searchsorted(keys[0], key)
    return _Rows(Aggregation(matrix, bias, incoming), key // width, places, len(keys[0]))


def _check_weights(
    claim: MergedStage, below: MergedStage | None, weights: NewWeights
) -> str | None:
    """Check A W = W^ A and N W = S A on what stays, zero from dead classes, and the biases."""
    rows = _aggregated(claim, below)
    labels, live = claim.partition.labels, int(claim.live.sum())
    number = np.full(len(claim.partition), -1)
    number[claim.live] = np.arange(live)
    columns = np.flatnonzero(claim.live[labels])
    target, factors = number[labels[columns]], claim.factors[columns]
    stays = np.ones(len(rows.classes), dtype=bool) if below is None else below.live[rows.classes]
    shape = (int(stays[: rows.plain].sum()), live)
    for name, matrix in (("weights", weights.matrix), ("skip", weights.skip)):
        if matrix is not None and matrix.shape != shape:
            return f"the quotient's {name} have shape {matrix.shape}, not {shape}"
    place = (np.cumsum(stays[: rows.plain]) - 1)[rows.places]
    step = max(1, BLOCK // max(len(columns), 1))
    for low, high, matrix, name in (
        (0, rows.plain, weights.matrix, "A W = W^ A"),
        (rows.plain, len(stays), weights.skip, "N W = S A"),
    ):
        for start in range(low, high, step):
            chosen = np.arange(start, min(start + step, high))
            found = rows.summed.entries(chosen, columns)
            wrong = np.array(found != 0, dtype=bool)
            there = stays[chosen]
            if matrix is not None and there.any():
                claimed = matrix[place[chosen[there]]][:, target]
                wrong[there] = ~_multiples(found[there], claimed, factors)
            if wrong.any():
                unit = int(columns[np.flatnonzero(wrong.any(axis=0))[0]])
                return f"{name} fails for unit {unit}"
    unused = np.ones(shape[0], dtype=bool)
    unused[place[rows.plain :][stays[rows.plain :]]] = False
    if weights.skip is not None and np.array(weights.skip[unused] != 0, dtype=bool).any():
        return "a class without reflected units has a skip"
    claimed_bias = np.zeros(live) if weights.bias is None else weights.bias
    if claimed_bias.shape != (live,):
        return f"the quotient's bias has shape {claimed_bias.shape}, not {(live,)}"
    right = _multiples(rows.summed.bias[columns][None], claimed_bias[target][None], factors)[0]
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


def _check_factors(claim: MergedStage, kind: str) -> str | None:
    """Check that what follows takes c y to carried times what it makes of y, and that held units stay."""
    stage = claim.stage
    factors, carried = claim.factors.tolist(), claim.carried.tolist()
    if stage.held is not None:
        plain = all(f == 1 for f in factors) and all(f == 1 for f in carried)
        fine = len(claim.partition) == stage.units and plain and claim.live.all()
        return None if fine and not claim.constants else f"units were changed although {stage.held}"
    if not all(factors):
        return "a factor is zero"
    first = claim.partition.representatives[claim.partition.labels].tolist()
    seen: set[tuple[Fraction, Fraction]] = set()
    moving = _moving(claim).tolist()
    for unit, (factor, left) in enumerate(zip(factors, carried, strict=True)):
        if not moving[unit]:
            continue
        size = factor if stage.reflection is None else abs(factor)
        if kind == "exact" and stage.is_uniform and size != 1:
            return f"factor {factor} in an exact lumping"
        case = (factor, left)
        if case in seen or (unit == first[unit] and case == (1, 1)):
            continue
        key, rest = stage.pull(unit, factor)
        measure, common = stage.pull(first[unit], Fraction(1))
        if key != measure or rest != left * common:
            return f"unit {unit}: the factor {factor} does not pass what follows as {left}"
        if stage.is_uniform:
            seen.add(case)
    return None


def _check_constants(
    claim: MergedStage, below: MergedStage | None, above: Stage | None
) -> str | None:
    """Check the values of constants, where they are folded, and that dead classes are classes."""
    constant = np.array(sorted(claim.constants), dtype=np.int64)
    moving = _moving(claim)
    dead = [
        block[moving[block]] for b, block in enumerate(claim.partition.blocks) if not claim.live[b]
    ]
    dead = [members for members in dead if len(members) > 1]
    if not len(constant) and not dead:
        return None
    padded = above is not None and isinstance(above.layer, Conv) and above.layer.is_padded
    if padded and any(claim.constants.values()):
        return "a constant that is not zero is folded before a padded convolution"
    rows = _aggregated(claim, below)
    summed, every = rows.summed, np.arange(len(rows.classes))
    moves = ~summed.zero_columns(constant)
    for unit, moved in zip(constant.tolist(), moves.tolist(), strict=True):
        start = None if moved else to_fractions(summed.bias[unit : unit + 1]).tolist()[0]
        if value_after(claim.stage.steps, unit, start) != claim.constants[unit]:
            return f"unit {unit} is not the constant {claim.constants[unit]}"
    for members in dead:
        found = to_fractions(summed.entries(every, members))
        bias = to_fractions(summed.bias[members])
        ratio = claim.factors[members] / claim.factors[members[0]]
        if np.any(found != found[:, :1] * ratio) or np.any(bias != bias[0] * ratio):
            return f"the dead units {members.tolist()} are not multiples of each other"
    return None
