"""The function of a unit between one weight matrix and the next, and the factors that pass it.

Let z be the pre-activation of a unit and F_s the function that follows: activations, pooling, slopes, shifts,
scales, depthwise convolution, batch normalisation, with parameters of unit s.  Units s and t with z_s = c z_t
merge when F_s(c z) = c' F_t(z) for all z.  To decide this for many units at once, write z_s = d_s y with y
common to the class, and pull the factor through F_s: every step returns a *key*, which is its effect on the
common y, and the remaining factor.  Equal keys mean equal functions of y, and c' is the quotient of the
remaining factors.  An activation passes the part of the factor in its group; the rest joins the key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.networks.activations import Activation
from lumpability.networks.layers import BatchNorm, Conv
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.groups import Group

Keyed = tuple[Hashable, Fraction]
"""The effect on the common value, and the remaining factor."""


class Step(ABC):
    """One step between two weight matrices, unit by unit."""

    group: Group = Group.ANY
    """Factors that pass; the rest of a factor joins the key."""
    depends_on_unit = True

    @abstractmethod
    def pull(self, unit: int, factor: Fraction) -> Keyed:
        """Return the key and the remaining factor."""

    @abstractmethod
    def value(self, unit: int, value: Fraction) -> Fraction | None:
        """Return the exact image of a constant, or None if it is irrational or not constant."""

    def constant(self, unit: int) -> Fraction | None:
        """Return the output of the unit if it does not depend on the input."""
        return None


@dataclass(frozen=True, eq=False)
class Activated(Step):
    """An activation of the table."""

    activation: Activation
    depends_on_unit = False

    @property
    def group(self) -> Group:  # type: ignore[override]
        return self.activation.group

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        absorbed = self.group.part(factor)
        return factor / absorbed, self.activation.carry(absorbed)

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        return self.activation.value(value)


@dataclass(frozen=True, eq=False)
class Pooled(Step):
    """Pooling: the maximum needs positive factors; `keeps` says whether constants stay constant."""

    maximum: bool
    keeps: bool
    depends_on_unit = False

    @property
    def group(self) -> Group:  # type: ignore[override]
        return Group.POSITIVE if self.maximum else Group.ANY

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        absorbed = self.group.part(factor)
        return factor / absorbed, absorbed

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        return value if self.keeps or value == 0 else None


@dataclass(frozen=True, eq=False)
class Sloped(Step):
    """PReLU, slopes by unit and position."""

    slopes: Array
    group = Group.POSITIVE

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        absorbed = self.group.part(factor)
        return (factor / absorbed, *self.slopes[unit].tolist()), absorbed

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        if value >= 0:
            return value
        return _common([Fraction(slope) * value for slope in self.slopes[unit].tolist()])


@dataclass(frozen=True, eq=False)
class Shifted(Step):
    """A constant added, by unit and position: c y + v = c (y + v / c)."""

    values: Array

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        return tuple(Fraction(v) / factor for v in self.values[unit].tolist()), factor

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        return _common([value + Fraction(v) for v in self.values[unit].tolist()])


@dataclass(frozen=True, eq=False)
class Scaled(Step):
    """A constant factor, by unit and position; fractions, since one may divide."""

    factors: Array

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        values = self.factors[unit].tolist()
        lead = next((v for v in values if v), None)
        if lead is None:
            return None, Fraction(1)
        return tuple(v / lead for v in values), factor * lead

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        return _common([value * v for v in self.factors[unit].tolist()])

    def constant(self, unit: int) -> Fraction | None:
        return None if any(self.factors[unit].tolist()) else Fraction(0)


@dataclass(frozen=True, eq=False)
class Normalised(Step):
    """Batch normalisation.  Its square roots may be irrational: only equal variances are comparable."""

    layer: BatchNorm

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        scale, bias, mean, variance = self._numbers(unit)
        if scale == 0:
            return bias, Fraction(1)
        # scale k (c y - mean) + bias = c scale (k (y - mean / c) + bias / (c scale))
        left = factor * scale
        return (variance, mean / factor, bias / left), left

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        scale, bias, mean, _ = self._numbers(unit)
        if scale == 0 or value == mean:
            return bias
        root = self.layer.deviation()[unit]
        return None if root is None else scale * (value - mean) / root + bias

    def constant(self, unit: int) -> Fraction | None:
        return Fraction(float(self.layer.bias[unit])) if self.layer.scale[unit] == 0 else None

    def _numbers(self, unit: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
        layer = self.layer
        arrays = (layer.scale, layer.bias, layer.mean, layer.variance)
        scale, bias, mean, variance = (Fraction(float(array[unit])) for array in arrays)
        return scale, bias, mean, variance


@dataclass(frozen=True, eq=False)
class Filtered(Step):
    """Depthwise convolution: k * (c y) + b = c l (k / l * y + b / (c l)) with l the kernel's first entry."""

    layer: Conv

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        kernel, bias = self._numbers(unit)
        lead = next((value for value in kernel if value), None)
        if lead is None:
            return bias, Fraction(1)
        left = factor * lead
        return (*(value / lead for value in kernel), bias / left), left

    def value(self, unit: int, value: Fraction) -> Fraction | None:
        kernel, bias = self._numbers(unit)
        if value and self.layer.is_padded and any(kernel):
            return None
        return value * sum(kernel) + bias

    def constant(self, unit: int) -> Fraction | None:
        kernel, bias = self._numbers(unit)
        return None if any(kernel) else bias

    def _numbers(self, unit: int) -> tuple[list[Fraction], Fraction]:
        bias = 0.0 if self.layer.bias is None else float(self.layer.bias[unit])
        return to_fractions(self.layer.weight[unit].ravel()).tolist(), Fraction(bias)


def key_and_factor(steps: tuple[Step, ...], unit: int, factor: Fraction) -> Keyed:
    """Pull a factor through all steps; return the key of the unit's function and the remaining factor.

    >>> from lumpability.networks.activations import activation
    >>> relu, shift = Activated(activation("relu")), Shifted(np.array([[3.0], [6.0]]))
    >>> key_and_factor((relu, shift), 0, Fraction(1)) == key_and_factor((relu, shift), 1, Fraction(2))
    False
    >>> key_and_factor((relu, shift), 0, Fraction(1))[0] == key_and_factor((relu, shift), 1, Fraction(2))[0]
    True
    """
    keys = []
    for step in steps:
        key, factor = step.pull(unit, factor)
        keys.append(key)
    return tuple(keys), factor


def value_after(steps: tuple[Step, ...], unit: int, value: Fraction | None) -> Fraction | None:
    """Return the exact output of a unit with a constant pre-activation; None if it is not constant.

    If `value` is None, the pre-activation is not constant; the output may be constant all the same (after a
    batch normalisation with scale zero).

    >>> from lumpability.networks.activations import activation
    >>> value_after((Activated(activation("relu")),), 0, Fraction(-3))
    Fraction(0, 1)
    """
    for step in steps:
        forced = step.constant(unit)
        value = forced if forced is not None else value
        value = None if value is None else step.value(unit, value) if forced is None else forced
    return value


def _common(values: list[Fraction]) -> Fraction | None:
    return values[0] if all(value == values[0] for value in values) else None


def scaled_by_unit(by_unit: Array, *, divide: bool) -> Array:
    """Return factors by unit as fractions, inverted for a division."""
    exact = to_fractions(by_unit)
    return np.asarray(Fraction(1) / exact, dtype=object) if divide else exact
