"""Markov chains: one wing of the library.  See `chains`, `kinds`, `lumping`."""

from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.markov.kinds import KINDS
from lumpability.markov.lumping import Lumping
from lumpability.markov.products import compose, symmetric

__all__ = ["CTMC", "DTMC", "KINDS", "Lumping", "MarkovChain", "Reward", "compose", "symmetric"]
