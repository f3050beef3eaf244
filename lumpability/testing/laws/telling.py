"""Models as text that can be pasted: what a counterexample is shown as."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.markov.chains import MarkovChain
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

__all__ = ["tell"]


def tell(example: Any) -> str:
    """Return a model, or a tuple of models and other things, as readable text.

    Examples
    --------
    >>> print(tell(WeightedStructure.from_edges(3, [0, 2], [1, 1], ["1/3", 1])))
    3 states, within [[0, 1, 2]], weights
      0 -> 1: 1/3
      2 -> 1: 1
    """
    if isinstance(example, tuple):
        return ", and ".join(tell(part) for part in example)
    if isinstance(example, WeightedStructure):
        start = [block.tolist() for block in example.initial.blocks]
        return f"{_states(example.n)}, within {start}, weights{_arrows(example)}"
    if isinstance(example, MarkovChain):
        labels = "".join(
            f", label {name!r} on {np.flatnonzero(mask).tolist()}"
            for name, mask in example.labels.items()
        )
        what = "rates" if example.time == "continuous" else "probabilities"
        kind = type(example).__name__
        return f"a {kind} of {_states(example.n)}{labels}, {what}{_arrows(example.matrix)}"
    if isinstance(example, Partition):
        return f"the blocks {[block.tolist() for block in example.blocks]}"
    if isinstance(example, Network):
        return "\n  ".join(["the network", *map(_layer, example.layers)])
    return str(example)


def _states(count: int) -> str:
    return "1 state" if count == 1 else f"{count} states"


def _arrows(structure: WeightedStructure) -> str:
    lines = [
        f"\n  {state} -> {target}: {weight}"
        for state in range(structure.n)
        for target, weight in structure.row(state)
    ]
    return "".join(lines) or " none"


def _layer(layer: Any) -> str:
    if isinstance(layer, Dense):
        bias = "" if layer.bias is None else f" + {layer.bias.tolist()}"
        return f"x @ {layer.weight.tolist()}{bias}"
    return layer.function.name if isinstance(layer, Activate) else layer.title
