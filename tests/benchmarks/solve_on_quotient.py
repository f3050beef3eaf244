"""Time "lump, solve the quotient, carry back" against "solve the whole chain", on a million states.

Run it by itself:  python tests/benchmarks/solve_on_quotient.py [machines]

The model is `machine_repair`: 20 machines, each with a place of its own, share two repairers; 2^20 states
and 21 million transitions.  Exact lumping finds 21 blocks; the stationary distribution of the quotient
is computed exactly and spread over the states.  The same distribution is then computed on all states,
by GMRES to the same tolerance.  Both are put into pi Q = 0.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lumpability import CTMC, lump
from lumpability.errors import NoConvergence
from lumpability.markov.examples import machine_repair
from lumpability.markov.solve import stationary


def timed(task: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = task()
    return result, time.perf_counter() - started


def residual(chain: CTMC, pi: np.ndarray) -> float:
    """Largest entry of pi Q in absolute value, without storing Q beside the rates."""
    rates = chain.matrix.without_diagonal().to_scipy()
    inflow, outflow = rates.T @ pi, pi * rates.sum(axis=1)
    return float(np.abs(inflow - outflow).max())


def solve_whole(chain: CTMC) -> tuple[np.ndarray | None, str]:
    try:
        solution = stationary(chain, method="iterative", tolerance=1e-12, max_iterations=3000)
    except NoConvergence as error:
        return None, str(error)
    return solution.floats(), f"{solution.iterations} iterations"


def main(machines: int) -> None:
    chain, building = timed(lambda: machine_repair(machines))
    warm = machine_repair(11)  # the compiled engine is compiled once in a lifetime: not counted
    lump(warm, kind="strict", respect="labels")
    print(f"{chain}, built in {building:.1f} s")
    rows: list[tuple[str, float, str]] = []

    def report(what: str, seconds: float, note: str = "") -> None:
        rows.append((what, seconds, note))
        print(f"{what:34s} {seconds:9.3f} s  {note}", flush=True)

    lumping, seconds = timed(lambda: lump(chain, kind="exact", respect="labels"))
    report("lump (exact)", seconds, f"{chain.n} states -> {len(lumping.partition)} blocks")
    small, seconds = timed(lambda: stationary(lumping.quotient, method="exact"))
    report("solve the quotient, exactly", seconds)
    pi, seconds = timed(lambda: lumping.lift_stationary(small.values).to_floats())
    report("carry back", seconds, f"largest entry of pi Q: {residual(chain, pi):.1e}")
    quick = sum(seconds for _, seconds, _ in rows)
    report("lump + solve small + carry back", quick)
    (whole, note), slow = timed(lambda: solve_whole(chain))
    report("solve large (GMRES)", slow, note)
    if whole is not None:
        report("", 0.0, f"largest entry of pi Q: {residual(chain, whole):.1e}")
        report("", 0.0, f"largest difference of the two: {np.abs(whole - pi).max():.1e}")
    print(f"ratio {slow / quick:.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
