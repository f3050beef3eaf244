"""Exact lumping of Markov chains and neural networks: smaller, and proved to be the same."""

from lumpability.errors import LumpabilityError
from lumpability.formats import read, write
from lumpability.markov import CTMC, DTMC, Lumping, Reward
from lumpability.networks import Network, NetworkLumping
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.verbs import check, lump

__version__ = "0.1.0"

__all__ = [
    "CTMC",
    "DTMC",
    "Lumping",
    "LumpabilityError",
    "Network",
    "NetworkLumping",
    "Partition",
    "Reward",
    "Verdict",
    "check",
    "lump",
    "read",
    "write",
]
