"""Numbers of UMB files as arrays: bit vectors and rationals.

A rational of 128 k bits is a signed numerator of 64 k bits followed by an unsigned denominator, both
with the low bytes first.  They are interned word by word, so that each distinct number becomes a
`Fraction` once.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from lumpability.errors import FormatError
from lumpability.formats.assembly import distinct_rows
from lumpability.markov.attributes import Mask
from lumpability.numbers.exact_array import ExactArray

__all__ = ["bits", "packed_bits", "packed_rationals", "rationals"]

_WORD = 8


def bits(data: bytes, count: int) -> Mask:
    """Read a bit vector, low bits first.

    Examples
    --------
    >>> bits(packed_bits(np.array([True, False, True])), 3).tolist()
    [True, False, True]
    """
    packed = np.frombuffer(data, dtype=np.uint8)
    return np.unpackbits(packed, count=count, bitorder="little").astype(bool)


def packed_bits(mask: Mask) -> bytes:
    """Write a bit vector, padded to whole words of 64 bits."""
    data = np.packbits(mask, bitorder="little").tobytes()
    return data + b"\0" * (-len(data) % _WORD)


def rationals(data: bytes, size: int, path: str | Path) -> ExactArray:
    """Read rationals of `size` bytes each.

    Raises `FormatError` if a denominator is zero.
    """
    if not data:
        return ExactArray.of_values(np.empty(0, dtype=np.uint8), [])
    words = np.frombuffer(data, dtype="<u8").reshape(-1, size // _WORD)
    codes, examples = distinct_rows([words[:, j] for j in range(words.shape[1])])
    values = []
    for example in examples.tolist():
        raw = words[example].tobytes()
        numerator = int.from_bytes(raw[: size // 2], "little", signed=True)
        denominator = int.from_bytes(raw[size // 2 :], "little", signed=False)
        if denominator == 0:
            raise FormatError("holds a number with the denominator 0", path=path)
        values.append(Fraction(numerator, denominator))
    return ExactArray.of_values(codes, values)


def packed_rationals(array: ExactArray) -> tuple[bytes, int]:
    """Write rationals in the smallest size that fits all; return the bytes and the size of each."""
    most = max(
        (max(_signed_bits(v.numerator), v.denominator.bit_length()) for v in array.values),
        default=1,
    )
    half = -(-most // 64) * _WORD
    table = b"".join(
        v.numerator.to_bytes(half, "little", signed=True) + v.denominator.to_bytes(half, "little")
        for v in array.values
    )
    rows = np.frombuffer(table, dtype=f"V{2 * half}")
    return rows[array.codes].tobytes() if len(array) else b"", 2 * half


def _signed_bits(number: int) -> int:
    return (number if number >= 0 else -number - 1).bit_length() + 1
