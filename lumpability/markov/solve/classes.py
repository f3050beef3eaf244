"""Communicating classes, recurrent classes and reachability of a chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.markov.chains import MarkovChain


def _graph(chain: MarkovChain) -> Any:
    from scipy.sparse import csr_array

    matrix = chain.matrix
    ones = np.ones(matrix.m, dtype=np.int8)
    return csr_array((ones, matrix.indices, matrix.indptr), shape=(matrix.n, matrix.n))


def recurrent_classes(chain: MarkovChain) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the recurrent classes: sets of states that reach each other and nothing else.

    Returns
    -------
    list of sorted arrays of int
        In the order of their first states; every finite chain has at least one.

    Notes
    -----
    O(n + m), by scipy's strongly connected components.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> [states.tolist() for states in recurrent_classes(CTMC([[0, 1, 1], [0, 0, 0], [0, 0, 0]]))]
    [[1], [2]]
    """
    from scipy.sparse.csgraph import connected_components

    if chain.n == 0:
        return []
    count, component = connected_components(_graph(chain), directed=True, connection="strong")
    sources = chain.matrix.sources()
    closed = np.ones(count, dtype=bool)
    closed[component[sources[component[sources] != component[chain.matrix.indices]]]] = False
    members = np.flatnonzero(closed[component])
    members = members[np.argsort(component[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(component[members])) + 1
    return sorted(np.split(members, cuts), key=lambda states: int(states[0]))


def is_irreducible(chain: MarkovChain) -> bool:
    """Whether every state reaches every other.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> is_irreducible(CTMC([[0, 1], [1, 0]])), is_irreducible(CTMC([[0, 1], [0, 0]]))
    (True, False)
    """
    classes = recurrent_classes(chain)
    return len(classes) == 1 and len(classes[0]) == chain.n


def cyclic_classes(
    chain: MarkovChain, owner: np.ndarray[Any, np.dtype[np.int64]]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the cyclic class of every recurrent state, from 0 on, and the period of every recurrent class.

    - owner: the number of the recurrent class from 1 on; 0 for transient states, which count as one class of period 1

    O(n + m) up to a logarithm: with distances l from a state of the class, its period is the greatest common divisor
    of l(s) + 1 - l(u) over its transitions s -> u, and cyclic classes are l modulo the period.

    >>> from lumpability import DTMC
    >>> phases, periods = cyclic_classes(DTMC([[0, 1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1, 1, 2]))
    >>> phases.tolist(), periods.tolist()
    ([0, 1, 0], [1, 2, 1])
    """
    from scipy.sparse.csgraph import dijkstra

    numbers, firsts = np.unique(owner, return_index=True)
    roots = firsts[numbers > 0]
    far = dijkstra(_graph(chain), indices=roots, unweighted=True, min_only=True)
    levels = np.where(owner > 0, far, 0).astype(np.int64)
    sources, targets = chain.matrix.sources(), chain.matrix.indices
    inside = owner[sources] > 0
    steps = np.abs(levels[sources] + 1 - levels[targets])[inside]
    periods = np.zeros(int(owner.max(initial=0)) + 1, dtype=np.int64)
    periods[0] = 1
    np.gcd.at(periods, owner[sources[inside]], steps)
    return levels % periods[owner], periods


def backwards_reachable(
    chain: MarkovChain,
    target: np.ndarray[Any, np.dtype[np.bool_]],
    avoiding: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return the states that reach the target by paths that do not leave a state of `avoiding`.

    - target, avoiding: array of bool, shape (n,)

    O(n + m): a breadth-first search against the transitions.

    >>> from lumpability import CTMC
    >>> chain = CTMC([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> backwards_reachable(chain, np.array([False, True, False])).tolist()
    [True, True, False]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    n, goals = chain.n, np.flatnonzero(target)
    sources, targets = chain.matrix.sources(), chain.matrix.indices
    if avoiding is not None:
        kept = ~avoiding[sources]
        sources, targets = sources[kept], targets[kept]
    # Search the reversed transitions from an additional node that leads to all of the target.
    tails = np.concatenate([targets, np.full(len(goals), n)])
    heads = np.concatenate([sources, goals])
    links = coo_array((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(n + 1, n + 1))
    reached = breadth_first_order(links.tocsr(), n, return_predecessors=False)
    found = np.zeros(n + 1, dtype=bool)
    found[reached] = True
    return found[:n]
