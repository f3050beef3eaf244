"""Stationary distributions: pi Q = 0 (CTMC), pi P = pi (DTMC), one for each recurrent class.

Exactly by the elimination of Grassmann, Taksar and Heyman (1985): states are removed one by one, the
rates between the others enlarged by what passed through the removed one.  It adds, multiplies and
divides positive numbers only, so it works over any field in which the rates lie, parameters included.
Numerically one recurrent class is solved by a sparse factorisation of the generator with the first
state's probability set to one, or by GMRES on (Q^T + u 1^T) x = u, which has the stationary distribution
as its only solution because 1^T Q^T = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, NotUnique
from lumpability.markov.chains import MarkovChain
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.markov.solve.linear import first_success, solve_numeric
from lumpability.markov.solve.solution import (
    Effort,
    Floats,
    Method,
    Progress,
    Solution,
    choose_method,
)
from lumpability.numbers.exact_array import Exact, ExactArray

__all__ = ["eliminate_states", "stationary", "stationary_distributions"]


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
        "auto" is exact up to 64 states and for chains with parameters; for others, it iterates, and
        factorises the matrix if that does not converge soon.
    tolerance : float
        Relative tolerance of the iteration; the reported residual is computed from the result.
    max_iterations : int
    progress : callable, optional
        Called with (steps done, steps in all); raising from it stops the computation.

    Returns
    -------
    Solution
        Its residual is the largest absolute entry of pi Q, or of pi P - pi.

    Raises
    ------
    NotUnique
        If there are several recurrent classes; carries ``classes``, their number.
    NoConvergence
        If a numerical method fails; carries ``residual``.

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
        return Solution(ExactArray.of_values(codes, values), "exact")
    generator = _numeric_generator(chain, states)
    masses_found, used, iterations = np.ones(1), "direct", 0
    if len(states) > 1:
        masses_found, _, iterations, used = first_success(
            lambda attempt: _numeric(generator, attempt), replace(effort, method=chosen)
        )
    result = np.zeros(chain.n)
    result[states] = masses_found
    residual = float(np.abs(generator.T @ masses_found).max(initial=0.0))
    return Solution(result, used, residual=residual, iterations=iterations)


def eliminate_states(
    rows: Sequence[dict[int, Exact]], progress: Progress | None = None
) -> list[Exact]:
    """Return the stationary distribution of an irreducible chain, without subtractions.

    Parameters
    ----------
    rows : sequence of dict from target to positive rate or probability, length n
        Without the diagonal.  They are used up.

    Examples
    --------
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
        total = sum(rows[last].values())  # to states before: later ones are gone
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


def _numeric_generator(chain: MarkovChain, states: np.ndarray[Any, Any]) -> Any:
    """Return Q, or P - I, on a closed set of states as a csr_array of floats."""
    from scipy.sparse import diags_array

    rates = chain.matrix.without_diagonal().to_scipy()
    if len(states) < chain.n:
        rates = rates[states][:, states]
    return (rates - diags_array(rates.sum(axis=1))).tocsr()


def _normalised(masses: Floats) -> Floats:
    masses = np.maximum(masses, 0.0)
    normalised: Floats = masses / masses.sum()
    return normalised


def _numeric(generator: Any, effort: Effort) -> tuple[Floats, float, int]:
    solution, residual, iterations = (
        _iterative(generator, effort)
        if effort.method == "iterative"
        else _direct(generator, effort)
    )
    masses = np.maximum(solution, 0.0)
    return masses / masses.sum(), residual, iterations


def _direct(generator: Any, effort: Effort) -> tuple[Floats, float, int]:
    transposed = generator.T.tocsc()
    column = -transposed[1:, [0]].toarray().ravel()
    rest, residual, _ = solve_numeric(transposed[1:, 1:], column, effort)
    return np.concatenate([[1.0], rest]), residual, 0


def _iterative(generator: Any, effort: Effort) -> tuple[Floats, float, int]:
    from scipy.sparse.linalg import LinearOperator

    n = generator.shape[0]
    balance = generator.T.tocsr()
    exits = -generator.diagonal()
    # For the unknowns y = x * exits the diagonal is -1, however fast the states are.
    start = np.full(n, 1.0 / n)

    def apply(y: Floats) -> Floats:
        x = y.ravel() / exits
        result: Floats = balance @ x - start * x.sum()
        return result

    operator = LinearOperator((n, n), matvec=apply, dtype=np.float64)
    identity = LinearOperator((n, n), matvec=lambda y: y, dtype=np.float64)
    solution, residual, iterations = solve_numeric(
        operator, -start, effort, preconditioned=identity
    )
    return solution / exits, residual, iterations
