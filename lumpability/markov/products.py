"""Chains of several independent components: Kronecker sums and products.

Two independent CTMCs with generators Q1, Q2 together have the generator Q1 x I + I x Q2 (Kronecker sum).
Independent DTMCs that step at the same time have the matrix P1 x P2.  With k equal components of n states
there are n^k states, but states that differ by an exchange of components share a block of an ordinary (even
strict) lumping: a block says how many components are in each state, and there are
binomial(n + k - 1, k) blocks.  `symmetric` builds that quotient without the product.  Plateau 1985;
Buchholz 1994.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from math import comb
from typing import Any, TypeVar

import numpy as np

from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure

Chain = TypeVar("Chain", bound=MarkovChain)

SHARING: Mapping[str, Callable[[str, np.ndarray[Any, Any], int], dict[str, Any]]] = {
    "all": lambda name, count, k: {name: count == k},
    "any": lambda name, count, k: {name: count > 0},
    "count": lambda name, count, k: {f"{name}={i}": count == i for i in range(k + 1)},
}
"""The labels of the product for a label of components, by the number of components that carry it."""

_LARGEST = 1 << 25


def compose(components: Sequence[Chain], *, labels: str = "count") -> Chain:
    """Return the chain of independent components, side by side.

    Parameters
    ----------
    components : sequence of CTMC, or of DTMC
        At least one; the same chain may occur several times.
    labels : {"count", "all", "any"}
        A label L that all components have becomes the labels ``L=0``, ``L=1``, ... by the number of
        components that carry it, or it becomes L where all (or any) of them carry it.

    Returns
    -------
    CTMC or DTMC
        States are tuples of the components' states, the last component varying fastest.  The initial
        distribution is the product, if every component has one.

    Raises
    ------
    InvalidInput
        For no component, CTMCs mixed with DTMCs, or an unknown way to share labels.
    SizeLimit
        For more than 2^25 states.

    Notes
    -----
    O(transitions of the result).

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> light = CTMC([[0, 1], [2, 0]], labels={"on": [0]})
    >>> three = compose([light] * 3)
    >>> three, len(lump(three).partition)
    (CTMC(8 states, 24 transitions), 4)
    >>> lump(three).quotient.matrix.row(1)
    [(0, Fraction(2, 1)), (2, Fraction(2, 1))]
    """
    _check(components, labels)
    n = int(np.prod([component.n for component in components], dtype=object))
    if n > _LARGEST:
        raise SizeLimit(f"{n} states: at most {_LARGEST}; try symmetric(...)", states=n)
    whole, *others = components
    matrix, initial = whole.matrix, whole.initial
    for other in others:
        together = _kronecker_sum if isinstance(other, CTMC) else _kronecker_product
        matrix = together(matrix, other.matrix)
        if initial is not None:
            initial = None if other.initial is None else _outer(initial, other.initial)
    shape = tuple(component.n for component in components)
    digits = np.unravel_index(np.arange(n), shape)
    names = [[component.states[i] for i in range(component.n)] for component in components]
    return type(whole)(
        matrix,
        states=[
            tuple(names[c][i] for c, i in enumerate(place))
            for place in zip(*(d.tolist() for d in digits), strict=True)
        ],
        labels=_shared_labels(
            [{name: mask[digit] for name, mask in component.labels.items()}
             for component, digit in zip(components, digits, strict=True)],
            labels,
        ),
        initial=initial,
    )  # fmt: skip


def _check(components: Sequence[MarkovChain], labels: str) -> None:
    if not components:
        raise InvalidInput("give at least one component")
    if len({type(component) for component in components}) > 1:
        raise InvalidInput("components must all be CTMCs or all be DTMCs")
    if labels not in SHARING:
        raise InvalidInput(f"labels={labels!r}: choose one of {', '.join(SHARING)}")


def _shared_labels(masks: Sequence[Mapping[str, Any]], sharing: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in masks[0]:
        if all(name in mask for mask in masks):
            count = np.sum([mask[name] for mask in masks], axis=0)
            result.update(SHARING[sharing](name, count, len(masks)))
    return result


def _kronecker_sum(first: WeightedStructure, second: WeightedStructure) -> WeightedStructure:
    """Return first x I + I x second; transitions of either happen one at a time."""
    n, m = first.n, second.n
    sources, targets = first.sources().astype(np.int64), first.indices.astype(np.int64)
    others, aims = second.sources().astype(np.int64), second.indices.astype(np.int64)
    stay, place = np.arange(m), np.arange(n)[:, None] * m
    weights = first.weights.take(np.repeat(np.arange(first.m), m))
    return WeightedStructure.from_edges(
        n * m,
        np.concatenate([(sources[:, None] * m + stay).ravel(), (place + others).ravel()]),
        np.concatenate([(targets[:, None] * m + stay).ravel(), (place + aims).ravel()]),
        weights.concatenate(second.weights.take(np.tile(np.arange(second.m), n))),
    )


def _kronecker_product(first: WeightedStructure, second: WeightedStructure) -> WeightedStructure:
    """Return first x second; both step at the same time."""
    m = second.n
    weights = _outer(first.weights, second.weights)
    return WeightedStructure.from_edges(
        first.n * m,
        (first.sources().astype(np.int64)[:, None] * m + second.sources()).ravel(),
        (first.indices.astype(np.int64)[:, None] * m + second.indices).ravel(),
        weights,
    )


def _outer(first: ExactArray, second: ExactArray) -> ExactArray:
    rows = first.take(np.repeat(np.arange(len(first)), len(second)))
    columns = second.take(np.tile(np.arange(len(second)), len(first)))
    return rows.combine(columns, lambda x, y: x * y)


def symmetric(component: CTMC, copies: int, *, labels: str = "count") -> CTMC:
    """Return k independent copies of a CTMC, up to exchanging them: how many are in each state.

    The result is a lumping of ``compose([component] * copies)``, built without it.

    Parameters
    ----------
    component : CTMC
    copies : int
        At least 1.
    labels : {"count", "all", "any"}
        As for `compose`.

    Returns
    -------
    CTMC
        binomial(n + copies - 1, copies) states, each the sorted tuple of the copies' states (in the
        component's order); no initial distribution.

    Raises
    ------
    InvalidInput
        For a DTMC, whose copies all step at once, or no copy.
    SizeLimit
        For more than 2^20 states.

    Examples
    --------
    >>> light = CTMC([[0, 1], [2, 0]], states=["on", "off"], labels={"on": ["on"]})
    >>> many = symmetric(light, 3)
    >>> many.states[1], many.matrix.row(1)
    (('on', 'on', 'off'), [(0, Fraction(2, 1)), (2, Fraction(2, 1))])
    """
    if not isinstance(component, CTMC):
        raise InvalidInput("symmetric needs a CTMC: copies of a DTMC all step at the same time")
    _check([component] * copies, labels)
    size = comb(component.n + copies - 1, copies)
    if size > 1 << 20:
        raise SizeLimit(f"{size} states: at most {1 << 20}", states=size)
    places = list(combinations_with_replacement(range(component.n), copies))
    number = {place: i for i, place in enumerate(places)}
    rows = [component.matrix.row(state) for state in range(component.n)]
    sources, targets, rates = [], [], []
    for place, source in number.items():
        for state in dict.fromkeys(place):
            rest = list(place)
            rest.remove(state)
            for target, rate in rows[state]:
                sources.append(source)
                targets.append(number[tuple(sorted([*rest, target]))])
                rates.append(rate * Fraction(place.count(state)))
    digits = np.array(places, dtype=np.int64)
    masks = [
        {name: mask[digits[:, c]] for name, mask in component.labels.items()} for c in range(copies)
    ]
    return CTMC(
        WeightedStructure.from_edges(
            size,
            np.array(sources, dtype=np.int64),
            np.array(targets, dtype=np.int64),
            ExactArray.of_values(np.arange(len(rates)), rates),
        ),
        states=[tuple(component.states[i] for i in place) for place in places],
        labels=_shared_labels(masks, labels),
    )
