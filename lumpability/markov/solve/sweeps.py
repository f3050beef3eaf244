"""Stationary distributions of large chains: sweeps without subtraction, masses of parts on many levels.

A sweep of Gauss and Seidel gives each state the flow into it divided by its rate out.  It adds, multiplies and
divides positive numbers only, so small entries become as right as large ones.  Masses move slowly between distant
states.  So each cycle joins every state with the one with which it exchanges the largest flow, gives the parts their
masses in the chain between them, which has the same problem and is treated alike, and sweeps again (Horton and
Leutenegger 1994).  After some cycles their results are combined so that the remaining changes cancel as far as
possible (Eddy 1979; Sidi 2008); entries that this would make negative or change much stay as they are, and the next
cycles make them right.  If this still converges slowly, sweeps start from a sparse factorisation.
"""

from __future__ import annotations

import itertools
import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.errors import NoConvergence
from lumpability.markov.solve.gth import eliminate_dense, relative_error_bound
from lumpability.markov.solve.solution import Effort, Floats

_SWEEPS = 3  # before and after the masses of parts are corrected
_COMBINED = 5  # cycles
_PATIENCE, _SHORT_PATIENCE = 12, 6  # cycles in which the change must halve
_FACTORISE_SOON = 20_000  # states up to which a factorisation is cheap enough to be tried soon
_DENSE = 400  # states of the last level, which is eliminated
_NEAR = 1e-7  # the error is computed when no entry changes by more, relatively
_GOOD = 1e-9  # a relative error that is accepted when it does not become smaller
_SETTLED = 1e-13
_UNDERFLOWING = 1e-250
_MUCH = 5.0  # the largest factor by which a combination may change an entry


def sweep_until_right(rates: Any, effort: Effort) -> tuple[Floats, str, int]:
    """Return the stationary distribution of an irreducible chain, the method and the sweeps made.

    Raises `NoConvergence` if the changes do not become small.

    - rates (csr_array of float, shape (n, n)): without diagonal
    - effort: "iterative" starts with equal masses, "direct" from a factorisation, "auto" tries both

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
    recent = [masses]
    while done < effort.max_iterations:
        before = recent[-1]
        masses = _cycle(rates, before)
        recent.append(masses)
        done += 2 * _SWEEPS
        if not np.isfinite(masses).all():  # rates differ too much for floating point
            break
        if effort.progress is not None:
            effort.progress(min(done, effort.max_iterations), effort.max_iterations)
        changes.append(float(np.abs(masses - before).sum()))
        moved = _largest_change(masses, before)
        error = relative_error_bound(rates, masses) if moved < _NEAR else math.inf
        improved = error < least / 2
        if error < least:
            best, least = masses, error
        if least <= effort.tolerance or (least < _GOOD and not improved) or moved < _SETTLED:
            used = "direct" if effort.method == "direct" else "iterative"
            return best if least < math.inf else masses, used, done
        if changes[-1] > changes[-1 - patience] / 2:
            break
        if len(recent) > _COMBINED:
            recent = [_combined(recent)]
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


def _cycle(rates: Any, masses: Floats) -> Floats:
    """Sweep, correct the masses of parts, and sweep again; a few states are eliminated."""
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.csgraph import connected_components

    n = len(masses)
    if n <= _DENSE:
        return eliminate_dense(rates.toarray())
    masses = _swept(rates, masses, _SWEEPS)
    flow = (diags_array(masses) @ rates).tocsr()
    partner = np.asarray((flow + flow.T).tocsr().argmax(axis=1)).ravel()
    pairs = csr_array((np.ones(n), (np.arange(n), partner)), shape=(n, n))
    count, part = connected_components(pairs, directed=False)
    sums = np.bincount(part, masses, count).astype(np.float64)
    joined = csr_array((np.ones(n), (np.arange(n), part)), shape=(n, count))
    between = (joined.T @ flow @ joined).tocsr()
    between.setdiag(0)
    between.eliminate_zeros()
    correct = _cycle((diags_array(1 / sums) @ between).tocsr(), sums)
    masses = masses * (correct / sums)[part]
    return _swept(rates, masses / math.fsum(masses), _SWEEPS)


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


def _combined(results: list[Floats]) -> Floats:
    """Combine the results of cycles with weights that sum to one, so that their changes cancel best."""
    last = results[-1]
    scale = 1 / np.sqrt(np.maximum(last, _UNDERFLOWING))
    changes = np.array([(b - a) * scale for a, b in itertools.pairwise(results)])
    products = changes @ changes.T
    size = float(np.trace(products))
    if size == 0:
        return last
    weights = np.linalg.lstsq(products / size, np.ones(len(changes)), rcond=1e-14)[0]
    if not np.isfinite(weights).all() or abs(weights.sum()) < 1e-300:
        return last
    weights /= weights.sum()
    mixed = weights @ np.array(results[1:])
    sound = (mixed > last / _MUCH) & (mixed < last * _MUCH)
    mixed = np.where(sound, mixed, last)
    combined: Floats = mixed / math.fsum(mixed)
    return combined
