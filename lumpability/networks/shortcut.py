"""Networks that turn out constant lose their empty layers.

If no unit of a layer stays, nothing above it depends on the input.  In a chain of dense layers everything
up to the next one is then replaced by a single dense layer with zero weights and the constant as bias.
Elsewhere (convolutions) the layer keeps one unit that is zero, since formats know no empty axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumpability.networks.layers import Dense
from lumpability.networks.merging import MergedStage
from lumpability.networks.network import Network

__all__ = ["without_placeholders"]


def without_placeholders(quotient: Network, merged: Sequence[MergedStage]) -> Network:
    """Return the quotient without the layers below an empty one, where they are all dense."""
    empty = [i for i, one in enumerate(merged) if not one.live.any()]
    if not empty:
        return quotient
    last = empty[-1] + 1  # the stage that reads nothing
    first = last
    while merged[first].stage.open:
        first -= 1
    chain = merged[first : last + 1]
    low, high = merged[first].stage.position, merged[last].stage.position
    ranks = {len(shape) for shape in quotient.shapes[low : high + 2]}
    before, after = quotient.layers[low], quotient.layers[high]
    if not all(isinstance(one.stage.layer, Dense) for one in chain) or len(ranks) != 1:
        return quotient
    assert isinstance(before, Dense)
    assert isinstance(after, Dense)
    zero = np.zeros((before.weight.shape[0], after.units), dtype=after.weight.dtype)
    layers = (*quotient.layers[:low], Dense(zero, after.bias), *quotient.layers[high + 1 :])
    return replace(quotient, layers=layers)
