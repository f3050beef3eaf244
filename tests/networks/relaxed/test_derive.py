"""Every bound holds at every point, for any lift; traps of the theory are tests."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import box, dense, lift, perturbed, point, sides

from lumpability import Network
from lumpability.networks.activations import activation
from lumpability.networks.difference import AffineLayer, affine_layers, ranges
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.regions import Box
from lumpability.networks.relaxed.derive import difference
from lumpability.networks.relaxed.lines import act, lines_of, pair_lines
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.networks.relaxed.side import Refuted, side

SEEDS = st.integers(0, 2**32)


def leaky(slope: float) -> AffineLayer:
    """Return a layer of one unit with a slope for negative numbers."""
    act = activation("leaky_relu", alpha=slope)
    return AffineLayer((0,), (np.eye(1),), np.zeros(1), act, np.array([slope]))


def fraction(value: Scaled) -> Fraction:
    (number,) = value.numbers.ravel()
    return Fraction(int(number)) / Fraction(2) ** value.scale


@given(SEEDS, st.sampled_from(["relu", "identity", "leaky_relu"]), st.booleans())
def test_the_difference_at_every_point_is_within_the_bound_for_any_lift(
    seed: int, act_name: str, near: bool
) -> None:
    random = np.random.default_rng(seed)
    sizes = [int(k) for k in random.integers(1, 5, size=random.integers(2, 5))]
    network = dense(random, sizes, act=act_name)
    if near:
        other = perturbed(random, network, 0.1)
        lifts = [Lift.identity(n) for n in sizes[1:-1]]
    else:
        middle = [int(k) for k in random.integers(1, 5, size=len(sizes) - 2)]
        other = dense(random, [sizes[0], *middle, sizes[-1]], act=act_name)
        lifts = [lift(random, m, n) for m, n in zip(middle, sizes[1:-1], strict=True)]
    region = box(random, sizes[0])
    low, high = difference(*sides(network, other, region), [*lifts, Lift.identity(sizes[-1])])
    for _ in range(4):
        x = point(random, region)
        gap = network.exact(x) - other.exact(x)
        for k, value in enumerate(gap.tolist()):
            assert fraction(low[k : k + 1]) <= value <= fraction(high[k : k + 1])


def test_equal_networks_differ_by_exactly_nothing() -> None:
    random = np.random.default_rng(0)
    network = dense(random, [3, 5, 5, 2])
    lifts = [Lift.identity(n) for n in (5, 5, 2)]
    low, high = difference(*sides(network, network, box(random, 3)), lifts)
    assert not low.nonzero.any()
    assert not high.nonzero.any()


def test_constants_enter_the_residual_of_the_next_layer() -> None:
    # relu(x + 2) on [0, 1] as the constant 5/2: half off, times 4 in the next layer.
    network = Network.dense([([[1]], [2], "relu"), ([[4]], [1], None)])
    other = Network.dense([([[0]], [0], "relu"), ([[0]], [11], None)])
    lifts = [Lift(np.zeros((1, 1)), np.array([2.5])), Lift.identity(1)]
    low, high = difference(*sides(network, other, Box([0], [1])), lifts)
    assert (fraction(low), fraction(high)) == (-2, 2)


def test_planes_use_the_lifted_pre_activation() -> None:
    # h = 2 relu(x), h^ = relu(x) with factor 2: equal though z and z^ are not.
    network = Network.dense([([[2]], None, "relu"), ([[1]], None, None)])
    other = Network.dense([([[1]], None, "relu"), ([[2]], None, None)])
    lifts = [Lift(np.array([[2.0]]), np.zeros(1)), Lift.identity(1)]
    low, high = difference(*sides(network, other, Box([-1], [1])), lifts)
    assert fraction(low) == fraction(high) == 0


@given(SEEDS, st.sampled_from([0.0, 0.1, 1.0]))
def test_lines_enclose_the_activation_exactly(seed: int, slope: float) -> None:
    random = np.random.default_rng(seed)
    ends = np.sort(random.normal(size=2) * 10.0 ** random.integers(-3, 4))
    low, high, own = Scaled.of(ends[:1]), Scaled.of(ends[1:]), Scaled.of([slope])
    found = lines_of(leaky(slope), low, high)
    for share in (0, 0.25, 0.5, 1):
        at = low * Scaled.of(1.0 - share) + high * Scaled.of(share)
        value = act(own, at)
        assert not (found.low_slope * at + found.low_shift).exceeds(value).any()
        assert not value.exceeds(found.high_slope * at + found.high_shift).any()


@given(SEEDS, st.sampled_from([0.0, 0.25]))
def test_planes_enclose_the_difference_of_activations_exactly(seed: int, slope: float) -> None:
    random = np.random.default_rng(seed)
    t, y = random.normal(size=(2, 3)) * 2.0 ** random.integers(-4, 4)
    own = Scaled.of([slope])
    on_y, on_t = ((Scaled.of([min(v)]), Scaled.of([max(v)])) for v in (y, t))
    sums = [Scaled.of([a]) + Scaled.of([b]) for a, b in zip(t, y, strict=True)]
    on_z = (sums[0].least(sums[1]).least(sums[2]), sums[0].most(sums[1]).most(sums[2]))
    found = pair_lines(leaky(slope), np.array([0]), on_y, on_z, on_t)
    for at_t, at_y in zip(t, y, strict=True):
        a, b = Scaled.of([at_t]), Scaled.of([at_y])
        value = act(own, a + b) - act(own, b)
        assert not (found.low_t * a + found.low_y * b + found.low_shift).exceeds(value).any()
        assert not value.exceeds(found.high_t * a + found.high_y * b + found.high_shift).any()
        assert not found.low.exceeds(value).any()
        assert not value.exceeds(found.high).any()


def test_the_chord_of_a_wide_range_keeps_its_intercept() -> None:
    # u - s u cancels: a slack relative to the intercept would be far too small.
    low, high = Scaled.of([-1e-9]), Scaled.of([1e9])
    line = lines_of(leaky(0.0), low, high)
    assert not high.exceeds(line.high_slope * high + line.high_shift).any()


@given(SEEDS)
def test_ranges_that_are_tightened_by_a_billionth_are_refused(seed: int) -> None:
    random = np.random.default_rng(seed)
    network, region = dense(random, [2, 3, 3, 1]), box(random, 2)
    affine = affine_layers(network)
    claims = ranges(affine, region.floats)
    layer = int(random.integers(0, 3))
    unit = int(random.integers(0, affine.layers[layer].units))
    if random.random() < 0.5:
        claims.low[layer][unit] += 1e-9
    else:
        claims.high[layer][unit] -= 1e-9
    ends = (Scaled.of(region.floats[0]), Scaled.of(region.floats[1]))
    pairs = list(zip(claims.low, claims.high, strict=True))
    with pytest.raises(Refuted):
        side(affine, ends, pairs, proved=True)
