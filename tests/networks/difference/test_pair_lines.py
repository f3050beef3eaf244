"""Lines around the difference of two units: they enclose it on the whole polygon, in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.networks.activations import activation
from lumpability.networks.difference.affine import AffineLayer, negative_slopes
from lumpability.networks.difference.pair_lines import Polygon, difference_lines


def _layer(name: str, **parameters: float) -> AffineLayer:
    act = activation(name, **parameters)
    return AffineLayer((0,), (np.eye(1),), np.zeros(1), act, negative_slopes(act, 1))


def _polygon(ends: list[tuple[float, float]]) -> Polygon:
    return Polygon(*((np.array([low]), np.array([high])) for low, high in ends))


def _points(ends: list[tuple[float, float]]) -> list[tuple[Fraction, Fraction]]:
    """Return y and t at crossings of the sides and the bends, and between them, as far as they are inside."""
    (ly, uy), (lz, uz), (ta, tb) = ([Fraction(x) for x in pair] for pair in ends)
    ys, zs, ts = ([low, high, (low + high) / 2] for low, high in ((ly, uy), (lz, uz), (ta, tb)))
    found = [(y, t) for y in (*ys, Fraction(0)) for t in (*ts, Fraction(0), -y)]
    found += [(y, z - y) for y in (*ys, Fraction(0)) for z in (*zs, Fraction(0))]
    found += [(z - t, t) for z in (*zs, Fraction(0)) for t in ts]
    return [(y, t) for y, t in found if ly <= y <= uy and lz <= y + t <= uz and ta <= t <= tb]


def _random_polygon(random: np.random.Generator) -> list[tuple[float, float]]:
    """Return ranges of y, z and t that have a point in common."""
    y, t = random.normal(size=2) * [1.0, 0.25]
    widths = random.exponential(size=6) * [1, 1, 1, 1, 0.25, 0.25] * (random.random(6) > 0.15)
    centres = (y, y + t, t)
    return [
        (centre - below, centre + above)
        for centre, below, above in zip(centres, widths[::2], widths[1::2], strict=True)
    ]


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.0, 0.01, 0.25, 1.0]))
def test_lines_of_the_relu_family_enclose_the_difference_on_the_whole_polygon(
    seed: int, alpha: float
) -> None:
    random, layer = np.random.default_rng(seed), _layer("leaky_relu", alpha=alpha)
    for _ in range(10):
        ends = _random_polygon(random)
        lines, bottom, top = difference_lines(layer, _polygon(ends))
        low, high = ([Fraction(x.item()) for x in side] for side in (lines.low, lines.high))
        for at, move in _points(ends):
            first, second = (layer.activation.value(z) for z in (at + move, at))
            assert first is not None
            assert second is not None
            assert low[0] * move + low[1] * at + low[2] <= first - second
            assert first - second <= high[0] * move + high[1] * at + high[2]
            assert Fraction(bottom.item()) <= first - second <= Fraction(top.item())


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "softsign", "atan", "elu", "clip"])
def test_lines_of_other_activations_enclose_the_difference(name: str) -> None:
    random = np.random.default_rng(0)
    layer = _layer(name, **({"low": -0.5, "high": 1.0} if name == "clip" else {}))
    for _ in range(60):
        (ly, uy), (ta, tb) = np.sort(random.normal(size=(2, 2)) * 2)
        lines, bottom, top = difference_lines(
            layer, _polygon([(ly, uy), (ly + ta, uy + tb), (ta, tb)])
        )
        y, t = random.uniform(ly, uy, size=500), random.uniform(ta, tb, size=500)
        y[:2], t[:2] = [ly, uy], [ta, tb]
        gap = layer.activation(y + t) - layer.activation(y)
        assert np.all(lines.low[0] * t + lines.low[1] * y + lines.low[2] <= gap + 1e-12)
        assert np.all(gap <= lines.high[0] * t + lines.high[1] * y + lines.high[2] + 1e-12)
        assert np.all(bottom - 1e-12 <= gap)
        assert np.all(gap <= top + 1e-12)


@pytest.mark.parametrize(
    ("ends", "line"),
    [
        ([(-2, 2), (-2, 2), (0, 0)], (0, 0, 0)),  # equal units
        ([(1, 2), (0, 3), (-1, 1)], (1, 0, 0)),  # both active
        ([(-2, -1), (-3, 0), (-1, 1)], (0, 0, 0)),  # both inactive
        ([(1, 2), (-2, -1), (-4, -2)], (0, -1, 0)),  # only the second active
        ([(-2, -1), (1, 2), (2, 4)], (1, 1, 0)),  # only the first active
    ],
)
def test_lines_of_stable_units_are_the_difference_itself(
    ends: list[tuple[float, float]], line: tuple[float, ...]
) -> None:
    lines, _, _ = difference_lines(_layer("relu"), _polygon(ends))
    for side in (lines.low, lines.high):
        assert tuple(x.item() for x in side) == line


def test_the_upper_line_of_an_unstable_unit_is_not_looser_than_the_chord_in_t() -> None:
    ends = [(-4.0, 4.0), (-5.0, 5.0), (-1.0, 3.0)]
    lines, _, _ = difference_lines(_layer("relu"), _polygon(ends))
    high = [x.item() for x in lines.high]
    assert high[2] <= 0.75 + 1e-12  # the value of the chord through (-1, 0) and (3, 3) at t = 0
