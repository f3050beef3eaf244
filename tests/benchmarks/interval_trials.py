"""Intervals of random chains and partitions against exact rational answers: no violation is allowed.

    python tests/benchmarks/interval_trials.py CHAINS FIRST_SEED

Every chain is asked all questions, every fifth also with an accuracy.  Questions about a time are also asked about a
chain drawn from the hull, averages and expectations from blocks about a mixture of members.  Answers of chains
in continuous time at a time are not rational; they are computed to 40 digits.  What was run is kept in
docs/theory/intervals-trials.txt.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from fractions import Fraction
from math import lcm

import numpy as np
from mpmath import mp

from lumpability import CTMC, DTMC
from lumpability.certificate.bounds.rows import hull_of
from lumpability.errors import NoConvergence, NoFiniteBound
from lumpability.markov import MarkovChain
from lumpability.markov.approximate.bounds import Bounds, bounds
from lumpability.markov.solve.classes import backwards_reachable, recurrent_classes
from lumpability.partition import Partition

Rows = list[list[Fraction]]
TOLERANCE = Fraction(1, 10**30)
ACCURACY = 1e-6
ONE = 1 << 400


def drawn_chain(rng: random.Random) -> MarkovChain:
    """Draw a chain of up to five states, in either time, some of them reducible."""
    n = rng.randint(1, 5)
    weights = [
        [Fraction(rng.choice([0, 0, 1, 2, 3]), rng.choice([1, 1, 3])) for _ in range(n)]
        for _ in range(n)
    ]
    if rng.random() < 0.5:
        return CTMC(weights)
    for x, row in enumerate(weights):
        row[(x + rng.randint(0, 1)) % n] += 1
    return DTMC([[w / sum(row) for w in row] for row in weights])


def generator(chain: MarkovChain) -> Rows:
    """Return Q, or P - I."""
    rows = [[Fraction(0)] * chain.n for _ in range(chain.n)]
    for x in range(chain.n):
        for u, weight in chain.matrix.row(x):
            if u != x:
                rows[x][u] += weight
                rows[x][x] -= weight
    return rows


def solved(rows: Rows, right: list[Fraction]) -> list[Fraction]:
    """Solve a regular system by elimination."""
    table = [[*row, b] for row, b in zip(rows, right, strict=True)]
    n = len(table)
    for i in range(n):
        pivot = next(j for j in range(i, n) if table[j][i])
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [x / table[i][i] for x in table[i]]
        for j in range(n):
            if j != i and table[j][i]:
                factor = table[j][i]
                table[j] = [a - factor * b for a, b in zip(table[j], table[i], strict=True)]
    return [row[-1] for row in table]


def at_time(chain: MarkovChain, g: list[Fraction], t: int) -> list[Fraction]:
    """Return E[g(X_t)] from every state."""
    rows, now = generator(chain), list(g)
    if chain.time == "discrete":
        for _ in range(t):
            now = [
                v + sum(q * w for q, w in zip(row, now, strict=True))
                for v, row in zip(now, rows, strict=True)
            ]
        return now
    return uniformised(rows, now, t)


def uniformised(rows: Rows, g: list[Fraction], t: int) -> list[Fraction]:
    """Return e^(Q t) g to about forty digits: the Poisson mixture of (I + Q / L)^k g, in integers over 2^400."""
    rate = max((-row[x] for x, row in enumerate(rows)), default=Fraction(0)) or Fraction(1)
    steps = [[Fraction(x == u) + q / rate for u, q in enumerate(row)] for x, row in enumerate(rows)]
    below = lcm(*(p.denominator for row in steps for p in row))
    whole = [[int(p * below) for p in row] for row in steps]
    now = [int(x * ONE) for x in g]
    mean, k = rate * t, 0
    with mp.workdps(60):
        chance = int(mp.exp(-mp.mpf(mean.numerator) / mean.denominator) * ONE)
    total = [0] * len(g)
    while chance or k < mean:
        total = [a + chance * v for a, v in zip(total, now, strict=True)]
        now = [sum(p * v for p, v in zip(row, now, strict=True)) // below for row in whole]
        k += 1
        chance = chance * mean.numerator // (mean.denominator * k)
    return [Fraction(x, ONE * ONE) for x in total]


def averages(chain: MarkovChain, g: list[Fraction]) -> list[Fraction]:
    """Return the average of g in every recurrent class."""
    rows, found = generator(chain), []
    for states in recurrent_classes(chain):
        s = states.tolist()
        # Bias v and average c: c - Q v = g, v = 0 in the first state.
        system = [[*(-rows[x][u] for u in s[1:]), Fraction(1)] for x in s]
        found.append(solved(system, [g[x] for x in s])[-1])
    return found


def until(
    chain: MarkovChain, goal: np.ndarray, g: list[Fraction], b: Fraction
) -> tuple[list[Fraction], np.ndarray]:
    """Return the expectation of what is earned until the target or until it cannot be reached; and where that is."""
    rows, never = generator(chain), ~backwards_reachable(chain, goal)
    free = [x for x in range(chain.n) if not goal[x] and not never[x]]
    values = [b if goal[x] else Fraction(0) for x in range(chain.n)]
    found = solved(
        [[-rows[x][u] for u in free] for x in free],
        [
            g[x]
            + sum(
                (rows[x][u] * values[u] for u in range(chain.n) if u not in free), start=Fraction(0)
            )
            for x in free
        ],
    )
    for x, value in zip(free, found, strict=True):
        values[x] = value
    return values, never


def long_run(chain: MarkovChain, g: list[Fraction]) -> list[Fraction]:
    """Return the long-run average from every state."""
    total = [Fraction(0)] * chain.n
    nothing = [Fraction(0)] * chain.n
    for states, level in zip(recurrent_classes(chain), averages(chain, g), strict=True):
        inside = np.zeros(chain.n, dtype=bool)
        inside[states] = True
        reached, _ = until(chain, inside, nothing, Fraction(1))
        total = [a + level * p for a, p in zip(total, reached, strict=True)]
    return total


def mixture(rng: random.Random, chain: MarkovChain, partition: Partition) -> MarkovChain:
    """Return a chain on blocks, each a mixture of its members."""
    rows = [[Fraction(0)] * len(partition) for _ in range(len(partition))]
    for b, members in enumerate(partition.blocks):
        shares = [rng.randint(1, 3) for _ in members]
        for x, share in zip(members.tolist(), shares, strict=True):
            for u, weight in chain.matrix.row(x):
                rows[b][partition.labels[u]] += weight * Fraction(share, sum(shares))
    return CTMC(rows) if chain.time == "continuous" else DTMC(rows)


def of_the_hull(rng: random.Random, chain: MarkovChain, partition: Partition) -> MarkovChain:
    """Return a chain on blocks whose rates lie in the hull."""
    if chain.time == "discrete":
        return mixture(rng, chain, partition)
    hull = hull_of(chain.matrix, partition, inner=False)
    rows = [[Fraction(0)] * len(partition) for _ in range(len(partition))]
    for b, c, low, high in zip(
        hull.source.tolist(), hull.target.tolist(), hull.least, hull.most, strict=True
    ):
        rows[b][c] = low + rng.choice([Fraction(0), Fraction(1), Fraction(1, 2)]) * (high - low)
    return CTMC(rows)


class Trial:
    """One chain, asked everything; counts intervals and violations."""

    def __init__(self, seed: int, counts: Counter[tuple[str, str]]) -> None:
        self.rng, self.seed, self.counts = random.Random(seed), seed, counts
        self.chain = drawn_chain(self.rng)
        n = self.chain.n
        self.partition = Partition([self.rng.randint(0, 2) for _ in range(n)])
        self.found: Bounds = bounds(self.chain, self.partition)
        self.start = self.rng.randrange(n)
        self.g = [
            Fraction(self.rng.choice([0, 1, 1, 3]), self.rng.choice([1, 7])) for _ in range(n)
        ]
        self.of_blocks = self.g[: len(self.partition)]
        self.on_blocks = [self.of_blocks[b] for b in self.partition.labels.tolist()]
        self.goal = np.zeros(n, dtype=bool)
        self.goal[self.rng.randrange(n)] = True
        self.accuracies = (None, ACCURACY) if self.rng.random() < 0.2 else (None,)

    def judge(self, question: str, interval: object, exact: Fraction, slack: Fraction) -> None:
        """Count an interval; say so if the exact answer lies outside."""
        held = interval.lower <= exact + slack and exact - slack <= interval.upper
        self.counts[question, "intervals"] += 1
        if not held:
            self.counts[question, "violations"] += 1
            print(
                f"VIOLATION: seed {self.seed}, {question}: {interval}, exact {float(exact)}",
                flush=True,
            )
        if self.rng.random() < 0.05:
            self.counts[question, "certificates"] += 1
            if not interval.certify().verify(self.chain):
                self.counts[question, "violations"] += 1
                print(f"REJECTED: seed {self.seed}, {question}", flush=True)

    def run(self) -> None:
        """Ask everything."""
        slack = TOLERANCE if self.chain.time == "continuous" else Fraction(0)
        t = self.rng.choice([1, 2, 7])
        exact = at_time(self.chain, self.g, t)
        self.judge(
            "transient",
            self.found.transient(t, of=self.g, initial=self.start),
            exact[self.start],
            slack,
        )
        everywhere = self.found.transient(t, of=self.on_blocks, over="hull")
        other = of_the_hull(self.rng, self.chain, self.partition)
        for value in at_time(other, self.of_blocks, t):
            self.judge("transient, hull", everywhere, value, slack)
        levels = averages(self.chain, self.g)
        found = self.found.stationary(self.g)
        for value in levels:
            self.judge("stationary", found, value, Fraction(0))
        found = self.found.stationary(self.on_blocks)
        for value in averages(mixture(self.rng, self.chain, self.partition), self.of_blocks):
            self.judge("stationary, mixture", found, value, Fraction(0))
        if len(levels) == 1 and len(self.accuracies) > 1:
            self.with_accuracy(
                "stationary", lambda: self.found.stationary(self.g, accuracy=ACCURACY), levels[0]
            )
        average = long_run(self.chain, self.g)[self.start]
        self.with_accuracy(
            "long run", lambda: self.found.long_run(self.g, initial=self.start), average
        )
        self.targets()

    def targets(self) -> None:
        """Ask about a target."""
        nothing = [Fraction(0)] * self.chain.n
        hit, _ = until(self.chain, self.goal, nothing, Fraction(1))
        for accuracy in self.accuracies:
            self.with_accuracy(
                "hitting",
                lambda a=accuracy: self.found.hitting(self.goal, initial=self.start, accuracy=a),
                hit[self.start],
            )
        earned, _ = until(self.chain, self.goal, self.g, Fraction(0))
        for accuracy in self.accuracies:
            self.with_accuracy(
                "expected",
                lambda a=accuracy: self.found.expected(
                    self.g, until=self.goal, initial=self.start, accuracy=a
                ),
                earned[self.start],
            )
        if self.chain.time == "discrete":
            rows = [[Fraction(0)] * self.chain.n for _ in range(self.chain.n)]
            for x in range(self.chain.n):
                for u, weight in [(x, Fraction(1))] if self.goal[x] else self.chain.matrix.row(x):
                    rows[x][u] += weight
            within = at_time(DTMC(rows), [Fraction(int(x)) for x in self.goal], 3)
            self.judge(
                "time-bounded",
                self.found.time_bounded(self.goal, 3, initial=self.start),
                within[self.start],
                Fraction(0),
            )

    def with_accuracy(self, question: str, ask: object, exact: Fraction) -> None:
        """Judge an interval, if there is one."""
        try:
            interval = ask()
        except (NoFiniteBound, NoConvergence) as refused:
            self.counts[question, type(refused).__name__] += 1
            if isinstance(refused, NoConvergence):
                print(f"not reached: seed {self.seed}, {question}: {refused}", flush=True)
            return
        self.judge(question, interval, exact, Fraction(0))


def show(counts: Counter[tuple[str, str]], chains: int, first: int, seconds: float) -> None:
    """Print the table."""
    columns = ["intervals", "certificates", "NoFiniteBound", "NoConvergence", "violations"]
    print(f"{chains} chains, seeds from {first}, {seconds:.0f} s of one processor")
    print(f"{'question':<22}" + "".join(f"{name:>15}" for name in columns))
    for question in dict.fromkeys(name for name, _ in counts):
        print(f"{question:<22}" + "".join(f"{counts[question, name]:>15,}" for name in columns))
    sys.stdout.flush()


def main(chains: int, first: int) -> None:
    """Run the trials and print a table, also on the way."""
    counts: Counter[tuple[str, str]] = Counter()
    started = time.process_time()
    for seed in range(first, first + chains):
        Trial(seed, counts).run()
        done = seed - first + 1
        if done == chains or done % 1000 == 0:
            show(counts, done, first, time.process_time() - started)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chains", type=int, nargs="?", default=1000)
    parser.add_argument("first", type=int, nargs="?", default=0)
    main(**vars(parser.parse_args()))
