"""The initial partition of a table: by the labels, rewards and initial probabilities that are respected.

Blocks have the names of their least members, as in later rounds.  Rewards are compared as the rationals that
were meant, so two floats that mean one number do not tell states apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lumpability.errors import InvalidInput
from lumpability.files import reading
from lumpability.tables.database import Database
from lumpability.tables.reading import FLOATS, Edges, read_numbers
from lumpability.tables.session import identifier


def respected_columns(
    edges: Edges, respect: Iterable[str] | str, ignore: Iterable[str] | str
) -> list[str]:
    """Return the columns of the table of states that a block may not mix.

    Raises `InvalidInput` for a name that is no label or reward.

    Parameters
    ----------
    respect, ignore : iterable of str
        As for `lumpability.lump`: "labels", "rewards", "initial", or single ones by name.
    """
    ignored = {name for item in _listed(ignore) for name in _columns(edges, item, "ignore")}
    wanted = [name for item in _listed(respect) for name in _columns(edges, item, "respect")]
    return [name for name in dict.fromkeys(wanted) if name not in ignored]


def _listed(names: Iterable[str] | str) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _columns(edges: Edges, item: str, verb: str) -> tuple[str, ...]:
    sort, _, name = item.partition(":")
    groups = {
        "labels": edges.labels,
        "rewards": edges.rewards,
        "initial": ("initial",) if edges.starts else (),
    }
    if item in groups:
        return groups[item]
    for known, names in (("label", edges.labels), ("reward", edges.rewards)):
        if item in names:
            return (item,)
        if sort == known and name in names:
            return (name,)
    every = [*(f"label:{x}" for x in edges.labels), *(f"reward:{x}" for x in edges.rewards)]
    raise InvalidInput(
        f"there is no {item!r} to {verb}; the table of states has "
        f"{', '.join(every) or 'no labels or rewards'}",
        name=item,
    )


def write_initial_state(
    session: Database, edges: Edges, columns: list[str], states: Path | None, float_tolerance: float
) -> None:
    """Make the table ``state`` of all states, each with the name of its block."""
    if not columns:
        session.store(
            "state", f"SELECT s, CAST(0 AS BIGINT) AS label FROM range({edges.n}) AS numbered(s)"
        )
        return
    assert states is not None
    with reading(states):
        codes = [_codes(session, column, float_tolerance) for column in columns]
    key = f"CAST(raw_states.state AS {edges.key})"
    number, join = key, ""
    if not edges.dense:
        number, join = "numbers.s", f" JOIN numbers ON {key} = numbers.key"
    named = ", ".join(f"{code} AS k{i}" for i, code in enumerate(codes))
    keys = ", ".join(f"k{i}" for i in range(len(codes)))
    rows = f"SELECT CAST({number} AS BIGINT) AS s, {named} FROM raw_states{join}"
    same = " AND ".join(f"r.k{i} = p.k{i}" for i in range(len(codes)))
    session.store("attributes", rows, temporary=True)
    session.store(
        "state",
        f"SELECT r.s, p.label FROM attributes r JOIN (SELECT {keys}, min(s) AS label FROM attributes "
        f"GROUP BY {keys}) p ON {same}",
    )
    session.drop("attributes")


def _codes(session: Database, column: str, float_tolerance: float) -> str:
    """Return an expression that has equal values for equal labels or rewards."""
    kind = session.columns("raw_states")[column]
    name = f"raw_states.{identifier(column)}"
    if kind not in FLOATS:
        return name
    given = [row[0] for row in session.run(f"SELECT DISTINCT {name} FROM raw_states ORDER BY 1")]
    array = read_numbers(given, kind, column, float_tolerance)
    first: dict[int, int] = {}
    for place, code in enumerate(array.codes.tolist()):
        first.setdefault(code, place)
    merged = [i for i, code in enumerate(array.codes.tolist()) if first[code] != i]
    if not merged:
        return name
    codes = array.codes.tolist()
    cases = " ".join(
        f"WHEN {given[i]!r}::{kind} THEN {given[first[codes[i]]]!r}::{kind}" for i in merged
    )
    return f"CASE {name} {cases} ELSE {name} END"
