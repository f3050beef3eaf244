"""Weighted structures in which states often belong together.

A small structure is drawn, and every state of it is unfolded into a block: each member divides the weight into
another block among some of its members.  A few additional transitions may break the stability of the
blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.testing.strategies.values import partitions

FEW_WEIGHTS = tuple(map(Fraction, ("1", "2", "-1", "1/2", "1/3")))
"""Weights of which sums are often equal, and sometimes zero."""


@st.composite
def structures(
    draw: st.DrawFn,
    *,
    min_states: int = 1,
    max_states: int = 8,
    max_transitions: int = 6,
    weights: SearchStrategy[Any] | None = None,
    noise: int = 3,
) -> WeightedStructure:
    """Weighted structures with an initial partition of at most two blocks.

    Parameters
    ----------
    min_states, max_states : int
    max_transitions : int
        Of the small structure that is unfolded.
    weights : strategy of rational numbers, optional
        By default a few numbers, of both signs.
    noise : int
        Largest number of additional transitions, which may break the unfolded blocks; with 0 the initial
        partition consists of stable blocks.

    Examples
    --------
    >>> from hypothesis import find
    >>> from lumpability.refinement import refine
    >>> split = find(structures(), lambda one: len(refine(one).partition) > len(one.within))
    >>> split.n, split.m, split.row(0), split.row(1)
    (2, 1, [(0, Fraction(1, 1))], [])
    """
    weight = st.sampled_from(FEW_WEIGHTS) if weights is None else weights
    owner = draw(partitions(min_states=min_states, max_states=max_states))
    block = st.integers(0, max(len(owner) - 1, 0))
    small = draw(
        st.lists(st.tuples(block, block, weight), max_size=max_transitions if owner.n else 0)
    )
    edges = [edge for arrow in small for edge in _unfolded(draw, owner, *arrow)]
    state = st.integers(0, max(owner.n - 1, 0))
    edges += draw(st.lists(st.tuples(state, state, weight), max_size=noise if owner.n else 0))
    marks = draw(st.lists(st.booleans(), min_size=len(owner), max_size=len(owner)))
    return WeightedStructure.from_edges(
        owner.n,
        np.array([source for source, _, _ in edges], dtype=np.int64),
        np.array([target for _, target, _ in edges], dtype=np.int64),
        ExactArray.of_values(np.arange(len(edges)), [w for _, _, w in edges]),
        within=Partition(np.array(marks, dtype=np.int64)[owner.labels]),
    )


def _unfolded(
    draw: st.DrawFn, owner: Partition, source: int, target: int, weight: Any
) -> Iterator[tuple[int, int, Any]]:
    """Yield for every member of a block the transitions of one weight into another block."""
    members = st.sampled_from(owner.blocks[target].tolist())
    for state in owner.blocks[source].tolist():
        first, second = draw(st.tuples(members, members))
        yield state, first, weight / 2
        yield state, second, weight / 2
