"""Approximate lumping of chains: merge what nearly agrees, and know exactly how nearly.

A partition whose sums of rates nearly agree inside blocks has a *nominal* quotient (means over members), a
*residual* (how far sums spread) and an *interval hull* (the least and the largest sum), all in exact arithmetic.
The hull covers the chain and every chain whose sums lie in it, so what is proved about the hull is proved about
rates that were measured.  Nothing here claims that a quotient equals its chain.
"""

from lumpability.markov.approximate.hull import Hull, hull
from lumpability.markov.approximate.lumping import ApproximateLumping
from lumpability.markov.approximate.residual import Residual, residual

__all__ = ["ApproximateLumping", "Hull", "Residual", "hull", "residual"]
