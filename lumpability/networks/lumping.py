"""`lump` for networks, and the lumping it returns.

The quotient computes the same function as the network for every input, over the reals and for the stored
weights; the identity that proves it has been checked in exact arithmetic before a lumping is returned.
New weights that the stored type cannot hold are rounded, kept in float64 or refused, as asked; floating
point execution may still differ in the order of summation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lumpability import display
from lumpability.display import Player
from lumpability.errors import InvalidInput, LumpabilityError, NotJustified
from lumpability.networks.arrays import Array
from lumpability.networks.certificate import NetworkCertificate, Subject, refute
from lumpability.networks.merging import MergedStage, merge, reasons
from lumpability.networks.narrowing import quotient_network
from lumpability.networks.network import Network
from lumpability.networks.new_weights import NewWeights
from lumpability.networks.rounding import Rounding
from lumpability.networks.stages import stages_of
from lumpability.partition import Partition
from lumpability.verbs import lump

__all__ = ["LayerReport", "NetworkLumping", "lump_network", "offsets"]

KINDS = ("proportional", "exact")
ENGINES = ("columns", "structure")


@dataclass(frozen=True)
class LayerReport:
    """What happened to one layer with weights.

    Attributes
    ----------
    layer : int
        Its number in the network.
    title : str
    units, left : int
        Neurons or channels before and after.
    identical, proportional, antiparallel, constant, dead : int
        Units that disappeared, by reason.
    held : str or None
        Why nothing may be merged here.
    """

    layer: int
    title: str
    units: int
    left: int
    identical: int
    proportional: int
    antiparallel: int
    constant: int
    dead: int
    held: str | None


@dataclass(frozen=True, eq=False, repr=False)
class NetworkLumping:
    """The maximal lumping of a network.

    Attributes
    ----------
    network, quotient : Network
    kind : str
        "proportional" or "exact".
    stages : tuple of MergedStage
        Partition, factors, constants and dead classes, layer by layer.
    weights : tuple of NewWeights
        The quotient's weights before rounding.
    rounding : Rounding
        What rounding to the stored type changed.
    seconds : float
        For everything, proof included.
    proof : str
        What was checked in exact arithmetic.

    Examples
    --------
    >>> from lumpability import lump
    >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
    >>> lumping = lump(network)
    >>> lumping
    NetworkLumping(proportional: 2 -> 1 hidden neurons, 6 -> 3 parameters, proved)
    >>> lumping.factors[0], lumping.origin[0]
    ([Fraction(1, 1), Fraction(2, 1)], [[0, 1]])
    """

    network: Network
    quotient: Network
    kind: str
    stages: tuple[MergedStage, ...]
    weights: tuple[NewWeights, ...]
    rounding: Rounding
    seconds: float
    proof: str

    @cached_property
    def partition(self) -> Partition:
        """Partition of all units of layers with weights, numbered layer after layer."""
        starts = offsets(self.network, self.stages)
        labels = [
            one.partition.labels + start for one, start in zip(self.stages, starts, strict=False)
        ]
        return Partition(np.concatenate(labels) if labels else np.empty(0, dtype=np.int64))

    @property
    def partitions(self) -> list[Partition]:
        """Partition of the units of each layer with weights."""
        return [one.partition for one in self.stages]

    @property
    def factors(self) -> list[list[Any]]:
        """Factor c(s) of every unit, layer by layer, as fractions."""
        return [one.factors.tolist() for one in self.stages]

    @property
    def origin(self) -> list[list[list[int]]]:
        """For every layer and every unit of the quotient, the units it stands for."""
        return [
            [one.partition.blocks[c].tolist() for c in one.kept.tolist()] for one in self.stages
        ]

    @cached_property
    def table(self) -> list[LayerReport]:
        """What happened, layer by layer."""
        return [
            LayerReport(
                layer=one.stage.position,
                title=one.stage.layer.title,
                units=one.stage.units,
                left=int(one.live.sum()),
                held=one.stage.held,
                **reasons(one),
            )
            for one in self.stages
        ]

    @property
    def is_irreducible(self) -> bool:
        """Whether nothing could be merged, folded or removed."""
        return all(row.units == row.left for row in self.table)

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if not self.is_irreducible:
            return (
                f"{self.network.hidden_neurons} -> {self.quotient.hidden_neurons} hidden neurons, "
                f"{self.network.parameter_count} -> {self.quotient.parameter_count} parameters, "
                "the same function for every input"
            )
        barriers = sorted({row.held for row in self.table if row.held not in (None, "output")})
        kept = f" (kept as they are: units {', '.join(map(str, barriers))})" if barriers else ""
        return f"irreducible: every layer's neurons are pairwise distinguishable{kept}"

    def certificate(self) -> NetworkCertificate:
        """Return the claim with everything needed to check it; see `NetworkCertificate.verify`."""
        return NetworkCertificate(
            kind=self.kind,
            original=Subject.of(self.network),
            reduced=Subject.of(self.quotient),
            layers=tuple(one.claim() for one in self.stages),
            largest_change=self.rounding.largest,
            network=self.network,
            quotient=self.quotient,
        )

    def player(self, *, title: str | None = None) -> Player:
        """Return the lumping as a page that plays it step by step in a browser; see `Player`.

        Parameters
        ----------
        title : str, optional

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lump(network).player()
        Player('Network with 2 hidden neurons, proportional lumping')
        """
        return display.player(self, title=title)

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def report(self) -> dict[str, Any]:
        """Return everything a reader of the result needs, as plain data for JSON."""
        sizes = {}
        for name, network in (("before", self.network), ("after", self.quotient)):
            sizes[name] = {
                "hidden_neurons": network.hidden_neurons,
                "parameters": network.parameter_count,
                "operations": network.operation_count,
                "bytes": network.byte_count,
            }
        return {
            "kind": self.kind,
            "result": self.verdict,
            **sizes,
            "layers": [dict(vars(row)) for row in self.table],
            "origin": self.origin,
            "weights": {
                "new": self.rounding.weights,
                "rounded": self.rounding.rounded,
                "largest_change": str(self.rounding.largest),
                "dtype": str(self.quotient.dtype),
            },
            "meaning": MEANING + (f"; {self.rounding}" if self.rounding.rounded else ""),
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        return (
            f"NetworkLumping({self.kind}: {self.network.hidden_neurons} -> "
            f"{self.quotient.hidden_neurons} hidden neurons, {self.network.parameter_count} -> "
            f"{self.quotient.parameter_count} parameters, proved)"
        )


MEANING = (
    "exact over the reals for the stored weights; floating-point execution may differ in the order of "
    "summation"
)
"""What is proved, told in every report."""


def offsets(network: Network, stages: Any = None) -> Array:
    """Return where the units of each layer with weights begin in the numbering of all, and their number."""
    found = stages_of(network) if stages is None else [one.stage for one in stages]
    return np.concatenate([[0], np.cumsum([stage.units for stage in found], dtype=np.int64)])


@lump.register
def lump_network(
    network: Network,
    *,
    kind: str | None = None,
    dtype: Any = None,
    strict: bool = False,
    engine: str = "columns",
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
    engine : {"columns", "structure"}
        The dense specialisation, or the engine that refines chains (slow; for comparison).
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
    if engine not in ENGINES:
        raise InvalidInput(f"unknown engine {engine!r} for a network: choose columns or structure")
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
    return NetworkLumping(
        network, quotient, chosen, merged, weights, rounding, seconds, proof
    )


def _worth_reflecting(network: Network, kind: str, engine: str) -> frozenset[int]:
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
