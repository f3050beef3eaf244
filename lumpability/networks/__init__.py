"""Neural networks: one wing of the library.  See `network`, `merging`, `lumping`."""

from lumpability.networks.checking import check_network
from lumpability.networks.lumping import NetworkLumping, lump_network
from lumpability.networks.network import Network

__all__ = ["Network", "NetworkLumping", "check_network", "lump_network"]
