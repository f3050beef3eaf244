"""The graphs inside Scan, Loop and If, written into the graph around them and back; and local functions, written out.

A step of a body becomes nodes of the graph itself, with four operators of its own at the ends (`operators.steps`): a
state as it is before a step, an element of a sequence, a state after the last step, a sequence of outputs.  States of
a body are then units like others.  Both branches of an If become nodes as well, and a fifth operator chooses between
what they yield.  What is written back is the file with other constants.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from lumpability.errors import require
from lumpability.networks.tensors.index import names_in
from lumpability.networks.tensors.protobuf import STEPS, attributes, onnx, subgraphs


class _Body(NamedTuple):
    """A graph inside a node that can be written into the graph around it.

    - place: its number among the graphs of the node
    - states: number of its states
    - given: number of inputs of the node before the states, and of the body's inputs and outputs before them
    """

    node: Any
    graph: Any
    prefix: str
    place: int = 0
    states: int = 0
    given: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def all_of(cls, node: Any) -> list[_Body]:
        """Return the graphs inside a node, of an If first the one for true; none if they stay as they are."""
        graphs = subgraphs(node)
        if node.domain not in ("", "ai.onnx") or not graphs or not any(node.output):
            return []
        if any(graph.sparse_initializer or any(map(subgraphs, graph.node)) for graph in graphs):
            return []
        first = next(filter(None, node.output))
        if node.op_type == "If":
            names = [item.name for item in node.attribute if item.type == 5]
            if sorted(names) != ["else_branch", "then_branch"] or len(graphs) != 2:
                return []
            both = [
                cls(node, graphs[k], f"{first}/{names[k].removesuffix('_branch')}/", k)
                for k in map(names.index, ("then_branch", "else_branch"))
            ]
            ends = [[item.name for item in one.graph.output] for one in both]
            plain = all(len(end) == len(node.output) for end in ends)
            plain = plain and not any(one.graph.input for one in both)
            plain = plain and all(
                one.own.issuperset(end) for one, end in zip(both, ends, strict=True)
            )
            return both if plain else []
        if node.op_type in ("Scan", "Loop") and len(graphs) == 1 and graphs[0].node:
            body = cls._of_steps(node, graphs[0], f"{first}/body/")
            return [] if body is None else [body]
        return []

    @classmethod
    def _of_steps(cls, node: Any, graph: Any, prefix: str) -> _Body | None:
        """Return the body of a Scan or a Loop, or None if it stays as it is."""
        if node.op_type == "Loop":
            states = len(node.input) - 2
            # How many outputs of steps there are is known to nobody.
            plain = len(graph.output) == states + 1 and len(graph.input) == states + 2
            plain = plain and all(map(_same_shape, graph.input[2:], graph.output[1:]))
            return cls(node, graph, prefix, 0, states, (2, 2, 1)) if plain and states > 0 else None
        states = len(node.input) - _whole(attributes(node).get("num_scan_inputs"))
        fits = len(graph.input) == len(node.input) and 0 < states < len(node.input)
        counts = {"input": len(node.input) - states, "output": len(graph.output) - states}
        for (end, count), key in product(counts.items(), ("axes", "directions")):
            stated = attributes(node).get(f"scan_{end}_{key}", [0] * count)
            fits = fits and isinstance(stated, list) and len(stated) == count
        return cls(node, graph, prefix, 0, states) if fits and all(node.input) else None

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


def _choices(node: Any, then: _Body, other: _Body) -> Iterator[Any]:
    """Yield the nodes that choose between what the branches of an If yield."""
    ends = [[body.outer(item.name) for item in body.graph.output] for body in (then, other)]
    for name, *both in zip(node.output, *ends, strict=True):
        if name:
            yield _node("If", [node.input[0], *both], [name], name=node.name)


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
    """Return a model with local functions and the graphs of Scan, Loop and If as nodes of its graph, or itself.

    - model: ModelProto
    """
    model = _without_functions(model)
    bodies = {k: found for k, node in enumerate(model.graph.node) if (found := _Body.all_of(node))}
    names = set(names_in(model.graph)) if bodies else set()
    if not all(isinstance(name, str) for name in names):
        return model
    prefixes = tuple(body.prefix for some in bodies.values() for body in some)
    new = any(name.startswith(prefixes) for name in names)
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
        some = bodies[number]
        graph.node.extend(some[0].ends() if len(some) == 1 else _choices(node, *some))
        for body in some:
            graph.node.extend(body.renamed())
            inner = body.graph
            for items, own in (
                (graph.initializer, inner.initializer),
                (graph.value_info, (*inner.input, *inner.output, *inner.value_info)),
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
    bodies = {k: _Body.all_of(node) for k, node in enumerate(original.graph.node)}
    prefixes = tuple(body.prefix for some in bodies.values() for body in some)
    taken = set(names_in(original.graph))
    model = type(flat)()
    model.CopyFrom(flat)
    graph = model.graph
    del model.opset_import[:], graph.node[:]
    model.opset_import.extend(item for item in flat.opset_import if item.domain != STEPS)
    for items in (graph.input, graph.initializer, graph.value_info):
        for k in reversed([k for k, one in enumerate(items) if one.name.startswith(prefixes)]):
            del items[k]
    nodes = {next(filter(None, node.output)): node for node in flat.graph.node}
    for number, node in enumerate(original.graph.node):
        some = bodies[number]
        found = node if some else nodes.get(next(filter(None, node.output)))
        if found is not None:
            graph.node.append(found)
        for body in some:
            _write_back(body, flat, nodes, graph.node[-1], taken)
    return model


def _write_back(body: _Body, flat: Any, nodes: dict[str, Any], node: Any, taken: set[str]) -> None:
    """Write the edited nodes of a body into a copy of its Scan, Loop or If."""
    before, first, _ = body.given
    for k in range(body.states):
        state = nodes[body.prefix + body.graph.input[first + k].name]
        node.input[before + k] = state.input[0]
    graph = subgraphs(node)[body.place]
    kept = [nodes.get(body.prefix + next(filter(None, n.output))) for n in body.graph.node]
    del graph.node[:]
    graph.node.extend(one for one in kept if one is not None)
    back = {body.outer(name): name for name in names_in(body.graph)}
    for item in flat.graph.initializer:
        if item.name.startswith(body.prefix) and item.name not in back:  # a constant was cloned
            name = item.name.removeprefix(body.prefix)
            while name in taken:
                name += "_"
            taken.add(name)
            back[item.name] = name
    for one in graph.node:
        for names in (one.input, one.output):
            names[:] = [back.get(name, name) for name in names]
    del graph.initializer[:]
    for item in flat.graph.initializer:
        if item.name.startswith(body.prefix):
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
