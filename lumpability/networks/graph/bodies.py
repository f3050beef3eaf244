"""The bodies of Scan and Loop, written into the graph around them and back; and local functions, written out.

A step of a body becomes nodes of the graph itself, with four operators of its own at the ends (`operators.steps`): a
state as it is before a step, an element of a sequence, a state after the last step, a sequence of outputs.  States of
a body are then units like others.  What is written back is the file with other constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from lumpability.errors import require
from lumpability.networks.tensors.index import names_in
from lumpability.networks.tensors.protobuf import STEPS, attributes, onnx, subgraphs


class _Body(NamedTuple):
    """A body that can be written into the graph.

    - states: number of its states
    - given: number of inputs of the node before the states, and of the body's inputs and outputs before them
    """

    node: Any
    graph: Any
    prefix: str
    states: int
    given: tuple[int, int, int]

    @classmethod
    def of(cls, node: Any) -> _Body | None:
        """Return the body of a node, or None if it has none or stays as it is."""
        graphs = subgraphs(node)
        if node.domain not in ("", "ai.onnx") or node.op_type not in ("Scan", "Loop"):
            return None
        if len(graphs) != 1 or graphs[0].sparse_initializer or any(map(subgraphs, graphs[0].node)):
            return None
        (graph,) = graphs
        if not any(node.output) or not any(True for _ in graph.node):
            return None
        prefix = f"{next(filter(None, node.output))}/body/"
        if node.op_type == "Loop":
            states = len(node.input) - 2
            # How many outputs of steps there are is known to nobody.
            plain = len(graph.output) == states + 1 and len(graph.input) == states + 2
            plain = plain and all(map(_same_shape, graph.input[2:], graph.output[1:]))
            return cls(node, graph, prefix, states, (2, 2, 1)) if plain and states > 0 else None
        states = len(node.input) - _whole(attributes(node).get("num_scan_inputs"))
        fits = len(graph.input) == len(node.input) and 0 < states < len(node.input)
        counts = {"input": len(node.input) - states, "output": len(graph.output) - states}
        for (end, count), key in product(counts.items(), ("axes", "directions")):
            stated = attributes(node).get(f"scan_{end}_{key}", [0] * count)
            fits = fits and isinstance(stated, list) and len(stated) == count
        return cls(node, graph, prefix, states, (0, 0, 0)) if fits and all(node.input) else None

    @property
    def own(self) -> set[str]:
        """Names of the tensors that are defined in the body."""
        stated = {item.name for item in (*self.graph.input, *self.graph.initializer)}
        return stated | {name for node in self.graph.node for name in node.output if name}

    def renamed(self) -> Iterator[Any]:
        """Yield copies of the body's nodes with names of the graph."""
        own = self.own
        for node in self.graph.node:
            copy = type(node)()
            copy.CopyFrom(node)
            copy.input[:] = [self.prefix + name if name in own else name for name in node.input]
            copy.output[:] = [self.prefix + name if name else "" for name in node.output]
            yield copy

    def outer(self, name: str) -> str:
        """Return the name in the graph of a tensor that the body's end reads."""
        return self.prefix + name if name in self.own else name

    def ends(self) -> Iterator[Any]:
        """Yield the nodes before and after the step."""
        before, first, last = self.given
        node, count, given = self.node, self.states, attributes(self.node)
        inputs = [self.prefix + item.name for item in self.graph.input]
        outputs = [self.outer(item.name) for item in self.graph.output]
        loop = node.op_type == "Loop"
        if loop:
            kinds = [str(item.type.tensor_type.elem_type) for item in self.graph.input[:2]]
            for name, kind in zip(inputs[:2], kinds, strict=True):
                yield _node("Count", [], [name], kind=int(kind))
        for name, start in zip(inputs[first:], node.input[before : before + count], strict=False):
            yield _node("State", [start], [name])
        sequences = [] if loop else list(node.input[count:])
        axes = list(given.get("scan_input_axes", [0] * len(sequences)))
        turned = list(given.get("scan_input_directions", [0] * len(sequences)))
        for k, name in enumerate(sequences):
            yield _node("Element", [name], [inputs[count + k]], axis=axes[k], turned=turned[k])
        more = [*(name for name in node.input[:2] if name), outputs[0]] if loop else sequences
        for k in range(count):
            final = (node.output[k] if k < len(node.output) else "") or f"{self.prefix}last {k}"
            pair = [outputs[last + k], inputs[first + k]]
            yield _node("Last", [*pair, *more], [final], **({} if loop else {"axes": axes}))
        made = list(zip(outputs[count:], node.output[count:], strict=False)) if not loop else []
        axes_out = list(given.get("scan_output_axes", [0] * len(made)))
        turned = list(given.get("scan_output_directions", [0] * len(made)))
        for k, (source, name) in enumerate(made):
            if name:
                yield _node(
                    "Sequence", [source, sequences[0]], [name],
                    axis=axes_out[k], turned=turned[k], along=axes[0],
                )  # fmt: skip


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _same_shape(before: Any, after: Any) -> bool:
    """Whether a state is said to have the same shape before and after a step, all sizes named."""
    dims = [
        [dim.dim_value or dim.dim_param for dim in item.type.tensor_type.shape.dim]
        for item in (before, after)
    ]
    return dims[0] == dims[1] and bool(dims[0]) and all(dims[0])


