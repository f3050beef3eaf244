"""Which units leave: decided at the readers, then bent until every tensor is a box again.

A reader can do without a channel whose value is zero, whose class nothing that stays depends on, that is a constant it
can fold into its bias, or that is a multiple of one that stays.  So each class of each reader that is depended on keeps
a member, and labels are taken out greedily.  A label that is given back never makes another removal wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.graph.analysis import Analysis
from lumpability.networks.graph.layers import labels_of
from lumpability.networks.tensors.algebra import ONE, Algebra
from lumpability.networks.tensors.labels import HELD
from lumpability.networks.tensors.tensor import Reader
from lumpability.numbers.float_arrays import Array


class _Classes:
    """One reader, and which of its channels stay.

    - number (int array, shape (n,)): class of each channel; -1 if it can always go
    """

    def __init__(self, reader: Reader, roots: Any, endless: list[int]) -> None:
        self.labels, self.rows = roots(reader.labels), roots(reader.rows)
        self.uses = reader.uses
        free = reader.facs == 0
        if reader.folds and reader.sums:
            free = free | (reader.ids == ONE)
        # Sums of several infinite numbers may be no numbers where their sum as one is infinite.
        lone = np.isin(reader.ids, endless)
        keys = np.where(lone, -1 - np.arange(len(reader.ids)), reader.ids)
        _, number = np.unique(keys, return_inverse=True)
        if not reader.sums:
            number = np.arange(len(reader.ids))
        self.number = np.where(free, -1, number)
        self.count = int(number.max(initial=-1)) + 1

    def depended_on(self, kept: Array) -> Array:
        """Return which classes a row that stays depends on, shape (count,)."""
        used = self.uses[kept[self.rows]].any(axis=0) & (self.number >= 0)
        found = np.zeros(self.count + 1, dtype=bool)
        found[self.number[used]] = True
        found[-1] = False
        return found


@dataclass
class Plan:
    """Which labels stay.

    - roots: root of each label
    - kept: whether a root stays; of use for roots alone
    """

    roots: Array
    kept: Array

    def keeps(self, labels: Array) -> Array:
        """Return which labels of an array stay."""
        return np.asarray(self.kept[self.roots[labels]])


def plan(analysis: Analysis, align: int = 1) -> Plan:
    """Choose the units that stay; of every layer a multiple of `align`, or all."""
    count = len(analysis.labels)
    roots = analysis.labels.roots(np.arange(count))
    kept = np.zeros(count, dtype=bool)
    endless = list(analysis.algebra.constants & analysis.algebra.domains.partial)
    readers = [_Classes(one, lambda labels: roots[labels], endless) for one in analysis.readers]
    _need(readers, kept)
    order = _order(analysis, readers, roots)
    while _take_out(readers, kept, order):
        pass
    result = Plan(roots, kept)
    while (back := _given_back(analysis, readers, result, align)) is not None:
        kept[roots[back]] = True
    return result


def _need(readers: list[_Classes], kept: Array) -> None:
    """Mark the labels that outputs depend on, from the outputs backwards."""
    kept[HELD] = True
    while True:
        before = int(kept.sum())
        for reader in readers:
            used = reader.uses[kept[reader.rows]].any(axis=0) & (reader.number >= 0)
            kept[reader.labels[used]] = True
        if int(kept.sum()) == before:
            return


def _order(analysis: Analysis, readers: list[_Classes], roots: Array) -> list[int]:
    """Return labels in the order in which they are tried: those that would represent others worst come first."""
    algebra = analysis.algebra
    cost: dict[int, tuple[int, int, float]] = {}
    for reader, classes in zip(analysis.readers, readers, strict=True):
        several = np.bincount(classes.number[classes.number >= 0], minlength=classes.count) > 1
        for k in np.flatnonzero((classes.number >= 0) & several[classes.number]).tolist():
            label = int(classes.labels[k])
            price = _price(algebra, int(reader.ids[k]), int(reader.facs[k]))
            cost[label] = max(cost.get(label, price), price)
    labels = sorted({int(x) for c in readers for x in c.labels} - {HELD})
    return sorted(labels, key=lambda label: (cost.get(label, (0, 0, 0.0)), label), reverse=True)


def _price(algebra: Algebra, atom: int, factor: int) -> tuple[int, int, float]:
    """Return how bad a representative is: quotients by it should be dyadic, constants large."""
    value: Fraction = algebra.fractions[factor]
    if atom == ONE:
        return 0, 0, -abs(float(value))
    odd = [n // (n & -n) for n in (abs(value.numerator), value.denominator)]
    return odd[0], -odd[1], 0.0


def _take_out(readers: list[_Classes], kept: Array, order: list[int]) -> bool:
    """Remove labels one by one where every reader can do without; say whether one went."""
    places: dict[int, list[tuple[int, Array]]] = {}
    members, needed = [], []
    for number, reader in enumerate(readers):
        stays = kept[reader.labels] & (reader.number >= 0)
        members.append(np.bincount(reader.number[stays], minlength=reader.count + 1))
        needed.append(reader.depended_on(kept))
        by_label = np.argsort(reader.labels, kind="stable")
        starts = np.flatnonzero(np.diff(reader.labels[by_label], prepend=-1))
        for part in np.split(by_label, starts[1:]):
            if len(part):
                places.setdefault(int(reader.labels[part[0]]), []).append(
                    (number, reader.number[part])
                )
    changed = False
    for label in order:
        if not kept[label]:
            continue
        going = []
        for number, classes in places[label]:
            mine = np.bincount(classes[classes >= 0], minlength=len(members[number]))
            if bool((needed[number] & (mine > 0) & (members[number] - mine <= 0)).any()):
                break
            going.append((number, mine))
        else:
            kept[label] = False
            changed = True
            for number, mine in going:
                members[number] = members[number] - mine
    return changed


def packed(alive: Array) -> Array | tuple[Array, ...]:
    """Return the elements that stay as a box, or those that would have to come back for that.

    - returns int array: flat numbers of the elements that stay, in the shape of the box; or a pair, an int
      array being its only entry, of flat numbers of elements that are missing

    >>> packed(np.array([[True, False], [False, False], [False, True]]))
    array([[0],
           [5]])
    """
    numbers = np.arange(alive.size).reshape(alive.shape)
    for axis in range(alive.ndim):
        other = tuple(a for a in range(alive.ndim) if a != axis)
        stays = alive.any(axis=other)
        if not stays.any():
            return (numbers.reshape(-1)[:1],)
        alive, numbers = (np.compress(stays, a, axis=axis) for a in (alive, numbers))
    if alive.all():
        return numbers
    best: Array | None = None
    for axis in reversed(range(alive.ndim)):
        counts = alive.sum(axis=axis, keepdims=True)
        goal = int(counts.max())
        if bool((counts == goal).all()):
            order = np.argsort(~alive, axis=axis, kind="stable")
            return np.take_along_axis(numbers, np.take(order, range(goal), axis=axis), axis=axis)
        order = np.argsort(~alive, axis=axis, kind="stable")
        first = np.take(order, range(goal), axis=axis)
        missing = np.take_along_axis(numbers, first, axis=axis)[
            ~np.take_along_axis(alive, first, axis=axis)
        ]
        if best is None or len(missing) < len(best):
            best = missing
    assert best is not None
    return (best,)


def _given_back(
    analysis: Analysis, readers: list[_Classes], chosen: Plan, align: int
) -> Array | None:
    """Return labels that have to stay after all, or None."""
    for reader in readers:  # a row that came back depends on classes again
        needed = reader.depended_on(chosen.kept)
        stays = chosen.kept[reader.labels] & (reader.number >= 0)
        needed[reader.number[stays]] = False
        missing = np.flatnonzero(needed[reader.number] & (reader.number >= 0))
        if len(missing):
            return np.asarray(reader.labels[missing[:1]])
    for tensor in analysis.tensors.values():
        if not tensor.units:
            if not chosen.keeps(tensor.labels).all():
                return np.asarray(tensor.labels.reshape(-1))
            continue
        found = packed(chosen.keeps(tensor.labels))
        if isinstance(found, tuple):
            return np.asarray(tensor.labels.reshape(-1)[found[0]])
    editor = _Keeps(analysis, chosen)
    for call, family in zip(analysis.calls, analysis.families, strict=True):
        if call is not None and hasattr(family, "uneven"):
            back = family.uneven(call, editor)
            if back is not None:
                return np.asarray(back)
    return _unaligned(analysis, chosen, align) if align > 1 else None


def _unaligned(analysis: Analysis, chosen: Plan, align: int) -> Array | None:
    """Return labels that fill the units of a layer up to a multiple, or None."""
    for call in analysis.calls:
        if call is None or not {"layer", "cell"} & call.notes.keys():
            continue
        labels = labels_of(analysis, call)
        for row in (
            labels.reshape(-1, labels.shape[-1]) if "cell" in call.notes else [labels.ravel()]
        ):
            stays = chosen.keeps(row)
            missing = -int(stays.sum()) % align
            back = row[~stays][:missing]
            if len(back):
                return np.asarray(back)
    return None


@dataclass
class _Keeps:
    """What families may ask while units are being chosen."""

    analysis: Analysis
    plan: Plan

    def keeps(self, labels: Array) -> Array:
        """Return which labels stay."""
        return self.plan.keeps(labels)

    def readers(self, call: Any) -> list[Reader]:
        """Return the readers of a node."""
        return list(readers_of(self.analysis, call.number))


def readers_of(analysis: Analysis, number: int) -> Iterable[Reader]:
    """Yield the readers of a node, in order."""
    return (reader for reader in analysis.readers if reader.node == number)
