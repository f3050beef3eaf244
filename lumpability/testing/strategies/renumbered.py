"""Any model with its states, or hidden neurons, in another order."""

from __future__ import annotations

from functools import singledispatch
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lumpability.errors import InvalidInput
from lumpability.markov.chains import MarkovChain
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense, Layer
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure


@singledispatch
def permutations_of(model: Any) -> SearchStrategy[tuple[Any, list[int]]]:
    """Pairs of a renumbered model and the order: state i of it is state ``order[i]`` of the given one.

    A partition P of the model becomes ``P.restrict(order)``.  The units of a network are numbered layer after
    layer as in `NetworkLumping.partition`, and only hidden ones are permuted.

    Parameters
    ----------
    model : CTMC, DTMC, WeightedStructure, Partition or Network (dense)

    Raises
    ------
    InvalidInput
        For another model.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(permutations_of(Partition([0, 0, 1])), lambda pair: pair[1] != [0, 1, 2])
    (Partition([[0, 2], [1]]), [0, 2, 1])
    """
    raise InvalidInput(f"a {type(model).__name__} cannot be renumbered")


@permutations_of.register
def _of_chain(model: MarkovChain) -> SearchStrategy[tuple[Any, list[int]]]:
    return st.permutations(range(model.n)).map(
        lambda order: (model.renumber(np.array(order, dtype=np.int64)), order)
    )


@permutations_of.register
def _of_structure(model: WeightedStructure) -> SearchStrategy[tuple[Any, list[int]]]:
    return st.permutations(range(model.n)).map(
        lambda order: (model.renumber(np.array(order, dtype=np.int64)), order)
    )


@permutations_of.register
def _of_partition(model: Partition) -> SearchStrategy[tuple[Any, list[int]]]:
    return st.permutations(range(model.n)).map(lambda order: (model.restrict(order), order))


@permutations_of.register
def _of_network(model: Network) -> SearchStrategy[tuple[Any, list[int]]]:
    if not all(isinstance(layer, Dense | Activate) for layer in model.layers):
        raise InvalidInput("only dense networks can be renumbered here")
    return _renumbered_networks(model)


@st.composite
def _renumbered_networks(draw: st.DrawFn, network: Network) -> tuple[Network, list[int]]:
    units = [layer.units for layer in network.layers if isinstance(layer, Dense)]
    bounds = np.concatenate([[0], np.cumsum(units)]).tolist()
    orders = [draw(st.permutations(range(count))) for count in units[:-1]]
    orders.append(list(range(units[-1])))
    rows: list[int] | slice = slice(None)
    layers: list[Layer] = []
    columns = iter(orders)
    for layer in network.layers:
        if isinstance(layer, Dense):
            order = next(columns)
            bias = None if layer.bias is None else layer.bias[order]
            layers.append(Dense(np.ascontiguousarray(layer.weight[rows][:, order]), bias))
            rows = order
        else:
            layers.append(layer)
    whole = [
        low + i for (low, _), order in zip(pairwise(bounds), orders, strict=True) for i in order
    ]
    return Network(tuple(layers), network.input_shape, network.dtype), whole
