"""Random chains with a built-in lumping of a given kind, and chains that just miss one.

A quotient is drawn and unfolded, so the blocks are a lumping by construction.  The coarsest lumping is at
least as coarse as the planted one; usually they are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.chains import CTMC
from lumpability.markov.examples.building import need_at_least
from lumpability.markov.kinds import find_kind
from lumpability.numbers.rationals import read_number
from lumpability.partition import Partition

_LARGEST_RATE = 6
Generator = np.random.Generator


def planted(kind: str, sizes: Sequence[int], *, seed: int = 0) -> tuple[CTMC, Partition]:
    """Return a random chain and a partition that is a lumping of the given kind.

    Parameters
    ----------
    kind : {"ordinary", "bisimulation", "exact", "strict", "proportional"}
    sizes : sequence of int
        Sizes of the blocks.  The chain is stored densely: at most a few hundred states.
    seed : int

    Returns
    -------
    chain : CTMC
        Numbered at random, so that blocks are not contiguous; without labels.
    partition : Partition

    Raises
    ------
    InvalidInput
        For another kind.

    Examples
    --------
    >>> from lumpability import check
    >>> chain, partition = planted("exact", [2, 3], seed=1)
    >>> bool(check(chain, partition, kind="exact")), bool(check(chain, partition))
    (True, False)
    """
    need_at_least(1, **{f"size of block {i}": size for i, size in enumerate(sizes)})
    random = np.random.default_rng(seed)
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    rates = unfold(kind, blocks, random)
    order = random.permutation(len(blocks))
    return CTMC(rates[np.ix_(order, order)]), Partition(blocks[order])


def unfold(kind: str, blocks: Any, random: Any, *, connected: bool = False) -> Any:
    """Return random rates for which given blocks are a lumping.

    Raises `InvalidInput` for another kind.

    - kind: as for `planted`
    - blocks (array of int, shape (n,)): block of each state, ascending from 0 without gaps
    - random: or anything with its methods ``integers``, ``permutation`` and ``choice``
    - connected: add transitions from every state to all of the next block, and from the last block to the
      first, so that the chain is irreducible
    - returns object array of Fraction, shape (n, n): in 1/time; entries on the diagonal are self-loops

    >>> blocks = np.array([0, 0, 1])
    >>> rates = unfold("strict", blocks, np.random.default_rng(1), connected=True)
    >>> bool(rates[0, 2] == rates[1, 2] > 0), bool(rates[2, 0] == rates[2, 1] > 0)
    (True, True)
    """
    unfoldings = {
        "ordinary": _ordinary,
        "bisimulation": _bisimilar,
        "proportional": _ordinary,
        "exact": _exact,
        "strict": _strict,
    }
    if kind not in unfoldings:
        raise InvalidInput(
            f"cannot plant a {kind!r} lumping: choose one of {', '.join(unfoldings)}"
        )
    # Proportional: rows of an ordinary lumpable chain, multiplied by a speed for each state.
    speeds = _speeds(random, len(blocks)) if find_kind(kind).scaled else Fraction(1)
    rates = unfoldings[kind](random, blocks)
    if connected:
        after = (blocks + 1) % (blocks[-1] + 1)
        ahead = after[:, None] == blocks
        np.fill_diagonal(ahead, False)
        rates = rates + ahead.astype(np.int64).astype(object)
    return rates * speeds


def nearly_lumpable(
    sizes: Sequence[int], epsilon: Any = "1/1000", *, seed: int = 0
) -> tuple[CTMC, Partition]:
    """Return a chain that misses an ordinary lumping by `epsilon`, and the partition it misses.

    One rate into another block, from a block of several states, is larger by `epsilon` than in a
    lumpable chain.

    Parameters
    ----------
    sizes : sequence of int
        At least two blocks, one of them of at least two states.
    epsilon : number
        Positive, in 1/time.
    seed : int

    Examples
    --------
    >>> from lumpability import check
    >>> chain, partition = nearly_lumpable([2, 1], "1/100")
    >>> verdict = check(chain, partition)
    >>> abs(verdict.witness.total - verdict.witness.other_total)
    Fraction(1, 100)
    """
    need_at_least(2, blocks=len(sizes), largest=max(sizes, default=0))
    chain, partition = planted("ordinary", sizes, seed=seed)
    source = partition.blocks[int(np.argmax(partition.blocks.sizes))][0]
    target = int(np.flatnonzero(partition.labels != partition.labels[source])[0])
    rates = _dense(chain)
    rates[source, target] += read_number(epsilon)
    return CTMC(rates), partition


def _dense(chain: CTMC) -> Any:
    rates = np.full((chain.n, chain.n), Fraction(0), dtype=object)
    for state in range(chain.n):
        for target, rate in chain.matrix.row(state):
            rates[state, target] = rate
    return rates


def _numbers(random: Generator, *shape: int) -> Any:
    """Random small fractions, about a third of them zero."""
    whole = random.integers(-_LARGEST_RATE // 2, _LARGEST_RATE + 1, shape).clip(0)
    parts = random.integers(1, 4, shape)
    return np.vectorize(Fraction, otypes=[object])(whole, parts)


def _splits(random: Generator, total: Fraction, parts: int) -> list[Fraction]:
    """Cut a total into random non-negative parts."""
    if parts == 1 or not total:
        return [total] * parts
    shares = random.integers(0, 4, parts).tolist()
    if not sum(shares):
        shares[int(random.integers(parts))] = 1
    return [total * Fraction(share, sum(shares)) for share in shares]


def _ordinary(random: Generator, blocks: Any) -> Any:
    """Rows: each state divides its block's rate among the states of another block; the rest is free."""
    rates = _bisimilar(random, blocks)
    inside = blocks[:, None] == blocks
    rates[inside] = _numbers(random, int(inside.sum()))
    return rates


