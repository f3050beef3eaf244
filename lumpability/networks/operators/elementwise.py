"""Operators that treat every element alike: sums, products, activations, batch normalisation, comparisons.

Labels of the operands leave together, element by element.  An operand that is broadcast along an axis on which the
labels of the others differ is held.  Values: sums are linear combinations, products multiply, an activation lets pass
the factors of its group; what is not listed with a rule merges only equal values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.tensors.algebra import ONE, Algebra, Value
from lumpability.networks.tensors.call import HELD, Call, Declined
from lumpability.numbers.float_arrays import Array

__all__: list[str] = []

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
_FEW, _MOST = 1 << 14, 1 << 18
"""Elements up to which values are followed one by one, in one tensor, and in all that have more."""


def serves(call: Call) -> bool:
    """Whether the node is element by element in all its inputs."""
    if call.op in ("QuantizeLinear", "DequantizeLinear"):
        return all(
            (value := call.constant(slot)) is not None and value.size == 1
            for slot in range(1, len(call.node.input))
            if call.name(slot)
        ) and not call.moving(1)
    if call.op == "BatchNormalization":
        return call.moving(0) and all(call.constant(slot) is not None for slot in range(1, 5))
    return True


def apply(call: Call) -> None:
    """Record the output."""
    call.only_first_output()
    shape = call.shape()
    operands = _operands(call)
    rank = len(shape)
    for _, array, tensor in operands:
        sizes = tensor.shape if array is None else array.shape
        if not all(n in (1, m) for n, m in zip(sizes[::-1], shape[::-1], strict=False)):
            raise Declined("reads sizes that do not fit its output")
    units: set[int] = set()
    for _, array, tensor in operands:
        if tensor is not None:
            units |= {axis + rank - tensor.rank for axis in tensor.units}
        elif array is not None:
            units |= {axis + rank - array.ndim for axis in _varying(array)}
    units = {axis for axis in units if shape[axis] > 1}
    compact = tuple(n if axis in units else 1 for axis, n in enumerate(shape))
    count = math.prod(compact)
    if count > _FEW:
        call.work.followed += count
    if call.work.followed > _MOST and count > _FEW:
        raise Declined("treats more elements than are followed one by one")
    values, labels = [], []
    for _, array, tensor in operands:
        if array is not None:
            values.append(_shown(call.work.algebra, array, rank, units))
        elif tensor is not None:
            axes = {a for a in range(tensor.rank) if a + rank - tensor.rank in units}
            seen = call.work.view(tensor, axes)
            grow = (1,) * (rank - tensor.rank)
            values.append(
                (seen.ids.reshape(grow + seen.ids.shape), seen.facs.reshape(grow + seen.ids.shape))
            )
            labels.append(seen.labels.reshape(grow + seen.labels.shape))
    facts, slots = call.work.choices[0], tuple(slot for slot, _, _ in operands)
    types = tuple(facts.code(name) for name in (*call.node.input, call.node.output[0]) if name)
    own = call.stored(1, 2) if call.op in ("QuantizeLinear", "DequantizeLinear") else ()
    key = (call.named(), call.work.index.opsets[""], slots, types, own)
    found = call.work.algebra.apply(values, _rule(call, operands), key)
    call.yields(units, _united(call, labels, compact), found)


def _operands(call: Call) -> list[tuple[int, Array | None, Any]]:
    """Return slot, constant and tensor of each operand; parameters of batch normalisation get axes for broadcasting."""
    found: list[tuple[int, Array | None, Any]] = []
    used = 1 if call.op in ("Dropout", "Cast", "CastLike") else len(call.node.input)
    if call.op == "Dropout" and _in_training(call):
        raise Declined("drops units at random")
    if call.op in ("QuantizeLinear", "DequantizeLinear"):
        used = 1
    for slot in range(used):
        if not call.name(slot):
            continue
        known = call.constant(slot)
        if known is None:
            found.append((slot, None, call.tensor(slot)))
        else:
            found.append((slot, _aligned(call, slot, known), None))
    if not any(tensor is not None for _, _, tensor in found):
        raise Declined
    return found


def _in_training(call: Call) -> bool:
    """Whether a Dropout may drop anything."""
    if call.version < 7:
        return not call.attributes.get("is_test", 0)
    mode = call.constant(2)
    return call.moving(2) or (mode is not None and bool(mode))


def _aligned(call: Call, slot: int, known: Array) -> Array:
    """Return a constant with the axes by which it is broadcast."""
    rank = len(call.shape())
    if call.op == "BatchNormalization":
        if call.attributes.get("training_mode", 0) or not call.attributes.get("spatial", 1):
            raise Declined("normalises with statistics of the input")
        return known.reshape((1, -1) + (1,) * (rank - 2)) if rank > 1 else known
    axis = call.attributes.get("axis")
    if (
        call.version < 7 and axis is not None and known.ndim
    ):  # old broadcasting names the first axis
        return known.reshape(known.shape + (1,) * (rank - (axis % rank) - known.ndim))
    if call.version < 7 and call.op == "PRelu" and known.size > 1:
        return known.reshape((-1,) + (1,) * (rank - 2))
    return known


def _varying(array: Array) -> set[int]:
    """Return the axes along which an array is not constant."""
    return {
        axis
        for axis in range(array.ndim)
        if array.shape[axis] > 1 and not bool((array == np.take(array, [0], axis=axis)).all())
    }


def _shown(algebra: Algebra, array: Array, rank: int, units: set[int]) -> tuple[Array, Array]:
    """Return the values of a constant on the unit axes."""
    for axis in range(array.ndim):
        if axis + rank - array.ndim not in units:
            array = np.take(array, [0], axis=axis)
    return algebra.constant(array.reshape((1,) * (rank - array.ndim) + array.shape))


def _united(call: Call, labels: Sequence[Array], compact: tuple[int, ...]) -> Array:
    """Let labels of operands leave together, and return those of the output."""
    full = [array for array in labels if array.shape == compact]
    widest = full[0] if full else None
    work = call.work.labels
    for array in labels:
        if widest is None or array is widest:
            continue
        axes = tuple(a for a, n in enumerate(array.shape) if n == 1 and compact[a] > 1)
        first = widest
        for axis in axes:
            first = np.take(first, [0], axis=axis)
        if bool((first == widest).all()):
            work.unite(array, first, f"{call.where} joins it with one that is held")
        else:
            work.hold(array, f"{call.where} uses it for several units")
    if widest is not None:
        return widest
    # No operand has all unit axes: constants or different axes of two operands span the output.
    grown = np.broadcast_arrays(*labels)[0]
    for array in labels:
        if array.shape != grown.shape:
            work.hold(array, f"{call.where} uses it for several units")
    return np.broadcast_to(
        grown if len(labels) == 1 else np.zeros((1,) * len(compact), np.int64) + HELD, compact
    )


def _rule(call: Call, operands: Sequence[tuple[int, Array | None, Any]]) -> Rule:
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
        scale = next(factor for _, factor in both if factor)
        parts = [(a, f / scale) for a, f in both]
        atom, _ = _free(algebra, "Where", [test, *parts])
        return algebra.domains.note(atom, least=algebra.domains.of_all(parts)), scale

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
    "Pow": _power,
    "Reciprocal": _reciprocal,
    "BatchNormalization": _normalised,
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _compared),
}


_WIDER = {1: (1, 11), 10: (1, 10, 11), 11: (11,), 16: (1, 11, 16)}
"""Float types that hold all the numbers of a float type."""
_ROUNDS = frozenset(
    [
        "Add",
        "Sub",
        "Sum",
        "Mean",
        "Mul",
        "Div",
        "Neg",
        "Abs",
        "Pow",
        "Reciprocal",
        "Relu",
        "LeakyRelu",
        "PRelu",
    ]
)
"""What wraps around or rounds for integers, so that only equal values give equal ones."""


def edit(call: Call, edit: Any) -> None:
    """Give constants the units that are left."""
    rank = len(call.shape())
    for slot in range(len(call.node.input)):
        known = call.constant(slot)
        if known is None or known.size == 1 or call.op in ("Dropout", "CastLike"):
            continue
        aligned = _aligned(call, slot, known)
        cut = edit.cut(call.node.output[0], aligned, rank)
        if cut is not aligned:
            numbers = np.arange(known.size).reshape(aligned.shape)
            places = edit.cut(call.node.output[0], numbers, rank)
            shape = _as(known, aligned, cut)
            edit.constant(call, slot, cut.reshape(shape), places=places.reshape(shape))


def _as(known: Array, aligned: Array, cut: Array) -> tuple[int, ...]:
    """Return the shape of a constant after a cut, without the axes that alignment gave it."""
    if known.ndim == 1:
        return (cut.size,)
    return tuple(cut.shape if known.ndim == aligned.ndim else cut.shape[: known.ndim])
