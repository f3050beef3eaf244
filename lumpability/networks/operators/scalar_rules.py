"""Rules of elementwise operators on values: what the operator makes of one element of each operand.

Sums are linear combinations, products multiply, an activation lets pass the factors of its group (positive ones, signs,
none); what has no rule of its own merges only equal values.  A constant stays one, zero times what may be infinite does
not vanish, and integers wrap around, so that of them only equality is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import ONE, Algebra, Value
from lumpability.networks.tensors.call import Call
from lumpability.numbers.float_arrays import Array

_ODD = "Tanh Atan Asin Sin Sinh Asinh Atanh Erf Softsign Tan Sign Round"
_EVEN = "Cos Cosh"
_OTHER = (
    "Sigmoid HardSigmoid Elu Selu Celu Softplus Exp Log Sqrt Floor Ceil Gelu Mish HardSwish Swish "
    "ThresholdedRelu Shrink IsNaN IsInf Not Acos Acosh Mod And Or Xor Equal "
    "QuantizeLinear DequantizeLinear BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift"
)
_RULED = (
    "Add Sub Sum Mean Mul Div Neg Abs Relu LeakyRelu PRelu Clip Max Min Where Pow Reciprocal Identity Dropout Cast "
    "CastLike BatchNormalization Greater GreaterOrEqual Less LessOrEqual"
)
OPERATORS = frozenset(f"{_ODD} {_EVEN} {_OTHER} {_RULED}".split())

_ZERO_AT_ZERO = frozenset(f"{_ODD} Sqrt Elu Selu Celu Gelu Mish HardSwish Swish Floor Ceil".split())
_NOT_EVERYWHERE = frozenset(["Acos", "Asin", "Acosh", "Atanh", "Tan"])
_SIGNS: dict[str, str | int] = {
    **dict.fromkeys(("Exp", "Sigmoid", "Softplus", "Cosh"), 1),
    **dict.fromkeys(("Floor", "Ceil", "Round"), "weak"),
    "HardSigmoid": 0,
}
_UNIT = Fraction(1)


@dataclass
class _Use:
    """One use of an operator.

    - slots: inputs that are operands
    """

    call: Call
    slots: list[int]

    @property
    def algebra(self) -> Algebra:
        return self.call.work.algebra

    @cached_property
    def name(self) -> tuple[Any, ...]:
        """The function that the operator is of its operands."""
        stated = sorted((key, str(value)) for key, value in self.call.attributes.items())
        return (self.call.op, *stated, *self.slots)

    def free(self, values: Sequence[Value], name: Any = None, scale: Fraction = _UNIT) -> Value:
        """Return a new atom for a function of several arguments, times a factor."""
        constant = all(atom in self.algebra.constants for atom, _ in values)
        key = (self.name if name is None else name, *values)
        return self.algebra.atom(key, constant=constant), scale


_Rule = Callable[[_Use, list[Value]], Value]


def rule_of(
    call: Call, operands: Sequence[tuple[int, Array | None, Any]]
) -> Callable[[list[Value]], Value]:
    """Return what the operator makes of one element of each operand."""
    use = _Use(call, [slot for slot, _, _ in operands])
    if call.op in ("QuantizeLinear", "DequantizeLinear"):
        return _quantised(call, call.named() + call.stored(1, 2))
    whole = not call.real(call.node.output[0])
    if call.op in _RULES and not (whole and call.op in _ROUNDS):
        return partial(_RULES[call.op], use)
    return partial(_function if len(operands) == 1 else _Use.free, use)


def _function(use: _Use, values: list[Value]) -> Value:
    """A function of one argument, with the factors of its group."""
    op, domains = use.call.op, use.algebra.domains
    if not values[0][1] and op in _ZERO_AT_ZERO:
        return ONE, Fraction(0)
    sign = domains.sign(values[0])
    if op in _EVEN.split():
        values = [(values[0][0], abs(values[0][1]))]
    group = "odd" if op in _ODD.split() else "equal"
    atom, factor = use.algebra.unary(use.name, group, "some", _SIGNS.get(op))(values)
    if op == "Sqrt":
        domains.note(atom, least=sign)
    least = {"Log": 1, "Sqrt": 0}.get(op, 2 if op in _NOT_EVERYWHERE else None)
    outside = least is not None and (sign is None or sign < least)
    return domains.note(atom, partial=outside), factor


def _quantised(call: Call, name: Any) -> Callable[[list[Value]], Value]:
    """Equal values give equal ones, and zero is the zero point, whatever the scale."""
    known = call.constant(2)
    zero = Fraction(0 if known is None else int(known.reshape(-1)[0]))
    passed = call.work.algebra.unary(name, "equal", "some")
    before, after = (Fraction(0), zero) if call.op == "QuantizeLinear" else (zero, Fraction(0))

    def rule(values: list[Value]) -> Value:
        return (ONE, after) if values[0] == (ONE, before) else passed(values)

    return rule


def _same(use: _Use, values: list[Value]) -> Value:
    return values[0]


def _cast(use: _Use, values: list[Value]) -> Value:
    """To floats that hold all the numbers a cast is the identity, and to narrower ones a function with f(cx) = c f(x)."""
    call = use.call
    codes = [call.work.choices[0].code(n) for n in (call.name(0), call.node.output[0])]
    if not call.real(call.node.output[0]) or codes[0] in (0, 8):
        return use.algebra.unary((use.name, *codes), "equal", "some")(values)
    if call.real(call.name(0)) and codes[1] not in _WIDER[codes[0]]:
        return use.algebra.unary(("Cast", *codes), "linear", "same")(values)
    return values[0]


def _sum(use: _Use, values: list[Value]) -> Value:
    return use.algebra.total(values)


def _difference(use: _Use, values: list[Value]) -> Value:
    first, (atom, factor) = values
    return use.algebra.total([first, (atom, -factor)])


def _mean(use: _Use, values: list[Value]) -> Value:
    return use.algebra.total((atom, factor / len(values)) for atom, factor in values)


def _product(use: _Use, values: list[Value]) -> Value:
    algebra = use.algebra
    scale = math.prod((factor for _, factor in values), start=Fraction(1))
    rest = sorted(atom for atom, _ in values if atom != ONE)
    if not scale and (algebra.domains.touches(values) or algebra.infinite & set(rest)):
        return algebra.nothing(*rest)
    if not scale or len(rest) < 2:
        return (rest[0] if rest and scale else ONE), scale
    found = algebra.atom(("Mul", *rest), constant=all(a in algebra.constants for a in rest))
    return algebra.domains.note(found, least=algebra.domains.of_product(rest)), scale


def _quotient(use: _Use, values: list[Value]) -> Value:
    (a, f), (b, g) = values
    algebra, domains = use.algebra, use.algebra.domains
    safe = domains.is_never_zero(values[1])
    if not g or (not f and not safe):
        found, one = use.free(values)
        return domains.note(found, partial=True), one
    if not f and domains.touches(values):
        return algebra.nothing(b)
    if b == ONE or not f:
        return (a if f else ONE), f / g
    found = algebra.atom(("Div", a, b), constant={a, b} <= algebra.constants)
    return domains.note(found, least=domains.of_product([a, b]), partial=not safe), f / g


def _negative(use: _Use, values: list[Value]) -> Value:
    return values[0][0], -values[0][1]


def _absolute(use: _Use, values: list[Value]) -> Value:
    if values[0][0] == ONE:
        return ONE, abs(values[0][1])
    return use.algebra.unary("Abs", "even", "some", 0)(values)


def _leaky(use: _Use, values: list[Value]) -> Value:
    """Relu is a leaky one with the slope zero."""
    slope = 0.0 if use.call.op == "Relu" else use.call.attributes.get("alpha", 0.01)
    return _sloped(use, values[0], Fraction(float(np.float32(slope))))


def _sloped(use: _Use, value: Value, slope: Fraction) -> Value:
    atom, factor = value
    if atom == ONE:
        return ONE, factor if factor > 0 else slope * factor
    sign = None if slope else 0
    return use.algebra.unary(("Relu", slope), "positive", "some", sign)([value])


def _prelu(use: _Use, values: list[Value]) -> Value:
    value, slope = values
    return use.free(values) if slope[0] != ONE else _sloped(use, value, slope[1])


def _extreme(use: _Use, values: list[Value]) -> Value:
    """Max and Min: f(c x, c y, ...) = c f(x, y, ...) for c > 0, order of no account."""
    op, domains = use.call.op, use.algebra.domains
    if all(atom == ONE for atom, _ in values):
        return ONE, (max if op == "Max" else min)(factor for _, factor in values)
    scale = next(abs(factor) for _, factor in sorted(values) if factor)
    signs = [sign for value in values if (sign := domains.sign(value)) is not None]
    least = max(signs, default=None) if op == "Max" else domains.of_all(values)
    atom, _ = use.free(sorted((a, f / scale) for a, f in values), op)
    return domains.note(atom, least=least), scale


def _compared(use: _Use, values: list[Value]) -> Value:
    scale = next((abs(factor) for _, factor in values if factor), Fraction(1))
    return use.free([(a, f / scale) for a, f in values], use.call.op)


def _clip(use: _Use, values: list[Value]) -> Value:
    """Limits 0 and none make a Relu, no limits the identity; otherwise equal values merge."""
    stated, given = use.call.attributes, dict(zip(use.slots, values, strict=True))
    limits: list[Any] = [given.get(1, stated.get("min")), given.get(2, stated.get("max"))]
    atom, factor = values[0]
    low, high = (_limit(limit) for limit in limits)
    if limits == [None, None]:
        return atom, factor
    if limits[1] is None and low == 0:
        return _sloped(use, values[0], Fraction(0))
    if (
        atom == ONE
        and (low is not None or limits[0] is None)
        and (high is not None or limits[1] is None)
    ):
        bounded = factor if low is None else max(factor, low)
        return ONE, bounded if high is None else min(bounded, high)
    name = ("Clip", str(stated.get("min")), str(stated.get("max")), *use.slots)
    least = None if low is None or low < 0 or (high is not None and high < low) else int(low > 0)
    clipped, one = use.free(values, name)
    return use.algebra.domains.note(clipped, least=least), one


def _limit(limit: Any) -> Fraction | None:
    if isinstance(limit, tuple):
        return limit[1] if limit[0] == ONE else None
    return None if limit is None or not math.isfinite(limit) else Fraction(float(np.float32(limit)))


def _chosen(use: _Use, values: list[Value]) -> Value:
    """Where(c, a, b) is linear in a and b together."""
    test, *both = values
    if both[0] == both[1]:
        return both[0]
    if test[0] == ONE:
        return both[0] if test[1] else both[1]
    scale = next(factor for _, factor in both if factor)
    parts = [(a, f / scale) for a, f in both]
    atom, _ = use.free([test, *parts], "Where")
    domains = use.algebra.domains
    least, sunk = domains.of_all(parts), domains.are_sunk(parts)
    return domains.note(atom, least=least, partial=domains.touches(parts), sunk=sunk), scale


def _power(use: _Use, values: list[Value]) -> Value:
    (atom, factor), (other, exponent) = values
    algebra, domains = use.algebra, use.algebra.domains
    if other != ONE or exponent.denominator != 1 or not 0 < exponent < 64:
        sign = domains.sign(values[0])
        found, one = use.free(values)
        safe = sign == 1 or (sign == 0 and other == ONE and exponent > 0)
        return domains.note(found, least=sign if safe else None, partial=not safe), one
    power = int(exponent)
    if atom == ONE or power == 1:
        return atom, factor**power
    found = algebra.atom(("Pow", atom, power), constant=atom in algebra.constants)
    return domains.note(found, least=domains.of_product([atom] * power)), factor**power


def _reciprocal(use: _Use, values: list[Value]) -> Value:
    return _quotient(use, [(ONE, Fraction(1)), values[0]])


def _normalised(use: _Use, values: list[Value]) -> Value:
    """Batch normalisation is linear over x/s, 1/s and 1, where s^2 = var + eps; s is rational or an atom."""
    (x, factor), (_, gamma), (_, beta), (_, mean), (_, variance) = values
    algebra = use.algebra
    square = variance + Fraction(float(np.float32(use.call.attributes.get("epsilon", 1e-5))))
    known = all(atom == ONE for atom, _ in values[1:])
    if not known or square <= 0 or (not gamma and algebra.domains.touches(values)):
        return use.free(values)
    if not gamma:
        return ONE, beta
    root, exact = algebra.root(square)
    if exact or x == ONE:
        algebra.approximate += not exact
        return algebra.total([(x, gamma * factor / root), (ONE, beta - gamma * mean / root)])
    inverse = algebra.atom(("1/sqrt", square), constant=True)
    scaled = algebra.atom(("Mul", *sorted((x, inverse))), constant=x in algebra.constants)
    return algebra.total([(scaled, gamma * factor), (inverse, -gamma * mean), (ONE, beta)])


_RULES: dict[str, _Rule] = {
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
    "CastLike": _cast,
    "Add": _sum,
    "Sub": _difference,
    "Sum": _sum,
    "Mean": _mean,
    "Mul": _product,
    "Div": _quotient,
    "Neg": _negative,
    "Abs": _absolute,
    "Relu": _leaky,
    "LeakyRelu": _leaky,
    "PRelu": _prelu,
    "Clip": _clip,
    "Max": _extreme,
    "Min": _extreme,
    "Where": _chosen,
    "If": _chosen,
    "Pow": _power,
    "Reciprocal": _reciprocal,
    "BatchNormalization": _normalised,
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _compared),
}


_WIDER = {1: (1, 11), 10: (1, 10, 11), 11: (11,), 16: (1, 11, 16)}
"""Float types that hold all the numbers of a float type."""
_ROUNDS = frozenset(
    [
        *("Add", "Sub", "Sum", "Mean", "Mul", "Div", "Neg", "Abs", "Pow", "Reciprocal", "Relu"),
        *("LeakyRelu", "PRelu"),
    ]
)
"""What wraps around or rounds for integers, so that only equal values give equal ones."""
