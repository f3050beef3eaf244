"""Whether units of a graph may share a class, and why: what every reader reads of them, and where that differs.

Two units of a layer may share a class if every reader (a node that sums units, see `plan`) reads them as multiples of
each other, position by position, and if nothing holds them.  Where a reader reads a layer itself, or unit-wise functions
of it, two columns that are no multiples say why not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, InvalidPartition
from lumpability.networks.checking import NetworkWitness
from lumpability.networks.claims import KINDS
from lumpability.networks.explanation import ColumnEntry, NetworkExplanation
from lumpability.networks.graph.layers import labels_of, name_of, units_of
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.layer_partitions import layer_partitions
from lumpability.networks.operators.contraction import columns_of
from lumpability.networks.tensors.tensor import Reader
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.vocabulary import unknown_word


class _Units:
    """The layers of a graph and what readers read of their units."""

    def __init__(self, network: GraphNetwork, kind: str = "proportional") -> None:
        if kind not in KINDS:
            raise unknown_word("kind", kind, KINDS)
        self.kind, self.analysis = kind, network.analysis
        self.like = "multiples of each other" if kind == "proportional" else "equal"
        found = (call for call in self.analysis.calls if call is not None)
        self.calls = [call for call in found if {"layer", "cell"} & call.notes.keys()]
        self.names = [name_of(call) for call in self.calls]
        readers = self.analysis.readers
        self.roots = [self.analysis.labels.roots(reader.labels) for reader in readers]

    def _label(self, number: int, unit: int) -> int:
        return int(labels_of(self.analysis, self.calls[number]).ravel()[unit])

    def root(self, number: int, unit: int) -> int:
        """Return what stands for all that leaves together with a unit; 0 if it is held."""
        return int(self.analysis.labels.roots(np.array([self._label(number, unit)]))[0])

    def held(self, number: int, unit: int) -> str | None:
        """Return why a unit never leaves."""
        return self.analysis.labels.reason(self._label(number, unit))

    def difference(self, first: int, second: int) -> Reader | None:
        """Return a reader that reads two units, given by their roots, as no multiples of each other."""
        for reader, roots in zip(self.analysis.readers, self.roots, strict=True):
            if not np.array_equal(
                self.values(reader, roots == first), self.values(reader, roots == second)
            ):
                return reader
        return None

    def values(self, reader: Reader, mine: Array) -> Array:
        """Return what a reader reads, as far as the kind looks at it, shape (channels, k)."""
        atoms = np.where(reader.facs[mine] == 0, -1, reader.ids[mine])
        shown = [atoms] if self.kind == "proportional" else [atoms, reader.facs[mine]]
        return np.stack(shown, axis=1)

    def pair(self, number: int, unit: int, other: int) -> tuple[list[ColumnEntry], Fraction | None]:
        """Return aggregated weights of two units, the last of which differs, and the factor between them."""
        call = self.calls[number]
        if "layer" not in call.notes:
            return [], None
        return _entries(columns_of(call, unit, other) or [])


def _entries(rows: list[Any]) -> tuple[list[ColumnEntry], Fraction | None]:
    """Return the first nonzero weights of two columns, and the first at which they are no multiples."""
    lead = next((row for row in rows if row[2] or row[3]), None)
    if lead is None:
        return [], None
    scale = lead[2:]
    if not (scale[0] and scale[1]):
        return [_entry(lead, (Fraction(1), Fraction(1)))], None
    differs = next((row for row in rows if row[2] * scale[1] != row[3] * scale[0]), None)
    shown = [_entry(row, scale) for row in (lead, differs) if row is not None]
    return shown, scale[1] / scale[0]


def _entry(row: Any, scale: tuple[Fraction, Fraction]) -> ColumnEntry:
    sources, factors, first, second = row
    return ColumnEntry(sources, factors, first, second, first / scale[0], second / scale[1])


def check_graph(network: GraphNetwork, partition: Any, *, kind: str = "proportional") -> Verdict:
    """Decide exactly whether every class of a partition can be one unit; see `lumpability.check`.

    - partition: a mapping from a layer, by its number among the layers with weights or by the name of its
      output, to a partition of its units; or a partition of all units, numbered layer after layer
    - kind ({"proportional", "exact"}): units of a class may differ by a factor, or are equal

    >>> from lumpability.networks.graph.examples import residual
    >>> print(check_graph(residual(), {"a": [{0, 4}, {1}, {2}, {3}, {5}, {6}, {7}]}))
    proportional: every reader reads the units of each class as multiples of each other
    >>> print(check_graph(residual(), {"a": [{0, 1}, *({k} for k in range(2, 8))]}))
    not proportional: MatMul 'b' does not read a:0 and a:1 as multiples of each other: scaled to the same first weight, ...
    """
    found = _Units(network, kind)
    if isinstance(partition, Mapping):
        unknown = [k for k in partition if isinstance(k, str) and k not in found.names]
        if unknown:
            raise InvalidPartition(
                f"there is no layer {unknown[0]!r}: layers with weights are {', '.join(found.names)}"
            )
        partition = {
            found.names.index(k) if isinstance(k, str) else k: v for k, v in partition.items()
        }
    for number, classes in enumerate(
        layer_partitions(partition, network.layers, names=found.names)
    ):
        for members in classes.blocks:
            for other in members.tolist()[1:]:
                witness = _witness(found, number, int(members[0]), other)
                if witness is not None:
                    return Verdict(kind, witness, f"not {kind}: {witness}")
    text = f"every reader reads the units of each class as {found.like}"
    return Verdict(kind, None, f"{kind}: {text}")


def classes_of(network: GraphNetwork) -> Partition:
    """Return the coarsest partition of all units, layer after layer, that `check_graph` accepts.

    >>> from lumpability.networks.graph.examples import residual
    >>> [len(block) for block in classes_of(residual()).blocks]
    [2, 2, 2, 2, 2, 2, 2, 2, 1, 1]
    """
    found = _Units(network)
    parts: dict[int, list[bytes]] = {}
    for number, (reader, roots) in enumerate(zip(found.analysis.readers, found.roots, strict=True)):
        values = found.values(reader, np.ones(len(roots), dtype=bool))
        order = np.argsort(roots, kind="stable")
        starts = np.flatnonzero(np.diff(roots[order], prepend=-1))
        for part in np.split(order, starts[1:]) if len(order) else ():
            seen = number.to_bytes(4, "little") + values[part].tobytes()
            parts.setdefault(int(roots[part[0]]), []).append(seen)
    labels: list[int] = []
    for call in found.calls:
        known: dict[Any, int] = {}
        count = len(labels)
        for unit, root in enumerate(
            found.analysis.labels.roots(labels_of(found.analysis, call)).flat
        ):
            alone = not root or parts.get(int(root)) is None
            key: Any = unit if alone else tuple(parts[int(root)])
            labels.append(known.setdefault(key, count + unit))
    return Partition(np.array(labels, dtype=np.int64))


def _witness(found: _Units, number: int, unit: int, other: int) -> NetworkWitness | None:
    """Return why two units cannot share a class, None if they can."""
    told = _told(found, number, unit, other)
    if told.together:
        return None
    last = told.entries[-1] if told.entries else None
    one = Fraction(1)
    sums = (one, one) if last is None else (last.first, last.second)
    return NetworkWitness(number, unit, other, None, *sums, told.factor or one, told.claim)


def explain_units(network: GraphNetwork, first: Any, second: Any) -> NetworkExplanation:
    """Say why two units may share a class, or why not.

    - first, second: as ``layer:unit``, the layer being the name of its output or its number among the layers
      with weights

    Raises `InvalidInput` if there is no such unit.

    >>> from lumpability.networks.graph.examples import residual
    >>> print(explain_units(residual(), "a:0", "a:4").claim)
    a:0 and a:4 are together: every reader reads them as multiples of each other
    """
    found = _Units(network)
    (number, unit), (layer, other) = (_place(found, name) for name in (first, second))
    if number != layer:
        names = (_name(found, number, unit), _name(found, layer, other))
        claim = f"{names[0]} and {names[1]} are apart: units of different layers are never merged"
        return _explanation(names, "layers", claim)
    return _told(found, number, unit, other)


def _told(found: _Units, number: int, unit: int, other: int) -> NetworkExplanation:
    names = (_name(found, number, unit), _name(found, number, other))
    both = f"{names[0]} and {names[1]}"
    if unit == other:
        return _explanation(names, "same", f"{both} are one unit", together=True)
    for one, name in zip((unit, other), names, strict=True):
        reason = found.held(number, one)
        if reason is not None:
            why = reason or "it cannot leave"
            return _explanation(names, "held", f"{both} stay apart: {name} never leaves, {why}")
    roots = (found.root(number, unit), found.root(number, other))
    if roots[0] == roots[1]:
        claim = f"{both} leave together or not at all: other nodes take their elements together"
        return _explanation(names, "held", claim)
    reader = found.difference(*roots)
    entries, factor = found.pair(number, unit, other)
    if reader is None:
        claim = f"{both} are together: every reader reads them as {found.like}"
        agree = [entry for entry in entries if entry.agrees]
        return _explanation(names, "multiples", claim, together=True, factor=factor, entries=agree)
    call = found.analysis.calls[reader.node]
    assert call is not None
    claim = f"{call.where} does not read {both} as {found.like}"
    if entries and not entries[-1].agrees:
        last = entries[-1]
        claim += (
            f": scaled to the same first weight, their weights from {last.name} are {last.first_normal} "
            f"and {last.second_normal}"
            if last.sources
            else f": scaled to the same first weight, their biases are {last.first_normal} and {last.second_normal}"
        )
    return _explanation(names, "columns", claim, factor=factor, entries=entries)


def _explanation(
    names: tuple[str, str],
    reason: str,
    claim: str,
    *,
    together: bool = False,
    factor: Fraction | None = None,
    entries: Iterable[ColumnEntry] = (),
) -> NetworkExplanation:
    shown = tuple(entries)
    return NetworkExplanation(
        "proportional", names, together, reason, claim, factor, shown, 0, 0, ()
    )


def _name(found: _Units, number: int, unit: int) -> str:
    return f"{found.names[number]}:{unit}"


def _place(found: _Units, name: Any) -> tuple[int, int]:
    """Return the layer and the unit of a name."""
    layer, _, unit = str(name).rpartition(":")
    number = found.names.index(layer) if layer in found.names else None
    if number is None and layer.isdecimal() and int(layer) < len(found.names):
        number = int(layer)
    if number is None or not unit.isdecimal() or int(unit) >= units_of(found.calls[number]):
        shown = ", ".join(
            f"{n} (0 to {units_of(c) - 1})" for n, c in zip(found.names, found.calls, strict=True)
        )
        raise InvalidInput(f"there is no unit {name!r}: give layer:unit; layers are {shown}")
    return number, int(unit)
