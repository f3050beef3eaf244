"""Stationary distributions in floating point, every entry with a relative error that is proved.

Elimination without subtraction (Grassmann, Taksar and Heyman 1985) adds, multiplies and divides positive numbers
only, so small probabilities are as precise as large ones.  Here it runs on panels of states, so that most of the
work is products of matrices: O(n^3).

The error of any x is bounded afterwards.  The flows f(i, j) = x(i) q(i, j) of the true distribution balance in
every state.  Let D(S) be the flow into a set S minus the flow out of it.  Changing the flow along each edge of a
spanning tree by the D of the part that the edge cuts off balances all states.  So x is exactly stationary for rates
that differ only on the tree, by factors 1 + e.  By the Markov chain tree theorem a probability is a sum of products
of rates over another such sum, with every rate at most once in a product.  Hence the relative error of every entry
of x is at most prod (1 + |e|) / prod (1 - |e|) - 1 (O'Cinneide 1993 has the uniform case).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lumpability.numbers.float_arrays import two_product

Floats = np.ndarray[Any, np.dtype[np.float64]]

_PANEL = 48
_UNIT = 2.0**-53
_LARGE = 1e200


def eliminate_dense(rates: Floats, progress: Callable[[int, int], None] | None = None) -> Floats:
    """Return the stationary distribution of an irreducible chain.

    - rates (array of float, shape (n, n)): not negative; the diagonal is ignored.  It is overwritten

    >>> eliminate_dense(np.array([[0, 1e-30], [1, 0]])).tolist()
    [1.0, 1e-30]
    """
    eliminate(rates, progress)
    masses = np.zeros(len(rates))
    masses[0] = 1.0
    for state in range(1, len(rates)):
        masses[state] = masses[:state] @ rates[:state, state]
        if masses[state] > _LARGE:
            masses[: state + 1] /= masses[state]
    normalised: Floats = masses / math.fsum(masses)
    return normalised


def eliminate(rates: Floats, progress: Callable[[int, int], None] | None = None) -> None:
    """Eliminate all states but the first in place, from the last one on.

    Afterwards entry (k, i) for i < k is the rate from k to i when later states are not watched, and entry (i, k) the
    rate from i to k then, divided by the rate from k to earlier states.

    >>> rates = np.array([[0, 1.0], [4.0, 0]])
    >>> eliminate(rates)
    >>> rates.tolist()
    [[1.0, 0.25], [4.0, 0.0]]
    """
    n = len(rates)
    for high in range(n, 1, -_PANEL):
        low = max(high - _PANEL, 0)
        rows, columns = rates[low:high], rates[:low, low:high].T.copy()
        for k in range(high - low - 1, 0 if low == 0 else -1, -1):
            last = low + k
            out = rows[k, :last].sum()  # to earlier states: later ones are eliminated
            rows[:k, last] /= out
            columns[k] /= out
            rows[:k, :last] += np.outer(rows[:k, last], rows[k, :last])
            columns[:k] += np.outer(rows[k, low:last], columns[k])
        rates[:low, low:high] = columns.T
        rates[:low, :low] += columns.T @ rows[:, :low]
        if progress is not None:
            progress(n - low, n)


def relative_error_bound(rates: Any, masses: Floats) -> float:
    """Return a bound on the relative error of every entry of a stationary distribution.

    - rates (csr_array of float, shape (n, n)): not negative, irreducible, without diagonal; the nearest doubles
      of the true ones
    - masses (array of float, shape (n,)): sums to one
    - returns float: infinite if there is no bound.  It holds for the true rates: it includes the rounding of
      rates to doubles and the rounding of its own computation

    O(m log m).  A tree with the largest flows has small changes.

    >>> from scipy.sparse import csr_array
    >>> rates = csr_array(np.array([[0, 1.0], [1e-30, 0]]))
    >>> relative_error_bound(rates, np.array([1e-30, 1.0])) < 1e-15
    True
    >>> relative_error_bound(rates, np.array([1.1e-30, 1.0])) > 0.1
    True
    """
    n = rates.shape[0]
    edges = rates.tocoo()
    if n == 1:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        flow, rest = two_product(masses[edges.row], edges.data)
    if not np.isfinite(flow).all() or flow.min(initial=1.0) < 1e-280:  # products may lose bits
        return math.inf
    # The flow into every state minus the flow out of it.
    owners = np.concatenate([edges.col, edges.col, edges.row, edges.row])
    surplus = rounded_sums(n, owners, np.concatenate([flow, rest, -flow, -rest]))
    change = _changes_along_tree(n, edges.row, edges.col, flow, surplus)
    if change is None or not (change < 0.5).all():
        return math.inf
    exponent = math.fsum(2 * change / (1 - change)) + 2 * n * _UNIT  # rates are rounded
    if exponent > 1:
        return math.inf
    normalised = abs(math.fsum(masses) - 1) + 2 * _UNIT
    return (1 + 1e-9) * (math.expm1(exponent) + normalised)


def rounded_sums(n: int, owners: Any, numbers: Floats) -> list[float]:
    """Return for each of n owners the sum of its numbers, correctly rounded.

    >>> rounded_sums(2, np.array([0, 1, 0]), np.array([1e20, 3.0, 1.0]))
    [1e+20, 3.0]
    """
    parts = numbers[np.argsort(owners, kind="stable")].tolist()
    bounds = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=n))]).tolist()
    return [math.fsum(parts[bounds[s] : bounds[s + 1]]) for s in range(n)]


def _changes_along_tree(
    n: int, sources: Any, targets: Any, flow: Floats, surplus: list[float]
) -> Floats | None:
    """Return bounds on the relative changes of the flows along a spanning tree that balance all states."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    cost = 1 + math.log(flow.max()) - np.log(flow)
    tree = minimum_spanning_tree(coo_array((cost, (sources, targets)), shape=(n, n)).tocsr())
    # From the largest flow on, so that no small flow carries the rounding of large ones behind it.
    order, before = breadth_first_order(tree, int(sources[flow.argmax()]), directed=False)
    if len(order) < n:
        return None
    # Equal flows may take either direction of an edge: the one with the larger flow is in the tree.
    edges = tree.tocoo()
    largest = math.log(flow.max()) + 1 - edges.data
    along = np.empty(n)  # the logarithm of the flow between a state and the one before it
    below = before[edges.row] == edges.col
    along[np.where(below, edges.row, edges.col)] = largest
    sums, sizes = list(surplus), [abs(x) for x in surplus]
    previous = before.tolist()
    for state in order[:0:-1].tolist():  # leaves first
        sums[previous[state]] += sums[state]
        sizes[previous[state]] += sizes[state]
    inner = order[1:]
    needed = np.abs(np.array(sums)[inner]) + n * 4 * _UNIT * np.array(sizes)[inner]
    with np.errstate(over="ignore"):
        changes: Floats = needed / np.exp(along[inner]) * (1 + 1e-9)
    return changes
