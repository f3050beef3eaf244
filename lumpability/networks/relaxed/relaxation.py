"""`relax`: fewer units than any exact lumping leaves, for a difference that is proved.

`lumpability.networks.relaxed.search` finds which units become constants or multiples of others; the bound of what it
finds is derived in exact arithmetic.

On small boxes constants pay.  On networks that were widened and then drifted, classes with factors do, also for all
inputs.  For deep networks on their whole natural box the bounds are far above what is observed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.network import Network
from lumpability.networks.regions.box import Box
from lumpability.networks.relaxed.lumping import RegionLumping, finished
from lumpability.networks.relaxed.search import By, Change, CurvePoint, Search


@dataclass(frozen=True, eq=False, repr=False)
class RelaxedLumping(RegionLumping):
    """A smaller network that nearly equals a network, with a proved bound of the difference.

    Attributes
    ----------
    changes : tuple of Change
        What was done to which neuron, dearest first; what is exact on the region is not listed.
    curve : tuple of CurvePoint
        Units left against bounds, fewest units first.

    Examples
    --------
    >>> layers = [([[1, 2, 1]], [0, 0.0625, 3], "relu"), ([[1], [1], [1]], None, None)]
    >>> relaxed = relax(Network.dense(layers), region=Box([-1], [1]), tolerance="0.05")
    >>> relaxed
    RelaxedLumping(relaxed: 3 -> 2 hidden neurons on a box of 1 input, bound 0.0322)
    >>> for change in relaxed.changes:
    ...     print(change)
    0:0 became 0.4995 times 0:1, about 0.0322
    """

    changes: tuple[Change, ...] = ()
    curve: tuple[CurvePoint, ...] = ()

    def report(self) -> dict[str, Any]:
        """Return the whole result as plain data for JSON."""
        return {
            **super().report(),
            "changes": [change.to_json() for change in self.changes],
            "curve": [point.to_json() for point in self.curve],
        }

    def __repr__(self) -> str:
        return super().__repr__().replace("RegionLumping", "RelaxedLumping", 1)


def relax(
    network: Network,
    *,
    region: Box | tuple[Any, Any] | None = None,
    tolerance: Any = None,
    units: int | None = None,
    by: By = "both",
    dtype: Any = None,
    progress: Callable[[int, int], object] | None = None,
) -> RelaxedLumping:
    """Reduce a network further than exactly, and prove how far outputs can move.

    Parameters
    ----------
    network : Network
        Of ReLU, leaky ReLU and linear layers, in a chain.
    region : Box or (low, high), optional
        The inputs for which the bound holds.  Without it all inputs x, and the bound is one of the difference over
        max(1, abs(x)); then neurons become multiples of others, and no constants.
    tolerance : number or str, optional
        The largest difference of an output that is allowed.
    units : int, optional
        Instead of a tolerance: the largest number of hidden units that may be left.
    by : {"both", "constants", "classes"}
        Whether neurons become constants, join classes, or what costs less.
    dtype : numpy float type, optional
        Of the new weights; by default the stored type.
    progress : callable, optional
        Called with (reductions tried, most that are tried).

    Returns
    -------
    RelaxedLumping

    Raises
    ------
    InvalidInput
        If neither or both of tolerance and units are given, or they are out of range.
    NotJustified
        If a layer is not covered, or no reduction meets the tolerance, because rounding alone exceeds it.

    Notes
    -----
    A few dozen bounds in floats, and one in exact arithmetic.

    Examples
    --------
    >>> network = Network.dense([([[1, 2, 1]], [0, 0.01, 3], "relu"), ([[1], [1], [1]], None, None)])
    >>> round(float(relax(network, region=Box([-1], [1]), units=0).bound), 3)
    2.505
    """
    started = time.perf_counter()
    if (tolerance is None) == (units is None):
        raise InvalidInput("give either a tolerance or a number of units")
    if by not in ("both", "constants", "classes"):
        raise InvalidInput(f"by={by!r} is none of 'both', 'constants', 'classes'")
    search = Search(network, region, by, dtype, progress)
    if units is not None:
        if units < 0:
            raise InvalidInput(f"a network has no {units} units")
        chosen = search.fewest(lambda tried: tried.left > units)
    else:
        from lumpability.numbers.rationals import read_number

        most = read_number(tolerance, float_tolerance=0)
        if most < 0:
            raise InvalidInput(f"a tolerance is not negative, and {tolerance} is")
        chosen = search.most(lambda tried: tried.bound <= most)
    while True:
        changes, told, reduced = search.reduced(chosen)
        found = finished(
            search.frame, search.stable, changes, reduced, kind="relaxed", started=started
        )
        if units is not None or found.bound <= most:
            return RelaxedLumping(**vars(found), changes=tuple(told), curve=search.curve())
        if chosen == 0:
            raise NotJustified(
                f"the reduction that is exact but for rounding differs by up to {float(found.bound):.3g} already: "
                "allow more, or give dtype='float64'",
                bound=found.bound,
            )
        chosen -= 1
