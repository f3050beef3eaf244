"""Markov chains: one wing of the library.  See `chains`, `kinds`, `lumping`."""

from typing import TYPE_CHECKING

from lumpability import lazy
from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain

if TYPE_CHECKING:
    from lumpability.markov.approximate import ApproximateLumping
    from lumpability.markov.horizon import HorizonLumping
    from lumpability.markov.kinds import KINDS
    from lumpability.markov.lumping import Lumping
    from lumpability.markov.products import compose, symmetric
    from lumpability.markov.question import ask

__all__ = [
    "CTMC",
    "DTMC",
    "KINDS",
    "ApproximateLumping",
    "HorizonLumping",
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
        "ApproximateLumping": "approximate",
        "HorizonLumping": "horizon",
        "KINDS": "kinds",
        "Lumping": "lumping",
        "ask": "question",
        "compose": "products",
        "symmetric": "products",
    },
)
