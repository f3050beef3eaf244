"""Marabou on networks and on their quotients on the box of the question: the same verdict, sooner.

    PYTHONPATH=. python tests/benchmarks/marabou_on_quotients.py            # the table
    PYTHONPATH=. python tests/benchmarks/marabou_on_quotients.py --write    # keeps it for the page
    PYTHONPATH=. python tests/benchmarks/marabou_on_quotients.py --limit 60 # seconds on the clock for a query, 120 by default
    PYTHONPATH=. python tests/benchmarks/marabou_on_quotients.py --jobs 2   # rows at the same time, 1 by default

A query asks whether an output can overtake another one on a box: the networks of the shared folder on the boxes of
their properties and on boxes around an image.  Both networks are given to Marabou layer by layer, in doubles.  Needs
maraboupy.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from maraboupy import Marabou, MarabouUtils
from maraboupy.MarabouNetwork import MarabouNetwork
from regions import ACAS, CHECKOUT, DEEP, SHARED, SMALL, acas, digit

from lumpability import Box, Network, lump, read
from lumpability.networks.difference import affine_layers

PAGE = CHECKOUT / "docs" / "guides" / "marabou-table.txt"
HEAD = (
    "| network and box | question | hidden units | left | verdict | on the quotient | CPU s | "
    f"on the quotient | CPU s to lump |\n|{'---|' * 9}"
)


def cases() -> list[tuple[str, str, Box, list[tuple[int, int]] | int]]:
    """Return title, file, box, and the pairs (i, j) with output i <= output j, or the rank of a rival class."""
    lowest = [(0, other) for other in range(1, 5)]
    found: list[tuple[str, str, Box, list[tuple[int, int]] | int]] = [
        ("ACAS Xu 1_1, property 3", ACAS, acas(3), lowest),
        ("ACAS Xu 1_1, property 4", ACAS, acas(4), lowest),
    ]
    for title, path, widths in (
        ("mnist 256x2", SMALL, ("0.01", "0.02", "0.03", "0.04", "0.05")),
        ("mnist 256x4", DEEP, ("0.005", "0.01", "0.015")),
    ):
        for width in widths:
            ranks = (1,) if path == SMALL and width in ("0.01", "0.05") else (1, 2)
            found += [(f"{title}, eps {width[1:]}", path, digit(width), rank) for rank in ranks]
    return found[:13]


def query(network: Network, box: Box, pairs: list[tuple[int, int]]) -> MarabouNetwork:
    """Return the query whether an input of the box has output i <= output j for all pairs."""
    made = MarabouNetwork()
    values = [made.getNewVariable() for _ in range(box.n)]
    for variable, low, high in zip(values, *box.floats, strict=True):
        made.setLowerBound(variable, low)
        made.setUpperBound(variable, high)
    made.inputVars = [np.array(values)]
    for layer in affine_layers(network).layers:
        sums = [made.getNewVariable() for _ in range(layer.units)]
        for unit, variable in enumerate(sums):
            column = layer.weight[:, unit]
            used = np.flatnonzero(column)
            equation = MarabouUtils.Equation()
            for place in used.tolist():
                equation.addAddend(column[place], values[place])
            equation.addAddend(-1.0, variable)
            equation.setScalar(-layer.bias[unit])
            made.addEquation(equation)
        values = sums
        if layer.activation.name == "relu":
            values = [made.getNewVariable() for _ in sums]
            for below, above in zip(sums, values, strict=True):
                made.addRelu(below, above)
    made.outputVars = [np.array(values)]
    for i, j in pairs:
        made.addInequality([values[i], values[j]], [1.0, -1.0], 0.0)
    return made


def solved(
    network: Network, box: Box, pairs: list[tuple[int, int]], limit: int
) -> tuple[str, float]:
    """Return the verdict and the time of the processor."""
    options = Marabou.createOptions(timeoutInSeconds=limit, verbosity=0, numWorkers=1)
    asked = query(network, box, pairs)
    started = time.process_time()
    verdict, _, _ = asked.solve(options=options, verbose=False)
    return str(verdict).lower(), time.process_time() - started


def row(title: str, path: Path, box: Box, asked: list[tuple[int, int]] | int, limit: int) -> str:
    """Return one line of the table."""
    network: Any = read(path)
    pairs, question = asked, "output 0 is the least"
    if isinstance(pairs, int):
        middle = (box.floats[0] + box.floats[1])[None] / 2
        order = np.argsort(-affine_layers(network)(middle)[0]).tolist()
        best, rival = order[0], order[pairs]
        pairs, question = [(best, rival)], f"class {rival} overtakes {best}"
    started = time.process_time()
    small = lump(network, region=box).quotient
    took = time.process_time() - started
    (before, slow), (after, fast) = (solved(one, box, pairs, limit) for one in (network, small))
    if {before, after} == {"sat", "unsat"}:
        raise AssertionError(f"{title}: the verdicts are {before} and {after}")
    counts = [f"{one.hidden_neurons:,}" for one in (network, small)]
    columns = [title, question, *counts, before, after, f"{slow:.2f}", f"{fast:.2f}", f"{took:.2f}"]
    return f"| {' | '.join(columns)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    lines = [HEAD]
    print(HEAD)
    with ProcessPoolExecutor(asked.jobs) as pool:
        made = [
            pool.submit(row, title, SHARED / name, box, question, asked.limit)
            for title, name, box, question in cases()
        ]
        for one in made:
            lines.append(one.result())
            print(lines[-1], flush=True)
    if asked.write:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
