"""Random chains, partitions, and exact solutions of chains whose block sums lie in the hull of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from mpmath import matrix, mp

from lumpability import CTMC, DTMC
from lumpability.certificate.bounds.rows import hull_of
from lumpability.markov import MarkovChain
from lumpability.partition import Partition
from lumpability.testing.strategies.chains import ctmcs, dtmcs

Rows = list[list[Fraction]]

chains = st.one_of(ctmcs(max_states=6), dtmcs(max_states=6))


@st.composite
def chains_with_partitions(draw: st.DrawFn, of: Any = chains) -> tuple[MarkovChain, Partition]:
    """A chain and any partition of its states."""
    chain = draw(of)
    return chain, Partition(draw(st.lists(st.integers(0, 2), min_size=chain.n, max_size=chain.n)))


def generator(chain: MarkovChain) -> Rows:
    """Return Q, or P - I, as rows of rationals."""
    rows = [[Fraction(0)] * chain.n for _ in range(chain.n)]
    for x in range(chain.n):
        for u, weight in chain.matrix.row(x):
            if u != x:
                rows[x][u] += weight
                rows[x][x] -= weight
    return rows


def inside_the_hull(draw: st.DrawFn, chain: MarkovChain, partition: Partition) -> MarkovChain:
    """Draw a chain on blocks whose rates lie in the hull; those of a CTMC independently of each other."""
    hull = hull_of(chain.matrix, partition, inner=chain.time == "discrete")
    rows = [[Fraction(0)] * len(partition) for _ in range(len(partition))]
    if chain.time == "continuous":
        for b, c, low, high in zip(
            hull.source.tolist(), hull.target.tolist(), hull.least, hull.most, strict=True
        ):
            share = draw(st.sampled_from([Fraction(0), Fraction(1), Fraction(1, 3)]))
            rows[b][c] = low + share * (high - low)
        return CTMC(rows)
    return mixed_members(draw, chain, partition)


def mixed_members(draw: st.DrawFn, chain: MarkovChain, partition: Partition) -> MarkovChain:
    """Draw a chain on blocks in which each behaves like a mixture of its members."""
    rows = [[Fraction(0)] * len(partition) for _ in range(len(partition))]
    for b, members in enumerate(partition.blocks):
        shares = draw(st.lists(st.integers(0, 3), min_size=len(members), max_size=len(members)))
        shares[0] += not any(shares)
        for x, share in zip(members.tolist(), shares, strict=True):
            for u, weight in chain.matrix.row(x):
                rows[b][partition.labels[u]] += weight * Fraction(share, sum(shares))
    return CTMC(rows) if chain.time == "continuous" else DTMC(rows)


def expectations_at(
    chain: MarkovChain, values: Sequence[Fraction], time: Fraction
) -> list[Fraction]:
    """Return E[g(X_t)] from every state: exactly for a DTMC, to 40 digits for a CTMC."""
    rows = generator(chain)
    now = list(values)
    if chain.time == "discrete":
        for _ in range(int(time)):
            now = [
                v + sum(q * w for q, w in zip(row, now, strict=True))
                for v, row in zip(now, rows, strict=True)
            ]
        return now
    with mp.workdps(50):
        q = matrix([[mp.mpf(x.numerator) / x.denominator for x in row] for row in rows])
        column = matrix([mp.mpf(x.numerator) / x.denominator for x in now])
        t = mp.mpf(time.numerator) / time.denominator
        found = mp.expm(q * t, method="taylor") * column
        return [_fraction(found[i]) for i in range(chain.n)]


def _fraction(value: Any) -> Fraction:
    sign, mantissa, exponent, _ = value._mpf_
    return (-1) ** sign * int(mantissa) * Fraction(2) ** exponent
