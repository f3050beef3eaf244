"""Neural networks: one wing of the library.  See `network`, `merging`, `lumping`."""

from typing import TYPE_CHECKING

from lumpability import lazy
from lumpability.networks.certificate import NetworkCertificate
from lumpability.networks.network import Network

if TYPE_CHECKING:
    from lumpability.networks.lumping import NetworkLumping

__all__ = ["Network", "NetworkCertificate", "NetworkLumping"]

__getattr__ = lazy.attributes(__name__, {"NetworkLumping": "lumping"})
