"""Values and slopes of activations between rational bounds, in integers.

All of them follow from e^-x for a rational x >= 0.  With r = x / 2^k <= 1/16 the series of e^-r alternates and its
terms fall, so two partial sums that follow each other enclose it; squaring k times gives e^-x.  Then

    tanh x = (1 - e^-2x) / (1 + e^-2x),    sigmoid x = 1 / (1 + e^-x),    elu(-x) = a (e^-x - 1),
    softplus x = x + log(1 + e^-x),        log(1 + e) = 2 artanh(e / (2 + e)),

and arctan x = 2 arctan(x / (1 + sqrt(1 + x^2))) brings x below 1/4, where its series alternates.  Every division,
square and root is rounded down in a lower bound and up in an upper one.  Numbers are integers times 2^-`WORK`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

import numpy as np

from lumpability.networks.activations import Activation
from lumpability.networks.relaxed.scaled import Scaled

WORK, BITS = 192, 96
_ONE = 1 << WORK
Ends = tuple[int, int]
Function = Callable[[Fraction, dict[str, float]], Ends]


def values_at(function: Activation, z: Scaled) -> tuple[Scaled, Scaled]:
    """Return numbers that enclose a monotone activation at dyadic points.

    >>> from lumpability.networks.activations import activation
    >>> low, high = values_at(activation("tanh"), Scaled.of([0.0, 1.0]))
    >>> low.floats().tolist(), bool((high - low).floats().max() < 1e-28)
    ([0.0, 0.7615941559557649], True)
    """
    return _enclosed(z, lambda x: _VALUES[function.name](x, function.parameters))


def slopes_between(function: Activation, low: Scaled, high: Scaled) -> tuple[Scaled, Scaled]:
    """Return bounds of the derivative of an activation between bounds of its argument.

    The derivatives rise or, of the odd ones and sigmoid, fall with the distance from zero: the least one is at an
    end, and the largest one at an end or at zero.

    >>> from lumpability.networks.activations import activation
    >>> least, most = slopes_between(activation("sigmoid"), Scaled.of([-1.0]), Scaled.of([2.0]))
    >>> least.floats().round(3).item(), most.floats().item()
    (0.105, 0.25)
    """
    parameters = function.parameters
    if function.name == "clip":
        bottom, top = _clipped(parameters)
        pairs = zip(low.fractions(), high.fractions(), strict=True)
        inside = [float(bottom <= a and b <= top) for a, b in pairs]
        return Scaled.of(inside), Scaled.of(np.ones(len(inside)))
    own = _SLOPES[function.name]
    ends = [_enclosed(z, lambda x: own(x, parameters)) for z in (low, high)]
    zero = Scaled.zeros(*low.shape)
    least, most = ends[0][0].least(ends[1][0]).most(zero), ends[0][1].most(ends[1][1])
    across = ~low.exceeds(zero) & ~zero.exceeds(high)
    peak = _enclosed(zero, lambda x: own(x, parameters))[1]
    if function.name == "elu":
        peak = Scaled.of(np.ones(low.shape))
    return least, most.most(peak).where(across) + most.where(~across)


def _enclosed(z: Scaled, function: Callable[[Fraction], Ends]) -> tuple[Scaled, Scaled]:
    lows, highs = np.empty(z.shape, dtype=object), np.empty(z.shape, dtype=object)
    for place, number in enumerate(z.fractions()):
        low, high = function(number)
        lows[place], highs[place] = low >> (WORK - BITS), _up(high, WORK - BITS)
    return Scaled(lows, BITS), Scaled(highs, BITS)


def _up(number: int, bits: int) -> int:
    return -(-number >> bits)


def _fixed(x: Fraction) -> Ends:
    """Return a rational rounded down and up."""
    scaled = x.numerator << WORK
    return scaled // x.denominator, -(-scaled // x.denominator)


def _ratio(low: Ends, high: Ends) -> Ends:
    """Return a lower and an upper bound of quotients of numbers that are not negative: (above, below) of each."""
    return (low[0] << WORK) // low[1], -((-high[0] << WORK) // high[1])


def _falling(x: Fraction) -> Ends:
    """Enclose e^-x for x >= 0."""
    if x > WORK:
        return 0, 1
    halvings = max(0, (x.numerator // x.denominator).bit_length() + 4)
    near, far = _fixed(x / 2**halvings)
    low, high = _series(far)[0], _series(near)[1]
    for _ in range(halvings):
        low, high = low * low >> WORK, _up(high * high, WORK)
    return max(low, 0), high


def _series(r: int) -> Ends:
    """Enclose e^-r for 0 <= r <= 1/16 by alternating partial sums; a term is off by less than three units."""
    total, term, count = _ONE, _ONE, 0
    while term:
        count += 1
        term = (term * r >> WORK) // count
        total += -term if count % 2 else term
    return total - 3 * count - 3, total + 3 * count + 3


def _sigmoid(z: Fraction, parameters: dict[str, float] | None = None) -> Ends:
    low, high = _falling(abs(z))
    if z >= 0:
        return _ratio((_ONE, _ONE + high), (_ONE, _ONE + low))
    return _ratio((low, _ONE + low), (high, _ONE + high))


def _odd(positive: Callable[[Fraction], Ends]) -> Function:
    def function(z: Fraction, parameters: dict[str, float]) -> Ends:
        low, high = positive(abs(z))
        return (low, high) if z >= 0 else (-high, -low)

    return function


def _tanh(x: Fraction) -> Ends:
    low, high = _falling(2 * x)
    return _ratio((max(_ONE - high, 0), _ONE + high), (_ONE - low, _ONE + low))


def _arctan(x: Fraction) -> Ends:
    low, high = _fixed(x)
    for _ in range(3):
        roots = isqrt(_ONE * _ONE + low * low), isqrt(_ONE * _ONE + high * high) + 1
        # x / (1 + sqrt(1 + x^2)) rises with x.
        low, high = _ratio((low, _ONE + roots[0] + 1), (high, _ONE + roots[1] - 1))
    return 8 * _arctan_series(low)[0], 8 * _arctan_series(high)[1]


def _arctan_series(x: int) -> Ends:
    square, power, total, count = x * x >> WORK, x, x, 0
    while power:
        count += 1
        power = power * square >> WORK
        total += (-1) ** count * (power // (2 * count + 1))
    return total - 4 * count - 4, total + 4 * count + 4


def _softplus(z: Fraction, parameters: dict[str, float]) -> Ends:
    low, high = _falling(abs(z))
    whole = _fixed(max(z, Fraction(0)))
    ends = _ratio((low, 2 * _ONE + low), (high, 2 * _ONE + high))
    return whole[0] + 2 * _artanh(ends[0])[0], whole[1] + 2 * _artanh(ends[1])[1]


def _artanh(u: int) -> Ends:
    """Enclose artanh u for 0 <= u <= 0.4; what follows a term is less than a quarter of it."""
    square, power, total, count = u * u >> WORK, u, u, 0
    while power:
        count += 1
        power = power * square >> WORK
        total += power // (2 * count + 1)
    return total, total + 4 * count + 4


def _softsign(x: Fraction) -> Ends:
    return _fixed(x / (1 + x))


def _elu(z: Fraction, parameters: dict[str, float]) -> Ends:
    if z >= 0:
        return _fixed(z)
    low, high = _falling(-z)
    alpha = Fraction(parameters["alpha"])
    ends = [(value - _ONE) * alpha for value in (low, high)]
    return ends[0].__floor__(), ends[1].__ceil__()


def _clip(z: Fraction, parameters: dict[str, float]) -> Ends:
    low, high = _clipped(parameters)
    return _fixed(Fraction(min(max(z, low), high)))


def _clipped(parameters: dict[str, float]) -> tuple[Fraction | float, Fraction | float]:
    """Return both ends, exactly where they are finite."""
    low, high = parameters["low"], parameters["high"]
    return (
        Fraction(low) if np.isfinite(low) else low,
        Fraction(high) if np.isfinite(high) else high,
    )


_VALUES: dict[str, Function] = {
    "tanh": _odd(_tanh),
    "softsign": _odd(_softsign),
    "atan": _odd(_arctan),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "elu": _elu,
    "clip": _clip,
}


def _tanh_slope(z: Fraction, parameters: dict[str, float]) -> Ends:
    low, high = _tanh(abs(z))
    return _ONE - _up(high * high, WORK), _ONE - (low * low >> WORK)


def _sigmoid_slope(z: Fraction, parameters: dict[str, float]) -> Ends:
    low, high = _sigmoid(-abs(z))  # at most 1/2, below which v (1 - v) rises
    high = min(high, _ONE // 2)
    return low * (_ONE - low) >> WORK, _up(high * (_ONE - high), WORK)


def _elu_slope(z: Fraction, parameters: dict[str, float]) -> Ends:
    if z >= 0:
        return _ONE, _ONE
    low, high = (Fraction(parameters["alpha"]) * value for value in _falling(-z))
    return low.__floor__(), high.__ceil__()


_SLOPES: dict[str, Function] = {
    "tanh": _tanh_slope,
    "sigmoid": _sigmoid_slope,
    "softplus": _sigmoid,
    "atan": lambda z, parameters: _fixed(1 / (1 + z * z)),
    "softsign": lambda z, parameters: _fixed(1 / (1 + abs(z)) ** 2),
    "elu": _elu_slope,
}
