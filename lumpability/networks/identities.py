"""The identity of every layer of a network lumping, written out in fractions.

Let A be the lifting matrix of a layer's inputs and A' that of its units.  A W = W^ A' and b = b^ A' are one
identity,

    A [b; W] = [b^; W^] A',

if the bias is the row of the constant 1, which is class 0.  A constant unit with pre-activation p and value v
belongs to class 0, with factor p in A' and factor v in the A of the next layer.  Classes that nothing reads have
rows of zeros in the columns of W^ that stay.  [b; W] and [b^; W^] are those of the network and of the quotient as
stored; the liftings follow from the claims.
For a proof assistant they are multiplied by common denominators.  That an activation turns the factors of a
layer's units into those of the next layer's rows is a property of the activation (`lumpability.networks.activations`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.certificate.export.statement import (
    LayerStatement,
    NetworkStatement,
    refuse_large,
    scaled,
)
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.bound_claims import BoundClaim, bind
from lumpability.networks.claims import LayerClaim
from lumpability.networks.network import Network
from lumpability.networks.weight_stages import Stage, stages_of
from lumpability.numbers.float_arrays import Array, to_fractions
from lumpability.numbers.integers import scale_to_integers


@dataclass(frozen=True)
class Lifting:
    """A matrix with one entry in every column: for each unit (or row of weights) its class and factor."""

    count: int  # number of classes; class 0 is the constant's
    labels: tuple[int, ...]
    factors: tuple[Fraction, ...]
    # Classes that are not in the quotient, because nothing that stays reads them.
    unused: tuple[int, ...] = ()

    @property
    def used(self) -> list[int]:
        """The classes of the quotient, the constant's aside."""
        return [c for c in range(1, self.count) if c not in self.unused]

    def matrix(self) -> Array:
        """Return A, shape (count, len(labels)), as an object array of fractions."""
        result = _zeros(self.count, len(self.labels))
        result[list(self.labels), np.arange(len(self.labels))] = self.factors
        return result


@dataclass(frozen=True, eq=False)
class LayerIdentity:
    """The identity of one layer: rows.matrix() @ matrix = quotient @ units.matrix()."""

    layer: int  # number of the layer in the network
    title: str
    matrix: Array  # shape (rows, units): [b; W]
    quotient: Array  # shape (rows.count, units.count): [b^; W^], with the classes left out of it
    # rows, units: A and A'.
    rows: Lifting
    units: Lifting


def layer_identities(
    network: Network, quotient: Network, claims: Sequence[LayerClaim], kind: str
) -> list[LayerIdentity]:
    """Write out the identity of every layer with weights, without checking it.

    Raises `InvalidInput` if layers or sizes of network, claims and quotient do not fit each other.  Raises
    `NotJustified` if these identities are not enough: units of opposite sign were merged, a unit is constant
    for another reason than its weights, layers vanished, or a factor does not pass an activation.

    >>> from lumpability import lump
    >>> twins = Network.dense([([[1, 2]], [1, 2], "relu"), ([[3], [4]], None, None)])
    >>> lumping = lump(twins)
    >>> claims = lumping.certificate().layers
    >>> first, last = layer_identities(twins, lumping.quotient, claims, "proportional")
    >>> first.matrix.tolist() == [[1, 2], [1, 2]], first.units.labels
    (True, (1, 1))
    >>> bool((last.rows.matrix() @ last.matrix == last.quotient @ last.units.matrix()).all())
    True
    """
    stages, fewer = stages_of(network), stages_of(quotient)
    if len(claims) != len(stages):
        raise InvalidInput(f"{len(claims)} claims for {len(stages)} layers with weights")
    bound = bind(claims, stages, kind)
    if any(claim.reflected.any() for claim in bound):
        raise NotJustified(
            "units of opposite sign were merged, at the price of a skip past the activation: lump with "
            "antiparallel=False for an identity of weights alone"
        )
    if len(fewer) != len(stages) or not all(claim.live.any() for claim in claims):
        raise NotJustified(
            "the network and its quotient do not have the same layers, so there is no identity for each of them"
        )
    return [
        _identity(claim, fewer[number], fewer[number - 1] if claim.below is not None else None)
        for number, claim in enumerate(bound)
    ]


def _identity(claim: BoundClaim, stage: Stage, below: Stage | None) -> LayerIdentity:
    wrong = np.flatnonzero(claim.moving & np.array(claim.carried == 0, dtype=bool))
    if len(wrong):
        raise NotJustified(
            f"the factor {claim.claim.factors[wrong[0]]} of unit {wrong[0]} in layer {claim.stage.position} "
            "does not pass the layers that follow"
        )
    rows = _rows(claim)
    matrix = _with_bias(claim.stage)
    summed = _zeros(rows.count, claim.stage.units)
    for row, label, factor in zip(matrix, rows.labels, rows.factors, strict=True):
        summed[label] += row * factor
    units = _units(claim, summed)
    title = f"{claim.stage.layer.title}, {claim.stage.units} units to {len(units.used)}"
    quotient = _quotient(stage, below, rows, units, summed)
    return LayerIdentity(claim.stage.position, title, matrix, quotient, rows, units)


