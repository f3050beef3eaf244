"""Certificates of lumpings on a region, and a checker that needs nothing else.

A certificate holds lifts, ranges and a bound (`lumpability.networks.relaxed.claims`).  `verify` reads the weights
from both networks and derives everything again in exact arithmetic (`lumpability.networks.relaxed.derive`): first
that every range follows from those of the layers below it, on every part of the region; then the difference of the
outputs from the residuals of the lifts.  It accepts if what it derives is at least as tight as what is claimed.

Exact lumping, what is exact on the region alone, and what is relaxed are not told apart: their residuals are zero,
zero on the region, and not zero, and one bound covers all of them.  Nothing here uses the code that found them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from lumpability.certificate.verification import Rejection, Verification
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.claims import Subject
from lumpability.networks.difference.affine import AffineLayer, AffineNetwork
from lumpability.networks.difference.homogeneous import (
    homogeneous,
    homogeneous_box,
    homogeneous_lift,
)
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.unrolling import affine_layers
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import graph_of
from lumpability.networks.network import Network
from lumpability.networks.regions.box import Box
from lumpability.networks.relaxed.claims import RegionClaims, read_claims, write_claims
from lumpability.networks.relaxed.derive import difference
from lumpability.networks.relaxed.scaled import Scaled
from lumpability.networks.relaxed.side import Refuted, side


class RegionCertificate(RegionClaims):
    """The claims of a lumping on a region, and their check.

    Attributes
    ----------
    kind : str
        "region" or "relaxed".
    original, reduced : Subject
        The network and the reduced network.
    region : Box or None
        None for all inputs; the bound is then one of the difference over max(1, abs(x)).
    cuts : tuple of int
        Inputs at whose middles the region is cut into parts.
    skipped : int
        Layers that the reduced network lacks, because no unit of them is left.
    lifts : tuple of Lift
        One for each layer of `lumpability.networks.difference.affine_layers`.
    parts : tuple of (Ends, Ends)
        For each part of the region the ranges of all units of both networks.
    bound : Fraction
        No output differs by more, for any input of the region.
    library : str
    network, quotient : Network, GraphNetwork or None

    Examples
    --------
    >>> from lumpability import Network, lump
    >>> from lumpability.networks.regions import Box
    >>> network = Network.dense([([[1, 1]], [0, -3], "relu"), ([[1], [1]], None, None)])
    >>> print(lump(network, region=Box([0], [2])).certificate().verify())
    region, proved: on the region no output differs at all
    """

    def verify(
        self,
        model: Network | GraphNetwork | None = None,
        quotient: Network | GraphNetwork | None = None,
    ) -> Verification:
        """Derive every range and the bound again; a falsy verification says what does not follow.

        Parameters
        ----------
        model : Network or GraphNetwork, optional
            The network; may be left out if the certificate holds it.
        quotient : Network or GraphNetwork, optional
            The reduced network; likewise.

        Returns
        -------
        Verification
            ``sound``: the bound was proved.

        Raises
        ------
        InvalidInput
            If a network is missing.

        Notes
        -----
        For L layers of n units some L^2 products of n x n matrices of integers, a few dozen times slower
        than in floats.
        """
        network = self.network if model is None else model
        reduced = self.quotient if quotient is None else quotient
        if network is None or reduced is None:
            raise InvalidInput(
                "a certificate about a region needs both networks: give the network and the reduced one"
            )
        whole, fewer = _meant(self.original, network), _meant(self.reduced, reduced)
        if whole is None or fewer is None:
            name = "network" if whole is None else "reduced network"
            return _rejected("digest", f"it is about another {name}")
        try:
            bound = derived_bound(self, whole, fewer)
        except (Refuted, InvalidInput, NotJustified, ValueError) as error:
            return _rejected("ranges", str(error))
        if bound > self.bound:
            return _rejected(
                "bound", f"outputs may differ by {float(bound):.6g}, not {float(self.bound):.6g}"
            )
        return Verification(True, False, None, f"{self.kind}, proved: {self.meaning}")

    @property
    def meaning(self) -> str:
        """What the bound says, in words.

        >>> from lumpability.networks.claims import Subject
        >>> RegionCertificate("relaxed", Subject("", 0), Subject("", 0), None, (), 0, (), (), Fraction(1, 8)).meaning
        'no output differs by more than 0.125 times the largest input, or 1 if that is larger'
        """
        where = "" if self.region is None else "on the region "
        if not self.bound:
            return (
                f"{where}no output differs at all" if where else "no output differs for any input"
            )
        size = float(np.nextafter(float(self.bound), np.inf))
        scale = " times the largest input, or 1 if that is larger" if self.region is None else ""
        return f"{where}no output differs by more than {size:.4g}{scale}"

    def write(self, path: str | Path) -> None:
        """Write a ``.json`` or ``.json.gz`` file, whole or not at all.

        Raises
        ------
        FormatError
            If it cannot be written.
        """
        write_claims(self, path)

    @classmethod
    def read(cls, path: str | Path, *, max_bytes: int | None = None) -> RegionCertificate:
        """Read a file of `write`; only `verify` decides whether its claims hold.

        Parameters
        ----------
        path : str or Path
        max_bytes : int, optional
            Of the text after unpacking, in place of the limits by default.

        Raises
        ------
        FormatError
            If it is not such a certificate, or holds a number that is not finite.
        SizeLimit
            If it is too large.
        """
        return cls(**vars(read_claims(path, max_bytes=max_bytes)))

    def __repr__(self) -> str:
        before, after = self.original.hidden_neurons, self.reduced.hidden_neurons
        return f"RegionCertificate({self.kind}: {before} -> {after} hidden neurons, bound {float(self.bound):.4g})"


def _meant(claimed: Subject, found: Network | GraphNetwork) -> Network | GraphNetwork | None:
    """Return the network that a claim is about, or the graph that it was read from; None if it is about another."""
    graph = graph_of(found, always=True) if isinstance(found, Network) else None
    return next(
        (one for one in (found, graph) if one is not None and Subject.of(one) == claimed), None
    )


def derived_bound(
    claims: RegionClaims, network: Network | GraphNetwork, reduced: Network | GraphNetwork
) -> Fraction:
    """Return the bound that follows from lifts and ranges, in exact arithmetic.

    Raises `Refuted` if a range does not follow.  Raises `InvalidInput` or `NotJustified` if the claims do not
    fit the networks, or a layer is not covered.
    """
    whole, stored = affine_layers(network), affine_layers(reduced)
    if whole.inputs != stored.inputs or whole.outputs != stored.outputs:
        raise InvalidInput("both networks have the same inputs and outputs, but these do not")
    fewer = refill(stored, claims.skipped, claims.lifts, whole)
    lifts: Sequence[Lift] = claims.lifts
    region = claims.region
    if region is None:
        whole, fewer = homogeneous(whole), homogeneous(fewer)
        lifts = [*map(homogeneous_lift, lifts[:-1]), lifts[-1]]
        region = Box(*homogeneous_box(whole.inputs - 1))
    if region.n != whole.inputs or any(cut >= region.n for cut in claims.cuts):
        raise InvalidInput("the region has another number of inputs than the network")
    boxes = list(region.halves(claims.cuts))
    if len(boxes) != len(claims.parts) or not len(whole.layers) == len(fewer.layers) == len(lifts):
        raise InvalidInput("the certificate does not have one entry for each part and each layer")
    bound = Fraction(0)
    for box, (ours, theirs) in zip(boxes, claims.parts, strict=True):
        ends = (Scaled.of(box.floats[0]), Scaled.of(box.floats[1]))
        sides = [
            side(one, ends, found, proved=True) for one, found in ((whole, ours), (fewer, theirs))
        ]
        low, high = difference(sides[0], sides[1], lifts)
        largest = (-low).most(high)
        bound = max([bound, *largest.fractions()])
    return bound


def refill(
    reduced: AffineNetwork, skipped: int, lifts: Sequence[Lift], whole: AffineNetwork
) -> AffineNetwork:
    """Return a reduced network with the layers without units that it lacks.

    They stand before the first layer with weights, whose weights are all zero.
    """
    if not skipped:
        return reduced
    first = next((k for k, layer in enumerate(reduced.layers) if layer.position is not None), 0)
    reads_nothing = reduced.layers[first]
    if len(reduced.layers) + skipped != len(whole.layers) or reads_nothing.weight.any():
        raise InvalidInput(
            "the reduced network reads its input, though a layer without units is claimed"
        )
    empty: list[AffineLayer] = []
    width = reads_nothing.weight.shape[0]
    for place in range(first, first + skipped):
        if lifts[place].full.shape[0]:
            raise InvalidInput("a layer that is missing has units in the lift")
        old = whole.layers[place]
        none = np.zeros(0)
        empty.append(
            replace(old, sources=(place,), matrices=(np.zeros((width, 0)),), bias=none, slopes=none)
        )
        width = 0
    rest = [
        replace(
            layer,
            sources=(first + skipped + k,),
            matrices=(np.zeros((0, layer.units)),) if k == 0 else layer.matrices,
        )
        for k, layer in enumerate(reduced.layers[first:])
    ]
    return AffineNetwork(reduced.inputs, (*reduced.layers[:first], *empty, *rest))


def _rejected(field: str, reason: str) -> Verification:
    return Verification(False, False, Rejection(field, reason), f"rejected: {reason}")
