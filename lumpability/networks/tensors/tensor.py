"""What is known of the tensors of a graph: unit axes, labels of what leaves together, values; and who reads them.

A *unit axis* is one whose positions are told apart; every other axis is collapsed, and stands for all of its
positions at once.  Labels and values are arrays of the tensor's rank with the full size on unit axes and size one
on the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.networks.tensors.facts import Shape
from lumpability.numbers.float_arrays import Array


class Declined(Exception):  # not an error: the operator is then carried as it is
    """An operator's family does not cover this use of it; carries the reason, a clause about the node."""

    def __init__(self, reason: str = "is used in a way that no rule describes") -> None:
        super().__init__(reason)


class Unproved(Exception):  # an internal signal: the units are then kept
    """A layer of a reduced graph is not shown to equal the original one; carries the name of its output."""


@dataclass
class Tensor:
    """A tensor that depends on an input.

    - shape: at the first choice of sizes
    - units: axes whose positions are told apart
    - labels, ids, facs: of the shape, with size one on the other axes
    """

    shape: Shape | None
    units: frozenset[int]
    labels: Array
    ids: Array
    facs: Array

    @property
    def rank(self) -> int:
        """Number of axes."""
        assert self.shape is not None
        return len(self.shape)

    def along(self, count: int) -> tuple[Array, Array, Array]:
        """Return labels and values of one axis, shape (count,); declines if it has other positions."""
        if self.ids.size not in (1, count):
            raise Declined("reads another number of units than it has weights for")
        labels, ids, facs = (
            np.broadcast_to(a.ravel(), (count,)) for a in (self.labels, self.ids, self.facs)
        )
        return labels, ids, facs


@dataclass
class Reader:
    """A contraction, where units are looked at together: what it makes of each.

    - labels, ids, facs (int array, shape (n,)): of the channels it reads
    - uses (bool array, shape (rows, n)): whether a row depends on a channel
    - rows (int array, shape (rows,)): labels of what it yields
    - folds: whether constants can go into a bias
    - offset: number of its first channel on the tensor's axis
    - sums: whether its weights may be added up; otherwise only channels that are zero or ignored leave it
    """

    node: int
    slot: int
    labels: Array
    ids: Array
    facs: Array
    uses: Array
    rows: Array
    folds: bool = False
    offset: int = 0
    sums: bool = True
