"""Chunks of tensors without sequences: torch's exporter writes a Split as SplitToSequence and SequenceAt.

A sequence is no tensor, and nothing is known of what is taken out of it.  Where a sequence is made of a fixed number of
chunks, and each is taken out by a constant place, one Split does the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.tensors.index import Index
from lumpability.networks.tensors.protobuf import attributes, onnx


def without_sequences(model: Any) -> Any:
    """Return a model in which chunks are made by Split; the model itself if it has no sequences.

    >>> from lumpability.networks.graph.examples import residual
    >>> model = residual().model
    >>> without_sequences(model) is model
    True
    """
    if not any(node.op_type == "SplitToSequence" for node in model.graph.node):
        return model
    index = GraphNetwork(model).index
    made, gone = {}, set()
    for number, node in enumerate(index.nodes):
        if node.op_type == "SplitToSequence":
            split = _split(index, number)
            if split is not None:
                made[index.places[number]] = split
                gone |= {index.places[user] for user, _ in index.users[node.output[0]]}
    nodes = [
        new
        for place, node in enumerate(model.graph.node)
        if place not in gone
        for new in made.get(place, [node])
    ]
    copy = type(model)()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _split(index: Index, number: int) -> list[Any] | None:
    """Return nodes that write the chunks of a SplitToSequence, None if they are not known."""
    node, facts = index.nodes[number], index.choices[0]
    shape, given = facts.shape(node.input[0]), attributes(node)
    users = [(index.nodes[user], slot) for user, slot in index.users.get(node.output[0], ())]
    taken = all(user.op_type == "SequenceAt" and slot == 0 for user, slot in users)
    if shape is None or not taken or not given.get("keepdims", 1):
        return None
    size = shape[given.get("axis", 0)]
    known = facts.values.get(node.input[1]) if len(node.input) > 1 else np.array(1)
    if known is None:
        return None
    whole, rest = divmod(size, int(known)) if known.ndim == 0 else (0, 0)
    sizes = known.tolist() if known.ndim else [int(known)] * whole + [rest] * (rest > 0)
    names = [f"{node.output[0]}_{k}" for k in range(len(sizes))]
    for user, _ in users:
        place = facts.values.get(user.input[1])
        if place is None or not -len(sizes) <= int(place) < len(sizes):
            return None
        names[int(place)] = user.output[0]
    helper = onnx().helper
    values = helper.make_tensor(f"{node.output[0]}_sizes", 7, [len(sizes)], sizes)
    return [
        helper.make_node("Constant", [], [values.name], value=values),
        helper.make_node(
            "Split", [node.input[0], values.name], names, node.name, axis=given.get("axis", 0)
        ),
    ]
