"""Cases of signs of units: where a pre-activation is positive, and where it is negative, bounded apart.

The linear program of `programs` bounds one output in one direction.  The functional with the worst bound is taken
next: the unit furthest from its graph at the optimum is cut, and in both cases all ranges are narrowed and the
program is solved again.  A bound is the largest over the cases; a case without inputs drops out, which is proved.
For networks with many inputs, where cutting the box is hopeless.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from lumpability.networks.difference.pair_bounds import PairRanges, pair_ranges
from lumpability.networks.difference.programs import Cut, Program
from lumpability.networks.difference.ranges import NoInput, Ranges, narrowed
from lumpability.networks.difference.splitting import Progress
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True, eq=False)
class Case:
    """Both networks on the inputs at which some units have given signs; `layers` is None without a relation."""

    pair: tuple[Ranges, Ranges]
    layers: PairRanges | None

    def cut(self, where: Cut, sign: int) -> Case:
        """Return the case in which one more unit has a sign, or raise `NoInput`."""
        side, number, unit = where
        first, second = self.pair
        if side == 0:
            first = narrowed(first, number, unit, sign)
        else:
            second = narrowed(second, number, unit, sign)
        old = self.layers
        layers = None
        if old is not None:
            layers = pair_ranges(first, second, old.lifts, old.residuals, within=old)
        return Case((first, second), layers)

    def bound(self, output: int, sign: int) -> float:
        """Return a bound of sign times the difference of an output without a linear program."""
        if self.layers is None:
            return np.inf
        low, high = self.layers.d_low[-1], self.layers.d_high[-1]
        return float(high[output] if sign > 0 else -low[output])


@dataclass
class Found:
    """What cases prove.

    - low, high: bounds of the differences of the outputs
    - programs: linear programs that were solved
    - points: inputs at which a program had its optimum
    - interrupted: whether Ctrl-C ended it
    """

    low: Array
    high: Array
    programs: int = 0
    interrupted: bool = False
    points: list[Array] = field(default_factory=list)


@dataclass(frozen=True, eq=False, order=False)
class _Leaf:
    """A bound of sign times the difference of an output in a case, and the unit to cut next."""

    bound: float
    output: int
    sign: int
    case: Case
    cut: Cut | None = None
    solved: bool = False

    def parts(self, enough: float, found: Found) -> Iterator[_Leaf]:
        """Yield the leaves that replace this one: solved, or cut in two and solved."""
        cases = [self.case]
        if self.solved and self.cut is not None:
            cases = [case for sign in (-1, 1) if (case := _tried(self.case, self.cut, sign))]
        for case in cases:
            bound = min(self.bound, case.bound(self.output, self.sign))
            leaf = _Leaf(bound, self.output, self.sign, case, solved=True)
            if bound > enough:
                try:
                    solution = Program(case.pair, case.layers).least(self.output, -self.sign)
                except NoInput:
                    continue
                finally:
                    found.programs += 1
                if solution is not None:
                    found.points.append(solution.point)
                    bound = float(np.fmin(bound, -solution.bound))
                    leaf = replace(leaf, bound=bound, cut=solution.cut)
            yield leaf


def _tried(case: Case, cut: Cut, sign: int) -> Case | None:
    try:
        return case.cut(cut, sign)
    except NoInput:
        return None


def by_cases(
    whole: Case,
    low: Array,
    high: Array,
    *,
    programs: int,
    enough: float,
    progress: Progress | None = None,
) -> Found:
    """Tighten bounds of the differences of the outputs until they are good enough.

    - programs: most linear programs to solve, about
    """
    found = Found(low.copy(), high.copy())
    leaves = [
        _Leaf(float(bound), output, sign, whole)
        for sign, bounds in ((-1, -low), (1, high))
        for output, bound in enumerate(bounds.tolist())
    ]
    heap = [(-leaf.bound, number, leaf) for number, leaf in enumerate(leaves)]
    heapq.heapify(heap)
    number = len(heap)
    try:
        while heap and -heap[0][0] > enough and found.programs < programs:
            leaf = heap[0][2]
            if leaf.solved and leaf.cut is None:
                break
            parts = list(leaf.parts(enough, found))
            # An interrupt may come anywhere: one assignment replaces the leaf by its parts.
            more = [(-part.bound, number + place, part) for place, part in enumerate(parts)]
            number += len(more)
            rest = heap[1:] + more
            heapq.heapify(rest)
            heap = rest
            if progress is not None and heap:
                progress(found.programs, programs, -heap[0][0])
    except KeyboardInterrupt:
        found.interrupted = True
    ends = np.full((2, len(low)), -np.inf)
    for bound, _, leaf in heap:
        place = (leaf.sign + 1) // 2, leaf.output
        ends[place] = max(ends[place], -bound)
    # A functional without cases has no input, which a box that is not empty excludes.
    found.low = np.where(np.isfinite(ends[0]), np.fmax(low, -ends[0]), low)
    found.high = np.where(np.isfinite(ends[1]), np.fmin(high, ends[1]), high)
    return found
