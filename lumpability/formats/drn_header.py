"""The header of a DRN file: the lines before ``@model``.

Sections come in any order; each begins with a line ``@name``, and most have one more line.  Lines that
begin with ``//`` are comments.  One of our comments lists labels that no state carries, because the format has
no other place for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lumpability.errors import FormatError
from lumpability.formats.assembly import chain_class, one_choice_class
from lumpability.formats.tokens import shown
from lumpability.markov.chains import CTMC, MarkovChain

LABELS_OF_NO_STATE = "// Labels of no state:"
"""Begins the comment that lists labels no state carries."""

_VALUE_TYPES = ("double", "rational", "parametric")
_MAX_LINE = 1 << 20
_MAX_SECTIONS = 10_000
_MAX_STATES = 2**31 - 1
_LABEL = re.compile(r'"([^"]+)"|([^\s"]+)')


@dataclass
class Header:
    """The contents of the header; `lines` counts its lines, ``@model`` included."""

    kind: type[MarkovChain] | None = None
    value_type: str | None = None
    states: int | None = None
    choices: int | None = None
    parameters: list[str] = field(default_factory=list)
    rewards: list[str] = field(default_factory=list)
    placeholders: dict[str, str] = field(default_factory=dict)
    unused_labels: list[str] = field(default_factory=list)
    automaton: bool = False
    """Whether the model is a Markov automaton, whose transitions hold probabilities beside exit rates."""
    lines: int = 0


def read_header(stream: BinaryIO, path: str | Path) -> Header:
    """Read up to the line ``@model``.

    Raises `FormatError` if a section is missing, repeated or malformed, or the model is not a Markov chain.
    """
    header = Header()

    def next_line() -> str:
        line = stream.readline(_MAX_LINE)
        if not line:
            raise FormatError("ends before '@model': the file is cut off", path=path)
        header.lines += 1
        if len(line) == _MAX_LINE:
            raise FormatError("the line is too long for a header", path=path, line=header.lines)
        return line.decode().rstrip("\r\n")

    line, sections = next_line(), 0
    while line != "@model":
        sections += 1  # counts empty lines and comments too
        if sections > _MAX_SECTIONS:
            raise FormatError(
                f"has no '@model' after {sections} lines", path=path, line=header.lines
            )
        try:
            line = _read_section(header, line, next_line)
        except ValueError as error:
            raise FormatError(str(error), path=path, line=header.lines) from error
    missing = [
        name
        for name, value in (("@type", header.kind), ("@nr_states", header.states))
        if value is None
    ]
    if missing:
        raise FormatError(f"{missing[0]} must come before '@model'", path=path, line=header.lines)
    return header


def _read_section(header: Header, line: str, next_line: Callable[[], str]) -> str:
    """Read one section of the header and return the line after it."""
    key, _, value = line.partition(":")
    if line.startswith(LABELS_OF_NO_STATE):
        header.unused_labels = split_labels(value)
    elif key == "@type":
        header.kind = chain_class(value) or one_choice_class(value)
        header.automaton = chain_class(value) is None and header.kind is CTMC
        if header.kind is None:
            raise ValueError(
                f"holds a model of type {shown(value.strip())!r}: only CTMC and DTMC can be read"
            )
    elif key == "@value_type":
        header.value_type = value.strip()
        if header.value_type not in _VALUE_TYPES:
            raise ValueError(
                f"holds values of type {header.value_type}: only {', '.join(_VALUE_TYPES)} can be read"
            )
    elif line == "@parameters":
        header.parameters = next_line().split()
    elif line == "@placeholders":
        return _read_placeholders(header, next_line)
    elif line == "@reward_models":
        # Storm ends every name with a space, also the empty name of an unnamed reward.
        header.rewards = (
            re.split("[ \t]", re.sub("[ \t]$", "", rest)) if (rest := next_line()) else []
        )
        if len(set(header.rewards)) < len(header.rewards):
            raise ValueError(f"names a reward model twice: {' '.join(header.rewards)}")
    elif line == "@nr_states":
        header.states = _count(next_line())
    elif line == "@nr_choices":
        header.choices = _count(next_line())
    elif line.strip() and not line.startswith("//"):
        raise ValueError(f"{shown(line)!r} is not part of a DRN header")
    return next_line()


def _read_placeholders(header: Header, next_line: Callable[[], str]) -> str:
    while (line := next_line()).startswith("$"):
        name, colon, value = line.partition(":")
        if not colon or name.strip() in header.placeholders:
            raise ValueError(
                f"{shown(line)!r} does not define a new placeholder as '$name : value'"
            )
        header.placeholders[name.strip()] = value.strip()
    return line


def _count(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or int(text[:20]) > _MAX_STATES:
        raise ValueError(f"{shown(text)!r} is not a number of states (0 to {_MAX_STATES})")
    return int(text)


def split_labels(text: str) -> list[str]:
    """Split labels, which are in quotes or have no white space."""
    left_over = _LABEL.sub("", text).strip()
    if left_over:
        raise ValueError(f"the labels {shown(text.strip())!r} have an unmatched quote")
    return [quoted or plain for quoted, plain in _LABEL.findall(text)]
