"""The functions of two small networks as expressions, and the proof that they are equal.

Inputs are symbols.  Activations are functions of which only the rules of
`lumpability.networks.activations` for factors are used,

    act(c x) = carry(c) act(x)      for c in the group of the activation,
    act(-x) = act(x) - r x          where the activation has a reflection r,

and their rational values at numbers.  Network and quotient are evaluated separately, layer by layer.  If the
argument of an activation is an admissible multiple of an earlier argument, the activation is expressed through the
earlier one, and the factor is recorded.  Outputs are then linear combinations of the same expressions, and sympy
decides whether these are equal.

Only the two networks are used, so this proof is independent of the lumping.  A falsy result says that these rules do
not show equality; the functions may still be equal, as relu(x) + relu(-x) and relu(relu(x) + relu(-x)) are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import NotJustified, SizeLimit
from lumpability.networks.activations import Activation, activation
from lumpability.networks.elementwise import Activate, Constant, PReLU, Scale, Shift, Softmax
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.network import Network
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import ShapeLayer
from lumpability.networks.unit_layout import fixed
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group

MOST_OPERATIONS = 20_000
"""Largest number of multiplications, for one input, of a network that is expanded, by default."""


@dataclass(frozen=True)
class Rule:
    """A factor moved out of an activation: ``act(factor x) = carried act(x) + linear x``.

    Examples
    --------
    >>> print(Rule("relu", Fraction(-2), Fraction(2), Fraction(-2)))
    relu(-2*x) = 2*relu(x) - 2*x
    """

    activation: str
    factor: Fraction
    carried: Fraction
    linear: Fraction = Fraction(0)

    def __str__(self) -> str:
        left = f"{self.activation}({_times(self.factor)}x)"
        rest = ""
        if self.linear:
            rest = f" {'-' if self.linear < 0 else '+'} {_times(abs(self.linear))}x"
        return f"{left} = {_times(self.carried)}{self.activation}(x){rest}"

    @property
    def latex(self) -> str:
        r"""The rule in LaTeX.

        Examples
        --------
        >>> print(Rule("leaky_relu", Fraction(2), Fraction(2)).latex)
        \operatorname{leaky\_relu}(2 x) = 2 \operatorname{leaky\_relu}(x)
        """
        name = rf"\operatorname{{{self.activation}}}".replace("_", r"\_")
        return str(self).replace("*", " ").replace(self.activation, name)


def _times(factor: Fraction) -> str:
    return "" if factor == 1 else "-" if factor == -1 else f"{factor}*"


@dataclass(frozen=True, eq=False)
class SameFunction:
    """Whether the expressions of two networks are equal; falsy if not shown to be.

    Attributes
    ----------
    inputs : tuple of sympy.Symbol
        In the order of the flattened input.
    original, reduced : tuple of sympy.Expr
        Outputs, in the order of the flattened output.
    differences : tuple of sympy.Expr
        original - reduced, expanded; all zero exactly when the proof succeeds.
    rules : tuple of Rule
        The rules for activations that were used, in the order of first use.

    Examples
    --------
    >>> one = Network.dense([([[1]], None, "tanh")])
    >>> bool(compare_functions(one, one)), bool(compare_functions(one, Network.dense([([[1]], None, None)])))
    (True, False)
    """

    inputs: tuple[Any, ...]
    original: tuple[Any, ...]
    reduced: tuple[Any, ...]
    differences: tuple[Any, ...]
    rules: tuple[Rule, ...]

    def __bool__(self) -> bool:
        return len(self.original) == len(self.reduced) and not any(
            difference != 0 for difference in self.differences
        )

    def __str__(self) -> str:
        if len(self.original) != len(self.reduced):
            return f"{len(self.original)} outputs against {len(self.reduced)}"
        wrong = [number for number, rest in enumerate(self.differences) if rest != 0]
        if wrong:
            rest = self.differences[wrong[0]]
            return f"output {wrong[0]} differs by {rest} as far as the rules tell"
        count = len(self.original)
        outputs = "the output is" if count == 1 else f"all {count} outputs are"
        shown = ", ".join(map(str, self.rules[:3])) + (", ..." if len(self.rules) > 3 else "")
        used = f", using {shown}" if shown else ""
        return f"{outputs} the same expression{used}"


def compare_functions(
    network: Network, other: Network, *, largest: int = MOST_OPERATIONS
) -> SameFunction:
    """Compare two networks with symbolic inputs and uninterpreted activations.

    Raises `SizeLimit` if a network is larger; carries ``size`` and ``limit``.  Raises `NotJustified` if a layer
    has no symbolic form, such as an unknown operator.

    - network, other: as stored; if weights of a quotient were rounded, the functions differ
    - largest: largest number of multiplications of a network for one input

    Each activation holds the expression of its argument, so sizes multiply from layer to layer; sympy
    shares equal parts.  Some thousand multiplications take about a second, the limit ten.
    """
    import sympy

    for one in (network, other):
        size = one.operation_count
        if size > largest:
            raise SizeLimit(
                f"the network has {size} multiplications, more than the {largest} that are expanded: "
                "verify the certificate, which has no limit",
                size=size,
                limit=largest,
            )
    shape = fixed(network.input_shape)
    inputs = [sympy.Symbol(f"x{number}") for number in range(int(np.prod(shape)))]
    normal = _Normal()
    outputs = [
        normal.chain(one.layers, _array(inputs).reshape(shape)).ravel().tolist()
        for one in (network, other)
    ]
    original, reduced = (tuple(map(sympy.sympify, found)) for found in outputs)
    differences = tuple(
        sympy.expand(one - other) for one, other in zip(original, reduced, strict=False)
    )
    return SameFunction(tuple(inputs), original, reduced, differences, tuple(normal.rules))


_MAXIMUM = Activation("max", np.max, Group.POSITIVE, "max(c x) = c max(x) for c > 0")


@dataclass(frozen=True, eq=False)
class _Normal:
    """Evaluation that gives multiples equal expressions up to the factor."""

    rules: dict[Rule, None] = field(default_factory=dict)  # those used, in the order of first use
    # For every function, and every argument divided by its first coefficient: this coefficient, and
    # the expression of each application that is not a multiple of an earlier one.
    known: dict[Any, list[tuple[Fraction, Any, Any]]] = field(default_factory=dict)
    order: dict[Any, int] = field(default_factory=dict)

    def chain(self, layers: Iterable[Layer], x: Array) -> Array:
        for layer in layers:
            x = self.layer(layer, x)
        return x

    def layer(self, layer: Layer, x: Array) -> Array:
        """Evaluate one layer on an array of expressions."""
        if isinstance(layer, Join):
            first, *others = [self.chain(branch, x) for branch in layer.branches]
            return np.asarray(sum(others, start=first), dtype=object)
        if isinstance(layer, Activate):
            values = [self.activated(layer.function, value) for value in x.ravel().tolist()]
            return _array(values).reshape(x.shape)
        if isinstance(layer, PReLU):
            slopes = np.broadcast_to(to_fractions(layer.slope), x.shape).ravel().tolist()
            pairs = zip(x.ravel().tolist(), slopes, strict=True)
            return _array(self.activated(_sloped(slope), v) for v, slope in pairs).reshape(x.shape)
        if isinstance(layer, MaxPool | GlobalPool) and _takes_maximum(layer):
            flat, numbers = x.ravel(), layer.window_numbers(x.shape)
            windows = numbers.reshape(-1, numbers.shape[-1]).tolist()
            values = [self.maximum([flat[i] for i in window if i >= 0]) for window in windows]
            return _array(values).reshape(numbers.shape[:-1])
        if isinstance(layer, Softmax):
            return np.apply_along_axis(_softmax, layer.axis, x)
        if isinstance(layer, BatchNorm):
            return _normalised(layer, x)
        if not isinstance(
            layer, Dense | Conv | Shift | Scale | AveragePool | GlobalPool | ShapeLayer | Constant
        ):
            raise NotJustified(f"there is no symbolic form of a layer {layer.title} here")
        return layer.exact(x)

    def activated(self, function: Activation, value: Any) -> Any:
        """Apply an activation to an expression."""
        if function.name == "identity":
            return value
        if (number := _rational(value)) is not None and (
            image := function.value(number)
        ) is not None:
            return _number(image)
        return self.applied(function, [value])

    def maximum(self, values: list[Any]) -> Any:
        """Return the largest of some expressions."""
        numbers = [_rational(value) for value in values]
        known = [number for number in numbers if number is not None]
        if len(known) == len(values):
            return _number(max(known))
        return self.applied(_MAXIMUM, values)

    def applied(self, function: Activation, values: list[Any]) -> Any:
        """Apply a function to arguments; use an earlier application to a multiple of them if there is one."""
        import sympy

        name = _name(function)
        arguments = [sympy.sympify(value) for value in values]
        lead = self.lead(arguments)
        key = (name, *(argument / lead for argument in arguments))
        earlier = self.known.setdefault(key, [])
        for first, argument, expression in earlier:
            factor = _fraction(lead) / first
            if factor == 1:
                return expression
            turned = function.reflection is not None and factor < 0
            size = -factor if turned else factor
            if size in function.group:
                linear = (function.reflection or Fraction(0)) * factor if turned else Fraction(0)
                rule = Rule(name, factor, function.carry(size), linear)
                self.rules.setdefault(rule)
                return _number(rule.carried) * expression + _number(linear) * argument
        expression = sympy.Function(name)(*arguments)
        earlier.append((_fraction(lead), arguments[0], expression))
        return expression

    def lead(self, arguments: list[Any]) -> Any:
        """Return the coefficient of the term that occurred first; of the constant only if it is alone."""
        for argument in arguments:
            terms = argument.as_coefficients_dict()
            for term in terms:
                self.order.setdefault(term, len(self.order))
            first = min(
                (term for term in terms if terms[term] != 0),
                key=lambda term: (term.is_Number, self.order[term]),
                default=None,
            )
            if first is not None:
                return terms[first]
        return 1


def _takes_maximum(layer: MaxPool | GlobalPool) -> bool:
    return isinstance(layer, MaxPool) or layer.maximum


def _sloped(slope: Fraction) -> Activation:
    """PReLU with one slope is a leaky ReLU."""
    return activation("leaky_relu", alpha=float(slope))


def _name(function: Activation) -> str:
    shown = ",".join(repr(value) for value in function.parameters.values())
    return f"{function.name}[{shown}]" if shown else function.name


def _rational(value: Any) -> Fraction | None:
    import sympy

    number = sympy.sympify(value)
    return _fraction(number) if number.is_Rational else None


def _fraction(number: Any) -> Fraction:
    return Fraction(int(number.p), int(number.q)) if hasattr(number, "p") else Fraction(number)


def _number(value: Fraction) -> Any:
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def _array(items: Iterable[Any]) -> Array:
    listed = list(items)
    result = np.empty(len(listed), dtype=object)
    result[:] = listed
    return result


def _softmax(values: Array) -> Array:
    import sympy

    function = sympy.Function("softmax")
    return _array(function(number, *values) for number in range(len(values)))


def _normalised(layer: BatchNorm, x: Array) -> Array:
    import sympy

    along = (layer.units, *(1,) * (x.ndim - 2))
    numbers = {name: to_fractions(values) for name, values in layer.parameters.items()}
    epsilon = Fraction(layer.epsilon)
    roots = _array(sympy.sqrt(_number(v + epsilon)) for v in numbers["variance"].tolist())
    scale = _array(map(_number, numbers["scale"].tolist())) / roots
    shifted = x - numbers["mean"].reshape(along)
    values = shifted * scale.reshape(along) + numbers["bias"].reshape(along)
    return _array(map(sympy.expand, values.ravel().tolist())).reshape(x.shape)
