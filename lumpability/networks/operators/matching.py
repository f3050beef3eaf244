"""Layers of a reduced graph against those of the graph it came from: the identity that a proof has to check.

A unit of the reduced layer is said to be a unit of the original one.  It is if, for every class of channels and every
kernel tap, the weights from the class add up to the same, and the biases agree, constants included.  A weight that is
not representable may be rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from lumpability.networks.operators.rows import incoming, structure_of
from lumpability.networks.tensors.algebra import ONE, Algebra
from lumpability.networks.tensors.tensor import Unproved
from lumpability.numbers.float_arrays import Array, round_to, to_fractions
from lumpability.structure.dense import DenseStructure


def matched_layer(
    call: Any, matrix: Array, bias: Array | None, reader: Any, units: slice
) -> tuple[Array, Array]:
    """Return the values of a group's units, those of the units of the original layer that they are."""
    other, name = call.work.against.call(call), call.node.output[0]
    layer, before = call.notes["layer"], other.notes["layer"]
    kept = call.work.against.units(name, (_width(before),), _width(layer))[units]
    width = before.matrices[0].shape[1]
    if (layer.taps, layer.pads, layer.share, layer.scale) != (
        before.taps,
        before.pads,
        before.share,
        before.scale,
    ) or not _same_function(call, other):
        raise Unproved(name)
    group = int(kept[0]) // width
    if not bool((kept // width == group).all()):
        raise Unproved(name)
    old_reader = [r for r in other.work.readers if r.node == other.number][group]
    old_bias = None if before.bias is None else before.bias[group * width : (group + 1) * width]
    sides = [
        _Side(call.work.algebra, some, shift, part, layer.taps, layer.share, folds=not layer.pads)
        for part, some, shift in (
            (old_reader, before.matrices[group], old_bias),
            (reader, matrix, bias),
        )
    ]
    _agree(sides, kept - group * width, name)
    found = other.work.tensors[name]
    return found.ids.ravel()[kept], found.facs.ravel()[kept]


def _width(layer: Any) -> int:
    """Return the number of units of a layer."""
    return sum(matrix.shape[1] for matrix in layer.matrices)


def _same_function(call: Any, other: Any) -> bool:
    """Whether two nodes slide alike: equal attributes, the number of groups apart."""
    mine, theirs = (
        {k: v for k, v in one.attributes.items() if k != "group"} for one in (call, other)
    )
    return bool(mine == theirs)


@dataclass
class _Side:
    """One of two layers that are compared.

    - part: its channels with their values
    - folds: whether constant channels go into the bias
    """

    algebra: Algebra
    matrix: Array
    bias: Array | None
    part: Any
    taps: int = 1
    share: Fraction = Fraction(1)
    folds: bool = False

    def __post_init__(self) -> None:
        known = (self.part.ids == ONE) & self.folds
        self.rows = incoming(self.algebra, self.part, known, self.taps, self.share, scaled=True)
        live = np.flatnonzero((self.part.facs != 0) & ~known)
        self.atoms, first = np.unique(self.part.ids[live], return_index=True)
        # The first channel of a class took over what left it, and rows are divided by its factor.
        self.channel = live[first]
        self.leads = self.algebra.fractions_of(self.part.facs[self.channel])

    @cached_property
    def summed(self) -> DenseStructure:
        return structure_of(self.matrix, self.bias, self.rows)

    def rows_of(self, classes: Array) -> Array:
        """Return the rows of some classes, tap by tap."""
        return np.asarray((classes[:, None] * self.taps + np.arange(self.taps)).ravel())


def _agree(sides: list[_Side], kept: Array, name: str) -> None:
    """Check that columns of the second layer are some of the first, class by class, up to rounding."""
    old, new = sides
    if not np.isin(new.atoms, old.atoms).all():
        raise Unproved(name)
    where = np.searchsorted(old.atoms, new.atoms)
    gone = np.setdiff1d(np.arange(len(old.atoms)), where)
    if not old.algebra.domains.partial.isdisjoint(old.atoms[gone].tolist()):
        raise Unproved(name)  # zero times what is not finite is no number
    if len(gone) and bool((old.summed.entries(old.rows_of(gone), kept) != 0).any()):
        raise Unproved(name)
    ratios = old.leads[where] / new.leads
    same = np.array([ratio == 1 for ratio in ratios.tolist()], dtype=bool)
    single = np.diff(old.rows.starts, append=len(old.rows.members))[where * old.taps] == 1
    every = np.arange(new.matrix.shape[1])
    for some in map(np.flatnonzero, (same & single, same & ~single, ~same)):  # floats first
        wanted = old.summed.entries(old.rows_of(where[some]), kept)
        given = new.summed.entries(new.rows_of(some), every)
        if not same[some].all():
            wanted = to_fractions(wanted) * np.repeat(ratios[some], new.taps)[:, None]
        _compare(wanted, given, new.matrix[new.rows_of(new.channel[some])], name)
    stored = np.zeros(new.matrix.shape[1], new.matrix.dtype) if new.bias is None else new.bias
    shift = to_fractions(new.summed.bias) - to_fractions(stored)  # by constants that stay
    wanted = (to_fractions(old.summed.bias[kept]) - shift)[None]
    _compare(wanted, to_fractions(stored)[None], stored[None], name)


def _compare(wanted: Array, given: Array, behind: Array, name: str) -> None:
    """Check that sums agree, or are off by what one weight each lost in being rounded."""
    differ = np.asarray(wanted != given, dtype=bool)
    if np.dtype(object) not in {wanted.dtype, given.dtype}:
        # Where a weight stands alone, it is the sum that was rounded.
        differ &= ~((given == behind) & (wanted.astype(behind.dtype) == behind))
    rows, columns = np.nonzero(differ)
    if not len(rows):
        return
    stored = behind[rows, columns]
    off = to_fractions(given[rows, columns]) - to_fractions(wanted[rows, columns])
    if not np.array_equal(round_to(to_fractions(stored) - off, behind.dtype)[0], stored):
        raise Unproved(name)


def matched_table(call: Any, table: Array) -> tuple[Array, Array]:
    """Return the values of an embedding's units."""
    other, name = call.work.against.call(call), call.node.output[0]
    (before,) = other.notes["layer"].matrices
    kept = call.work.against.units(name, before.shape[1:], table.shape[1])
    index = [work.tensors[call.name(1)] for work in (call.work, other.work)]
    same = np.array_equal(index[0].ids, index[1].ids) and np.array_equal(
        index[0].facs, index[1].facs
    )
    if not same or not np.array_equal(before[:, kept], table):
        raise Unproved(name)
    found = other.work.tensors[name]
    return found.ids.ravel()[kept], found.facs.ravel()[kept]


def matched_cell(
    call: Any, cell: Any, inputs: tuple[Array, Array], starts: list[Any]
) -> tuple[Array, Array]:
    """Return the values of a recurrent node's units, shape (directions, units)."""
    other = call.work.against.call(call)
    name = next(filter(None, call.node.output))
    before, old_units, old_zero = (other.notes[key] for key in ("cell", "units", "zero"))
    kept = call.work.against.units(name, old_units.shape, cell.states.shape[-1])
    algebra = call.work.algebra
    attributes = [
        {k: v for k, v in one.attributes.items() if k != "hidden_size"} for one in (call, other)
    ]
    if (
        attributes[0] != attributes[1]
        or len(kept) != len(old_units)
        or not _same_lengths(call, other)
    ):
        raise Unproved(name)
    units = np.take_along_axis(old_units, kept, axis=1)
    zero = np.take_along_axis(old_zero, kept, axis=1)
    for d, chosen in enumerate(kept):
        for mine, theirs in ((cell.bias, before.bias), (cell.peepholes, before.peepholes)):
            if (mine is None) != (theirs is None) or (
                mine is not None and not np.array_equal(mine[d], theirs[d][:, chosen])
            ):
                raise Unproved(name)
        for mine, theirs in zip(starts, other.notes["starts"], strict=True):
            if any(
                not np.array_equal(a[d], b[d][chosen]) for a, b in zip(mine, theirs, strict=True)
            ):
                raise Unproved(name)
        pairs = (
            (before.inputs[d], *other.notes["inputs"], cell.inputs[d], *inputs),
            (before.states[d], old_units[d], ~old_zero[d], cell.states[d], units[d], ~zero[d]),
        )
        for old, old_ids, old_facs, new, new_ids, new_facs in pairs:
            for gate, gate_new in zip(old, new, strict=True):
                sides = [
                    _Side(
                        algebra, matrix, None, SimpleNamespace(ids=ids, facs=facs.astype(np.int64))
                    )
                    for matrix, ids, facs in (
                        (gate, old_ids, old_facs),
                        (gate_new, new_ids, new_facs),
                    )
                ]
                _agree(sides, chosen, name)
    return units, zero


def _same_lengths(call: Any, other: Any) -> bool:
    """Whether both nodes are given the same lengths of sequences."""
    if not call.name(4) and not other.name(4):
        return True
    if call.name(4) in {item.name for item in call.work.index.inputs}:
        return bool(call.name(4) == other.name(4))
    mine, theirs = (one.work.sizes.identity(one.name(4)) for one in (call, other))
    return bool(mine is not None and mine == theirs)
