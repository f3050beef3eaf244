"""The tables that are printed and written: one row for each model, geometric means below."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from suite.peers import PEERS

__all__ = [
    "BIG",
    "MAIN",
    "MEMORY",
    "NUMBERS",
    "USER",
    "Column",
    "Table",
    "against_peers",
    "ratios_by_sort",
]

BIG = 100_000  # transitions from which on a model counts for means and bars

SORTS = {
    "little can be merged": ("fms", "kanban", "mapk"),
    "there are no cycles, or hardly any": ("brp", "egl", "leader", "marked_path", "nand"),
    "nearly everything falls into few blocks": ("crowds", "ehrenfest"),
    "refinement is deep": ("polling", "tandem", "torus_walk"),
}
"""Sorts of models, by the beginnings of their names."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A heading, the number in a row (None: nothing to show), how it is written, whether it is averaged."""

    heading: str
    number: Callable[[Row], float | str | None]
    form: str = "{:,.0f}"
    averaged: bool = False


@dataclass(frozen=True)
class Table:
    """A markdown table."""

    title: str
    columns: Sequence[Column]
    needs: str  # the key without which a model has no row

    def header(self) -> str:
        headings = ["model", *(column.heading for column in self.columns)]
        return f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}"

    def line(self, name: str, row: Row) -> str:
        return f"| {name} | {' | '.join(_cell(column, row) for column in self.columns)} |"

    def text(self, rows: dict[str, Row]) -> str:
        """Return title, table and means; empty without rows."""
        shown = {name: row for name, row in rows.items() if self.needs in row}
        if not shown:
            return ""
        lines = [self.line(name, row) for name, row in shown.items()]
        means = self.means(shown.values())
        return "\n".join(["", f"**{self.title}**", "", self.header(), *lines, *means])

    def means(self, rows: Iterable[Row]) -> list[str]:
        big = [row for row in rows if row.get("transitions", 0) >= BIG]
        lines = []
        for column in self.columns:
            numbers = [n for row in big if isinstance(n := column.number(row), float)]
            if column.averaged and numbers:
                lines.append(
                    f"- {column.heading}: geometric mean {statistics.geometric_mean(numbers):.2f}, smallest "
                    f"{min(numbers):.2f}, largest {max(numbers):.2f}, over {len(numbers)} models "
                    f"of {BIG:,} transitions or more"
                )
        return ["", *lines] if lines else []


def _cell(column: Column, row: Row) -> str:
    number = column.number(row)
    if number is None:
        return ""
    return number if isinstance(number, str) else column.form.format(number)


def _value(key: str, task: str = "", scale: float = 1) -> Callable[[Row], float | str | None]:
    """Number under a key, or the reason why the task has none."""

    def number(row: Row) -> float | str | None:
        value = row.get(key, row.get(task))
        return value if value is None or isinstance(value, str) else scale * value

    return number


def _ratio(above: str, below: str) -> Callable[[Row], float | None]:
    def number(row: Row) -> float | None:
        one, other = row.get(above), row.get(below)
        if isinstance(one, float | int) and isinstance(other, float | int):
            return one / other
        return None

    return number


def _sum(*keys: str) -> Callable[[Row], float | None]:
    return lambda row: sum(row[key] for key in keys) if all(key in row for key in keys) else None


def _speed(row: Row) -> float | None:
    return row["transitions"] / row["ours"] / 1e6 if "ours" in row else None


def _quotient(above: Callable[[Row], Any], below: Callable[[Row], Any]) -> Callable[[Row], Any]:
    def number(row: Row) -> float | None:
        numbers = above(row), below(row)
        return None if None in numbers else numbers[0] / numbers[1]

    return number


def _difference(row: Row) -> str:
    """Name the sides whose number of blocks is not ours."""
    sides = {"Storm": "storm_blocks", "rationals": "rational_blocks", "numpy": "numpy_blocks"}
    return "; ".join(
        f"{side}: {row[key]:,} blocks"
        for side, key in sides.items()
        if row.keys() >= {key, "blocks"} and row[key] != row["blocks"]
    )


_SECONDS = "{:.4f}"
_RATIO = "{:.2f}"
_OURS = _sum("build_ours", "lump_ours", "arrays_ours")
_STORM = _sum("build_storm", "lump_storm", "arrays_storm")

