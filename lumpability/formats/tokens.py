"""Text files as arrays: whole lines at a time, split into tokens without a Python object for each.

A chunk holds about a megabyte of whole lines as bytes.  Comparing neighbouring bytes finds where tokens begin and
end.  The eight bytes from the start of a token are one 64-bit word.  Three multiplications turn the decimal digits
in it into an integer (d0 d1 -> 10 d0 + d1 in every byte pair at once, then 100, then 10000).  Comparing words finds
equal tokens: equal words at every position mean equal tokens, because no byte is zero.  Each distinct token is
parsed once.  Cost: some 0.2 microseconds for each token; memory in proportion to one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from lumpability.errors import FormatError
from lumpability.numbers.integers import intern

Array = np.ndarray[Any, Any]

_CHUNK = 1 << 20
_MAX_LINE = 64 << 20
_WORD = 8
_LONGEST_IN_WORDS = 256
_ZEROS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)


@dataclass(frozen=True)
class Spans:
    """Pieces of a chunk: the start and the number of bytes of each.  Arrays of shape (k,)."""

    starts: Array
    lengths: Array

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: Any) -> Spans:
        return Spans(self.starts[index], self.lengths[index])


class Chunk:
    r"""Some whole lines of a text file.

    - text: whole lines, without a zero byte
    - first_line: the number of the first line, for messages

    >>> chunk = Chunk(b"0 1 0.5\n1 1 1\n", path="a.tra")
    >>> spans, lines = chunk.tokens
    >>> chunk.integers(spans[[0, 1, 3, 4]], "state").tolist(), lines.tolist()
    ([0, 1, 1, 1], [0, 0, 0, 1, 1, 1])
    >>> codes, distinct = chunk.distinct(spans[2::3])
    >>> [chunk.text(distinct, i) for i in range(2)], codes.tolist()
    (['0.5', '1'], [0, 1])
    """

    def __init__(self, text: bytes, *, path: str | Path, first_line: int = 1) -> None:
        self._bytes = text + b" " * _WORD  # a word may be read at every token
        self.data: Array = np.frombuffer(self._bytes, dtype=np.uint8)
        self.path, self.first_line = path, first_line

    @cached_property
    def line_ends(self) -> Array:
        """Positions of the line feeds."""
        return np.flatnonzero(self.data == ord("\n")).astype(np.int32)

    @cached_property
    def tokens(self) -> tuple[Spans, Array]:
        """The runs of bytes other than white space, and the line of each, counted from 0 in the chunk."""
        blank = self.data <= ord(" ")
        bounds = (np.flatnonzero(blank[1:] != blank[:-1]) + 1).astype(np.int32)
        if not blank[0]:
            bounds = np.concatenate([np.zeros(1, dtype=np.int32), bounds])
        spans = Spans(bounds[0::2], bounds[1::2] - bounds[0::2])
        return spans, np.searchsorted(self.line_ends, spans.starts)

    @cached_property
    def line_tokens(self) -> tuple[Array, Array]:
        """The first and the last token of every line that has one, as indices into the tokens."""
        lines = self.tokens[1]
        change = np.flatnonzero(lines[1:] != lines[:-1])
        if len(lines) == 0:
            return change, change
        ends = np.concatenate([change, [len(lines) - 1]])
        return np.concatenate([[0], change + 1]), ends

    def table(self, least: int, most: int, what: str) -> list[Spans]:
        """Return the first `least` columns of lines of `least` to `most` tokens.

        Lines without tokens, and comments, which begin with ``#``, are skipped.

        Raises `FormatError` if a line has fewer or more tokens; `what` describes the expected line.
        """
        spans = self.tokens[0]
        first, last = self.line_tokens
        if ord("#") in self._bytes:
            kept = self.data[spans.starts[first]] != ord("#")
            first, last = first[kept], last[kept]
        counts = last - first + 1
        wrong = (counts < least) | (counts > most)
        if wrong.any():
            at = int(spans.starts[first[np.argmax(wrong)]])
            self.fail(at, f"{self.line_text(at)!r} is not {what}", value=self.line_text(at))
        return [spans[first + column] for column in range(least)]

    def between(self, first: Array, last: Array) -> Spans:
        """Return the pieces from the start of one token to the end of another, spaces included.

        - first, last (array of int, shape (k,)): indices of tokens; if ``first > last``, the piece is empty
        """
        spans = self.tokens[0]
        ends = spans.starts[last] + spans.lengths[last]
        starts = np.where(first <= last, spans.starts[np.minimum(first, last)], ends)
        return Spans(starts, ends - starts)

    def equal(self, spans: Spans, word: bytes) -> Array:
        """Return which pieces equal a word of at most eight bytes, bool, shape (k,)."""
        wanted = np.uint64(int.from_bytes(word, "little"))
        same: Array = self._prefix(spans.starts, spans.lengths) == wanted
        same &= spans.lengths == len(word)
        return same

    def text(self, spans: Spans, index: int) -> str:
        """Return one piece as text."""
        start = int(spans.starts[index])
        piece = self._bytes[start : start + int(spans.lengths[index])]
        try:
            return piece.decode()
        except UnicodeDecodeError:
            self.fail(start, f"{shown(repr(piece)[2:-1])} is not UTF-8 text")

    def line_number(self, position: int) -> int:
        """Return the line of a byte in the file, counted from 1."""
        return self.first_line + self._bytes.count(b"\n", 0, position)

    def line_text(self, position: int) -> str:
        """Return the line around a byte, for messages."""
        begin = self._bytes.rfind(b"\n", 0, position) + 1
        end = self._bytes.find(b"\n", position)
        line = self._bytes[begin : end if end >= 0 else len(self._bytes)]
        return shown(line.decode(errors="replace").strip())

    def fail(self, position: int, message: str, **evidence: Any) -> NoReturn:
        """Raise a `FormatError` for the line of a byte."""
        raise FormatError(message, path=self.path, line=self.line_number(position), **evidence)

    def integers(self, spans: Spans, what: str) -> Array:
        """Read pieces as unsigned decimal integers, int64, shape (k,).

        Raises `FormatError` if one is not, with the line and the expected form.
        """
        if len(spans) == 0:
            return np.empty(0, dtype=np.int64)
        short = spans.lengths <= _WORD
        unused = np.where(short, _WORD - spans.lengths, 0).astype(np.uint64) << np.uint64(3)
        # Shifting the token to the top of the word fills its low end with zeros, leading digits.
        word = (self._words(spans.starts) ^ _ZEROS) << unused
        wrong = short & (((word + _ABOVE_NINE) | word) & _HIGH_BITS != 0)
        word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
        word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
        word = (word * np.uint64(10000) + (word >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
        result = word.astype(np.int64)
        for i in np.flatnonzero(~short).tolist():
            text = self.text(spans, i)
            if text.isascii() and text.isdigit() and len(text) < 19:
                result[i] = int(text)
            else:
                wrong[i] = True
        if wrong.any():
            i = int(np.argmax(wrong))
            text = self.text(spans, i)
            self.fail(
                int(spans.starts[i]),
                f"{shown(text)!r} is not a {what}, a whole number from 0 on",
                value=text,
            )
        return result

    def states(self, spans: Spans, count: int) -> Array:
        """Read pieces as numbers of states, of which there are `count`."""
        states = self.integers(spans, "state")
        beyond = np.flatnonzero(states >= count)
        if len(beyond):
            i = int(beyond[0])
            self.fail(
                int(spans.starts[i]),
                f"state {int(states[i])} is out of range: there are {count} states, numbered from 0",
                value=int(states[i]),
            )
        return states

    def distinct(self, spans: Spans) -> tuple[Array, Spans]:
        """Return a code for each piece, and the first of each code's pieces, in order.

        - returns codes, array of int, shape (k,): equal exactly when the pieces are; numbered by first
          appearance
        - returns first, Spans, shape (d,)
        """
        codes, count = self._codes_of_words(spans)
        k = len(spans)
        last_wins = np.arange(k - 1, -1, -1)
        position = np.full(count, k, dtype=np.int64)
        position[codes[::-1]] = last_wins  # reversed, so that the first appearance stays
        order = np.argsort(position, kind="stable")
        order = order[: int(np.count_nonzero(position < k))]
        renamed = np.zeros(count, dtype=np.int64)
        renamed[order] = np.arange(len(order))
        return renamed[codes], spans[position[order]]

    def _codes_of_words(self, spans: Spans) -> tuple[Array, int]:
        """Give equal pieces equal codes, word by word; codes need not all be used."""
        long = np.flatnonzero(spans.lengths > _LONGEST_IN_WORDS)
        lengths = np.where(spans.lengths > _LONGEST_IN_WORDS, 0, spans.lengths)
        codes, values = intern(self._prefix(spans.starts, lengths))
        codes, count = codes.astype(np.int64), len(values)
        offset, rest = _WORD, np.flatnonzero(lengths > _WORD)
        while len(rest):
            # Invariant: pieces up to `offset` long have their final codes, all below those of the rest.
            word = self._prefix(spans.starts[rest] + offset, lengths[rest] - offset)
            extra, values = intern(word)
            pairs, distinct = intern(codes[rest] * len(values) + extra)
            codes[rest] = pairs + np.int64(count)
            count += len(distinct)
            offset += _WORD
            rest = rest[lengths[rest] > offset]
        number: dict[bytes, int] = {}
        for i in long.tolist():
            start = int(spans.starts[i])
            piece = self._bytes[start : start + int(spans.lengths[i])]
            codes[i] = count + number.setdefault(piece, len(number))
        return codes, count + len(number)

    def _words(self, positions: Array) -> Array:
        """Return the eight bytes from each position on as a 64-bit integer, low byte first."""
        every = np.ndarray((len(self.data) - _WORD + 1,), "<u8", self._bytes, strides=(1,))
        return every[positions].astype(np.uint64, copy=False)

    def _prefix(self, positions: Array, lengths: Array) -> Array:
        """Return up to eight bytes from each position on, zeros beyond the given lengths."""
        kept = np.clip(lengths, 0, _WORD).astype(np.uint64)
        masks = (np.uint64(1) << (kept << np.uint64(3))) - np.uint64(1)  # 0 for a whole word
        masks[kept == _WORD] = np.uint64(0xFFFFFFFFFFFFFFFF)
        masks[kept == 0] = np.uint64(0)
        prefix: Array = self._words(positions) & masks
        return prefix


def chunks(
    stream: BinaryIO, *, path: str | Path, first_line: int = 1, size: int = _CHUNK
) -> Iterator[Chunk]:
    """Yield the rest of a text file as chunks of whole lines.

    Raises `FormatError` if the file holds a zero byte, which text never does, or a line of more than 64 MiB.

    - path: for messages
    - first_line: the number of the next line
    - size: bytes read at a time
    """
    rest = b""
    at_end = False
    while not at_end:
        block = stream.read(size)
        at_end = not block
        end = len(block) if at_end else block.rfind(b"\n") + 1
        if not at_end and end == 0:
            rest += block
            if len(rest) > _MAX_LINE:
                raise FormatError(
                    f"the line is longer than {_MAX_LINE} bytes", path=path, line=first_line
                )
            continue
        text, rest = rest + block[:end], block[end:]
        if not text:
            continue
        zero = text.find(b"\0")
        if zero >= 0:
            line = first_line + text.count(b"\n", 0, zero)
            raise FormatError("holds a zero byte: this is not a text file", path=path, line=line)
        yield Chunk(text, path=path, first_line=first_line)
        first_line += text.count(b"\n")


def shown(text: str, limit: int = 60) -> str:
    """Return a text for a message, cut if long.

    >>> shown("x" * 100, limit=5)
    'xxxxx...'
    """
    return text if len(text) <= limit else text[:limit] + "..."
