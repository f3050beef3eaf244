"""Certified bounds on the difference of two networks, and ranges of the units of one."""

from lumpability.networks.difference.affine import AffineLayer, AffineNetwork
from lumpability.networks.difference.ranges import Ranges, ranges
from lumpability.networks.difference.unrolling import affine_layers

__all__ = ["AffineLayer", "AffineNetwork", "Ranges", "affine_layers", "ranges"]
