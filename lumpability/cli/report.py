"""The outcome of a command: as plain data for --json, and as tables for people."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lumpability.show.text import Table

if TYPE_CHECKING:
    from lumpability.networks.graph.compare import Comparison, Latency


@dataclass(frozen=True)
class Report:
    """The outcome of one step of a command."""

    # Plain data that `json.dumps` accepts; exact numbers are texts such as "1/3".
    data: dict[str, Any]
    tables: tuple[Table, ...]


def smaller(before: int, after: int) -> str:
    """Return how many times smaller a size has become, as text.

    >>> smaller(8, 3), smaller(151060, 126)
    ('2.67', '1,199')
    """
    ratio = before / after
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def change_of_size(before: int, after: int) -> str:
    """Return a size before and after, as text.

    >>> change_of_size(8, 3), change_of_size(8, 8)
    ('8 -> 3  (2.67 times smaller)', '8 -> 8')
    """
    gain = f"  ({smaller(before, after)} times smaller)" if 0 < after < before else ""
    return f"{before:,} -> {after:,}{gain}"


def size_rows(report: dict[str, Any], sizes: dict[str, str]) -> list[tuple[str, str]]:
    """Return a row for each size of a network before and after; `sizes` has the keys and names of all."""
    before, after = report["before"], report["after"]
    return [(sizes[key], change_of_size(before[key], after[key])) for key in sizes if key in before]


def rounding(weights: int, rounded: int, largest: Fraction, dtype: str) -> str:
    """Say whether a type holds all new weights.

    >>> rounding(1234, 0, Fraction(0), "float32")
    'each of the 1,234 is representable in float32: none was rounded'
    >>> rounding(1234, 5, Fraction(1, 2**24), "float32")
    '5 of 1,234 are not representable in float32 and were rounded, by at most 5.96e-08 (--exact-weights refuses)'
    """
    if not rounded:
        return f"each of the {weights:,} is representable in {dtype}: none was rounded"
    return (
        f"{rounded:,} of {weights:,} are not representable in {dtype} and were rounded, by at most "
        f"{float(largest):.3g} (--exact-weights refuses)"
    )


def execution(
    found: Comparison | None, took: Latency | None
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return what was measured in onnxruntime as data, and as rows of a table."""
    told = "floats may add up in another order; --compare N measures what that changes"
    data: dict[str, Any] = {"comparison": None, "latency": None if took is None else vars(took)}
    if found is not None:
        data["comparison"] = {
            "points": found.points,
            "bitwise_equal": found.bitwise_equal,
            "largest_difference": str(found.largest_difference),
        }
    rows = [("execution", told if found is None else str(found))]
    return data, rows if took is None else [*rows, ("latency", str(took))]
