"""Equations of hitting in floating point, with a proved bound on the relative error of every entry.

The equations are sum over u of q(s, u) (x(s) - x(u)) = b(s) for the unknown states, with b >= 0 and known values
elsewhere.  Small systems are eliminated without subtraction (Grassmann, Taksar and Heyman 1985), large ones are
factorised or iterated.  Residuals, computed with twice the digits, then correct the result, which is held with twice
the digits too.

The error is bounded afterwards.  The rest r(s) of the equation of s vanishes if one of its rates is multiplied by
1 + e(s), with e(s) = r(s) / (q(s, u) (x(s) - x(u))).  So x is exact for rates that differ by such factors.  By the
theorem of Freidlin and Wentzell, x(s) is a sum of products of rates over another such sum, with at most one rate of
every state in a product.  Hence the relative error of every entry is at most prod (1 + |e|) / prod (1 - |e|) - 1.
By the same theorem elimination has a bound beforehand: removing one of k states changes the rates between the others
by a factor within 1 +- 32 units of rounding, so it changes x by 64 k units; all of them, and substitution, by 40 n^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import NoConvergence
from lumpability.markov.solve.gth import eliminate, rounded_sums
from lumpability.markov.solve.linear import first_success, solve_numeric
from lumpability.markov.solve.solution import Effort, Floats
from lumpability.numbers.float_arrays import two_product, two_sum

_DENSE_UP_TO = 2000
_CORRECTIONS = 6
_GOOD = 1e-13
_UNIT = 2.0**-53
_LEAST = 1e-280  # smaller numbers may have lost digits


@dataclass(frozen=True)
class Found:
    """A solution in floating point."""

    values: Floats
    method: str
    residual: float
    relative_error: float  # infinite if there is no bound
    iterations: int = 0


def solve_absorbing(rates: Any, into: Floats, right: Floats, effort: Effort) -> Found:
    """Solve the equations of hitting whose known values are zero.

    - rates (csr_array of float, shape (n, n)): between unknown states, without diagonal; not negative, the
      nearest doubles of the true ones
    - into (array of float, shape (n,)): total rates to states with known values
    - right (array of float, shape (n,)): not negative

    >>> from scipy.sparse import csr_array
    >>> rates = csr_array(np.array([[0, 1.0], [1e20, 0]]))
    >>> found = solve_absorbing(rates, np.array([0, 1.0]), np.ones(2), Effort())
    >>> found.values.tolist(), found.relative_error < 1e-12
    ([1e+20, 1e+20], True)
    """
    system = _System(rates, into, right)
    eliminated = len(right) <= _DENSE_UP_TO and effort.method != "iterative"
    beyond: list[
        str
    ] = []  # results beyond the range of floats, for which the bound beforehand is not true
    with np.errstate(all="call", call=lambda kind, _: beyond.append(kind)):
        solve = (_eliminated if eliminated else _factorised)(rates, into, effort)
        high, method, iterations = solve(right)
    beforehand = 40 * _UNIT * len(right) ** 2 if eliminated and not beyond else math.inf
    with np.errstate(all="ignore"):
        best, least, more = _corrected(system, solve, high)
        residual = float(np.abs(system.rest(best, np.zeros_like(best))).max(initial=0.0))
    iterations, error = iterations + more, min(least, beforehand)
    if not np.isfinite(best).all():
        raise NoConvergence(
            "the solution has numbers beyond the range of floating point: use method='exact'",
            residual=residual,
        )
    if error == math.inf and not residual <= float(right.max(initial=0.0)):
        raise NoConvergence(
            f"the {method} solution cannot be shown to be right (residual {residual:.1e}): lump first, or use "
            f"method='exact', or 'direct' up to {_DENSE_UP_TO} states",
            residual=residual,
            iterations=iterations,
        )
    return Found(best, method, residual, error + _UNIT, iterations)


def _corrected(system: _System, solve: Solver, high: Floats) -> tuple[Floats, float, int]:
    """Correct a solution by its residuals; return the best one, a bound on its error, and the iterations."""
    low, iterations = np.zeros_like(high), 0
    best, least = high, system.error(high, low)
    for _ in range(_CORRECTIONS):
        if least <= _GOOD:
            break
        rest = system.rest(high, low)
        try:
            up, _, more = solve(np.maximum(rest, 0))
            down, _, still_more = solve(np.maximum(-rest, 0))
        except NoConvergence:
            break
        iterations += more + still_more
        high, low = _added(high, low, up - down)
        error = system.error(high, low)
        if not error < least / 2:
            break
        best, least = high, error
    return best, least, iterations


Solver = Callable[[Floats], tuple[Floats, str, int]]


def _factorised(rates: Any, into: Floats, effort: Effort) -> Solver:
    from scipy.sparse import diags_array

    n = rates.shape[0]
    matrix = (diags_array(rates.sum(axis=1) + into) - rates).tocsr()

    def solve(right: Floats) -> tuple[Floats, str, int]:
        if not right.any():
            return np.zeros(n), effort.method, 0
        values, _, iterations, used = first_success(
            lambda attempt: solve_numeric(matrix, right, attempt), effort
        )
        return values, used, iterations

    return solve


def _eliminated(rates: Any, into: Floats, effort: Effort) -> Solver:
    n = rates.shape[0]
    table = np.zeros((n + 1, n + 1))  # state 0 stands for all that are known
    table[1:, 0], table[1:, 1:] = into, rates.toarray()
    eliminate(table, effort.progress)
    leaving = np.array([table[k, :k].sum() for k in range(n + 1)])

    def solve(right: Floats) -> tuple[Floats, str, int]:
        x = np.concatenate([[0.0], right])
        for k in range(n, 0, -1):
            x[1:k] += table[1:k, k] * x[k]
        for k in range(1, n + 1):
            x[k] = (x[k] + table[k, :k] @ x[:k]) / leaving[k]
        return x[1:], "direct", 0

    return solve


class _System:
    """The equations, edge by edge; the last place stands for all known states, whose value is zero."""

    def __init__(self, rates: Any, into: Floats, right: Floats) -> None:
        edges, known = rates.tocoo(), np.flatnonzero(into)
        self.n, self.right = len(right), right
        self.sources = np.concatenate([edges.row, known])
        self.targets = np.concatenate([edges.col, np.full(len(known), self.n)])
        self.rates = np.concatenate([edges.data, into[known]])

    def _terms(self, high: Floats, low: Floats) -> tuple[Floats, Floats, Floats]:
        """Return q(s, u) (x(s) - x(u)) for every edge, as three numbers whose sum it is."""
        high, low = np.append(high, 0.0), np.append(low, 0.0)
        main, lost = two_sum(high[self.sources], -high[self.targets])
        small = self.rates * (lost + (low[self.sources] - low[self.targets]))
        return *two_product(self.rates, main), small

    def rest(self, high: Floats, low: Floats) -> Floats:
        """Return the right side minus the left one."""
        terms = self._terms(high, low)
        places = np.arange(self.n)
        owners = np.concatenate([places, *[self.sources] * 3])
        parts = np.concatenate([self.right, *(-term for term in terms)])
        return np.array(rounded_sums(self.n, owners, parts))

    def _positive(self) -> Any:
        """Return the unknown states whose true values are not zero: they reach a positive right side."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import breadth_first_order

        positive = np.flatnonzero(self.right)
        tails = np.concatenate([self.targets, np.full(len(positive), self.n + 1)])
        heads = np.concatenate([self.sources, positive])
        inner = tails != self.n  # known states lead nowhere
        ones = np.ones(int(inner.sum()), dtype=np.int8)
        size = self.n + 2
        links = coo_array((ones, (tails[inner], heads[inner])), shape=(size, size)).tocsr()
        found = np.zeros(size, dtype=bool)
        found[breadth_first_order(links, self.n + 1, return_predecessors=False)] = True
        return found[: self.n]

    def error(self, high: Floats, low: Floats) -> float:
        """Return a bound on the relative error of every entry; infinite if there is none."""
        if not (np.isfinite(high).all() and (high >= 0).all()):
            return math.inf
        if (high < _LEAST).any() and (self._positive() & (high < _LEAST)).any():
            return math.inf
        product, lost, small = self._terms(high, low)
        if not np.isfinite(product + lost + small).all():
            return math.inf
        left = np.abs(self.rest(high, low))
        # Rounding of differences of low parts, of their products, and of sums.
        size = np.bincount(self.sources, np.abs(small) + np.abs(lost), self.n)
        least = np.bincount(self.sources, np.full(len(self.rates), 2.0**-1060), self.n)
        left += 8 * _UNIT * size + 4 * _UNIT * left + least
        strongest = np.zeros(self.n)
        np.maximum.at(strongest, self.sources, product)
        # A change of the right side is as good, where it is not zero.
        strongest = np.maximum(strongest, self.right) * (1 - 1e-9)
        still = (left <= 2 * least) & (strongest == 0)  # no rate out of s leads to another value
        if not (still | (left < strongest / 2)).all():
            return math.inf
        with np.errstate(invalid="ignore"):
            change = np.where(still, 0.0, left / np.where(still, 1.0, strongest))
        exponent = (
            math.fsum(2 * change / (1 - change)) + (4 * self.n + 4) * _UNIT
        )  # rates are rounded
        return (1 + 1e-9) * math.expm1(exponent) if exponent < 1 else math.inf


def _added(high: Floats, low: Floats, more: Floats) -> tuple[Floats, Floats]:
    """Add to a number with twice the digits (Dekker 1971)."""
    total, lost = two_sum(high, more)
    return two_sum(total, lost + low)
