"""Lines around relu(y + t) - relu(y), the difference of a unit from its counterpart.

The arguments lie in a polygon: y in [ly, uy], z = y + t in [lz, uz], t in [ta, tb].  The function is affine on the
pieces into which the lines y = 0 and z = 0 cut the polygon.  So a line alpha t + beta y + gamma lies above it if and
only if it does so at the vertices of the pieces.  Any slopes give a valid line, with gamma from the vertices.  Of
some slopes (facets of the upper envelope in the usual positions) the one is taken whose line is lowest at the
centre of the polygon.  A lower line is the mirror image of an upper one: relu(y) - relu(z) has the arguments z
and -t.

Vertices round by ulps of the ends: points that far outside count as inside, and gamma is raised as far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.networks.difference.affine import AffineLayer
from lumpability.networks.difference.lines import slope_range
from lumpability.networks.difference.rounding import TINY, UNIT, down, up
from lumpability.numbers.float_arrays import Array


@dataclass(frozen=True, eq=False)
class PairLines:
    """Lines around the difference of each unit: slopes in t and in y, and intercept.

    - low, high: tuple of three float64 arrays, shape (units,)
    """

    low: tuple[Array, Array, Array]
    high: tuple[Array, Array, Array]


@dataclass(frozen=True, eq=False)
class Polygon:
    """Ranges of y, z = y + t and t of each unit, float64 arrays of shape (units,)."""

    y: tuple[Array, Array]
    z: tuple[Array, Array]
    t: tuple[Array, Array]

    def mirrored(self) -> Polygon:
        """Return the polygon with y and z exchanged, and t of the other sign."""
        return Polygon(self.z, self.y, (-self.t[1], -self.t[0]))

    def of(self, units: Array) -> Polygon:
        """Return the polygons of some units."""
        return Polygon(*((a[units], b[units]) for a, b in (self.y, self.z, self.t)))

    @property
    def size(self) -> Array:
        """The largest absolute value of an end, by unit."""
        return np.asarray(np.max(np.abs([*self.y, *self.z, *self.t]), axis=0))

    def vertices(self) -> tuple[Array, Array, Array]:
        """Return y and t of the vertices of all pieces, and which of them are in the polygon.

        Shape (21, units): all crossings of y in {ly, 0, uy}, z in {lz, 0, uz}, t in {ta, tb}.
        """
        zero = np.zeros_like(self.y[0])
        ys, zs, ts = (self.y[0], zero, self.y[1]), (self.z[0], zero, self.z[1]), self.t
        y = np.array(
            [
                *(y for y in ys for _ in zs),
                *(y for y in ys for _ in ts),
                *(z - t for z in zs for t in ts),
            ]
        )
        t = np.array(
            [
                *(z - y for y in ys for z in zs),
                *(t for _ in ys for t in ts),
                *(t for _ in zs for t in ts),
            ]
        )
        room = 16 * UNIT * self.size + TINY
        z = y + t
        inside = np.ones(y.shape, dtype=bool)
        for value, (low, high) in ((y, self.y), (z, self.z), (t, self.t)):
            inside &= (value >= low - room) & (value <= high + room)
        return y, t, inside


def difference_lines(layer: AffineLayer, polygon: Polygon) -> tuple[PairLines, Array, Array]:
    """Return lines around act(y + t) - act(y) of every unit of a layer, and bounds of it."""
    low, high = (np.minimum(polygon.y[0], polygon.z[0]), np.maximum(polygon.y[1], polygon.z[1]))
    least, most = slope_range(layer, low, high)
    (ta, tb), exact = polygon.t, least == most
    bottom = np.where(ta >= 0, least, most) * ta
    top = np.where(tb >= 0, most, least) * tb
    whole = exact & ((most == 0) | (most == 1))
    bottom, top = np.where(whole, bottom, down(bottom)), np.where(whole, top, up(top))
    bottom, top = np.where(ta == 0, 0.0, bottom), np.where(tb == 0, 0.0, top)
    if layer.slopes is None:
        return _steep_lines(polygon, least, most), bottom, top
    found, own = relu_difference_lines(polygon), layer.slopes
    if own.any():
        found = PairLines(
            _tilted(own, found.low, polygon, -1), _tilted(own, found.high, polygon, 1)
        )
    return found, bottom, top


def _tilted(
    own: Array, line: tuple[Array, Array, Array], polygon: Polygon, sign: int
) -> tuple[Array, Array, Array]:
    """Return lines of own t + (1 - own) times what the line encloses."""
    alpha, beta, gamma = line
    rest = 1 - own
    slack = 16 * UNIT * (1 + np.abs(alpha) + np.abs(beta)) * polygon.size + TINY
    slack = np.where((own == 0) | (own == 1) | _still(polygon), 0.0, slack)
    return own + rest * alpha, rest * beta, rest * gamma + sign * slack


def _still(polygon: Polygon) -> Array:
    return np.asarray((polygon.t[0] == 0) & (polygon.t[1] == 0))


def _steep_lines(polygon: Polygon, least: Array, most: Array) -> PairLines:
    """Return lines in t alone of a function whose slopes lie between two bounds."""
    ta, tb = polygon.t
    sides = []
    for below, above in ((most, least), (least, most)):
        at_a, at_b = np.where(ta >= 0, above, below) * ta, np.where(tb >= 0, above, below) * tb
        slope = np.where(tb > ta, (at_b - at_a) / np.where(tb > ta, tb - ta, 1), 0.0)
        sign = 1.0 if above is most else -1.0
        over = np.maximum(sign * (at_a - slope * ta), sign * (at_b - slope * tb))
        shift = over + 16 * UNIT * np.maximum(np.abs(ta), np.abs(tb)) + TINY
        sides.append((slope, np.zeros_like(ta), np.where(_still(polygon), 0.0, sign * shift)))
    return PairLines(*sides)


def relu_difference_lines(polygon: Polygon) -> PairLines:
    """Return lines around relu(y + t) - relu(y) on a polygon.

    >>> unit = lambda *ends: tuple(np.array([float(end)]) for end in ends)
    >>> active = Polygon(unit(1, 2), unit(0, 3), unit(-1, 1))
    >>> [x.item() for x in relu_difference_lines(active).high]
    [1.0, 0.0, 0.0]
    >>> mixed = Polygon(unit(-4, 4), unit(-5, 5), unit(-1, 1))
    >>> [round(x.item(), 9) for x in relu_difference_lines(mixed).high]
    [0.5, 0.0, 0.5]
    """
    high = _upper(polygon)
    alpha, beta, gamma = _upper(polygon.mirrored())
    return PairLines((alpha - beta, -beta, -gamma), high)


def relu_lines(polygon: Polygon) -> list[list[tuple[Array, Array, Array]]]:
    """Return lower and upper lines, several of each: slopes in t and in y, and intercepts."""
    upper = list(zip(*_raised(polygon, *_candidates(polygon)), strict=True))
    mirrored = polygon.mirrored()
    lower = zip(*_raised(polygon, *_candidates(mirrored)), strict=True)
    return [[(alpha - beta, -beta, -gamma) for alpha, beta, gamma in lower], upper]


def _candidates(polygon: Polygon) -> tuple[Array, Array, Array]:
    """Return slopes and intercepts of upper lines, shape (candidates, units); intercepts are not raised yet."""
    y, t, inside = polygon.vertices()
    value = np.maximum(y + t, 0) - np.maximum(y, 0)
    alpha, beta = _slopes(polygon)
    with np.errstate(invalid="ignore"):
        over = value - alpha[:, None] * t - beta[:, None] * y
        over = np.where(inside, over, -np.inf).max(axis=1)
    return alpha, beta, over


def _raised(polygon: Polygon, alpha: Array, beta: Array, over: Array) -> tuple[Array, Array, Array]:
    """Return lines whose intercepts cover what the vertices round."""
    chosen = np.maximum(np.abs(alpha), 1) + np.abs(beta)
    return alpha, beta, over + 64 * UNIT * chosen * polygon.size + TINY


def _upper(polygon: Polygon) -> tuple[Array, Array, Array]:
    y, t, inside = polygon.vertices()
    alpha, beta, over = _candidates(polygon)
    count = inside.sum(axis=0)
    centre_y, centre_t = (np.where(inside, x, 0).sum(axis=0) / count for x in (y, t))
    place = (np.argmin(over + alpha * centre_t + beta * centre_y, axis=0), np.arange(len(count)))
    raised = _raised(polygon, alpha[place], beta[place], over[place])
    return _where_stable(polygon, *raised)


def _slopes(polygon: Polygon) -> tuple[Array, Array]:
    """Return candidates for the slopes in t and in y, each of shape (candidates, units)."""
    (ly, uy), (lz, uz), (ta, tb) = polygon.y, polygon.z, polygon.t
    zero, one = np.zeros_like(ly), np.ones_like(ly)
    chord = _ratio(np.maximum(tb, 0) - np.maximum(ta, 0), tb - ta)
    over_z = _ratio(np.maximum(uz, 0) - np.maximum(lz, 0), uz - lz)
    rising, falling = _ratio(np.maximum(tb, 0), -ly), _ratio(np.minimum(ta, 0), uy)
    pairs = [
        (chord, zero),
        (one, zero),
        (zero, zero),
        (one, one),
        (zero, -one),
        (over_z, over_z),
        (over_z, over_z - 1),
        (zero, np.clip(rising, 0, 1)),
        (one, np.clip(falling, -1, 0)),
    ]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


def _ratio(over: Array, under: Array) -> Array:
    return np.asarray(np.where(under > 0, over / np.where(under > 0, under, 1), 0.0))


def _where_stable(
    polygon: Polygon, alpha: Array, beta: Array, gamma: Array
) -> tuple[Array, Array, Array]:
    """Put in the function itself where it is affine: t, 0, -y or z; and 0 where t is 0."""
    (ly, uy), (lz, uz), (ta, tb) = polygon.y, polygon.z, polygon.t
    cases = [
        ((ta == 0) & (tb == 0), 0.0, 0.0),
        ((ly >= 0) & (lz >= 0), 1.0, 0.0),
        ((uy <= 0) & (uz <= 0), 0.0, 0.0),
        ((ly >= 0) & (uz <= 0), 0.0, -1.0),
        ((uy <= 0) & (lz >= 0), 1.0, 1.0),
    ]
    for where, in_t, in_y in reversed(cases):
        alpha, beta = np.where(where, in_t, alpha), np.where(where, in_y, beta)
        gamma = np.where(where, 0.0, gamma)
    return alpha, beta, gamma
