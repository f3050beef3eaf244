"""Intervals of jittered and of real chains: how narrow, how long, and how long their proof takes to check.

    python tests/benchmarks/intervals.py SHARED [--quick]

SHARED is the folder with the real chains.  Every rate of a jittered chain is multiplied by 1 + d with d drawn
uniformly from the multiples of 0.001 % up to 1 %.  Seconds are of the processor.  A copy of the table is kept in
docs/theory/intervals-table.txt.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability import CTMC, lump, read
from lumpability.markov.approximate.bounds import Expected, Interval, Transient, bounds
from lumpability.markov.examples import machine_repair
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

PER_CENT = Fraction(1, 100)


def jittered(chain: Any, d: Fraction = PER_CENT, seed: int = 1) -> Any:
    """Multiply every rate by 1 + d e with e drawn from [-1, 1]."""
    matrix, draws = chain.matrix, np.random.default_rng(seed).integers(-1000, 1001, chain.matrix.m)
    rates = [
        q * (1 + d * Fraction(e, 1000)) for q, e in zip(matrix.weights, draws.tolist(), strict=True)
    ]
    weights = ExactArray.read(rates)[0]
    return chain.rebuilt(
        WeightedStructure(matrix.indptr, matrix.indices, weights, matrix.within),
        states=chain.states,
        labels=chain.labels,
        rewards=chain.rewards,
        initial=chain.initial,
    )


def row(name: str, chain: Any, blocks: int, ask: Callable[[], Interval]) -> Interval:
    """Print one line of the table; return the interval."""
    began = time.process_time()
    interval = ask()
    asked = time.process_time() - began
    began = time.process_time()
    verification = interval.certify().verify(chain)
    checked = time.process_time() - began
    assert verification, verification
    half = float(interval.width / 2)
    print(
        f"{name:<54}{chain.n:>9,}{blocks:>7}{interval.estimate:>14.8g}{half:>10.1e}{asked:>8.2f}{checked:>8.2f}",
        flush=True,
    )
    return interval


def on_the_full_chain(chain: Any, target: str, proved: Interval) -> None:
    """Print the time until a target by scipy's GMRES on all states, for several incomplete factorisations.

    Each runs until the answer is within 1e-6 of the proved one, which is checked.  Seconds are of the processor, without
    those for making the matrix.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import LinearOperator, gmres, spilu

    rates = chain.matrix.without_diagonal().to_scipy().tocsr().astype(float)
    free = np.flatnonzero(~chain.labels[target])
    exits = np.asarray(rates.sum(axis=1)).ravel()
    system = (diags_array(exits) - rates).tocsr()[free][:, free].tocsc()
    ways: dict[str, dict[str, Any] | None] = {
        "ILU as scipy has it": {},
        "ILU, drop_tol 0.1": {"drop_tol": 0.1},
        "ILU, minimum degree": {"permc_spec": "MMD_AT_PLUS_A"},
        "ILU in the order of states": {"permc_spec": "NATURAL"},
        "no preconditioner": None,
    }
    for way, options in ways.items():
        began = time.process_time()
        inverse = None
        if options is not None:
            inverse = LinearOperator(system.shape, spilu(system, **options).solve)
        found, _ = gmres(system, np.ones(len(free)), M=inverse, rtol=1e-7, restart=50)
        seconds = time.process_time() - began
        value = float(chain.initial.to_floats()[free] @ found)
        assert abs(value - proved.estimate) <= 1e-6 * value
        name = f"   GMRES, {way}, not proved"
        print(
            f"{name:<54}{chain.n:>9,}{chain.n:>7}{value:>14.8g}{'':>10}{seconds:>8.2f}", flush=True
        )


