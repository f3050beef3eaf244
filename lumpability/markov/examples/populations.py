"""Populations of equal individuals that all interact with each other: only their numbers matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.markov.chains import CTMC
from lumpability.markov.examples import families
from lumpability.markov.examples.building import (
    assemble,
    bits_of,
    check_size,
    need_at_least,
    read_rates,
)
from lumpability.numbers.exact_array import ExactArray


def ehrenfest(balls: int, *, rate: Any = 1) -> CTMC:
    """Return Ehrenfest's urns with numbered balls: each ball changes the urn at its own times.

    Parameters
    ----------
    balls : int
        At least 1; there are 2^balls states.
    rate : number
        1/time, of each ball.

    Returns
    -------
    CTMC
        The binary digits of a state say which balls are in the second urn.  The label ``one urn
        empty`` marks the first and the last state.

    Notes
    -----
    P. and T. Ehrenfest 1907; Kemeny and Snell 1976, section 7.3.  Because the label does not tell the
    urns apart, the coarsest ordinary lumping is by the number of balls in the fuller urn,
    floor(balls / 2) + 1 blocks; respecting which urn is empty gives balls + 1.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = ehrenfest(5)
    >>> len(lump(chain).partition), len(lump(chain, within=lambda s: s == 0).partition)
    (3, 6)
    """
    need_at_least(1, balls=balls)
    (pace,) = read_rates(rate=rate)
    check_size(1 << balls)
    state = np.arange(1 << balls)
    moves = [(state, state ^ (1 << ball), pace) for ball in range(balls)]
    ends = (state == 0) | (state == state[-1])
    return assemble(CTMC, len(state), moves, labels={"one urn empty": ends}, initial=0)


def moran(individuals: int, *, fitness: Any = 2) -> CTMC:
    """Return Moran's model of mutants in a mixed population, individual by individual.

    Every resident has offspring at rate 1, every mutant at rate `fitness`; the child takes the
    place of one of the others at random.

    Parameters
    ----------
    individuals : int
        At least 2; there are 2^individuals states.
    fitness : number
        Rate (1/time) of a mutant.

    Returns
    -------
    CTMC
        The binary digits of a state say who is a mutant.  Labels ``extinct`` and ``fixed`` mark the
        two absorbing states.

    Notes
    -----
    Moran 1958.  Coarsest ordinary lumping: by the number of mutants, individuals + 1 blocks.  For
    fitness r the probability that one mutant takes over is (1 - 1/r) / (1 - 1/r^individuals).

    Examples
    --------
    >>> from lumpability import lump
    >>> lump(moran(3)).quotient.matrix.row(1)
    [(0, Fraction(1, 1)), (2, Fraction(2, 1))]
    """
    need_at_least(2, individuals=individuals)
    resident, mutant = read_rates(resident=1, fitness=fitness)
    is_mutant = bits_of(individuals)
    mutants = is_mutant.sum(axis=1)
    gains = [mutant * k / (individuals - 1) for k in range(individuals + 1)]
    losses = [resident * (individuals - k) / (individuals - 1) for k in range(individuals + 1)]
    return _flips(
        is_mutant,
        [(~is_mutant, gains), (is_mutant, losses)],
        labels={"extinct": mutants == 0, "fixed": mutants == individuals},
        initial=1,
    )


def sis_epidemic(individuals: int, *, infection: Any = "1/2", recovery: Any = 1) -> CTMC:
    """Return an epidemic without immunity in which everybody meets everybody.

    Parameters
    ----------
    individuals : int
        At least 1; there are 2^individuals states.
    infection : number
        Rate (1/time) at which one infected person infects one susceptible person.
    recovery : number
        Rate (1/time) at which an infected person becomes susceptible again.

    Returns
    -------
    CTMC
        The binary digits of a state say who is infected.  The label ``healthy`` marks state 0.

    Notes
    -----
    Weiss and Dishon 1971; the lumping of epidemics on graphs in Simon, Taylor and Kiss 2011.  Coarsest
    ordinary lumping: by the number of infected, individuals + 1 blocks.

    Examples
    --------
    >>> from lumpability import lump
    >>> lump(sis_epidemic(3)).quotient.matrix.row(2)
    [(1, Fraction(2, 1)), (3, Fraction(1, 1))]
    """
    need_at_least(1, individuals=individuals)
    infecting, recovering = read_rates(infection=infection, recovery=recovery)
    infected = bits_of(individuals)
    pressure = [infecting * k for k in range(individuals + 1)]
    return _flips(
        infected,
        [(~infected, pressure), (infected, [recovering] * (individuals + 1))],
        labels={"healthy": [0]},
        initial=(1 << individuals) - 1,
    )


def _flips(bits: Any, rules: list[tuple[Any, list[Any]]], **attributes: Any) -> CTMC:
    """Flip digits where a mask allows it, with rates by the number of digits set."""
    number = bits.sum(axis=1)
    moves = []
    for mask, rates in rules:
        state, digit = np.nonzero(mask)
        moves.append((state, state ^ (1 << digit), ExactArray.of_values(number[state], rates)))
    return assemble(CTMC, len(bits), moves, **attributes)


def components(
    count: int,
    *,
    crew: int = 1,
    failure: Any = "1/100",
    detection: Any = 2,
    repair: Any = 1,
) -> CTMC:
    """Return equal components that fail, are found failed, and share a repair crew.

    Parameters
    ----------
    count : int
        At least 1; there are 3^count states.
    crew : int
        Repairers, at least 1; they share their time among all components under repair.
    failure, detection, repair : number
        Rates (1/time): of an intact component, of a failed one, of each repairer.

    Returns
    -------
    CTMC
        The ternary digits of a state are the conditions of components: 0 intact, 1 failed, 2 under repair.
        The label ``all intact`` marks state 0, ``none intact`` the states without digit 0.

    Notes
    -----
    The standard example of a replicated model (Sanders and Meyer 1991).  Coarsest ordinary lumping:
    by how many components are in each condition, (count + 1) (count + 2) / 2 blocks.

    Examples
    --------
    >>> from lumpability import lump
    >>> chain = components(4, crew=2)
    >>> chain.n, len(lump(chain).partition)
    (81, 15)
    """
    rates = {"failure": failure, "detection": detection, "repair": repair}
    return families.components(count, crew=crew, **rates).chain()