def inlined(model: Any) -> Any:
    """Return a model with local functions and the bodies of Scan and Loop as nodes of its graph, or itself.

    - model: ModelProto
    """
    model = _without_functions(model)
    bodies = {k: body for k, node in enumerate(model.graph.node) if (body := _Body.of(node))}
    names = set(names_in(model.graph)) if bodies else set()
    if not all(isinstance(name, str) for name in names):
        return model
    new = any(name.startswith(body.prefix) for body in bodies.values() for name in names)
    old = any(i.domain in ("", "ai.onnx") and i.version < 9 for i in model.opset_import)
    if not bodies or new or old or STEPS in {item.domain for item in model.opset_import}:
        return model
    flat = type(model)()
    flat.CopyFrom(model)
    flat.opset_import.append(onnx().helper.make_opsetid(STEPS, 1))
    graph = flat.graph
    del graph.node[:]
    for number, node in enumerate(model.graph.node):
        if number not in bodies:
            graph.node.append(node)
            continue
        body = bodies[number]
        graph.node.extend(body.ends())
        graph.node.extend(body.renamed())
        for items, own in (
            (graph.initializer, body.graph.initializer),
            (graph.value_info, (*body.graph.input, *body.graph.output, *body.graph.value_info)),
        ):
            for item in own:
                if body.outer(item.name) != item.name:
                    items.append(item)
                    items[-1].name = body.outer(item.name)
    return flat


def _without_functions(model: Any) -> Any:
    """Return a model with its local functions written out, or the model itself where onnx cannot do that."""
    if not model.functions:
        return model
    try:
        return require("onnx.inliner", extra="onnx").inline_local_functions(model)
    except Exception:  # noqa: BLE001  # classes of its own; calls of functions are then carried
        return model


def restored(flat: Any, original: Any) -> Any:
    """Return the original model with the constants, attributes and shapes of an edited `inlined` one.

    Local functions stay written out: their weights are constants of the graph, which others do not share.
    """
    original = _without_functions(original)
    bodies = [body for node in original.graph.node if (body := _Body.of(node))]
    inside = {body.outer(name) for body in bodies for name in body.own}
    model = type(flat)()
    model.CopyFrom(flat)
    graph = model.graph
    for items in (model.opset_import, graph.node, graph.initializer, graph.value_info):
        del items[:]
    model.opset_import.extend(item for item in flat.opset_import if item.domain != STEPS)
    for items, edited in (
        (graph.initializer, flat.graph.initializer),
        (graph.value_info, flat.graph.value_info),
    ):
        items.extend(item for item in edited if item.name not in inside)
    nodes = {next(filter(None, node.output)): node for node in flat.graph.node}
    for node in original.graph.node:
        body = _Body.of(node)
        found = nodes.get(next(filter(None, node.output))) if body is None else node
        if found is not None:
            graph.node.append(found)
        if body is not None:
            _write_back(body, flat, nodes, graph.node[-1])
    return model


def _write_back(body: _Body, flat: Any, nodes: dict[str, Any], node: Any) -> None:
    """Write the edited nodes of a body into a copy of its Scan or Loop."""
    before, first, _ = body.given
    for k in range(body.states):
        state = nodes[body.prefix + body.graph.input[first + k].name]
        node.input[before + k] = state.input[0]
    graph = next(item.g for item in node.attribute if item.type == 5)
    kept = [nodes.get(body.prefix + next(filter(None, n.output))) for n in body.graph.node]
    del graph.node[:]
    graph.node.extend(one for one in kept if one is not None)
    back = {body.outer(name): name for name in names_in(body.graph)}
    for one in graph.node:
        for names in (one.input, one.output):
            names[:] = [back.get(name, name) for name in names]
    del graph.initializer[:]
    for item in flat.graph.initializer:
        if item.name.startswith(body.prefix) and item.name in back:
            graph.initializer.append(item)
            graph.initializer[-1].name = back[item.name]
    edited = {item.name: item for item in flat.graph.value_info}
    for items in (graph.input, graph.output, graph.value_info):
        for item in list(items):
            found = edited.get(body.prefix + item.name)
            if found is not None:
                item.type.CopyFrom(found.type)
            elif items is graph.value_info:
                items.remove(item)


def _node(op: str, inputs: list[str], outputs: list[str], **given: Any) -> Any:
    return onnx().helper.make_node(op, inputs, outputs, domain=STEPS, **given)
