"""`lump` for networks: classes, then quotient, then proof; see `lumpability.dispatch`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from lumpability.errors import LumpabilityError, NotJustified
from lumpability.networks.certificate import refute
from lumpability.networks.claims import KINDS
from lumpability.networks.layer_partitions import joined, layer_partitions
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.merging import merge
from lumpability.networks.network import Network
from lumpability.networks.quotient import quotient_network
from lumpability.networks.weight_stages import stages_of
from lumpability.partition import Partition
from lumpability.quotient import Stats
from lumpability.refinement import Engine, EngineName, Progress
from lumpability.vocabulary import unknown_word


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
    start = None if within is None else layer_partitions(within, stages, Partition.trivial)
    reflect = _worth_reflecting(network, kind, start, engine) if antiparallel else frozenset()
    found = merge(network, kind, within=start, engine=engine, reflect=reflect, progress=progress)
    merged = tuple(found)
    quotient, weights, rounding = quotient_network(network, merged, dtype)
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


def _worth_reflecting(
    network: Network, kind: str, within: Sequence[Partition] | None, engine: EngineName | Engine
) -> frozenset[int]:
    """Return the stages where merging units of opposite sign leaves fewer parameters."""
    chosen: frozenset[int] = frozenset()
    merged = merge(network, kind, within=within, engine=engine)
    smallest = quotient_network(network, merged)[0].parameter_count
    for number, stage in enumerate(stages_of(network)):
        if stage.reflection is None:
            continue
        trial = chosen | {number}
        merged = merge(network, kind, within=within, engine=engine, reflect=trial)
        if merged[number].reflected.any():
            size = quotient_network(network, merged)[0].parameter_count
            if size < smallest:
                chosen, smallest = trial, size
    return chosen
