"""Small Markov chains in which lumpings are frequent: few rates, rows and columns copied from others."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import scipy.sparse  # noqa: F401  # what lump imports at its first call would count against a test's deadline
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.testing.strategies.values import rationals

FEW_RATES = tuple(map(Fraction, ("0", "1", "2", "1/2", "1/3")))
Chain = TypeVar("Chain", bound=MarkovChain)
Rows = list[list[Any]]


def drawn_rows(
    draw: st.DrawFn, n: int, numbers: SearchStrategy[Any], factors: Sequence[int] = (1, 1, 2)
) -> Rows:
    """Draw a square matrix whose rows are often multiples of others, and whose columns are often equal."""
    rows: Rows = []
    for state in range(n):
        model = state - draw(st.integers(0, state))
        if model < state:
            factor = draw(st.sampled_from(factors))
            rows.append([factor * x for x in rows[model]])
        else:
            rows.append(draw(st.lists(numbers, min_size=n, max_size=n)))
    if n > 1 and draw(st.booleans()):
        first, second = draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))
        for row in rows:
            row[second] = row[first]
    return rows


def _around(rows: Rows) -> None:
    """Add a cycle through all states, so that the chain is irreducible."""
    for state, row in enumerate(rows):
        row[(state + 1) % len(rows)] += Fraction(1)


@st.composite
def ctmcs(
    draw: st.DrawFn,
    *,
    min_states: int = 1,
    max_states: int = 6,
    rates: SearchStrategy[Any] | None = None,
    irreducible: bool = False,
) -> CTMC:
    """Chains in continuous time, self-loops included, without labels.

    Parameters
    ----------
    min_states, max_states : int
    rates : strategy of numbers that are not negative, optional
        By default a few numbers, in 1/time.
    irreducible : bool
        Lead from every state to every other one.

    Examples
    --------
    >>> from hypothesis import find
    >>> from lumpability.markov.solve import is_irreducible
    >>> find(ctmcs(), lambda chain: not is_irreducible(chain))
    CTMC(2 states, 0 transitions)
    """
    n = draw(st.integers(min_states, max_states))
    rows = drawn_rows(draw, n, st.sampled_from(FEW_RATES) if rates is None else rates)
    if irreducible:
        _around(rows)
    return CTMC(rows)


@st.composite
def dtmcs(
    draw: st.DrawFn,
    *,
    min_states: int = 1,
    max_states: int = 6,
    weights: SearchStrategy[Any] | None = None,
    irreducible: bool = False,
) -> DTMC:
    """Chains in discrete time, without labels.

    Parameters
    ----------
    min_states, max_states : int
    weights : strategy of numbers that are not negative, optional
        Probabilities are weights divided by their sum; a state without weights is absorbing.
    irreducible : bool
        Lead from every state to every other one.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(dtmcs(max_states=2), lambda chain: len(chain.matrix.row(0)) > 1).matrix.row(0)
    [(0, Fraction(1, 2)), (1, Fraction(1, 2))]
    """
    n = draw(st.integers(min_states, max_states))
    rows = drawn_rows(draw, n, st.sampled_from(FEW_RATES) if weights is None else weights)
    if irreducible:
        _around(rows)
    for state, row in enumerate(rows):
        if not any(row):
            row[state] = Fraction(1)
    return DTMC([[weight / sum(row) for weight in row] for row in rows])


@st.composite
def labelled(
    draw: st.DrawFn,
    chains: SearchStrategy[Chain],
    *,
    min_labels: int = 1,
    max_labels: int = 2,
    max_rewards: int = 0,
    initial: bool = False,
) -> Chain:
    """Add labels to the chains of another strategy, and rewards and an initial distribution on request.

    Parameters
    ----------
    chains : strategy of chains
    min_labels, max_labels : int
        Labels are called "a", "b" and so on.
    max_rewards : int
        Rewards are called "r0", "r1" and so on; each has state rewards, action rewards or both.
    initial : bool
        Draw an initial distribution too.

    Examples
    --------
    >>> from hypothesis import find
    >>> alone = ctmcs(max_states=1)
    >>> chain = find(labelled(alone, initial=True), lambda chain: chain.labels["a"].any())
    >>> chain.n, chain.labels["a"].tolist(), chain.initial
    (1, [True], ExactArray([1]))
    """
    chain = draw(chains)
    names = "abcdefghijklmnopqrstuvwxyz"[: draw(st.integers(min_labels, max_labels))]
    mask = st.lists(st.booleans(), min_size=chain.n, max_size=chain.n)
    rewards = {f"r{i}": draw(_rewards(chain.n)) for i in range(draw(st.integers(0, max_rewards)))}
    return chain.rebuilt(
        chain.matrix,
        states=chain.states,
        labels={name: np.array(draw(mask), dtype=bool) for name in names},
        rewards=rewards,
        initial=draw(distributions(chain.n)) if initial else None,
    )


@st.composite
def _rewards(draw: st.DrawFn, n: int) -> Reward:
    amounts = st.lists(rationals(max_denominator=3), min_size=n, max_size=n)
    vectors = amounts.map(lambda numbers: ExactArray.read(numbers)[0])
    has_state, has_action = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    return Reward(draw(vectors) if has_state else None, draw(vectors) if has_action else None)


@st.composite
def distributions(draw: st.DrawFn, n: int) -> list[Fraction]:
    """Draw probabilities of n states."""
    shares = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    if not any(shares):
        shares[draw(st.integers(0, n - 1))] = 1
    return [Fraction(share, sum(shares)) for share in shares]


@st.composite
def parametric_chains(
    draw: st.DrawFn,
    *,
    min_states: int = 2,
    max_states: int = 5,
    parameters: Sequence[str] = ("a", "b"),
) -> CTMC:
    """Chains in continuous time with parameters in their rates, without labels.

    Parameters
    ----------
    min_states, max_states : int
        At least two.
    parameters : sequence of str
        Names; the first one occurs in every chain.

    Examples
    --------
    >>> from hypothesis import find
    >>> chain = find(parametric_chains(), lambda chain: len(chain.parameters) > 1)
    >>> chain, chain.parameters
    (CTMC(2 states, 2 transitions), (a, b))
    """
    n = draw(st.integers(min_states, max_states))
    rows = drawn_rows(draw, n, st.sampled_from(_rates(parameters)), factors=(1,))
    rows[0][1] = _rates(parameters)[2]
    return CTMC(rows)


def _rates(names: Sequence[str]) -> list[Any]:
    """Return sums, multiples and a quotient of parameters, of which some are sums of others."""
    import sympy

    first, *others = (sympy.Symbol(name) for name in names)
    rates = [sympy.Integer(0), sympy.Integer(1), first, 2 * first]
    for other in others:
        rates += [other, first + other, first * other / (first + other)]
    return rates
