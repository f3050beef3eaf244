"""JSON read as a stream, in a known order of keys: columns of integers become arrays at once.

A certificate of a chain with millions of states is a few keys and a dozen long lists of integers.
Python's parser would make an object of every integer; here a list is read into an array, a megabyte at a
time.  The caller asks for what may come next.  So unknown, repeated and missing keys, decimals, nesting and
lists that are too long are refused where they begin, in memory bounded by the request.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from lumpability.errors import FormatError, SizeLimit

Column = np.ndarray[Any, np.dtype[np.int32]]

MAX_BYTES = 1 << 30
"""Largest text in bytes, after unpacking, unless ``max_bytes=`` says otherwise; reading takes up to four times it."""
LARGEST = 2**31 - 1
"""Largest integer in a column: columns hold numbers of states, blocks, nodes and codes."""

_CHUNK = 1 << 20
_LONGEST_TEXT = 1 << 16
_DIGITS = len(str(LARGEST))
_SPACE = b" \t\r\n"
_NO_SPACE = re.compile(rb"[^ \t\r\n]")
_COMMA, _ZERO, _NINE = b",09"


class Scanner:
    """Reads the expected next element of a JSON text.

    Every method raises `FormatError` if another element comes.

    - path: for messages
    - max_bytes: largest size of the text

    >>> import io
    >>> scanner = Scanner(io.BytesIO(b'{"sizes": [1, 22]}'), "a.json")
    >>> scanner.expect("{")
    >>> scanner.key("sizes")
    >>> scanner.integers(most=2).tolist()
    [1, 22]
    """

    def __init__(self, stream: BinaryIO, path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._stream, self._path, self._max_bytes = stream, path, max_bytes
        self._buffer, self._at, self._before = b"", 0, 0

    def fail(self, message: str) -> NoReturn:
        """Raise a `FormatError` with the position in the text."""
        raise FormatError(f"{message} (at byte {self._before + self._at})", path=self._path)

    def _more(self) -> bool:
        """Read the next portion and drop the text already used; return whether there was more."""
        found = self._stream.read(_CHUNK)
        self._before += self._at
        self._buffer, self._at = self._buffer[self._at :] + found, 0
        if self._before + len(self._buffer) > self._max_bytes:
            raise SizeLimit(
                f"{self._path}: has more than {self._max_bytes} bytes; raise max_bytes if it is meant to",
                path=str(self._path),
                limit=self._max_bytes,
            )
        return bool(found)

    def peek(self) -> str:
        """Return the next character that is not a space; "" at the end."""
        while True:
            found = _NO_SPACE.search(self._buffer, self._at)
            if found is not None:
                self._at = found.start()
                return chr(self._buffer[self._at])
            self._at = len(self._buffer)
            if not self._more():
                return ""

    def expect(self, token: str) -> None:
        """Skip a token such as ``{`` or ``null``."""
        if not self.skip(token):
            found = self._buffer[self._at : self._at + 20].decode(errors="backslashreplace")
            self.fail(f"holds {found!r} where {token!r} should be" if found else "is cut off")

    def skip(self, token: str) -> bool:
        """Skip a token if it is next; return whether it was."""
        self.peek()
        while len(self._buffer) - self._at < len(token) and self._more():
            pass
        if not self._buffer.startswith(token.encode(), self._at):
            return False
        self._at += len(token)
        return True

    def key(self, name: str) -> None:
        """Skip a key and its colon."""
        found = self.text()
        if found != name:
            self.fail(f"holds the key {found[:60]!r} where {name!r} should be")
        self.expect(":")

    def end(self) -> None:
        """Check that nothing follows."""
        if self.peek():
            self.fail("holds more after its end")

    def text(self) -> str:
        """Return a string."""
        self.expect('"')
        closing = self._at
        while True:
            closing = self._buffer.find(b'"', closing)
            if closing < 0:
                closing = len(self._buffer) - self._at
                if closing > _LONGEST_TEXT or not self._more():
                    self.fail("holds a text that is too long or does not end")
                continue
            slashes = closing - len(self._buffer[self._at : closing].rstrip(b"\\")) - self._at
            if slashes % 2 == 0:
                break
            closing += 1
        if closing - self._at > _LONGEST_TEXT:
            self.fail(f"holds a text of more than {_LONGEST_TEXT} bytes")
        try:
            found: str = json.loads(b'"' + self._buffer[self._at : closing] + b'"')
            found.encode()  # a half of a surrogate pair is no character
        except ValueError as error:
            self.fail(f"holds a text that is not valid ({error})")
        self._at = closing + 1
        return found

    def integer(self, most: int = LARGEST) -> int:
        """Return a whole number from 0 to `most`."""
        self.peek()
        while len(self._buffer) - self._at <= _DIGITS and self._more():
            pass
        end = self._at
        while (
            end < len(self._buffer)
            and chr(self._buffer[end]).isdecimal()
            and self._buffer[end] < 128
        ):
            end += 1
            if end - self._at > _DIGITS:
                break
        digits = self._buffer[self._at : end]
        if not digits or len(digits) > _DIGITS or (digits[0] == _ZERO and len(digits) > 1):
            self.fail("does not hold a whole number of moderate size where one should be")
        value = int(digits)
        if value > most:
            self.fail(f"holds {value}, where at most {most} is possible")
        self._at = end
        return value

    def texts(self, most: int) -> list[str]:
        """Return a list of at most `most` different strings."""
        self.expect("[")
        found: dict[str, None] = {}
        if self.skip("]"):
            return []
        while True:
            if len(found) == most:
                self.fail(f"holds a list of more than {most} texts")
            text = self.text()
            if text in found:
                self.fail(f"holds {text[:60]!r} twice in one list")
            found[text] = None
            if not self.skip(","):
                break
        self.expect("]")
        return list(found)

    def integers(self, most: int, largest: int = LARGEST) -> Column:
        """Return a list of at most `most` whole numbers from 0 to `largest`, shape (length,)."""
        self.expect("[")
        parts: list[Column] = []
        count = 0
        if self.skip("]"):
            return np.empty(0, dtype=np.int32)
        while True:
            closing = self._buffer.find(b"]", self._at)
            end = closing if closing >= 0 else self._buffer.rfind(b",", self._at)
            if end >= 0:
                parts.append(self._column(self._buffer[self._at : end], largest))
                count += len(parts[-1])
                if count > most:
                    self.fail(f"holds a list of more than {most} numbers")
                self._at = end + 1
                if closing >= 0:
                    return np.concatenate(parts)
            elif len(self._buffer) - self._at > _LONGEST_TEXT:
                self.fail("does not hold a list of whole numbers where one should be")
            if not self._more():
                self.fail("is cut off")

    def _column(self, text: bytes, largest: int) -> Column:
        """Turn "1,22,0" into an array, strictly."""
        parts = (
            [part.strip(_SPACE) for part in text.split(b",")] if text.strip(b"0123456789,") else ()
        )
        if parts:  # spaces, or something that is not a number
            text = b",".join(parts)
        characters = np.frombuffer(text, dtype=np.uint8)
        comma = characters == _COMMA
        breaks = np.flatnonzero(comma)
        starts, ends = np.append(0, breaks + 1), np.append(breaks, len(text))
        lengths = ends - starts
        zero = characters[np.minimum(starts, len(text) - 1)] == _ZERO if len(text) else comma
        digits = comma | ((characters >= _ZERO) & (characters <= _NINE))
        if (
            not digits.all()
            or lengths.min() < 1
            or lengths.max() > _DIGITS
            or (zero & (lengths > 1)).any()
        ):
            self.fail("holds a list that does not consist of whole numbers of moderate size")
        values = np.fromstring(text, dtype=np.int64, sep=",")
        if values.max() > largest:
            self.fail(f"holds {values.max()}, where at most {largest} is possible")
        return values.astype(np.int32)
