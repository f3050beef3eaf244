"""`reduce_graph`: analyse, choose what leaves, edit, and again until nothing changes; then prove, or keep more.

Only what is proved is returned.  Where a tensor cannot be packed, or a layer cannot be shown to agree, its units are
kept and all is done once more: that ends, since more is held every time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lumpability.errors import InvalidInput, LumpabilityError, NotJustified
from lumpability.networks.explanation import NetworkExplanation
from lumpability.networks.graph.analysis import Analysis
from lumpability.networks.graph.bodies import restored
from lumpability.networks.graph.certificate import GraphCertificate
from lumpability.networks.graph.compare import Comparison, Latency, compare_models, latency
from lumpability.networks.graph.edit import Editor, Unfit
from lumpability.networks.graph.explain import classes_of, explain_units
from lumpability.networks.graph.layers import (
    Held,
    LayerReport,
    barriers_of,
    held_by_reason,
    layers_of,
)
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.plan import plan
from lumpability.networks.graph.prove import prove
from lumpability.networks.quotient import Rounding
from lumpability.networks.tensors.index import Index
from lumpability.networks.tensors.tensor import Unproved
from lumpability.numbers.float_arrays import Array
from lumpability.partition import Partition
from lumpability.quotient import Stats

_PROOF = "no rule proves that it may go"
_CLONED = "weights that others read as well would be stored twice"


@dataclass(frozen=True, eq=False, repr=False)
class GraphLumping:
    """A network and a smaller one that computes the same function.

    Attributes
    ----------
    network, quotient : GraphNetwork
    kept : dict of str to int array
        By the name of a layer's output: which of its units the quotient has.  That is the certificate: `prove` needs
        nothing else.
    table : tuple of LayerReport
        The units before and after, layer by layer, and why others were not examined.
    stats : Stats
    rounding : Rounding
        The new weights, and those that their type cannot hold.
    places : dict of (str, int) to int array
        By a node's first output and an input: which entries of the constant there stay, by their flat numbers.
    integers : tuple of str
        First outputs of nodes that read all that they did, because sums of their weights are no integers of the
        stored type.

    Examples
    --------
    >>> from lumpability.networks.graph.examples import residual
    >>> lumping = reduce_graph(residual())
    >>> lumping
    GraphLumping(16 -> 8 hidden neurons, 98 -> 34 parameters, proved)
    >>> lumping.kept["a"].tolist()
    [0, 1, 2, 3]
    """

    network: GraphNetwork
    quotient: GraphNetwork
    kept: dict[str, Array]
    table: tuple[LayerReport, ...]
    stats: Stats
    rounding: Rounding
    places: dict[tuple[str, int], Array] = field(default_factory=dict)
    integers: tuple[str, ...] = ()

    domain: ClassVar[str] = "graph"
    kind: ClassVar[str] = "proportional"

    @property
    def is_irreducible(self) -> bool:
        """Whether every unit was examined and all of them stay."""
        complete = self.network.analysis.is_complete and not self.integers
        return self.is_unchanged and complete and not any(layer.held for layer in self.table)

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing leaves."""
        return self.quotient is self.network

    @property
    def held(self) -> dict[str, Held]:
        """Units that were not examined, and their parameters, by the reason.

        Examples
        --------
        >>> from lumpability.networks.graph.examples import residual
        >>> reduce_graph(residual()).held
        {}
        """
        return held_by_reason(self.table, self.network.analysis)

    @property
    def result(self) -> str:
        """The result in one sentence.

        Examples
        --------
        >>> from lumpability.networks.graph.examples import residual
        >>> reduce_graph(residual()).result
        'smaller, and the same function for every input'
        """
        if self.is_irreducible:
            return "irreducible: all units were examined and none can leave"
        if self.is_unchanged:
            return "no unit that was examined can leave"
        until = " before rounding" if self.rounding.rounded else ""
        fewer = len(self.quotient.model.functions) < len(self.network.model.functions)
        written = "; local functions are written out" if fewer else ""
        return f"smaller, and the same function for every input{until}{written}"

    def report(self) -> dict[str, Any]:
        """Return the whole result as plain data for JSON.

        Examples
        --------
        >>> from lumpability.networks.graph.examples import residual
        >>> reduce_graph(residual()).report()["after"]["hidden_neurons"]
        8
        """
        return {
            "kind": self.kind,
            "before": self.network.sizes,
            "after": self.quotient.sizes,
            "irreducible": self.is_irreducible,
            "result": self.result,
            "proof": self.stats.proof,
            "layers": [dict(vars(layer)) for layer in self.table],
            "barriers": barriers_of(self.held),
            "replaceable": self.network.index.replaceable,
            "rounding": {
                "weights": self.rounding.weights,
                "rounded": self.rounding.rounded,
                "largest": str(self.rounding.largest),
            },
            "seconds": self.stats.seconds,
        }

    @cached_property
    def partition(self) -> Partition:
        """The coarsest classes of units that every reader reads as multiples of each other, layer after layer.

        Examples
        --------
        >>> from lumpability import check
        >>> from lumpability.networks.graph.examples import residual
        >>> lumping = reduce_graph(residual())
        >>> bool(check(lumping.network, lumping.partition))
        True
        """
        return classes_of(self.network)

    def explain(self, first: str, second: str) -> NetworkExplanation:
        """Say why two units may share a class, or why not.

        Parameters
        ----------
        first, second : str
            As ``layer:unit``, the layer being the name of its output.

        Examples
        --------
        >>> from lumpability.networks.graph.examples import residual
        >>> print(reduce_graph(residual()).explain("a:1", "a:5").claim)
        a:1 and a:5 are together: every reader reads them as multiples of each other
        """
        return explain_units(self.network, first, second)

    def write(self, path: str | Path) -> None:
        """Write the quotient as an ONNX file."""
        Path(path).write_bytes(self.quotient.to_bytes())

    def certificate(self) -> GraphCertificate:
        """Return what others can check, with the two networks."""
        before, after = self.network, self.quotient
        return GraphCertificate(
            before.digest, after.digest, self.kept, network=before, quotient=after
        )

    def compare(self, points: int = 1000, *, scale: float = 1.0, seed: int = 0) -> Comparison:
        """Run the network as it was given and the quotient in onnxruntime; see `compare_models`."""
        models = (self.network.to_bytes(), self.quotient.to_bytes())
        return compare_models(*models, points, scale=scale, seed=seed)

    def latency(self, *, runs: int = 25) -> Latency:
        """Measure how long network and quotient take in onnxruntime; see `latency`."""
        return latency(self.network.to_bytes(), self.quotient.to_bytes(), runs=runs)

    def __repr__(self) -> str:
        before, after = self.network, self.quotient
        return (
            f"GraphLumping({before.hidden_neurons} -> {after.hidden_neurons} hidden neurons, "
            f"{before.parameter_count} -> {after.parameter_count} parameters, proved)"
        )


