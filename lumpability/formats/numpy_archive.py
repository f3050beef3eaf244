"""NumPy's ``.npz`` for every model: its arrays say whether it holds a chain or a network.

Arrays with the text `network`, or ``PREFIX.weight`` without ``indptr``, are a network (`lumpability.formats.weights`);
all others are a chain (`lumpability.formats.npz`).
"""

from __future__ import annotations

from pathlib import Path

from lumpability.formats.archives import read_arrays
from lumpability.formats.npz import chain_of_arrays, write_npz
from lumpability.formats.weights import DESCRIPTION, LayerList, network_of_arrays, write_weights
from lumpability.markov.chains import MarkovChain
from lumpability.networks.network import Network
from lumpability.numbers.rationals import DEFAULT_TOLERANCE


def read_archive(
    path: str | Path,
    *,
    float_tolerance: float = DEFAULT_TOLERANCE,
    normalize: bool = False,
    absorbing: bool = False,
    type: str | None = None,  # noqa: A002  # as for .tra files
    max_bytes: int | None = None,
    layers: LayerList | None = None,
) -> MarkovChain | Network:
    """Read a chain or a network from an ``.npz``, which is never unpickled."""
    arrays = read_arrays(path, max_bytes=max_bytes)
    weights = "indptr" not in arrays and any(name.endswith(".weight") for name in arrays)
    if layers is not None or DESCRIPTION in arrays or weights:
        return network_of_arrays(arrays, path, layers=layers)
    return chain_of_arrays(
        arrays,
        path,
        float_tolerance=float_tolerance,
        normalize=normalize,
        kind=type,
        absorbing=absorbing,
    )


def write_archive(model: MarkovChain | Network, path: str | Path) -> None:
    """Write a chain or a network to an ``.npz``."""
    if isinstance(model, Network):
        write_weights(model, path)
    else:
        write_npz(model, path)
