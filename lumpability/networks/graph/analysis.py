"""One pass over a graph, in the order of its nodes: each operator's family records what it yields.

See `lumpability.networks.tensors.call` for what is recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from lumpability.networks.operators import family_of, opaque
from lumpability.networks.operators.composite import viewed
from lumpability.networks.operators.steps import Guess, guesses
from lumpability.networks.tensors.call import Against, Call, Work
from lumpability.networks.tensors.index import Index, captured, is_weight, reads_shape
from lumpability.networks.tensors.tensor import Declined

_LAYERS = frozenset(["Gemm", "MatMul", "Conv", "ConvTranspose", "LSTM", "GRU", "RNN"])


class Analysis(Work):
    """What is known of a graph.

    - held: tensors whose units are not to leave
    - unsummed: first outputs of nodes whose weights are not to be added up
    - against: another graph and its analysis: values are then numbered as there, for a proof that both are
      equal
    """

    OUTPUT = "it is an output of the network"

    def __init__(
        self,
        index: Index,
        held: Iterable[tuple[str, str]] = (),
        unsummed: Collection[str] = (),
        against: Against | None = None,
    ) -> None:
        if against is None:
            choices = index.choices
        else:
            choices = [index.facts(facts.sizes) for facts in against.analysis.choices]
        found: dict[str, Guess] = {}
        while True:  # until the classes of states of bodies are stable
            super().__init__(index, choices, against)
            self.guesses = found
            self._pass()
            found = self.guesses if against is not None else guesses(self)
            if found == self.guesses:
                break
        for name in index.outputs:
            self.hold(name, self.OUTPUT)
        for name in sorted(index.captured):
            self.hold(name, "a graph inside a node reads it")
        self._hold_measured()
        for name, reason in held:
            self.hold(name, reason)
        for reader in self.readers:
            reader.sums = index.nodes[reader.node].output[0] not in unsummed

    def _pass(self) -> None:
        """Let every node record what it yields."""
        self.families: list[Any] = []
        self.pinned: dict[str, dict[tuple[int, int], str]] = {}
        for item in (*self.index.inputs, *self.index.defaults):
            self.source(item.name)
        for name in self.choices[0].values:
            if name not in self.known:
                self.source(name)
        for number, node in enumerate(self.index.nodes):
            if all(not name or all(name in f.values for f in self.choices) for name in node.output):
                self.calls.append(None)
                self.families.append(None)
                continue
            call, family = self._applied(number, node)
            self.calls.append(call)
            self.families.append(family)

    def _applied(self, number: int, node: Any) -> tuple[Call, Any]:
        """Let a node's family record what it yields, or carry the node."""
        call = Call(self, number, node)
        family = opaque if self.index.local[number] else family_of(call)
        try:
            call.refuse_infinite()
            call = call if family is opaque else viewed(call)
            family.apply(call)
        except Declined as declined:
            call, family = Call(self, number, node), opaque
            self.unite(node.output)
            call.notes["why"] = str(declined)
            self.readers = [reader for reader in self.readers if reader.node != number]
            family.apply(call)
        return call, family

    @property
    def is_complete(self) -> bool:
        """Whether every node that may hold units is understood."""
        return not any(
            call.op in _LAYERS or call.node.domain or any(captured(call.node)) or weights
            for call, weights in self.carried
        )

    @property
    def carried(self) -> list[tuple[Call, int]]:
        """The nodes that are carried as they are, and how many stored weights each reads."""
        found = []
        for call, family in zip(self.calls, self.families, strict=True):
            if call is not None and family is opaque:
                arrays = [self.index.constants.get(name) for name in dict.fromkeys(call.node.input)]
                weights = [a.size for a in arrays if a is not None and a.size > 1 and is_weight(a)]
                found.append((call, sum(weights)))
        return found

    def _hold_measured(self) -> None:
        """Hold what a Shape measures if a number that is not a shape comes of it; pin it if it is always the same."""
        for node in self.index.nodes:
            if node.op_type in ("Shape", "Size") and node.input[0] in self.tensors:
                for reason in self._uses_of_number(node):
                    self.hold(node.input[0], reason)

    def _uses_of_number(self, node: Any) -> Iterator[str]:
        """Yield what uses a folded number, or one that is computed from it, other than as a shape."""
        pending, seen = [node.output[0]], {node.output[0]}
        while pending:
            name = pending.pop()
            if name in self.index.outputs:
                yield "its size is an output"
            if name in self.index.captured:
                yield "its size is a number that a graph inside a node reads"
            for user, slot in self.index.users.get(name, []):
                call, reader = self.calls[user], self.index.nodes[user]
                if call is None:
                    pending += [output for output in reader.output if output not in seen]
                    seen.update(reader.output)
                elif reads_shape(reader.op_type, slot):
                    continue
                elif name in self.known:
                    self.pinned.setdefault(name, {})[user, slot] = node.input[0]
                else:
                    yield f"its size is a number that {call.where} uses"
