"""Lines around activations, and around differences of activations, proved at vertices.

Activations here are act(z) = z for z >= 0 and s z otherwise, 0 <= s <= 1.  The slope of a line is a choice; its
intercept is what the line needs.  A line lies above act on [l, u] if it does at l, at u and at 0, because act is
affine between these.  In the same way act(y + t) - act(y) is affine on the parts into which y = 0 and y + t = 0 cut

    {ly <= y <= uy,  l <= y + t <= u,  ta <= t <= tb},

so a line in (t, y) bounds it if it does at the vertices of all parts, which are among the 21 points where two of
the eight lines y = ly, uy, 0, y + t = l, u, 0, t = ta, tb meet.  Everything is a fixed function of the ends.  It is
written for `Scaled`, which proves, and `Rough`, which computes the same in floats for a search.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.numbers.float_arrays import Array

__all__ = ["Lines", "PairLines", "act", "lines_of", "pair_lines"]


@dataclass(frozen=True, eq=False)
class Lines:
    """For each unit a line below and one above: slope times z plus shift."""

    low_slope: Any
    low_shift: Any
    high_slope: Any
    high_shift: Any


@dataclass(frozen=True, eq=False)
class PairLines:
    """For each unit planes below and above a function of (t, y), and its ends.

    The function is at least low_t t + low_y y + low_shift, and at most the same with "high".
    """

    low_t: Any
    low_y: Any
    low_shift: Any
    high_t: Any
    high_y: Any
    high_shift: Any
    low: Any
    high: Any


def act(slopes: Any, z: Any) -> Any:
    """Return z where it is not negative, and the slope times z elsewhere."""
    return z.positive + slopes * z.negative


def lines_of(number: Any, slopes: Any, low: Any, high: Any) -> Lines:
    """Return lines around act on [low, high]; the slopes are those of CROWN for these ends as doubles.

    Parameters
    ----------
    number : type
        `Scaled` or `Rough`.
    slopes, low, high : arrays of that type, shape (units,)
    """
    own, bottom, top = slopes.floats(), low.floats(), high.floats()
    crossing = (bottom < 0) & (top > 0)
    width = np.where(crossing, top - bottom, 1.0)
    chord = np.where(crossing, np.minimum(top / width, 1.0), (bottom >= 0) * 1.0)
    below = np.where(crossing, (top > -bottom) * 1.0, chord)
    found = []
    for slope, least in ((below, True), (chord, False)):
        tilted = number.of(
            np.where(crossing, own + (1 - own) * slope, np.where(bottom >= 0, 1.0, own))
        )
        gaps = [act(slopes, z) - tilted * z for z in (low, high)]
        inside = number.of(np.zeros(len(own)))  # at z = 0 the gap is 0
        ends = gaps[0].least(gaps[1]) if least else gaps[0].most(gaps[1])
        with_zero = ends.least(inside) if least else ends.most(inside)
        spans = ~low.exceeds(inside) & ~inside.exceeds(high)
        found += [tilted, with_zero.where(spans) + ends.where(~spans)]
    return Lines(*found)


def pair_lines(
    number: Any, slopes: Any, y: tuple[Any, Any], z: tuple[Any, Any], t: tuple[Any, Any]
) -> PairLines:
    """Return planes around act(y + t) - act(y) for the ends of y, z = y + t and t.

    Raises `ValueError` if the ends contradict each other.
    """
    points = list(_vertices(number, y, z, t))
    inside = np.array([where for _, _, where in points])
    if not inside.any(axis=0).all():
        raise ValueError("the ends of a unit contradict each other")
    values = [act(slopes, at_y + at_t) - act(slopes, at_y) for at_t, at_y, _ in points]
    rough = np.array([[p.floats() for p in (at_t, at_y)] for at_t, at_y, _ in points])
    heights = np.array([value.floats() for value in values])
    ends_of = [(a.floats(), b.floats()) for a, b in (y, z, t)]
    choices = _slopes(slopes.floats(), *ends_of)
    near = _nearly_inside(rough, ends_of)
    found: list[Any] = []
    for least in (True, False):
        along_t, along_y = _best(choices, rough, heights, near, least=least)
        tilt_t, tilt_y = number.of(along_t), number.of(along_y)
        gaps = [
            value - tilt_t * at_t - tilt_y * at_y
            for value, (at_t, at_y, _) in zip(values, points, strict=True)
        ]
        found += [tilt_t, tilt_y, _extreme(gaps, inside, least=least)]
    ends = [_extreme(values, inside, least=least) for least in (True, False)]
    return PairLines(*found, *ends)


def _vertices(
    number: Any, y: tuple[Any, Any], z: tuple[Any, Any], t: tuple[Any, Any]
) -> Iterator[tuple[Any, Any, Array]]:
    """Yield (t, y, where it is in the region) for the points where two of the lines meet."""
    zero = number.of(np.zeros(y[0].shape))
    some = [(at_z - at_y, at_y) for at_y in (*y, zero) for at_z in (*z, zero)]
    some += [(at_t, at_y) for at_y in (*y, zero) for at_t in t]
    some += [(at_t, at_z - at_t) for at_z in (*z, zero) for at_t in t]
    for at_t, at_y in some:
        at_z = at_y + at_t
        inside = np.ones(at_t.shape, dtype=bool)
        for value, (low, high) in ((at_y, y), (at_z, z), (at_t, t)):
            inside &= ~low.exceeds(value) & ~value.exceeds(high)
        yield at_t, at_y, inside


def _slopes(
    own: Array, y: tuple[Array, Array], z: tuple[Array, Array], t: tuple[Array, Array]
) -> Array:
    """Return candidates of slopes along t and y, shape (candidates, 2, units)."""
    zero, one = np.zeros_like(own), np.ones_like(own)

    def chord(low: Array, high: Array) -> Array:
        width = np.where(high > low, high - low, 1.0)
        steep = np.clip((np.maximum(high, 0) - np.maximum(low, 0)) / width, 0, 1)
        return np.where(high > low, own + (1 - own) * steep, own)

    along_z, along_y, along_t = chord(*z), chord(*y), chord(*t)
    rising, falling = along_t, own + one - along_t
    pairs = [(zero, zero), (one, zero), (own, zero), (rising, zero), (falling, zero)]
    for steep in (along_z, one, own):
        pairs += [(steep, steep - other) for other in (along_y, one, own)]
    return np.array(pairs)


def _nearly_inside(points: Array, ends: list[tuple[Array, Array]]) -> Array:
    """Return which points are in the region up to rounding, shape (vertices, units).

    Only the choice of slopes depends on this, which should be the same for exact and for rough numbers.
    """
    along_t, along_y = points[:, 0], points[:, 1]
    inside = np.ones(along_t.shape, dtype=bool)
    for value, (low, high) in zip((along_y, along_y + along_t, along_t), ends, strict=True):
        slack = 1e-9 * (np.abs(low) + np.abs(high) + np.abs(along_y) + np.abs(along_t))
        inside &= (value >= low - slack) & (value <= high + slack)
    return inside


def _best(
    choices: Array, points: Array, heights: Array, inside: Array, *, least: bool
) -> tuple[Array, Array]:
    """Return the slopes whose plane has the smallest mean distance at the vertices."""
    # Shapes: choices (k, 2, units), points (vertices, 2, units), heights and inside (vertices, units).
    gaps = heights[None] - np.einsum("kcu,vcu->kvu", choices, points)
    signed = np.where(inside[None], gaps if least else -gaps, np.inf)
    tight = signed.min(axis=1)
    count = np.maximum(inside.sum(axis=0), 1)
    mean = np.where(inside[None], signed, 0).sum(axis=1) / count - tight
    # Of planes that are equally good but for rounding, the first one.
    best = (mean <= mean.min(axis=0) * (1 + 1e-6) + 1e-12).argmax(axis=0)
    units = np.arange(choices.shape[2])
    return choices[best, 0, units], choices[best, 1, units]


def _extreme(values: list[Any], inside: Array, *, least: bool) -> Any:
    """Return the least or largest of values that are inside, for each unit."""
    first = inside.argmax(axis=0)
    result = values[0].where(first == 0)
    for number, value in enumerate(values[1:], start=1):
        result = result + value.where(first == number)
    for value, where in zip(values, inside, strict=True):
        better = result.least(value) if least else result.most(value)
        result = better.where(where) + result.where(~where)
    return result
