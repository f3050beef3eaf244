"""Networks larger than memory: the layers of a ``.safetensors`` are lumped while their weights stream from disk.

A unit of a layer F(W x + b) has a row of W, an entry of b, and a column of the next W.  A unit of a gated layer
D (F(G x) * U x) has a row of G, one of U, and a column of D.  Units with equal rows compute the same function,
whatever F is: one of them stays, with the sum of their columns.  Of the others in a gated layer, those with one row
of G and one column d of D contribute d F(g x) (u + u' + ...) x: one of them stays, with the sum of their rows of U.
A unit whose column is zero then is removed, and so is one that is zero itself: by its row of U, or by its row and
bias where F(0) = 0.

Rows and columns are first told apart by a hash, the sum of their mixed bits times random odd numbers modulo 2^64,
and those with one hash are compared bit by bit, so nothing rests on chance.  In a sequence of layers, the rows that
are compared are those of the reduced matrix; where a sum of columns was rounded, those of the file.  What can be
merged or removed only after another unit has changed stays; a second run finds it.  Every weight is read three times;
a unit takes some 50 bytes of memory.
"""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lumpability.errors import FormatError, InvalidNetwork, NotJustified, require
from lumpability.files import reading, writing
from lumpability.formats.weight_rows import (
    Array,
    Classes,
    Sums,
    bits_of,
    hash_of,
    sum_of_rows,
    summed,
)
from lumpability.formats.weights import Stored
from lumpability.networks.activations import Activation, activation
from lumpability.networks.quotient import Rounding
from lumpability.partition import Partition

