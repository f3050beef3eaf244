"""`lump` for networks: classes, quotient and proof, one after the other."""

from __future__ import annotations

import time
from typing import Any

from lumpability.dispatch import lump
from lumpability.errors import InvalidInput, LumpabilityError, NotJustified
from lumpability.networks.certificate import refute
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.merging import merge
from lumpability.networks.network import Network
from lumpability.networks.quotient import quotient_network
from lumpability.networks.weight_stages import stages_of
from lumpability.refinement import Engine, EngineName

__all__ = ["KINDS", "lump_network"]

KINDS = ("proportional", "exact")


@lump.register
def lump_network(
    network: Network,
    *,
    kind: str | None = None,
    dtype: Any = None,
    strict: bool = False,
    engine: EngineName | Engine = "auto",
    antiparallel: bool = False,
) -> NetworkLumping:
    """Compute the maximal lumping of a network and its quotient, exactly.

    Parameters
    ----------
    network : Network
    kind : {"proportional", "exact"}
        Whether merged neurons may differ by a factor that the activation lets pass ("proportional",
        the default) or must be equal.
    dtype : numpy float type, optional
        Of the quotient's weights; by default the stored types.
    strict : bool
        Refuse to round: raise if a new weight is not representable.
    engine : {"auto", "definition", "worklist", "rounds", "kernel", "columns"} or callable
        All give the same answer; "auto" takes the dense accelerator, see `refinement.refine`.
    antiparallel : bool
        Also merge units of opposite sign under ReLU, leaky ReLU, softplus, GELU and SiLU, which takes
        a skip past the activation; layer by layer, where the quotient gets fewer parameters.

    Returns
    -------
    NetworkLumping

    Raises
    ------
    InvalidInput
        For an unknown kind or engine.
    NotJustified
        With `strict`, if a new weight would have to be rounded; carries ``rounding``.

    Notes
    -----
    Linear in the number of weights; layers without duplicates are decided by their first rows.  With
    `antiparallel` once more for each layer that could take a skip.

    Examples
    --------
    >>> from lumpability import lump
    >>> first = [[1, -1, 2, -2], [3, -3, 1, -1], [0, 0, 1, -1]]
    >>> network = Network.dense([(first, None, "relu"), ([[1], [2], [3], [4]], [0], None)])
    >>> lump(network).is_irreducible, lump(network, antiparallel=True)
    (True, NetworkLumping(proportional: 4 -> 2 hidden neurons, 17 -> 11 parameters, proved))
    """
    started = time.perf_counter()
    chosen = kind or "proportional"
    if chosen not in KINDS:
        raise InvalidInput(
            f"unknown kind {chosen!r} for a network: choose proportional or exact", kind=chosen
        )
    reflect = _worth_reflecting(network, chosen, engine) if antiparallel else frozenset()
    merged = tuple(merge(network, chosen, engine=engine, reflect=reflect))
    quotient, weights, rounding = quotient_network(network, merged, dtype)
    if strict and rounding.rounded:
        raise NotJustified(
            f"{rounding.rounded} of {rounding.weights} new weights are not representable in the target "
            f"type (off by at most {float(rounding.largest):.3g}): choose a wider dtype, or allow rounding",
            rounding=rounding,
        )
    claims = [one.claim() for one in merged]
    wrong = refute(network, quotient, claims, chosen, rounding.largest)
    if wrong is not None:
        raise LumpabilityError(
            f"internal error: the quotient failed its proof ({wrong}); please report it with the network",
            witness=wrong,
        )
    rounded = f"; {rounding}" if rounding.rounded else ""
    proof = f"A W = W^ A and b = b^ A hold exactly in all {len(merged)} layers{rounded}"
    seconds = time.perf_counter() - started
    return NetworkLumping(network, quotient, chosen, merged, weights, rounding, seconds, proof)


def _worth_reflecting(network: Network, kind: str, engine: EngineName | Engine) -> frozenset[int]:
    """Return the stages where merging units of opposite sign leaves fewer parameters."""
    chosen: frozenset[int] = frozenset()
    smallest = quotient_network(network, merge(network, kind, engine=engine))[0].parameter_count
    for number, stage in enumerate(stages_of(network)):
        if stage.reflection is None:
            continue
        trial = chosen | {number}
        merged = merge(network, kind, engine=engine, reflect=trial)
        if merged[number].reflected.any():
            size = quotient_network(network, merged)[0].parameter_count
            if size < smallest:
                chosen, smallest = trial, size
    return chosen
