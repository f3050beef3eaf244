"""Certified bounds on the difference of two networks, and ranges of the units of one."""

from lumpability.networks.difference.affine import AffineLayer, AffineNetwork
from lumpability.networks.difference.compare import Difference, compare_networks
from lumpability.networks.difference.lifts import Lift
from lumpability.networks.difference.ranges import Ranges, ranges
from lumpability.networks.difference.unrolling import affine_layers

__all__ = [
    "AffineLayer",
    "AffineNetwork",
    "Difference",
    "Lift",
    "Ranges",
    "affine_layers",
    "compare_networks",
    "ranges",
]
