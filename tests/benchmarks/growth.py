"""How time and memory of lumping grow: families over four decades of transitions, fitted exponents.

    PYTHONPATH=. python tests/benchmarks/growth.py                 # up to 10^7 transitions
    PYTHONPATH=. python tests/benchmarks/growth.py --full --write  # up to 10^8

Every size is lumped by the compiled engine, in one process for time (median of several runs) and in another
for the peak of memory beyond the chain.  An exponent is the slope of the least-squares line through (log transitions,
log measure).  Results are kept as in `lumping_against_storm.py`, with which models and results are shared.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from suite.measuring import titled
from suite.models import Store, generated
from suite.running import Limits, Results, prepare

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "growth-table.txt"
LIMITS = Limits(seconds=1800, gibibytes=22)
COMPARED = 100_000  # transitions
HEADER = (
    "| model | states | transitions | blocks | s | ns/transition | MB beyond the chain | times CSR |\n"
    f"|{'---|' * 8}"
)
FITTED = (
    "| family | transitions | exponent of time | exponent of memory | ns/transition, largest | ns/transition near "
    f"10^5 | ratio |\n|{'---|' * 7}"
)

Row = dict[str, Any]


def measured(results: Results, store: Store, name: str) -> Row:
    """Return time and memory of a model, measured unless known."""
    if not prepare(store, name):
        return {"failure": "could not be built"}
    for task in ("kernel", "memory_kernel"):
        results.get(name, task, LIMITS)
    return results.of(name)


def line(name: str, row: Row) -> str:
    missing = {row.get(key) for key in ("failure", "kernel", "memory_kernel")} - {None}
    reasons = [reason for reason in missing if isinstance(reason, str)]
    if reasons:
        return f"| {name} | | | | {'; '.join(reasons)} | | | |"
    return (
        f"| {name} | {row['states']:,} | {row['transitions']:,} | {row['blocks']:,} | {row['kernel']:.4f} | "
        f"{1e9 * row['kernel'] / row['transitions']:.0f} | {row['memory_kernel'] / 1e6:.1f} | "
        f"{row['memory_kernel'] / row['csr']:.2f} |"
    )


def fitted(family: str, rows: list[Row]) -> str:
    """Return exponents, and how much more a transition costs in the largest model than near 10^5."""
    m, seconds, memory = (
        np.array([row[key] for row in rows], dtype=float)
        for key in ("transitions", "kernel", "memory_kernel")
    )
    time_exponent, memory_exponent = (
        float(np.polyfit(np.log(m), np.log(measure), 1)[0]) for measure in (seconds, memory)
    )
    each = 1e9 * seconds / m
    near = int(np.argmin(np.abs(np.log(m / COMPARED))))
    return (
        f"| {family} | {m[0]:,.0f} to {m[-1]:,.0f} | {time_exponent:.2f} | {memory_exponent:.2f} | "
        f"{each[-1]:.0f} | {each[near]:.0f} | {each[-1] / each[near]:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="up to 10^8 transitions")
    parser.add_argument("--only", metavar="REGEX", default="", help="only models with a match")
    parser.add_argument("--runs", type=int, default=0, help="of which the median is taken")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} in the guides")
    parser.add_argument(
        "--store", type=Path, default=Path(tempfile.gettempdir()) / "lumpability-benchmarks"
    )
    options = parser.parse_args()
    store = Store(options.store)
    results = Results(options.store / "results-growth.jsonl", store, options.runs)
    title = titled()
    lines, fits = [HEADER], [FITTED]
    print(f"{title}\n\n{HEADER}", flush=True)
    for family, members in generated(large=options.full).items():
        rows = []
        for name in filter(re.compile(options.only).search, members):
            row = measured(results, store, name)
            lines.append(line(name, row))
            print(lines[-1], flush=True)
            if isinstance(row.get("kernel"), float) and isinstance(row.get("memory_kernel"), int):
                rows.append(row)
        if len(rows) > 1:
            fits.append(fitted(family, rows))
    text = "\n".join([title, "", *fits, "", *lines])
    print("\n".join(["", *fits]))
    if options.write:
        PAGE.write_text(text + "\n")


if __name__ == "__main__":
    main()
