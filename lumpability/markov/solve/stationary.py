"""Stationary distributions: pi Q = 0 (CTMC), pi P = pi (DTMC), one for each recurrent class.

Exactly by the elimination of Grassmann, Taksar and Heyman (1985): states are removed one by one, the
rates between the others enlarged by what passed through the removed one.  It adds, multiplies and
divides positive numbers only, so it works over any field in which the rates lie, parameters included.
In floating point the same elimination is right in every entry, however small; it is used up to some
thousands of states.  Beyond, sweeps of Gauss and Seidel, which do not subtract either, alternate with
the solution of the chain between parts that hang together by the largest flows (Koury, McAllister and
Stewart 1984); where they converge slowly they start from a sparse factorisation, whose large entries
are right.  However found, every result states a relative error of its entries that is proved
(`lumpability.markov.solve.gth`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
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
from lumpability.numbers.exact_array import Exact, ExactArray

__all__ = ["eliminate_states", "stationary", "stationary_distributions"]

_DENSE_UP_TO = 3000
_UNDERFLOWING = 1e-250
_SWEEPS, _SWEEPS_FIRST = 10, 60
_SETTLED = 1e-13
_PATIENCE = 20  # rounds of sweeps in which the change must halve
_PARTS = 500
_USELESS = 1e-3  # no digits are promised beyond


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
        "auto" is exact up to 64 states and for chains with parameters; "direct" eliminates without
        subtraction up to 3,000 states, as "auto" does, and factorises a sparse matrix beyond.
    tolerance : float
        Of the relative error of every entry; what is reported is a bound computed afterwards, which may
        be larger by the rounding of n rates.
    max_iterations : int
    progress : callable, optional
        Called with (steps done, steps in all); raising from it stops the computation.

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
        return Solution(ExactArray.of_values(codes, values), "exact")
    rates = chain.matrix.without_diagonal().to_scipy().tocsr()
    if len(states) < chain.n:
        rates = rates[states][:, states]
    dense = len(states) <= _DENSE_UP_TO
    if dense and chosen != "iterative":
        masses_found, used, iterations = (
            eliminate_dense(rates.toarray(), effort.progress),
            "direct",
            0,
        )
    else:
        masses_found, used, iterations = _sparse(rates, replace(effort, method=chosen))
    error = relative_error_bound(rates, masses_found)
    if math.isfinite(error) and error > _USELESS:
        raise NoConvergence(
            f"the entries of the {used} solution cannot be shown to be right (relative error {error:.1e}): "
            "raise max_iterations, or use method='direct' or 'exact'",
            residual=error,
            iterations=iterations,
        )
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
    )


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


def _sparse(rates: Any, effort: Effort) -> tuple[Floats, str, int]:
    """Return the stationary distribution of a large irreducible chain, the method and its iterations.

    Where sweeps converge slowly a chain mixes slowly, hence has small separators, and its factors are
    sparse; where it mixes fast the factors fill up, but few sweeps are needed.
    """
    if effort.method == "auto":
        with suppress(NoConvergence):
            few = min(effort.max_iterations, _SWEEPS_FIRST)
            return _sparse(rates, replace(effort, method="iterative", max_iterations=few))
    n = rates.shape[0]
    direct = effort.method != "iterative"
    masses = _factorised(rates) if direct else np.full(n, 1.0 / n)
    best, least, done, changes = masses, math.inf, 0, [math.inf] * _PATIENCE
    while done < effort.max_iterations:
        before, masses = masses, _swept(rates, masses, min(_SWEEPS, effort.max_iterations - done))
        done += _SWEEPS
        if effort.progress is not None:
            effort.progress(done, effort.max_iterations)
        error, kept = relative_error_bound(rates, masses), masses > _UNDERFLOWING
        change = float(np.abs(masses[kept] / np.maximum(before[kept], _UNDERFLOWING) - 1).max())
        improved = error < least / 2
        if error < least:
            best, least = masses, error
        if least <= effort.tolerance or (least < _USELESS and not improved) or change < _SETTLED:
            return best if least < math.inf else masses, "direct" if direct else "iterative", done
        changes.append(change)
        if change > changes[-_PATIENCE] / 2:
            break
        masses = _aggregated(rates, masses)
    raise NoConvergence(
        f"no convergence to {effort.tolerance:g} in {done} iterations (relative error {least:.1e}): raise "
        "max_iterations or tolerance, or use method='direct'",
        residual=least,
        iterations=done,
    )


def _factorised(rates: Any) -> Floats:
    """Return an approximation by elimination that subtracts on the diagonal only.

    Pivots are taken from the diagonal in an order that is good for both rows and columns, so that all other
    entries are sums of numbers of one sign, and only a pivot can lose digits.
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    balance = (diags_array(rates.sum(axis=1)) - rates).T.tocsc()
    factors = splu(
        balance[1:, 1:],
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    rest = np.abs(factors.solve(-balance[1:, [0]].toarray().ravel()))
    masses = np.maximum(np.concatenate([[1.0], rest]), np.finfo(float).tiny)
    masses /= masses.max()
    return masses / math.fsum(masses)


def _swept(rates: Any, masses: Floats, sweeps: int) -> Floats:
    """Sweep over the states, likely ones first, so that each gets its mass from those that are right."""
    from scipy.sparse import diags_array, tril, triu
    from scipy.sparse.linalg import splu

    order = np.argsort(-masses, kind="stable")
    inflow = rates.T.tocsr()[order][:, order]
    exits = rates.sum(axis=1)[order]
    solver = splu(
        (diags_array(exits) - tril(inflow, -1)).tocsc(), permc_spec="NATURAL", diag_pivot_thresh=0.0
    )
    later = triu(inflow, 1).tocsr()
    x = masses[order]
    for _ in range(sweeps):
        x = solver.solve(later @ x)
        x /= math.fsum(x)
    result = np.empty_like(x)
    result[order] = np.maximum(x, np.finfo(float).tiny)
    return result


def _aggregated(rates: Any, masses: Floats) -> Floats:
    """Give every part its mass in the chain between the parts, which hang together by the largest flows."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    n = len(masses)
    flows = rates.tocoo()
    flow = masses[flows.row] * flows.data
    cost = 1 + math.log(flow.max()) - np.log(flow)
    tree = minimum_spanning_tree(csr_array((cost, (flows.row, flows.col)), shape=(n, n)))
    weakest = np.argpartition(-tree.data, _PARTS)[:_PARTS] if tree.nnz > _PARTS else slice(None)
    tree.data[weakest] = 0
    tree.eliminate_zeros()
    count, part = connected_components(tree, directed=False)
    sums = np.bincount(part, masses, count)
    between = np.zeros((count, count))
    np.add.at(between, (part[flows.row], part[flows.col]), flow)
    correct = eliminate_dense(between / sums[:, None])
    corrected: Floats = masses * (correct / sums)[part]
    return corrected / math.fsum(corrected)
