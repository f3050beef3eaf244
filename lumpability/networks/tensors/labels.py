"""What leaves together: a forest of labels, and which of them are held, and why."""

from __future__ import annotations

import numpy as np

from lumpability.numbers.float_arrays import Array

HELD = 0
"""The label of what never leaves."""


class Labels:
    """Labels that were found to leave together, as a forest, and which of them are held, and why.

    >>> labels = Labels()
    >>> first, second = labels.fresh(2), labels.fresh(2)
    >>> labels.unite(first, second)
    >>> labels.hold(second[:1], "a norm runs over it")
    >>> labels.roots(first).tolist(), labels.reason(int(first[0]))
    ([0, 2], 'a norm runs over it')
    """

    def __init__(self) -> None:
        self._parent = [HELD]
        self._reasons = {HELD: ""}

    def __len__(self) -> int:
        return len(self._parent)

    def fresh(self, count: int) -> Array:
        """Return new labels."""
        first = len(self._parent)
        self._parent += range(first, first + count)
        return np.arange(first, first + count)

    def _base(self, label: int) -> int:
        parent = self._parent
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    def reason(self, label: int) -> str | None:
        """Return why a label is held; None if it is not."""
        return self._reasons.get(self._base(label))

    def roots(self, labels: Array) -> Array:
        """Return for each label one that stands for all that leave together with it; 0 if it is held."""
        distinct, inverse = np.unique(labels, return_inverse=True)
        bases = [self._base(label) for label in distinct.tolist()]
        found = np.array([HELD if b in self._reasons else b for b in bases], dtype=np.int64)
        return found[inverse].reshape(np.shape(labels))

    def unite(self, first: Array, second: Array, reason: str = "") -> None:
        """Let the labels of two arrays leave together, pair by pair; held ones hold the others, for the reason."""
        pairs = np.stack(np.broadcast_arrays(first, second)).reshape(2, -1)
        for a, b in np.unique(pairs, axis=1).T.tolist():
            low, high = sorted((self._base(a), self._base(b)))
            if low == HELD:
                self._reasons.setdefault(high, reason)
            elif low != high:
                self._parent[high] = low
                if high in self._reasons:
                    self._reasons.setdefault(low, self._reasons.pop(high))

    def hold(self, labels: Array, reason: str) -> None:
        """Let labels never leave."""
        self.unite(np.unique(labels), np.array(HELD), reason)
