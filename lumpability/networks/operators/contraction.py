"""Linear layers with stored weights: Gemm, MatMul, Conv (grouped and depthwise too), ConvTranspose, embeddings.

A layer reads the channels of its input and makes new units.  Its columns, aggregated by the classes of the channels,
every kernel tap on its own, are grouped by the engine: columns that are multiples of each other are one atom.  No
position and no size of the input is looked at, so a group holds for all of them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.merging import group_columns
from lumpability.networks.operators.layer import (
    OPERATORS,
    Layer,
    layer_of,
    matrices_of,
    restored,
    serves,
)
from lumpability.networks.operators.matching import matched_layer, matched_table
from lumpability.networks.operators.rows import aggregated, by_taps, incoming, structure_of
from lumpability.networks.tensors.algebra import ONE, Value
from lumpability.networks.tensors.call import Call
from lumpability.networks.tensors.labels import HELD
from lumpability.networks.tensors.tensor import Reader, Tensor
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group
from lumpability.structure.dense import DenseStructure, RowClasses

__all__ = ["OPERATORS", "columns_of", "serves"]


def apply(call: Call) -> None:
    """Record output and readers."""
    call.only_first_output()
    shape = call.shape()
    layer = layer_of(call)
    call.notes["layer"] = layer
    if call.op == "Gather":
        _embed(call, layer)
        return
    seen = call.work.view(call.tensor(layer.slot), {layer.axis})
    against = call.work.against
    if layer.depthwise if against is None else against.call(call).notes["layer"].depthwise:
        _per_channel(call, layer, seen)
        return
    columns = [m.shape[1] for m in layer.matrices]
    alone = shape[layer.out_axis] == 1  # and cannot leave
    labels = np.full(1, HELD) if alone else call.work.labels.fresh(sum(columns))
    width = layer.matrices[0].shape[0] // layer.taps * layer.groups
    whole = seen.along(width)
    ids, facs = np.zeros(sum(columns), np.int64), np.zeros(sum(columns), np.int64)
    for group, matrix in enumerate(layer.matrices):
        width = matrix.shape[0] // layer.taps
        low, first = group * width, sum(columns[:group])
        part = slice(low, low + width)
        units = slice(first, first + columns[group])
        reader = Reader(
            call.number,
            layer.slot,
            whole[0][part],
            whole[1][part],
            whole[2][part],
            (matrix != 0).reshape(width, layer.taps, -1).any(axis=1).T,
            labels[units],
            folds=layer.bias is not None and not layer.pads,
            offset=low,
        )
        partial = _partial(call, reader)
        reader.uses = reader.uses | partial  # zero times what is not finite is no number
        call.reader(reader)
        bias = None if layer.bias is None else layer.bias[units]
        if call.work.against is None:
            ids[units], facs[units] = _grouped(call, matrix, bias, reader, group)
        else:
            ids[units], facs[units] = matched_layer(call, matrix, bias, reader, units)
    call.yields_along(layer.out_axis, labels, (ids, facs))


def _embed(call: Call, layer: Layer) -> None:
    """An embedding's units are the columns of its table; rows are told apart by the index."""
    (table,) = layer.matrices
    index = call.tensor(1)
    call.work.labels.hold(index.labels, f"{call.where} takes it as an index")
    if call.work.against is None:
        found = group_columns(
            DenseStructure(table, None, RowClasses.separate(len(table))), Group.ANY
        )
        values = _numbered(call, found, None, ("embedding", call.number))
    else:
        values = matched_table(call, table)
    alone = table.shape[1] == 1
    labels = np.full(1, HELD) if alone else call.work.labels.fresh(table.shape[1])
    call.yields_along(layer.out_axis, labels, values)


