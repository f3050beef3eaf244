"""The methods that refinement needs from a weighted transition structure.

A structure that has only these methods is refined by the definition, and its partitions are checked.
Accelerators use further methods of their structures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

__all__ = ["Rows", "Structure"]

Array = np.ndarray[Any, Any]


class Rows(NamedTuple):
    """The transitions of some states, state after state.

    Attributes
    ----------
    owner : int array, shape (k,)
        For each transition, the index in the argument ``states`` of the state that it belongs to;
        ascending.
    states : int array, shape (k,)
        The targets of `Structure.rows`, the sources of `Structure.incoming`.
    weights : ExactArray, shape (k,)
        The weight of each transition.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure = WeightedStructure.from_edges(2, [0, 1], [1, 0], [1, 2])
    >>> structure.rows(np.array([1])).weights
    ExactArray([2])
    """

    owner: Array
    states: Array
    weights: ExactArray


class Structure(Protocol):
    """States 0 .. n-1 with exactly weighted transitions and an initial partition.

    Examples
    --------
    >>> from lumpability.structure import WeightedStructure
    >>> structure: Structure = WeightedStructure.from_edges(2, [0], [1], [1])
    >>> structure.n, structure.incoming(np.array([1])).states.tolist()
    (2, [0])
    """

    @property
    def n(self) -> int:
        """Number of states."""

    @property
    def within(self) -> Partition:
        """The initial partition that `refine` takes if none is given."""

    def rows(self, states: Array) -> Rows:
        """Return the transitions from some states."""

    def incoming(self, states: Array) -> Rows:
        """Return the transitions into some states."""

    def chunks(self) -> Iterator[Array]:
        """Yield all states in ascending order, in pieces of moderate numbers of transitions."""
