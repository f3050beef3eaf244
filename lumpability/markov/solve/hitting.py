"""Hitting probabilities and times of a set of states.

The hitting probability h is 1 on the target, 0 where the target cannot be reached or what is to be avoided is, and solves
sum over u of q(s, u) (h(u) - h(s)) = 0 elsewhere.  The expected time k is 0 on the target, infinite where
h < 1, and solves sum over u of q(s, u) (k(u) - k(s)) = -1 elsewhere; for a DTMC the same with P, and time
counts steps.  The graph determines the states with h = 0 and h = 1, so that the remaining system
is never singular.  Norris, *Markov Chains* (1997), theorems 1.3.2, 1.3.5 and 3.3.1, 3.3.3.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve.absorbing import Found, solve_absorbing
from lumpability.markov.solve.classes import backwards_reachable
from lumpability.markov.solve.linear import solve_exact
from lumpability.markov.solve.solution import Effort, Method, Progress, Solution, choose_method
from lumpability.markov.solve.vectors import refuse_tiny, target_of
from lumpability.numbers.exact_array import Exact, ExactArray

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def hitting_probabilities(
    chain: MarkovChain,
    target: Any,
    *,
    avoid: Any = None,
    method: Method = "auto",
    tolerance: float = 1e-12,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> Solution:
    """Return for every state the probability of ever reaching the target.

    Parameters
    ----------
    chain : CTMC or DTMC
    target : label name, states, boolean array or predicate
    avoid : label name, states, boolean array or predicate, optional
        States that must not be visited before the target: the probability is that of "not avoid until target".
    method, tolerance, max_iterations, progress
        As for `stationary`.

    Raises
    ------
    InvalidChain
        If the target is empty or names an unknown state.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> chain = DTMC([["1/2", "1/4", "1/4"], [0, 1, 0], [0, 0, 1]])
    >>> hitting_probabilities(chain, [1]).values
    ExactArray([1/2, 1, 0])
    >>> ring = DTMC([[0, "1/2", "1/2"], ["1/2", 0, "1/2"], ["1/2", "1/2", 0]])
    >>> hitting_probabilities(ring, [1], avoid=[2]).values
    ExactArray([1/2, 1, 0])
    """
    goal = target_of(chain, target)
    never, surely = _certain(
        chain, goal, None if avoid is None else target_of(chain, avoid, "avoid")
    )
    system = _System(chain, ~never & ~surely)
    right = system.sums_into(surely)
    effort = Effort(method, tolerance, max_iterations, progress)
    return system.solve(right, effort, ones=surely)


def expected_hitting_times(
    chain: MarkovChain,
    target: Any,
    *,
    method: Method = "auto",
    tolerance: float = 1e-12,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> Solution:
    """Return for every state the expected time until the target; infinite where it may be missed.

    Parameters
    ----------
    chain : CTMC or DTMC
    target : label name, states, boolean array or predicate
    method, tolerance, max_iterations, progress
        As for `stationary`.

    Returns
    -------
    Solution
        In units of time (CTMC) or steps (DTMC); its `infinite` marks infinite entries.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC([[0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    >>> list(expected_hitting_times(chain, [2]))
    [Fraction(2, 1), Fraction(3, 2), Fraction(0, 1), inf]
    """
    ones = ExactArray.constant(Fraction(1), chain.n)
    return expected_until(chain, ones, target, Effort(method, tolerance, max_iterations, progress))


def expected_until(
    chain: MarkovChain, earning: ExactArray, target: Any, effort: Effort
) -> Solution:
    """Return for every state the expected reward until the target; infinite where it may be missed.

    - earning (ExactArray, shape (n,)): per unit of time (CTMC) or step (DTMC)
    """
    goal = target_of(chain, target)
    _, surely = _certain(chain, goal)
    system = _System(chain, surely & ~goal)
    return system.solve(earning.take(system.unknown), effort, infinite=~surely)


def _certain(chain: MarkovChain, goal: Mask, avoided: Mask | None = None) -> tuple[Mask, Mask]:
    """Return the states from which the target is never reached, and those from which it surely is."""
    never = ~backwards_reachable(chain, goal, avoiding=None if avoided is None else avoided & ~goal)
    # The target may be missed from states that can reach a state that never reaches it.
    return never, ~backwards_reachable(chain, never, avoiding=goal)


class _System:
    """The equations - sum over u of q(s, u) x(u) = b(s) for the unknown states."""

    def __init__(self, chain: MarkovChain, unknown: Mask) -> None:
        self.chain = chain
        self.unknown = np.flatnonzero(unknown)
        self.rates = chain.matrix.without_diagonal()

    def sums_into(self, states: Mask) -> ExactArray:
        """Return the total rate of every unknown state into a set."""
        owner, positions = self.rates.entries_of(self.unknown)
        inside = states[self.rates.indices[positions]]
        bounds = np.searchsorted(owner[inside], np.arange(len(self.unknown) + 1))
        weights = self.rates.weights
        if not inside.any():
            return ExactArray.constant(Fraction(0), len(self.unknown))
        return weights.take(positions[inside]).segment_sums(bounds)

    def solve(
        self,
        right: ExactArray,
        effort: Effort,
        *,
        ones: Mask | None = None,
        infinite: Mask | None = None,
    ) -> Solution:
        """Solve; states outside the system have value 1 if marked by `ones`, else 0."""
        known = np.zeros(self.chain.n, dtype=bool) if ones is None else ones
        chosen = choose_method(self.chain, effort.method, len(self.unknown))
        if chosen == "exact":
            found = solve_exact(self._exact_rows(), list(right))
            codes = known.astype(np.int64)
            codes[self.unknown] = np.arange(2, 2 + len(found))
            values = ExactArray.of_values(codes, [Fraction(0), Fraction(1), *found])
            return Solution(values, "exact", infinite=infinite, states=self.chain.states)
        result = known.astype(np.float64)
        if not len(self.unknown):
            return Solution(
                result, "direct", 0.0, 0.0, 0.0, infinite=infinite, states=self.chain.states
            )
        parts = self._signed_parts(right, replace(effort, method=chosen))
        result[self.unknown] = parts[0].values - (parts[1].values if len(parts) > 1 else 0.0)
        worst = max(part.relative_error for part in parts)
        bounds: dict[str, float | None] = {}
        if worst < math.inf:
            largest = sum(float(part.values.max()) for part in parts) * worst
            bounds = {"error_bound": largest, "relative_error": worst if len(parts) == 1 else None}
        return Solution(
            result,
            parts[0].method,
            residual=max(part.residual for part in parts),
            iterations=sum(part.iterations for part in parts),
            infinite=infinite,
            states=self.chain.states,
            **bounds,
        )

    def _signed_parts(self, right: ExactArray, effort: Effort) -> list[Found]:
        """Solve for the right side, or for its positive and its negative part if there are both."""
        refuse_tiny(self.rates.weights)
        refuse_tiny(right)
        rates, column = self.rates.to_scipy().tocsr()[self.unknown], right.to_floats()
        inner = rates[:, self.unknown].tocsr()
        outside = np.ones(self.chain.n, dtype=bool)
        outside[self.unknown] = False
        into = rates[:, np.flatnonzero(outside)].sum(axis=1)
        sides = [np.maximum(column, 0.0)]
        if (column < 0).any():
            sides.append(np.maximum(-column, 0.0))
        return [solve_absorbing(inner, into, side, effort) for side in sides]

    def _exact_rows(self) -> list[dict[int, Exact]]:
        place = {state: i for i, state in enumerate(self.unknown.tolist())}
        rows = []
        for state, i in place.items():
            row: dict[int, Exact] = {}
            total: Exact = 0
            for target, rate in self.rates.row(state):
                total = total + rate
                if target in place:
                    row[place[target]] = -rate
            row[i] = total
            rows.append(row)
        return rows
