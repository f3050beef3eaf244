"""Certified bounds on the difference of two networks: `compare`.

On a region, the outputs of two networks with the same inputs and outputs differ by at most what is returned, for
every input and in real arithmetic with the stored weights.  If both have the same layers, their numbers of units
aside, the second counts as a relaxed lumping of the first (`residuals`, `pair_bounds`); otherwise CROWN on the
difference and the difference of the ranges remain.  The least of all bounds counts.  For few inputs the box is split
(`splitting`), for many cases of signs of units are told apart (`cases`); all inputs at once are bounded by
homogenisation (`homogeneous`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.claims import Subject
from lumpability.networks.difference.affine import AffineNetwork
from lumpability.networks.difference.cases import Case, Found, by_cases
from lumpability.networks.difference.homogeneous import (
    homogeneous,
    homogeneous_box,
    homogeneous_lift,
)
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.pair_bounds import PairRanges, pair_ranges, tightest
from lumpability.networks.difference.product import product_bounds, range_bounds
from lumpability.networks.difference.ranges import Ranges, box_ends, ranges
from lumpability.networks.difference.relation import given_lifts, guessed_lifts
from lumpability.networks.difference.residuals import Residual, aligned, residuals
from lumpability.networks.difference.splitting import Bounded, Progress, influence, split
from lumpability.networks.difference.unrolling import affine_layers
from lumpability.networks.difference.witness import Witness, better, search
from lumpability.numbers.float_arrays import Array

_FEW_INPUTS = 12
_MANY_BOXES = 2000
_CASES, _MANY_CASES = 200, 1000
_OPEN, _WEIGHTS = 150, 2_000_000
"""Most unstable units, and weights, of networks whose cases are told apart unasked."""
_NEAR = 1.1  # a bound that exceeds the largest difference found by less is not tightened unasked


@dataclass(frozen=True, eq=False, repr=False)
class Difference:
    """How far the outputs of two networks can be apart on a region.

    Attributes
    ----------
    low, high : float64 arrays, shape (outputs,)
        For every input of the region, first output minus second output lies between them.  If the region is all
        inputs, they are multiplied by max(1, abs(x)), the largest absolute value of an input.
    region : (float64 array, float64 array) or None
        Both ends of the box, each of shape (inputs,); None for all inputs.
    witness : Witness
        The largest difference that was found.
    method : str
        The method of the bound that is the largest: "d*", "signed", "product", "ranges" or "cases".
    boxes : int
        How many boxes were bounded.
    cases : int
        How many linear programs were solved for cases of signs of units.
    tolerance : float or None
    interrupted : bool
        Whether Ctrl-C ended the search for tighter bounds; the bounds hold all the same.
    pair : PairRanges or None
        For each layer, the bounds of both networks and of their difference on the whole box; None if the networks
        have different layers.
    certify : callable or None
        What `certificate` calls.

    Examples
    --------
    >>> from lumpability import Network, compare
    >>> first, second = (Network.dense([([[w]], None, "relu"), ([[1]], None, None)]) for w in (1, 2))
    >>> found = compare(first, second, region=(0, 1), tolerance=0.5)
    >>> found.bound.__round__(9), found.certified, found.witness.values
    (1.0, False, (1.0, 2.0))
    """

    low: Array
    high: Array
    region: tuple[Array, Array] | None
    witness: Witness
    method: str
    boxes: int
    tolerance: float | None = None
    interrupted: bool = False
    pair: PairRanges | None = None
    cases: int = 0
    certify: Callable[[], Any] | None = None

    @property
    def bound(self) -> float:
        """The largest absolute difference of an output that is possible."""
        return float(max(0.0, (-self.low).max(), self.high.max()))

    @property
    def certified(self) -> bool | None:
        """Whether the difference is at most the tolerance: True is proved, False has a witness, None is open."""
        if self.tolerance is None:
            return None
        if self.bound <= self.tolerance:
            return True
        exceeds = self.witness.difference > self.tolerance * self.witness.scale
        return False if exceeds else None

    def __repr__(self) -> str:
        times = " max(1, |x|)" if self.region is None else ""
        parts = "" if self.boxes == 1 else f", {self.boxes} boxes"
        parts += f", {self.cases} programs" if self.cases else ""
        return f"Difference(at most {self.bound:.3g}{times} by {self.method}{parts}, found {self.found:.3g})"

    @property
    def found(self) -> float:
        """The largest difference that was found, divided by what bounds are multiplied by."""
        return self.witness.difference / self.witness.scale

    def certificate(self) -> Any:
        """Return a certificate of a bound, with everything needed to derive it again.

        It uses residuals and ranges alone, without parts and cases, so that its bound may be larger than `bound`.

        Returns
        -------
        RegionCertificate

        Raises
        ------
        InvalidInput
            If the networks do not have the same layers with the same activations, their numbers of units aside.

        Examples
        --------
        >>> from lumpability import Network, compare
        >>> first, second = (Network.dense([([[w]], None, None)]) for w in (1, 2))
        >>> proof = compare(first, second, region=(0, 1)).certificate()
        >>> proof.bound, bool(proof.verify())
        (Fraction(1, 1), True)
        """
        if self.certify is None:
            raise InvalidInput("lumpability.compare makes differences that have certificates")
        return self.certify()

    def to_json(self) -> dict[str, Any]:
        """Return plain data; numbers are texts, as in other reports."""
        return {
            "bound": str(self.bound),
            "low": [str(x) for x in self.low.tolist()],
            "high": [str(x) for x in self.high.tolist()],
            "region": None if self.region is None else "box",
            "method": self.method,
            "boxes": self.boxes,
            "cases": self.cases,
            "tolerance": None if self.tolerance is None else str(self.tolerance),
            "certified": self.certified,
            "interrupted": self.interrupted,
            "witness": self.witness.to_json(),
        }


def compare_networks(
    a: Any,
    b: Any,
    *,
    region: Any = None,
    relation: Sequence[Any] | None = None,
    tolerance: float | None = None,
    boxes: int | None = None,
    cases: int | None = None,
    progress: Progress | None = None,
) -> Difference:
    """Bound the difference of two networks; see `lumpability.compare`, which has the parameters.

    Examples
    --------
    >>> from lumpability import Network
    >>> first, second = (Network.dense([([[w]], None, None)]) for w in (1, 2))
    >>> round(compare_networks(first, second).bound, 9)
    1.0
    """
    if tolerance is not None:
        known = isinstance(tolerance, int | float | np.floating)
        if not known or not (tolerance >= 0 and np.isfinite(tolerance)):
            raise InvalidInput(f"{tolerance!r} is no tolerance: give a number that is not negative")
    if boxes is not None and boxes < 1:
        raise InvalidInput(f"{boxes} boxes are none: give a number of at least 1")
    if cases is not None and cases < 0:
        raise InvalidInput(f"{cases} cases are no number of cases: give 0 or more")
    pair = [affine_layers(network) for network in (a, b)]
    for what in ("inputs", "outputs"):
        counts = [getattr(network, what) for network in pair]
        if counts[0] != counts[1]:
            raise InvalidInput(
                f"the networks have {counts[0]} and {counts[1]} {what}: compare needs equal numbers",
                counts=tuple(counts),
            )
    if Subject.of(a).digest == Subject.of(b).digest:
        return _equal(pair, _box(pair, region), region is None, tolerance)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
        return _compared(
            pair, region, relation, tolerance=tolerance, budget=(boxes, cases), progress=progress
        )


def _equal(
    pair: list[AffineNetwork], box: tuple[Array, Array], all_inputs: bool, tolerance: float | None
) -> Difference:
    """Return that a network and a copy do not differ."""
    none, point = np.zeros(pair[0].outputs), box[0] / 2 + box[1] / 2
    point = point[: pair[0].inputs]
    value = float(pair[0](point[None])[0, 0])
    witness = Witness(point, 0, 0.0, (value, value))
    region = None if all_inputs else box
    return Difference(none, none, region, witness, "d*", 1, tolerance)


def _compared(
    pair: list[AffineNetwork],
    region: Any,
    relation: Sequence[Any] | None,
    *,
    tolerance: float | None,
    budget: tuple[int | None, int | None],
    progress: Progress | None,
) -> Difference:
    box = _box(pair, region)
    lifts = None if relation is None else given_lifts(relation, pair[0])
    bounded = pair
    if region is None:
        bounded = [homogeneous(network) for network in pair]
        if lifts is not None:
            lifts = [*(homogeneous_lift(lift) for lift in lifts[:-1]), lifts[-1]]
    engine = _Engine(bounded, box, lifts)
    whole, layers = engine.bounded(engine.ranges)
    witness = _witness(pair, box, all_inputs=region is None)
    refuted = tolerance is not None and witness.difference > tolerance * witness.scale
    few, (boxes, cases) = len(box[0]) <= _FEW_INPUTS, budget
    if boxes is None:
        boxes = _MANY_BOXES if few and tolerance is not None and not refuted else 1
    enough = 0.0 if tolerance is None else tolerance
    found = split(engine.bound, box, whole, boxes=boxes, enough=enough, progress=progress)
    low, high = found.low, found.high
    worst = int(np.argmax(np.maximum(-low, high)))
    method = max((part[4] for part in found.parts), key=lambda part: part.of(worst)).methods[worst]
    if tolerance is None:
        near = _NEAR if cases is None else 1 + 1e-6
        enough = near * witness.difference / witness.scale
    if cases is None:
        cases = 0 if few or refuted or boxes > 1 else engine.cases(tolerance is not None)
    told = Found(low, high)
    if cases and not found.interrupted:
        case = Case((engine.ranges[0], engine.ranges[1]), layers)
        told = by_cases(case, low, high, programs=cases, enough=enough, progress=progress)
        if max(-told.low.min(), told.high.max()) < max(-low.min(), high.max()):
            method = "cases"
        if region is not None:
            witness = better(pair[0], pair[1], told.points, witness)
    return Difference(
        told.low,
        told.high,
        None if region is None else box,
        witness,
        method,
        found.boxes,
        None if tolerance is None else float(tolerance),
        found.interrupted or told.interrupted,
        layers,
        told.programs,
    )


def _box(pair: list[AffineNetwork], region: Any) -> tuple[Array, Array]:
    if region is None:
        return homogeneous_box(pair[0].inputs)
    return box_ends(region, pair[0].inputs)


class _Engine:
    """Bounds of the difference of two networks on boxes, with one relation for all of them."""

    def __init__(
        self,
        networks: list[AffineNetwork],
        box: tuple[Array, Array],
        lifts: list[Lift] | None,
    ) -> None:
        self.networks = networks
        self.ranges: list[Ranges] = [ranges(network, box) for network in networks]
        self.lifts: list[Lift] | None = None
        self.residuals: list[Residual] = []
        if not aligned(*networks):
            if lifts is not None:
                raise InvalidInput(
                    "a relation needs two networks with the same layers, their numbers of units aside"
                )
            return
        self.lifts = guessed_lifts(*self.ranges) if lifts is None else lifts
        self.residuals = residuals(networks[0], networks[1], self.lifts)

    def cases(self, decide: bool) -> int:
        """Return how many linear programs are solved unless the caller says."""
        unstable = sum(
            int(((low < 0) & (high > 0)).sum())
            for found in self.ranges
            for low, high in zip(found.low[:-1], found.high[:-1], strict=True)
        )
        weights = sum(matrix.size for n in self.networks for x in n.layers for matrix in x.matrices)
        if unstable > _OPEN or weights > _WEIGHTS:
            return 0
        return _MANY_CASES if decide else _CASES

    def bound(self, low: Array, high: Array) -> Bounded:
        """Return the bounds on a box."""
        return self.bounded([ranges(network, (low, high)) for network in self.networks])[0]

    def bounded(self, pair: list[Ranges]) -> tuple[Bounded, PairRanges | None]:
        """Return the bounds for some ranges, and those of the layers."""
        bounds = {"product": product_bounds(*pair), "ranges": range_bounds(*pair)}
        layers = None
        if self.lifts is not None:
            layers = pair_ranges(pair[0], pair[1], self.lifts, self.residuals)
            bounds = {"layers": (layers.d_low[-1], layers.d_high[-1]), **bounds}
        low, high, methods = tightest(bounds)
        if layers is not None:
            own = layers.methods
            methods = [own[i] if name == "layers" else name for i, name in enumerate(methods)]
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise NotJustified("no finite bound: the numbers exceed the range of doubles")
        score = influence(pair[0]) + influence(pair[1])
        return Bounded(low, high, methods, int(np.argmax(score))), layers


def _witness(pair: list[AffineNetwork], box: tuple[Array, Array], *, all_inputs: bool) -> Witness:
    if not all_inputs:
        return search(pair[0], pair[1], *box)
    ones = np.ones(pair[0].inputs)
    tried = [search(pair[0], pair[1], -size * ones, size * ones) for size in (1.0, 10.0, 1000.0)]
    scaled = [replace(one, scale=max(1.0, float(np.abs(one.point).max()))) for one in tried]
    return max(scaled, key=lambda one: one.difference / one.scale)