def machines() -> None:
    """Sixteen thousand states of fourteen machines, jittered."""
    plain = machine_repair(14, failure="1/10")
    partition = lump(plain).partition
    half = jittered(plain, PER_CENT / 2)
    narrow, k = bounds(half, partition), len(partition)
    label, down = "operational", ~half.labels["operational"]
    row(
        "machines, 0.5 %: operational at t = 100, hull",
        half,
        k,
        lambda: narrow.transient(100, of=label, over="hull"),
    )
    row("machines, 0.5 %: stationary, blocks", half, k, lambda: narrow.stationary(label))
    row("machines, 0.5 %: time until down, blocks", half, k, lambda: narrow.expected(until=down))
    chain = jittered(plain)
    found = bounds(chain, partition)
    for over in ("hull", "members"):
        row(
            f"machines: operational at t = 100, {over}",
            chain,
            k,
            lambda over=over: found.transient(100, of=label, over=over),
        )
    row("machines: stationary, blocks", chain, k, lambda: found.stationary(label))
    row(
        "machines: stationary, accuracy 1e-9",
        chain,
        k,
        lambda: found.stationary(label, accuracy=1e-9),
    )
    row("machines: time until down, blocks", chain, k, lambda: found.expected(until=down))
    row(
        "machines: time until down, accuracy 1e-9",
        chain,
        k,
        lambda: found.expected(until=down, accuracy=1e-9),
    )


def real(shared: Path) -> None:
    """Chains of the PRISM benchmark suite, jittered on their lumping, or as they are towards one answer."""
    plain = read(shared / "chains" / "p2p4_4.npz")
    partition = lump(plain).partition
    chain, k = jittered(plain), len(partition)
    found = bounds(chain, partition)
    row("p2p4_4: time until done, blocks", chain, k, lambda: found.expected(until="done"))
    for asked, of in (("first", bounds(chain, partition)), ("again", found)):
        proved = row(
            f"p2p4_4: time until done, accuracy 1e-6, {asked}",
            chain,
            k,
            lambda of=of: of.expected(until="done", accuracy=1e-6),
        )
    on_the_full_chain(chain, "done", proved)
    plain = read(shared / "chains" / "embedded8.npz")
    partition = lump(plain).partition
    chain, k = jittered(plain), len(partition)
    other = bounds(chain, partition)
    row("embedded8: up until down, blocks", chain, k, lambda: other.expected("up", until="down"))
    row(
        "embedded8: up until down, accuracy 2e-8",
        chain,
        k,
        lambda: other.expected("up", until="down", accuracy=2e-8),
    )
    for name, question, error in (
        ("kanban3", Transient("tokens_cell4", 5), "1%"),
        ("kanban3", Transient("tokens_cell4", 5), "0.1%"),
        ("fms4", Transient("(P1 = 4)", 2), "0.1%"),
        ("embedded8", Expected("up", until="down"), "5%"),
    ):
        chain = read(shared / "chains" / f"{name}.npz")
        began = time.process_time()
        small = lump(chain, error=error, question=question)
        seconds = time.process_time() - began
        row(
            f"{name}: {small.answer.question}, error {error} ({seconds:.1f} s)",
            chain,
            len(small.partition),
            lambda small=small: small.answer,
        )


def large(states: int = 1_000_000, degree: int = 10) -> None:
    """A random chain of ten million transitions, for the checker alone."""
    rng = np.random.default_rng(3)
    sources = np.repeat(np.arange(states), degree)
    targets = rng.integers(0, states, states * degree)
    weights = ExactArray.of_values(
        rng.integers(0, 50, states * degree), [Fraction(i + 1, 7) for i in range(50)]
    )
    chain = CTMC(WeightedStructure.from_edges(states, sources, targets, weights))
    labels = rng.integers(0, 20, states)
    chain.labels["a"] = labels < 5
    found = bounds(chain, labels)
    row("random: 10^7 transitions, stationary, blocks", chain, 20, lambda: found.stationary("a"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--quick", action="store_true", help="leave the large chain out")
    given = parser.parse_args()
    print(
        f"{'question':<54}{'states':>9}{'blocks':>7}{'estimate':>14}{'+-':>10}{'ask s':>8}{'check s':>8}"
    )
    machines()
    real(given.shared)
    if not given.quick:
        large()


if __name__ == "__main__":
    main()
