"""Symbolic proofs of network lumpings: the identity of every layer, and both functions as expressions.

With a first coordinate that is always 1, (1, h) -> (1, h W + b) is one matrix W_l = [1 b; 0 W] for layer l, and

    A_{l-1} W_l = W_l^ A_l,        A_l[C, s] = c(s) > 0 for s in C,

holds as in `lumpability.networks.identities`; the constant 1 is class 0.  B_l is A_l with the factors and the values of
constants after the activation; usually it equals A_l.  A separate proof shows that both networks are the same
function: with symbols for inputs, and activations of which only the rule act(c x) = c' act(x) is used.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.identities import LayerIdentity, layer_identities
from lumpability.networks.lumping import NetworkLumping
from lumpability.numbers.float_arrays import Array
from lumpability.symbolic.functions import MOST_OPERATIONS, compare_functions
from lumpability.symbolic.matrices import compare, matrix_of
from lumpability.symbolic.proof import Consequence, Identity, Proof


def prove_network(lumping: NetworkLumping, *, largest: int = MOST_OPERATIONS) -> Proof:
    """Prove that a network and its quotient compute the same function.

    Raises `SizeLimit` if a network is larger; carries ``size`` and ``limit``.  Raises `NotJustified` if a layer
    has no symbolic form, such as an unknown operator.

    - lumping: the stored ``quotient`` is compared; if weights were rounded, it differs
    - largest: largest number of multiplications of a network for one input

    If there is no identity for each layer (units of opposite sign were merged, or layers vanished), the
    proof consists of the functions only.
    """
    function = compare_functions(lumping.network, lumping.quotient, largest=largest)
    try:
        layers = layer_identities(
            lumping.network,
            lumping.quotient,
            [one.claim for one in lumping.stages],
            lumping.kind,
        )
    except (NotJustified, InvalidInput) as reason:
        layers, note = [], f"; no identity for each layer: {reason}"
    else:
        gone = sum(int((~one.live).sum()) for one in lumping.stages)
        told = f"; what is constant or dead is left out of it: {gone} of the classes below"
        note = told if gone else ""
    matrices: dict[str, Any] = {}
    identities = []
    for number, layer in enumerate(layers, 1):
        identities.append(_identity(layer, number, matrices))
    network, quotient = lumping.network, lumping.quotient
    title = (
        f"network, {lumping.kind} lumping of {network.hidden_neurons} neurons to "
        f"{quotient.hidden_neurons}{note}"
    )
    return Proof(
        title=title,
        matrices=matrices,
        identities=tuple(identities),
        objections=() if function else (str(function),),
        consequences=_CONSEQUENCES if identities else (),
        function=function,
    )


_CONSEQUENCES = (
    Consequence(
        "h = h^ A", "h W = h^ A W = (h^ W^) A", "the next layer has the same form, for every input"
    ),
)


def _identity(layer: LayerIdentity, number: int, matrices: dict[str, Any]) -> Identity:
    """Multiply out the identity of one layer and store its matrices; A_0 is left out if it is 1."""
    found = {
        f"A_{number - 1}": layer.rows.matrix(),
        f"W_{number}": _with_one(layer.matrix),
        f"W^_{number}": layer.quotient,
        f"A_{number}": _with_one(layer.units.matrix()),
    }
    shown = {name: matrix_of(values.tolist(), values.shape) for name, values in found.items()}
    lifting, weights, quotient, lifted = shown.values()
    before = f"A_{number - 1}"
    if before in matrices and matrices[before] != lifting:
        # After the activation, constants have their values, and factors are those that the activation passes.
        before = f"B_{number - 1}"
        shown = {before: lifting, **{name: shown[name] for name in list(shown)[1:]}}
    matrices.update(shown)
    text = f"{before} W_{number} = W^_{number} A_{number}"
    classes = ["1", *(f"class {c}" for c in range(1, layer.rows.count))]
    units = ["1", *(f"unit {s}" for s in range(len(layer.units.labels)))]
    return compare(text, [lifting, weights], [quotient, lifted], classes, units)


def _with_one(matrix: Array) -> Array:
    """Put the column of the constant 1 before the others."""
    one = np.full((len(matrix), 1), Fraction(0), dtype=object)
    one[0] = Fraction(1)
    return np.hstack([one, matrix])
