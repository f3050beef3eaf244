"""Stationary distributions of large chains: sweeps without subtraction, masses of parts between them.

A sweep of Gauss and Seidel gives each state the flow into it divided by its rate out.  It adds, multiplies and
divides positive numbers only, so small entries become as right as large ones.  Masses move slowly between parts
that are joined by small flows only.  So after some sweeps the chain between such parts gives each part its mass
(Koury, McAllister and Stewart 1984).  If this still converges slowly, the chain mixes slowly; then it has small
separators, and its factors are sparse, so sweeps start from a factorisation.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.errors import NoConvergence
from lumpability.markov.solve.gth import eliminate_dense, relative_error_bound
from lumpability.markov.solve.solution import Effort, Floats

__all__ = ["sweep_until_right"]

_SWEEPS = 10  # between two corrections of the masses of parts
_PATIENCE, _SHORT_PATIENCE = 20, 5  # corrections in which the change must halve
_FACTORISE_SOON = 20_000  # states up to which a factorisation is cheap enough to be tried soon
_PARTS = 500
_NEAR = 1e-4  # the error is computed when the change is smaller
_GOOD = 1e-9  # a relative error that is accepted when it does not become smaller
_SETTLED = 1e-13
_UNDERFLOWING = 1e-250


def sweep_until_right(rates: Any, effort: Effort) -> tuple[Floats, str, int]:
    """Return the stationary distribution of an irreducible chain, the method and the sweeps made.

    Raises `NoConvergence` if the changes do not become small.

    Parameters
    ----------
    rates : csr_array of float, shape (n, n)
        Without diagonal.
    effort : Effort
        "iterative" starts with equal masses, "direct" from a factorisation, "auto" tries both.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> rates = csr_array(np.array([[0, 1e-30], [1, 0]]))
    >>> sweep_until_right(rates, Effort("direct"))[0].tolist()
    [1.0, 1e-30]
    """
    if effort.method == "auto":
        with suppress(NoConvergence):
            return _sweep(rates, np.full(rates.shape[0], 1 / rates.shape[0]), effort)
    if effort.method == "iterative":
        return _sweep(rates, np.full(rates.shape[0], 1 / rates.shape[0]), effort)
    return _sweep(rates, _factorised(rates), replace(effort, method="direct"))


def _sweep(rates: Any, masses: Floats, effort: Effort) -> tuple[Floats, str, int]:
    best, least, done = masses, math.inf, 0
    soon = effort.method == "auto" and rates.shape[0] <= _FACTORISE_SOON
    patience = _SHORT_PATIENCE if soon else _PATIENCE
    changes = [math.inf] * patience
    while done < effort.max_iterations:
        before, masses = masses, _swept(rates, masses, min(_SWEEPS, effort.max_iterations - done))
        done += _SWEEPS
        if effort.progress is not None:
            effort.progress(done, effort.max_iterations)
        changes.append(float(np.abs(masses - before).sum()))
        error = relative_error_bound(rates, masses) if changes[-1] < _NEAR else math.inf
        improved = error < least / 2
        if error < least:
            best, least = masses, error
        if (
            least <= effort.tolerance
            or (least < _GOOD and not improved)
            or _largest_change(masses, before) < _SETTLED
        ):
            used = "direct" if effort.method == "direct" else "iterative"
            return best if least < math.inf else masses, used, done
        if changes[-1] > changes[-1 - patience] / 2:
            break
        masses = _aggregated(rates, masses)
    raise NoConvergence(
        f"no convergence to {effort.tolerance:g} in {done} iterations (relative error {least:.1e}): raise "
        "max_iterations or tolerance, or use method='direct'",
        residual=least,
        iterations=done,
    )


def _largest_change(masses: Floats, before: Floats) -> float:
    """Return the largest relative change of an entry; entries that underflow do not count."""
    kept = masses > _UNDERFLOWING
    return float(np.abs(masses[kept] / np.maximum(before[kept], _UNDERFLOWING) - 1).max())


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
    started: Floats = masses / math.fsum(masses)
    return started


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
