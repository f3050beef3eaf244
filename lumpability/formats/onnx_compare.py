"""Two networks run side by side in onnxruntime: the difference in floating point of equal functions.

The proof of a lumping is about real numbers, while runtimes add in an order of their own.  This module measures
the difference at random points; it proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lumpability.errors import InvalidInput, require
from lumpability.formats.onnx_writer import to_onnx
from lumpability.networks.network import Network

__all__ = ["Comparison", "compare_in_onnxruntime"]


@dataclass(frozen=True)
class Comparison:
    """Outputs of two networks at random points.

    Attributes
    ----------
    points : int
    bitwise_equal : int
        Points at which all outputs agree in every bit.
    largest_difference : float
        Largest absolute difference of an output.
    """

    points: int
    bitwise_equal: int
    largest_difference: float

    def __str__(self) -> str:
        return (
            f"onnxruntime: outputs bitwise equal at {self.bitwise_equal} of {self.points} random points, "
            f"largest difference {self.largest_difference:.3g}"
        )


def compare_in_onnxruntime(
    network: Network, other: Network, points: int = 1000, *, scale: float = 1.0, seed: int = 0
) -> Comparison:
    """Run two networks at random points, one point at a time.

    Parameters
    ----------
    network, other : Network
        With equal input shapes.
    points : int
    scale : float
        Standard deviation of the normally distributed inputs.
    seed : int

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
    if network.input_shape != other.input_shape or points < 1:
        raise InvalidInput("comparing needs equal input shapes and at least one point")
    onnxruntime = require("onnxruntime", extra="onnx")
    models = [to_onnx(model).SerializeToString() for model in (network, other)]
    random = np.random.default_rng(seed)
    shape = [1 if size is None else size for size in network.input_shape]
    equal, largest = 0, 0.0
    try:
        sessions = [
            onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
            for model in models
        ]
        for _ in range(points):
            x = scale * random.normal(size=shape)
            first, second = (
                session.run(None, {model.input_name: x.astype(model.dtype)})[0]
                for session, model in zip(sessions, (network, other), strict=True)
            )
            equal += first.tobytes() == second.tobytes()
            difference = np.abs(first.astype(np.float64) - second.astype(np.float64))
            largest = max(largest, float(difference.max(initial=0.0)))
    except Exception as error:  # onnxruntime raises classes of its own
        raise InvalidInput(f"onnxruntime cannot run the network: {error}") from error
    return Comparison(points, equal, largest)
