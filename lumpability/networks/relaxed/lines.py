"""Lines around activations, and around differences of activations, proved at vertices.

Slopes are anybody's choice: those of `lumpability.networks.difference` are taken.  Intercepts are what they need, in
exact arithmetic.  For act(z) = z for z >= 0 and s z otherwise, 0 <= s <= 1, a line lies above act on [l, u] if it
does at l, at u and at 0, because act is affine between these.  In the same way act(y + t) - act(y) is affine on the
parts into which y = 0 and y + t = 0 cut

    {ly <= y <= uy,  l <= y + t <= u,  ta <= t <= tb},

so a plane in (t, y) bounds it if it does at the vertices of all parts, which are among the 21 points where two of
the eight lines y = ly, uy, 0, y + t = l, u, 0, t = ta, tb meet.  For another monotone function with slopes between m
and M, act(z) - m z rises, so lines of slope m through both ends enclose it; and act(y + t) - act(y) lies between m t
and M t for t >= 0, exchanged for t < 0: bounds that are convex and concave in t, whose chords enclose them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lumpability.networks.difference.affine import AffineLayer
from lumpability.networks.difference.lines import lines
from lumpability.networks.difference.pair_lines import Polygon, relu_difference_lines
from lumpability.networks.relaxed.functions import slopes_between, values_at
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.numbers.float_arrays import Array

Ends = tuple[Scaled, Scaled]


@dataclass(frozen=True, eq=False)
class Lines:
    """For each unit a line below and one above: slope times z plus shift."""

    low_slope: Scaled
    low_shift: Scaled
    high_slope: Scaled
    high_shift: Scaled


@dataclass(frozen=True, eq=False)
class PairLines:
    """For each unit planes below and above a function of (t, y), and its ends.

    The function is at least low_t t + low_y y + low_shift, and at most the same with "high".
    """

    low_t: Scaled
    low_y: Scaled
    low_shift: Scaled
    high_t: Scaled
    high_y: Scaled
    high_shift: Scaled
    low: Scaled
    high: Scaled

    def with_units(self, units: Array, some: PairLines) -> PairLines:
        """Return planes with those of some units replaced."""
        return PairLines(
            *(old.replaced(units, new) for old, new in zip(_parts(self), _parts(some), strict=True))
        )


def _parts(planes: PairLines) -> list[Scaled]:
    return list(vars(planes).values())


def act(slopes: Scaled, z: Scaled) -> Scaled:
    """Return z where it is not negative, and the slope times z elsewhere."""
    return z.positive + slopes * z.negative


def image(layer: AffineLayer, low: Scaled, high: Scaled) -> Ends:
    """Return the range of the activation of each unit between bounds of its argument."""
    if layer.slopes is None:
        return values_at(layer.activation, low)[0], values_at(layer.activation, high)[1]
    slopes = Scaled.of(layer.slopes)
    return act(slopes, low), act(slopes, high)


def lines_of(layer: AffineLayer, low: Scaled, high: Scaled) -> Lines:
    """Return lines around the activation of each unit between bounds of its argument."""
    chosen = lines(layer, low.floats(), high.floats())
    if layer.slopes is None:
        slope = Scaled.of(chosen.low_slope).least(slopes_between(layer.activation, low, high)[0])
        bottom, top = image(layer, low, high)
        return Lines(slope, bottom - slope * low, slope, top - slope * high)
    own = Scaled.of(layer.slopes)
    zero, found = Scaled.zeros(*low.shape), []
    across = zero.exceeds(low) & high.exceeds(zero)
    for tilted, least in ((chosen.low_slope, True), (chosen.high_slope, False)):
        tilt = Scaled.of(tilted)
        gaps = [act(own, z) - tilt * z for z in (low, high)]
        ends = gaps[0].least(gaps[1]) if least else gaps[0].most(gaps[1])
        bent = ends.least(zero) if least else ends.most(zero)  # at z = 0 the gap is 0
        found += [tilt, bent.where(across) + ends.where(~across)]
    return Lines(*found)


def pair_lines(layer: AffineLayer, units: Array, y: Ends, z: Ends, t: Ends) -> PairLines:
    """Return planes around act(y + t) - act(y) of some units, for the ends of y, z = y + t and t.

    Raises `ValueError` if the ends contradict each other.
    """
    if layer.slopes is None:
        return _steep_lines(layer, y, z, t)
    own = layer.slopes[units]
    slopes = Scaled.of(own)
    points = list(_vertices(y, z, t))
    inside = np.array([where for _, _, where in points])
    if not inside.any(axis=0).all():
        raise ValueError("the ends of a unit contradict each other")
    values = [act(slopes, at_y + at_t) - act(slopes, at_y) for at_t, at_y, _ in points]
    chosen = relu_difference_lines(Polygon(*((a.floats(), b.floats()) for a, b in (y, z, t))))
    found: list[Any] = []
    for (along_t, along_y, _), least in ((chosen.low, True), (chosen.high, False)):
        tilt_t, tilt_y = Scaled.of(own + (1 - own) * along_t), Scaled.of((1 - own) * along_y)
        gaps = [
            value - tilt_t * at_t - tilt_y * at_y
            for value, (at_t, at_y, _) in zip(values, points, strict=True)
        ]
        found += [tilt_t, tilt_y, _extreme(gaps, inside, least=least)]
    ends = [_extreme(values, inside, least=least) for least in (True, False)]
    return PairLines(*found, *ends)


def _steep_lines(layer: AffineLayer, y: Ends, z: Ends, t: Ends) -> PairLines:
    """Return planes in t alone of a function whose slopes lie between two bounds."""
    least, most = slopes_between(layer.activation, y[0].least(z[0]), y[1].most(z[1]))
    zero = Scaled.zeros(*t[0].shape)
    found: list[Any] = []
    ends = []
    for below, above, lower in ((most, least, True), (least, most, False)):
        values = [above * one.positive + below * one.negative for one in t]
        width = t[1].floats() - t[0].floats()
        rise = values[1].floats() - values[0].floats()
        tilt = Scaled.of(np.where(width > 0, rise / np.where(width > 0, width, 1), 0.0))
        gaps = [value - tilt * one for value, one in zip(values, t, strict=True)]
        shift = gaps[0].least(gaps[1]) if lower else gaps[0].most(gaps[1])
        found += [tilt, zero, shift]
        ends.append(values[0] if lower else values[1])
    return PairLines(*found, *ends)


def moved(planes: PairLines, shift: Scaled) -> PairLines:
    """Return the planes of a function minus a constant."""
    names = ("low_shift", "high_shift", "low", "high")
    return replace(planes, **{name: getattr(planes, name) - shift for name in names})


def _vertices(y: Ends, z: Ends, t: Ends) -> Iterator[tuple[Scaled, Scaled, Array]]:
    """Yield (t, y, where it is in the region) for the points where two of the lines meet."""
    zero = Scaled.zeros(*y[0].shape)
    some = [(at_z - at_y, at_y) for at_y in (*y, zero) for at_z in (*z, zero)]
    some += [(at_t, at_y) for at_y in (*y, zero) for at_t in t]
    some += [(at_t, at_z - at_t) for at_z in (*z, zero) for at_t in t]
    for at_t, at_y in some:
        at_z = at_y + at_t
        inside = np.ones(at_t.shape, dtype=bool)
        for value, (low, high) in ((at_y, y), (at_z, z), (at_t, t)):
            inside &= ~low.exceeds(value) & ~value.exceeds(high)
        yield at_t, at_y, inside


def _extreme(values: list[Scaled], inside: Array, *, least: bool) -> Scaled:
    """Return the least or largest of values that are inside, for each unit."""
    first = inside.argmax(axis=0)
    result = values[0].where(first == 0)
    for number, value in enumerate(values[1:], start=1):
        result = result + value.where(first == number)
    for value, where in zip(values, inside, strict=True):
        better = result.least(value) if least else result.most(value)
        result = better.where(where) + result.where(~where)
    return result