def _per_channel(call: Call, layer: Layer, seen: Tensor) -> None:
    """A depthwise convolution: units pass, their kernels up to a factor being part of the function's name."""
    algebra = call.work.algebra
    weights = call.weights(1)
    size = weights.shape[2:]
    kernels = np.stack([m[:, 0] for m in layer.matrices])
    leads, shapes = np.zeros(len(kernels), np.int64), np.zeros(len(kernels), np.int64)
    for k, kernel in enumerate(to_fractions(kernels)):
        lead = next((x for x in kernel if x), Fraction(0))
        leads[k] = algebra.number(lead)
        shapes[k] = algebra.atom(("kernel", size, tuple(x / lead for x in kernel) if lead else ()))
    bias = np.zeros(len(kernels), np.float32) if layer.bias is None else layer.bias
    constant = algebra.constant(bias.astype(np.float64))
    name = call.named((call.name(0), {1}), (call.node.output[0], {1}))
    fixed = not layer.pads

    def rule(row: tuple[int, ...]) -> Value:
        atom, factor, kernel, lead, _, shift = row
        scale = algebra.fractions[factor] * algebra.fractions[lead]
        if atom in algebra.domains.partial:
            parts = [algebra.nothing(atom)] if not scale else []
            made = algebra.domains.note(algebra.atom((name, kernel, atom)), partial=True)
            return algebra.total([*parts, (made, scale), (ONE, algebra.fractions[shift])])
        if atom in algebra.constants and fixed:
            tap_sum = sums[kernel]
            return algebra.total([(atom, scale * tap_sum), (ONE, algebra.fractions[shift])])
        return algebra.total(
            [(algebra.atom((name, kernel, atom)), scale), (ONE, algebra.fractions[shift])]
        )

    sums = {}
    for kernel, values in zip(shapes.tolist(), to_fractions(kernels), strict=True):
        lead = next((x for x in values if x), Fraction(1))
        sums[kernel] = sum(values, Fraction(0)) / lead
    labels, *units = seen.along(len(leads))
    found = algebra.map([*units, shapes, leads, *constant], rule)
    call.yields_along(1, labels, found)


def _grouped(
    call: Call, matrix: Array, bias: Array | None, reader: Reader, group: int
) -> tuple[Array, Array]:
    """Return the values of the units of one group of channels."""
    algebra, layer = call.work.algebra, call.notes["layer"]
    known = (reader.ids == ONE) & (not layer.pads)
    rows = incoming(algebra, reader, known, layer.taps, layer.share, scaled=True)
    structure = structure_of(matrix, bias, rows)
    found = group_columns(structure, Group.ANY)
    name = ("layer", call.number, group)
    if (
        call.name(layer.weight_slot) in call.work.index.stored
    ):  # one layer used twice gives equal values
        weights = (call.name(layer.weight_slot), call.name(layer.bias_slot))
        ends = ((call.name(layer.slot), {layer.axis}), (call.node.output[0], {layer.out_axis}))
        bound = (reader.ids.tobytes(), reader.facs.tobytes())
        place = (layer.slot, layer.groups, group)
        name = ("layer", place, weights, call.named(*ends), bound)  # type: ignore[assignment]
    ids, facs = _numbered(call, found, structure, name)
    if _partial(call, reader).any():
        zero = np.flatnonzero(found.zero).tolist()
        ids[zero] = [algebra.atom((*name, "nothing", unit)) for unit in zero]
        facs[zero] = 1
        algebra.domains.partial.update(ids.tolist())
    return ids, facs


def _partial(call: Call, reader: Reader) -> Array:
    """Return which channels of a reader may not be finite."""
    found = call.work.algebra.domains.partial
    return np.array([atom in found for atom in reader.ids.tolist()], dtype=bool)


def _numbered(
    call: Call, found: Any, structure: DenseStructure | None, name: Any
) -> tuple[Array, Array]:
    """Return atoms and factors of grouped columns; columns without weights are their bias."""
    algebra = call.work.algebra
    leaders = found.leader.tolist()
    ids = np.array([algebra.atom((*name, leader)) for leader in leaders], dtype=np.int64)
    facs = np.ones(len(leaders), dtype=np.int64)
    for unit, factor in found.factors.items():
        ids[unit], facs[unit] = algebra.numbers((int(ids[unit]), factor))
    zero = np.flatnonzero(found.zero)
    if len(zero):
        bias = np.zeros(len(zero)) if structure is None else structure.bias[zero]
        values = to_fractions(bias).tolist()
        scale = call.notes["layer"].scale
        facs[zero] = [algebra.number(value * scale) for value in values]
        ids[zero] = ONE
    return ids, facs


