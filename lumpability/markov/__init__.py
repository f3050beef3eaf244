"""Markov chains: one wing of the library.  See `chains`, `kinds`, `lumping`."""

from typing import TYPE_CHECKING

from lumpability import lazy
from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain

if TYPE_CHECKING:
    from lumpability.markov.kinds import KINDS
    from lumpability.markov.lumping import Lumping
    from lumpability.markov.products import compose, symmetric
    from lumpability.markov.question import ask

__all__ = [
    "CTMC",
    "DTMC",
    "KINDS",
    "Lumping",
    "MarkovChain",
    "Reward",
    "ask",
    "compose",
    "symmetric",
]

__getattr__ = lazy.attributes(
    __name__,
    {
        "KINDS": "kinds",
        "Lumping": "lumping",
        "ask": "question",
        "compose": "products",
        "symmetric": "products",
    },
)
