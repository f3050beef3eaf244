"""Networks that turn out constant lose their empty layers.

If no unit of a layer stays, nothing above it depends on the input.  In a chain of dense layers everything
up to the next one is then replaced by a single dense layer with zero weights and the constant as bias.
Elsewhere (convolutions) the layer keeps one unit that is zero, since formats know no empty axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lumpability.networks.layers import Dense, Layer
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network

__all__ = ["drop_placeholders"]


def drop_placeholders(
    layers: Sequence[Layer], merged: Sequence[MergedStage], network: Network
) -> list[Layer | None]:
    """Return the quotient's layers with None for those below an empty one, where they are all dense.

    Parameters
    ----------
    layers : sequence of Layer
        Of the quotient, one for each layer of the network.
    """
    result: list[Layer | None] = list(layers)
    empty = [i for i, one in enumerate(merged) if not one.live.any()]
    if not empty:
        return result
    last = empty[-1] + 1  # the stage that reads nothing
    first = last
    while merged[first].stage.open:
        first -= 1
    low, high = merged[first].stage.position, merged[last].stage.position
    before, after = layers[low], layers[high]
    others = {shape[:-1] for shape in network.shapes[low : high + 2]}
    if not all(isinstance(one.stage.layer, Dense) for one in merged[first : last + 1]):
        return result
    if len(others) != 1 or not isinstance(before, Dense) or not isinstance(after, Dense):
        return result
    zero = np.zeros((before.weight.shape[0], after.units), dtype=after.weight.dtype)
    result[low:high] = [None] * (high - low)
    result[high] = Dense(zero, after.bias)
    return result
