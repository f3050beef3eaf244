"""Hitting probabilities and times of a set of states.

The hitting probability h is 1 on the target, 0 where the target cannot be reached, and solves
sum over u of q(s, u) (h(u) - h(s)) = 0 elsewhere.  The expected time k is 0 on the target, infinite where
h < 1, and solves sum over u of q(s, u) (k(u) - k(s)) = -1 elsewhere; for a DTMC the same with P, and time
counts steps.  The graph determines the states with h = 0 and h = 1, so that the remaining system
is never singular.  Norris, *Markov Chains* (1997), theorems 1.3.2, 1.3.5 and 3.3.1, 3.3.3.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve.classes import backwards_reachable
from lumpability.markov.solve.linear import first_success, solve_exact, solve_numeric
from lumpability.markov.solve.solution import Effort, Method, Progress, Solution, choose_method
from lumpability.markov.solve.vectors import target_of
from lumpability.numbers.exact_array import Exact, ExactArray

__all__ = ["expected_hitting_times", "expected_until", "hitting_probabilities"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def hitting_probabilities(
    chain: MarkovChain,
    target: Any,
    *,
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
    """
    goal = target_of(chain, target)
    never, surely = _certain(chain, goal)
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
    return expected_until(
        chain,
        ones,
        target,
        method=method,
        tolerance=tolerance,
        max_iterations=max_iterations,
        progress=progress,
    )


def expected_until(
    chain: MarkovChain,
    earning: ExactArray,
    target: Any,
    *,
    method: Method = "auto",
    tolerance: float = 1e-12,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> Solution:
    """Return for every state the expected reward until the target; infinite where it may be missed.

    Parameters
    ----------
    earning : ExactArray, shape (n,)
        Per unit of time (CTMC) or step (DTMC).
    """
    goal = target_of(chain, target)
    _, surely = _certain(chain, goal)
    system = _System(chain, surely & ~goal)
    right = earning.take(system.unknown)
    effort = Effort(method, tolerance, max_iterations, progress)
    return system.solve(right, effort, infinite=~surely)


def _certain(chain: MarkovChain, goal: Mask) -> tuple[Mask, Mask]:
    """Return the states from which the target is never reached, and those from which it surely is."""
    never = ~backwards_reachable(chain, goal)
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
            return Solution(result, "direct", infinite=infinite, states=self.chain.states)
        matrix, column = self._numeric_matrix(), right.to_floats()
        numbers, residual, iterations, used = first_success(
            lambda attempt: solve_numeric(matrix, column, attempt), replace(effort, method=chosen)
        )
        result[self.unknown] = numbers
        return Solution(
            result,
            used,
            residual=residual,
            iterations=iterations,
            infinite=infinite,
            states=self.chain.states,
        )

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

    def _numeric_matrix(self) -> Any:
        from scipy.sparse import diags_array

        rates = self.rates.to_scipy()
        exits = rates.sum(axis=1)[self.unknown]
        return (diags_array(exits) - rates[self.unknown][:, self.unknown]).tocsr()