def _rows(claim: BoundClaim) -> Lifting:
    """Return the classes of the rows of [b; W]."""
    below, count = claim.below, claim.stage.matrix.shape[0] + 1
    if below is None:
        return Lifting(count, tuple(range(count)), (Fraction(1),) * count)
    assert below.stage.rows is not None
    width = below.stage.rows.shape[1]
    numbers, constant = _numbers(below)
    labels, factors = [0] * count, [Fraction(1)] * count
    for unit, places in enumerate(below.stage.rows.tolist()):
        for position, row in enumerate(places):
            if below.moving[unit]:
                labels[row + 1] = 1 + int(numbers[below.partition.labels[unit]]) * width + position
                factors[row + 1] = below.carried[unit]
            else:
                factors[row + 1] = below.claim.constants[unit]
    unused = [
        1 + int(number) * width + position
        for number in numbers[~below.live & ~constant]
        for position in range(width)
    ]
    classes = 1 + int((~constant).sum()) * width
    return Lifting(classes, tuple(labels), tuple(factors), tuple(unused))


def _numbers(claim: BoundClaim) -> tuple[Array, Array]:
    """Return the number of every class among those that are not constant, and which are."""
    constant = claim.constant_classes
    return np.cumsum(~constant) - 1, constant


def _units(claim: BoundClaim, summed: Array) -> Lifting:
    """Return the classes of the units; the factor of a constant is its pre-activation."""
    numbers, constant = _numbers(claim)
    labels, factors = [], []
    for unit, (label, moves) in enumerate(zip(claim.partition.labels, claim.moving, strict=True)):
        if moves:
            labels.append(1 + int(numbers[label]))
            factors.append(claim.claim.factors[unit])
        elif any(summed[1:, unit]):
            raise NotJustified(
                f"unit {unit} of layer {claim.stage.position} is constant because of what follows its weights"
            )
        else:
            labels.append(0)
            factors.append(summed[0, unit])
    unused = tuple(1 + int(number) for number in numbers[~claim.live & ~constant])
    return Lifting(1 + int((~constant).sum()), tuple(labels), tuple(factors), unused)


def _quotient(
    stage: Stage, below: Stage | None, rows: Lifting, units: Lifting, summed: Array
) -> Array:
    """Return [b^; W^], its rows class by class, and the part that was left out."""
    stored = _with_bias(stage)
    if below is not None:
        assert below.rows is not None
        stored = stored[np.concatenate([[0], below.rows.ravel() + 1])]
    if stored.shape != (1 + len(rows.used), len(units.used)):
        raise InvalidInput(
            f"layer {stage.position} of the quotient has {stored.shape[0] - 1} inputs and {stored.shape[1]} "
            f"units, the claim {len(rows.used)} and {len(units.used)}"
        )
    result = _zeros(rows.count, units.count)
    result[0, 0] = Fraction(1)
    result[np.ix_([0, *rows.used], units.used)] = stored
    for number in units.unused:
        first = units.labels.index(number)
        result[:, number] = summed[:, first] / units.factors[first]
    return result


def _with_bias(stage: Stage) -> Array:
    stored = stage.layer.bias
    bias = np.zeros(stage.units, dtype=stage.matrix.dtype) if stored is None else stored
    return np.vstack([to_fractions(bias)[None], to_fractions(stage.matrix)])


def _zeros(rows: int, columns: int) -> Array:
    return np.full((rows, columns), Fraction(0), dtype=object)


def network_statement(
    network: Network,
    quotient: Network,
    claims: Sequence[LayerClaim],
    kind: str,
    *,
    largest_change: Fraction = Fraction(0),
) -> NetworkStatement:
    """Return the statement that every layer of a lumping satisfies its identity.

    Raises `SizeLimit` if a layer is too large for a proof assistant; carries ``size`` and ``limit``.
    Raises `NotJustified` if weights were rounded (`largest_change` is not zero), there are none, or an identity
    for each layer is not enough; see `layer_identities`.
    """
    stages = stages_of(network)
    if not stages:
        raise NotJustified("a network without weights has no identity to state")
    for stage in stages:
        refuse_large(max(stage.matrix.shape[0] + 1, stage.units))
    if largest_change:
        raise NotJustified(
            "weights of the quotient were rounded, so the identities hold only approximately: lump with "
            "a wider dtype",
            change=largest_change,
        )
    layers = layer_identities(network, quotient, claims, kind)
    return NetworkStatement(f"network, {kind} lumping", tuple(_layer(one) for one in layers))


def _layer(one: LayerIdentity) -> LayerStatement:
    denominator = math.lcm(*(x.denominator for x in [*one.matrix.flat, *one.quotient.flat]))
    row_factors, row_denominator = scale_to_integers(one.rows.factors)
    factors, factor_denominator = scale_to_integers(one.units.factors)
    return LayerStatement(
        title=one.title,
        matrix=scaled(one.matrix.tolist(), denominator),
        quotient=scaled(one.quotient.tolist(), denominator),
        denominator=denominator,
        row_labels=one.rows.labels,
        row_factors=tuple(row_factors),
        row_denominator=row_denominator,
        labels=one.units.labels,
        factors=tuple(factors),
        factor_denominator=factor_denominator,
        unused_rows=one.rows.unused,
        unused=one.units.unused,
    )
