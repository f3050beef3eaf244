"""Group normalisation: the channels of a group share one mean and one variance, whatever the number of positions.

Both depend on the shares that values have among the channels of the group, not on their number.  If in every group
every value occurs a multiple of m times, the group consists of m equal *copies*: a copy leaves as a whole, and then
the shares are what they were.  A group leaves with its last copy.  All groups that stay keep equally many channels.
"""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import ONE, Value
from lumpability.networks.tensors.call import Call, Declined
from lumpability.numbers.float_arrays import Array

__all__: list[str] = []

OPERATORS = frozenset(["GroupNormalization"])


def serves(call: Call) -> bool:
    """Whether scales and shifts are stored."""
    return call.moving(0) and call.constant(1) is not None and call.constant(2) is not None


def apply(call: Call) -> None:
    """Record the output."""
    shape, groups = call.shape(), int(call.attributes.get("num_groups", 1))
    if len(shape) < 2 or groups < 1 or shape[1] % groups:
        raise Declined("has channels that its groups do not divide")
    seen = call.work.view(call.tensor(0), {1})
    values = [array.reshape(groups, -1) for array in seen.along(shape[1])]
    weights = _weights(call, groups, shape[1])
    if not call.work.algebra.domains.partial.isdisjoint(values[1].ravel().tolist()):
        raise Declined("normalises what may be infinite")
    call.notes["copies"] = _copies(call, values, weights)
    name = call.named((call.name(0), {1}), (call.node.output[0], {1}))
    found = [_normalised(call, name, group) for group in zip(*values[1:], *weights, strict=True)]
    place = [1, shape[1], *(1 for _ in shape[2:])]
    numbers = np.array(found, dtype=np.int64).reshape(-1, 2).T
    call.yields(
        {1}, values[0].reshape(place), (numbers[0].reshape(place), numbers[1].reshape(place))
    )


def _weights(call: Call, groups: int, channels: int) -> list[Array]:
    """Return scales and shifts, shape (groups, channels of a group); old versions have one for each group."""
    found = []
    for slot in (1, 2):
        known = call.constant(slot)
        assert known is not None
        if known.size not in (groups, channels) or not np.isfinite(known).all():
            raise Declined("has weights that do not fit")
        found.append(np.repeat(known.ravel(), channels // known.size).reshape(groups, -1))
    return found


def _copies(call: Call, values: list[Array], weights: list[Array]) -> Array:
    """Let the channels of each copy leave together; return a label for each, shape (groups, copies)."""
    labels, ids, facs = values
    classes = []
    for group in zip(ids, facs, *weights, strict=True):
        members: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
        for channel, (atom, factor, *rest) in enumerate(
            zip(*map(np.ndarray.tolist, group), strict=True)
        ):
            members.setdefault((atom, factor), []).append((*rest, channel))
        classes.append([[item[-1] for item in sorted(found)] for found in members.values()])
    count = math.gcd(*(len(members) for group in classes for members in group))
    first = np.zeros((len(labels), count), dtype=np.int64)
    for number, several in enumerate(classes):
        for copy in range(count):
            own = labels[number, [k for members in several for k in members[copy::count]]]
            call.work.labels.unite(own, own[:1], f"{call.where} takes its group together")
            first[number, copy] = own[0]
    if first.size == 1:
        call.work.labels.hold(first, f"{call.where} works along its units")
    return first


def _normalised(call: Call, name: Any, group: tuple[Array, ...]) -> list[tuple[int, int]]:
    """Return atoms and factors of one group's channels; the norm is an odd function of all of them."""
    ids, facs, scales, shifts = group
    algebra = call.work.algebra
    values = [(a, algebra.fractions[f]) for a, f in zip(ids.tolist(), facs.tolist(), strict=True)]
    counts = Counter(values)
    share = math.gcd(*counts.values())
    told = [
        tuple(sorted((atom, sign * factor, n // share) for (atom, factor), n in counts.items()))
        for sign in (1, -1)
    ]
    sign, even = (1 if told[0] <= told[1] else -1), told[0] == told[1]
    flat = len(counts) == 1 and values[0][0] in algebra.constants
    found = []
    for (atom, factor), *weight in zip(values, scales.tolist(), shifts.tolist(), strict=True):
        own = (1 if factor > 0 else -1) if even else sign
        norm: Value = (algebra.atom((name, min(told), atom, own * factor)), Fraction(own))
        scale, shift = map(Fraction, weight)
        parts = [(norm[0], Fraction(0) if flat else norm[1] * scale), (ONE, shift)]
        found.append(algebra.numbers(algebra.total(parts)))
    return found


def edit(call: Call, edit: Any) -> None:
    """Cut scales and shifts, and count the groups that are left."""
    channels, groups = call.shape()[1], int(call.attributes.get("num_groups", 1))
    kept = edit.axis(call.node.output[0], 1)
    if len(kept) == channels:
        return
    stay = np.unique(kept // (channels // groups))
    for slot in (1, 2):
        known = call.constant(slot)
        assert known is not None
        places = kept if known.size == channels else stay
        edit.constant(call, slot, known[places], places=places)
    edit.attribute(call, "num_groups", len(stay))


def uneven(call: Call, edit: Any) -> Array | None:
    """Return labels to give back so that all groups that stay keep equally many copies."""
    copies: Array = call.notes["copies"]
    kept = edit.keeps(copies)
    goal = int(kept.sum(axis=1).max())
    for labels, have in zip(copies, kept, strict=True):
        if have.any() and have.sum() < goal:
            return np.asarray(labels[~have][: goal - int(have.sum())])
    return None
