"""`lump` for networks: classes, then quotient, then proof; see `lumpability.dispatch`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from lumpability.errors import LumpabilityError, NotJustified
from lumpability.networks.bound_claims import NewWeights
from lumpability.networks.certificate import refute
from lumpability.networks.claims import KINDS
from lumpability.networks.layer_partitions import joined, layer_partitions
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.merging import MergedStage, merge
from lumpability.networks.network import Network
from lumpability.networks.quotient import Rounding, quotient_network
from lumpability.networks.weight_stages import stages_of
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.quotient import Stats
from lumpability.refinement import Engine, EngineName, Progress
from lumpability.vocabulary import unknown_word

Quotient = tuple[Network, tuple[NewWeights, ...], Rounding]


def lump_network(
    network: Network,
    *,
    kind: str,
    within: Any,
    dtype: Any,
    exact_weights: bool,
    antiparallel: bool,
    engine: EngineName | Engine,
    progress: Progress | None,
) -> NetworkLumping:
    """Compute the coarsest lumping of a network and its quotient, exactly; see `lumpability.lump`."""
    started = time.perf_counter()
    if kind not in KINDS:
        raise unknown_word("kind", kind, KINDS)
    stages = stages_of(network)
    start = None
    if within is not None:
        names = [stage.position for stage in stages]
        start = layer_partitions(within, stages, Partition.trivial, names=names)
    reflect = _worth_reflecting(network, kind, start, engine) if antiparallel else frozenset()
    merge_all = partial(merge, network, kind, engine=engine, reflect=reflect, progress=progress)
    start, merged, (quotient, weights, rounding) = _fitting(network, merge_all, start, dtype)
    if exact_weights and rounding.rounded:
        raise NotJustified(
            f"{rounding.rounded} of {rounding.weights} new weights are not representable in the target "
            f"type (off by at most {float(rounding.largest):.3g}): choose a wider dtype, or allow rounding",
            rounding=rounding,
        )
    claims = [one.claim for one in merged]
    wrong = refute(network, quotient, claims, kind, rounding.largest)
    if wrong is not None:
        raise LumpabilityError(
            f"internal error: the quotient failed its proof ({wrong}); please report it with the network",
            witness=wrong,
        )
    partition = joined(one.partition for one in merged)
    respected = joined(start or (Partition.trivial(stage.units) for stage in stages))
    rounded = f"; {rounding}" if rounding.rounded else ""
    stats = Stats(
        states=partition.n,
        transitions=network.parameter_count,
        blocks=len(partition),
        block_transitions=quotient.parameter_count,
        respected_blocks=len(respected),
        engine=next((one.engine for one in merged if one.engine is not None), "columns"),
        seconds=time.perf_counter() - started,
        proof=f"A W = W^ A and b = b^ A hold exactly in all {len(merged)} layers{rounded}",
    )
    return NetworkLumping(
        network, kind, partition, quotient, stats, respected, merged, weights, rounding
    )


def _fitting(
    network: Network,
    merge_all: Callable[..., list[MergedStage]],
    start: list[Partition] | None,
    dtype: Any,
) -> tuple[list[Partition] | None, tuple[MergedStage, ...], Quotient]:
    """Merge; and merge less where weights add up to more than their type can hold.

    Returns the partitions within which units were merged, None for no restriction.
    """
    unfolded: frozenset[int] = frozenset()
    while True:
        merged = tuple(merge_all(within=start, unfolded=unfolded))
        try:
            return start, merged, quotient_network(network, merged, dtype)
        except NotJustified as error:
            number = merged.index(error.stage) - 1
            adds = error.too_large.ndim == 1  # constants, to the bias
            apart = _classes_apart(error.stage, error.too_large)
            if not len(apart) or (adds and number in unfolded):
                raise
            if adds:
                unfolded |= {number}
            start = list(start or [Partition.trivial(one.stage.units) for one in merged])
            labels, every = merged[number].partition.labels, np.arange(merged[number].stage.units)
            labels = np.where(np.isin(labels, apart), len(every) + every, labels)
            start[number] = start[number].meet(Partition(labels))


def _classes_apart(one: MergedStage, too_large: Array) -> Array:
    """Return the classes of the layer below, of several units, whose weights add up to too much; all for a bias."""
    if one.below is None:
        return np.zeros(0, dtype=np.int64)
    partition = one.below.partition
    if too_large.ndim == 1:
        return np.arange(len(partition))
    rows = np.flatnonzero(one.stays[: one.rows.plain])[too_large.any(axis=1)]
    found = np.unique(one.rows.classes[rows])
    return np.asarray(found[np.bincount(partition.labels)[found] > 1])


def _worth_reflecting(
    network: Network, kind: str, within: list[Partition] | None, engine: EngineName | Engine
) -> frozenset[int]:
    """Return the stages where merging units of opposite sign leaves fewer parameters."""
    chosen: frozenset[int] = frozenset()
    merge_all = partial(merge, network, kind, engine=engine)
    smallest = _fitting(network, merge_all, within, None)[2][0].parameter_count
    for number, stage in enumerate(stages_of(network)):
        if stage.reflection is None:
            continue
        trial = chosen | {number}
        _, merged, made = _fitting(network, partial(merge_all, reflect=trial), within, None)
        if merged[number].reflected.any():
            size = made[0].parameter_count
            if size < smallest:
                chosen, smallest = trial, size
    return chosen
