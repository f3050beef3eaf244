"""The weather in the Land of Oz."""

from __future__ import annotations

from lumpability.markov.chains import DTMC

__all__ = ["land_of_oz"]


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
