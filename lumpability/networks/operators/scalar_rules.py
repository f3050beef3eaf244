"""Rules of elementwise operators on values: what the operator makes of one element of each operand.

Sums are linear combinations, products multiply, an activation lets pass the factors of its group (positive ones, signs,
none); what has no rule of its own merges only equal values.  A constant stays one, zero times what may be infinite does
not vanish, and integers wrap around, so that of them only equality is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import ONE, Algebra, Value
from lumpability.networks.tensors.call import Call
from lumpability.numbers.float_arrays import Array

Rule = Callable[[list[Value]], Value]

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


def rule_of(call: Call, operands: Sequence[tuple[int, Array | None, Any]]) -> Rule:
    """Return what the operator makes of one element of each operand."""
    algebra, op = call.work.algebra, call.op
    slots = [slot for slot, _, _ in operands]
    name = (op, *sorted((k, str(v)) for k, v in call.attributes.items()), *slots)
    if op in ("QuantizeLinear", "DequantizeLinear"):
        return _quantised(call, call.named() + call.stored(1, 2))
    whole = not call.real(call.node.output[0])
    if op in _RULES and not (whole and op in _ROUNDS):
        return _RULES[op](call, algebra, name, slots)
    if len(operands) == 1:
        group = "odd" if op in _ODD.split() else "even" if op in _EVEN.split() else "equal"
        passed = algebra.unary(name, "equal" if group == "even" else group, "some", _SIGNS.get(op))

        def function(values: list[Value]) -> Value:
            if not values[0][1] and op in _ZERO_AT_ZERO:
                return ONE, Fraction(0)
            sign = algebra.domains.sign(values[0])
            if group == "even":
                values = [(values[0][0], abs(values[0][1]))]
            atom, factor = passed(values)
            if op == "Sqrt":
                algebra.domains.note(atom, least=sign)
            least = {"Log": 1, "Sqrt": 0}.get(op, 2 if op in _NOT_EVERYWHERE else None)
            outside = least is not None and (sign is None or sign < least)
            return algebra.domains.note(atom, partial=outside), factor

        return function
    return lambda values: _free(algebra, name, values)


def _quantised(call: Call, name: Any) -> Rule:
    """Equal values give equal ones, and zero is the zero point, whatever the scale."""
    known = call.constant(2)
    zero = Fraction(0 if known is None else int(known.reshape(-1)[0]))
    passed = call.work.algebra.unary(name, "equal", "some")
    before, after = (Fraction(0), zero) if call.op == "QuantizeLinear" else (zero, Fraction(0))

    def rule(values: list[Value]) -> Value:
        return (ONE, after) if values[0] == (ONE, before) else passed(values)

    return rule


def _free(
    algebra: Algebra, name: Any, values: Sequence[Value], scale: Fraction = Fraction(1)
) -> Value:
    """Return a new atom for a function of several arguments, times a factor."""
    constant = all(atom in algebra.constants for atom, _ in values)
    return algebra.atom((name, *values), constant=constant), scale


def _same(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    return lambda values: values[0]


def _cast(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    """To floats that hold all the numbers a cast is the identity, and to narrower ones a function with f(cx) = c f(x)."""
    codes = [call.work.choices[0].code(n) for n in (call.name(0), call.node.output[0])]
    if not call.real(call.node.output[0]) or codes[0] in (0, 8):
        return algebra.unary((name, *codes), "equal", "some")
    if call.real(call.name(0)) and codes[1] not in _WIDER[codes[0]]:
        return algebra.unary(("Cast", *codes), "linear", "same")
    return lambda values: values[0]


def _sum(signs: tuple[int, ...], mean: bool = False) -> Callable[..., Rule]:
    def made(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
        share = Fraction(1, len(slots)) if mean else Fraction(1)

        def rule(values: list[Value]) -> Value:
            wide = (*signs, *(1 for _ in values[len(signs) :]))
            return algebra.total(
                (atom, factor * sign * share)
                for (atom, factor), sign in zip(values, wide, strict=False)
            )

        return rule

    return made


def _product(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    def rule(values: list[Value]) -> Value:
        scale = math.prod((factor for _, factor in values), start=Fraction(1))
        rest = sorted(atom for atom, _ in values if atom != ONE)
        if not scale and (algebra.domains.touches(values) or algebra.infinite & set(rest)):
            return algebra.nothing(*rest)
        if not scale or len(rest) < 2:
            return (rest[0] if rest and scale else ONE), scale
        found = algebra.atom(("Mul", *rest), constant=all(a in algebra.constants for a in rest))
        return algebra.domains.note(found, least=algebra.domains.of_product(rest)), scale

    return rule


def _quotient(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    def rule(values: list[Value]) -> Value:
        (a, f), (b, g) = values
        domains, safe = algebra.domains, algebra.domains.is_never_zero(values[1])
        if not g or (not f and not safe):
            found, one = _free(algebra, name, values)
            return domains.note(found, partial=True), one
        if not f and domains.touches(values):
            return algebra.nothing(b)
        if b == ONE or not f:
            return (a if f else ONE), f / g
        found = algebra.atom(("Div", a, b), constant={a, b} <= algebra.constants)
        return domains.note(found, least=domains.of_product([a, b]), partial=not safe), f / g

    return rule


def _negative(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    return lambda values: (values[0][0], -values[0][1])


def _absolute(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    passed = algebra.unary("Abs", "even", "some", 0)
    return lambda values: (ONE, abs(values[0][1])) if values[0][0] == ONE else passed(values)


def _leaky(slope: float) -> Callable[..., Rule]:
    def made(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
        alpha = Fraction(float(np.float32(call.attributes.get("alpha", slope))))
        sign = None if alpha else 0
        passed = algebra.unary(("Relu", alpha), "positive", "some", sign)

        def rule(values: list[Value]) -> Value:
            atom, factor = values[0]
            if atom == ONE:
                return ONE, factor if factor > 0 else alpha * factor
            return passed(values)

        return rule

    return made


def _prelu(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    def rule(values: list[Value]) -> Value:
        (atom, factor), slope = values
        if slope[0] != ONE:
            return _free(algebra, name, values)
        if atom == ONE:
            return ONE, factor if factor > 0 else slope[1] * factor
        return algebra.unary(("Relu", slope[1]), "positive", "some")([(atom, factor)])

    return rule


def _homogeneous(exact: Callable[..., Fraction]) -> Callable[..., Rule]:
    """Return the rule of a function with f(c x, c y, ...) = c f(x, y, ...) for c > 0, order of no account."""

    def made(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
        def rule(values: list[Value]) -> Value:
            if all(atom == ONE for atom, _ in values):
                return ONE, exact(factor for _, factor in values)
            scale = next(abs(factor) for _, factor in sorted(values) if factor)
            signs = [sign for value in values if (sign := algebra.domains.sign(value)) is not None]
            least = max(signs, default=None) if op == "Max" else algebra.domains.of_all(values)
            atom, _ = _free(algebra, op, sorted((a, f / scale) for a, f in values))
            return algebra.domains.note(atom, least=least), scale

        op = call.op
        return rule

    return made


def _compared(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    def rule(values: list[Value]) -> Value:
        scale = next((abs(factor) for _, factor in values if factor), Fraction(1))
        return _free(algebra, call.op, [(a, f / scale) for a, f in values])

    return rule


def _clip(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    """Limits 0 and none make a Relu, no limits the identity; otherwise equal values merge."""
    stated = call.attributes

    def rule(values: list[Value]) -> Value:
        given = dict(zip(slots, values, strict=True))
        limits: list[Any] = [stated.get("min"), stated.get("max")]
        for place in (1, 2):
            if place in given:
                limits[place - 1] = given[place]
        atom, factor = values[0]
        low, high = (_limit(algebra, limit) for limit in limits)
        if low is None and high is None and limits == [None, None]:
            return atom, factor
        if high is None and limits[1] is None and low == 0:
            if atom == ONE:
                return ONE, max(factor, Fraction(0))
            return algebra.unary(("Relu", Fraction(0)), "positive", "some", 0)([(atom, factor)])
        if (
            atom == ONE
            and (low is not None or limits[0] is None)
            and (high is not None or limits[1] is None)
        ):
            bounded = factor if low is None else max(factor, low)
            return ONE, bounded if high is None else min(bounded, high)
        name = ("Clip", str(stated.get("min")), str(stated.get("max")), *slots)
        least = (
            None if low is None or low < 0 or (high is not None and high < low) else int(low > 0)
        )
        clipped, one = _free(algebra, name, values)
        return algebra.domains.note(clipped, least=least), one

    return rule


def _limit(algebra: Algebra, limit: Any) -> Fraction | None:
    if isinstance(limit, tuple):
        return limit[1] if limit[0] == ONE else None
    return None if limit is None or not math.isfinite(limit) else Fraction(float(np.float32(limit)))


def _chosen(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    """Where(c, a, b) is linear in a and b together."""

    def rule(values: list[Value]) -> Value:
        test, *both = values
        if both[0] == both[1]:
            return both[0]
        if test[0] == ONE:
            return both[0] if test[1] else both[1]
        scale = next(factor for _, factor in both if factor)
        parts = [(a, f / scale) for a, f in both]
        atom, _ = _free(algebra, "Where", [test, *parts])
        domains = algebra.domains
        partial, sunk = domains.touches(parts), domains.are_sunk(parts)
        return domains.note(atom, least=domains.of_all(parts), partial=partial, sunk=sunk), scale

    return rule


def _power(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    def rule(values: list[Value]) -> Value:
        (atom, factor), (other, exponent) = values
        domains, sign = algebra.domains, algebra.domains.sign(values[0])
        if other != ONE or exponent.denominator != 1 or not 0 < exponent < 64:
            found, one = _free(algebra, name, values)
            safe = sign == 1 or (sign == 0 and other == ONE and exponent > 0)
            return domains.note(found, least=sign if safe else None, partial=not safe), one
        power = int(exponent)
        if atom == ONE or power == 1:
            return atom, factor**power
        found = algebra.atom(("Pow", atom, power), constant=atom in algebra.constants)
        return domains.note(found, least=domains.of_product([atom] * power)), factor**power

    return rule


def _reciprocal(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    def rule(values: list[Value]) -> Value:
        atom, factor = values[0]
        domains, safe = algebra.domains, algebra.domains.is_never_zero(values[0])
        if not factor:
            found, one = _free(algebra, name, values)
            return domains.note(found, partial=True), one
        if atom == ONE:
            return ONE, 1 / factor
        found = algebra.atom(("Div", ONE, atom), constant=atom in algebra.constants)
        return domains.note(found, least=domains.of_atom(atom), partial=not safe), 1 / factor

    return rule


def _normalised(call: Call, algebra: Algebra, name: Any, slots: list[int]) -> Rule:
    """Batch normalisation is linear over x/s, 1/s and 1, where s^2 = var + eps; s is rational or an atom."""
    epsilon = Fraction(float(np.float32(call.attributes.get("epsilon", 1e-5))))

    def rule(values: list[Value]) -> Value:
        (x, factor), (_, gamma), (_, beta), (_, mean), (_, variance) = values
        if any(atom != ONE for atom, _ in values[1:]):
            return _free(algebra, name, values)
        square = variance + epsilon
        if square <= 0 or (not gamma and algebra.domains.touches(values)):
            return _free(algebra, name, values)
        if not gamma:
            return ONE, beta
        root, exact = algebra.root(square)
        if exact or x == ONE:
            algebra.approximate += not exact
            return algebra.total([(x, gamma * factor / root), (ONE, beta - gamma * mean / root)])
        inverse = algebra.atom(("1/sqrt", square), constant=True)
        scaled = algebra.atom(("Mul", *sorted((x, inverse))), constant=x in algebra.constants)
        return algebra.total([(scaled, gamma * factor), (inverse, -gamma * mean), (ONE, beta)])

    return rule


_RULES: dict[str, Callable[..., Rule]] = {
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
    "CastLike": _cast,
    "Add": _sum((1, 1)),
    "Sub": _sum((1, -1)),
    "Sum": _sum(()),
    "Mean": _sum((), mean=True),
    "Mul": _product,
    "Div": _quotient,
    "Neg": _negative,
    "Abs": _absolute,
    "Relu": _leaky(0.0),
    "LeakyRelu": _leaky(0.01),
    "PRelu": _prelu,
    "Clip": _clip,
    "Max": _homogeneous(max),
    "Min": _homogeneous(min),
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
