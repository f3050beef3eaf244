"""Axes that hold a free size and a fixed one, read as two axes."""

from __future__ import annotations

from typing import Any, NamedTuple

from lumpability.networks.tensors.facts import Shape


class View(NamedTuple):
    """An axis that is read as two, of a free size and of a fixed one.

    - fixed: the fixed size
    - first: whether the axis of fixed size is the first of the two
    """

    axis: int
    fixed: int
    first: bool = False

    @property
    def place(self) -> int:
        """The axis of fixed size."""
        return self.axis + (not self.first)

    @property
    def free(self) -> int:
        """The axis of free size."""
        return self.axis + self.first

    def apart(self, shape: tuple[Any, ...], free: Any = None) -> tuple[Any, ...]:
        """Return a shape with the axis as two, of a free size that may be given."""
        free = shape[self.axis] // self.fixed if free is None else free
        both = (self.fixed, free) if self.first else (free, self.fixed)
        return (*shape[: self.axis], *both, *shape[self.axis + 1 :])

    def joined(self, shape: Shape) -> Shape:
        """Return a shape with the two axes as one."""
        both = shape[self.axis] * shape[self.axis + 1]
        return (*shape[: self.axis], both, *shape[self.axis + 2 :])
