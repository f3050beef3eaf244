"""States named by the values of variables, "x=0,up=true": order of variables, and names of blocks.

A block is described by what its states have in common: the variables with one value, and for variables that differ
only by a number in their names (s1, s2, s3) how often each value occurs, if the block does not tell them apart.  A
description is used only if no state outside the block fits it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.partition import Partition

_MOST_VALUES = 400_000  # half a second
_MOST_WORK = 400_000_000
Codes = np.ndarray[Any, np.dtype[np.int32]]


def assignments(name: object) -> tuple[tuple[str, str], ...] | None:
    """Return the variables and values of a state's name; None if it is no such name.

    >>> assignments("x=0, up=true"), assignments("up")
    ((('x', '0'), ('up', 'true')), None)
    """
    if not isinstance(name, str) or "=" not in name:
        return None
    pairs = [part.partition("=") for part in name.split(",")]
    found = tuple((variable.strip(), value.strip()) for variable, _, value in pairs)
    whole = all(
        equals and variable for (_, equals, _), (variable, _) in zip(pairs, found, strict=True)
    )
    return found if whole and len({variable for variable, _ in found}) == len(found) else None


@dataclass(frozen=True, eq=False)
class Valuation:
    """The values of the variables in all states.

    Attributes
    ----------
    variables : tuple of str
    codes : array of int, shape (n, variables)
        Places in `values`.
    values : list of str
        Numbers first, by size.
    """

    variables: tuple[str, ...]
    codes: Codes
    values: list[str]

    @classmethod
    def of(cls, names: Sequence[Any]) -> Valuation | None:
        """Read the names of states; None unless all give values to the same variables.

        Examples
        --------
        >>> Valuation.of(["x=0,y=1", "x=10,y=1"]).codes.tolist()
        [[0, 1], [2, 1]]
        """
        first = assignments(names[0]) if names else None
        if first is None or len(names) * len(first) > _MOST_VALUES:
            return None
        variables = tuple(variable for variable, _ in first)
        rows = []
        for name in names:
            pairs = assignments(name)
            if pairs is None or tuple(variable for variable, _ in pairs) != variables:
                return None
            rows.append([value for _, value in pairs])
        values = sorted({value for row in rows for value in row}, key=_by_size)
        place = {value: i for i, value in enumerate(values)}
        return cls(
            variables, np.array([[place[x] for x in row] for row in rows], dtype=np.int32), values
        )

    @cached_property
    def _varied(self) -> Any:
        """Which variables have several values."""
        return (self.codes != self.codes[:1]).any(axis=0)

    @cached_property
    def _sorted(self) -> list[tuple[list[int], Codes]]:
        """The variables whose names differ by a number only, with their values in every state, sorted."""
        return [(group, np.sort(self.codes[:, group], axis=1)) for group in _groups(self.variables)]

    def description(self, members: Any) -> str | None:
        """Return what some states have in common; None if other states fit that, too.

        Examples
        --------
        >>> Valuation.of(["x=0,y=0", "x=1,y=0", "x=0,y=1"]).description([0, 2])
        'x=0'
        """
        codes, first = self.codes, int(members[0])
        fixed = (codes[members] == codes[first]).all(axis=0) & self._varied
        places = np.flatnonzero(fixed).tolist()
        fits = (codes[:, places] == codes[first, places]).all(axis=1)
        common = ",".join(f"{self.variables[i]}={self.values[codes[first, i]]}" for i in places)
        parts = [common] if common else []
        if parts and int(fits.sum()) == len(members):
            return common
        for group, rows in self._sorted:
            if not fixed[group].all() and (rows[members] == rows[first]).all():
                fits &= (rows == rows[first]).all(axis=1)
                counts = Counter(self.values[code] for code in rows[first].tolist())
                shown = ", ".join(f"{_times(count)} {value}" for value, count in counts.items())
                parts.append(f"{_range([self.variables[i] for i in group])}: {shown}")
        return "; ".join(parts) if parts and int(fits.sum()) == len(members) else None


def _by_size(value: str) -> tuple[bool, int, str]:
    number = value.removeprefix("-").isdecimal() and len(value) < 20
    return (not number, int(value) if number else 0, value)


def block_descriptions(valuation: Valuation, partition: Partition) -> list[str | None]:
    """Return for every block what its states have in common, if no other state fits it.

    >>> names = [f"m1={a},m2={b}" for a in "ud" for b in "ud"]
    >>> block_descriptions(Valuation.of(names), Partition([0, 1, 1, 2]))
    [None, 'm1..m2: once d, once u', None]
    >>> block_descriptions(Valuation.of(names), Partition([0, 0, 1, 2]))
    ['m1=u', None, None]
    """
    blocks = partition.blocks
    large = np.flatnonzero(blocks.sizes > 1)
    if len(large) * valuation.codes.size > _MOST_WORK:
        return [None] * len(partition)
    found: list[str | None] = [None] * len(partition)
    for block in large.tolist():
        found[block] = valuation.description(blocks[block])
    return found


def _groups(variables: Sequence[str]) -> list[list[int]]:
    """Return the variables whose names differ by a number only."""
    stems: dict[str, list[int]] = {}
    for place, variable in enumerate(variables):
        stems.setdefault(re.sub(r"\d+", "#", variable), []).append(place)
    return [places for places in stems.values() if len(places) > 1]


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _range(names: list[str]) -> str:
    """Name several variables.

    >>> _range(["s1", "s2", "s3"]), _range(["s1", "s3"])
    ('s1..s3', 's1,s3')
    """
    numbers = [re.findall(r"\d+", name) for name in names]
    if all(len(found) == 1 for found in numbers):
        places = sorted(int(found[0]) for found in numbers)
        if places == list(range(places[0], places[-1] + 1)):
            ordered = sorted(names, key=lambda name: int(re.findall(r"\d+", name)[0]))
            return f"{ordered[0]}..{ordered[-1]}"
    return ",".join(names)
