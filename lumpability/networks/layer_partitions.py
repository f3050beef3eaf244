"""Partitions of all neurons of a network, and of the neurons of each layer.

Neurons (channels) of layers with weights are numbered layer after layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

import numpy as np

from lumpability.errors import InvalidPartition
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition


class Layer(Protocol):
    """A layer with weights."""

    @property
    def units(self) -> int:
        """Number of its neurons."""


def offsets(stages: Iterable[Layer]) -> Array:
    """Return the number of the first neuron of each layer with weights, and the number of all neurons.

    >>> from lumpability import Network
    >>> from lumpability.networks.weight_stages import stages_of
    >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
    >>> offsets(stages_of(network)).tolist()
    [0, 2, 3]
    """
    return np.concatenate([[0], np.cumsum([stage.units for stage in stages], dtype=np.int64)])


def joined(partitions: Iterable[Partition]) -> Partition:
    """Return the partition of all neurons whose blocks are those of each layer.

    >>> joined([Partition([0, 0]), Partition([0])])
    Partition([[0, 1], [2]])
    """
    labels, start = [np.empty(0, dtype=np.int32)], 0
    for one in partitions:
        labels.append(one.labels + start)
        start += one.n
    return Partition(np.concatenate(labels))


def layer_partitions(
    partition: Any,
    stages: Sequence[Layer],
    others: Callable[[int], Partition] = Partition.discrete,
    *,
    names: Iterable[object],
) -> list[Partition]:
    """Read a partition of the network's neurons as one partition for each layer with weights.

    Raises `InvalidPartition` if it does not fit the network or mixes neurons of different layers.

    - partition (mapping of int to partition, or anything `Partition.of` takes): a mapping gives for the i-th
      layer with weights a partition of its neurons.  Anything else is a partition of all neurons, by number or name
    - others (callable): returns the partition of a layer that the mapping leaves out, given its number of
      neurons
    - names: of the layers with weights: neuron 17 of layer 2 has the name "2:17"
    """
    if isinstance(partition, Mapping) and all(map(_is_partition, partition.values())):
        unknown = [key for key in partition if key not in range(len(stages))]
        if unknown:
            raise InvalidPartition(
                f"there is no layer {unknown[0]!r}: layers with weights are 0 .. {len(stages) - 1}"
            )
        return [
            Partition.of(partition[number], states=stage.units)
            if number in partition
            else others(stage.units)
            for number, stage in enumerate(stages)
        ]
    bounds = offsets(stages)
    every: Any = int(bounds[-1])
    if _has_names(partition):
        counts = zip(names, stages, strict=True)
        every = [f"{name}:{unit}" for name, stage in counts for unit in range(stage.units)]
    whole = Partition.of(partition, states=every)
    layer = np.repeat(np.arange(len(stages)), np.diff(bounds))
    mixed = np.flatnonzero(layer[whole.representatives][whole.labels] != layer)
    if len(mixed):
        raise InvalidPartition(
            f"unit {int(mixed[0])} shares a class with a unit of another layer", unit=int(mixed[0])
        )
    return [
        whole.restrict(np.arange(low, high))
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


def _has_names(partition: Any) -> bool:
    """Whether the blocks hold texts, or a mapping is from texts."""
    if isinstance(partition, Mapping):
        return any(isinstance(key, str) for key in partition)
    blocks = partition if isinstance(partition, Sequence | Set) else ()
    inside = [b for b in blocks if isinstance(b, Sequence | Set) and not isinstance(b, str)]
    return any(isinstance(unit, str) for block in inside for unit in block)


def _is_partition(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str)
