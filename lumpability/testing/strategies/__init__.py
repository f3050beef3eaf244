"""Hypothesis strategies for all models of the library: small, constructive, shrinking to the simplest.

No drawn model is discarded: a lumpable model is unfolded from a drawn quotient.  All bounds are keyword arguments.
A strategy for more than one value draws a tuple.

Hypothesis times every example, the first one included.  What lumping an example imports when it is first
needed is therefore imported here.
"""

import scipy.sparse  # noqa: F401

import lumpability.markov.lump
import lumpability.networks.lump  # noqa: F401
from lumpability.testing.strategies.chains import ctmcs, dtmcs, labelled, parametric_chains
from lumpability.testing.strategies.lumpable import (
    lumpable_chains,
    near_lumpable_chains,
    not_lumpable_chains,
)
from lumpability.testing.strategies.networks import lumpable_networks, networks
from lumpability.testing.strategies.renumbered import permutations_of
from lumpability.testing.strategies.structures import structures
from lumpability.testing.strategies.values import partitions, rationals

__all__ = [
    "ctmcs",
    "dtmcs",
    "labelled",
    "lumpable_chains",
    "lumpable_networks",
    "near_lumpable_chains",
    "networks",
    "not_lumpable_chains",
    "parametric_chains",
    "partitions",
    "permutations_of",
    "rationals",
    "structures",
]
