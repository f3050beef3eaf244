"""Linear layers with stored weights: Gemm, MatMul, Conv (grouped and depthwise too), ConvTranspose, embeddings.

A layer reads the channels of its input and makes new units.  Its columns, aggregated by the classes of the channels,
every kernel tap on its own, are grouped by the engine: columns that are multiples of each other are one atom.  No
position and no size of the input is looked at, so a group holds for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.merging import group_columns
from lumpability.networks.operators.matching import matched_layer, matched_table
from lumpability.networks.operators.rows import aggregated, by_taps, incoming, structure_of
from lumpability.networks.tensors.algebra import ONE, Value
from lumpability.networks.tensors.call import HELD, Call, Declined, Reader, Tensor
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group
from lumpability.structure.dense import DenseStructure, RowClasses

__all__ = ["Layer"]

OPERATORS = frozenset(["Gemm", "MatMul", "Conv", "ConvTranspose", "Einsum", "Gather"])


@dataclass
class Layer:
    """A node as matrices, one for each group of channels.

    Attributes
    ----------
    slot, weight_slot : int
        Inputs of the node that move, and that hold the weights.
    axis, out_axis : int
        Of the channels, in the input and in the output.
    matrices : list of array, shape (channels * taps, units)
    bias : array of shape (units,), or None
    share, scale : Fraction
        What the product has to be multiplied by to be comparable with the bias, and both after that.
    """

    slot: int
    weight_slot: int
    axis: int
    out_axis: int
    matrices: list[Array]
    bias: Array | None = None
    bias_slot: int = 2
    taps: int = 1
    pads: bool = False
    share: Fraction = Fraction(1)
    scale: Fraction = Fraction(1)

    @property
    def groups(self) -> int:
        """Number of groups of channels."""
        return len(self.matrices)

    @property
    def depthwise(self) -> bool:
        """Whether every channel has one unit of its own."""
        return self.groups > 1 and self.matrices[0].shape == (self.taps, 1)


def serves(call: Call) -> bool:
    """Whether the weights are stored."""
    if call.op == "Gather":
        table = call.constant(0)
        return table is not None and table.ndim == 2 and call.attributes.get("axis", 0) == 0
    if call.op == "MatMul":
        return (call.constant(0) is None) != (call.constant(1) is None)
    if call.op == "Einsum":
        return _letters(call) is not None
    weights = call.constant(1)
    return weights is not None and call.moving(0) and not (call.name(2) and call.moving(2))


def layer_of(call: Call) -> Layer:
    """Return the node as matrices; declines what it does not cover."""
    layer: Layer = {
        "Gemm": _gemm,
        "MatMul": _matmul,
        "Conv": _convolution,
        "ConvTranspose": _transposed,
        "Einsum": _einsum,
        "Gather": _embedding,
    }[call.op](call)
    first = layer.matrices[0]
    if first.dtype.kind != "f" or not all(np.isfinite(m).all() for m in layer.matrices):
        raise Declined("has weights that are not finite floats")
    if layer.bias is not None and not np.isfinite(layer.bias).all():
        raise Declined("has weights that are not finite floats")
    return layer


def _gemm(call: Call) -> Layer:
    given = call.attributes
    weights, bias = call.constant(1), call.constant(2)
    if given.get("transA", 0) or weights is None or weights.ndim != 2:
        raise Declined("transposes what it multiplies")
    alpha, beta = (Fraction(float(np.float32(given.get(k, 1.0)))) for k in ("alpha", "beta"))
    (matrix,) = _matrices(call, weights)
    if not alpha or (bias is not None and not beta):
        raise Declined("multiplies by zero")
    if bias is not None:
        if bias.size not in (1, matrix.shape[1]) or (bias.ndim > 1 and bias.shape[-1] != bias.size):
            raise Declined("adds numbers that differ within the batch")
        bias = np.broadcast_to(bias.reshape(-1), matrix.shape[1:])
    share, scale = (Fraction(1), alpha) if bias is None else (alpha / beta, beta)
    return Layer(0, 1, 1, 1, [matrix], bias, share=share, scale=scale)


def _matmul(call: Call) -> Layer:
    slot = 0 if call.moving(0) else 1
    weights, rank = call.constant(1 - slot), call.tensor(slot).rank
    assert weights is not None
    if weights.ndim != 2 or rank < 1:
        raise Declined("multiplies by weights of more than two axes")
    axis = rank - 1 if slot == 0 else max(rank - 2, 0)
    return Layer(slot, 1 - slot, axis, axis, _matrices(call, weights))


def _letters(call: Call) -> tuple[int, str, str, str] | None:
    """Return the input of an Einsum that moves, its letters, those of the weights, and the one that is summed over.

    None unless one axis of the input is replaced by an axis of weights with two.
    """
    ends = str(call.attributes.get("equation", "")).replace(" ", "").split("->")
    terms = ends[0].split(",")
    moving = [slot for slot in range(len(terms)) if call.moving(slot)]
    if len(ends) != 2 or len(terms) != 2 or len(moving) != 1:
        return None
    data, weights = terms[moving[0]], terms[1 - moving[0]]
    summed = [letter for letter in weights if letter in data]
    if (
        len(weights) != 2
        or len(summed) != 1
        or len(set(data) - {"."}) < len(data.replace("...", ""))
    ):
        return None
    made = weights.replace(summed[0], "")
    return (
        (moving[0], data, weights, summed[0]) if ends[1] == data.replace(summed[0], made) else None
    )


def _einsum(call: Call) -> Layer:
    found = _letters(call)
    assert found is not None
    slot, data, _, summed = found
    weights = call.constant(1 - slot)
    assert weights is not None
    before = data.partition("...")[0]
    place = data.index(summed)
    axis = place if summed in before else call.tensor(slot).rank - (len(data) - place)
    return Layer(slot, 1 - slot, axis, axis, _matrices(call, weights))


def _is_turned(call: Call) -> bool:
    """Whether the weights of an Einsum have the new units first."""
    found = _letters(call)
    return found is not None and found[2][1] == found[3]


def _convolution(call: Call) -> Layer:
    weights = call.constant(1)
    assert weights is not None
    taps, matrices = math.prod(weights.shape[2:]), _matrices(call, weights)
    return Layer(0, 1, 1, 1, matrices, call.constant(2), taps=taps, pads=_pads(call))


def _transposed(call: Call) -> Layer:
    weights = call.constant(1)
    assert weights is not None
    taps, matrices = math.prod(weights.shape[2:]), _matrices(call, weights)
    return Layer(0, 1, 1, 1, matrices, call.constant(2), taps=taps, pads=True)


def _matrices(call: Call, weights: Array) -> list[Array]:
    """Return a node's weights as matrices, shape (channels * taps, units), one for each group of channels."""
    if call.op == "Gemm":
        return [weights.T if call.attributes.get("transB", 0) else weights]
    if call.op == "MatMul":
        return [weights if call.moving(0) else weights.T]
    if call.op == "Einsum":
        return [weights.T if _is_turned(call) else weights]
    groups, taps = int(call.attributes.get("group", 1)), math.prod(weights.shape[2:])
    if call.op == "Conv":
        return [part.T for part in weights.reshape(groups, weights.shape[0] // groups, -1)]
    parts = weights.reshape(groups, weights.shape[0] // groups, weights.shape[1], taps)
    return [part.transpose(0, 2, 1).reshape(-1, weights.shape[1]) for part in parts]


def _embedding(call: Call) -> Layer:
    table, rank = call.constant(0), len(call.shape())
    assert table is not None
    return Layer(1, 0, -1, rank - 1, [table])


def _pads(call: Call) -> bool:
    given = call.attributes
    return any(given.get("pads", ())) or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")


def apply(call: Call) -> None:
    """Record output and readers."""
    call.only_first_output()
    shape = call.shape()
    layer = layer_of(call)
    call.notes["layer"] = layer
    if call.op == "Gather":
        _embed(call, layer, shape)
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
    if seen.ids.size not in (1, width):
        raise Declined  # it can never run
    channels = np.broadcast_to(seen.ids.ravel(), (width,))
    ids, facs = np.zeros(sum(columns), np.int64), np.zeros(sum(columns), np.int64)
    for group, matrix in enumerate(layer.matrices):
        width = matrix.shape[0] // layer.taps
        low, first = group * width, sum(columns[:group])
        part = slice(low, low + width)
        units = slice(first, first + columns[group])
        reader = Reader(
            call.number,
            layer.slot,
            _cut(seen.labels, part, len(channels)),
            _cut(seen.ids, part, len(channels)),
            _cut(seen.facs, part, len(channels)),
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
    place = [1] * len(shape)
    place[layer.out_axis] = len(labels)
    call.yields({layer.out_axis}, labels.reshape(place), (ids.reshape(place), facs.reshape(place)))


def _cut(array: Array, part: slice, channels: int) -> Array:
    return np.broadcast_to(array.ravel(), (channels,))[part]


def _embed(call: Call, layer: Layer, shape: tuple[int, ...]) -> None:
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
    place = [1] * len(shape)
    place[-1] = table.shape[1]
    alone = table.shape[1] == 1
    labels = np.full(1, HELD) if alone else call.work.labels.fresh(table.shape[1])
    call.yields(
        {len(shape) - 1},
        labels.reshape(place),
        (values[0].reshape(place), values[1].reshape(place)),
    )


def _per_channel(call: Call, layer: Layer, seen: Tensor) -> None:
    """A depthwise convolution: units pass, their kernels up to a factor being part of the function's name."""
    algebra = call.work.algebra
    weights = call.constant(1)
    assert weights is not None
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
    units = (
        np.broadcast_to(seen.ids.ravel(), leads.shape),
        np.broadcast_to(seen.facs.ravel(), leads.shape),
    )
    found = algebra.map([*units, shapes, leads, *constant], rule)
    place = [1] * len(call.shape())
    place[1] = len(leads)
    labels = np.broadcast_to(seen.labels.ravel(), leads.shape)
    call.yields({1}, labels.reshape(place), (found[0].reshape(place), found[1].reshape(place)))


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
    given = call.constant(layer.weight_slot)
    assert given is not None
    numbers = _matrices(call, np.arange(given.size).reshape(given.shape))
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
        _restored(call, layer, weights),
        rounds=True,
        places=_restored(call, layer, places),
    )
    if layer.bias is not None:
        edit.constant(
            call,
            layer.bias_slot,
            _as_given(call, np.concatenate(biases)),
            rounds=True,
            places=_as_given(call, np.minimum(kept_units, _bias_size(call) - 1)),
        )
    if layer.groups > 1:
        edit.attribute(call, "group", groups)


def _bias_size(call: Call) -> int:
    """Return how many numbers the stored bias has; one may serve all units."""
    given = call.constant(2)
    assert given is not None
    return int(given.size)


def _as_given(call: Call, bias: Array) -> Array:
    """Return a bias with the axes that it had."""
    given = call.constant(2)
    assert given is not None
    return bias.reshape((1,) * (given.ndim - 1) + (-1,))


def _restored(call: Call, layer: Layer, parts: list[Array]) -> Array:
    """Return matrices in the layout of the node's weights."""
    given = call.constant(layer.weight_slot)
    assert given is not None
    if call.op == "Conv":
        return np.concatenate([m.T.reshape(m.shape[1], -1, *given.shape[2:]) for m in parts])
    if call.op == "ConvTranspose":
        taps = layer.taps
        return np.concatenate(
            [
                m.reshape(-1, taps, m.shape[1])
                .transpose(0, 2, 1)
                .reshape(-1, m.shape[1], *given.shape[2:])
                for m in parts
            ]
        )
    (matrix,) = parts
    turned = {
        "Gemm": bool(call.attributes.get("transB", 0)),
        "MatMul": layer.slot == 1,
        "Einsum": call.op == "Einsum" and _is_turned(call),
    }[call.op]
    return np.ascontiguousarray(matrix.T if turned else matrix)


def _edit_channels(call: Call, layer: Layer, edit: Any, kept: Array) -> None:
    weights = call.constant(1)
    assert weights is not None
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
