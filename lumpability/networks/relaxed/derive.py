r"""The bound of the difference of two networks on a box, derived from lifts and ranges in exact arithmetic.

h_l are the values of the network, hats those of the reduced one; h_l is close to h^_l A_l + a_l.  With the residuals

    E_l = A_{l-1} W_l - W^_l A_l,      beta_l = a_{l-1} W_l + b_l - b^_l A_l

(one E for each source of a layer), d_l = h_l - (h^_l A_l + a_l), y_l = z^_l A_l and t_l = z_l - y_l, it holds exactly,
for every input,

    t_l = h^_{l-1} E_l + d_{l-1} W_l + beta_l,      d_l = act(y_l + t_l) - act(y_l) - a_l,      d_0 = 0,

if act(c z^) = c act(z^) for the factor c of the class, 0 for a constant.  Where act(z) = z for a unit and for those of its column,
d = t - a.  All other units are *split*: the lines of act(z) are used for h, and h^ A + a is subtracted.  At the
output A = I and a = 0, so t is the difference.

Linear functionals of (h^, d) are pushed back layer by layer: d by planes in (t, y), h^ by lines in z^
(`lumpability.networks.relaxed.lines`), and take their least value on the box.  Ranges of z and z^ are claims that
`lumpability.networks.relaxed.side` derives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.difference.affine import added
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.residuals import aligned
from lumpability.networks.relaxed.lines import Ends, PairLines, moved, pair_lines
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.networks.relaxed.side import (
    Side,
    Terms,
    least_of,
    multiplied,
    rounded,
    through_affine,
    through_lines,
)
from lumpability.numbers.float_arrays import Array


@dataclass(eq=False)
class _Pair:
    """Both networks, the lifts of all layers by their numbers, and the layers bounded so far."""

    whole: Side
    reduced: Side
    lifts: Sequence[Lift]
    layers: list[_Layer]

    def d(self, source: int) -> Ends:
        """Return the range of d of a layer, which is zero for the inputs."""
        if source == 0:
            zero = Scaled.zeros(self.whole.network.inputs)
            return zero, zero
        planes = self.layers[source - 1].planes
        assert planes is not None
        return planes.low, planes.high


@dataclass(eq=False)
class _Layer:
    """One layer of both networks."""

    residuals: tuple[Scaled, ...]  # E, one for each source
    beta: Scaled
    error: Scaled  # how far weights that are not the stored ones move t
    lift: Lift
    matrix: Scaled  # A
    t: Ends
    planes: PairLines | None = None
    split: Array | None = None


def difference(whole: Side, reduced: Side, lifts: Sequence[Lift]) -> Ends:
    """Return the least and the largest difference of each output, network minus reduced network.

    - whole, reduced: of networks with the same layers, their numbers of units aside
    - lifts: one for each layer; the last one is the identity

    Raises `NotJustified` or `InvalidInput` if the networks have different layers, or a lift does not fit.
    """
    if not aligned(whole.network, reduced.network):
        raise NotJustified("the networks do not have the same layers with the same activations")
    if not lifts[-1].is_identity:
        raise InvalidInput("the lift of the outputs is not the identity")
    pair = _Pair(whole, reduced, [Lift.identity(whole.network.inputs), *lifts], [])
    for number in range(1, len(pair.lifts)):
        pair.layers.append(_layer(pair, number))
    ours, theirs, planes = whole.posts[-1], reduced.posts[-1], pair.layers[-1].planes
    assert planes is not None
    return planes.low.most(ours[0] - theirs[1]), planes.high.least(ours[1] - theirs[0])


def _layer(pair: _Pair, number: int) -> _Layer:
    """Return a layer with its residuals, the range of t, and planes around d."""
    whole, reduced, lift, place = pair.whole, pair.reduced, pair.lifts[number], number - 1
    layer, fewer = whole.network.layers[place], reduced.network.layers[place]
    if lift.full.shape != (fewer.units, layer.units):
        raise InvalidInput(f"the lift of layer {place} does not fit both networks")
    matrix = Scaled.of(lift.full)
    beta, residuals = whole.biases[place] - reduced.biases[place] @ matrix, []
    for source, weight, less in zip(
        layer.sources, whole.matrices[place], reduced.matrices[place], strict=True
    ):
        below = pair.lifts[source]
        left = weight if below.is_identity else Scaled.of(below.full) @ weight
        residuals.append(left - (less if lift.is_identity else less @ matrix))
        beta = beta + Scaled.of(below.shift) @ weight
    error = whole.errors[place] + reduced.errors[place] @ matrix.size
    one = _Layer(tuple(residuals), beta, error, lift, matrix, (beta, beta))
    low, high = (_least_t(pair, one, number, sign) for sign in (1, -1))
    _set_planes(pair, number, one, (low, -high))
    return one


def _least_t(pair: _Pair, one: _Layer, number: int, sign: int) -> Scaled:
    """Return the least t, for the sign -1 the least -t, by intervals and by pushing back, whichever is tighter.

    A unit whose column is zero has t = z, whose range is known.
    """
    layer = pair.whole.network.layers[number - 1]
    least = (one.beta if sign == 1 else -one.beta) - one.error
    reduced_terms: Terms = {}
    moved_terms: Terms = {}
    active = np.zeros(layer.units, dtype=bool)
    for source, weight, residual in zip(
        layer.sources, pair.whole.matrices[number - 1], one.residuals, strict=True
    ):
        d = pair.d(source)
        signed, own = (x if sign == 1 else -x for x in (residual, weight))
        least = least + least_of(signed, pair.reduced.posts[source]) + least_of(own, d)
        added(reduced_terms, source, signed)
        active |= residual.nonzero.any(axis=0)
        if source:
            added(moved_terms, source, own)
            active |= (weight.nonzero & (d[0].nonzero | d[1].nonzero)[:, None]).any(axis=0)
    units = np.flatnonzero(active & one.matrix.nonzero.any(axis=0))
    if number == 1 or not len(units):
        return least
    terms = [
        {k: part[:, units] for k, part in each.items()} for each in (reduced_terms, moved_terms)
    ]
    constant = (one.beta if sign == 1 else -one.beta) - one.error
    return least.replaced(units, least[units].most(_push(pair, terms, constant[units])))


def _push(pair: _Pair, terms: list[Terms], constant: Scaled) -> Scaled:
    """Return lower bounds of functionals of h^ and d, plus constants."""
    (on_h, on_d), reduced = terms, pair.reduced
    for number in range(len(pair.layers), 0, -1):
        arguments: Scaled | None = None
        if number in on_d:
            arguments, constant = _through_planes(pair, number, (on_h, on_d), constant)
        if number in on_h:
            through, constant = through_lines(reduced, number, on_h.pop(number), constant)
            arguments = through if arguments is None else through + arguments
        if arguments is not None and arguments.nonzero.any():
            arguments, loss = rounded(arguments, reduced.ends[number - 1][0])
            constant = through_affine(reduced, number, arguments, on_h, constant + loss)
    return constant + least_of(on_h[0], reduced.posts[0]) if 0 in on_h else constant


def _through_planes(
    pair: _Pair, number: int, terms: tuple[Terms, Terms], constant: Scaled
) -> tuple[Scaled, Scaled]:
    """Replace d of a layer by planes, and t by what it is computed from; return the coefficients of z^."""
    on_h, on_d = terms
    one, coefficients = pair.layers[number - 1], on_d.pop(number)
    planes, above, below = one.planes, coefficients.positive, coefficients.negative
    assert planes is not None
    assert one.split is not None
    on_t = above * planes.low_t[:, None] + below * planes.high_t[:, None]
    on_y = above * planes.low_y[:, None] + below * planes.high_y[:, None]
    on_t, loss = rounded(on_t, one.t[0])
    constant = constant + planes.low_shift @ above + planes.high_shift @ below + loss
    if one.split.any():
        taken = coefficients.where(one.split[:, None])
        added(on_h, number, -(one.matrix @ taken))
    constant = constant + one.beta @ on_t
    if one.error.nonzero.any():
        constant = constant - one.error @ on_t.size
    layer = pair.whole.network.layers[number - 1]
    for source, weight, residual in zip(
        layer.sources, pair.whole.matrices[number - 1], one.residuals, strict=True
    ):
        part, loss = multiplied(residual, on_t, pair.reduced.posts[source][0])
        added(on_h, source, part)
        constant = constant + loss
        if source:
            part, loss = multiplied(weight, on_t, pair.d(source)[0])
            added(on_d, source, part)
            constant = constant + loss
    return one.matrix @ on_y, constant


def _set_planes(pair: _Pair, number: int, one: _Layer, t: Ends) -> None:
    """Set the range of t and the planes around d of a layer."""
    whole, reduced, place, lift = pair.whole, pair.reduced, number - 1, one.lift
    layer, fewer = (side.network.layers[place] for side in (whole, reduced))
    z, (low, high) = whole.ends[place], reduced.ends[place]
    y = least_of(one.matrix, (low, high)), -least_of(-one.matrix, (low, high))
    one.t = t = t[0].most(z[0] - y[1]), t[1].least(z[1] - y[0])
    entries = lift.full != 0
    straight = whole.linear(number) & ~(entries & ~reduced.linear(number)[:, None]).any(axis=0)
    alone = ~lift.classes
    if layer.slopes is None or fewer.slopes is None:
        alone |= lift.factor != 1
    elif fewer.units:  # where the column is zero, y is, and act(0) = 0
        alone |= (layer.slopes != fewer.slopes[lift.source]) & (lift.source >= 0)
    one.split = alone & ~straight
    ones, zero = Scaled.of(np.ones(layer.units)), Scaled.zeros(layer.units)
    planes = PairLines(ones, zero, zero, ones, zero, zero, *t)
    curved = np.flatnonzero(~alone & ~straight)
    if len(curved):
        some = pair_lines(layer, curved, *((a[curved], b[curved]) for a, b in (y, z, t)))
        planes = planes.with_units(curved, some)
    rest = np.flatnonzero(one.split)
    if len(rest):
        own, post = whole.lines[place], reduced.posts[number]
        mine = whole.posts[number]
        parts = [own.low_slope, own.low_slope, own.low_shift]
        parts += [own.high_slope, own.high_slope, own.high_shift]
        parts += [mine[0] + least_of(-one.matrix, post), mine[1] - least_of(one.matrix, post)]
        planes = planes.with_units(rest, PairLines(*(part[rest] for part in parts)))
    one.planes = moved(planes, Scaled.of(lift.shift))