Gated = tuple[str, str, str]
_CHUNK = 1 << 20  # weights
_KINDS = ("F16", "BF16", "F32", "F64")
_GATED = (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2"))
"""Names of the layers of gated MLPs in well-known models."""


@dataclass(frozen=True)
class ReducedLayer:
    """A hidden layer: its name, its units, the classes of equal units, and the units that stay."""

    name: str
    units: int
    classes: int
    kept: int


@dataclass(frozen=True)
class WeightsLumping:
    """What `lump_weights` has found.

    Attributes
    ----------
    layers : tuple of ReducedLayer
    parameters, reduced_parameters : int
        Of the whole file, before and after.
    rounding : Rounding or None
        The sums of weights that the stored type cannot hold; None if no file was written.
    seconds : float
    """

    layers: tuple[ReducedLayer, ...]
    parameters: int
    reduced_parameters: int
    rounding: Rounding | None
    seconds: float

    def __repr__(self) -> str:
        units, kept = (sum(getattr(x, name) for x in self.layers) for name in ("units", "kept"))
        sizes = f"{self.parameters} -> {self.reduced_parameters} parameters"
        return f"WeightsLumping({units} -> {kept} hidden units, {sizes}, equal bit by bit)"


def lump_weights(
    path: str | Path,
    output: str | Path | None = None,
    *,
    layers: Iterable[tuple[str, str | Activation | None]] | None = None,
    gated: Iterable[Gated] | None = None,
    exact_weights: bool = False,
) -> WeightsLumping:
    """Merge equal hidden units of a ``.safetensors`` of any size, and remove those without effect.

    Parameters
    ----------
    path, output : path
        Nothing is written without `output`.
    layers : sequence of (prefix, activation), optional
        A network of dense layers, as for `lumpability.read`.
    gated : sequence of (gate, up, down), optional
        Prefixes of gated layers; by default those that are called ``gate_proj``, ``up_proj``, ``down_proj`` or
        ``w1``, ``w3``, ``w2``.
    exact_weights : bool
        Refuse if the stored type cannot hold a sum of weights, rather than round it.

    Raises
    ------
    FormatError
        If the file has no such layers, or their weights are no finite floats or do not fit together.
    NotJustified
        If `exact_weights` is not possible.

    Examples
    --------
    >>> import tempfile
    >>> from safetensors.numpy import load_file, save_file
    >>> gate, down = np.array([[1, 2], [3, 4], [1, 2]], np.float32), np.array([[1, 2, 3]], np.float32)
    >>> weights = {"gate_proj.weight": gate, "up_proj.weight": gate, "down_proj.weight": down}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file(weights, f"{folder}/net.safetensors")
    ...     lumping = lump_weights(f"{folder}/net.safetensors", f"{folder}/small.safetensors")
    ...     print(lumping, load_file(f"{folder}/small.safetensors")["down_proj.weight"])
    WeightsLumping(3 -> 2 hidden units, 15 -> 10 parameters, equal bit by bit) [[4. 2.]]
    """
    started = time.perf_counter()
    with reading(path), Path(path).open("rb") as file:
        weights = _Weights(Path(path), file)
        hidden = [*_plain_layers(weights, layers or ()), *_gated_layers(weights, layers, gated)]
        if not hidden:
            raise FormatError(
                "holds weights without a list of layers, and no gated layers by name: say which form them with "
                "layers=[(prefix, activation), ...] or gated=[(gate, up, down), ...]",
                path=path,
            )
        reports = [weights.reduce(layer) for layer in hidden]
        rounding = None
        if output is not None:
            rounding = weights.write(output, exact=exact_weights)
    shapes = {name: weights.shape(name) for name in weights.tensors}
    reduced = sum(int(np.prod(weights.reduced_shape(name))) for name in shapes)
    before = sum(int(np.prod(shape)) for shape in shapes.values())
    return WeightsLumping(tuple(reports), before, reduced, rounding, time.perf_counter() - started)


@dataclass(frozen=True)
class _Hidden:
    """A hidden layer: tensors with a row for each unit, with a column for each, and those that make a unit zero.

    The output is linear in those of ``linear``.
    """

    name: str
    rows: tuple[str, ...]
    column: str
    vanishing: tuple[str, ...]
    linear: tuple[str, ...] = ()


def _plain_layers(
    weights: _Weights, layers: Iterable[tuple[str, str | Activation | None]]
) -> Iterator[_Hidden]:
    listed = list(layers)
    for (prefix, function), (after, _) in pairwise(listed):
        rows = weights.of_layer(prefix)
        zero = function is None or activation(function).value(Fraction(0)) == 0
        yield _Hidden(prefix, rows, weights.of_layer(after)[0], rows if zero else ())


def _gated_layers(
    weights: _Weights, layers: Any, gated: Iterable[Gated] | None
) -> Iterator[_Hidden]:
    if gated is None:
        gated = [] if layers is not None else gated_layers(weights.tensors)
    for gate, up, down in gated:
        own = weights.of_layer(up)
        yield _Hidden(gate, (*weights.of_layer(gate), *own), weights.of_layer(down)[0], own, own)


def _by_words(words: Array) -> Partition:
    """Return the units with one word each as classes."""
    return Partition(np.unique(words, return_inverse=True)[1])


def _pairs(partition: Partition) -> tuple[Array, Array]:
    """Return the units that are not the first of their class, and the first of each."""
    others = np.setdiff1d(np.arange(partition.n), partition.representatives)
    return others, partition.representatives[partition.labels[others]]


def gated_layers(names: Iterable[str]) -> list[Gated]:
    """Return the gated layers among tensors that have well-known names.

    >>> gated_layers(f"mlp.{name}_proj.weight" for name in ("down", "gate", "up"))
    [('mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj')]
    """
    known, found = set(names), []
    for name in sorted(known):
        for gate, *others in _GATED:
            start, end, _ = name.rpartition(f"{gate}.weight")
            layer = (f"{start}{gate}", *(f"{start}{other}" for other in others))
            whole = end and start[-1:] in ("", ".") and name == f"{layer[0]}.weight"
            if whole and all(f"{part}.weight" in known for part in layer):
                found.append((layer[0], layer[1], layer[2]))
    return found


@dataclass
class _Weights:
    """The tensors of an open file, and the classes of rows and of columns of those that have been reduced."""

    path: Path
    file: BinaryIO
    rows: dict[str, Classes] = field(default_factory=dict)
    columns: dict[str, Classes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stored = Stored(self.path, 0)
        self.tensors, self.start, self.metadata = stored.tensors, stored.start, stored.metadata
        self.map = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)

    def of_layer(self, prefix: str) -> tuple[str, ...]:
        """Return the names of the weight and, if there is one, the bias of a layer."""
        names = [name for name in (f"{prefix}.weight", f"{prefix}.bias") if name in self.tensors]
        if f"{prefix}.weight" not in names:
            raise FormatError(f"there is no tensor {prefix + '.weight'!r}", path=self.path)
        for name, axes in zip(names, (2, 1), strict=False):
            kind, shape = self.tensors[name]["dtype"], self.shape(name)
            if kind not in _KINDS or len(shape) != axes:
                raise InvalidNetwork(
                    f"{name} is {kind} of shape {shape}: layers are matrices of floats"
                )
        return tuple(names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape in the file."""
        return tuple(self.tensors[name]["shape"])

    def reduced_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape after the reduction."""
        shape = list(self.shape(name))
        if name in self.rows:
            shape[0] = len(self.rows[name].first)
        if name in self.columns:
            shape[1] = len(self.columns[name].first)
        return tuple(shape)

    def matrix(self, name: str) -> Array:
        """Return the numbers in the file, mapped; a bias as one column."""
        kind = self.tensors[name]["dtype"]
        dtype = (
            require("ml_dtypes", extra="onnx").bfloat16
            if kind == "BF16"
            else f"<f{int(kind[1:]) // 8}"
        )
        shape, low = self.shape(name), self.start + self.tensors[name]["data_offsets"][0]
        count = int(np.prod(shape))
        numbers = np.frombuffer(self.map, dtype, count, low) if count else np.empty(0, dtype)
        return numbers.reshape(shape if len(shape) > 1 else (-1, 1))

    def released(self, pieces: Iterable[Any]) -> Iterator[Any]:
        """Yield pieces; after each, give back the pages that were read."""
        for piece in pieces:
            yield piece
            if hasattr(mmap, "MADV_DONTNEED"):
                self.map.madvise(mmap.MADV_DONTNEED)

    def parts(self, name: str, chosen: Array | None = None) -> Iterator[tuple[slice, Array]]:
        """Yield rows of a tensor, a number of them at a time: all, or those that are chosen."""
        matrix = self.matrix(name)
        total, step = (
            len(matrix if chosen is None else chosen),
            max(_CHUNK // max(matrix.shape[1], 1), 1),
        )
        cuts = (slice(low, min(low + step, total)) for low in range(0, total, step))
        for cut in self.released(cuts):
            yield cut, matrix[cut if chosen is None else chosen[cut]]

    def reduce(self, layer: _Hidden) -> ReducedLayer:
        """Find the units of a layer that stay."""
        sizes = {len(self.matrix(name)) for name in layer.rows}
        units = self.shape(layer.column)[1]
        if sizes != {units}:
            raise InvalidNetwork(
                f"{', '.join(layer.rows)} have {', '.join(map(str, sorted(sizes)))} rows, and {layer.column} has "
                f"{units} columns: these must be equal"
            )
        for name in (*layer.rows, layer.column):
            if name in (self.columns if name == layer.column else self.rows):
                raise InvalidNetwork(f"{name} is used twice: copy it first")
        zero, seed, found = self._zero_rows(layer), 0, None
        while found is None:  # two rows that differ have one hash
            found, seed = self._merged(layer, zero, seed), seed + 1
        partition, linear = found
        kept = ~zero[partition.representatives]
        every = Classes.of(partition, np.ones(len(partition), dtype=bool), ~linear)
        used = np.zeros(len(partition), dtype=bool)
        for _, part in self.parts(layer.column):
            used |= (bits_of(summed(part, every, layer.column).numbers, layer.column) != 0).any(
                axis=0
            )
        kept &= used
        kept[:1] |= not kept.any()  # a layer has a unit
        classes = self.columns[layer.column] = Classes.of(partition, kept, ~linear)
        self.rows |= dict.fromkeys(layer.rows, Classes.of(partition, kept, ~kept))
        self.rows |= dict.fromkeys(layer.linear, Classes.of(partition, kept, linear))
        return ReducedLayer(layer.name, units, len(partition), len(classes.first))

    def _reduced(self, name: str, part: Array) -> Sums:
        """Return rows with the columns of merged inputs added."""
        if name not in self.columns:
            return Sums(part, np.zeros(len(part), dtype=bool))
        return summed(part, self.columns[name], name)

    def _merged(self, layer: _Hidden, zero: Array, seed: int) -> tuple[Partition, Array] | None:
        """Return the partition of units, and which of its classes are of units with one gate and column.

        Nothing, if a hash with this seed is that of two rows or columns.
        """
        own = [name for name in layer.rows if name not in layer.linear]
        gates = self._hashes(layer, own, seed)
        partition = _by_words(gates + self._hashes(layer, layer.linear, seed))
        others, firsts = _pairs(partition)
        if not all(self._agree(name, others, firsts) for name in layer.rows):
            return None
        linear = np.zeros(len(partition), dtype=bool)
        if not layer.linear or any(name in self.columns for name in layer.rows):
            return partition, linear
        alone = (partition.blocks.sizes == 1)[partition.labels] & ~zero
        keys = gates + self._hashes_of_columns(layer.column, seed)
        together = _by_words(np.where(alone, keys, np.uint64(0)))
        joined = Partition(np.where(alone, len(partition), partition.labels)).meet(together)
        others, firsts = _pairs(joined)
        others, firsts = others[alone[firsts]], firsts[alone[firsts]]
        same = all(self._agree(name, others, firsts) for name in own)
        if not same or not self._agree_in_columns(layer.column, others, firsts):
            return None
        return joined, (joined.blocks.sizes > 1) & alone[joined.representatives]

    def _hashes_of_columns(self, name: str, seed: int) -> Array:
        total = np.zeros(self.shape(name)[1], dtype=np.uint64)
        for cut, part in self.parts(name):
            columns = np.ascontiguousarray(bits_of(part, name).T)
            total += hash_of(columns, [seed, cut.start, 2])
        return total

    def _agree_in_columns(self, name: str, others: Array, firsts: Array) -> bool:
        """Whether columns are equal, bit by bit."""
        return all(
            np.array_equal(bits_of(part[:, others], name), bits_of(part[:, firsts], name))
            for _, part in self.parts(name)
        )

    def _hashes(self, layer: _Hidden, names: Sequence[str], seed: int) -> Array:
        total = np.zeros(len(self.matrix(layer.rows[0])), dtype=np.uint64)
        for name in names:
            number = layer.rows.index(name)
            for cut, part in self.parts(name):
                sums = self._reduced(name, part)
                total[cut] += np.where(
                    sums.rounded,
                    hash_of(bits_of(part, name), [seed, number, 1])
                    if sums.rounded.any()
                    else np.uint64(0),
                    hash_of(bits_of(sums.numbers, name), [seed, number, 0]),
                )
        return total

    def _agree(self, name: str, others: Array, firsts: Array) -> bool:
        """Whether rows are equal, bit by bit."""
        matrix = self.matrix(name)
        for cut, part in self.parts(name, others):
            first = matrix[firsts[cut]]
            equal = (bits_of(part, name) == bits_of(first, name)).all(axis=1)
            if name in self.columns and not equal.all():
                a, b = self._reduced(name, part), self._reduced(name, first)
                same = (bits_of(a.numbers, name) == bits_of(b.numbers, name)).all(axis=1)
                equal |= same & ~a.rounded & ~b.rounded
            if not equal.all():
                return False
        return True

    def _zero_rows(self, layer: _Hidden) -> Array:
        zero = np.full(self.shape(layer.column)[1], bool(layer.vanishing))
        for name in layer.vanishing:
            for cut, part in self.parts(name):
                sums = self._reduced(name, part)
                zero[cut] &= ~sums.rounded & ~bits_of(sums.numbers, name).any(axis=1)
        return zero

    def write(self, output: str | Path, *, exact: bool) -> Rounding:
        """Write the reduced tensors, one after the other."""
        names = sorted(self.tensors, key=lambda name: self.tensors[name]["data_offsets"])
        header: dict[str, Any] = {"__metadata__": self.metadata} if self.metadata else {}
        end = 0
        for name in names:
            low, high = self.tensors[name]["data_offsets"]
            shape, count = self.reduced_shape(name), int(np.prod(self.shape(name)))
            size = (high - low) * int(np.prod(shape)) // max(count, 1)
            header[name] = {"dtype": self.tensors[name]["dtype"], "shape": list(shape)}
            header[name]["data_offsets"] = [end, end + size]
            end += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        rounding = Rounding()
        with writing(output) as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                if name not in self.rows and name not in self.columns:
                    self._copy(name, file)
                    continue
                for numbers, made in self._written(name):
                    rounding += made
                    file.write(np.ascontiguousarray(numbers).tobytes())
                if exact and rounding.rounded:
                    raise NotJustified(
                        f"{name} cannot hold {rounding.rounded} of its new weights (off by at most "
                        f"{float(rounding.largest):.3g}): allow rounding",
                        rounding=rounding,
                    )
        return rounding

    def _written(self, name: str) -> Iterator[tuple[Array, Rounding]]:
        """Yield the reduced rows of a tensor, with sums of columns, or of rows, and what was rounded."""
        classes, matrix = self.rows.get(name), self.matrix(name)
        for cut, part in self.parts(name, None if classes is None else classes.first):
            sums = self._reduced(name, part)
            rounding = Rounding(sums.numbers.size, sums.changed, sums.largest)
            for place, members in () if classes is None else classes.groups(cut):
                step = max(_CHUNK // len(members), 1)
                for low in range(0, matrix.shape[1], step):
                    total = sum_of_rows(matrix[members, low : low + step], name)
                    sums.numbers[place, low : low + step] = total.numbers[:, 0]
                    rounding += Rounding(0, total.changed, total.largest)
            yield sums.numbers, rounding

    def _copy(self, name: str, file: BinaryIO) -> None:
        low, high = (self.start + place for place in self.tensors[name]["data_offsets"])
        file.writelines(
            self.map[place : min(place + 8 * _CHUNK, high)]
            for place in self.released(range(low, high, 8 * _CHUNK))
        )
