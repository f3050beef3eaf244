"""What a proof assistant shall confirm about a lumping of a network: its identities, in integers.

`lumpability.networks.identities` says what the matrices are; here they are multiplied by common denominators.
That an activation turns the factors of one layer's units into those of the next layer's rows is its own
property (`lumpability.networks.activations`) and no matter of weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from lumpability.certificate.export.statement import (
    LayerStatement,
    NetworkStatement,
    refuse_large,
    scaled,
)
from lumpability.errors import NotJustified
from lumpability.networks.claims import LayerClaim
from lumpability.networks.identities import LayerIdentity, layer_identities
from lumpability.networks.network import Network
from lumpability.networks.weight_stages import stages_of
from lumpability.numbers.integers import scale_to_integers

__all__ = ["network_statement"]


def network_statement(
    network: Network,
    quotient: Network,
    claims: Sequence[LayerClaim],
    kind: str,
    *,
    largest_change: Fraction = Fraction(0),
) -> NetworkStatement:
    """Return the statement that every layer of a lumping satisfies its identity.

    Raises `SizeLimit` if a layer is larger than a proof assistant is given; carries ``size`` and ``limit``.
    Raises `NotJustified` if weights were rounded, there are none, or there is more to show than an identity for
    each layer; see `layer_identities`.

    Parameters
    ----------
    claims : sequence of LayerClaim
        One for every layer with weights.
    kind : {"proportional", "exact"}
    largest_change : Fraction
        What rounding changed the quotient's weights by.

    Examples
    --------
    >>> from lumpability import lump
    >>> twins = Network.dense([([[1, 2]], [1, 2], "relu"), ([[3], [4]], None, None)])
    >>> lumping = lump(twins)
    >>> claims = lumping.certificate().layers
    >>> first, last = network_statement(twins, lumping.quotient, claims, "proportional").layers
    >>> first.matrix, first.quotient, first.factors
    (((1, 2), (1, 2)), ((1, 1), (0, 1)), (1, 2))
    >>> last.matrix, last.row_labels, last.row_factors, last.quotient
    (((0,), (3,), (4,)), (0, 1, 1), (1, 1, 2), ((1, 0), (0, 11)))
    """
    stages = stages_of(network)
    if not stages:
        raise NotJustified("a network without weights has no identity to state")
    for stage in stages:
        refuse_large(max(stage.matrix.shape[0] + 1, stage.units))
    if largest_change:
        raise NotJustified(
            "weights of the quotient were rounded, so that the identities hold but approximately: lump with "
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
