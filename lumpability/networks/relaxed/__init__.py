"""Relaxed lumpings of networks: reduced on a region, or nearly, with certified bounds.  See `derive`."""

from typing import TYPE_CHECKING

from lumpability import lazy

if TYPE_CHECKING:
    from lumpability.networks.relaxed.explain import explain_pruning
    from lumpability.networks.relaxed.relaxation import relax

__all__ = ["explain_pruning", "relax"]

__getattr__ = lazy.attributes(__name__, {"explain_pruning": "explain", "relax": "relaxation"})
