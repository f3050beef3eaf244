"""The ends of the graphs inside Scan, Loop and If: states are lumped from the coarsest guess until it is stable.

States that are guessed to be equal before a step are units of equal value; the step is then evaluated like any other
part of the graph.  States that it leaves with different values are told apart, and all is done once more.  What is
stable begins equal and stays equal, however many steps there are: exact lumpability, the direction incoming.

An If is linear in what its two branches yield together, like Where, and units leave both branches or none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.networks.operators import elementwise
from lumpability.networks.tensors.algebra import ONE
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.tensor import Declined, Unproved
from lumpability.numbers.float_arrays import Array

OPERATORS = frozenset({"State", "Element", "Last", "Sequence", "If"})


@dataclass(frozen=True)
class Guess:
    """Which units of a state are equal before every step.

    - axis: of its units; None if they are not told apart
    - classes: of each unit
    - zero: for each unit, whether it is zero
    """

    axis: int | None
    classes: tuple[int, ...] = ()
    zero: tuple[bool, ...] = ()


def serves(call: Call) -> bool:
    """Whether it is more than a number that is counted."""
    return call.op in OPERATORS


def guesses(work: Any) -> dict[str, Guess]:
    """Return finer classes of the states than those that a pass was made with, or the same if they are stable."""
    found: dict[str, Guess] = {}
    lasts = {call.name(1): call for call in work.calls if call is not None and call.op == "Last"}
    for call in work.calls:
        if call is None or call.op != "State" or not call.node.domain:
            continue
        name = call.node.output[0]
        known, last = work.guesses.get(name), lasts[name]
        after = work.tensors.get(last.name(0))
        axes = frozenset() if after is None else after.units
        if known is None:
            dims = [work.sizes.dims.get(one) for one in (last.name(0), name)]
            first = len(axes) == 1 and dims[0] == dims[1]
            axis = next(iter(axes)) if first else None
            size = 0 if axis is None else after.shape[axis]
            found[name] = Guess(axis, (0,) * size, (True,) * size)
        elif known.axis is None or "before" not in call.notes or "after" not in last.notes:
            found[name] = Guess(None)
        else:
            found[name] = _finer(known.axis, call.notes["before"], last.notes["after"])
    return found


def _finer(axis: int, before: tuple[Array, Array], after: tuple[Array, Array]) -> Guess:
    """Tell units apart that a step leaves with different values."""
    (classes, zero), (ids, facs) = before, after
    zero = zero & (facs == 0)
    numbers: dict[Any, int] = {}
    keys = zip(classes.tolist(), zero.tolist(), ids.tolist(), facs.tolist(), strict=True)
    return Guess(
        axis, tuple(numbers.setdefault(key, len(numbers)) for key in keys), tuple(zero.tolist())
    )


def apply(call: Call) -> None:
    """Record the output."""
    if call.op in ("Element", "Sequence") and not call.moving(0):
        raise Declined("is a part of a constant")
    made = {"State": _state, "Element": _element, "Last": _last, "Sequence": _sequence, "If": _if}
    made[call.op](call)


def _state(call: Call) -> None:
    work, name = call.work, call.node.output[0]
    shape = call.shape()
    against = work.against
    other = None if against is None else against.call(call)
    guess = work.guesses.get(name) if other is None else other.notes.get("guess")
    if guess is None or guess.axis is None:
        raise Declined("is a state whose units are not told apart")
    ids, facs, labels = _start(call, guess.axis)
    size = shape[guess.axis]
    if against is None or other is None:
        if len(guess.classes) != size:
            raise Declined("is a state whose units are not told apart")
        zero = np.array(guess.zero) & (facs == 0)
        keys = list(zip(guess.classes, zero.tolist(), ids.tolist(), facs.tolist(), strict=True))
        numbers = {key: k for k, key in reversed(list(enumerate(keys)))}
        classes = np.array([numbers[key] for key in keys])
        atoms = np.array([work.algebra.atom(("state", name, k)) for k in classes.tolist()])
        ids, facs = np.where(zero, ONE, atoms), np.where(zero, 0, 1)
        call.notes.update(guess=guess, before=(classes, zero), start=_start(call, guess.axis)[:2])
    else:
        kept = against.units(name, (len(guess.classes),), size)
        same = zip((ids, facs), other.notes["start"], strict=True)
        if not all(np.array_equal(mine, theirs[kept]) for mine, theirs in same):
            raise Unproved(name)
        found = other.work.tensors[name]
        ids, facs = found.ids.ravel()[kept], found.facs.ravel()[kept]
        call.notes.update(kept=kept)
    call.notes["axis"] = guess.axis
    call.yields_along(guess.axis, labels, (ids, facs))


def _start(call: Call, axis: int) -> tuple[Array, Array, Array]:
    """Return values and labels of the units before the first step."""
    size, labels = call.shape()[axis], call.notes.get("labels")
    if labels is None:
        labels = call.notes["labels"] = call.work.labels.fresh(size)
    known = call.constant(0)
    if known is not None:
        line = np.moveaxis(known, axis, 0).reshape(size, -1)
        if not bool((line == line[:, :1]).all()):
            raise Declined("begins with values that differ within the batch")
        ids, facs = call.work.algebra.constant(line[:, 0])
        return ids, facs, labels
    if call.work.sizes.fill(call.name(0)) is not None:
        raise Declined("begins with a constant of a shape that is computed")
    seen = call.work.view(call.tensor(0), {axis})
    call.refuse_partial(seen.ids)
    call.work.labels.unite(seen.labels.ravel(), labels)
    ids, facs = (np.broadcast_to(a.ravel(), (size,)) for a in (seen.ids, seen.facs))
    return ids, facs, labels


def _last(call: Call) -> None:
    """Check, or have it told to `guesses`, that a state after a step has the classes that it had before."""
    work, name = call.work, call.name(1)
    before = work.calls[work.index.producer[name]]
    assert before is not None
    extra = range(2, len(call.node.input))
    if "axes" not in call.attributes:  # of a Loop
        for slot in extra:
            work.hold(call.name(slot), f"{call.where} counts steps by it")
    other = None if work.against is None else work.against.call(call)
    if other is not None:
        _compare(call, other, before, extra)
    axis, state = before.notes.get("axis"), work.tensors[name]
    if axis is None or call.name(0) not in work.tensors:
        raise Declined("is a state whose units are not told apart")
    after = work.view(work.tensors[call.name(0)], {axis})
    call.refuse_partial(after.ids)
    size = state.ids.size
    labels, ids, facs = after.along(size)
    work.labels.unite(labels, state.labels.ravel())
    call.notes["after"] = ids, facs
    atoms = [work.algebra.atom(("after", name, k)) for k in state.ids.ravel().tolist()]
    ids = np.array(atoms).reshape(state.ids.shape)
    call.yields({axis}, state.labels, (np.where(state.facs == 0, ONE, ids), state.facs))


def _compare(call: Call, other: Call, before: Call, extra: range) -> None:
    """Check that a state after a step, and the number of steps, are those of the other graph."""
    work, name = call.work, call.node.output[0]
    against = work.against
    assert against is not None
    if call.attributes != other.attributes:
        raise Unproved(name)
    kept = before.notes.get("kept")
    if "after" in other.notes and kept is not None:
        if call.name(0) not in work.tensors:
            raise Unproved(name)
        seen = work.view(work.tensors[call.name(0)], {before.notes["axis"]})
        pairs = zip(seen.along(len(kept))[1:], other.notes["after"], strict=True)
        same = all(np.array_equal(a, b[kept]) for a, b in pairs)
    else:
        same = against.same_input(work, call.name(0))
    if "axes" not in call.attributes:  # of a Loop
        same = same and all(against.same_input(work, call.name(slot)) for slot in extra)
    else:
        for slot, axis in zip(extra, call.attributes["axes"], strict=True):
            dims = [one.dims(one.name(slot))[axis] for one in (call, other)]
            same = same and dims[0] == dims[1]
    if not same:
        raise Unproved(name)


def _each(call: Call, key: tuple[Any, ...], ids: Array) -> Array:
    """Return atoms that are named by a key and others; constants stay what they are."""
    algebra = call.work.algebra
    distinct, where = np.unique(ids, return_inverse=True)
    found = [k if k in algebra.constants else algebra.atom((*key, k)) for k in distinct.tolist()]
    return np.array(found)[where].reshape(ids.shape)


def _element(call: Call) -> None:
    given = call.tensor(0)
    axis = int(call.attributes["axis"]) % given.rank
    seen = call.work.view(given, given.units - {axis})
    call.refuse_partial(seen.ids)
    labels, ids, facs = (np.squeeze(a, axis) for a in (seen.labels, seen.ids, seen.facs))
    units = {a - (a > axis) for a in seen.units}
    ids = _each(call, ("element", axis - given.rank, call.attributes["turned"]), ids)
    call.yields(units, labels, (ids, facs))


def _sequence(call: Call) -> None:
    given = call.tensor(0)
    axis = int(call.attributes["axis"]) % (given.rank + 1)
    call.refuse_partial(given.ids)
    labels, ids, facs = (np.expand_dims(a, axis) for a in (given.labels, given.ids, given.facs))
    if call.work.against is not None:
        other = call.work.against.call(call)
        if call.attributes != other.attributes:
            raise Unproved(call.node.output[0])
    ids = _each(call, ("sequence", call.node.output[0]), ids)
    call.yields({a + (a >= axis) for a in given.units}, labels, (ids, facs))


def _if(call: Call) -> None:
    if not all(map(call.moving, (1, 2))):
        raise Declined("has a branch that yields a constant")
    first, second = (call.dims(call.name(slot)) for slot in (1, 2))
    if first != second or first != call.dims(call.node.output[0]):
        raise Declined("has branches that yield tensors of different shapes")
    test = call.constant(0)
    if len(first) < (len(call.dims(call.name(0))) if test is None else test.ndim):
        raise Declined("has branches that yield single numbers")
    elementwise.apply(call)


def edit(call: Call, edit: Any) -> None:
    """Cut constants that states begin with."""
    if call.op != "State" or "guess" not in call.notes:
        return
    axis = call.notes["guess"].axis
    kept = edit.axis(call.node.output[0], axis)
    edit.kept[call.node.output[0]] = kept
    known = call.constant(0)
    if known is not None:
        edit.constant(call, 0, np.take(known, kept, axis=axis))
