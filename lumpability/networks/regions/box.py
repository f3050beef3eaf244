"""Boxes of inputs: for every input an interval with rational ends.

A box [low, high] is the set of all x with low <= x <= high in every input.  Its ends are kept as the exact
numbers that were given: "0.03" is 3/100, and a float is the dyadic rational that it is.  Computations in floats use
`Box.floats`, whose ends are rounded *outward*: what they prove of the larger box holds on the box itself.
A box is one point if its ends agree; it is never empty.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidInput
from lumpability.files import opened, reading, writing
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.rationals import read_number, shown

_MOST_BYTES = 1 << 28


@dataclass(frozen=True, eq=False, repr=False)
class Box:
    """A box of inputs.  Immutable.

    Parameters
    ----------
    low, high : array_like of numbers, of the same shape
        Ints, fractions, decimal strings; floats are taken literally.

    Attributes
    ----------
    low, high : object array of Fraction, shape (n,)
        The ends, in the order in which the inputs lie in memory.
    shape : tuple of int
        The shape that was given.

    Raises
    ------
    InvalidInput
        If a number is not finite, an end is missing, or a low end is above its high end.

    Examples
    --------
    >>> box = Box(["0.1", 0], [1, 2])
    >>> box, box.low.tolist()
    (Box(2 inputs, widths from 9/10 to 2), [Fraction(1, 10), Fraction(0, 1)])
    >>> low, high = box.floats
    >>> Fraction(low[0].item()) <= Fraction(1, 10)
    True
    """

    low: Array
    high: Array
    shape: tuple[int, ...]

    def __init__(self, low: Any, high: Any) -> None:
        ends = [_numbers(low, "low"), _numbers(high, "high")]
        if ends[0].shape != ends[1].shape:
            shapes = " and ".join(str(list(end.shape)) for end in ends)
            raise InvalidInput(f"the ends of a box have one shape, not {shapes}")
        lower, upper = (end.ravel() for end in ends)
        if not len(lower):
            raise InvalidInput("a box has at least one input")
        for number, (below, above) in enumerate(zip(lower, upper, strict=True)):
            if below > above:
                raise InvalidInput(
                    f"the box is empty: input {number} should be at least {_told(below)} and at most "
                    f"{_told(above)}",
                    input=number,
                    low=below,
                    high=above,
                )
        object.__setattr__(self, "low", lower)
        object.__setattr__(self, "high", upper)
        object.__setattr__(self, "shape", ends[0].shape)

    @classmethod
    def around(cls, x: Any, eps: Any, *, clip: tuple[Any, Any] | None = None) -> Box:
        """Return all points whose every input differs from that of x by at most eps.

        Parameters
        ----------
        x : array_like of numbers
        eps : number
            Not negative.
        clip : (number, number), optional
            Smallest and largest value of all inputs, such as ``(0, 1)`` for pixels.

        Raises
        ------
        InvalidInput
            If a number is not finite, or nothing is left of the box.

        Examples
        --------
        >>> box = Box.around([0, "0.5"], "0.1", clip=(0, 1))
        >>> [str(end) for end in (*box.low, *box.high)]
        ['0', '2/5', '1/10', '3/5']
        """
        centre, width = _numbers(x, "centre"), read_number(eps, float_tolerance=0)
        low, high = centre - width, centre + width
        if clip is not None:
            ends = _numbers(clip, "clip")
            if ends.shape != (2,):
                raise InvalidInput(
                    "clip is a pair: the smallest and the largest value of all inputs"
                )
            least, most = ends
            low, high = np.maximum(low, least), np.minimum(high, most)
        return cls(low, high)

    @classmethod
    def read(cls, path: str | Path) -> Box:
        """Read a box from a ``.vnnlib`` file or from JSON with the keys "low" and "high".

        Decimals are taken as the exact numbers that they state.

        Raises
        ------
        FormatError
            If the file cannot be read, or does not hold one box: see `lumpability.networks.regions.vnnlib`.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Box([0, 0], ["0.5", 1]).write(f"{folder}/box.json")
        ...     Box.read(f"{folder}/box.json")
        Box(2 inputs, widths from 1/2 to 1)
        """
        boxes = cls.read_all(path)
        if len(boxes) > 1:
            raise FormatError(
                f"holds {len(boxes)} boxes, and one is needed: Box.read_all(path) reads all of them, and on the "
                f"command line {Path(path).name}:1 is the first",
                path=path,
            )
        return boxes[0]

    @classmethod
    def read_all(cls, path: str | Path) -> list[Box]:
        """Read the boxes of a file, whose union is the region: a ``.vnnlib`` file may assert a disjunction.

        Raises
        ------
        FormatError
            If the file cannot be read or holds no box.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> text = "(declare-const X_0 Real) (assert (or (= X_0 1) (and (>= X_0 2) (<= X_0 3))))"
        >>> with TemporaryDirectory() as folder:
        ...     _ = Path(f"{folder}/two.vnnlib").write_text(text)
        ...     Box.read_all(f"{folder}/two.vnnlib")
        [Box(1 input, width 0), Box(1 input, width 1)]
        """
        from lumpability.networks.regions.vnnlib import boxes_of_text

        path = Path(path)
        name = path.name.lower().removesuffix(".gz")
        if not name.endswith((".vnnlib", ".json")):
            raise FormatError(
                "the suffix of the name does not say the format of a box: .vnnlib or .json",
                path=path,
            )
        with reading(path), opened(path, max_bytes=_MOST_BYTES, text=True) as stream:
            text = stream.read(_MOST_BYTES + 1).decode()
            if len(text) > _MOST_BYTES:
                raise InvalidInput("is too long for a box")
            every = boxes_of_text(text) if name.endswith(".vnnlib") else [_ends_of_json(text)]
            return [cls(*ends) for ends in every]

    def write(self, path: str | Path) -> None:
        """Write the box as JSON, whole or not at all; numbers are texts such as "1/3".

        Raises
        ------
        FormatError
            If it cannot be written.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Box([0], [1]).write(f"{folder}/box.json")
        """
        with writing(path) as handle:
            handle.write(f"{json.dumps(self.to_json())}\n".encode())

    def to_json(self) -> dict[str, Any]:
        """Return the ends as plain data.

        Examples
        --------
        >>> Box([0], ["0.5"]).to_json()
        {'low': ['0'], 'high': ['1/2']}
        """
        return {"low": [str(end) for end in self.low], "high": [str(end) for end in self.high]}

    @property
    def n(self) -> int:
        """Number of inputs.

        Examples
        --------
        >>> Box([0, 0], [1, 1]).n
        2
        """
        return len(self.low)

    @cached_property
    def floats(self) -> tuple[Array, Array]:
        """The ends as doubles, rounded outward, each of shape (n,).

        Examples
        --------
        >>> low, high = Box(["1/3"], ["1/3"]).floats
        >>> bool(low[0] < high[0]), bool(Fraction(low[0]) < Fraction(1, 3) < Fraction(high[0]))
        (True, True)
        """
        low = np.array([outward(end, -1) for end in self.low])
        return low, np.array([outward(end, 1) for end in self.high])

    def __contains__(self, x: Any) -> bool:
        point = _numbers(x, "point").ravel()
        if len(point) != self.n:
            return False
        return all(a <= v <= b for a, v, b in zip(self.low, point, self.high, strict=True))

    def halves(self, inputs: Any) -> Iterator[Box]:
        """Yield the parts into which the box is cut at the middles of some inputs.

        Parameters
        ----------
        inputs : sequence of int
            Numbers of inputs; one that is named twice is cut into four, and so on.

        Examples
        --------
        >>> [str(part.high[0]) for part in Box([0, 0], [1, 1]).halves([0])]
        ['1/2', '1']
        """
        counts: dict[int, int] = {}
        for number in inputs:
            counts[number] = 2 * counts.get(number, 1)
        for places in itertools.product(*(range(count) for count in counts.values())):
            low, high = self.low.copy(), self.high.copy()
            for (number, count), place in zip(counts.items(), places, strict=True):
                step = (self.high[number] - self.low[number]) / count
                low[number] = self.low[number] + place * step
                high[number] = low[number] + step
            yield Box(low.reshape(self.shape), high.reshape(self.shape))

    def __repr__(self) -> str:
        widths = self.high - self.low
        least, most = widths.min(), widths.max()
        told = _told(most) if least == most else f"from {_told(least)} to {_told(most)}"
        inputs = "1 input" if self.n == 1 else f"{self.n} inputs"
        return f"Box({inputs}, width{'s' if self.n > 1 else ''} {told})"


def outward(number: Fraction, sign: int) -> float:
    """Return the nearest double on one side: not above the number for the sign -1, not below it for 1.

    >>> outward(Fraction(1, 2), 1), Fraction(outward(Fraction(1, 10), -1)) < Fraction(1, 10)
    (0.5, True)
    """
    try:
        found = float(number)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise InvalidInput(f"the number {_told(number)} is beyond the range of doubles")
    if (Fraction(found) - number) * sign >= 0:
        return found
    return math.nextafter(found, sign * math.inf)


def _numbers(values: Any, name: str) -> Array:
    try:
        source = np.asarray(values, dtype=object)
    except ValueError:
        raise InvalidInput(f"the {name} ends of a box are not an array of numbers") from None
    if any(isinstance(value, bool | np.bool_) for value in source.ravel().tolist()):
        raise InvalidInput(f"the {name} ends of a box hold true or false where a number should be")
    result = np.empty(source.shape, dtype=object)
    result.ravel()[:] = [read_number(value, float_tolerance=0) for value in source.ravel().tolist()]
    return result


def _ends_of_json(text: str) -> tuple[list[Any], list[Any]]:
    try:
        data = json.loads(
            text, parse_float=str, parse_constant=str, object_pairs_hook=_each_key_once
        )
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput(f"is not JSON: {error}") from None
    if not isinstance(data, dict) or set(data) != {"low", "high"}:
        raise InvalidInput('is no box: a box in JSON is an object with the keys "low" and "high"')
    if not all(isinstance(ends, list) for ends in data.values()):
        raise InvalidInput('is no box: "low" and "high" are lists of numbers')
    return data["low"], data["high"]


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidInput("is no box: it names a key twice")
    return found


def _told(number: Fraction) -> str:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > 1000:
        return shown(number)  # no double holds it, and Python does not print it
    text = str(number)
    return text if len(text) <= 12 else f"{float(number):.6g}"
