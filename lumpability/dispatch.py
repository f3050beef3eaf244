"""The two verbs, `lump` and `check`: their options, their documentation, and the choice of the wing that answers.

Every class of models has a `domain`, "chain", "network" or "graph", and the wing of that domain is imported when a
verb is first used on one; a torch module becomes a graph.  The same word has the same meaning in both wings and on the command line;
`lumpability.vocabulary` has the former words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial, wraps
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_overloads, overload

from lumpability.errors import InvalidInput
from lumpability.vocabulary import keywords, unknown_option

if TYPE_CHECKING:
    from lumpability.markov.approximate import ApproximateLumping
    from lumpability.markov.approximate.answered import AnsweredLumping
    from lumpability.markov.approximate.bounds import Question
    from lumpability.markov.base import MarkovChain
    from lumpability.markov.horizon import HorizonLumping
    from lumpability.markov.kinds.kind import Kind
    from lumpability.markov.lumping import Lumping
    from lumpability.networks.difference import Difference
    from lumpability.networks.graph.network import GraphNetwork
    from lumpability.networks.graph.reduce import GraphLumping
    from lumpability.networks.lumping import NetworkLumping
    from lumpability.networks.modules.lumping import ModuleLumping
    from lumpability.networks.network import Network
    from lumpability.networks.regions.box import Box
    from lumpability.networks.relaxed.certificate import RegionCertificate
    from lumpability.networks.relaxed.lumping import RegionLumping
    from lumpability.quotient import Verdict
    from lumpability.refinement import Engine, EngineName, Progress

_CHAIN, _NETWORK, _GRAPH, _MODULE = "chain", "network", "graph", "module"
_DOMAINS = {"MarkovChain": _CHAIN, "Network": _NETWORK, "GraphNetwork": _GRAPH, "Any": _MODULE}
"""The domain of each class by which the overloads of the verbs annotate the model; torch modules have any."""
Verb = TypeVar("Verb", bound=Callable[..., Any])


def _for_both_wings(verb: Verb) -> Verb:
    """Refuse models without a wing, and options that the wing of a model does not have.

    The overloads of the verb for a class of models list the options that it has.
    """
    known: dict[str, list[str]] = {}
    for one in get_overloads(verb):
        options = known.setdefault(_DOMAINS[one.__annotations__["model"]], [])
        options += [name for name in keywords(one) if name not in options]

    @wraps(verb)
    def checked(model: Any, *arguments: Any, **given: Any) -> Any:
        domain = _domain(model)
        if domain not in known:
            told = (
                f"cannot {verb.__name__} a {type(model).__name__}: give a CTMC, a DTMC or a Network"
            )
            told += ", or a torch module with an example" if _MODULE in known else ""
            told += "; read(path) reads a file" if isinstance(model, str | PathLike) else ""
            raise InvalidInput(told)
        for name in given:
            if name not in known[domain]:
                others = [f"{other}s" for other, words in known.items() if name in words]
                raise unknown_option(
                    verb.__name__,
                    name,
                    known[domain],
                    of=type(model).__name__,
                    elsewhere=" and ".join(others),
                )
        return verb(model, *arguments, **given)

    return cast("Verb", checked)


def _refuse(what: str, kind: Any = None, /, **options: Any) -> None:
    """Refuse options that have no meaning with a tolerance, a horizon, an error or a region."""
    if kind is not None and getattr(kind, "name", kind) != "ordinary":
        raise InvalidInput(
            f"{what} is for ordinary lumping, not for {getattr(kind, 'name', kind)!r}: leave kind out",
            kind=kind,
        )
    for name, value in options.items():
        if value is not None:
            raise InvalidInput(f"{name} has no meaning with {what}: leave it out", given=name)


def _lump_on_region(
    model: Network | GraphNetwork,
    region: Any,
    *,
    kind: Any,
    dtype: Any,
    layered: dict[str, Any],
    **options: Any,
) -> RegionLumping:
    """Reduce a network on a region, as layers or as the graph from which it was read."""
    from lumpability.networks.relaxed.graphs import graph_to_reduce, lump_graph_on_region
    from lumpability.networks.relaxed.lumping import lump_on_region

    graph = graph_to_reduce(model)
    if graph is not None:
        _refuse("a region and a graph", **layered, kind=kind, dtype=dtype)
        return lump_graph_on_region(graph, region, **options)
    _refuse("a region", **layered)
    network, notion = cast("Network", model), kind or "proportional"
    return lump_on_region(network, region, kind=notion, dtype=dtype, **options)


def _require_tolerance(**options: Any) -> None:
    """Refuse options that only a tolerance gives a meaning."""
    for name, value in options.items():
        if value is not None:
            raise InvalidInput(
                f'{name} is for a lumping within a tolerance: give tolerance=... too, such as "1%"',
                given=name,
            )


def _domain(model: Any) -> str | None:
    """Return what a model is, without importing anything."""
    bases = [(kind.__module__, kind.__name__) for kind in type(model).__mro__]
    found: str | None = getattr(type(model), "domain", None)
    return _MODULE if ("torch.nn.modules.module", "Module") in bases else found


@overload
def lump(
    model: MarkovChain,
    *,
    kind: str | Kind | None = None,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    engine: EngineName | Engine = "auto",
    progress: Progress | None = None,
) -> Lumping: ...
@overload
def lump(
    model: MarkovChain,
    *,
    tolerance: Any,
    absolute: Any = None,
    reward_tolerance: Any = None,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    progress: Progress | None = None,
) -> ApproximateLumping: ...
@overload
def lump(
    model: MarkovChain,
    *,
    horizon: int,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    progress: Progress | None = None,
) -> HorizonLumping: ...
@overload
def lump(
    model: MarkovChain,
    *,
    error: Any,
    question: Question,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    progress: Progress | None = None,
) -> AnsweredLumping: ...
@overload
def lump(
    model: Network,
    *,
    kind: str,
    within: Any = None,
    dtype: Any = None,
    exact_weights: bool = False,
    antiparallel: bool = False,
    engine: EngineName | Engine = "auto",
    progress: Progress | None = None,
) -> NetworkLumping: ...
@overload
def lump(
    model: Network,
    *,
    kind: None = None,
    within: Any = None,
    dtype: Any = None,
    exact_weights: bool = False,
    antiparallel: bool = False,
    align: int = 1,
    engine: EngineName | Engine = "auto",
    progress: Progress | None = None,
) -> NetworkLumping | GraphLumping: ...
@overload
def lump(
    model: Network,
    *,
    region: Box | tuple[Any, Any],
    boxes: int | None = None,
    kind: str | None = None,
    dtype: Any = None,
    exact_weights: bool = False,
    progress: Progress | None = None,
) -> RegionLumping: ...
@overload
def lump(
    model: GraphNetwork,
    *,
    exact_weights: bool = False,
    align: int = 1,
    progress: Progress | None = None,
) -> GraphLumping: ...
@overload
def lump(
    model: GraphNetwork,
    *,
    region: Box | tuple[Any, Any],
    boxes: int | None = None,
    exact_weights: bool = False,
    progress: Progress | None = None,
) -> RegionLumping: ...
@overload
def lump(
    model: Any,
    example: Any,
    *,
    exact_weights: bool = False,
    align: int = 1,
    progress: Progress | None = None,
) -> ModuleLumping: ...
@_for_both_wings
def lump(
    model: MarkovChain | Network | GraphNetwork,
    example: Any = None,
    *,
    kind: str | Kind | None = None,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    tolerance: Any = None,
    absolute: Any = None,
    reward_tolerance: Any = None,
    horizon: int | None = None,
    error: Any = None,
    question: Question | None = None,
    dtype: Any = None,
    exact_weights: bool = False,
    antiparallel: bool = False,
    align: int = 1,
    region: Box | tuple[Any, Any] | None = None,
    boxes: int | None = None,
    engine: EngineName | Engine = "auto",
    progress: Progress | None = None,
) -> Lumping | ApproximateLumping | HorizonLumping | NetworkLumping | RegionLumping | GraphLumping:
    """Compute the coarsest lumping of a chain or a network, and its quotient, exactly.

    The coarsest lumping of a kind is unique.  Its identity is checked in exact arithmetic before it is
    returned.  With a `tolerance` the states of a chain are merged whose rates nearly agree; the result is then an
    `ApproximateLumping`, which says how far they do.

    Parameters
    ----------
    model : CTMC, DTMC, Network, GraphNetwork or torch.nn.Module
        A graph, as `read` returns it for an ONNX file that layers do not describe, has the options
        `exact_weights` and `progress`.  A network that was read with joins, opaque layers, groups of channels or
        batch normalisation is reduced as the graph that it came from, unless an option is given that only layers
        have, such as ``kind="proportional"``.  A torch module becomes a graph by torch's exporter.
    example : torch.Tensor, or tuple or mapping of Tensor
        For torch modules, and needed there: what the module is called with.  The first axis is the batch.
    kind : str or Kind, optional
        The notion of lumpability.  For chains "ordinary" (default), "exact", "strict", "proportional"
        or "bisimulation", or an object of a subclass of `lumpability.markov.kinds.kind.Kind`.  For networks
        "proportional" (default: merged neurons may differ by a factor that the activation passes)
        or "exact" (merged neurons are equal).
    respect : iterable of str, optional
        For chains: what a block may not mix.  ``"labels"``, ``"rewards"`` and ``"initial"`` (the initial
        distribution) stand for all of a sort; ``"label:NAME"``, ``"reward:NAME"`` or just the name for
        one.  By default what the kind needs: all labels and rewards, for "exact" and "strict" the
        initial distribution as well.  Pass ``()`` to respect nothing.
    ignore : iterable of str, optional
        For chains: labels and rewards to leave out of what `respect` lists.
    within : partition, optional
        The lumping refines this partition.  For chains anything that `Partition.of` takes, of the states.
        For networks a mapping from i, for the i-th layer with weights, to a partition of its neurons
        (layers that are left out are not restricted); or a partition of all neurons, as for `check`.
    tolerance : number or str, optional
        For chains: merge states whose sums of rates into blocks nearly agree, in relative terms: ``"1%"``,
        0.01 or ``"1/100"``.  Neighbouring sums of a block differ by no more than this, all sums by no more than
        twice this; `lumpability.markov.approximate.gaps` has the rule.  For rates that were measured to ``1 ± d``
        give at least ``2 d / (1 - d)``.
    absolute : number, optional
        With a tolerance: sums of rates that differ by no more than this, in 1/time, count as near too.  Without it
        a sum of 0 is near to 0 only.
    reward_tolerance : number or str, optional
        With a tolerance: rewards of a block may differ as much.  By default they are equal.
    horizon : int, optional
        For chains: merge states that agree on everything within this number of steps, of the uniformised chain
        for a CTMC.  These are often far fewer blocks, and answer questions about so many steps exactly.
    error : number or str, optional
        For chains, with a question: refine only until its answer lies in an interval of this half-width, relative to
        the range of what is averaged (to the answer, for `Expected`).  Then nothing else is respected by default.
    question : Transient, TimeBounded, Stationary, LongRun, Hitting or Expected, optional
        What the lumping is for; see `lumpability.markov.approximate.bounds`.
    dtype : numpy float type, optional
        For networks: type of the quotient's weights.  By default each layer keeps its own.
    exact_weights : bool
        For networks: raise if that type cannot hold a new weight.  By default the weight is rounded,
        and ``lumping.rounding`` says by how much.
    antiparallel : bool
        For networks: also merge neurons of opposite sign under ReLU, leaky ReLU, softplus, GELU and
        SiLU.  This adds a skip past the activation, and is done layer by layer where the quotient gets
        fewer parameters.
    align : int
        For networks as graphs: keep the number of units of every layer at a multiple of this, or as it was.
    region : Box or (low, high), optional
        For networks of ReLU, leaky ReLU and linear layers: the reduced network equals the network on this box of
        inputs, and need not elsewhere.  Units that are zero on the box go.  In chains of layers units that are linear
        on it are carried where that leaves fewer (with `exact_weights` they are kept).  Networks with joins, maxima
        or concatenations are reduced as the graph that they were read from.
    boxes : int, optional
        With `region`: the largest number of parts into which it is cut for tighter bounds; 1 by default.
    engine : {"auto", "definition", "worklist", "rounds", "kernel", "columns"} or callable
        The implementation of the refinement; all give the same answer.  "auto" chooses by the size and
        the kind of weights.  A callable is called with the structures, the initial partition and the normal
        form, and returns a partition.
    progress : callable, optional
        Called with (blocks so far, states) during long runs, for networks with (classes, neurons) of
        the layers so far.  An exception from it stops the computation.

    Returns
    -------
    Lumping, ApproximateLumping, NetworkLumping, RegionLumping or GraphLumping
        `Lumping` for a chain, `ApproximateLumping` with a tolerance, `HorizonLumping` with a horizon, with a question
        an `AnsweredLumping`, whose ``answer`` is the proved interval; `NetworkLumping` for layers, `GraphLumping`
        for a graph; for a torch module a `GraphLumping` with ``to_torch()`` and ``state_dict()``.

    Raises
    ------
    InvalidInput
        If the model has no such kind, engine or option, `within` does not fit the model, or a torch module comes
        without an example; for a tolerance that is not a share, or with a chain that has parameters, another kind
        or an engine.
    NotJustified
        If the kind makes no sense for the model; or, with `exact_weights`, if a new weight would have
        to be rounded (the error carries ``rounding``).

    Warns
    -----
    TrivialLumping
        If a chain has nothing to respect and all states fall into one block.

    Notes
    -----
    O(m log n) for a chain of n states and m transitions.  For a network linear in the number of weights,
    and with `antiparallel` once more for each layer that could take a skip.

    Examples
    --------
    >>> from lumpability import CTMC, Network, lump
    >>> rates = {("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}
    >>> chain = CTMC.from_rates(rates, labels={"goal": ["c"], "start": ["a"]})
    >>> lump(chain, ignore="start").partition, lump(chain, respect=["goal"], within=[0, 0, 1]).partition
    (Partition([[0, 2], [1]]), Partition([[0], [1], [2]]))
    >>> first = [[1, -1, 2, -2], [3, -3, 1, -1], [0, 0, 1, -1]]
    >>> network = Network.dense([(first, None, "relu"), ([[1], [2], [3], [4]], [0], None)])
    >>> lump(network).is_irreducible, lump(network, antiparallel=True)
    (True, NetworkLumping(proportional: 4 -> 2 hidden neurons, 17 -> 11 parameters, proved))
    >>> measured = CTMC.from_rates({("a", "c"): 100, ("b", "c"): 101}, labels={"goal": ["c"]})
    >>> lump(measured, tolerance="1%")
    ApproximateLumping(3 states -> 2 blocks, tolerance 1%, residual 0.99%)
    >>> from lumpability.markov.approximate.bounds import Transient
    >>> lump(measured, error="1%", question=Transient("goal", 1, initial="a")).answer.upper <= 1
    True
    """
    if _domain(model) == _MODULE:
        from lumpability.networks.modules.lumping import lump_module

        return lump_module(
            model, example, exact_weights=exact_weights, align=align, progress=progress
        )
    if example is not None:
        raise InvalidInput(f"an example is for torch modules, not for a {type(model).__name__}")
    chosen = None if engine == "auto" else engine
    if model.domain == _CHAIN:
        lumping: Lumping = _lump_chain(
            cast("MarkovChain", model),
            kind=kind,
            engine=chosen,
            horizon=horizon,
            asked=(error, question),
            tolerances={
                "tolerance": tolerance,
                "absolute": absolute,
                "reward_tolerance": reward_tolerance,
            },
            respect=respect,
            ignore=ignore,
            within=within,
            progress=progress,
        )
        return lumping
    graph = cast("GraphNetwork | None", model if model.domain == _GRAPH else None)
    network = cast("Network", model)
    if region is not None:
        return _lump_on_region(
            graph or network,
            region,
            boxes=1 if boxes is None else boxes,
            kind=kind,
            dtype=dtype,
            exact_weights=exact_weights,
            progress=progress,
            layered={
                "within": within,
                "antiparallel": antiparallel or None,
                "align": None if align == 1 else align,
                "engine": chosen,
            },
        )
    if boxes is not None:
        raise InvalidInput("boxes are parts of a region: give region=... too")
    if not antiparallel and all(one is None for one in (graph, kind, within, dtype, chosen)):
        from lumpability.networks.graph.source import graph_of

        graph = graph_of(network, always=align != 1)
    if graph is not None:
        from lumpability.networks.graph.reduce import reduce_graph

        return reduce_graph(graph, exact_weights=exact_weights, align=align, progress=progress)
    if align != 1:
        raise InvalidInput(
            "align is for networks as graphs: read the network from an ONNX file, and give no option of layers",
            option="align",
        )
    from lumpability.networks.lump import lump_network

    return lump_network(
        network,
        kind=cast("str", kind or "proportional"),
        within=within,
        dtype=dtype,
        exact_weights=exact_weights,
        antiparallel=antiparallel,
        engine=engine,
        progress=progress,
    )


def _lump_chain(
    chain: MarkovChain,
    *,
    kind: str | Kind | None,
    engine: EngineName | Engine | None,
    horizon: int | None,
    asked: tuple[Any, Question | None],
    tolerances: dict[str, Any],
    **conditions: Any,
) -> Any:
    """Lump a chain: for a question, up to a horizon, within a tolerance, or exactly."""
    error, question = asked
    if error is not None or question is not None:
        if error is None or question is None:
            raise InvalidInput("an error is for a question: give both, or neither")
        from lumpability.markov.approximate.answered import lump_for

        _refuse("an error", kind, horizon=horizon, engine=engine, **tolerances)
        return lump_for(chain, error=error, question=question, **conditions)
    if horizon is not None:
        from lumpability.markov.horizon import lump_to_horizon

        _refuse("a horizon", kind, engine=engine, **tolerances)
        return lump_to_horizon(chain, horizon=horizon, **conditions)
    if tolerances["tolerance"] is not None:
        from lumpability.markov.approximate.lump import lump_within

        _refuse("a tolerance", kind, engine=engine)
        return lump_within(chain, **tolerances, **conditions)
    _require_tolerance(**tolerances)
    from lumpability.markov.lump import lump_chain

    return lump_chain(chain, kind=kind or "ordinary", engine=engine or "auto", **conditions)


@overload
def check(
    model: MarkovChain,
    partition: Any,
    *,
    kind: str | Kind | None = None,
    factors: Iterable[Any] | Mapping[Any, Any] | None = None,
    progress: Progress | None = None,
) -> Verdict: ...
@overload
def check(
    model: MarkovChain, partition: Any, *, tolerance: Any, absolute: Any = None
) -> Verdict: ...
@overload
def check(
    model: Network,
    partition: Any,
    *,
    kind: str | None = None,
    antiparallel: bool = False,
) -> Verdict: ...
@overload
def check(model: GraphNetwork, partition: Any, *, kind: str | None = None) -> Verdict: ...
@_for_both_wings
def check(
    model: MarkovChain | Network | GraphNetwork,
    partition: Any,
    *,
    kind: str | Kind | None = None,
    factors: Iterable[Any] | Mapping[Any, Any] | None = None,
    tolerance: Any = None,
    absolute: Any = None,
    antiparallel: bool = False,
    progress: Progress | None = None,
) -> Verdict:
    """Decide exactly whether a partition is a lumping of a chain or a network.

    With a `tolerance`: whether the sums of a chain's rates agree within it inside all blocks.

    Parameters
    ----------
    model : CTMC, DTMC, Network or GraphNetwork
    partition : partition
        For chains anything that `Partition.of` takes, of the states.  For networks a mapping from i, for
        the i-th layer with weights, to a partition of its neurons (neurons of other layers stay
        separate); or a partition of all neurons, numbered layer after layer, as
        `NetworkLumping.partition` has them, or named "2:17" for number 17 of layer 2.  For graphs the same; the mapping may name layers by their
        outputs.
    kind : str or Kind, optional
        The notion of lumpability, as for `lump`.  For chains also "weak", which has no coarsest lumping.
    factors : array_like or mapping from states, shape (n,), optional
        For chains and the kind "proportional": check the partition with these factors of the states,
        rather than with any.
    tolerance : number or str, optional
        For chains: the largest relative spread (u - l) / u that is accepted, where l and u are the least and
        the largest sum of a block into another one, such as ``"1%"``.  Labels and rewards are not looked at.
    absolute : number, optional
        With a tolerance: spreads u - l up to this, in 1/time, are accepted as well.
    antiparallel : bool
        For networks: neurons of opposite sign may share a class where the activation has a reflection.
    progress : callable, optional
        For chains and the kind "weak", which takes long: called with (equations found, states).  An exception from
        it stops the check.

    Returns
    -------
    Verdict
        Truthy or falsy.  If falsy, its ``witness`` shows why: a `Witness` with two states of one block, a
        block and two different sums, or a `NetworkWitness` with two neurons.  For chains its
        ``explanation`` has the transitions behind the sums (not if `factors` or a tolerance are given).
        With a tolerance its ``residual`` has the largest spreads, see
        `lumpability.markov.approximate.Residual`.

    Raises
    ------
    InvalidPartition
        If the partition does not fit the model, or mixes neurons of different layers.
    InvalidInput
        If the model has no such kind or option; for `factors` with a kind that has none, or a factor
        that is not positive; for a tolerance that is not a share, or with another kind.

    Notes
    -----
    O(m) exact additions for a chain with m transitions; linear in the number of weights for a network.

    Examples
    --------
    >>> from lumpability import CTMC, Network, check
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): "3/2"})
    >>> verdict = check(chain, [{"a", "b"}, {"c"}])
    >>> bool(verdict)
    False
    >>> print(verdict)
    not ordinary: states 'a' and 'b' share a block, but their rates into {c} sum to 1 and to 3/2
    >>> print(check(chain, [{"a", "b"}, {"c"}], tolerance="50%"))
    ordinary within 50%: sums spread by at most 33.3%, and by at most 1/2 in absolute terms
    >>> network = Network.dense([([[1, 2]], [1, 1], "relu"), ([[1], [1]], None, None)])
    >>> print(check(network, {0: [{0, 1}]}))
    not proportional: units 0 and 1 of layer 0: their sums from inputs [0] are 1 and 2, but their biases 1 and 1
    """
    if model.domain == _CHAIN:
        chain = cast("MarkovChain", model)
        if tolerance is not None:
            from lumpability.markov.approximate.lump import check_within

            _refuse("a tolerance", kind, factors=factors)
            return check_within(chain, partition, tolerance=tolerance, absolute=absolute)
        _require_tolerance(absolute=absolute)
        from lumpability.markov.lump import check_chain

        return check_chain(
            chain, partition, kind=kind or "ordinary", factors=factors, progress=progress
        )
    if model.domain == _GRAPH:
        from lumpability.networks.graph.explain import check_graph

        graph = cast("GraphNetwork", model)
        return check_graph(graph, partition, kind=cast("str", kind or "proportional"))
    from lumpability.networks.checking import check_network

    return check_network(
        cast("Network", model),
        partition,
        kind=cast("str", kind or "proportional"),
        antiparallel=antiparallel,
    )


def compare(
    a: Network | GraphNetwork,
    b: Network | GraphNetwork,
    *,
    region: Any = None,
    relation: Sequence[Any] | None = None,
    tolerance: float | None = None,
    boxes: int | None = None,
    cases: int | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Difference:
    """Bound the difference of the outputs of two networks, proved for every input of a region.

    Parameters
    ----------
    a, b : Network or GraphNetwork
        With the same inputs and outputs; `b` may be a pruned, quantised, rounded or reduced copy of `a`.
    region : Box, (low, high) or None
        The box of inputs: a `lumpability.networks.regions.Box`, or two ends, each a float or one for each input.
        None is all inputs: bounds are then multiplied by max(1, abs(x)), the largest absolute value of an input.
    relation : sequence of (A, a), optional
        For each hidden layer, how its values h in `a` are computed from those of `b`: about h^ A + a.  None for
        A is the identity, None for a is zero.  By default it is guessed from the weights.  A bad relation makes
        the bound looser, never wrong.
    tolerance : float, optional
        Where it suffices to know whether the difference is at most this: splitting ends when that is decided.
    boxes : int, optional
        Parts into which the box may be split, for networks with few inputs.  By default 1, or 2000 with a
        tolerance and at most 12 inputs.
    cases : int, optional
        Linear programs that may be solved, one for each case of signs of units that is told apart; 0 for none.  By
        default up to 200, with a tolerance 1000, for networks with more than 12 inputs, at most 150 unstable units
        and at most 2 million weights.
    progress : callable, optional
        Called with the boxes or linear programs so far, the most there may be, and the bound so far.

    Returns
    -------
    Difference
        With ``low``, ``high`` and ``bound``, the largest difference found (``witness``) and the ``method``.

    Raises
    ------
    InvalidInput
        If the networks have different numbers of inputs or outputs, or the region does not fit them.
    NotJustified
        If a layer or an activation is not covered; the message names it.

    Notes
    -----
    For n units a layer and L layers, O(L^2) products of n x n matrices for each part.  A linear program
    takes about a tenth of a second, so that cases can take tens of seconds.  A KeyboardInterrupt while boxes or cases
    are told apart ends that: the result has the best bounds so far.  The bounds hold in real arithmetic for
    the stored weights; the rounding of an execution in floats comes on top.  For deep networks on large boxes they
    can be far above what is observed.

    Examples
    --------
    >>> from lumpability import Network, compare
    >>> first = Network.dense([([[1, 1]], [0, 1], "relu"), ([[1], [1]], None, None)])
    >>> second = Network.dense([([[1, 0.75]], [0, 1], "relu"), ([[1], [1]], None, None)])
    >>> found = compare(first, second, region=(0, 1))
    >>> found
    Difference(at most 0.25 by d*, found 0.25)
    >>> bool(found.low[0] <= 0), bool(found.high[0] >= 0.25), found.witness.point.tolist()
    (True, True, [1.0])
    """
    for model in (a, b):
        if _domain(model) not in (_NETWORK, _GRAPH):
            raise InvalidInput(
                f"cannot compare a {type(model).__name__}: give two networks, or use check for chains"
            )
    from lumpability.networks.difference import compare_networks

    found = compare_networks(
        a,
        b,
        region=region,
        relation=relation,
        tolerance=tolerance,
        boxes=boxes,
        cases=cases,
        progress=progress,
    )
    return replace(found, certify=partial(_certified, a, b, region, relation))


def _certified(
    a: Network | GraphNetwork,
    b: Network | GraphNetwork,
    region: Any,
    relation: Sequence[Any] | None,
) -> RegionCertificate:
    from lumpability.networks.relaxed.lumping import related

    return related(a, b, region, relation=relation).certificate
