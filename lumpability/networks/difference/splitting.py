"""The box cut in halves until the bounds are good enough: a bound on the box is the largest on its parts.

The part with the worst bound is cut next, at the middle of the input that moves the arguments of unstable units most
compared with their ranges: cutting it makes most units stable.  Each part keeps the bounds of the part that it was
cut from where these are tighter.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lumpability.networks.difference.affine import added, as_dense
from lumpability.networks.difference.ranges import Ranges, Tally, Terms, to_inputs
from lumpability.numbers.float_arrays import Array

Progress = Callable[[int, int, float], None]
"""Called with the boxes so far, the budget, and the certified bound."""


@dataclass(frozen=True, eq=False)
class Bounded:
    """Bounds of the differences of the outputs on one box.

    - low, high: float64 arrays, shape (outputs,)
    - methods: by output, the method of the bound
    - cut: the input to cut next
    """

    low: Array
    high: Array
    methods: list[str]
    cut: int

    @property
    def largest(self) -> float:
        """The largest absolute difference that is possible."""
        return max(self.of(output) for output in range(len(self.low)))

    def of(self, output: int) -> float:
        """Return the largest absolute difference of one output that is possible."""
        return float(max(0.0, -self.low[output], self.high[output]))


@dataclass
class Split:
    """What splitting found.

    - low, high (float64 arrays, shape (outputs,)): bounds on the whole box
    - boxes: boxes that were bounded
    - interrupted: whether Ctrl-C ended it
    """

    low: Array
    high: Array
    boxes: int = 1
    interrupted: bool = False
    parts: list[tuple[float, int, Array, Array, Bounded]] = field(default_factory=list)


def split(
    bound: Callable[[Array, Array], Bounded],
    box: tuple[Array, Array],
    whole: Bounded,
    *,
    boxes: int,
    enough: float,
    progress: Progress | None = None,
) -> Split:
    """Bound a box by its parts.

    - bound: from both ends of a box to its bounds, which are `whole` for the box itself
    - boxes: most boxes to bound, the whole one included
    - enough: parts with this bound are not cut
    """
    found = Split(whole.low, whole.high, parts=[(-whole.largest, 0, *box, whole)])
    try:
        while found.boxes + 2 <= boxes and -found.parts[0][0] > enough:
            _, _, low, high, own = found.parts[0]
            halves = _halves(low, high, own.cut)
            if halves is None:
                break
            bounded = [(*half, _within(bound(*half), own)) for half in halves]
            # An interrupt may come anywhere: one assignment replaces the part by both of its halves.
            parts = found.parts[1:]
            for number, part in enumerate(bounded):
                parts.append((-part[2].largest, found.boxes + number, *part))
            heapq.heapify(parts)
            found.parts = parts
            found.boxes += 2
            if progress is not None:
                progress(found.boxes, boxes, -found.parts[0][0])
    except KeyboardInterrupt:
        found.interrupted = True
    found.low = np.min([part[4].low for part in found.parts], axis=0)
    found.high = np.max([part[4].high for part in found.parts], axis=0)
    return found


def _halves(low: Array, high: Array, cut: int) -> list[tuple[Array, Array]] | None:
    middle = low[cut] + (high[cut] - low[cut]) / 2
    if not low[cut] < middle < high[cut]:
        return None
    left, right = high.copy(), low.copy()
    left[cut], right[cut] = middle, middle
    return [(low, left), (right, high)]


def _within(part: Bounded, whole: Bounded) -> Bounded:
    """Return the bounds of a part, where they are not finite or looser those of the whole."""
    return Bounded(
        np.fmax(part.low, whole.low), np.fmin(part.high, whole.high), part.methods, part.cut
    )


def influence(found: Ranges) -> Array:
    """Return how much each input moves the arguments of unstable units, compared with their ranges."""
    width = found.input_high - found.input_low
    total = width * 1e-9  # of a network without unstable units the widest input
    for number, layer in enumerate(found.network.layers[:-1], start=1):
        low, high = found.low[number - 1], found.high[number - 1]
        unstable = (low < 0) & (high > 0)
        if layer.slopes is None or not unstable.any():
            continue
        columns = np.flatnonzero(unstable)
        pending: Terms = {}
        tally = Tally(np.zeros(len(columns)), np.zeros(len(columns)))
        for source, matrix in layer.terms:
            added(pending, source, as_dense(matrix[:, columns]))
        to_inputs(found, pending, tally)
        if 0 in pending:
            moved = np.abs(pending[0]) * width[:, None] / (high - low)[columns]
            total = total + np.nan_to_num(moved).sum(axis=1)
    return np.asarray(total)
