"""Graphs on a region: units that are zero there leave, across joins and concatenations, convolutions by channel.

A unit of a ReLU whose argument is not positive anywhere on the region is zero there.  So the graph in which it is
multiplied by zero computes the same on the region, and for that graph `lumpability.networks.graph.reduce` finds which
units leave, for all inputs.  Multiplications that are left go again, because where they have zeros, there is zero.
Units that are active on the region stay: they are only carried in chains of layers (`reduce`).

The certificate relies on nothing of this.  It bounds the difference of the two files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.networks.claims import Subject
from lumpability.networks.difference.builder import Value
from lumpability.networks.difference.unrolling import unrolled
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping, reduce_graph
from lumpability.networks.graph.source import graph_of
from lumpability.networks.joins import Join, Opaque
from lumpability.networks.network import Network
from lumpability.networks.pooling import GlobalPool, MaxPool
from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.networks.relaxed.lumping import PROOF, RegionLumping, related, told
from lumpability.networks.relaxed.stable import StableUnits, cut_further
from lumpability.networks.tensors.protobuf import onnx
from lumpability.numbers.float_arrays import Array


def graph_to_reduce(network: Network | GraphNetwork) -> GraphNetwork | None:
    """Return the graph that is reduced on a region: of a network that is no chain of layers, if it was read from one."""
    if isinstance(network, GraphNetwork):
        return network
    joined = any(
        isinstance(layer, Join | Opaque | MaxPool)
        or (isinstance(layer, GlobalPool) and layer.maximum)
        for layer in network.layers
    )
    return graph_of(network, always=True) if joined else None


def lump_graph_on_region(
    network: GraphNetwork,
    region: Any,
    *,
    boxes: int = 1,
    exact_weights: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> RegionLumping:
    """Reduce a graph on a region; see `lumpability.lump`.

    >>> from lumpability.networks.graph.examples import residual
    >>> lump_graph_on_region(residual(), (-1, 0.5))
    RegionLumping(region: 16 -> 8 hidden neurons on a box of 2 inputs, bound 0)
    """
    started = time.perf_counter()
    affine, values = unrolled(network)
    fewest: tuple[StableUnits, GraphLumping, GraphNetwork] | None = None
    for stable in cut_further(affine, region, boxes, progress=progress):
        masked, masks = _masked(network, values, stable)
        found = reduce_graph(masked, exact_weights=exact_weights)
        small = _without(found.quotient, masks)
        if fewest is None or small.hidden_neurons < fewest[2].hidden_neurons:
            fewest = stable, found, small
    assert fewest is not None
    stable, found, small = fewest
    kept = _units_kept(network, stable, found.kept)
    proved = related(network, small, stable, kept=kept, kind="region")
    claims, quotient = _noted(proved.certificate, small)
    stats = replace(
        found.stats,
        transitions=network.parameter_count,
        seconds=time.perf_counter() - started,
        proof=PROOF,
    )
    return RegionLumping(
        network,
        quotient,
        stable.region,
        "region",
        found.table,
        tuple(proved.lifts[1:]),
        found.rounding,
        stats,
        claims,
    )


def _masked(
    network: GraphNetwork, values: dict[str, Value], stable: StableUnits
) -> tuple[GraphNetwork, set[str]]:
    """Return the graph with units that are zero on the region multiplied by zero, and the names of the factors."""
    index, tensors, helper = network.index, network.analysis.tensors, onnx().helper
    model = onnx().ModelProto()
    model.CopyFrom(index.model)
    taken, nodes, masks = {*index.producer, *index.users}, [], set()
    for node in model.graph.node:
        nodes.append(node)
        name = node.output[0]
        if node.op_type != "Relu" or name not in values or name not in tensors:
            continue
        kept = _kept(values[name], tensors[name].units, stable)
        if kept.all():
            continue
        whole, mask = (_free(f"{name}_{word}", taken) for word in ("whole", "kept"))
        dtype = helper.tensor_dtype_to_np_dtype(index.choices[0].code(name))
        model.graph.initializer.append(onnx().numpy_helper.from_array(kept.astype(dtype), mask))
        node.output[0] = whole
        nodes.append(helper.make_node("Mul", [whole, mask], [name]))
        masks.add(mask)
    if not masks:
        return network, masks
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return GraphNetwork(model, network.folder), masks


def _kept(value: Value, units: Collection[int], stable: StableUnits) -> Array:
    """Return for each unit of a tensor whether it is not zero on the region, with size one on other axes."""
    zero = stable.inactive(value.layer - 1)[value.numbers]
    along = tuple(axis for axis in range(zero.ndim) if axis not in units)
    return np.asarray(~zero.all(axis=along, keepdims=True))


def _units_kept(
    network: GraphNetwork, stable: StableUnits, kept: dict[str, Array]
) -> dict[int, Array]:
    """Return which units stay of affine layers by their numbers, where they are made from a node with weights."""
    found = {}
    for number, layer in enumerate(stable.network.layers, start=1):
        node = None if layer.position is None else network.index.nodes[layer.position]
        if node is None or node.output[0] not in kept:
            continue
        # Channels come before the positions of an image, and units after those of a sequence.
        tensor, channels = network.analysis.tensors[node.output[0]], node.op_type == "Conv"
        assert tensor.shape is not None
        places = np.arange(layer.units).reshape(tensor.shape[1:])
        found[number] = np.take(places, kept[node.output[0]], axis=0 if channels else -1).ravel()
    return found


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _without(network: GraphNetwork, masks: set[str]) -> GraphNetwork:
    """Return a graph without the multiplications by some factors."""
    model = onnx().ModelProto()
    model.CopyFrom(network.model)
    graph, moved, nodes = model.graph, {}, []
    for node in graph.node:
        if masks.intersection(node.input):
            moved[node.input[0]] = node.output[0]
        else:
            nodes.append(node)
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = moved.get(name, name)
    for items, left in (
        (graph.node, nodes),
        (graph.initializer, [one for one in graph.initializer if one.name not in masks]),
        (graph.value_info, [one for one in graph.value_info if one.name not in moved]),
    ):
        del items[:]
        items.extend(left)
    return GraphNetwork(model, network.folder)


def _noted(
    claims: RegionCertificate, small: GraphNetwork
) -> tuple[RegionCertificate, GraphNetwork]:
    """Write into the file of a reduced graph what holds of it, and make the claims about that file."""
    model = onnx().ModelProto()
    model.CopyFrom(small.model)
    for key, value in told(claims).items():
        model.metadata_props.add(key=f"lumpability.{key}", value=value)
    small = GraphNetwork(model, small.folder)
    return replace(claims, reduced=Subject.of(small), quotient=small), small
