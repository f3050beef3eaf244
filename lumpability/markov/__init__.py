"""Markov chains: one wing of the library.  See `chains`, `kinds`, `lumping`.

What needs the engine is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lumpability.dispatch import provided_by
from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain

if TYPE_CHECKING:
    from lumpability.markov.kinds import KINDS
    from lumpability.markov.lumping import Lumping
    from lumpability.markov.products import compose, symmetric

__all__ = ["CTMC", "DTMC", "KINDS", "Lumping", "MarkovChain", "Reward", "compose", "symmetric"]

provided_by(f"{__name__}.lump", MarkovChain)

_HOMES = {"KINDS": "kinds", "Lumping": "lumping", "compose": "products", "symmetric": "products"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next time it is simply there
    return value
