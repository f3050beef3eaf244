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
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.tensor import Declined, Tensor
from lumpability.numbers.float_arrays import Array

__all__: list[str] = []

OPERATORS = frozenset(["GroupNormalization", "InstanceNormalization"])


def serves(call: Call) -> bool:
    """Whether scales and shifts are stored; an instance norm is one of groups if its input has a view."""
    grouped = call.op == "GroupNormalization" or call.name(0) in call.work.views
    stored = all(call.constant(slot) is not None for slot in (1, 2))
    return grouped and call.moving(0) and stored


def apply(call: Call) -> None:
    """Record the output."""
    shape, axes, groups = call.shape(), _axes(call), _groups(call)
    channels = math.prod(shape[axis] for axis in axes)
    if len(shape) < 2 or groups < 1 or channels % groups:
        raise Declined("has channels that its groups do not divide")
    seen = call.work.view(call.tensor(0), axes)
    if len(axes) > 1:
        wide = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
        arrays = [np.broadcast_to(a, wide) for a in (seen.labels, seen.ids, seen.facs)]
        seen = Tensor(shape, frozenset(axes), *arrays)
    values = [array.reshape(groups, -1) for array in seen.along(channels)]
    weights = _weights(call, groups, channels)
    call.refuse_partial(values[1])
    call.notes["copies"] = _copies(call, values, weights)
    name = call.named((call.name(0), axes), (call.node.output[0], axes))
    found = [_normalised(call, name, group) for group in zip(*values[1:], *weights, strict=True)]
    place = [n if axis in axes else 1 for axis, n in enumerate(shape)]
    numbers = np.array(found, dtype=np.int64).reshape(-1, 2).T
    call.yields(
        axes, values[0].reshape(place), (numbers[0].reshape(place), numbers[1].reshape(place))
    )


def _axes(call: Call) -> tuple[int, ...]:
    """Return the axes of the channels: one, or groups and channels of a group."""
    return (1,) if call.op == "GroupNormalization" else (1, 2)


def _groups(call: Call) -> int:
    if call.op == "GroupNormalization":
        return int(call.attributes.get("num_groups", 1))
    return call.shape()[1]


def _weights(call: Call, groups: int, channels: int) -> list[Array]:
    """Return scales and shifts, shape (groups, channels of a group); old versions have one for each group."""
    found = []
    for slot in (1, 2):
        known = call.weights(slot)
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
    size, groups = call.shape()[1], _groups(call)
    kept = edit.axis(call.node.output[0], 1)
    if len(kept) == size:
        return
    stay = np.unique(kept // (size // groups))
    for slot in (1, 2):
        known = call.weights(slot)
        places = kept if known.size == size else stay
        edit.constant(call, slot, known[places], places=places)
    if call.op == "GroupNormalization":
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
