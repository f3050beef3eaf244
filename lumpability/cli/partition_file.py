"""Partitions and factors as files: JSON, CSV, or one label on each line.

A file whose name ends in .json holds a list of blocks, each a list of states; or a mapping from states
to block labels; or one list of block labels in the order of the states.  One that ends in .csv has the columns state
and block, in any order, among others; a line for each state.  Any other file holds the block
labels as text, one on each line, in the order of the states.  States are given by their names, as
`lumpability` prints them, or by their numbers if they have no names.  Labels are any texts or numbers;
only their equality counts.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidPartition
from lumpability.files import LIMITS, opened, writing
from lumpability.formats.strict_json import PACKED, parse_strictly
from lumpability.markov.attributes import States
from lumpability.partition import Partition

_DIGITS = 10  # states are counted with 31 bits
Labels = np.ndarray[Any, np.dtype[np.int64]]


def read_partition(path: Path, states: States) -> Partition:
    """Read a partition of the given states.

    Raises `FormatError` if the file is of neither form, or misses, repeats or invents a state.
    """
    limits = PACKED if _is_json(path) else LIMITS
    with opened(path, text=True, limits=limits) as file:  # names the file in every error
        text = file.read()
        form = _from_json if _is_json(path) else _from_csv if _is_csv(path) else _from_lines
        return Partition.of(form(text, path, states), states=states)


def read_factors(path: Path, states: States) -> Any:
    """Read numbers of the given states: a JSON list in their order, or a mapping from states.

    Raises `FormatError` if the file is of neither form, or invents a state.
    """
    with opened(path, text=True, limits=PACKED) as file:
        found = parse_strictly(file.read(), path, decimals=False)
        if isinstance(found, dict):
            state = _resolver(states)
            return {state(key): factor for key, factor in found.items()}
        if not isinstance(found, list):
            raise InvalidPartition("factors are a list or a mapping, not a single value")
        return found


def write_partition(partition: Partition, path: Path, states: States) -> None:
    """Write a partition in the form that the suffix says: blocks in JSON, a table, or block numbers as text."""
    if _is_json(path):
        names = _texts(states) or range(len(states))
        blocks = ([names[state] for state in block.tolist()] for block in partition.blocks)
        lines = (json.dumps(block, ensure_ascii=False) for block in blocks)
        text = "[\n" + ",\n".join(lines) + "\n]\n"
    elif _is_csv(path):
        table = io.StringIO()
        rows = zip(_texts(states) or range(len(states)), partition.labels.tolist(), strict=True)
        csv.writer(table, lineterminator="\n").writerows([("state", "block"), *rows])
        text = table.getvalue()
    else:
        text = "".join(f"{label}\n" for label in partition.labels.tolist())
    with writing(path) as file:
        file.write(text.encode("utf-8", errors="backslashreplace"))


def _is_json(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".json")


def _is_csv(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(".csv")


def _from_csv(data: bytes, path: Path, states: States) -> Any:
    """Return what `Partition.of` takes, in the states' own names."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except csv.Error as error:
        raise FormatError(f"is no CSV: {error}", path=path) from error
    while rows and not "".join(rows[-1]).strip():
        rows.pop()
    if not rows or not {"state", "block"} <= set(rows[0]):
        raise FormatError("a table of blocks has the columns state and block", path=path, line=1)
    own, block = rows[0].index("state"), rows[0].index("block")
    state, found = _resolver(states), {}
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise FormatError(f"has {len(row)} columns, not {len(rows[0])}", path=path, line=line)
        name = state(row[own])
        if name in found:
            raise FormatError(f"names the state {_short(row[own])} twice", path=path, line=line)
        found[name] = row[block]
    return found


def _from_lines(data: bytes, path: Path, states: States) -> Labels:
    text = data.decode()
    labels = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
    if len(labels) != len(states) and text.lstrip()[:1] in ("[", "{"):
        raise InvalidPartition("looks like JSON: a partition in JSON needs the suffix .json")
    if "" in labels:
        line = labels.index("") + 1
        raise FormatError("an empty line, where a block label should be", path=path, line=line)
    return _numbered(labels)


def _from_json(data: bytes, path: Path, states: States) -> Any:
    """Return what `Partition.of` takes, in the states' own names."""
    found = parse_strictly(data, path, decimals=False)
    state = _resolver(states)
    if isinstance(found, dict):
        return {state(key): _scalar(label, "block label") for key, label in found.items()}
    if not isinstance(found, list):
        raise InvalidPartition("a partition is a list or a mapping, not a single value")
    if not found or not isinstance(found[0], list):
        return _numbered(_scalar(label, "block label") for label in found)
    for block in found:
        if not isinstance(block, list):
            raise InvalidPartition(f"a list of blocks holds {_short(block)}, which is not a list")
    return [[state(_scalar(item, "state")) for item in block] for block in found]


def _numbered(labels: Iterable[str | int]) -> Labels:
    number: dict[str | int, int] = {}
    return np.array([number.setdefault(label, len(number)) for label in labels], dtype=np.int64)


def _scalar(item: Any, what: str) -> str | int:
    if not isinstance(item, str | int):
        raise InvalidPartition(f"{_short(item)} is not a {what}: give a text or a whole number")
    return item


def _short(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _texts(states: States) -> list[str] | None:
    """Return the names of states in files; None if files give states by their numbers."""
    texts = [str(state) for state in states] if states.named else []
    return texts if states.named and len(set(texts)) == len(states) else None


def _resolver(states: States) -> Callable[[str | int], Hashable]:
    """Return the function from the name or number of a state in a file to the state."""
    texts = _texts(states)
    numbers = None if texts is None else {text: number for number, text in enumerate(texts)}

    def resolve(item: str | int) -> Hashable:
        text = str(item)
        if numbers is not None:
            number = numbers.get(text, -1)
        else:
            number = int(text) if text.isdecimal() and len(text) <= _DIGITS else -1
        if not 0 <= number < len(states):
            counted = (
                "" if numbers is not None else f": states are numbered from 0 to {len(states) - 1}"
            )
            raise InvalidPartition(f"there is no state {_short(item)}{counted}", state=item)
        state: Hashable = states[number]
        return state

    return resolve
