"""Activations: the factors by which neurons may differ and still be merged.

If the incoming weights and bias of a neuron are c times those of another, its pre-activation is c z.  The two
can share one neuron exactly when act(c z) = carry(c) act(z) for all z, where carry(c) does not depend on z.
The next layer then uses carry(c) times the weight.  The activation determines which c do this:
=============  ==================  ==========  ==========================================================
group          factors c           carry(c)    activations
=============  ==================  ==========  ==========================================================
ANY            all but 0           c           identity
ANY            all but 0           abs(c)      absolute value
ANY            all but 0           sign(c)     sign
POSITIVE       c > 0               c           ReLU, leaky ReLU, PReLU (equal slopes)
SIGNS          1 and -1            c           tanh, softsign, arctan (odd functions)
ONE            1                   1           sigmoid, softplus, ELU, GELU, SiLU, clip, ... (equal rows)
=============  ==================  ==========  ==========================================================

For some activations act(-x) = act(x) - r x with a number r, their *reflection*: 1 for ReLU, softplus, GELU and
SiLU, and 1 + alpha for leaky ReLU.  Units of opposite sign can then share one unit, with a linear skip past
the activation (`lump(..., antiparallel=True)`).

The carry is a homomorphism, so the group of a sequence of activations follows from the images of their groups.
`value` is the exact image of a rational number if that is rational; `lipschitz` bounds the slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidNetwork
from lumpability.numbers.float_arrays import Array
from lumpability.numbers.groups import Group
from lumpability.vocabulary import did_you_mean


def _same(group: Group) -> Group:
    return group


def _absolute(group: Group) -> Group:
    return {Group.ANY: Group.POSITIVE, Group.SIGNS: Group.ONE}.get(group, group)


def _signs(group: Group) -> Group:
    return {Group.ANY: Group.SIGNS, Group.POSITIVE: Group.ONE}.get(group, group)


def _one(group: Group) -> Group:
    return Group.ONE


def _sign(value: Fraction) -> Fraction:
    return Fraction((value > 0) - (value < 0))


@dataclass(frozen=True, eq=False)
class Activation:
    """An elementwise function, and how it changes factors.

    Attributes
    ----------
    name : str
    function : callable
        The function on numpy arrays, at their precision.
    group : Group
        Factors c with ``act(c x) == carry(c) act(x)`` for all x.
    reason : str
        Why the group is this one.
    exact : callable or None
        The function on rationals; None if it takes irrational values.
    carry : callable
        The factor after the activation.
    image : callable
        The group of the carried factors.
    at : dict of Fraction to Fraction
        Known rational values of a function that is otherwise irrational.
    lipschitz : Fraction or None
        A bound on the slope; None if there is none.
    reflection : Fraction or None
        The number r with ``act(-x) == act(x) - r x`` for all x, if there is one and -1 is not in the group.
    parameters : dict of str to float
        Such as ``alpha`` of a leaky ReLU.

    Examples
    --------
    >>> relu = activation("relu")
    >>> relu, relu.group, relu.value(Fraction(-1, 2))
    (Activation('relu'), <Group.POSITIVE: 'positive factors'>, Fraction(0, 1))
    """

    name: str
    function: Callable[[Array], Any]
    group: Group
    reason: str
    exact: Callable[[Fraction], Fraction] | None = None
    carry: Callable[[Fraction], Fraction] = field(default=lambda c: c)
    image: Callable[[Group], Group] = _same
    at: dict[Fraction, Fraction] = field(default_factory=dict)
    lipschitz: Fraction | None = Fraction(1)
    reflection: Fraction | None = None
    parameters: dict[str, float] = field(default_factory=dict)

    def __call__(self, x: Array) -> Array:
        """Evaluate at the precision of `x`."""
        return np.asarray(self.function(x), dtype=x.dtype)

    def value(self, x: Fraction) -> Fraction | None:
        """Return the exact value at a rational number, or None if it is not known to be rational.

        Examples
        --------
        >>> activation("sigmoid").value(Fraction(0)), activation("sigmoid").value(Fraction(1))
        (Fraction(1, 2), None)
        """
        return self.exact(x) if self.exact is not None else self.at.get(x)

    def same_as(self, other: Activation) -> bool:
        """Whether both are the same function."""
        return self.name == other.name and self.parameters == other.parameters

    def __reduce_ex__(self, protocol: Any) -> Any:
        # One of the table is stored by its name, because its functions have no names.
        named = vars(self).get("_named")
        return super().__reduce_ex__(protocol) if named is None else (_by_name, named)

    def __repr__(self) -> str:
        shown = "".join(f", {key}={value:g}" for key, value in self.parameters.items())
        return f"Activation({self.name!r}{shown})"


def common_group(sequence: Iterable[Activation]) -> Group:
    """Return the largest group of factors that passes through several activations in turn."""
    activations = list(sequence)
    for start in (Group.ANY, Group.POSITIVE, Group.SIGNS):
        group = start
        for act in activations:
            if not act.group.includes(group):
                break
            group = act.image(group)
        else:
            return start
    return Group.ONE


def _sigmoid(x: Array) -> Any:
    # Computed with exp of a non-positive number, which cannot overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _gelu(x: Array) -> Any:
    from scipy.special import erf

    return x * (1 + erf(x / math.sqrt(2))) / 2


def _gelu_tanh(x: Array) -> Any:
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def _odd(name: str, function: Callable[[Array], Any]) -> Activation:
    zero = {Fraction(0): Fraction(0)}
    return Activation(name, function, Group.SIGNS, "odd: act(-x) = -act(x)", at=zero)


def _equal_rows(
    name: str, function: Callable[[Array], Any], *, at_zero: Fraction | None, **more: Any
) -> Activation:
    known = {} if at_zero is None else {Fraction(0): at_zero}
    reason = "not homogeneous: only equal rows give equal values"
    return Activation(name, function, Group.ONE, reason, image=_one, at=known, **more)


def _gated(name: str, function: Callable[[Array], Any], lipschitz: Fraction) -> Activation:
    # x s(x) with s(-x) = 1 - s(x): hence act(-x) = act(x) - x.
    return _equal_rows(
        name, function, at_zero=Fraction(0), lipschitz=lipschitz, reflection=Fraction(1)
    )


def _leaky_relu(alpha: float = 0.01) -> Activation:
    slope = Fraction(alpha)
    return Activation(
        "leaky_relu",
        lambda x: np.where(x >= 0, x, x * x.dtype.type(alpha)),
        Group.POSITIVE,
        "positively homogeneous: act(c x) = c act(x) for c > 0",
        exact=lambda x: x if x >= 0 else slope * x,
        lipschitz=max(Fraction(1), abs(slope)),
        reflection=1 + slope,
        parameters={"alpha": alpha},
    )


def _elu(alpha: float = 1.0) -> Activation:
    return _equal_rows(
        "elu",
        lambda x: np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0))),
        at_zero=Fraction(0),
        lipschitz=max(Fraction(1), abs(Fraction(alpha))),
        parameters={"alpha": alpha},
    )


def _clip(low: float = -math.inf, high: float = math.inf) -> Activation:
    def exact(x: Fraction) -> Fraction:
        bounded = x if low == -math.inf or x >= Fraction(low) else Fraction(low)
        return bounded if high == math.inf or bounded <= Fraction(high) else Fraction(high)

    return Activation(
        "clip",
        lambda x: np.clip(x, x.dtype.type(low), x.dtype.type(high)),
        Group.ONE,
        "bounded: only equal rows give equal values",
        exact=exact,
        image=_one,
        parameters={"low": low, "high": high},
    )


_HOMOGENEOUS = "positively homogeneous: act(c x) = c act(x) for c > 0"

ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "identity": lambda: Activation(
        "identity", lambda x: x, Group.ANY, "linear: act(c x) = c act(x)", exact=lambda x: x
    ),
    "relu": lambda: Activation(
        "relu",
        lambda x: np.maximum(x, 0),
        Group.POSITIVE,
        _HOMOGENEOUS,
        exact=lambda x: max(x, Fraction(0)),
        reflection=Fraction(1),
    ),
    "leaky_relu": _leaky_relu,
    "abs": lambda: Activation(
        "abs",
        np.abs,
        Group.ANY,
        "|c x| = |c| |x|",
        exact=abs,
        carry=abs,
        image=_absolute,
    ),
    "sign": lambda: Activation(
        "sign",
        np.sign,
        Group.ANY,
        "sign(c x) = sign(c) sign(x)",
        exact=_sign,
        carry=_sign,
        image=_signs,
        lipschitz=None,
    ),
    "tanh": lambda: _odd("tanh", np.tanh),
    "softsign": lambda: Activation(
        "softsign",
        lambda x: x / (1 + np.abs(x)),
        Group.SIGNS,
        "odd: act(-x) = -act(x)",
        exact=lambda x: x / (1 + abs(x)),
    ),
    "atan": lambda: _odd("atan", np.arctan),
    "sigmoid": lambda: _equal_rows(
        "sigmoid", _sigmoid, at_zero=Fraction(1, 2), lipschitz=Fraction(1, 4)
    ),
    "softplus": lambda: _equal_rows(
        "softplus", lambda x: np.logaddexp(x, 0), at_zero=None, reflection=Fraction(1)
    ),
    "elu": _elu,
    # The derivative of GELU is at most 1.1290, that of SiLU at most 1.0999.
    "gelu": lambda: _gated("gelu", _gelu, Fraction(113, 100)),
    "gelu_tanh": lambda: _gated("gelu_tanh", _gelu_tanh, Fraction(113, 100)),
    "silu": lambda: _gated("silu", lambda x: x * _sigmoid(x), Fraction(11, 10)),
    "clip": _clip,
}
"""Every activation by name; those with parameters take them as keyword arguments."""


def activation(spec: str | Activation, **parameters: float) -> Activation:
    """Return an activation by name.

    Raises `InvalidNetwork` if there is no activation of that name.

    - spec: a key of `ACTIVATIONS`
    - parameters: ``alpha`` for "leaky_relu" and "elu", ``low`` and ``high`` for "clip"

    >>> activation("leaky_relu", alpha=0.5).value(Fraction(-3))
    Fraction(-3, 2)
    """
    if isinstance(spec, Activation):
        return spec
    if spec not in ACTIVATIONS:
        raise InvalidNetwork(
            f"there is no activation {spec!r}: {did_you_mean(spec.lower(), ACTIVATIONS, end=' ')}choose one of "
            f"{', '.join(sorted(ACTIVATIONS))}",
            activation=spec,
        )
    made = ACTIVATIONS[spec](**parameters)
    vars(made)["_named"] = (spec, parameters)
    return made


def _by_name(name: str, parameters: dict[str, float]) -> Activation:
    return activation(name, **parameters)
