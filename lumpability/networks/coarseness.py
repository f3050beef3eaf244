"""Coarseness of a network lumping: no two classes of a layer could be merged, no unit could be removed.

A merge below never separates anything above, so one forward pass gives the unique coarsest lumping, and it
suffices to check each layer with the claimed classes below it.  Three things are checked.  The columns of
U = [A W; N W; b] at the first members of two classes are not multiples of each other by a factor that the
layer's rule admits, unless different functions follow them.  No class that could be folded as a constant is
left.  Every class that stays has a nonzero weight into a class that stays.

Correctly rounded division makes the first check fast: fl(x / y) depends on the rational x / y alone, so
columns whose quotients by their first entry differ as floats are not multiples.  Rows are read until all
columns differ; columns that floats do not tell apart are compared in fractions.  Floats refute; they never
confirm.
"""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

import numpy as np

from lumpability.networks.bound_claims import BoundClaim, NewWeights
from lumpability.networks.claims import admits_factors
from lumpability.networks.unit_functions import value_after
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group
from lumpability.structure.dense import BLOCK, DenseStructure


def improvable(bound: BoundClaim, above: NewWeights | None) -> str | None:
    """Return a merge or removal that the claim about a layer omits, in words, or None.

    - bound: a claim that is sound, as are all claims below it
    - above: the quotient's weights of the next layer; None if the layer is held
    """
    if bound.stage.held is not None:
        return None
    firsts = bound.partition.representatives
    together, still = _separate(bound.rows.summed, firsts, bound.group)
    return (
        _foldable(bound, set(firsts[still].tolist()))
        or _mergeable(bound, [firsts[group] for group in together])
        or _unused(bound, above)
    )


def _separate(summed: DenseStructure, columns: Array, group: Group) -> tuple[list[Array], Array]:
    """Return groups of columns that floats do not tell apart, and the columns without a nonzero weight.

    Invariant: columns that are multiples of each other by a factor of the group have equal labels, equal
    first entries up to that factor, and are active or not together.
    """
    label = np.zeros(len(columns), dtype=np.int64)
    first = np.zeros(len(columns))
    active = np.arange(len(columns))
    rough: list[int] = []  # rows that are not exact as floats
    low, count = 0, 1
    while low < summed.classes and len(active):
        high = min(summed.classes, low + max(1, min(count, BLOCK // len(active))))
        values, exact = summed.block(low, high, columns[active])
        rough += (low + np.flatnonzero(~exact)).tolist()
        values = values[exact].astype(np.float64)
        if len(values):
            _refine(label, first, active, values, group)
            sizes = np.bincount(label[active])
            active = active[(sizes[label[active]] > 1) | (first[active] == 0)]
        low, count = high, 2 * count
    empty = np.flatnonzero(first == 0)
    if len(rough) and len(empty):
        entries = summed.fractions(np.array(rough), columns[empty])
        empty = empty[~np.array(entries != 0, dtype=bool).any(axis=0)]
    if summed.bias.dtype != object and len(active):
        bias = summed.bias[columns[active]][None].astype(np.float64)
        _refine(label, first, active, bias, group)
    order = active[np.argsort(label[active], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return [found for found in groups if len(found) > 1], empty


def _refine(label: Array, first: Array, active: Array, values: Array, group: Group) -> None:
    """Split labels by the quotients of some rows by the first entries."""
    lead = first[active]
    missing = np.flatnonzero(lead == 0)
    if len(missing):
        place = (values[:, missing] != 0).argmax(axis=0)
        lead[missing] = values[place, missing]
        first[active] = lead
    divisor = group.parts(np.where(lead == 0, 1.0, lead))
    with np.errstate(over="ignore", under="ignore"):
        quotients = values / divisor + 0.0  # -0.0 becomes 0.0
    keys = np.ascontiguousarray(np.vstack([label[active], quotients.view(np.int64)]).T)
    whole = keys.view(np.dtype((np.void, keys.shape[1] * keys.itemsize))).ravel()
    label[active] = np.unique(whole, return_inverse=True)[1]


def _foldable(bound: BoundClaim, still: set[int]) -> str | None:
    """Find a class that is constant and not folded; `still` are first members without weights."""
    steps, constants = bound.stage.steps, bound.claim.constants
    firsts = bound.partition.representatives.tolist()
    for unit in sorted(still) if bound.stage.is_uniform else firsts:
        if unit in constants:
            continue
        bias = to_fractions(bound.rows.summed.bias[unit : unit + 1]).tolist()[0]
        value = value_after(steps, unit, bias if unit in still else None)
        if value is not None and (value == 0 or not bound.only_zero):
            return f"unit {unit} is the constant {value} and could be folded"
    return None


def _mergeable(bound: BoundClaim, groups: list[Array]) -> str | None:
    """Find two classes in one group whose columns are multiples, and that the same function follows."""
    summed, rows = bound.rows.summed, np.arange(bound.rows.summed.classes)
    for columns in groups:
        seen: dict[Hashable, int] = {}
        step = max(1, BLOCK // (4 * max(len(rows), 1)))
        for low in range(0, len(columns), step):
            chosen = columns[low : low + step]
            entries = np.vstack([summed.fractions(rows, chosen), to_fractions(summed.bias[chosen])])
            for unit, numbers in zip(chosen.tolist(), entries.T.tolist(), strict=True):
                divisor = bound.group.part(next(filter(None, numbers), Fraction(1)))
                function, left = bound.stage.pull(unit, divisor)
                form = tuple(number / divisor for number in numbers)
                same = None if admits_factors(bound.kind) else left
                other = seen.setdefault((form, function, unit in bound.claim.constants, same), unit)
                if other != unit:
                    return f"units {other} and {unit} are in different classes and could be merged"
    return None


def _unused(bound: BoundClaim, above: NewWeights | None) -> str | None:
    """Find a class that stays although all its weights into classes that stay are zero."""
    live = bound.partition.representatives[bound.live]
    if above is None or not len(live) or not above.matrix.size:
        spare = live if above is not None else live[:0]
    else:
        used = np.zeros(len(live), dtype=bool)
        for matrix in (above.matrix, above.skip):
            if matrix is not None:
                nonzero = np.array(matrix != 0, dtype=bool).any(axis=1)
                used |= nonzero.reshape(len(live), -1).any(axis=1)
        spare = live[~used]
    return f"unit {spare[0]} is dead: nothing that stays uses its class" if len(spare) else None
