"""Exact lumping of Markov chains and neural networks: smaller, and proved to be the same."""

from typing import TYPE_CHECKING

from lumpability import lazy
from lumpability.version import __version__

if TYPE_CHECKING:
    from lumpability.certificate import Certificate, Verification
    from lumpability.dispatch import check, compare, lump
    from lumpability.errors import LumpabilityError
    from lumpability.formats import read, write
    from lumpability.markov import CTMC, DTMC, Lumping, Reward
    from lumpability.markov.approximate import ApproximateLumping
    from lumpability.markov.horizon import HorizonLumping
    from lumpability.networks import Network, NetworkLumping
    from lumpability.networks.regions import Box
    from lumpability.networks.relaxed import explain_pruning, relax
    from lumpability.partition import Partition
    from lumpability.quotient import Verdict

__all__ = [
    "CTMC",
    "DTMC",
    "ApproximateLumping",
    "Box",
    "Certificate",
    "HorizonLumping",
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
    "compare",
    "explain_pruning",
    "lump",
    "read",
    "relax",
    "write",
]

_HOMES = {
    "Certificate": "certificate",
    "Verification": "certificate",
    "LumpabilityError": "errors",
    "read": "formats",
    "write": "formats",
    "CTMC": "markov",
    "DTMC": "markov",
    "Lumping": "markov",
    "Reward": "markov",
    "ApproximateLumping": "markov.approximate",
    "HorizonLumping": "markov.horizon",
    "Network": "networks",
    "NetworkLumping": "networks",
    "Box": "networks.regions",
    "explain_pruning": "networks.relaxed",
    "relax": "networks.relaxed",
    "Partition": "partition",
    "Verdict": "quotient",
    "check": "dispatch",
    "compare": "dispatch",
    "lump": "dispatch",
}

_COMMANDS = {
    "ask": "lumpability.markov.ask",
    "bound": "lump(chain, tolerance=...).bounds",
    "explain": "lump(model).explain(one, other)",
    "info": "print(read(path))",
    "prove": "lumpability.symbolic.prove",
    "solve": "lumpability.markov.ask and lumpability.markov.solve",
    "verify": "Certificate.read(path).verify(model)",
}
"""What commands of the shell are called here."""

__getattr__ = lazy.attributes(__name__, _HOMES, _COMMANDS)


def __dir__() -> list[str]:
    return sorted(__all__)
