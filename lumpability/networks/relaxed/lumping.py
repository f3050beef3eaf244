"""Lumping on a region: the smaller network that equals a network, or nearly, for all inputs of a box.

On the region inactive units go, active ones are kept or carried (`lumpability.networks.relaxed.reduce`), and classes,
constants and dead units are removed as ever.  Before rounding, the reduced network computes the same function on the
region.  The certificate bounds how far the stored one is off, which is zero if no new weight was rounded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar

from lumpability.errors import InvalidInput, LumpabilityError, NotJustified
from lumpability.networks.claims import KINDS, Subject
from lumpability.networks.difference import AffineNetwork, Ranges, affine_layers, ranges
from lumpability.networks.difference.homogeneous import homogeneous, homogeneous_box
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.relation import given_lifts, guessed_lifts
from lumpability.networks.difference.residuals import aligned
from lumpability.networks.graph.layers import LayerReport
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import note
from lumpability.networks.network import Network
from lumpability.networks.quotient import Rounding
from lumpability.networks.regions.box import Box
from lumpability.networks.relaxed.certificate import RegionCertificate, derived_bound, refill
from lumpability.networks.relaxed.changes import Changes, RegionLayer, layer_table
from lumpability.networks.relaxed.claims import Ends
from lumpability.networks.relaxed.rebuild import Frame
from lumpability.networks.relaxed.reduce import Reduced
from lumpability.networks.relaxed.side import Refuted
from lumpability.networks.relaxed.stable import (
    StableUnits,
    all_inputs,
    cut_further,
    sharp_ranges,
    stable_units,
)
from lumpability.numbers.float_arrays import Array
from lumpability.quotient import Stats
from lumpability.vocabulary import missing_attribute, unknown_word


@dataclass(frozen=True, eq=False, repr=False)
class RegionLumping:
    """A smaller network that equals a network on a region, or nearly.

    Attributes
    ----------
    network, quotient : Network or GraphNetwork
    region : Box or None
        None for all inputs.
    kind : str
        "region" if everything but the rounding of new weights is exact on the region, else "relaxed".
    table : tuple of RegionLayer or LayerReport
        The latter for graphs.
    lifts : tuple of Lift
        What became of the units of each layer.
    rounding : Rounding
        The changes of new weights by rounding to the stored type.
    stats : Stats

    Examples
    --------
    >>> from lumpability import lump
    >>> network = Network.dense([([[1, 1, 2]], [0, -3, 1], "relu"), ([[1], [1], [1]], None, None)])
    >>> lumping = lump(network, region=Box([0], [2]))
    >>> lumping
    RegionLumping(region: 3 -> 1 hidden neurons on a box of 1 input, bound 0)
    >>> lumping.result, lumping.bound, bool(lumping.certificate().verify())
    ('3 -> 1 hidden neurons, 9 -> 3 parameters; on the region no output differs at all', Fraction(0, 1), True)
    >>> lumping.quotient.exact(["1/3"]).tolist(), network.exact(["1/3"]).tolist()
    ([Fraction(2, 1)], [Fraction(2, 1)])
    """

    network: Network | GraphNetwork
    quotient: Network | GraphNetwork
    region: Box | None
    kind: str
    table: tuple[RegionLayer, ...] | tuple[LayerReport, ...]
    lifts: tuple[Lift, ...]
    rounding: Rounding
    stats: Stats
    claims: RegionCertificate
    domain: ClassVar[str] = "region"

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name)

    @property
    def bound(self) -> Fraction:
        """No output of the stored networks differs by more on the region, in real arithmetic.

        For all inputs, the difference divided by max(1, abs(x)).
        """
        return self.claims.bound

    @property
    def is_irreducible(self) -> bool:
        """Whether all units stay."""
        return all(row.units == row.left for row in self.table)

    @property
    def result(self) -> str:
        """The result in one sentence."""
        return (
            f"{self.network.hidden_neurons} -> {self.quotient.hidden_neurons} hidden neurons, "
            f"{self.network.parameter_count} -> {self.quotient.parameter_count} parameters; "
            f"{self.claims.meaning}"
        )

    def certificate(self) -> RegionCertificate:
        """Return a certificate, with everything needed to derive the bound again."""
        return self.claims

    def report(self) -> dict[str, Any]:
        """Return the whole result as plain data for JSON."""
        return {
            "kind": self.kind,
            "result": self.result,
            "before": self.network.sizes,
            "after": self.quotient.sizes,
            "layers": [dict(vars(row)) for row in self.table],
            "region": None if self.region is None else self.region.to_json(),
            "cuts": list(self.claims.cuts),
            "bound": str(self.bound),
            "largest_change": str(self.rounding.largest),
            "meaning": MEANING,
            "seconds": self.stats.seconds,
        }

    def __repr__(self) -> str:
        where = "for all inputs"
        if self.region is not None:
            where = f"on a box of {self.region.n} input{'' if self.region.n == 1 else 's'}"
        return (
            f"RegionLumping({self.kind}: {self.network.hidden_neurons} -> {self.quotient.hidden_neurons} "
            f"hidden neurons {where}, bound {float(self.bound):.4g})"
        )


MEANING = (
    "the bound is for real arithmetic with the stored weights; floating-point execution of each network adds "
    "its own rounding"
)
"""What the bound covers, a sentence of every report."""
PROOF = "ranges and residuals of all layers were derived in exact arithmetic"


def lump_on_region(
    network: Network,
    region: Any,
    *,
    boxes: int = 1,
    kind: str = "proportional",
    dtype: Any = None,
    exact_weights: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> RegionLumping:
    """Reduce a network on a region, exactly; see `lumpability.lump`."""
    started = time.perf_counter()
    if kind not in KINDS:
        raise unknown_word("kind", kind, KINDS)
    frame = Frame.of(network, dtype)
    fewest: tuple[StableUnits, Changes, Reduced] | None = None
    for stable in cut_further(frame.affine, region, boxes, progress=progress):
        changes = Changes.on_region(frame, stable)
        reduced = changes.reduced(frame, stable, kind=kind, carry=not exact_weights)
        # Bounds on smaller parts are mostly tighter, but not always: fewer parts count where they leave as few.
        if fewest is None or sum(reduced.left[:-1]) < sum(fewest[2].left[:-1]):
            fewest = stable, changes, reduced
    assert fewest is not None
    found = finished(frame, *fewest, started=started)
    if exact_weights and found.rounding.rounded:
        raise NotJustified(
            f"a weight of the reduced network is not representable in {frame.dtype} (off by at most "
            f"{float(found.rounding.largest):.3g}): choose a wider dtype, or allow rounding",
            largest=found.rounding.largest,
        )
    return found


def finished(
    frame: Frame,
    stable: StableUnits,
    changes: Changes,
    reduced: Reduced,
    *,
    kind: str = "region",
    started: float,
) -> RegionLumping:
    """Return the lumping with its stored network, and prove its bound."""
    quotient, skipped, rounding = frame.rebuilt(reduced.weights, reduced.biases)
    changed = reduced.changed
    rounding += Rounding(0, len(changed), max(changed, default=Fraction(0)))
    before = [Lift.identity(layer.units) for layer in frame.affine.layers[: frame.first]]
    lifts = (*before, *reduced.lifts)
    claims = claimed(frame.network, quotient, stable, lifts, skipped=skipped, kind=kind)
    note(quotient, **told(claims))
    stats = Stats(
        states=sum(layer.units for layer in frame.layers),
        transitions=frame.network.parameter_count,
        blocks=sum(reduced.left),
        block_transitions=quotient.parameter_count,
        respected_blocks=len(frame.layers),
        engine="columns",
        seconds=time.perf_counter() - started,
        proof=PROOF,
    )
    return RegionLumping(
        frame.network,
        quotient,
        stable.region,
        kind,
        layer_table(frame, changes, reduced),
        lifts,
        rounding,
        stats,
        claims,
    )


def told(claims: RegionCertificate) -> dict[str, str]:
    """Return what the file of the reduced network says about it."""
    found = {
        "replaces": claims.original.digest,
        "bound": str(claims.bound),
        "meaning": claims.meaning,
    }
    if claims.region is not None:
        found["region"] = json.dumps(claims.region.to_json())
    return found


@dataclass(frozen=True, eq=False)
class Related:
    """Two networks with the same layers, how they are related, and the proof of their difference.

    - sides: the ranges of both on the region, or on [-1, 1] for all inputs
    - lifts: one for the inputs, then one for each layer
    """

    sides: tuple[Ranges, Ranges]
    lifts: list[Lift]
    certificate: RegionCertificate


def related(
    original: Network | GraphNetwork,
    smaller: Network | GraphNetwork,
    region: Any,
    *,
    relation: Sequence[Any] | None = None,
    in_order: bool = False,
    kept: Mapping[int, Array] | None = None,
    kind: str = "relaxed",
) -> Related:
    """Relate the units of two networks and certify the difference.

    - region: a Box, or its two ends, or None for all inputs; or the stable units of the original on one
    - relation: see `lumpability.compare`; by default it is guessed
    - in_order, kept: see `guessed_lifts`

    Raises `InvalidInput` if the networks do not have the same layers, their numbers of units aside.
    """
    whole, fewer = with_same_layers(original, smaller)
    stable = region
    if not isinstance(region, StableUnits):
        stable = all_inputs(whole) if region is None else stable_units(whole, region)
    ends = (-1.0, 1.0) if stable.region is None else stable.region.floats
    sides = ranges(whole, ends), ranges(fewer, ends)
    lifts = guessed_lifts(*sides, in_order=in_order, kept=kept)
    if relation is not None:
        lifts = given_lifts(relation, whole)
    certificate = claimed(original, smaller, stable, lifts[1:], skipped=0, kind=kind)
    return Related(sides, lifts, certificate)


def with_same_layers(
    original: Network | GraphNetwork, smaller: Network | GraphNetwork
) -> tuple[AffineNetwork, AffineNetwork]:
    """Return both networks as affine layers, or raise `InvalidInput` if more than numbers of units differ."""
    whole, fewer = affine_layers(original), affine_layers(smaller)
    if whole.inputs != fewer.inputs or whole.outputs != fewer.outputs:
        raise InvalidInput("the inputs and outputs stay, but those of the networks differ")
    if len(whole.layers) != len(fewer.layers):
        raise InvalidInput(
            f"the networks have {len(whole.layers)} and {len(fewer.layers)} layers: only neurons and weights "
            "may differ, not the number of layers"
        )
    if not aligned(whole, fewer):
        raise InvalidInput(
            "the networks do not have the same layers with the same activations: only neurons and weights may "
            "differ"
        )
    return whole, fewer


def claimed(
    network: Network | GraphNetwork,
    quotient: Network | GraphNetwork,
    stable: StableUnits,
    lifts: Sequence[Lift],
    *,
    skipped: int,
    kind: str,
) -> RegionCertificate:
    """Return a certificate with the bound that follows."""
    fewer = refill(affine_layers(quotient), skipped, lifts, affine_layers(network))
    parts: list[tuple[Ends, Ends]] = []
    if stable.region is None:
        fewer = homogeneous(fewer)
        boxes = [Box(*homogeneous_box(fewer.inputs - 1))]
    else:
        boxes = list(stable.region.halves(stable.cuts))
    for part, box in zip(stable.parts, boxes, strict=True):
        theirs = sharp_ranges(fewer, box)
        ours, fewer_ends = (tuple(zip(one.low, one.high, strict=True)) for one in (part, theirs))
        parts.append((ours, fewer_ends))
    claims = RegionCertificate(
        kind=kind,
        original=Subject.of(network),
        reduced=Subject.of(quotient),
        region=stable.region,
        cuts=stable.cuts,
        skipped=skipped,
        lifts=tuple(lifts),
        parts=tuple(parts),
        bound=Fraction(0),
        network=network,
        quotient=quotient,
    )
    try:
        bound = derived_bound(claims, network, quotient)
    except Refuted as error:
        raise LumpabilityError(
            f"internal error: a range failed its proof ({error}); please report it with the network"
        ) from None
    return replace(claims, bound=bound)
