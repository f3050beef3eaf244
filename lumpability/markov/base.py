"""The part that chains in continuous and discrete time share: states, labels, rewards, an initial distribution.

The matrix differs (rates or probabilities); the two classes in `lumpability.markov.chains` check it.  This
module has the attributes of the states, and all ways to build a chain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

from lumpability.errors import InvalidChain
from lumpability.markov.attributes import (
    Mask,
    Reward,
    States,
    read_initial,
    read_labels,
    read_rewards,
)
from lumpability.markov.graph_attributes import graph_attributes
from lumpability.markov.matrices import explore, read_matrix, transitions, with_loops
from lumpability.markov.parametric import parameters_in, read_point, substitute_array
from lumpability.notebook_hooks import Drawn
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, Reading
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.vocabulary import refuses_unknown_options


class MarkovChain(Drawn, ABC):
    """The base of CTMC and DTMC.  Immutable.

    Attributes
    ----------
    matrix : WeightedStructure
        Rates (CTMC, self-loops included) or probabilities (DTMC).
    states : States
        State names in order.
    labels : dict of str to bool array, shape (n,)
    rewards : dict of str to Reward
    initial : ExactArray or None, shape (n,)
        Initial distribution.
    reading : Reading
        How floats were read, and how much they changed.
    rescaled : Fraction
        Largest distance from 1 of a row sum that ``normalize=True`` divided by; 0 if none.

    Examples
    --------
    >>> from lumpability import CTMC, DTMC
    >>> from lumpability.markov import MarkovChain
    >>> issubclass(CTMC, MarkovChain), issubclass(DTMC, MarkovChain)
    (True, True)
    """

    domain: ClassVar[str] = "chain"
    time: ClassVar[str]
    matrix: WeightedStructure
    states: States
    labels: dict[str, Mask]
    rewards: dict[str, Reward]
    initial: ExactArray | None
    reading: Reading
    rescaled: Fraction

    @refuses_unknown_options
    def __init__(
        self,
        matrix: Any,
        *,
        states: Iterable[Hashable] | None = None,
        labels: Mapping[str, Any] | None = None,
        rewards: Mapping[str, Any] | None = None,
        initial: Any = None,
        normalize: bool = False,
        absorbing: bool = False,
        float_tolerance: float = DEFAULT_TOLERANCE,
    ) -> None:
        structure, reading, states = read_matrix(matrix, float_tolerance, states)
        self._build(
            structure,
            reading,
            states=states,
            labels=labels,
            rewards=rewards,
            initial=initial,
            normalize=normalize,
            absorbing=absorbing,
            float_tolerance=float_tolerance,
        )

    @refuses_unknown_options
    def _build(
        self,
        structure: WeightedStructure,
        reading: Reading,
        *,
        states: Iterable[Hashable] | None = None,
        labels: Mapping[str, Any] | None = None,
        rewards: Mapping[str, Any] | None = None,
        initial: Any = None,
        normalize: bool = False,
        absorbing: bool = False,
        float_tolerance: float = DEFAULT_TOLERANCE,
    ) -> None:
        """Set all attributes, given weights that were read with `reading`; see the constructor."""
        self.reading = reading
        if absorbing and self.time == "discrete":
            structure = with_loops(structure)
        self._name(structure.n, states)
        self.rescaled = Fraction(0)
        self.matrix = self._validated(structure, normalize)
        self._attach(labels, rewards, initial, float_tolerance)

    def _name(self, n: int, states: Iterable[Hashable] | None) -> None:
        self.states = states if isinstance(states, States) else States(n, states)
        if len(self.states) != n:
            raise InvalidChain(f"{len(self.states)} state names for {n} states")

    def _attach(
        self,
        labels: Mapping[str, Any] | None,
        rewards: Mapping[str, Any] | None,
        initial: Any,
        float_tolerance: float,
    ) -> None:
        self.labels = read_labels(labels, self.states)
        self.rewards, reward_reading = read_rewards(rewards, self.states, float_tolerance)
        self.initial, initial_reading = read_initial(initial, self.states, float_tolerance)
        self.reading = self.reading + reward_reading + initial_reading

    @abstractmethod
    def _validated(self, structure: WeightedStructure, normalize: bool) -> WeightedStructure:
        """Check the matrix and return it in the stored form."""

    @classmethod
    def from_rates(
        cls, rates: Any, *, states: Iterable[Hashable] | None = None, **options: Any
    ) -> Self:
        """Build from single transitions; parallel ones are summed.

        Parameters
        ----------
        rates : mapping (source, target) -> number, iterable of (source, target, number), or DataFrame
            A DataFrame needs the columns ``source``, ``target`` and ``rate`` (or ``probability`` or
            ``weight``).  Numbers may be of any type that `ExactArray.read` takes.
        states : iterable of hashable, optional
            State names in order; by default integers in ascending order, other states in order of first mention.
        **options
            As for the constructor.

        Raises
        ------
        InvalidChain
            If a transition names an unknown state, or the matrix is not one of this kind.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC.from_rates({("up", "down"): "1/10", ("down", "up"): 2})
        >>> chain
        CTMC(2 states, 2 transitions)
        >>> list(chain.states), chain.matrix.row(0)
        (['up', 'down'], [(1, Fraction(1, 10))])
        """
        names, sources, targets, numbers = transitions(rates, states)
        return cls._from_transitions(States(len(names), names), sources, targets, numbers, options)

    @classmethod
    def _from_transitions(
        cls, states: States, sources: Any, targets: Any, numbers: Any, options: dict[str, Any]
    ) -> Self:
        float_tolerance = options.get("float_tolerance", DEFAULT_TOLERANCE)
        weights, reading = ExactArray.read(numbers, float_tolerance=float_tolerance)
        structure = WeightedStructure.from_edges(len(states), sources, targets, weights)
        return cls.from_structure(structure, reading, states=states, **options)

    @classmethod
    def from_structure(
        cls, structure: WeightedStructure, reading: Reading | None = None, **options: Any
    ) -> Self:
        """Build from exact weights.

        Parameters
        ----------
        structure : WeightedStructure
        reading : Reading, optional
            How its numbers were read; from floats, rows of a DTMC may miss one by rounding.
        **options
            As for the constructor.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> from lumpability.structure import WeightedStructure
        >>> CTMC.from_structure(WeightedStructure.from_edges(2, [0], [1], [3]), states=["up", "down"])
        CTMC(2 states, 1 transition)
        """
        chain = cls.__new__(cls)
        chain._build(structure, reading or Reading(), **options)
        return chain

    @classmethod
    def from_function(
        cls,
        step: Callable[[Any], Any],
        start: Hashable,
        *,
        max_states: int = 1_000_000,
        **options: Any,
    ) -> Self:
        """Explore everything reachable from a state, breadth first.

        Parameters
        ----------
        step : callable
            Given a state, returns its transitions: a mapping target -> number or an iterable of
            (target, number) pairs.  States are any hashable values.
        start : hashable
            The first state; also the initial state unless ``initial=`` says otherwise.
        max_states : int
            With more states, exploration stops with an error.
        **options
            As for the constructor.

        Raises
        ------
        SizeLimit
            If more than `max_states` states are reachable.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> queue = CTMC.from_function(
        ...     lambda k: {k + 1: 1, k - 1: 2} if 0 < k < 3 else {k + 1: 1} if k == 0 else {k - 1: 2},
        ...     start=0,
        ... )
        >>> list(queue.states), queue.matrix.row(1)
        ([0, 1, 2, 3], [(0, Fraction(2, 1)), (2, Fraction(1, 1))])
        """
        order, sources, targets, numbers = explore(step, start, max_states)
        options.setdefault("initial", {start: 1})
        return cls._from_transitions(States(len(order), order), sources, targets, numbers, options)

    @classmethod
    def from_networkx(cls, graph: Any, *, weight: str = "weight", **options: Any) -> Self:
        """Build from a networkx graph whose edges carry rates or probabilities.

        Parameters
        ----------
        graph : networkx.DiGraph or MultiDiGraph
            Nodes are the states, in order; parallel edges are summed.  The integers 0 .. n-1 in order
            are no names of their own.  Attributes of nodes hold labels, rewards and initial
            probabilities, as `lumpability.formats.networkx_format.to_networkx` writes them.
        weight : str
            The edge attribute that holds the number.
        **options
            As for the constructor; ``labels``, ``rewards`` and ``initial`` replace those of the graph.

        Raises
        ------
        InvalidChain
            If an edge has no such attribute, or the graph is undirected.

        Examples
        --------
        >>> import networkx
        >>> from lumpability import CTMC
        >>> graph = networkx.DiGraph()
        >>> graph.add_edge("a", "b", weight=0.5)
        >>> CTMC.from_networkx(graph)
        CTMC(2 states, 1 transition)
        """
        if not graph.is_directed():
            raise InvalidChain("the graph is undirected: graph.to_directed() has both directions")
        triples = []
        for source, target, data in graph.edges(data=True):
            if weight not in data:
                raise InvalidChain(
                    f"edge {source!r} -> {target!r} has no attribute {weight!r}",
                    source=source,
                    target=target,
                )
            triples.append((source, target, data[weight]))
        nodes = list(graph.nodes)
        _, sources, targets, numbers = transitions(triples, nodes)
        numbered = nodes == list(range(len(nodes))) and all(type(node) is int for node in nodes)
        states = States(len(nodes), None if numbered else nodes)
        return cls._from_transitions(
            states, sources, targets, numbers, graph_attributes(graph, nodes) | options
        )

    @property
    def n(self) -> int:
        """Number of states.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> CTMC([[0, 1], [2, 0]]).n
        2
        """
        return self.matrix.n

    @property
    def is_rational(self) -> bool:
        """Whether all weights are numbers: no parameters occur.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> CTMC([[0, 1], [2, 0]]).is_rational, CTMC([[0, "x"], [2, 0]]).is_rational
        (True, False)
        """
        return self.matrix.weights.is_rational

    def _arrays(self) -> list[ExactArray]:
        parts = [part for reward in self.rewards.values() for part in reward.parts]
        return [self.matrix.weights, *parts, *([] if self.initial is None else [self.initial])]

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The parameters that occur in rates, rewards or the initial distribution, sympy symbols.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> CTMC([[0, "x"], ["2*y", 0]]).parameters
        (x, y)
        """
        return parameters_in(self._arrays())

    def subs(self, values: Mapping[Any, Any]) -> Self:
        """Return the chain with numbers, or other expressions, substituted for parameters.

        Parameters
        ----------
        values : mapping from parameter (sympy symbol or its name) to number or sympy expression
            Other parameters stay.

        Raises
        ------
        InvalidValue
            For a parameter that does not occur, a number that is not positive, or a division by
            zero.
        InvalidChain
            If the result is not a chain, because a rate is negative.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC.from_rates({("up", "down"): "failure", ("down", "up"): "2*repair"})
        >>> chain.parameters
        (failure, repair)
        >>> chain.subs({"failure": "1/100", "repair": 1}).matrix.row(1)
        [(0, Fraction(2, 1))]
        """
        point = read_point(values, self.parameters)

        def replace(array: ExactArray) -> ExactArray:
            return substitute_array(array, point)

        return self.rebuilt(
            WeightedStructure.from_rows(
                self.matrix.indptr,
                self.matrix.indices,
                replace(self.matrix.weights),
                within=self.matrix.within,
            ),
            states=self.states,
            labels=self.labels,
            rewards={name: reward.map(replace) for name, reward in self.rewards.items()},
            initial=None if self.initial is None else replace(self.initial),
        )

    def respected(self, respect: Iterable[str] | str | None = None) -> Partition:
        """Return the partition by the labels and rewards that a lumping respects.

        Parameters
        ----------
        respect : iterable of str, optional
            ``"labels"``, ``"rewards"`` and ``"initial"`` (initial probabilities) for all of a sort;
            ``"label:NAME"`` and ``"reward:NAME"``, or just the name, for one.  By default all labels
            and all rewards.

        Raises
        ------
        InvalidChain
            If there is no label or reward of that name.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC.from_rates({("a", "b"): 1, ("b", "c"): 1}, labels={"ok": ["a"]})
        >>> chain.respected()
        Partition([[0], [1, 2]])
        """
        return Partition.by(self.n, self.distinctions(respect))

    def distinctions(
        self, respect: Iterable[str] | str | None = None
    ) -> list[np.ndarray[Any, Any]]:
        """Return the arrays, shape (n,), that must agree on the states of a block; see `respected`.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC([[0, 1], [2, 0]], labels={"up": [0]})
        >>> [array.tolist() for array in chain.distinctions()]
        [[True, False]]
        """
        wanted = ("labels", "rewards") if respect is None else respect
        items = [wanted] if isinstance(wanted, str) else wanted
        return [key for item in items for key in self._distinguished_by(item)]

    def _distinguished_by(self, item: str) -> list[np.ndarray[Any, Any]]:
        sort, _, name = item.partition(":")
        if item == "labels":
            return list(self.labels.values())
        if item == "rewards":
            return [part.codes for reward in self.rewards.values() for part in reward.parts]
        if item == "initial":
            return [] if self.initial is None else [self.initial.codes]
        if sort == "label" and name in self.labels:
            return [self.labels[name]]
        if sort == "reward" and name in self.rewards:
            return [part.codes for part in self.rewards[name].parts]
        if item in self.labels:
            return [self.labels[item]]
        if item in self.rewards:
            return [part.codes for part in self.rewards[item].parts]
        known = [*(f"label:{x}" for x in self.labels), *(f"reward:{x}" for x in self.rewards)]
        raise InvalidChain(
            f"there is no {item!r} to respect; the chain has {', '.join(known) or 'no labels or rewards'}",
            respect=item,
        )

    def renumber(self, order: Any) -> Self:
        """Return the same chain with state i the old state ``order[i]``.

        Parameters
        ----------
        order : array_like of int, shape (n,)
            A permutation.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 2})
        >>> turned = chain.renumber([1, 0])
        >>> list(turned.states), turned.matrix.row(0)
        (['b', 'a'], [(1, Fraction(2, 1))])
        """
        order = np.asarray(order)
        return self.rebuilt(
            self.matrix.renumber(order),
            states=[self.states[i] for i in order.tolist()] if self.states.named else None,
            labels={name: mask[order] for name, mask in self.labels.items()},
            rewards={name: r.map(lambda a: a.take(order)) for name, r in self.rewards.items()},
            initial=None if self.initial is None else self.initial.take(order),
        )

    def rebuilt(
        self,
        matrix: WeightedStructure,
        *,
        states: Iterable[Hashable] | None = None,
        labels: Mapping[str, Any] | None = None,
        rewards: Mapping[str, Any] | None = None,
        initial: Any = None,
        validate: bool = True,
    ) -> Self:
        """Build another chain of the same class, with the same report on the reading of floats.

        `validate` may be false if the matrix is known to be valid for this class.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> chain = CTMC([[0, 1], [2, 0]])
        >>> chain.rebuilt(chain.matrix, states=["up", "down"], initial="up").initial
        ExactArray([1, 0])
        """
        chain = object.__new__(type(self))
        chain.__dict__.update(self.__dict__)
        chain._name(matrix.n, states)
        chain.matrix = chain._validated(matrix, normalize=False) if validate else matrix
        chain._attach(labels, rewards, initial, DEFAULT_TOLERANCE)
        return chain

    def equals(self, other: MarkovChain) -> bool:
        """Whether both are the same chain: class, names, numbers, labels, rewards, start.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> CTMC([[0, 0.5], [1, 0]]).equals(CTMC([[0, "1/2"], [1, 0]]))
        True
        """
        return (
            type(self) is type(other)
            and self.states == other.states
            and self.matrix.equals(other.matrix)
            and self.labels.keys() == other.labels.keys()
            and all(np.array_equal(mask, other.labels[k]) for k, mask in self.labels.items())
            and self.rewards.keys() == other.rewards.keys()
            and all(reward.equals(other.rewards[k]) for k, reward in self.rewards.items())
            and (self.initial is None) == (other.initial is None)
            and (
                self.initial is None or other.initial is None or self.initial.equals(other.initial)
            )
        )

    def __repr__(self) -> str:
        states = "1 state" if self.n == 1 else f"{self.n} states"
        transitions = "1 transition" if self.matrix.m == 1 else f"{self.matrix.m} transitions"
        return f"{type(self).__name__}({states}, {transitions})"
