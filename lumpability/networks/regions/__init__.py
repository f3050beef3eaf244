"""Regions of inputs: boxes, and what holds of a network on them.  See `box` and `vnnlib`."""

from lumpability.networks.regions.box import Box

__all__ = ["Box"]
