"""NNet files (.nnet): fully connected ReLU networks as text, with their normalisation.

Comment lines begin with ``//``.  Then, separated by commas: the numbers of layers, inputs, outputs and the
largest layer; the layer sizes; a line that is not used; minima and maxima of the inputs; means and
ranges of the inputs, and last those of the outputs; then weights, one line for each neuron, and biases,
one line for each.  The network that is read maps raw inputs to raw outputs:

    x -> (x - mean) / range -> layers -> y * range + mean.

Minima and maxima describe the inputs for which the network was made; they are not applied, whereas the programs of
the NNet repository cut inputs off there.  Steps that change nothing are left out.  Numbers are read as float64.
Julian 2016 (NNet repository).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import opened, reading, writing
from lumpability.networks.elementwise import Activate, Scale, Shift
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array

_MAX_LAYERS, _MAX_WIDTH = 10_000, 10_000_000


def read_nnet(path: str | Path, *, fold_scaling: bool = True) -> Network:
    """Read a network from an NNet file, by default with the file's scaling of inputs and outputs.

    A `FormatError` carries ``line``.
    """
    with opened(path, text=True) as handle, reading(path):
        lines = _Lines(path, handle.read().decode("utf-8"))
        return _network(lines, fold_scaling)


class _Lines:
    """The lines of numbers of a file, comments skipped."""

    def __init__(self, path: str | Path, text: str) -> None:
        self.path = path
        self.lines = self._numbered(text)
        self.line = 0

    @staticmethod
    def _numbered(text: str) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(text.splitlines(), start=1):
            stripped = line.strip()
            if stripped and not stripped.startswith("//"):
                yield number, stripped

    def text(self, what: str) -> str:
        found = next(self.lines, None)
        if found is None:
            raise FormatError(f"ends before {what}", path=self.path, line=self.line or None)
        self.line = found[0]
        return found[1]

    def numbers(self, what: str, count: int | None = None) -> Array:
        """Return the next line as float64 numbers."""
        fields = [field.strip() for field in self.text(what).rstrip(",").split(",")]
        try:
            values = np.array([float(field) for field in fields])
        except ValueError:
            wrong = next(field for field in fields if not _is_number(field))
            raise FormatError(
                f"{what}: {wrong[:40]!r} is not a number", path=self.path, line=self.line
            ) from None
        if count is not None and len(values) != count:
            raise FormatError(
                f"{what}: {len(values)} numbers where {count} belong",
                path=self.path,
                line=self.line,
            )
        if not np.isfinite(values).all():
            raise FormatError(f"{what}: a number is not finite", path=self.path, line=self.line)
        return values

    def sizes(self, what: str, count: int | None = None) -> list[int]:
        values = self.numbers(what, count)
        if np.any(values != np.floor(values)) or np.any(values < 1) or np.any(values > _MAX_WIDTH):
            raise FormatError(f"{what} must be positive integers", path=self.path, line=self.line)
        return [int(value) for value in values]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _network(lines: _Lines, fold_scaling: bool) -> Network:
    header = lines.sizes("the header")
    if len(header) < 3 or header[0] > _MAX_LAYERS:
        raise FormatError("the header needs four numbers", path=lines.path, line=lines.line)
    count, inputs, outputs = header[:3]
    sizes = lines.sizes("the layer sizes", count + 1)
    if sizes[0] != inputs or sizes[-1] != outputs:
        raise FormatError(
            f"the header says {inputs} inputs and {outputs} outputs, the sizes {sizes[0]} and {sizes[-1]}",
            path=lines.path,
            line=lines.line,
        )
    lines.text("the unused line")
    lines.numbers("the minima")
    lines.numbers("the maxima")
    means = lines.numbers("the means")
    ranges = lines.numbers("the ranges")
    layers: list[Layer] = []
    for number, (below, width) in enumerate(pairwise(sizes)):
        rows = [lines.numbers(f"weights of layer {number}", below) for _ in range(width)]
        biases = [lines.numbers(f"biases of layer {number}", 1)[0] for _ in range(width)]
        layers.append(Dense(np.array(rows).T.copy(), np.array(biases)))
        if number < count - 1:
            layers.append(Activate("relu"))
    if fold_scaling:
        layers = _normalised(layers, means, ranges, inputs, lines)
    return Network(tuple(layers), (None, inputs), np.float64)


def _normalised(
    layers: list[Layer], means: Array, ranges: Array, inputs: int, lines: _Lines
) -> list[Layer]:
    if len(means) == inputs == 2:
        raise FormatError(
            "2 means for 2 inputs may belong to the inputs, or one to all inputs and one to the output: give 3",
            path=lines.path,
        )
    # Some files give one number for all inputs and one for the outputs.
    if len(means) == 2 and inputs != 1:
        means, ranges = means[[0] * inputs + [1]], ranges[[0] * inputs + [1]]
    if len(means) != inputs + 1 or len(ranges) != inputs + 1:
        raise FormatError(
            f"{len(means)} means and {len(ranges)} ranges where {inputs} inputs and one output belong",
            path=lines.path,
        )
    before: list[Layer] = []
    after: list[Layer] = []
    if means[:inputs].any():
        before.append(Shift(-means[:inputs]))
    if np.any(ranges[:inputs] != 1):
        before.append(Scale(ranges[:inputs], divide=True))
    if ranges[inputs] != 1:
        after.append(Scale(ranges[inputs:]))
    if means[inputs]:
        after.append(Shift(means[inputs:]))
    return [*before, *layers, *after]


def write_nnet(network: Network, path: str | Path) -> None:
    """Write a dense ReLU network to an NNet file; numbers are written so that they read back exactly.

    Shifts and scales of inputs and outputs are written if they have the form that `read_nnet` gives.
    Raises `FormatError` if the network has other layers.
    """
    dense, means, ranges = _parts(network, path)
    inputs, outputs = dense[0].weight.shape[0], dense[-1].units
    sizes = [inputs, *(layer.units for layer in dense)]
    limit = float(np.finfo(np.float64).max)
    lines = [
        "// Neural Network File Format by Kyle Julian, Stanford 2016",
        _line([len(dense), inputs, outputs, max(sizes)]),
        _line(sizes),
        "0,",
        _line([-limit] * inputs),
        _line([limit] * inputs),
        _line(means),
        _line(ranges),
    ]
    for layer in dense:
        bias = np.zeros(layer.units) if layer.bias is None else layer.bias
        lines += [_line(row) for row in layer.weight.T.tolist()]
        lines += [_line([value]) for value in bias.tolist()]
    with writing(path) as handle:
        handle.write(("\n".join(lines) + "\n").encode())


def _line(values: object) -> str:
    return "".join(f"{value!r}," for value in np.asarray(values).tolist())


def _parts(network: Network, path: str | Path) -> tuple[list[Dense], list[float], list[float]]:
    layers = list(network.layers)
    first = next((i for i, layer in enumerate(layers) if isinstance(layer, Dense)), len(layers))
    last = max((i for i, layer in enumerate(layers) if isinstance(layer, Dense)), default=-1)
    inner = layers[first : last + 1]
    dense = [layer for layer in inner if isinstance(layer, Dense)]
    fits = bool(inner) and all(
        isinstance(layer, Dense)
        if i % 2 == 0
        else isinstance(layer, Activate) and layer.function.name == "relu"
        for i, layer in enumerate(inner)
    )
    size = dense[0].weight.shape[0] if dense else 0
    before = _normalisation(layers[:first], (Shift, Scale), size, divide=True)
    after = _normalisation(layers[last + 1 :], (Scale, Shift), 1, divide=False)
    if not fits or before is None or after is None:
        raise FormatError(
            "NNet holds dense layers with ReLU between them and a normalisation; this network has other "
            "layers: write ONNX",
            path=path,
        )
    means = [-value for value in before[Shift]] + after[Shift]
    return dense, means, before[Scale] + after[Scale]


def _normalisation(
    layers: list[Layer], order: tuple[type[Layer], type[Layer]], size: int, *, divide: bool
) -> dict[type[Layer], list[float]] | None:
    """Return the numbers of an optional shift and an optional scale, in that order."""
    found: dict[type[Layer], list[float]] = {Shift: [0.0] * size, Scale: [1.0] * size}
    expected = list(order)
    for layer in layers:
        while expected and not isinstance(layer, expected[0]):
            expected.pop(0)
        if not isinstance(layer, Shift | Scale) or not expected:
            return None
        value = layer.value
        by_unit = value.ndim <= 2 and (value.size == 1 or value.shape[-1] == value.size == size)
        if not by_unit or (isinstance(layer, Scale) and layer.divide != divide):
            return None
        found[expected.pop(0)] = np.broadcast_to(value.ravel(), (size,)).tolist()
    return found
