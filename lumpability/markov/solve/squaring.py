"""The distribution of a small chain after very many steps, by squaring matrices of integers.

P^t takes log2(t) squarings, and e^(Qt) is the 2^k-th power of e^(Qh) with h = t / 2^k, a Taylor series if h times the
largest exit rate is at most 1: e^(Qh) = e^(-m) (I + B + B^2/2! + ...) with B = Qh + m I, which is not negative.

Numbers are integers over 2^p, and all are rounded down.  Nothing is subtracted, so every computed entry is at most the
true one, and true distributions sum to 1: what the sum of a computed distribution lacks of 1 is its error in the L1
norm, whatever happened before.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.solve.limits import Limit
from lumpability.markov.solve.poisson import UNIT
from lumpability.markov.solve.solution import Solution
from lumpability.numbers.exact_array import ExactArray

_BITS = 56  # of accuracy
Integers = np.ndarray[Any, np.dtype[np.object_]]


def by_squaring(
    chain: MarkovChain, start: ExactArray, time: Any, limit: Limit, tolerance: float
) -> Solution:
    """Return the distribution at a time; its `error_bound` is that of the sum of absolute values.

    - tolerance: the distance from a limit at which squaring ends

    O(n^3 log(time)) products of integers.

    >>> from lumpability import CTMC
    >>> chain = CTMC([[0, 1], [1, 0]])
    >>> by_squaring(chain, ExactArray.read([1, 0])[0], 1, Limit(chain), 0.0)
    Solution([0.567668, 0.432332], squaring, error at most 4.5e-16)
    """
    n, span = chain.n, Fraction(time)
    if isinstance(chain, CTMC):
        fastest = max(chain.exit_rates.values, default=Fraction(0))
        doublings = max(0, (-(-span * fastest // 1) - 1).bit_length())
        bits = doublings + _BITS + 2 * n.bit_length()
        base, exponent = _exponential(chain, span / (1 << doublings), fastest, bits), 1 << doublings
    else:
        exponent = int(span)
        bits = exponent.bit_length() + _BITS + 2 * n.bit_length()
        base = _integers(chain, bits)
    one, square = 1 << bits, base
    result = np.array([one * x // 1 for x in start], dtype=object)
    vector, left, done = result, exponent, 0
    while left:
        ahead = (vector @ square) >> bits
        if limit.exists:
            settled, distance, off = limit.near(_floats(ahead, bits))
            lacking = float(Fraction(one - int(ahead.sum()), one))
            if distance <= max(lacking, tolerance):
                jumps, more = _floats(base, bits), (exponent - (1 << done)) % limit.period
                for _ in range(more):
                    settled = settled @ jumps
                bound = lacking + off + (more + 1) * (4 * n + 16) * UNIT
                return Solution(settled, "squaring", error_bound=bound, iterations=done)
        if left & 1:
            result = (result @ square) >> bits
        left >>= 1
        if left:
            square, done = (square @ square) >> bits, done + 1
    lacking = float(Fraction(one - int(result.sum()), one))
    bound = lacking + (n + 2) * UNIT
    return Solution(_floats(result, bits), "squaring", error_bound=bound, iterations=done)


def _floats(numbers: Integers, bits: int) -> Any:
    """Return integers over 2^bits as floats."""
    one = 1 << bits
    found = [x / one for x in numbers.ravel().tolist()]
    return np.array(found).reshape(numbers.shape)


def _integers(chain: MarkovChain, bits: int, span: Fraction = Fraction(1)) -> Integers:
    """Return the matrix of weights times a span, without the diagonal of a CTMC, rounded down."""
    matrix = chain.matrix.without_diagonal() if isinstance(chain, CTMC) else chain.matrix
    dense = np.zeros((chain.n, chain.n), dtype=object)
    for state in range(chain.n):
        for target, weight in matrix.row(state):
            dense[state, target] = (weight * span * (1 << bits)) // 1
    return dense


def _exponential(chain: CTMC, span: Fraction, fastest: Fraction, bits: int) -> Integers:
    """Return e^(Q span), rounded down; span times the largest exit rate is at most 1."""
    one, mean = 1 << bits, span * fastest
    jumps = _integers(chain, bits, span)
    for state, exits in enumerate(chain.exit_rates):
        jumps[state, state] = ((fastest - exits) * span * one) // 1
    largest = -((-mean * one) // 1)  # rounded up, as the terms of e^mean are
    term = np.zeros_like(jumps)
    np.fill_diagonal(term, one)
    total, scalar, scalars, place = term, one, one, 0
    while scalar > 1:
        place += 1
        term = ((term @ jumps) >> bits) // place
        scalar = -(-scalar * largest // (one * place))
        total, scalars = total + term, scalars + scalar
    # The terms left out of e^mean are together at most the last one.
    found: Integers = (total << bits) // (scalars + scalar + 1)
    return found
