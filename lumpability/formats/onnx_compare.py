"""Two networks run side by side in onnxruntime: the difference in floating point of equal functions.

A network that was read from an ONNX file is run as the graph of that file, not as the layers that were read of it, so
that an error of the reader would show.
"""

from __future__ import annotations

from lumpability.errors import InvalidInput
from lumpability.formats.onnx_writer import model_bytes
from lumpability.networks.graph.compare import Comparison, Latency, compare_models, latency
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.source import graph_of
from lumpability.networks.network import Network
from lumpability.numbers.float_arrays import Array

__all__ = ["Comparison", "compare_in_onnxruntime", "latency_in_onnxruntime"]


def compare_in_onnxruntime(
    network: Network | GraphNetwork,
    other: Network | GraphNetwork,
    points: int = 1000,
    *,
    scale: float = 1.0,
    seed: int = 0,
    ends: tuple[Array, Array] | None = None,
) -> Comparison:
    """Run two networks at random points.

    Parameters
    ----------
    network, other : Network or GraphNetwork
        With equal input shapes.
    points : int
    scale : float
        Standard deviation of the normally distributed inputs.
    seed : int
    ends : (array, array), optional
        Lowest and highest inputs, flat: inputs are then uniformly distributed between them.

    Raises
    ------
    InvalidInput
        If the input shapes differ, `points` is not positive, or onnxruntime cannot run a network.
    MissingDependency
        Without the package ``onnxruntime``.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.networks.examples import unequal_factors
    >>> network = unequal_factors()
    >>> print(compare_in_onnxruntime(network, lump(network).quotient, points=10))
    onnxruntime: outputs bitwise equal at ... of 10 random points, largest difference ...
    """
    shapes = {one.input_shape for one in (network, other) if isinstance(one, Network)}
    if len(shapes) > 1 or points < 1:
        raise InvalidInput("comparing needs equal input shapes and at least one point")
    models = [_model(one) for one in (network, other)]
    return compare_models(models[0], models[1], points, scale=scale, seed=seed, ends=ends)


def latency_in_onnxruntime(
    network: Network | GraphNetwork, other: Network | GraphNetwork
) -> Latency:
    """Measure how long two networks take in turn; see `lumpability.networks.graph.compare.latency`."""
    return latency(_model(network), _model(other))


def _model(network: Network | GraphNetwork) -> bytes:
    source = graph_of(network, always=True) if isinstance(network, Network) else None
    return model_bytes(source or network)
