"""Labels and state names beside a ``.tra`` file.

``.lab`` in PRISM's dialect declares ``0="init" 1="deadlock" 2="full"`` and then lists "state: numbers";
in Storm's it declares ``#DECLARATION init full #END`` and lists "state names".  ``.sta`` gives the
variables "(s,d)" and each state's values "0:(7,1)"; the state is then named "s=7,d=1".  A single
variable called ``state`` holds names as they are, which is how other names are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import opened
from lumpability.formats.assembly import distinct_rows, refuse_absurd
from lumpability.formats.tokens import Array, Chunk, chunks, shown
from lumpability.markov.attributes import Mask

_DECLARED = re.compile(r'\s*([0-9]{1,18})\s*=\s*"([^"]*)"')
_COMMENT = re.compile(rb"(?m)^[ \t]*#.*$")
_ASSIGNMENT = re.compile(r"\s*[0-9]+\s*:[\s0-9]*")
_STATE_LINE = re.compile(r"\s*([0-9]{1,18})\s*:\s*\((.*)\)\s*", re.DOTALL)
_VARIABLE = re.compile(r"([A-Za-z_]\w*)=([^=,()\s]+)")
_PLAIN = "state"
_MAX_LINE = 64 << 20


def read_labels(path: Path, n: int) -> dict[str, Mask]:
    """Read a ``.lab`` file for n states; no labels if there is no such file.

    Raises `FormatError` for a state out of range, an unknown label, or lines that are not of the format.
    """
    if not path.exists():
        return {}
    with opened(path, text=True) as stream:
        names, by_number, lines = _read_declaration(stream, path)
        refuse_absurd(len(names), n, "labels")
        masks = {name: np.zeros(n, dtype=bool) for name in names}
        for chunk in chunks(stream, path=path, first_line=lines + 1):
            if by_number is None:
                states, labels = _named_assignments(chunk, names, n)
            else:
                states, labels = _numbered_assignments(chunk, by_number, n)
            for k in np.unique(labels).tolist():
                masks[names[k]][states[labels == k]] = True
    return masks


def _read_declaration(stream: BinaryIO, path: Path) -> tuple[list[str], dict[int, int] | None, int]:
    """Return the names, the place of each declared number (None if labels are named), the lines."""
    lines, text = 0, ""
    declared: list[str] = []
    inside = False
    while True:
        line = stream.readline(_MAX_LINE)
        if not line:
            missing = "'#END'" if inside else 'the declaration 0="init" 1="deadlock" ...'
            raise FormatError(f"{missing} is missing", path=path)
        lines += 1
        text = line.decode().strip()
        words = text.split()
        if inside or "#DECLARATION" in words:
            inside = True
            declared += [word for word in words if word not in ("#DECLARATION", "#END")]
            if "#END" in words:
                break
        elif text and not text.startswith("#"):
            break
    numbers = [] if inside else _DECLARED.findall(text)
    if not inside:
        declared = [name for _, name in numbers]
        if _DECLARED.sub("", text).strip():
            raise FormatError(
                f'{shown(text)!r} is not a declaration of labels 0="init" 1="deadlock" ...',
                path=path,
                line=lines,
                value=text[:1000],
            )
    by_number = None if inside else {int(number): k for k, (number, _) in enumerate(numbers)}
    if len(set(declared)) < len(declared) or len(by_number or declared) < len(declared):
        raise FormatError("declares a label twice", path=path, line=lines)
    return declared, by_number, lines


def _numbered_assignments(chunk: Chunk, by_number: dict[int, int], n: int) -> tuple[Array, Array]:
    """Read "state: numbers"; return one (state, label) pair for each number."""
    text = bytes(chunk.data)
    if b"#" in text:
        text = _COMMENT.sub(lambda match: b" " * len(match[0]), text)
        chunk = Chunk(text, path=chunk.path, first_line=chunk.first_line)
    plain = Chunk(text.replace(b":", b" "), path=chunk.path, first_line=chunk.first_line)
    spans, lines = plain.tokens
    first, last = plain.line_tokens
    colons = np.flatnonzero(chunk.data == ord(":"))
    if not _one_colon_after_each_state(plain, colons):
        _refuse_assignment(chunk)
    states = plain.states(plain.tokens[0][first], n)
    is_label = np.ones(len(lines), dtype=bool)
    is_label[first] = False
    numbers = plain.integers(spans[is_label], "label number")
    known = np.array(sorted(by_number), dtype=np.int64)
    unknown = ~np.isin(numbers, known)
    if unknown.any():
        i = int(np.argmax(unknown))
        plain.fail(int(spans[is_label].starts[i]), f"there is no label number {int(numbers[i])}")
    place = np.array([by_number[number] for number in known.tolist()], dtype=np.int64)
    return np.repeat(states, last - first), place[np.searchsorted(known, numbers)]


def _one_colon_after_each_state(plain: Chunk, colons: Array) -> bool:
    spans, lines = plain.tokens
    first, last = plain.line_tokens
    if len(colons) != len(first):
        return False
    if len(first) == 0:
        return True
    heads = spans[first]
    second = spans.starts[np.minimum(first + 1, last)]
    return bool(
        np.array_equal(np.searchsorted(plain.line_ends, colons), lines[first])
        and np.all(colons >= heads.starts + heads.lengths)
        and np.all((colons < second) | (first == last))
    )


def _refuse_assignment(chunk: Chunk) -> None:
    position = 0
    for line in bytes(chunk.data).split(b"\n"):
        text = line.decode(errors="replace")
        if text.strip() and not _ASSIGNMENT.fullmatch(text):
            chunk.fail(position, f"{shown(text.strip())!r} is not 'state: label numbers'")
        position += len(line) + 1


def _named_assignments(chunk: Chunk, names: list[str], n: int) -> tuple[Array, Array]:
    """Read "state names"; return one (state, label) pair for each name."""
    spans, lines = chunk.tokens
    first, last = chunk.line_tokens
    states = chunk.states(chunk.tokens[0][first], n)
    is_label = np.ones(len(lines), dtype=bool)
    is_label[first] = False
    local, distinct = chunk.distinct(spans[is_label])
    place = np.zeros(len(distinct), dtype=np.int64)
    known = {name: k for k, name in enumerate(names)}
    for i in range(len(distinct)):
        name = chunk.text(distinct, i)
        if name not in known:
            chunk.fail(int(distinct.starts[i]), f"the label {shown(name)!r} is not declared")
        place[i] = known[name]
    return np.repeat(states, last - first), place[local]


def labels_text(masks: Mapping[str, Mask], path: Path) -> Iterator[str]:
    """Write labels in PRISM's dialect."""
    for name in masks:
        if any(c in name for c in '"\n\0'):
            raise FormatError(
                f"the label {shown(repr(name))} cannot be written: it holds a quote or a line break",
                path=path,
                label=name,
            )
    yield " ".join(f'{k}="{name}"' for k, name in enumerate(masks)) + "\n"
    columns = list(masks.values())
    if not len(columns[0]):
        return
    codes, examples = distinct_rows(columns)
    texts = [
        "".join(f" {k}" for k, mask in enumerate(columns) if mask[state])
        for state in examples.tolist()
    ]
    yield "".join(
        [f"{state}:{texts[code]}\n" for state, code in enumerate(codes.tolist()) if texts[code]]
    )