@dataclass
class _State:
    """How far the passes have come."""

    model: Any
    kept: dict[str, Array] = field(default_factory=dict)
    rounding: Rounding = field(default_factory=Rounding)
    places: dict[tuple[str, int], Array] = field(default_factory=dict)
    widened: list[str] = field(default_factory=list)
    unsummed: set[str] = field(default_factory=set)


def reduce_graph(
    network: GraphNetwork,
    *,
    exact_weights: bool = False,
    align: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> GraphLumping:
    """Reduce a network to a smaller one that computes the same function, by editing its graph.

    - exact_weights: raise if a new weight is not representable in its type; by default it is rounded
    - align: keep the number of units of every layer at a multiple of this, or as it was: kernels of runtimes
      are made for multiples of 4, 8 or 16
    - progress (callable): called after each pass with (units that stay so far, units)

    Raises `NotJustified` with `exact_weights`, if a new weight would have to be rounded.  Linear in the number
    of weights, but for weights that are summed with factors that are no powers of two.

    >>> from lumpability.networks.graph.examples import residual
    >>> reduce_graph(residual()).stats.proof
    'every output has the same value in exact arithmetic, weights of 3 layers compared'
    """
    started = time.perf_counter()
    if align < 1:
        raise InvalidInput(f"align is a positive number of units, not {align}")
    first, state = _proved(network, align, progress)
    if exact_weights and state.rounding.rounded:
        found = state.rounding
        raise NotJustified(
            f"{found.rounded} of {found.weights} new weights are not representable in their type (off by at "
            f"most {float(found.largest):.3g}): allow rounding"
        )
    quotient = network
    if state.model is not network.index.model:
        model = state.model
        if network.index.model is not network.model:
            model = restored(model, network.model)
        quotient = GraphNetwork(model, network.folder)
    layers = tuple(
        LayerReport(
            **vars(layer),
            left=state.kept[layer.output].size if layer.output in state.kept else layer.units,
        )
        for layer in layers_of(first)
    )
    proof = f"every output has the same value in exact arithmetic, weights of {len(layers)} layers compared"
    if first.algebra.approximate:
        proof += (
            f"; {first.algebra.approximate} constants are irrational and known to a part in 2^128"
        )
    stats = Stats(
        states=sum(layer.units for layer in layers),
        transitions=network.parameter_count,
        blocks=sum(layer.left for layer in layers),
        block_transitions=quotient.parameter_count,
        respected_blocks=len(layers),
        engine="columns",
        seconds=time.perf_counter() - started,
        proof=proof,
    )
    return GraphLumping(
        network,
        quotient,
        state.kept,
        layers,
        stats,
        state.rounding,
        state.places,
        tuple(sorted(state.unsummed)),
    )


def _proved(
    network: GraphNetwork, align: int, progress: Callable[[int, int], None] | None
) -> tuple[Analysis, _State]:
    """Return the analysis of a network, and a reduction that is proved."""
    held: list[tuple[str, str]] = []
    unsummed: set[str] = set()
    while True:
        first = Analysis(network.index, held, unsummed) if held or unsummed else network.analysis
        state = _State(network.index.model, unsummed=unsummed)
        try:
            _reduce(first, (held, unsummed), state, align, progress)
            if state.model is not network.index.model:
                prove(first, state.model, state.kept)
                more = set(state.widened) - unsummed
                if more:  # integers stay integers, for which there are kernels
                    unsummed |= more
                    continue
                after = GraphNetwork(state.model, network.folder)
                if after.parameter_count > network.parameter_count:
                    _hold(first, held, _CLONED, _every(first))
                    continue
        except Unfit as unfit:
            name = str(unfit)
            _hold(first, held, unfit.reason, [name], _read_for(first, name))
        except Unproved as unproved:
            name = str(unproved)
            _hold(first, held, _PROOF, [name, *_read_for(first, name)])
        else:
            return first, state


def _read_for(first: Analysis, name: str) -> list[str]:
    """Return what the node reads that writes a tensor."""
    place = first.index.producer.get(name)
    return [] if place is None else list(filter(None, first.index.nodes[place].input))


def _every(first: Analysis) -> list[str]:
    return [name for name, tensor in first.tensors.items() if tensor.units]


def _hold(first: Analysis, held: list[tuple[str, str]], reason: str, *groups: list[str]) -> None:
    """Hold the first group of tensors that is not held already, or else everything."""
    for names in (*groups, _every(first)):
        more = [(name, reason) for name in names if (name, reason) not in held]
        if more:
            held += more
            return
    raise LumpabilityError(
        "internal error: units are kept and yet changed; please report it with the network"
    )


def _reduce(
    analysis: Analysis,
    limits: tuple[list[tuple[str, str]], set[str]],
    state: _State,
    align: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Run passes until nothing leaves; limits are tensors that are held, and nodes whose weights are not added up."""
    units = {layer.output: layer.units for layer in layers_of(analysis)}
    while True:
        editor = Editor(analysis, plan(analysis, align))
        if not any(editor.changed(name) for name in analysis.tensors):
            return
        state.model = editor.edited()
        for name, kept in editor.kept.items():
            before = state.kept.get(name)
            if before is None:
                state.kept[name] = kept
            else:
                state.kept[name] = np.take_along_axis(before, kept, axis=-1)
        for place, kept in editor.places.items():
            known = state.places.get(place)
            state.places[place] = kept if known is None else known.reshape(-1)[kept]
        if progress is not None:
            left = {name: kept.size for name, kept in state.kept.items()}
            progress(sum((units | left).values()), sum(units.values()))
        state.widened += editor.widened
        state.rounding += editor.rounding
        analysis = Analysis(Index(state.model, analysis.index.folder), *limits)
