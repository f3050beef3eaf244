"""Soundness of a network lumping: every layer's identity, checked in exact arithmetic.

For every layer l with weights W, b of the network and W^, b^ of the quotient

    A_{l-1} W_l = W^_l A_l      and      b_l + (constants' rows of W_l) = b^_l A_l,

where A_l has one admissible factor c(s) in each column.  W^ has the column of the first member of each class,
divided by its factor.  So the identity says: the aggregated columns of one class are multiples of each other,
and the aggregated weights from dead classes into all classes that stay are zero.  Constants have aggregated
weights zero and the stated value.  The layers after unit s map c(s) y to carried(s) times the value to which the
layers after the first member of the class map y, for all y.  If the sign is reflected,
act(-c y) = c act(y) - r c y, the terms in y form a second identity

    N_{l-1} W_l = S_l A_l,      N[C, s] = r c(s) for reflected units, else 0.

Together this gives h_l = h^_l A_l on all inputs by induction.
"""

from __future__ import annotations

import numpy as np

from lumpability.networks.bound_claims import BoundClaim
from lumpability.networks.claims import admits_factors
from lumpability.networks.unit_functions import value_after
from lumpability.numbers.float_arrays import Array, as_floats, is_safe, products_agree, to_fractions
from lumpability.structure.dense import BLOCK


def unsound(bound: BoundClaim) -> str | None:
    """Return what is wrong with the claim about one layer, if those below it are right; None if nothing is."""
    problem = _unfit(bound)
    if problem is None and bound.stage.held is not None:
        problem = _changed(bound)
    elif problem is None:
        problem = _bad_factors(bound) or _bad_constants(bound)
    return problem or _bad_columns(bound) or _used_though_dead(bound)


def _unfit(bound: BoundClaim) -> str | None:
    claim, stage = bound.claim, bound.stage
    if claim.layer != stage.position:
        return f"the claim is about layer {claim.layer}"
    if not claim.partition.n == len(claim.factors) == stage.units:
        return f"the claim has {claim.partition.n} units, the layer {stage.units}"
    if claim.held != stage.held:
        return f"the claim says held: {claim.held}, but it is held: {stage.held}"
    if claim.antiparallel and stage.reflection is None:
        return "units of opposite sign cannot share a class before this activation"
    if claim.admits != (None if stage.held is not None else bound.group.value):
        return f"the claim admits {claim.admits}, the layer {bound.group.value}"
    if len(claim.live) != len(claim.partition) or not all(
        0 <= unit < stage.units for unit in claim.constants
    ):
        return "the claim is inconsistent"
    labels, constant = claim.partition.labels, bound.constant_classes
    if np.any(constant[labels[bound.moving]]) or np.any(constant & claim.live):
        return "constants share a class with other units, or are not folded"
    return None


def _changed(bound: BoundClaim) -> str | None:
    """Check that the units of a held layer stay as they are."""
    claim = bound.claim
    plain = all(factor == 1 for factor in claim.factors.tolist())
    if plain and len(claim.partition) == claim.partition.n and claim.live.all():
        return None
    return f"units were changed although {bound.stage.held}"


def _bad_factors(bound: BoundClaim) -> str | None:
    """Check that every factor passes the layers that follow, and that the rules admit it."""
    claim, stage = bound.claim, bound.stage
    factors = claim.factors.tolist()
    if not all(factors):
        return "a factor is zero"
    if not claim.antiparallel and bound.reflected.any():
        return "units of opposite sign share a class against the rules of the layer"
    for unit, left in enumerate(bound.carried.tolist()):
        if left == 0:
            return f"unit {unit}: the factor {factors[unit]} does not pass the layers that follow"
        size = factors[unit] if stage.reflection is None else abs(factors[unit])
        if not admits_factors(bound.kind) and not size == left == 1:
            return f"factor {factors[unit]} in an exact lumping"
    return None


def _bad_constants(bound: BoundClaim) -> str | None:
    """Check the values of constants and where they are folded."""
    constants = bound.claim.constants
    if bound.only_zero and any(constants.values()):
        return "a constant that is not zero is folded before a padded convolution"
    units = np.array(sorted(constants), dtype=np.int64)
    summed = bound.rows.summed
    moves = ~summed.zero_columns(units)
    for unit, moved in zip(units.tolist(), moves.tolist(), strict=True):
        start = None if moved else to_fractions(summed.bias[unit : unit + 1]).tolist()[0]
        if value_after(bound.stage.steps, unit, start) != constants[unit]:
            return f"unit {unit} is not the constant {constants[unit]}"
    return None


def _bad_columns(bound: BoundClaim) -> str | None:
    """Check that every unit's aggregated column is its factor times the column of its class."""
    firsts = bound.firsts
    units = np.flatnonzero(firsts != np.arange(len(firsts)))
    if not len(units):
        return None
    summed, factors = bound.rows.summed, bound.claim.factors
    leaders, place = np.unique(firsts[units], return_inverse=True)
    ours, theirs = factors[units], factors[firsts[units]]
    wrong = ~_proportional(summed.bias[units][None], theirs, summed.bias[firsts[units]][None], ours)
    step = max(1, BLOCK // len(units))
    for low in range(0, summed.classes, step):
        rows = np.arange(low, min(low + step, summed.classes))
        found, column = summed.entries(rows, units), summed.entries(rows, leaders)
        wrong |= ~_proportional(found, theirs, column[:, place], ours)
        if wrong.any():
            break
    if not wrong.any():
        return None
    unit = int(units[np.flatnonzero(wrong)[0]])
    return f"A W = W^ A fails for unit {unit}: not {factors[unit] / factors[firsts[unit]]} times unit {firsts[unit]}"


def _proportional(left: Array, by: Array, right: Array, other: Array) -> Array:
    """Return the columns for which left * by = right * other in all rows, exactly; factors by column."""
    if object not in (left.dtype, right.dtype) and is_safe(left) and is_safe(right):
        (a, known), (b, also) = as_floats(by), as_floats(other)
        if known.all() and also.all() and is_safe(a) and is_safe(b):
            return np.asarray(products_agree(left, a, right, b).all(axis=0))
    same = to_fractions(left) * by == to_fractions(right) * other
    return np.asarray(np.array(same, dtype=bool).all(axis=0))


def _used_though_dead(bound: BoundClaim) -> str | None:
    """Check that no unit that stays uses a class that does not."""
    gone = np.flatnonzero(~bound.stays)
    columns = np.flatnonzero(bound.live[bound.partition.labels])
    step = max(1, BLOCK // max(len(columns), 1))
    for low in range(0, len(gone), step):
        rows = gone[low : low + step]
        used = np.array(bound.rows.summed.entries(rows, columns) != 0, dtype=bool)
        if used.any():
            row, unit = (int(k[0]) for k in np.nonzero(used))
            dead = bound.rows.classes[rows[row]]
            return (
                f"unit {columns[unit]} uses class {dead} of the layer below, which is claimed dead"
            )
    return None
