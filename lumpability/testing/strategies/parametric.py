"""Chains whose rates are expressions in parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from lumpability.markov.chains import CTMC
from lumpability.testing.strategies.chains import drawn_rows

__all__ = ["parametric_chains"]


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

    first, *others = (sympy.Symbol(name, positive=True) for name in names)
    rates = [sympy.Integer(0), sympy.Integer(1), first, 2 * first]
    for other in others:
        rates += [other, first + other, first * other / (first + other)]
    return rates
