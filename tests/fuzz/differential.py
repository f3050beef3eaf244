"""Lump small random chains and compare with brute force: ``python tests/fuzz/differential.py --runs 1000000``.

Each chain has two to six states and few different weights, among them two that weak hashes and short types take to be
equal.  Brute force splits blocks by sums of Python's integers, the weights times their common denominator, until
nothing splits.  For a few chains all partitions are tried, which proves brute force right too.  Every run compares the
partition of one kind by one engine, the quotient, and the verdict about another partition; some compare a certificate.
Runs depend on the seed alone.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from fractions import Fraction
from math import lcm
from random import Random
from typing import Any

from lumpability import CTMC, Partition, check, lump
from lumpability.testing.definitions import all_partitions, is_lumping

KINDS = ("ordinary", "exact", "strict", "proportional", "bisimulation")
ENGINES = ("definition", "rounds", "worklist", "kernel")
Rows = list[list[Fraction]]


def hostile(random: Random) -> tuple[Fraction, Fraction]:
    """Return two different weights that are equal for a weak hash or a short type."""
    p, q, k = (random.randint(1, 60) for _ in range(3))
    x = Fraction(p, q)
    modulus = random.choice((*(1 << k for k in range(3, 65)), 2**31 - 1, 2**61 - 1, 10**9 + 7))
    other = random.choice(
        (
            1 / x,
            x + modulus,
            x * (1 + Fraction(1, 1 << random.randint(11, 64))),
            Fraction(p + k, q + k),
            x * 10**20,
            x / 10**20,
            x + k,
        )
    )
    return x, other


def chain_of(random: Random) -> tuple[Rows, list[bool], CTMC]:
    """Return rates with a zero diagonal or self-loops, a label, and the chain."""
    n = random.randint(2, 6)
    x, y = hostile(random)
    weights = (x, y, x, y, x + y, x - y if x > y else y - x or x)
    rows = [[Fraction(0)] * n for _ in range(n)]
    density = random.choice((0.3, 0.6, 1.0))
    for s in range(n):
        for t in range(n):
            if random.random() < density and (s != t or random.random() < 0.2):
                rows[s][t] = random.choice(weights)
    for _ in range(random.randint(0, 2)):  # copies, so that states may share blocks
        a, b = random.randrange(n), random.randrange(n)
        rows[a] = [rows[b][t] for t in range(n)]
    label = [random.random() < 0.3 for _ in range(n)]
    edges = {(s, t): rows[s][t] for s in range(n) for t in range(n) if rows[s][t]}
    return rows, label, CTMC.from_rates(edges, states=range(n), labels={"a": label})


def scaled(rows: Rows) -> list[list[int]]:
    """Return the rows times their common denominator: the same sums are equal, and integers are quicker."""
    common = lcm(*(x.denominator for row in rows for x in row))
    return [[x.numerator * (common // x.denominator) for x in row] for row in rows]


def keys(rows: list[list[int]], labels: list[int], kind: str) -> list[Any]:
    """Return for every state what the states of a block must have in common."""
    n = len(rows)
    exits = [sum(row[t] for t in range(n) if t != s) for s, row in enumerate(rows)]
    found = []
    for s in range(n):
        out: dict[int, Any] = {}
        into: dict[int, int] = {}
        for t in range(n):
            if kind == "bisimulation" or t != s:
                out[labels[t]] = out.get(labels[t], 0) + rows[s][t]
            if t != s:
                into[labels[t]] = into.get(labels[t], 0) + rows[t][s]
        if kind != "bisimulation":
            out[labels[s]] = out.get(labels[s], 0) - exits[s]
        into[labels[s]] = into.get(labels[s], 0) - exits[s]
        if kind == "proportional":
            out.pop(labels[s])
            total = sum(out.values())
            out = {b: Fraction(w, total) for b, w in out.items()} if total else out
        parts = {"exact": [into], "strict": [out, into]}.get(kind, [out])
        found.append(tuple(frozenset((b, w) for b, w in one.items() if w) for one in parts))
    return found


def coarsest(rows: list[list[int]], start: list[int], kind: str) -> list[int]:
    """Split blocks until the states of each have everything in common."""
    labels = start
    while True:
        number: dict[Any, int] = {}
        pairs = zip(labels, keys(rows, labels, kind), strict=True)
        new = [number.setdefault(pair, len(number)) for pair in pairs]
        if len(number) == len(set(labels)):
            return new
        labels = new


def wrong(random: Random) -> str | None:
    """Make one run; return what is wrong."""
    rows, label, chain = chain_of(random)
    kind = random.choice(KINDS)
    engine: Any = random.choice(
        ("auto", *ENGINES[:2]) if kind == "proportional" else ("auto", *ENGINES)
    )
    start = [int(carries) for carries in label]
    whole = scaled(rows)
    right = Partition(coarsest(whole, start, kind))
    lumping = lump(chain, kind=kind, respect=["label:a"], engine=engine)
    if lumping.partition != right:
        return f"{kind} by {engine}: {lumping.partition}, not {right}"
    guess = Partition([random.randrange(3) for _ in rows])
    found = keys(whole, guess.labels.tolist(), kind)
    lumps = all(
        found[s] == found[int(guess.representatives[b])] for s, b in enumerate(guess.labels)
    )
    if bool(check(chain, guess, kind=kind)) != lumps:
        return f"{kind}: verdict about {guess} is not {lumps}"
    if kind in ("ordinary", "strict"):
        for block, members in enumerate(right.blocks):
            sums = [Fraction(0)] * len(right)
            for t, weight in enumerate(rows[int(members[0])]):
                sums[right.labels[t]] += weight
            row = dict(lumping.quotient.matrix.row(block))
            if any(row.get(b, 0) != sums[b] for b in range(len(right)) if b != block):
                return f"{kind}: quotient {row} of {right}"
    if random.random() < 0.05 and not lumping.certificate().verify(chain, lumping.quotient):
        return f"{kind}: certificate rejected"
    if random.random() < 0.01:
        stable = [p for p in all_partitions(chain.n) if is_lumping(chain, p, kind)]
        fitting = [p for p in stable if p.refines(Partition(start))]
        if not all(p.refines(right) for p in fitting) or right not in fitting:
            return f"{kind}: brute force is wrong"
    return None


def compare(seed: int, runs: int) -> tuple[Counter[str], list[str]]:
    """Make runs; return counts and what was wrong."""
    counts: Counter[str] = Counter()
    findings = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(runs):
            try:
                problem = wrong(Random(f"{seed} {number}"))
            except Exception as error:  # noqa: BLE001  # this is what is looked for
                problem = f"{type(error).__name__}: {error}"
            counts["equal" if problem is None else "WRONG"] += 1
            if problem is not None:
                findings.append(f"{seed} {number}: {problem}")
    return counts, findings


def main() -> int:
    """Run from the command line; the exit code is 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1_000_000)
    given = parser.parse_args()
    started = time.process_time()
    counts, findings = compare(given.seed, given.runs)
    seconds = time.process_time() - started
    sys.stdout.write(
        f"{sum(counts.values())} runs: {dict(counts)}, {seconds:.0f} s of the processor\n"
    )
    for finding in findings[:100]:
        sys.stdout.write(f"{finding[:300]}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
