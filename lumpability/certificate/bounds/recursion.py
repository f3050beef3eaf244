"""Bounds on an expectation at a time: a recursion on blocks, in integers over 2^64, rounded outward.

T+ v (B) is the largest drift of v in B, over its members or over the rows of the hull.  For any rate L let
u_0 = g and u_(k+1) = u_k + T+ u_k / L.  Then w(t) = sum over k of Poisson(L t, k) u_k is an upper bound of
E[g(X_t)] from every member of a block: w' >= T+ w by Jensen's inequality, because T+ is convex, so the difference d
from the expectation has d' >= Q d and d(0) >= 0.  In discrete time u_k itself is the bound after k steps.

If L is at least the largest outflow of a row, the maximum of u_k does not increase, so the steps may end
anywhere: all later ones are at most that maximum.  In discrete time the hull has rows that sum to
one; a box without this is not monotone.  Lower bounds are upper bounds of -g, negated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.poisson import Window, poisson_window
from lumpability.certificate.bounds.rows import Rows
from lumpability.certificate.verification import Contradiction
from lumpability.numbers.exact_array import ExactArray

Integers = np.ndarray[Any, np.dtype[np.object_]]
Step = Callable[[Integers], Integers]
Progress = Callable[[int, int], None]

_BITS = 64
_OFTEN = 64  # steps between reports of progress
SCALE = 1 << _BITS
"""The values of the recursion are integers over this number."""


def ceilings(numbers: ExactArray, factor: Fraction | int = SCALE) -> Integers:
    """Return the numbers times a factor, rounded up to integers."""
    rounded = [-(-(x * factor).numerator // (x * factor).denominator) for x in numbers.values]
    return np.array(rounded, dtype=object)[numbers.codes] if rounded else _empty()


def _floors(numbers: ExactArray, factor: Fraction) -> Integers:
    rounded = [(x * factor).numerator // (x * factor).denominator for x in numbers.values]
    return np.array(rounded, dtype=object)[numbers.codes] if rounded else _empty()


def _empty() -> Integers:
    return np.empty(0, dtype=object)


class Recursion:
    """Upper bounds u_0, u_1, u_2, ... on blocks.

    - rate: the rate L in continuous time; None in discrete time

    Raises `Contradiction` if the rate is not larger than the outflow of a row, by the rounding.
    """

    def __init__(self, rows: Rows, rate: Fraction | None) -> None:
        factor = Fraction(SCALE) if rate is None else SCALE / rate
        self._row, self._target, self._source = rows.row, rows.target, rows.source
        self._count, self._inner = len(rows.block), rows.inner
        self._first = np.append(0, np.flatnonzero(np.diff(rows.block)) + 1)
        self._low, self._high = _floors(rows.least, factor), ceilings(rows.most, factor)
        changes = np.flatnonzero(np.diff(rows.row)) + 1
        self._begins = np.append(0, changes)[: len(rows.row)]
        self._filled = rows.row[self._begins]
        if self._inner:
            missing = self._row_sums(self._low)
            self._spare = np.array([SCALE - int(x) for x in missing], dtype=object)
        elif rate is not None and max(self._row_sums(self._high), default=0) > SCALE:
            raise Contradiction("rate", "it is not above the outflow of every block")

    def _row_sums(self, entries: Integers) -> Integers:
        sums = np.array([0] * self._count, dtype=object)
        if len(entries):
            sums[self._filled] = np.add.reduceat(entries, self._begins)
        return sums

    def step(self, values: Integers) -> Integers:
        """Return the next u, rounded up."""
        if self._inner:
            return self._mixed(values)
        differences = values[self._target] - values[self._source]
        rates = np.where((differences > 0).astype(bool), self._high, self._low)
        drifts = self._row_sums(rates * differences)
        if self._count > len(values):
            drifts = np.maximum.reduceat(drifts, self._first)
        following: Integers = values - (-drifts >> _BITS)
        return following

    def _mixed(self, values: Integers) -> Integers:
        """Fill every row with the least bounds, and what is missing to one with the largest values first."""
        place = np.empty(self._count, dtype=np.int64)
        place[np.argsort(-values, kind="stable")] = np.arange(self._count)
        order = np.lexsort((place[self._target], self._row))
        room = (self._high - self._low)[order]
        before = np.cumsum(room) - room
        lengths = np.diff(np.append(self._begins, len(order)))
        before -= np.repeat(before[self._begins], lengths)
        left = np.repeat(self._spare[self._filled], lengths) - before
        rates = self._low[order] + np.clip(left, 0, room)
        following: Integers = -(-self._row_sums(rates * values[self._target[order]]) >> _BITS)
        return following


def poisson_mixtures(
    step: Step,
    start: Integers,
    means: list[Fraction],
    steps: int,
    *,
    narrow: int = -1,
    progress: Progress | None = None,
) -> tuple[list[list[Fraction]], int]:
    """Return for every mean m the bounds w_B = sum over k of Poisson(m, k) u_k(B), times `SCALE`.

    Also return the number of steps made.

    - step (callable): returns the next u, whose maximum is not larger
    - steps: steps after which u_k is replaced by its maximum
    - narrow: also end once the span of u_k is at most this
    """
    windows = [poisson_window(mean) for mean in means]
    last = min(steps, max((window.last for window in windows), default=0))
    totals = [np.array([0] * len(start), dtype=object) for _ in windows]
    done, values, least = 0, start, min(start)
    for done, values in _walk(step, start, last, narrow, progress):
        least = min(least, *values)
        for i, window in enumerate(windows):
            if window.first <= done <= window.last:
                totals[i] += window.high[done - window.first] * values
    levels = (int(least), int(max(values)), int(max(start)))
    found = [
        _mixture(window, total, levels, done) for window, total in zip(windows, totals, strict=True)
    ]
    return found, done


def _mixture(
    window: Window, total: Integers, levels: tuple[int, int, int], done: int
) -> list[Fraction]:
    """Bound a mixture, given a lower bound of all values, the last maximum and the first one.

    Values before the window are at most the first maximum, those after the last step at most the last one.
    """
    least, most, top = levels
    used = max(0, done + 1 - window.first)
    weight = sum(window.high[:used])
    later = sum(window.high[used:]) + window.after
    beyond = window.before * (top - least) + later * (most - least)
    if not used:
        return [Fraction(most) + Fraction(window.before * (top - most), window.least)] * len(total)
    return [
        Fraction(int(x) - weight * least + beyond, window.least) + least for x in total.tolist()
    ]


def values_after(
    step: Step,
    start: Integers,
    times: list[int],
    steps: int,
    *,
    narrow: int = -1,
    progress: Progress | None = None,
) -> tuple[list[list[Fraction]], int]:
    """Return u_t for every number of steps t, and the steps made; see `poisson_mixtures`."""
    found: dict[int, list[Fraction]] = {}
    done, values = 0, start
    for done, values in _walk(step, start, min(steps, max(times, default=0)), narrow, progress):
        if done in times:
            found[done] = [Fraction(int(x)) for x in values.tolist()]
    limit = [Fraction(int(max(values)))] * len(start)
    return [found.get(time, limit) for time in times], done


def _walk(
    step: Step, start: Integers, last: int, narrow: int, progress: Progress | None
) -> Iterator[tuple[int, Integers]]:
    """Yield 0, 1, 2, ... and u_0, u_1, u_2, ... up to the last step, or until their span is narrow."""
    done, values = 0, start
    yield done, values
    while done < last and max(values) - min(values) > narrow:
        values, done = step(values), done + 1
        yield done, values
        if progress is not None and done % _OFTEN == 0:
            progress(done, last)
