"""Random walks on graphs with many symmetries, and birth-death chains with two equal tails."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC, DTMC
from lumpability.markov.examples.building import assemble, check_size, need_at_least, read_rates


def hypercube_walk(dimension: int) -> DTMC:
    """Return the simple random walk on the corners of a cube: flip one random digit.

    Parameters
    ----------
    dimension : int
        At least 1; there are 2^dimension states.

    Returns
    -------
    DTMC
        States are the corners as binary numbers.  The label ``origin`` marks state 0.

    Notes
    -----
    Diaconis, *Group Representations in Probability and Statistics* (1988), chapter 3.  Coarsest
    ordinary lumping: by Hamming weight, dimension + 1 blocks (Ehrenfest's urn).  It is strict too.

    Examples
    --------
    >>> from lumpability import lump
    >>> quotient = lump(hypercube_walk(4)).quotient
    >>> quotient.matrix.row(1)
    [(0, Fraction(1, 4)), (2, Fraction(3, 4))]
    """
    need_at_least(1, dimension=dimension)
    check_size(1 << dimension)
    state = np.arange(1 << dimension)
    moves = [(state, state ^ (1 << digit), Fraction(1, dimension)) for digit in range(dimension)]
    return assemble(DTMC, len(state), moves, labels={"origin": [0]}, initial=0)


def cycle_walk(length: int, *, forward: Any = "1/2") -> DTMC:
    """Return the random walk on a circle.

    Parameters
    ----------
    length : int
        At least 3.
    forward : number
        Probability of a step forward, strictly between 0 and 1.

    Returns
    -------
    DTMC
        The label ``origin`` marks state 0.

    Notes
    -----
    Coarsest ordinary lumping: a fair walk folds to the distance from the origin,
    floor(length / 2) + 1 blocks; an unfair one leaves every state by itself.  Exactly lumpable with
    the one-block partition when nothing is respected: P is doubly stochastic.

    Examples
    --------
    >>> from lumpability import lump
    >>> lump(cycle_walk(5)).partition
    Partition([[0], [1, 4], [2, 3]])
    >>> len(lump(cycle_walk(5, forward="1/3")).partition)
    5
    """
    need_at_least(3, length=length)
    ahead, back = read_rates(forward=forward, backward=1 - read_rates(forward=forward)[0])
    state = np.arange(length)
    moves = [(state, (state + 1) % length, ahead), (state, (state - 1) % length, back)]
    return assemble(DTMC, length, moves, labels={"origin": [0]}, initial=0)


def torus_walk(length: int, dimension: int = 2) -> DTMC:
    """Return the simple random walk on a torus, a product of circles.

    Parameters
    ----------
    length : int
        Of each circle, at least 3; there are length^dimension states.
    dimension : int
        At least 1.

    Returns
    -------
    DTMC
        State sum of x_i length^i.  The label ``origin`` marks state 0.

    Notes
    -----
    Coarsest ordinary lumping: by the unordered collection of the distances min(x_i, length - x_i),
    binomial(dimension + floor(length / 2), dimension) blocks; except for length 4, where the torus
    is a hypercube of twice the dimension and lumps further, to 2 dimension + 1 blocks.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = torus_walk(6, 2)
    >>> chain.n, len(lump(chain).partition)
    (36, 10)
    """
    need_at_least(3, length=length)
    need_at_least(1, dimension=dimension)
    check_size(length**dimension)
    state = np.arange(length**dimension)
    moves = []
    for axis in range(dimension):
        unit = length**axis
        digit = state // unit % length
        for step in (1, length - 1):
            target = state + ((digit + step) % length - digit) * unit
            moves.append((state, target, Fraction(1, 2 * dimension)))
    return assemble(DTMC, len(state), moves, labels={"origin": [0]}, initial=0)


def symmetric_birth_death(tail: int, *, outward: Any = 1, inward: Any = 2) -> CTMC:
    """Return a birth-death chain with two equal tails on both sides of the origin.

    Parameters
    ----------
    tail : int
        Length of each tail, at least 1; there are 2 tail + 1 states.
    outward, inward : number
        Rates (1/time) away from the origin and towards it.

    Returns
    -------
    CTMC
        State i is the place i - tail.  The label ``origin`` marks state `tail`.

    Notes
    -----
    Coarsest ordinary lumping: by the distance from the origin, tail + 1 blocks.  It is strict
    too, because the two tails are mirror images.

    Examples
    --------
    >>> from lumpability import lump
    >>> lump(symmetric_birth_death(2)).partition
    Partition([[0, 4], [1, 3], [2]])
    """
    need_at_least(1, tail=tail)
    away, home = read_rates(outward=outward, inward=inward)
    right = np.arange(tail, 2 * tail)
    left = 2 * tail - right
    return assemble(
        CTMC,
        2 * tail + 1,
        [
            (right, right + 1, away),
            (left, left - 1, away),
            (right + 1, right, home),
            (left - 1, left, home),
        ],
        labels={"origin": [tail]},
        initial=tail,
    )
