"""`prove`: one verb for lumpings of either wing."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from lumpability.errors import InvalidInput
from lumpability.markov.lumping import Lumping
from lumpability.networks.lumping import NetworkLumping
from lumpability.symbolic.chains import MOST_STATES, prove_chain
from lumpability.symbolic.functions import MOST_OPERATIONS
from lumpability.symbolic.layers import prove_network
from lumpability.symbolic.proof import Proof

__all__ = ["prove"]


@singledispatch
def prove(lumping: Any, *, largest: int | None = None) -> Proof:
    """Prove a lumping with symbolic matrices, or show what is wrong with it.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
        Matrices are built from its model and its partition; its quotient is what is checked.
    largest : int, optional
        Largest number of states of a chain (`lumpability.symbolic.chains.MOST_STATES`, 200, by default),
        or of multiplications of a network (`lumpability.symbolic.functions.MOST_OPERATIONS`, 20,000).

    Returns
    -------
    Proof
        Falsy if the lumping is wrong; it then shows the entries that differ.

    Raises
    ------
    SizeLimit
        If the model is larger; carries ``size`` and ``limit``.
    InvalidInput
        If this is no lumping, or its parts do not fit each other.
    NotJustified
        If a layer of a network has no symbolic form.

    Examples
    --------
    >>> from lumpability import CTMC, Network, lump
    >>> chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "x", ("c", "a"): "y"}, labels={"c": ["c"]})
    >>> proof = prove(lump(chain))
    >>> print(proof)
    proved: Q V = V Q^ for all x > 0, y > 0
    >>> proof.matrices["Q^"]
    Matrix([
    [-x,  x],
    [ y, -y]])
    >>> twins = Network.dense([([[1, 2]], [1, 2], "relu"), ([[3], [4]], None, None)])
    >>> print(prove(lump(twins)))
    proved: A_0 W_1 = W^_1 A_1; A_1 W_2 = W^_2 A_2; the output is the same expression, using relu(2*x) = 2*relu(x)
    """
    raise InvalidInput(f"a {type(lumping).__name__} is no lumping: give what lump returns")


@prove.register
def _chain(lumping: Lumping, *, largest: int | None = None) -> Proof:
    return prove_chain(lumping, largest=MOST_STATES if largest is None else largest)


@prove.register
def _network(lumping: NetworkLumping, *, largest: int | None = None) -> Proof:
    return prove_network(lumping, largest=MOST_OPERATIONS if largest is None else largest)
