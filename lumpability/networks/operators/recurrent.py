"""LSTM, GRU and RNN: hidden units are states, lumped by incoming weights from the coarsest guess until stable.

Units of one direction share a class if bias, peepholes and initial values agree and, gate by gate, the weights from every
class of inputs and from every class of units have equal sums.  That is exact lumpability of a weighted structure, and
equal units stay equal at every step, however long the sequence: no unrolling could prove that.  Y, Y_h and Y_c share
their units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.networks.merging import group_columns
from lumpability.networks.operators.matching import matched_cell
from lumpability.networks.operators.rows import aggregated, by_taps, structure_of
from lumpability.networks.tensors.algebra import ONE
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.labels import HELD
from lumpability.networks.tensors.tensor import Declined, Reader
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group

OPERATORS = frozenset({"LSTM", "GRU", "RNN"})

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_PRIME = (1 << 31) - 1
_FROM_ZERO = {"Tanh", "Relu", "Softsign", "LeakyRelu"}
"""Activations with the value zero at zero."""


def serves(call: Call) -> bool:
    """Whether the weights are stored."""
    return call.moving(0) and call.constant(1) is not None and call.constant(2) is not None


@dataclass
class Cell:
    """Stored weights by direction and gate.

    - inputs: array, shape (directions, gates, inputs, units)
    - states: array, shape (directions, gates, units, units)
    - bias: array or None, shape (directions, 2 gates, units)
    - peepholes: array or None, shape (directions, 3, units)
    """

    inputs: Array
    states: Array
    bias: Array | None
    peepholes: Array | None


def _cell(call: Call) -> Cell:
    gates, size = _GATES[call.op], int(call.attributes.get("hidden_size", 0))
    given = [call.constant(slot) for slot in (1, 2, 3, 7)]
    if call.attributes.get("layout", 0) or any(map(call.moving, (1, 2, 3, 7))):
        raise Declined("has its batch on the first axis, or weights that depend on the input")
    weights, states, bias, peepholes = given
    assert weights is not None
    assert states is not None
    count = weights.shape[0]
    size = size or states.shape[-1]
    wanted = ((gates * size, None), (gates * size, size), (2 * gates * size,), (3 * size,))
    for array, tail in zip(given, wanted, strict=True):
        if array is not None and not _shaped(array, (count, *tail)):
            raise Declined("has weights of a shape that does not fit")
    if weights.dtype.kind != "f" or not all(np.isfinite(a).all() for a in given if a is not None):
        raise Declined("has weights that are not finite floats")
    return Cell(
        weights.reshape(count, gates, size, -1).transpose(0, 1, 3, 2),
        states.reshape(count, gates, size, size).transpose(0, 1, 3, 2),
        None if bias is None else bias.reshape(count, 2 * gates, size),
        None if peepholes is None else peepholes.reshape(count, 3, size),
    )


def _shaped(array: Array, shape: tuple[int | None, ...]) -> bool:
    """Whether an array has a shape, None standing for any size."""
    return array.ndim == len(shape) and all(
        m in (None, n) for n, m in zip(array.shape, shape, strict=True)
    )


def stable_classes(
    inputs: Array, states: Array, start: Array, classes: Array, factors: Array
) -> Array:
    """Return the coarsest stable classes of one direction's units.

    - inputs: array, shape (gates, inputs, units)
    - states (array, shape (gates, units, units)): entry (g, i, j) is the weight from unit i to gate g of unit j
    - start (int array, shape (units,)): classes to begin with
    - classes (int array, shape (inputs,)): classes of the inputs; -1 for those that are zero
    - factors: object array of Fraction, shape (inputs,)
    - returns int array, shape (units,): the first member of each unit's class

    >>> chain = np.array([[[0.0, 1, 0], [0, 0, 1], [0, 0, 0]]])  # 0 -> 1 -> 2
    >>> none = np.zeros((1, 0, 3))
    >>> stable_classes(none, chain, np.zeros(3, int), np.zeros(0, int), np.zeros(0, object)).tolist()
    [0, 1, 2]
    >>> stable_classes(none, chain * 0, np.zeros(3, int), np.zeros(0, int), np.zeros(0, object)).tolist()
    [0, 0, 0]
    """
    gates, size = states.shape[0], states.shape[-1]
    matrix = np.concatenate([inputs, states], axis=1)
    rows = matrix.transpose(1, 0, 2).reshape(-1, size)  # each channel gate by gate, as taps
    live = np.flatnonzero(classes >= 0)
    found = _proposed(rows, start, classes, factors, gates)
    while True:
        _, number = np.unique(found, return_inverse=True)
        members = np.concatenate([live, np.arange(size) + inputs.shape[1]])
        of = np.concatenate([classes[live], number + int(classes.max(initial=-1)) + 1])
        scale = np.concatenate([factors[live], to_fractions(np.ones(size))])
        none = np.zeros(0, np.int64)
        structure = structure_of(
            rows, None, by_taps((members, of, scale), (none, none.astype(object)), gates)
        )
        leaders = group_columns(structure, Group.ONE).leader
        finer = _first_members(found * size + leaders)
        if np.array_equal(finer, found):
            return found
        found = finer


def _proposed(rows: Array, start: Array, classes: Array, factors: Array, gates: int) -> Array:
    """Return classes that are stable modulo a prime: none finer than the stable ones, and nearly always these.

    Every round adds the weights of each unit's rows, times random numbers of their classes, in two ways.
    """
    random = np.random.default_rng(0)
    residues = _residues(rows)
    if any(factor.denominator % _PRIME == 0 for factor in factors.tolist()):
        return _first_members(start)
    scale = [f.numerator * pow(f.denominator, -1, _PRIME) % _PRIME for f in factors.tolist()]
    known = np.array(scale, dtype=np.int64).reshape(-1, 1)
    parts = residues.reshape(-1, gates, rows.shape[1])
    inputs = parts[: len(classes)].reshape(-1, rows.shape[1])
    states = parts[len(classes) :].reshape(-1, rows.shape[1])
    of = np.where(classes < 0, 0, classes)
    kinds = int(of.max(initial=0)) + 1
    fixed = [
        _sums(inputs, random.integers(0, _PRIME, (kinds, gates))[of] * known % _PRIME * live)
        for live in 2 * [(classes >= 0)[:, None]]
    ]
    found = _first_members(start)
    while True:
        first, number = np.unique(found, return_inverse=True)
        draws = random.integers(0, _PRIME, (2, len(first), gates))
        sums = [
            (_sums(states, draw[number]) + some) % _PRIME
            for draw, some in zip(draws, fixed, strict=True)
        ]
        finer = _first_members(found * _PRIME + sums[0])
        finer = _first_members(finer * _PRIME + sums[1])
        if len(np.unique(finer)) == len(first):
            return found
        found = finer


def _sums(rows: Array, scale: Array) -> Array:
    """Return for each column the sum of its residues times those of the rows."""
    return np.asarray((rows * scale.reshape(-1, 1) % _PRIME).sum(axis=0) % _PRIME)


def _residues(values: Array) -> Array:
    """Return finite floats modulo the prime, of which 2^31 is one more."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    whole = (fraction * 2.0**53).astype(np.int64) % _PRIME
    return np.asarray((whole << (exponent.astype(np.int64) - 53) % 31) % _PRIME)


