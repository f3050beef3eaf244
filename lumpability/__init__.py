"""Exact lumping of Markov chains and neural networks: smaller, and proved to be the same.

A name is imported when it is first asked for: who reads a model and checks a certificate never loads
the engine that made it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lumpability.version import __version__

if TYPE_CHECKING:
    from lumpability.certificate import Certificate, Verification
    from lumpability.dispatch import check, lump
    from lumpability.errors import LumpabilityError
    from lumpability.formats import read, write
    from lumpability.markov import CTMC, DTMC, Lumping, Reward
    from lumpability.networks import Network, NetworkLumping
    from lumpability.partition import Partition
    from lumpability.quotient import Verdict

__all__ = [
    "CTMC",
    "DTMC",
    "Certificate",
    "Lumping",
    "LumpabilityError",
    "Network",
    "NetworkLumping",
    "Partition",
    "Reward",
    "Verdict",
    "Verification",
    "__version__",
    "check",
    "lump",
    "read",
    "write",
]

_HOMES = {
    "certificate": ("Certificate", "Verification"),
    "errors": ("LumpabilityError",),
    "formats": ("read", "write"),
    "markov": ("CTMC", "DTMC", "Lumping", "Reward"),
    "networks": ("Network", "NetworkLumping"),
    "partition": ("Partition",),
    "quotient": ("Verdict",),
    "dispatch": ("check", "lump"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            if (
                home == "dispatch"
            ):  # at once, so that what they warn of names the line that calls them
                for provider in ("markov.lump", "networks.checking"):
                    import_module(f"{__name__}.{provider}")
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value  # the next time it is simply there
            return value
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")  # lumpability.markov after import lumpability
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
