"""A network as a list of stages: one weight matrix, and the layers from it to the next one.

Stage l is the theory's layer l: h_l = F(h_{l-1} W_l + b_l).  Its units may be merged or removed only if
they arrive at the next weight matrix unmixed.  Otherwise the stage is *held*, for a reason that is recorded: it
is the output, or a barrier follows (softmax, a join, an unknown operator, a grouped convolution, a reshape that
mixes units).  A depthwise convolution filters every channel separately, and is one of the layers that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lumpability.networks.activations import common_group
from lumpability.networks.claims import admits_factors
from lumpability.networks.elementwise import Activate, PReLU, Scale, Shift
from lumpability.networks.layers import BatchNorm, Conv, Dense, Layer
from lumpability.networks.network import Network
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import ShapeLayer
from lumpability.networks.unit_functions import (
    Activated,
    Filtered,
    Keyed,
    Normalised,
    Pooled,
    Scaled,
    Shifted,
    Sloped,
    Step,
    key_and_factor,
    scaled_by_unit,
)
from lumpability.networks.unit_layout import Units, fixed
from lumpability.numbers.float_arrays import Array, varying_axes
from lumpability.numbers.groups import Group


@dataclass(frozen=True, eq=False)
class Stage:
    """A layer with weights, the layers that follow it, and the rows that its units feed."""

    position: int  # number of the layer in the network
    layer: Dense | Conv
    after: tuple[int, ...] = ()  # numbers of the layers up to the next weight matrix
    steps: tuple[Step, ...] = ()  # their effect, unit by unit
    # Shape (units, k): rows of the next weight matrix that each unit feeds; None if the stage is
    # held.
    rows: Array | None = None
    held: str | None = None  # why no unit may be merged or removed
    # Whether this stage reads from the stage before it (else from units that stay as they are).
    open: bool = False

    @property
    def units(self) -> int:
        """Number of units."""
        return self.layer.units

    @property
    def matrix(self) -> Array:
        """The weights as a matrix, one column for each unit (a view)."""
        return self.layer.matrix

    @property
    def is_uniform(self) -> bool:
        """Whether all units are followed by the same function."""
        return not any(step.depends_on_unit for step in self.steps)

    @property
    def reflection(self) -> Fraction | None:
        """The number r with act(-x) = act(x) - r x, if a single activation follows; else None."""
        if self.held is not None or len(self.steps) != 1:
            return None
        (step,) = self.steps
        return step.activation.reflection if isinstance(step, Activated) else None

    def pull(self, unit: int, factor: Fraction) -> Keyed:
        """Apply `key_and_factor`; if the activation has a reflection, to the factor without its sign."""
        return key_and_factor(self.steps, unit, factor if self.reflection is None else abs(factor))

    def group(self, kind: str, *, antiparallel: bool = False) -> Group:
        """Factors by which columns may differ, for a kind of lumping."""
        if antiparallel and self.reflection is not None:
            positive = self.group(kind) is Group.POSITIVE
            return Group.ANY if positive else Group.SIGNS
        if not admits_factors(kind) or self.held is not None:
            return Group.ONE
        passed = []
        for step in self.steps:
            if isinstance(step, Filtered | Shifted | Scaled | Normalised):
                break  # the later factors depend on the unit: `key_and_factor` decides
            passed.append(step)
        groups = [step.group for step in passed if not isinstance(step, Activated)]
        group = common_group(step.activation for step in passed if isinstance(step, Activated))
        if Group.POSITIVE in groups:
            group = {Group.ANY: Group.POSITIVE, Group.SIGNS: Group.ONE}.get(group, group)
        return group


def stages_of(network: Network) -> list[Stage]:
    """Cut a network into stages.

    >>> network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    >>> [(stage.units, stage.held) for stage in stages_of(network)]
    [(2, None), (1, 'output')]
    """
    return list(_cut(network))


def _cut(network: Network) -> Iterator[Stage]:
    current: Stage | None = None
    units: Units | None = None
    for position, layer in enumerate(network.layers):
        shape = network.shapes[position + 1]
        reads = False
        if current is not None and units is not None:
            # A depthwise convolution has one filter for each unit.
            filters = isinstance(layer, Conv) and layer.is_depthwise and _is_channelwise(units)
            if isinstance(layer, Dense | Conv) and not filters:
                rows = units.rows_of_weight(layer)
                reads = rows is not None
                held = None if reads else _why_mixed(layer)
                yield replace(current, rows=rows, held=held)
            else:
                followed = _follow(layer, units, fixed(shape))
                if followed is not None:
                    step, units = followed
                    steps = current.steps if step is None else (*current.steps, step)
                    current = replace(current, after=(*current.after, position), steps=steps)
                    continue
                yield replace(current, held=f"before {layer.title}")
            current = None
        if isinstance(layer, Dense | Conv):
            if isinstance(layer, Conv) and layer.groups != 1:
                yield Stage(position, layer, held="grouped convolution")
                continue
            current = Stage(position, layer, open=reads)
            units = Units.of_layer(layer, shape)
    if current is not None:
        yield replace(current, held="output")


def _why_mixed(layer: Layer) -> str:
    grouped = isinstance(layer, Conv) and layer.groups != 1
    return "before a grouped convolution" if grouped else "its units are mixed before they are used"


def _follow(layer: Layer, units: Units, shape: tuple[int, ...]) -> tuple[Step | None, Units] | None:
    """Return the effect of a layer on each unit, and the positions of units after it; None for a barrier."""
    if isinstance(layer, ShapeLayer):
        moved = units.through(layer, shape)
        return (None, moved) if len(varying_axes(moved.unit)) <= 1 else None
    if isinstance(layer, Activate):
        return Activated(layer.function), units
    if isinstance(layer, MaxPool | AveragePool | GlobalPool):
        if not _is_channelwise(units):
            return None
        return _pooled(layer), units.through(layer, shape)
    if isinstance(layer, Conv):
        return Filtered(layer), units.through(layer, shape)
    if units.unit.shape != shape:
        return None  # a constant with a larger shape than the input
    if isinstance(layer, PReLU):
        return Sloped(units.by_unit(layer.slope)), units
    if isinstance(layer, Shift):
        return Shifted(units.by_unit(layer.value)), units
    if isinstance(layer, Scale):
        return Scaled(scaled_by_unit(units.by_unit(layer.value), divide=layer.divide)), units
    if isinstance(layer, BatchNorm) and _is_channelwise(units):
        return Normalised(layer), units
    return None


def _is_channelwise(units: Units) -> bool:
    """Whether unit number i is channel i of axis 1."""
    channels = units.rows(1) if units.unit.ndim > 1 else None
    return channels is not None and np.array_equal(channels, np.arange(units.count)[:, None])


def _pooled(layer: MaxPool | AveragePool | GlobalPool) -> Pooled:
    if isinstance(layer, GlobalPool):
        return Pooled(layer.maximum, keeps=True)
    if isinstance(layer, AveragePool):
        return Pooled(maximum=False, keeps=layer.keeps_constants)
    return Pooled(maximum=True, keeps=True)