def _first_members(labels: Array) -> Array:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])


def apply(call: Call) -> None:
    """Record outputs and readers."""
    cell = _cell(call)
    count, _, width, size = cell.inputs.shape
    for output in range(len(call.node.output)):
        if call.node.output[output]:
            call.shape(output)
    seen = call.work.view(call.tensor(0), {2})
    x_labels, x_ids, x_facs = seen.along(width)
    call.refuse_partial(x_ids)
    labels = call.work.labels.fresh(count * size).reshape(count, size)
    if size == 1:
        labels = np.full((count, size), HELD)
    starts = [_initial(call, slot, labels) for slot in (5, 6)[: 2 if call.op == "LSTM" else 1]]
    if call.name(4) and call.moving(4):
        call.work.hold(call.name(4), f"{call.where} takes it as lengths")
    algebra = call.work.algebra
    units, zero = np.zeros((count, size), np.int64), np.zeros((count, size), bool)
    call.notes.update(
        cell=cell, labels=labels, units=units, zero=zero, inputs=(x_ids, x_facs), starts=starts
    )
    if call.work.against is not None:
        units[:], zero[:] = matched_cell(call, cell, (x_ids, x_facs), starts)
        _outputs(call, labels, units, zero)
        return
    classes = np.where(x_facs == 0, -1, np.unique(x_ids, return_inverse=True)[1])
    factors = algebra.fractions_of(x_facs)
    for d in range(count):
        zero[d] = _zero_units(call, cell, d, x_facs != 0, starts)
        start = _start(cell, d, [(ids[d], facs[d]) for ids, facs in starts], call.op)
        start = _first_members(2 * start + zero[d])
        leaders = stable_classes(cell.inputs[d], cell.states[d], start, classes, factors)
        uses = (cell.inputs[d] != 0).any(axis=0).T
        call.reader(Reader(call.number, 0, x_labels, x_ids, x_facs, uses, labels[d]))
        own = np.array([algebra.atom(("unit", call.number, d, k)) for k in leaders.tolist()])
        units[d] = own
        among = (cell.states[d] != 0).any(axis=0).T
        call.reader(
            Reader(call.number, 2, labels[d], own, (~zero[d]).astype(int), among, labels[d])
        )
    _outputs(call, labels, units, zero)


