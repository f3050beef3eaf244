"""What is claimed of the lumping of a network: records of plain data, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lumpability.networks.digest import network_digest
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.version import __version__

__all__ = ["LayerClaim", "NetworkClaims", "Subject"]


@dataclass(frozen=True)
class Subject:
    """Which network is meant."""

    digest: str  # see `lumpability.networks.digest.network_digest`
    hidden_neurons: int

    @classmethod
    def of(cls, network: Network) -> Subject:
        """Return what identifies a network; one pass over its weights."""
        return cls(network_digest(network), network.hidden_neurons)


@dataclass(frozen=True, eq=False)
class LayerClaim:
    """What is claimed about the units of one layer with weights."""

    layer: int  # number of the layer in the network
    partition: Partition  # of its units; constants and dead units included
    # Shape (units,).  The aggregated column of unit s is c(s) times the column of its class.
    factors: Array
    # Units whose output has this value for every input, folded into the next bias.
    constants: dict[int, Fraction]
    # Shape (classes,).  Classes that are units of the quotient: neither constant nor dead.
    live: Array
    # Whether units of opposite sign share classes by way of a skip past the activation.
    antiparallel: bool = False
    held: str | None = None  # why the units of this layer may not be changed
    # The factors by which columns of one class may differ, in words; None if the layer is held.
    admits: str | None = None


@dataclass(frozen=True, eq=False, repr=False)
class NetworkClaims:
    """The fields of a certificate; `lumpability.networks.NetworkCertificate` documents each."""

    kind: str
    original: Subject
    reduced: Subject
    layers: tuple[LayerClaim, ...]
    largest_change: Fraction = Fraction(0)
    library: str = __version__
    network: Network | None = None
    quotient: Network | None = None
