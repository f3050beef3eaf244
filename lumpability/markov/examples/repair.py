"""Machines that share a repair crew."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.errors import InvalidValue, SizeLimit
from lumpability.markov.chains import CTMC
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import read_number
from lumpability.structure import WeightedStructure

__all__ = ["machine_repair"]

_MOST_MACHINES = 20


def machine_repair(
    machines: int,
    *,
    repairers: int = 2,
    failure: Any = "1/100",
    repair: Any = 1,
    needed: int | None = None,
) -> CTMC:
    """Return identical machines that share a repair crew; every machine has its own place.

    Each working machine fails with rate `failure`.  With d machines down, min(d, repairers) people
    work with rate `repair` each and share their time equally among all that are down, so every one
    of these returns with rate repair min(d, repairers) / d.

    Parameters
    ----------
    machines : int
        1 to 20; the chain has 2^machines states and machines 2^machines transitions.
    repairers : int
        At least 1.
    failure, repair : number
        Positive rates (1/time) of one machine and of one repairer, read exactly.
    needed : int, optional
        The label ``operational`` marks the states in which at least so many machines work; half of
        them, rounded up, by default.

    Returns
    -------
    CTMC
        A state is named by one letter for each machine: ``u`` up, ``d`` down.  The initial state has
        all machines up.

    Raises
    ------
    InvalidValue
        For a parameter out of its range.
    SizeLimit
        For more than 20 machines.

    Notes
    -----
    The machine repair or machine interference problem (Feller, *An Introduction to Probability Theory
    and Its Applications* I, 1968, XVII.7).  The coarsest ordinary lumping that respects the label has
    machines + 1 blocks: states with equally many machines down share one.  Its quotient is
    the birth-death chain with rates (machines - d) failure up and min(d, repairers) repair down.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = machine_repair(3, repairers=2)
    >>> chain, chain.states[4], chain.matrix.row(7)
    (CTMC(8 states, 24 transitions), 'duu', [(3, Fraction(2, 3)), (5, Fraction(2, 3)), (6, Fraction(2, 3))])
    >>> quotient = lump(chain).quotient
    >>> [quotient.matrix.row(block) for block in range(2)]
    [[(1, Fraction(3, 100))], [(0, Fraction(1, 1)), (2, Fraction(1, 50))]]
    """
    if machines > _MOST_MACHINES:
        raise SizeLimit(
            f"{machines} machines have 2^{machines} states: at most {_MOST_MACHINES} machines",
            machines=machines,
        )
    needed = (machines + 1) // 2 if needed is None else needed
    failure, repair = read_number(failure), read_number(repair)
    given = {"machines": machines, "repairers": repairers, "failure": failure, "repair": repair}
    for name, value in given.items():
        if value <= 0:
            raise InvalidValue(f"{name} must be positive, not {value}", value=value)
    states = np.arange(1 << machines)
    bits = 1 << np.arange(machines)
    is_down = states[:, None] & bits != 0
    down = is_down.sum(axis=1)
    # The distinct rates: 0 for a failure, d for the repair of one of d machines that are down.
    shares = [repair * min(d, repairers) / d for d in range(1, machines + 1)]
    codes = np.where(is_down, down[:, None], 0)
    structure = WeightedStructure.from_edges(
        len(states),
        np.repeat(states, machines),
        (states[:, None] ^ bits).ravel(),
        ExactArray.of_values(codes.ravel(), [failure, *shares]),
    )
    letters = str.maketrans("01", "ud")
    names = [f"{state:0{machines}b}".translate(letters) for state in range(len(states))]
    return CTMC(
        structure,
        states=names,
        labels={"operational": machines - down >= needed},
        initial={names[0]: 1},
    )
