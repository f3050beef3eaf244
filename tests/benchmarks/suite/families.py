"""Families of any size that `lumpability.markov.examples` lacks: built row by row, for benchmarks only."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability import CTMC, DTMC, Partition
from lumpability.markov import examples
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

__all__ = ["herman", "leader", "marked_path", "peer_to_peer", "planted_blocks", "polling_of_design"]

_DEGREE = 10
_ROWS = 1 << 20  # of a planted chain that are drawn at a time


def marked_path(states: int) -> CTMC:
    """Return the pure birth process 0 -> 1 -> ...; the last state is marked: as many rounds as states."""
    structure = WeightedStructure(
        np.minimum(np.arange(states + 1, dtype=np.int64), states - 1),
        np.arange(1, states, dtype=np.int32),
        ExactArray.constant(Fraction(1), states - 1),
        Partition.trivial(states),
    )
    return CTMC(structure, labels={"end": [states - 1]})


def planted_blocks(states: int) -> CTMC:
    """Return a random chain of about sqrt(states) equal blocks, ten transitions from every state.

    State s belongs to block s mod k.  Each block has ten random blocks as targets, with random rates
    1, ..., 100, and each of its states chooses a random member of each of them.
    """
    count = int(np.sqrt(states))
    n = count * (states // count)
    random = np.random.default_rng(states)
    strides = random.integers(1, count // _DEGREE + 1, size=(count, _DEGREE))
    strides[:, 0] = random.integers(count, size=count)
    blocks = np.cumsum(strides, axis=1) % count  # distinct: the other strides sum to less than k
    rates = random.integers(0, 100, blocks.shape, dtype=np.uint8)
    targets = np.empty((n, _DEGREE), dtype=np.int32)
    codes = np.empty((n, _DEGREE), dtype=np.uint8)
    for low in range(0, n, _ROWS):
        block = np.arange(low, min(low + _ROWS, n)) % count
        members = random.integers(n // count, size=(len(block), _DEGREE), dtype=np.int32)
        drawn = members * count + blocks[block].astype(np.int32)
        order = np.argsort(drawn, axis=1)
        rows = slice(low, low + len(block))
        targets[rows] = np.take_along_axis(drawn, order, axis=1)
        codes[rows] = np.take_along_axis(rates[block], order, axis=1)
    structure = WeightedStructure.from_rows(
        np.arange(0, n * _DEGREE + 1, _DEGREE),
        targets.ravel(),
        ExactArray.of_values(codes.ravel(), [Fraction(rate) for rate in range(1, 101)]),
    )
    return CTMC(structure, labels={"first": np.arange(n) % count == 0})


def herman(processes: int) -> DTMC:
    """Return Herman's self-stabilising ring: 2^processes states, 3^processes + 1 transitions.

    A process that agrees with its left neighbour has the token and flips a coin; the others copy.
    """
    states = np.arange(1 << processes)
    mask = len(states) - 1
    left = (states << 1 | states >> (processes - 1)) & mask  # bit i holds what process i-1 has
    tokens = ~(states ^ left) & mask
    count = np.bitwise_count(tokens).astype(np.int64)
    indptr = np.concatenate([[0], np.cumsum(1 << count)])
    targets = np.empty(int(indptr[-1]), dtype=np.int32)
    for state, token in enumerate(tokens.tolist()):
        bits = [1 << i for i in range(processes) if token >> i & 1]
        chosen = np.zeros(1, dtype=np.int32)
        for bit in bits:  # ascending, so that the sums ascend as well
            chosen = np.concatenate([chosen, chosen + bit])
        targets[indptr[state] : indptr[state + 1]] = (left[state] & ~token) + chosen
    codes = np.repeat(count, 1 << count).astype(np.uint8)
    values = [Fraction(1, 1 << k) for k in range(processes + 1)]
    structure = WeightedStructure.from_rows(indptr, targets, ExactArray.of_values(codes, values))
    return DTMC(structure, labels={"stable": count == 1})


def leader(processes: int, numbers: int) -> DTMC:
    """Return the election of a leader in a synchronous ring (Itai and Rodeh 1990).

    All pick a number, which then goes round the ring, and whoever meets its own does not stand.  If nobody stands, all
    pick again.  As in PRISM's case study, but for what those remember who do not stand: with 5 processes and 8 numbers
    the quotient is that of ``leader5_8``, and there are 420 states less.
    """
    draws = numbers**processes
    picked = np.arange(draws)[:, None] // numbers ** np.arange(processes) % numbers
    stands = np.ones(picked.shape, dtype=bool)
    for steps in range(1, processes):
        stands &= picked != np.roll(picked, -steps, axis=1)
    found, outcome = np.unique(stands @ 2 ** np.arange(processes), return_inverse=True)
    first = 1 + (processes - 1) * draws  # of the outcomes
    last = first + len(found)
    targets = np.concatenate(
        [np.arange(1, first), first + outcome, np.where(found > 0, last, 0), [last]]
    )
    indptr = np.append(0, np.arange(draws, draws + last + 1))
    codes = np.append(np.zeros(draws, dtype=np.uint8), np.ones(last, dtype=np.uint8))
    weights = ExactArray.of_values(codes, [Fraction(1, draws), Fraction(1)])
    structure = WeightedStructure.from_rows(indptr, targets.astype(np.int32), weights)
    return DTMC(structure, labels={"elected": [last]}, initial=0)


def peer_to_peer(clients: int, blocks: int) -> CTMC:
    """Return the download of a file in blocks: a client gets one at rate 2 (1 + others that have it)."""
    n = 1 << clients * blocks
    states = np.arange(n)
    has = states[:, None] >> np.arange(clients * blocks) & 1 == 0  # bit set: still missing
    # Bit c + clients b: client c, block b.
    holders = has.reshape(n, blocks, clients).sum(axis=2, dtype=np.int8)
    source, bit = np.nonzero(~has)
    return CTMC(
        WeightedStructure.from_edges(
            n,
            np.append(source, 0),
            np.append(source ^ (1 << bit), 0),
            ExactArray.of_values(
                np.append(holders[source, bit // clients] + 1, 0),
                [Fraction(1), *(Fraction(2 * k) for k in range(1, clients + 2))],
            ),
        ),
        labels={"done": [0]},
    )


def polling_of_design(stations: int) -> CTMC:
    """Return the polling system with a customer at the first station marked: nothing is lumped."""
    chain = examples.polling(stations)
    bits = np.empty(chain.n, dtype=np.int64)
    looking = stations << stations
    place, waiting = np.divmod(np.arange(looking), 1 << stations)
    bits[:looking] = waiting
    bits[looking:] = waiting[waiting >> place & 1 == 1]
    serving = np.arange(chain.n) >= looking
    first = np.zeros(chain.n, dtype=bool)
    first[: 1 << stations] = True
    marked = first & ~serving & (bits & 1 == 1)
    labels: dict[str, Any] = {**chain.labels, "first waits": marked}
    return chain.rebuilt(chain.matrix, labels=labels)