def _outputs(call: Call, labels: Array, units: Array, zero: Array) -> None:
    algebra, count = call.work.algebra, len(labels)
    for output, name in enumerate(call.node.output):
        if not name:
            continue
        ids = np.array(
            [[algebra.atom(("state", output, k)) for k in row] for row in units.tolist()]
        )
        ids, facs = np.where(zero, ONE, ids), np.where(zero, 0, 1)
        rank = 4 if output == 0 else 3
        shape = (1, count, 1, labels.shape[1]) if rank == 4 else (count, 1, labels.shape[1])
        call.yields(
            {rank - 3, rank - 1},
            labels.reshape(shape),
            (ids.reshape(shape), facs.reshape(shape)),
            output,
        )


def _initial(call: Call, slot: int, labels: Array) -> tuple[Array, Array]:
    """Return the initial values of the units, shape (directions, units); they leave together with the units."""
    algebra = call.work.algebra
    name = call.name(slot)
    if not name:
        return np.zeros(labels.shape, np.int64), np.zeros(labels.shape, np.int64)
    known = call.constant(slot)
    if known is not None:
        if known.shape[1] > 1 and not bool((known == known[:, :1]).all()):
            raise Declined("has initial states that differ within the batch")
        return algebra.constant(known[:, 0])
    if call.work.sizes.fill(name) == 0:  # as if they were left out
        return np.zeros(labels.shape, np.int64), np.zeros(labels.shape, np.int64)
    seen = call.work.view(call.tensor(slot), {0, 2})
    call.work.labels.unite(seen.labels, labels[:, None])
    shape = (labels.shape[0], 1, labels.shape[1])
    return np.broadcast_to(seen.ids, shape)[:, 0], np.broadcast_to(seen.facs, shape)[:, 0]


def _start(cell: Cell, d: int, starts: list[tuple[Array, Array]], op: str) -> Array:
    """Return classes of units by bias, peepholes and initial values."""
    columns: list[list[Any]] = []
    if cell.bias is not None:
        parts = to_fractions(cell.bias[d])
        half = len(parts) // 2
        both = [*(parts[:half] + parts[half:])]
        if op == "GRU":  # its last two may be used apart
            both = [*both[:2], parts[2], parts[5]]
        columns += [part.tolist() for part in both]
    if cell.peepholes is not None:
        columns += cell.peepholes[d].tolist()
    for pair in starts:
        columns += [array.tolist() for array in pair]
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(row, len(numbers)) for row in zip(*columns, strict=True)])