def read_names(path: Path, n: int) -> list[str] | None:
    """Read a ``.sta`` file for n states; None if there is no such file.

    Raises `FormatError` if a state is missing, repeated or out of range, or has another number of values.
    """
    if not path.exists():
        return None
    names: list[str | None] = [None] * n
    variables: list[str] | None = None
    with opened(path, text=True) as stream:
        for line, raw in enumerate(iter(lambda: stream.readline(_MAX_LINE), b""), start=1):
            text = raw.decode().strip("\r\n")
            if not text.strip() or (text.lstrip().startswith("#")):
                continue
            if variables is None:
                variables = _variables(text, path, line)
                continue
            match = _STATE_LINE.fullmatch(text)
            if match is None or int(match[1]) >= n:
                problem = "'number:(values)'" if match is None else f"one of the {n} states"
                raise FormatError(f"{shown(text)!r} is not {problem}", path=path, line=line)
            if names[int(match[1])] is not None:
                raise FormatError(f"state {match[1]} is named twice", path=path, line=line)
            names[int(match[1])] = _name(variables, match[2], path, line)
    if variables is None:
        raise FormatError("is empty: the variables '(x,y)' are missing", path=path)
    found = [name for name in names if name is not None]
    if len(found) < n:
        raise FormatError(f"state {names.index(None)} is missing", path=path)
    return found


def _variables(text: str, path: Path, line: int) -> list[str]:
    stripped = text.strip()
    if not (stripped.startswith("(") and stripped.endswith(")")):
        raise FormatError(
            f"{shown(text)!r} is not a list of variables '(x,y)'", path=path, line=line
        )
    return [variable.strip() for variable in stripped[1:-1].split(",")]


def _name(variables: list[str], values: str, path: Path, line: int) -> str:
    if variables == [_PLAIN]:
        return values
    parts = values.split(",")
    if len(parts) != len(variables):
        raise FormatError(
            f"({shown(values)}) has {len(parts)} values for {len(variables)} variables",
            path=path,
            line=line,
        )
    return ",".join(f"{x}={value.strip()}" for x, value in zip(variables, parts, strict=True))


def states_text(names: Sequence[str]) -> Iterator[str]:
    """Write state names: as values of variables if all have the form "x=1,y=2"."""
    split = [_VARIABLE.findall(name) for name in names]
    variables = [variable for variable, _ in split[0]] if split else []
    structured = (
        bool(variables)
        and variables != [_PLAIN]
        and all(
            [variable for variable, _ in pairs] == variables
            and ",".join(f"{variable}={value}" for variable, value in pairs) == name
            for pairs, name in zip(split, names, strict=True)
        )
    )
    if not structured:
        yield f"({_PLAIN})\n"
        yield "".join([f"{k}:({name})\n" for k, name in enumerate(names)])
        return
    yield f"({','.join(variables)})\n"
    rows = [",".join(value for _, value in pairs) for pairs in split]
    yield "".join([f"{k}:({row})\n" for k, row in enumerate(rows)])