def _bisimilar(random: Generator, blocks: Any) -> Any:
    """Rows: each state divides its block's rate into every block among the states of that block."""
    count = int(blocks[-1]) + 1
    quotient = _numbers(random, count, count)
    rates = np.full((len(blocks), len(blocks)), Fraction(0), dtype=object)
    for state, own in enumerate(blocks.tolist()):
        for block in range(count):
            members = np.flatnonzero(blocks == block)
            rates[state, members] = _splits(random, quotient[own, block], len(members))
    return rates


def _speeds(random: Generator, count: int) -> Any:
    speeds = [Fraction(int(a), int(b)) for a, b in random.integers(1, 5, (count, 2))]
    return np.array(speeds, dtype=object)[:, None]


def _exact(random: Generator, blocks: Any) -> Any:
    """Columns: the rates from another block into each state have the same sum in its block.

    Then exit rates differ inside a block, and with them the sums from the block itself, diagonal included.
    Transitions inside the block make these sums equal.
    """
    rates = _ordinary(random, blocks).T
    for block in range(int(blocks[-1]) + 1):
        members, others = np.flatnonzero(blocks == block), np.flatnonzero(blocks != block)
        leaving = [sum(rates[state, others], start=Fraction(0)) for state in members]
        inside = _circulation(random, len(members))
        mean = sum(leaving, start=Fraction(0)) / len(members)
        need = [total - mean for total in leaving]
        giving = [i for i in range(len(members)) if need[i] < 0]
        for taker in (i for i in range(len(members)) if need[i] > 0):
            while need[taker] > 0:
                giver = giving[-1]
                amount = min(need[taker], -need[giver])
                inside[giver, taker] += amount
                need[taker], need[giver] = need[taker] - amount, need[giver] + amount
                if need[giver] == 0:
                    giving.pop()
        rates[np.ix_(members, members)] = inside
    return rates


def _strict(random: Generator, blocks: Any) -> Any:
    """Rectangles with equal row sums and equal column sums; circulations inside blocks."""
    rates = np.full((len(blocks), len(blocks)), Fraction(0), dtype=object)
    count = int(blocks[-1]) + 1
    for own in range(count):
        rows = np.flatnonzero(blocks == own)
        for block in range(count):
            columns = np.flatnonzero(blocks == block)
            part = (
                _circulation(random, len(rows))
                if block == own
                else _even_rectangle(random, len(rows), len(columns))
            )
            rates[np.ix_(rows, columns)] = part
    return rates


def _circulation(random: Generator, size: int) -> Any:
    """Rates with equal sums into and out of every state: a random sum of closed tours."""
    rates = np.full((size, size), Fraction(0), dtype=object)
    for _ in range(2):
        tour = random.permutation(size)
        rates[tour, np.roll(tour, 1)] += Fraction(int(random.integers(0, 4)), 2)
    np.fill_diagonal(rates, Fraction(0))
    return rates


def _even_rectangle(random: Generator, rows: int, columns: int) -> Any:
    """Numbers with equal row sums and equal column sums: a constant, plus swaps that keep both."""
    base = Fraction(int(random.integers(0, _LARGEST_RATE)))
    rectangle = np.full((rows, columns), base, dtype=object)
    if rows < 2 or columns < 2:
        return rectangle
    for _ in range(rows + columns):
        i, k = random.choice(rows, 2, replace=False)
        j, m = random.choice(columns, 2, replace=False)
        amount = min(rectangle[i, m], rectangle[k, j]) * Fraction(int(random.integers(0, 3)), 2)
        rectangle[i, j] += amount
        rectangle[k, m] += amount
        rectangle[i, m] -= amount
        rectangle[k, j] -= amount
    return rectangle
