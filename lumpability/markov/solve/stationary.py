"""Stationary distributions: pi Q = 0 (CTMC), pi P = pi (DTMC), one for each recurrent class.

Exactly by the elimination of Grassmann, Taksar and Heyman (1985): states are removed one by one, and the rates
between the others are increased by the flow through the removed state.  It adds, multiplies and divides positive
numbers only, so it works over any field of rates, parameters included.  In floating point the same elimination is
right in every entry, however small; it is used up to some thousands of states.  For larger chains, sweeps of Gauss
and Seidel, which do not subtract either, alternate with the solution of chains between parts on many levels
(`lumpability.markov.solve.sweeps`).  If they converge slowly, they start from a sparse factorisation, whose large
entries are right.  Every result has a proved bound on the relative error of its entries
(`lumpability.markov.solve.gth`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, NoConvergence, NotUnique
from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.markov.solve.gth import eliminate_dense, relative_error_bound
from lumpability.markov.solve.solution import (
    Effort,
    Floats,
    Method,
    Progress,
    Solution,
    choose_method,
)
from lumpability.markov.solve.sweeps import sweep_until_right
from lumpability.markov.solve.vectors import refuse_tiny
from lumpability.numbers.exact_array import Exact, ExactArray

_DENSE_UP_TO = 3000
_USELESS = 1e-3  # larger relative errors are refused


def stationary(
    chain: MarkovChain,
    *,
    method: Method = "auto",
    tolerance: float = 1e-12,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> Solution:
    """Return the stationary distribution of a chain with one recurrent class.

    Parameters
    ----------
    chain : CTMC or DTMC
        Transient states get probability zero.
    method : {"auto", "exact", "direct", "iterative"}
        "auto" is exact up to 64 states, unless the common denominator has more than 20,000 bits, and for chains
        with parameters; "direct" eliminates without subtraction up to 3,000 states, as "auto" does, and factorises a sparse matrix beyond.
    tolerance : float
        For the relative error of every entry.  The reported error is a bound computed afterwards; it may be
        larger by the rounding of n rates.
    max_iterations : int
    progress : callable, optional
        Called with (steps done, steps in all); an exception from it stops the computation.

    Returns
    -------
    Solution
        Its `relative_error` bounds the relative error of every entry.

    Raises
    ------
    NotUnique
        If there are several recurrent classes; carries ``classes``, their number.
    NoConvergence
        If no accuracy can be proved; carries ``residual``.

    Notes
    -----
    Exact: O(n^3) operations at worst, far fewer for sparse chains such as birth-death chains.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> stationary(CTMC.from_rates({("up", "down"): "a", ("down", "up"): "b"})).values
    ExactArray([b/(a + b), a/(a + b)])
    """
    classes = recurrent_classes(chain)
    if not classes:
        raise InvalidChain("an empty chain has no stationary distribution")
    if len(classes) > 1:
        raise NotUnique(
            f"the chain has {len(classes)} recurrent classes, hence no unique stationary "
            "distribution: use stationary_distributions(chain) for one of each, or long_run(chain) "
            "for the mixture that an initial distribution leads to",
            classes=len(classes),
        )
    effort = Effort(method, tolerance, max_iterations, progress)
    return _of_class(chain, classes[0], effort)


def stationary_distributions(
    chain: MarkovChain,
    *,
    method: Method = "auto",
    tolerance: float = 1e-12,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> list[Solution]:
    """Return one stationary distribution for each recurrent class; all others are mixtures.

    Parameters and errors are those of `stationary`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> chain = DTMC([[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]])
    >>> [solution.values for solution in stationary_distributions(chain)]
    [ExactArray([0, 1, 0]), ExactArray([0, 0, 1])]
    """
    effort = Effort(method, tolerance, max_iterations, progress)
    return [_of_class(chain, states, effort) for states in recurrent_classes(chain)]


def _of_class(chain: MarkovChain, states: np.ndarray[Any, Any], effort: Effort) -> Solution:
    chosen = choose_method(chain, effort.method, len(states))
    if chosen == "exact":
        place = {state: i for i, state in enumerate(states.tolist())}
        rows = [{place[u]: weight for u, weight in chain.matrix.row(s) if u != s} for s in place]
        masses = eliminate_states(rows, effort.progress)
        values: list[Exact] = [Fraction(0), *masses]
        codes = np.zeros(chain.n, dtype=np.int64)
        codes[states] = np.arange(1, len(values))
        if masses and not isinstance(masses[0], Fraction):
            values[0] = masses[0] - masses[0]
        return Solution(ExactArray.of_values(codes, values), "exact", states=chain.states)
    refuse_tiny(chain.matrix.weights)
    rates = chain.matrix.without_diagonal().to_scipy().tocsr()
    if len(states) < chain.n:
        rates = rates[states][:, states]
    masses_found, error, used, iterations = _numeric(rates, replace(effort, method=chosen))
    result = np.zeros(chain.n)
    result[states] = masses_found
    balance = rates.T @ masses_found - rates.sum(axis=1) * masses_found
    return Solution(
        result,
        used,
        residual=float(np.abs(balance).max()),
        error_bound=error if error < math.inf else None,  # entries sum to one
        relative_error=error if error < math.inf else None,
        iterations=iterations,
        states=chain.states,
    )


def stationary_masses(
    chain: MarkovChain,
) -> tuple[Floats, np.ndarray[Any, np.dtype[np.int64]], float]:
    """Return the stationary distributions of all recurrent classes in one array.

    Returns
    -------
    masses : array of float, shape (n,)
        Zero in transient states.
    owner : array of int, shape (n,)
        The number of the class from 1 on; 0 for transient states.
    error : float
        Bound on the relative error of every mass.
    """
    refuse_tiny(chain.matrix.weights)
    rates = chain.matrix.without_diagonal().to_scipy().tocsr()
    masses, owner, worst = np.zeros(chain.n), np.zeros(chain.n, dtype=np.int64), 0.0
    for number, states in enumerate(recurrent_classes(chain), start=1):
        owner[states], masses[states] = number, 1.0
        if len(states) > 1:
            masses[states], error, *_ = _numeric(rates[states][:, states], Effort())
            worst = max(worst, error)
    if worst == math.inf:
        raise NoConvergence(
            "no accuracy of the stationary distribution can be proved", residual=worst
        )
    return masses, owner, worst


def _numeric(rates: Any, effort: Effort) -> tuple[Floats, float, str, int]:
    """Solve one class in floating point; return also the relative error, the method and its iterations."""
    n = rates.shape[0]
    with np.errstate(all="ignore"):
        if n <= _DENSE_UP_TO and effort.method != "iterative":
            masses, used, iterations = (
                eliminate_dense(rates.toarray(), effort.progress),
                "direct",
                0,
            )
        elif n == 1:
            masses, used, iterations = np.ones(1), "direct", 0
        else:
            masses, used, iterations = sweep_until_right(rates, effort)
    if not np.isfinite(masses).all():
        raise NoConvergence(
            "the rates differ too much for floating point: use method='exact'",
            residual=math.inf,
            iterations=iterations,
        )
    error = relative_error_bound(rates, masses)
    if math.isfinite(error) and error > _USELESS:
        raise NoConvergence(
            f"the entries of the {used} solution cannot be shown to be right (relative error {error:.1e}): "
            "raise max_iterations, or use method='direct' or 'exact'",
            residual=error,
            iterations=iterations,
        )
    return masses, error, used, iterations


def eliminate_states(
    rows: Sequence[dict[int, Exact]], progress: Progress | None = None
) -> list[Exact]:
    """Return the stationary distribution of an irreducible chain, without subtractions.

    - rows: without the diagonal.  They are used up

    >>> eliminate_states([{1: Fraction(1)}, {0: Fraction(2)}])
    [Fraction(2, 3), Fraction(1, 3)]
    """
    n = len(rows)
    sources: list[dict[int, Exact]] = [{} for _ in range(n)]
    for source, row in enumerate(rows):
        for target, rate in row.items():
            sources[target][source] = rate
    shares: list[dict[int, Exact]] = [{}] * n
    for last in range(n - 1, 0, -1):
        total = sum(rows[last].values())  # to earlier states: later ones are eliminated
        shares[last] = {source: rate / total for source, rate in sources[last].items()}
        for source, share in shares[last].items():
            del rows[source][last]
            for target, rate in rows[last].items():
                if target != source:
                    more = share * rate
                    rows[source][target] = rows[source].get(target, 0) + more
                    sources[target][source] = rows[source][target]
        for target in rows[last]:
            del sources[target][last]
        if progress is not None:
            progress(n - last, n)
    masses: list[Exact] = [Fraction(1)]
    for state in range(1, n):
        masses.append(sum(masses[source] * share for source, share in shares[state].items()))
    total = sum(masses)
    return [mass / total for mass in masses]
