"""Our exact bisimulation beside Storm's, numpy's and PyDTMC's: same chains, same machine, same run.

    PYTHONPATH=. python tests/benchmarks/lumping_against_storm.py            # up to 25 million transitions
    PYTHONPATH=. python tests/benchmarks/lumping_against_storm.py --quick    # about a minute
    PYTHONPATH=. python tests/benchmarks/lumping_against_storm.py --full --write

Ours and Storm in doubles are timed in turn, from a model in memory to a quotient in memory; models, tasks and
columns are described in the package `suite` beside this file.  Everything runs in processes of its own,
under limits of time and memory.  Results are appended to a file as they come, and an interrupted run goes on
where it was when it is started again with the same options.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

from suite.measuring import titled
from suite.models import Store, names
from suite.running import Limits, Results, prepare
from suite.tables import BIG, MAIN, MEMORY, NUMBERS, USER, against_peers, ratios_by_sort
from suite.tiny import tiny_table

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "guides" / "performance-table.txt"
README = CHECKOUT / "README.md"
REFINING = Limits(seconds=1800, gibibytes=20)
OTHERS = Limits(seconds=110, gibibytes=16)  # Storm in rationals, symbolic rates
BASELINE = Limits(seconds=40, gibibytes=16)  # numpy, which takes all rows in every round
SMALLEST = 9_000  # transitions
# Numbers do not change what a kernel does, so some models of every sort will do.
WITH_NUMBERS = re.compile(
    r"kanban4|cluster64|fms5|crowds5_10|tandem:577|polling:13|machine_repair:16|torus_walk:500"
)
QUICK = re.compile(
    r"kanban3|cluster64|egl5_8|machine_repair:13|tandem:182|polling:10|marked_path:100000"
)


def options_given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few models, one run each")
    parser.add_argument("--full", action="store_true", help="models of 10^8 transitions too")
    parser.add_argument("--only", metavar="REGEX", default="", help="only models with a match")
    parser.add_argument(
        "--tasks", default=",".join(TASKS), help="only these (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=0, help="of which the median is taken")
    parser.add_argument(
        "--write", action="store_true", help=f"write {PAGE.name} in the guides, and README's rows"
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--pydtmc", metavar="PYTHON", help="an interpreter that has PyDTMC")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path(tempfile.gettempdir()) / "lumpability-benchmarks",
        help="folder for models and results",
    )
    return parser.parse_args()


def prepared(options: argparse.Namespace, store: Store) -> list[tuple[str, int]]:
    """Return models with their transitions, built and stored; small ones first."""
    chosen = [
        name
        for name in names(large=options.full)
        if (not options.quick or QUICK.fullmatch(name)) and re.search(options.only, name)
    ]
    sizes = [(name, store.transitions(name)) for name in chosen if prepare(store, name)]
    return sorted((pair for pair in sizes if pair[1] >= SMALLEST), key=lambda pair: pair[1])


TASKS = {
    "time": REFINING,
    "user": REFINING,
    "memory_ours": REFINING,
    "memory_storm": REFINING,
    "rational": OTHERS,
    "numpy": BASELINE,
    "big_numbers": REFINING,
    "symbolic": OTHERS,
}


def tasks_of(name: str, transitions: int, options: argparse.Namespace) -> list[str]:
    """Return what is measured of a model."""
    left_out: set[str] = set()
    if transitions < BIG or not WITH_NUMBERS.fullmatch(name):
        left_out |= {"big_numbers", "symbolic"}
    if options.quick:
        left_out |= {"rational", "numpy"}
    return [task for task in options.tasks.split(",") if task not in left_out]


def with_rows(text: str, rows: dict[str, dict[str, Any]]) -> str:
    """Return README with the figures of its table taken from these rows, for the models that both have."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        name = line.strip("| ").partition(" ")[0]
        if line.startswith("| ") and isinstance(rows.get(name, {}).get("storm"), float):
            cells = [cell.strip() for cell in MAIN.line(name, rows[name]).strip("| ").split(" | ")]
            lines[i] = f"| {' | '.join([*cells[:4], cells[6], cells[4], cells[10]])} |"
    return "\n".join(lines) + "\n"


def main() -> None:
    options = options_given()
    store = Store(options.store)
    file = options.store / ("results-quick.jsonl" if options.quick else "results.jsonl")
    if options.fresh:
        file.unlink(missing_ok=True)
    results = Results(file, store, 1 if options.quick else options.runs)
    title = titled()
    print(f"{title}\n\n{MAIN.header()}", flush=True)
    rows = {}
    for name, transitions in prepared(options, store):
        for task in tasks_of(name, transitions, options):
            results.get(name, task, TASKS[task])
        rows[name] = results.of(name)
        print(MAIN.line(name, rows[name]), flush=True)
    tables = [table.text(rows) for table in (MAIN, USER, MEMORY, NUMBERS)]
    tables.insert(1, ratios_by_sort(rows))
    text = "\n".join(
        [title, *filter(None, [*tables, against_peers(rows), tiny_table(options.pydtmc)])]
    )
    print(text[len(title) :])
    if options.write:
        PAGE.write_text(text + "\n")
        README.write_text(with_rows(README.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