def columns_of(
    call: Call, unit: int, other: int
) -> list[tuple[tuple[str, ...], tuple[Fraction, ...], Fraction, Fraction]] | None:
    """Return channels, their factors, and the aggregated weights of two units from them; the biases last.

    None for units of different groups of channels, and where channels pass one by one.
    """
    layer: Layer = call.notes["layer"]
    width = layer.matrices[0].shape[1]
    if unit // width != other // width or layer.depthwise or call.op == "Gather":
        return None
    group, own = unit // width, np.array([unit % width, other % width])
    reader = [r for r in call.work.readers if r.node == call.number][group]
    known = (reader.ids == ONE) & (not layer.pads)
    rows = incoming(call.work.algebra, reader, known, layer.taps, layer.share)
    bias = None if layer.bias is None else layer.bias[group * width : (group + 1) * width]
    structure = structure_of(layer.matrices[group], bias, rows)
    weights = to_fractions(structure.entries(np.arange(structure.classes), own))
    channels = [
        f"{call.name(layer.slot)}:{k}" for k in (rows.members // layer.taps + reader.offset)
    ]
    ends = [*rows.starts.tolist(), len(channels)]
    factors = rows.factors.tolist()
    found = [
        (tuple(channels[low:high]), tuple(factors[low:high]), *pair)
        for low, high, pair in zip(ends, ends[1:], weights.tolist(), strict=False)
    ]
    shifts = to_fractions(np.zeros(2) if bias is None else structure.bias[own]).tolist()
    return [*found, ((), (), *shifts)]


def edit(call: Call, edit: Any) -> None:
    """Sum columns of merged channels, fold constants, leave out what is gone."""
    layer: Layer = call.notes["layer"]
    kept_units = edit.axis(call.node.output[0], layer.out_axis)
    edit.kept[call.node.output[0]] = kept_units
    if call.op == "Gather":
        (table,) = layer.matrices
        entries = np.arange(table.size).reshape(table.shape)
        edit.constant(call, 0, table[:, kept_units], places=entries[:, kept_units])
        return
    if layer.depthwise:
        _edit_channels(call, layer, edit, kept_units)
        return
    given = call.weights(layer.weight_slot)
    numbers = matrices_of(call, np.arange(given.size).reshape(given.shape))
    weights: list[Array] = []
    places: list[Array] = []
    biases: list[Array] = []
    groups = 0
    readers = edit.readers(call)
    first = 0
    for matrix, number, reader in zip(layer.matrices, numbers, readers, strict=True):
        units = kept_units[(kept_units >= first) & (kept_units < first + matrix.shape[1])] - first
        bias = None if layer.bias is None else layer.bias[first : first + matrix.shape[1]]
        first += matrix.shape[1]
        chosen = edit.representation(reader)
        if not len(units):
            continue
        groups += 1
        rows = by_taps(
            (chosen.channels, chosen.classes, chosen.factors),
            (chosen.fixed, chosen.values * layer.share),
            layer.taps,
        )
        merged, shifted = aggregated(matrix, bias, rows, units)
        weights.append(merged)
        taps = chosen.kept[:, None] * layer.taps + np.arange(layer.taps)
        places.append(number[np.ix_(taps.ravel(), units)])
        if shifted is not None:
            biases.append(shifted)
    edit.constant(
        call,
        layer.weight_slot,
        restored(call, layer, weights),
        rounds=True,
        places=restored(call, layer, places),
    )
    if layer.bias is not None:
        edit.constant(
            call,
            layer.bias_slot,
            _as_given(call, np.concatenate(biases)),
            rounds=True,
            places=_as_given(call, np.minimum(kept_units, call.weights(2).size - 1)),
        )
    if layer.groups > 1:
        edit.attribute(call, "group", groups)


def _as_given(call: Call, bias: Array) -> Array:
    """Return a bias with the axes that it had."""
    given = call.weights(2)
    return bias.reshape((1,) * (given.ndim - 1) + (-1,))


def _edit_channels(call: Call, layer: Layer, edit: Any, kept: Array) -> None:
    weights = call.weights(1)
    if len(kept) == len(weights):
        return
    numbers = np.arange(weights.size).reshape(weights.shape)
    edit.constant(call, 1, weights[kept], places=numbers[kept])
    if layer.bias is not None:
        edit.constant(call, 2, layer.bias[kept], places=kept)
    edit.attribute(call, "group", len(kept))


def uneven(call: Call, edit: Any) -> Array | None:
    """Return labels to give back so that every group of channels keeps as many, or loses all on both sides."""
    layer: Layer = call.notes["layer"]
    if layer.groups == 1 or layer.depthwise or call.op == "Gather":
        return None
    readers = edit.readers(call)
    sides = [
        (np.stack(rows), np.stack([edit.keeps(row) for row in rows]))
        for rows in ([r.labels for r in readers], [r.rows for r in readers])
    ]
    alive = np.logical_or(sides[0][1].any(axis=1), sides[1][1].any(axis=1))
    for labels, kept in sides:
        goal = int(kept.sum(axis=1).max())
        for row, have, lives in zip(labels, kept, alive, strict=True):
            if lives and have.sum() < goal:
                return np.asarray(row[np.flatnonzero(~have)[: goal - int(have.sum())]])
    return None
