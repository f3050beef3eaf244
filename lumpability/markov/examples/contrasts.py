"""Small chains that tell the kinds of lumpability apart."""

from __future__ import annotations

from typing import Any

from lumpability.markov.chains import CTMC, DTMC
from lumpability.markov.examples.building import read_rates


def exact_not_ordinary() -> DTMC:
    """Return a chain on which {0}, {1, 2} is an exact lumping, but not an ordinary one.

    States 1 and 2 have equal sums coming in: 1/2 from state 0 and 1/4 from the block {1, 2}.  But state 1
    moves to state 0 surely, and state 2 with probability 1/2.

    Notes
    -----
    Constructed after Buchholz 1994, section 3.

    Examples
    --------
    >>> from lumpability import check, lump
    >>> chain = exact_not_ordinary()
    >>> print(check(chain, [{0}, {1, 2}]))
    not ordinary: states 1 and 2 share a block, but their probabilities into {0} sum to 1 and to 1/2
    >>> lumping = lump(chain, kind="exact")
    >>> lumping.partition, lumping.quotient.matrix.row(1)
    (Partition([[0], [1, 2]]), [(0, Fraction(3, 4)), (1, Fraction(1, 4))])
    """
    return DTMC(
        [[0, "1/2", "1/2"], [1, 0, 0], ["1/2", "1/4", "1/4"]], labels={"start": [0]}, initial=0
    )


def proportional_not_ordinary(speed: Any = 2) -> CTMC:
    """Return a chain in which b does what a does, `speed` times as fast.

    Parameters
    ----------
    speed : number
        Positive; 1 makes the lumping an ordinary one.

    Notes
    -----
    After Marin, Piazza and Rossi 2019.

    Examples
    --------
    >>> from lumpability import lump
    >>> lumping = lump(proportional_not_ordinary(), kind="proportional")
    >>> lumping.partition, lumping.factors
    (Partition([[0, 1], [2], [3]]), ExactArray([1, 2, 1, 1]))
    """
    (factor,) = read_rates(speed=speed)
    return CTMC.from_rates(
        {
            ("a", "c"): 1,
            ("a", "d"): 2,
            ("b", "c"): factor,
            ("b", "d"): 2 * factor,
            ("c", "a"): 1,
            ("c", "b"): 3,
            ("d", "a"): 1,
        },
        states=["a", "b", "c", "d"],
        labels={"c": ["c"], "d": ["d"]},
    )


def weak_not_ordinary() -> DTMC:
    """Return a chain on which {0}, {1, 2} is a weak lumping, but not an ordinary one.

    Notes
    -----
    Kemeny and Snell 1976, section 6.4.  The block process is Markov when the chain starts from the
    stationary distribution, or from any other that divides the block {1, 2} in the same proportion.

    Examples
    --------
    >>> from lumpability import check
    >>> chain = weak_not_ordinary()
    >>> bool(check(chain, [{0}, {1, 2}])), bool(check(chain, [{0}, {1, 2}], kind="weak"))
    (False, True)
    """
    return DTMC([["1/4", "1/4", "1/2"], [0, "1/6", "5/6"], ["7/8", "1/8", 0]])


def land_of_oz() -> DTMC:
    """Return the weather in the Land of Oz: rain, nice or snow, never two nice days in a row.

    Returns
    -------
    DTMC
        Three states; the label ``nice`` marks the nice day.

    Notes
    -----
    Kemeny and Snell, *Finite Markov Chains* (1976), chapter 2; its lumping in section 6.3: rain and
    snow together form the bad weather, from which a nice day follows with probability 1/4.

    Examples
    --------
    >>> from lumpability import lump
    >>> lumping = lump(land_of_oz())
    >>> list(lumping.quotient.states), lumping.quotient.matrix.row(0)
    (['{rain, snow}', 'nice'], [(0, Fraction(3, 4)), (1, Fraction(1, 4))])
    """
    return DTMC(
        [["1/2", "1/4", "1/4"], ["1/2", 0, "1/2"], ["1/4", "1/4", "1/2"]],
        states=["rain", "nice", "snow"],
        labels={"nice": ["nice"]},
    )