MAIN = Table(
    "Chain in memory to quotient in memory",
    (
        Column("states", _value("states")),
        Column("transitions", _value("transitions")),
        Column("blocks", _value("blocks")),
        Column("ours s", _value("ours", "time"), _SECONDS),
        Column("ours, one core s", _value("ours_one_core"), _SECONDS),
        Column("Storm double s", _value("storm", "time"), _SECONDS),
        Column("Storm rational s", _value("rational"), _SECONDS),
        Column("numpy s", _value("numpy"), _SECONDS),
        Column("ours, million transitions/s", _speed, "{:.1f}"),
        Column("Storm double / ours", _ratio("storm", "ours"), _RATIO, averaged=True),
        Column(
            "Storm double / ours, one core", _ratio("storm", "ours_one_core"), _RATIO, averaged=True
        ),
        Column("Storm rational / ours", _ratio("rational", "ours"), _RATIO, averaged=True),
        Column("numpy / ours", _ratio("numpy", "ours"), _RATIO, averaged=True),
        Column("differs", _difference),
    ),
    needs="ours",
)

USER = Table(
    "End to end: scipy's compressed rows and label masks in, partition and quotient arrays out",
    (
        Column("transitions", _value("transitions")),
        Column("our chain s", _value("build_ours", "user"), _SECONDS),
        Column("lumping s", _value("lump_ours"), _SECONDS),
        Column("arrays s", _value("arrays_ours"), _SECONDS),
        Column("Storm's model s", _value("build_storm", "user"), _SECONDS),
        Column("refinement s", _value("lump_storm"), _SECONDS),
        Column("arrays, no partition s", _value("arrays_storm"), _SECONDS),
        Column("stormpy / ours", _quotient(_STORM, _OURS), _RATIO, averaged=True),
    ),
    needs="build_ours",
)

MEMORY = Table(
    "Peak memory beyond the model in memory; CSR holds 8-byte values, 4-byte indices, 8-byte pointers",
    (
        Column("transitions", _value("transitions")),
        Column("CSR MB", _value("csr", scale=1e-6), "{:.1f}"),
        Column("ours MB", _value("memory_ours", scale=1e-6), "{:.1f}"),
        Column("Storm MB", _value("memory_storm", scale=1e-6), "{:.1f}"),
        Column("ours / CSR", _ratio("memory_ours", "csr"), _RATIO, averaged=True),
        Column("Storm / CSR", _ratio("memory_storm", "csr"), _RATIO, averaged=True),
    ),
    needs="memory_ours",
)

NUMBERS = Table(
    "Exact arithmetic: integer rates, the same times (2^127-1)/(2^89-1), the same times x + y",
    (
        Column("transitions", _value("transitions")),
        Column("integers s", _value("small", "big_numbers"), _SECONDS),
        Column("big fractions s", _value("big", "big_numbers"), _SECONDS),
        Column("symbolic s", _value("symbolic"), _SECONDS),
        Column("big / integers", _ratio("big", "small"), _RATIO, averaged=True),
        Column("symbolic / integers", _ratio("symbolic", "beside"), _RATIO, averaged=True),
    ),
    needs="small",
)


def ratios_by_sort(rows: dict[str, Row]) -> str:
    """Return a line for each sort of models, with the least and the largest ratio to Storm in doubles."""
    ratio, lines = _ratio("storm", "ours"), [""]
    for sort, names in SORTS.items():
        chosen = [
            row
            for name, row in rows.items()
            if name.startswith(names) and row.get("transitions", 0) >= BIG
        ]
        found = [number for number in map(ratio, chosen) if number is not None]
        if found:
            shown = f"{min(found):.2f} to {max(found):.2f}"
            lines.append(f"- Storm double / ours where {sort} ({', '.join(names)}): {shown}")
    return "\n".join(lines)


def against_peers(rows: dict[str, Row]) -> str:
    """Return the table of models that design.md has too, with Boa's time scaled to this run."""
    lines = []
    for name, peer in PEERS.items():
        row = rows.get(name, {})
        if not isinstance(row.get("storm"), float):
            continue
        boa = None if peer.boa is None else peer.boa * row["storm"] / peer.storm
        better = min(row["storm"], row["storm"] if boa is None else boa)
        lines.append(
            f"| {name} | {row['ours']:.3f} | {row['storm']:.3f} | {'' if boa is None else f'{boa:.3f}'} | "
            f"{better / row['ours']:.2f} | {'yes' if row['ours'] <= better else 'no'} | "
            f"{'' if row['blocks'] == peer.blocks else f'design.md has {peer.blocks:,} blocks'} |"
        )
    if not lines:
        return ""
    header = "| model | ours s | Storm s | Boa s, scaled | better / ours | below both | |"
    return "\n".join(
        ["", "**Against the better of Storm and Boa**", "", header, f"|{'---|' * 7}", *lines]
    )
