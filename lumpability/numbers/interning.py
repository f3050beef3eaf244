"""Numbering the entries of a long array with few distinct words, much faster than by sorting.

A word w is the bit pattern of a number, w < 2^64.  For k distinct words there is an odd multiplier a for
which the hashes

    h(w) = (a w mod 2^64) div 2^(64 - b)

take k different values; if 2^b is at least about k^2 / 4, at least every seventh multiplier is one.
A table holds at h(w) the number of w and the word w itself; comparing words shows which entries are not in
the table.  The words come from a sample of the array; words that turn up later are added, and another
multiplier is found.  If a table would become too large, or is rebuilt too often, the array is sorted instead.
An entry costs a multiplication, a shift and two reads from the cache, for any k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_CHUNK = 1 << 15
_SAMPLE = 1 << 10
_MOST_BITS = 18
_MOST_WORDS = 1_300  # with so many, one of 25 multipliers works for `_MOST_BITS`
_ATTEMPTS = 256
_ENTRIES_PER_WORD = 8  # least length of the array for each word entered into a table
_FIRST, _FACTOR = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95  # odd, and so are their products


def number_words(words: Array) -> tuple[Array, Array] | None:
    """Return codes and distinct words with ``distinct[codes] == words``, or None if there are many.

    - words: array of unsigned int, shape (m,), m > 0
    - returns codes, array of uint8, or uint16 if k > 256, shape (m,)
    - returns distinct, array, shape (k,): sorted, if the sample held all of them

    About 2 nanoseconds for each entry.
    """
    known = np.unique(np.concatenate([words[:_SAMPLE], words[:: len(words) // _SAMPLE + 1]]))
    codes = np.empty(len(words), dtype=np.min_scalar_type(len(known) - 1))
    entered = len(known)
    table = _table_of(known, len(words) // entered)
    for low in range(0, len(words), _CHUNK):
        chunk = words[low : low + _CHUNK]
        while table is not None:
            strangers = table.look_up(chunk, codes[low : low + _CHUNK])
            if strangers is None:
                break
            known = np.concatenate([known, strangers])
            codes = codes.astype(np.min_scalar_type(len(known) - 1), copy=False)
            entered += len(known)
            table = _table_of(known, len(words) // entered)
        if table is None:
            return None
    return codes, known


class _Table:
    """The numbers of distinct words, each at the place of its hash."""

    def __init__(
        self, words: Array, multiplier: np.uint64, shift: np.uint64, places: Array
    ) -> None:
        size = 1 << (64 - int(shift))
        self.multiplier, self.shift = multiplier, shift
        self.codes = np.zeros(size, dtype=np.min_scalar_type(len(words) - 1))
        self.codes[places] = np.arange(len(words))
        # Empty places hold the first word, which is never looked up there.
        self.words = np.full(size, words[0], dtype=np.uint64)
        self.words[places] = words
        self.hashes = np.empty(_CHUNK, dtype=np.uint64)
        self.found = np.empty(_CHUNK, dtype=np.uint64)

    def look_up(self, words: Array, codes: Array) -> Array | None:
        """Write the numbers of words; return those that have none, distinct and sorted, or None."""
        hashes, found = self.hashes[: len(words)], self.found[: len(words)]
        np.multiply(words, self.multiplier, out=hashes)
        np.right_shift(hashes, self.shift, out=hashes)
        places = hashes.view(np.int64)
        np.take(self.codes, places, out=codes, mode="clip")  # mode "clip" writes without a copy
        np.take(self.words, places, out=found, mode="clip")
        strange = found != words
        return np.unique(words[strange]) if strange.any() else None


def _table_of(words: Array, entries_per_word: int) -> _Table | None:
    if len(words) > _MOST_WORDS or entries_per_word < _ENTRIES_PER_WORD:
        return None
    bits = min(max(2 * len(words).bit_length() - 2, 4), _MOST_BITS)
    shift, wide = np.uint64(64 - bits), words.astype(np.uint64)
    numbers, held = np.arange(len(words)), np.empty(1 << bits, dtype=np.int64)
    multiplier = _FIRST
    for _ in range(_ATTEMPTS):
        places = (wide * np.uint64(multiplier)) >> shift
        held[places] = numbers
        if np.array_equal(held[places], numbers):
            return _Table(words, np.uint64(multiplier), shift, places)
        multiplier = multiplier * _FACTOR % 2**64
    return None