def _zero_units(
    call: Call, cell: Cell, d: int, live: Array, starts: list[tuple[Array, Array]]
) -> Array:
    """Return the units that are zero at every step: their candidate is, and they begin at zero."""
    names = call.attributes.get("activations", ["Tanh"])
    names = [n.decode() if isinstance(n, bytes) else n for n in names]
    zero = np.logical_and.reduce([facs[d] == 0 for _, facs in starts])
    if call.op == "RNN":
        passes = all(name in _FROM_ZERO for name in names)
    else:
        passes = "activations" not in call.attributes
    if not passes:
        return np.zeros_like(zero)
    zero = zero & ~(cell.inputs[d][-1][live] != 0).any(axis=0)
    if cell.bias is not None:
        half = cell.bias.shape[1] // 2
        zero = zero & (cell.bias[d][half - 1] == 0) & (cell.bias[d][-1] == 0)
    while True:
        fewer = zero & ~(cell.states[d][-1][~zero] != 0).any(axis=0)
        if np.array_equal(fewer, zero):
            return np.asarray(zero)
        zero = fewer


def edit(call: Call, edit: Any) -> None:
    """Keep the units that stay, gate by gate, and sum what they read."""
    cell: Cell = call.notes["cell"]
    labels: Array = call.notes["labels"]
    readers = edit.readers(call)
    box = edit.boxed(labels) % labels.shape[1]
    if len(box) != len(labels):
        raise edit.unfit(
            next(filter(None, call.node.output))
        )  # a direction cannot leave as a whole
    outputs = [name for name in call.node.output if name]
    edit.kept[outputs[0]] = box
    weights: list[Array] = []
    states: list[Array] = []
    places: tuple[list[Array], list[Array]] = ([], [])
    gates, units = cell.inputs.shape[1], labels.shape[1]
    for d, kept in enumerate(box):
        rows_of = (np.arange(d * gates, (d + 1) * gates)[:, None] * units + kept).reshape(-1, 1)
        for slot, matrix, parts in ((0, cell.inputs[d], weights), (1, cell.states[d], states)):
            chosen = edit.representation(readers[2 * d + slot])
            rows = by_taps(
                (chosen.channels, chosen.classes, chosen.factors), (chosen.fixed, chosen.values), 1
            )
            order = np.arange(len(chosen.kept))
            if slot == 1:
                place = {int(unit): k for k, unit in enumerate(chosen.kept)}
                order = np.array([place[int(unit)] for unit in kept])
            places[slot].append(rows_of * matrix.shape[1] + chosen.kept[order])
            new = [_exact(aggregated(gate, None, rows, kept)[0])[order] for gate in matrix]
            parts.append(np.stack([gate.T for gate in new]).reshape(gates * len(kept), -1))
    for slot, arrays in ((1, weights), (2, states)):
        edit.constant(call, slot, np.stack(arrays), rounds=True, places=np.stack(places[slot - 1]))
    for slot, array in ((3, cell.bias), (7, cell.peepholes)):
        if array is not None:
            wide = np.arange(array.size).reshape(array.shape)
            cut, stay = (
                np.stack([a[d][:, kept] for d, kept in enumerate(box)]).reshape(len(box), -1)
                for a in (array, wide)
            )
            edit.constant(call, slot, cut, places=stay)
    for slot in (5, 6):
        known = call.constant(slot)
        if known is not None:
            edit.constant(call, slot, np.stack([known[d][:, kept] for d, kept in enumerate(box)]))
        elif call.work.sizes.fill(call.name(slot)) == 0 and edit.changed(outputs[0]):
            edit.omit(call, slot)  # zeros, of a shape that is computed
    edit.attribute(call, "hidden_size", box.shape[1])


def _exact(array: Array) -> Array:
    return np.asarray(array if array.dtype == object else array.astype(np.float64))
