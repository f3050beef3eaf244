r"""The bound of the difference of two networks on a box, derived from lifts and ranges.

h_l are the values of the network, hats those of the reduced one; h_l is close to h^_l A_l + a_l.  With the residuals

    E_l = A_{l-1} W_l - W^_l A_l,      beta_l = a_{l-1} W_l + b_l - b^_l A_l,

d_l = h_l - (h^_l A_l + a_l), y_l = z^_l A_l and t_l = z_l - y_l, it holds exactly, for every input,

    t_l = h^_{l-1} E_l + d_{l-1} W_l + beta_l,      d_l = act(y_l + t_l) - act(y_l) - a_l,      d_0 = 0,

because act(c z^) = c act(z^) for the factors c > 0 of classes.  A unit whose column has several entries needs
act(z) = z for itself and for the units of its column; then d = t - a.  At the output A = I and a = 0, so t is the
difference.  Linear functionals of (h^, d) are pushed back layer by layer: d by planes in (t, y), h^ by lines in z^
(`lumpability.networks.relaxed.lines`), and take their least value on the box.  Ranges of z and z^ are claims,
and each is derived the same way from those below it.

With `Scaled` numbers everything is exact: coefficients are rounded down, and what that loses is subtracted.
With `Rough` numbers the same formulas serve a search.  O(L^2) products of matrices for L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.difference.affine import AffineNetwork
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.relaxed.lines import Lines, PairLines, act, lines_of, pair_lines
from lumpability.numbers.float_arrays import Array

__all__ = ["Refuted", "Side", "difference", "exact_ends", "piecewise", "side"]

BITS = 90
"""Coefficients are rounded to multiples of 2^-BITS, far below what floats round."""

Ends = tuple[Any, Any]


class Refuted(Exception):
    """A claimed range does not follow from those below it."""


@dataclass(eq=False)
class Side:
    """One network with ranges of all units on a box."""

    number: Any  # `Scaled` or `Rough`
    weights: list[Any]
    biases: list[Any]
    slopes: list[Any]
    ends: list[Ends]  # of the pre-activations
    posts: list[Ends] = field(default_factory=list)  # of the values; the first pair is the box
    lines: list[Lines] = field(default_factory=list)

    def linear(self, layer: int) -> Array:
        """Whether act(z) = z for each unit of a layer on the box."""
        zero = self.number.of(np.zeros(self.weights[layer].shape[1]))
        one = self.number.of(1.0)
        bent = (one - self.slopes[layer]).nonzero
        return np.asarray(~zero.exceeds(self.ends[layer][0]) | ~bent)


def piecewise(network: AffineNetwork) -> AffineNetwork:
    """Return a network if everything can be derived about it exactly, or raise `NotJustified`."""
    if not network.is_chain:
        raise NotJustified("the network is no chain of layers: joins are not covered here")
    for layer in network.layers:
        if layer.slopes is None:
            raise NotJustified(
                f"the activation {layer.activation.name} is not covered here: it takes irrational values; "
                "covered are ReLU, leaky ReLU and linear layers"
            )
        if not layer.is_exact:
            raise NotJustified(
                "batch normalisation, averages and divisions are not covered here: their weights are not "
                "the stored numbers"
            )
    return network


def side(
    number: Any,
    network: AffineNetwork,
    box: Ends,
    ends: Sequence[tuple[Array, Array]],
    *,
    proved: bool = False,
) -> Side:
    """Return a network with claimed ranges.

    Parameters
    ----------
    number : type
        `Scaled` or `Rough`.
    box : (number, number)
    ends : sequence of (low, high)
        Floats, of the pre-activations of every layer.
    proved : bool
        Whether to derive every range, and raise `Refuted` if one does not follow.
    """
    weights = [number.of(layer.weight) for layer in network.layers]
    biases = [number.of(layer.bias) for layer in network.layers]
    slopes = [number.of(layer.slopes) for layer in network.layers]
    claimed = [(number.of(low), number.of(high)) for low, high in ends]
    if [low.shape for low, _ in claimed] != [bias.shape for bias in biases]:
        raise Refuted("there is not one range for each unit")
    found = Side(number, weights, biases, slopes, claimed, [box])
    for layer, (low, high) in enumerate(claimed):
        if low.exceeds(high).any():
            raise Refuted(f"a range of layer {layer} is empty")
        if proved:
            _prove(found, layer, low, high)
        found.posts.append((act(slopes[layer], low), act(slopes[layer], high)))
        found.lines.append(lines_of(number, slopes[layer], low, high))
    return found


def _prove(found: Side, layer: int, low: Any, high: Any) -> None:
    """Derive the claimed ranges of a layer from those of the layers below it."""
    weight, bias = found.weights[layer], found.biases[layer]
    bottom, top = (end + bias for end in _between(weight, found.posts[layer]))
    for sign, missed in ((1, low.exceeds(bottom)), (-1, top.exceeds(high))):
        units = np.flatnonzero(missed)
        if len(units) and layer:
            matrix, shift, claimed = (
                weight[:, units],
                bias[units],
                (low if sign == 1 else high)[units],
            )
            if sign == 1:
                units = units[claimed.exceeds(_least(found, layer, matrix, shift))]
            else:
                units = units[(-claimed).exceeds(_least(found, layer, -matrix, -shift))]
        if len(units):
            name = "above" if sign == 1 else "below"
            raise Refuted(f"unit {units[0]} of layer {layer} does not stay {name} what is claimed")


def exact_ends(found: Side, layer: int, units: Array) -> Ends:
    """Return the range of some units of a layer that follows from the claimed ranges below it."""
    weight, bias = found.weights[layer][:, units], found.biases[layer][units]
    bottom, top = (end + bias for end in _between(weight, found.posts[layer]))
    if layer:
        bottom = bottom.most(_least(found, layer, weight, bias))
        top = top.least(-_least(found, layer, -weight, -bias))
    return bottom, top


def _between(coefficients: Any, ends: Ends) -> Ends:
    """Return the least and the largest values of functionals of numbers between ends."""
    (low, high), above, below = ends, coefficients.positive, coefficients.negative
    return low @ above + high @ below, high @ above + low @ below


def _least_of(coefficients: Any, ends: Ends) -> Any:
    """Return the least values of functionals of numbers between ends."""
    low, high = ends
    return low @ coefficients.positive + high @ coefficients.negative


def _rounded(number: Any, coefficients: Any, low: Any) -> tuple[Any, Any]:
    """Round coefficients down, and return what that takes from functionals of numbers that are at least `low`."""
    fewer = coefficients.down(BITS)
    changed = (coefficients - fewer).nonzero
    loss = (low.negative @ number.of(changed * 1.0)) * number.of(2.0**-BITS)
    return fewer, loss


def _least(found: Side, layer: int, coefficients: Any, constant: Any) -> Any:
    """Return lower bounds of functionals of the values below a layer."""
    for below in range(layer - 1, -1, -1):
        through, constant = _through_lines(found, below, coefficients, constant)
        constant = constant + found.biases[below] @ through
        coefficients = found.weights[below].matmul_down(through, BITS)
        constant = constant + _loss(found, below, through)
    return constant + _least_of(coefficients, found.posts[0])


def _loss(found: Side, layer: int, through: Any) -> Any:
    """Return what rounding the product of the weights of a layer with coefficients down takes at most."""
    low = found.posts[layer][0].negative
    total = low @ found.number.of(np.ones((low.shape[0], 1)))
    return (total * found.number.of(2.0**-BITS)).where(through.nonzero.any(axis=0))


def _through_lines(found: Side, layer: int, coefficients: Any, constant: Any) -> Ends:
    """Replace values of a layer by lines in their pre-activations."""
    line, above, below = found.lines[layer], coefficients.positive, coefficients.negative
    through = above * line.low_slope[:, None] + below * line.high_slope[:, None]
    through, loss = _rounded(found.number, through, found.ends[layer][0])
    return through, constant + line.low_shift @ above + line.high_shift @ below + loss


@dataclass(eq=False)
class _Layer:
    """One layer of both networks."""

    residual: Any  # E
    beta: Any
    matrix: Any  # A
    t: Ends
    d: Ends
    planes: PairLines


def difference(whole: Side, reduced: Side, lifts: Sequence[Lift]) -> Ends:
    """Return the least and the largest difference of each output, network minus reduced network.

    Parameters
    ----------
    whole, reduced : Side
    lifts : sequence of Lift
        One for each layer; the last one is the identity.
    """
    number = whole.number
    inputs = whole.weights[0].shape[0]
    before = Lift.identity(inputs)
    layers: list[_Layer] = []
    for place, lift in enumerate(lifts):
        if lift.full.shape != (reduced.weights[place].shape[1], whole.weights[place].shape[1]):
            raise InvalidInput(f"the lift of layer {place} does not fit both networks")
        above, below = number.of(lift.full), number.of(before.full)
        weight, fewer = whole.weights[place], reduced.weights[place]
        residual = (weight if before.is_identity else below @ weight) - (
            fewer if lift.is_identity else fewer @ above
        )
        beta = (
            whole.biases[place] - reduced.biases[place] @ above + number.of(before.shift) @ weight
        )
        one = _Layer(residual, beta, above, (beta, beta), (beta, beta), None)  # type: ignore[arg-type]
        one.t = _range_of_t(whole, reduced, layers, one)
        layers.append(one)
        last = place == len(lifts) - 1
        if last and not lift.is_identity:
            raise InvalidInput("the lift of the outputs is not the identity")
        one.planes = _planes(whole, reduced, place, one, lift)
        one.d = (one.planes.low, one.planes.high)
        before = lift
    ours, theirs = whole.posts[-1], reduced.posts[-1]
    low, high = layers[-1].d
    return low.most(ours[0] - theirs[1]), high.least(ours[1] - theirs[0])


def _range_of_t(whole: Side, reduced: Side, layers: list[_Layer], one: _Layer) -> Ends:
    """Return the range of t by intervals and by pushing back, whichever is tighter.

    A unit whose column is zero has t = z, whose range is known.
    """
    place, number = len(layers), whole.number
    weight = whole.weights[place]
    unmoved = number.of(np.zeros(weight.shape[0]))
    d = layers[-1].d if layers else (unmoved, unmoved)
    ends = []
    for sign in (1, -1):
        residual, matrix, beta = (
            (one.residual, weight, one.beta) if sign == 1 else (-one.residual, -weight, -one.beta)
        )
        least = _least_of(residual, reduced.posts[place]) + _least_of(matrix, d) + beta
        if layers:
            moving = matrix.nonzero & (d[0].nonzero | d[1].nonzero)[:, None]
            active = residual.nonzero.any(axis=0) | moving.any(axis=0)
            active = np.flatnonzero(active & one.matrix.nonzero.any(axis=0))
            if len(active):
                pending = (residual[:, active], matrix[:, active], beta[active])
                pushed = _push(whole, reduced, layers, pending)
                spread = np.zeros(len(beta.numbers), dtype=np.int64)
                spread[active] = np.arange(len(active))
                mask = np.zeros(len(spread), dtype=bool)
                mask[active] = True
                least = least.most(pushed[spread]).where(mask) + least.where(~mask)
        ends.append(least)
    return ends[0], -ends[1]


def _push(whole: Side, reduced: Side, layers: list[_Layer], pending: tuple[Any, Any, Any]) -> Any:
    """Return lower bounds of functionals of (h^, d) of the last of some layers, plus constants."""
    number = whole.number
    on_h, on_d, constant = pending
    for place in range(len(layers) - 1, -1, -1):
        one = layers[place]
        planes, above, below = one.planes, on_d.positive, on_d.negative
        on_t = above * planes.low_t[:, None] + below * planes.high_t[:, None]
        on_y = above * planes.low_y[:, None] + below * planes.high_y[:, None]
        on_t, loss = _rounded(number, on_t, one.t[0])
        constant = constant + planes.low_shift @ above + planes.high_shift @ below + loss
        through, constant = _through_lines(reduced, place, on_h, constant)
        if on_y.nonzero.any():
            through, loss = _rounded(number, through + one.matrix @ on_y, reduced.ends[place][0])
            constant = constant + loss
        constant = constant + reduced.biases[place] @ through + one.beta @ on_t
        on_h = reduced.weights[place] @ through + one.residual @ on_t
        on_h, loss = _rounded(number, on_h, reduced.posts[place][0])
        constant = constant + loss
        on_d = whole.weights[place] @ on_t
        if place:
            on_d, loss = _rounded(number, on_d, layers[place - 1].d[0])
            constant = constant + loss
    return constant + _least_of(on_h, reduced.posts[0])


def _planes(whole: Side, reduced: Side, place: int, one: _Layer, lift: Lift) -> PairLines:
    """Return planes around d of a layer, and its ends."""
    number = whole.number
    z, own, other = whole.ends[place], whole.slopes[place], reduced.slopes[place]
    low, high = reduced.ends[place]
    positive, negative = one.matrix.positive, one.matrix.negative
    y = (low @ positive + high @ negative, high @ positive + low @ negative)
    t = (one.t[0].most(z[0] - y[1]), one.t[1].least(z[1] - y[0]))
    one.t = t
    entries = lift.full != 0
    bent = entries & ~reduced.linear(place)[:, None]
    straight = whole.linear(place) & ~bent.any(axis=0)
    homogeneous = (entries.sum(axis=0) <= 1) & (lift.full >= 0).all(axis=0)
    first = entries.argmax(axis=0) if len(entries) else np.zeros(len(homogeneous), dtype=np.int64)
    if len(entries):
        homogeneous &= ~entries.any(axis=0) | ~(own - other[first]).nonzero
    shift = number.of(lift.shift)
    units = np.arange(len(homogeneous))
    exact = _constant_planes(number, t)
    one_t = number.of(np.ones(len(units)))
    result = PairLines(one_t, exact.low_y, exact.low_y, one_t, exact.low_y, exact.low_y, *t)
    curved = np.flatnonzero(homogeneous & ~straight)
    if len(curved):
        some = pair_lines(number, own[curved], *((a[curved], b[curved]) for a, b in (y, z, t)))
        result = _placed(result, some, curved)
    rest = np.flatnonzero(~homogeneous & ~straight)
    if len(rest):
        below, above = reduced.posts[place + 1]
        mine = whole.posts[place + 1]
        h = (
            mine[0] - (above @ positive + below @ negative),
            mine[1] - (below @ positive + above @ negative),
        )
        result = _placed(result, _constant_planes(number, (h[0][rest], h[1][rest])), rest)
    return PairLines(
        result.low_t,
        result.low_y,
        result.low_shift - shift,
        result.high_t,
        result.high_y,
        result.high_shift - shift,
        result.low - shift,
        result.high - shift,
    )


def _constant_planes(number: Any, ends: Ends) -> PairLines:
    zero = number.of(np.zeros(ends[0].shape))
    return PairLines(zero, zero, ends[0], zero, zero, ends[1], *ends)


def _placed(whole: PairLines, some: PairLines, units: Array) -> PairLines:
    """Return planes with those of some units replaced."""
    count = whole.low.shape[0]
    place = np.zeros(count, dtype=np.int64)
    place[units] = np.arange(len(units))
    mask = np.zeros(count, dtype=bool)
    mask[units] = True
    return PairLines(
        *(
            new[place].where(mask) + old.where(~mask)
            for old, new in zip(vars(whole).values(), vars(some).values(), strict=True)
        )
    )
