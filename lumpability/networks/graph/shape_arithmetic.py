"""Constants in the arithmetic that makes a shape, after units have left: they follow, through the nodes that compute it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumpability.networks.graph.analysis import Analysis

_SAME = frozenset(["Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape"])
Place = tuple[int, int]
Sizes = list[tuple[int, int]]
"""Entries of a tensor at the first choice of sizes: what they are, and what they have to become."""


@dataclass
class ShapeArithmetic:
    """What has been asked for.

    - replace (callable): asks for another constant: its name, node and slot where it is read, and its value
    - asked: by name and place where it is read: what a computed tensor has to become there
    """

    analysis: Analysis
    replace: Callable[..., None]
    asked: dict[str, dict[Place, Sizes]] = field(default_factory=dict)

    def follow(self, name: str, place: Place, sizes: Sizes) -> None:
        """Let what is read at a place become other numbers; what depends on a free size only if all readers agree."""
        analysis = self.analysis
        producer = analysis.index.producer.get(name)
        if producer is not None and name in analysis.derived:
            asked = self.asked.setdefault(name, {})
            asked[place] = sizes
            users = analysis.index.users.get(name, ())
            if len(users) > 1 and name not in analysis.known and len(asked) < len(users):
                return  # others may read it as a number
            alike = all(other == sizes for other in asked.values())
            if len(users) == len(asked) and alike and self._through(producer, sizes):
                return
        known = analysis.known.get(name)
        if known is not None and known.size == len(sizes):
            pairs = zip(known.reshape(-1).tolist(), sizes, strict=True)
            new = [wanted if n == old else n for n, (old, wanted) in pairs]
            self.replace(name, *place, np.array(new, known.dtype).reshape(known.shape))

    def _through(self, number: int, sizes: Sizes) -> bool:
        """Let the inputs of a node follow; say whether it is one that can."""
        node: Any = self.analysis.index.nodes[number]
        if node.op_type == "Concat":
            first = 0
            for slot, part in enumerate(node.input):
                count = self.analysis.choices[0].values[part].size
                self.follow(part, (number, slot), sizes[first : first + count])
                first += count
            return True
        if node.op_type in _SAME:
            self.follow(node.input[0], (number, 0), sizes)
            return True
        return node.op_type == "Mul" and len(sizes) == 1 and self._factor(node, number, *sizes[0])

    def _factor(self, node: Any, number: int, old: int, new: int) -> bool:
        """Change the constant factor of a product whose other factor depends on a free size."""
        known = [self.analysis.known.get(name) for name in node.input]
        fixed = [k for k, value in enumerate(known) if value is not None and value.size == 1]
        if len(fixed) != 1 or not old:
            return False
        value = known[fixed[0]]
        assert value is not None
        factor = int(value.item())
        if factor * new % old:
            return False
        self.follow(node.input[fixed[0]], (number, fixed[0]), [(factor, factor * new // old)])
        return True
