"""Numbers and partitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lumpability.partition import Partition


def rationals(
    *,
    min_value: int | Fraction = -8,
    max_value: int | Fraction = 8,
    max_denominator: int = 6,
    max_exponent: int = 0,
) -> SearchStrategy[Fraction]:
    """Rational numbers, simple ones first.

    Parameters
    ----------
    min_value, max_value : int or Fraction
    max_denominator : int
    max_exponent : int
        Multiply by a power of ten with an exponent of at most this absolute value; the bounds hold before that.
        With 30 the numbers fit neither 64 bits nor floats.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(rationals(), lambda x: x > 1)
    Fraction(2, 1)
    >>> find(rationals(max_exponent=30), lambda x: 0 < x < Fraction(1, 10**6))
    Fraction(1, 10000000)
    """
    numbers = st.fractions(min_value, max_value, max_denominator=max_denominator)
    if max_exponent == 0:
        return numbers
    exponents = st.integers(-max_exponent, max_exponent)
    return st.builds(_scaled, numbers, exponents)


def _scaled(number: Fraction, exponent: int) -> Fraction:
    return number * Fraction(10) ** exponent


def hostile_pairs() -> SearchStrategy[tuple[Fraction, Fraction]]:
    """Pairs of different positive numbers that weak hashes and short types take to be equal.

    p/q and q/p; numbers that are equal modulo a power of two or a common prime; numbers that are equal as
    floats; fractions whose numerators and denominators have one weighted sum.

    >>> from hypothesis import find
    >>> find(hostile_pairs(), lambda pair: float(pair[0]) == float(pair[1]))[0]
    Fraction(1, 1)
    """
    small = st.integers(1, 60)
    fraction = st.builds(Fraction, small, small)
    moduli = st.sampled_from([*(1 << k for k in range(3, 65)), 2**31 - 1, 2**61 - 1, 10**9 + 7])
    pairs = st.one_of(
        fraction.map(lambda x: (x, 1 / x)),
        st.builds(lambda x, m: (x, x + m), fraction, moduli),
        st.builds(lambda x, k: (x, x * (1 + Fraction(1, 2**k))), fraction, st.integers(11, 64)),
        st.builds(
            lambda p, q, k: (Fraction(p + k, q), Fraction(p, q + k * 31)), small, small, small
        ),
        st.builds(lambda p, q, k: (Fraction(p + k, q), Fraction(p, q + k)), small, small, small),
    )
    return pairs.filter(lambda pair: pair[0] != pair[1])


@st.composite
def twelve_rates(draw: st.DrawFn) -> list[Fraction]:
    """Draw tenths, and a power of ten to make some of them large: their floating-point sums depend on the order."""
    scale = Fraction(10) ** draw(st.integers(0, 7))
    tenths = draw(st.lists(st.integers(1, 20), min_size=12, max_size=12))
    return [Fraction(k, 10) * (scale if k % 2 else 1) for k in tenths]


@st.composite
def partitions(
    draw: st.DrawFn,
    *,
    states: int | None = None,
    min_states: int = 1,
    max_states: int = 8,
    max_blocks: int | None = None,
) -> Partition:
    """Partitions, coarse ones first.

    Parameters
    ----------
    states : int, optional
        The number of states.
    min_states, max_states : int
    max_blocks : int, optional

    Examples
    --------
    >>> from hypothesis import find
    >>> find(partitions(), lambda partition: len(partition) > 1)
    Partition([[0], [1]])
    """
    n = draw(st.integers(min_states, max_states)) if states is None else states
    label = st.integers(0, max(0, min(n, n if max_blocks is None else max_blocks) - 1))
    return Partition(np.array(draw(st.lists(label, min_size=n, max_size=n)), dtype=np.int64))
