"""Neural networks: one wing of the library.  See `network`, `merging`, `lumping`.

What needs the engine is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lumpability.dispatch import provided_by
from lumpability.networks.certificate import NetworkCertificate
from lumpability.networks.network import Network

if TYPE_CHECKING:
    from lumpability.networks.checking import check_network
    from lumpability.networks.lump import lump_network
    from lumpability.networks.lumping import NetworkLumping

__all__ = ["Network", "NetworkCertificate", "NetworkLumping", "check_network", "lump_network"]

provided_by(f"{__name__}.checking", Network)  # which imports `lump`

_HOMES = {"NetworkLumping": "lumping", "lump_network": "lump", "check_network": "checking"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next time it is simply there
    return value
