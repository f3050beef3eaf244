"""Markov chains in continuous and discrete time, with exact rates and probabilities.

A CTMC is given by rates r(s, u) >= 0 (1/time); its generator is Q[s, u] = r(s, u) for u != s with
Q[s, s] = - sum over u != s of r(s, u), so rows sum to zero and p'(t) = p(t) Q.  A self-loop r(s, s)
does not show in Q, and therefore not in any probability; it is kept because the bisimulation of
model checkers sees it.  A DTMC is given by a stochastic matrix P: rows sum to one, p_{k+1} = p_k P.
Numbers are read exactly (`lumpability.rationals`); rows that do not sum as they must are refused, or
rescaled when asked, never quietly repaired.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from copy import copy
from fractions import Fraction
from typing import Any, ClassVar, Self

import numpy as np

from lumpability.errors import InvalidChain
from lumpability.exact_array import ExactArray
from lumpability.markov.attributes import (
    Mask,
    Reward,
    States,
    read_initial,
    read_labels,
    read_rewards,
)
from lumpability.markov.matrices import divide_rows, explore, negative_codes, read_matrix, triples
from lumpability.markov.parametric import parameters_in, read_point, substitute_array
from lumpability.partition import Partition
from lumpability.rationals import DEFAULT_TOLERANCE, Reading, shown
from lumpability.structure import WeightedStructure

__all__ = ["CTMC", "DTMC", "MarkovChain"]


class MarkovChain(ABC):
    """What CTMCs and DTMCs have in common.  Immutable.

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
        How floats were read, and what that changed.
    rescaled : Fraction
        Largest distance from 1 of a row sum that ``normalize=True`` divided by; 0 if none.
    """

    time: ClassVar[str]
    matrix: WeightedStructure
    states: States
    labels: dict[str, Mask]
    rewards: dict[str, Reward]
    initial: ExactArray | None
    reading: Reading
    rescaled: Fraction

    def __init__(
        self,
        matrix: Any,
        *,
        states: Iterable[Hashable] | None = None,
        labels: Mapping[str, Any] | None = None,
        rewards: Mapping[str, Any] | None = None,
        initial: Any = None,
        normalize: bool = False,
        tolerance: float = DEFAULT_TOLERANCE,
    ) -> None:
        structure, self.reading = read_matrix(matrix, tolerance)
        self._name(structure.n, states)
        self.rescaled = Fraction(0)
        self.matrix = self._validated(structure, normalize)
        self._attach(labels, rewards, initial, tolerance)

    def _name(self, n: int, states: Iterable[Hashable] | None) -> None:
        self.states = states if isinstance(states, States) else States(n, states)
        if len(self.states) != n:
            raise InvalidChain(f"{len(self.states)} state names for {n} states")

    def _attach(
        self,
        labels: Mapping[str, Any] | None,
        rewards: Mapping[str, Any] | None,
        initial: Any,
        tolerance: float,
    ) -> None:
        self.labels = read_labels(labels, self.states)
        self.rewards, reward_reading = read_rewards(rewards, self.states, tolerance)
        self.initial, initial_reading = read_initial(initial, self.states, tolerance)
        self.reading = self.reading + reward_reading + initial_reading

    @abstractmethod
    def _validated(self, structure: WeightedStructure, normalize: bool) -> WeightedStructure:
        """Check the matrix and bring it to the stored form."""

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
            State names in order; by default the states in order of first mention.
        **options
            As for the constructor.

        Raises
        ------
        InvalidChain
            If a transition names an unknown state, or the matrix is not one of this kind.

        Examples
        --------
        >>> chain = CTMC.from_rates({("up", "down"): "1/10", ("down", "up"): 2})
        >>> chain
        CTMC(2 states, 2 transitions)
        >>> list(chain.states), chain.matrix.row(0)
        (['up', 'down'], [(1, Fraction(1, 10))])
        """
        transitions = triples(rates)
        if states is None:
            listed = tuple(dict.fromkeys(x for s, t, _ in transitions for x in (s, t)))
        else:
            listed = tuple(states)
        names = States(len(listed), listed)
        for source, target, _ in transitions:
            for state in (source, target):
                if state not in names:
                    raise InvalidChain(
                        f"transition {source!r} -> {target!r}: {state!r} is not in states",
                        state=state,
                    )
        return cls._from_transitions(
            names,
            np.array([names.index(source) for source, _, _ in transitions], dtype=np.int64),
            np.array([names.index(target) for _, target, _ in transitions], dtype=np.int64),
            [number for _, _, number in transitions],
            options,
        )

    @classmethod
    def _from_transitions(
        cls, states: States, sources: Any, targets: Any, numbers: list[Any], options: dict[str, Any]
    ) -> Self:
        tolerance = options.get("tolerance", DEFAULT_TOLERANCE)
        weights, reading = ExactArray.read(numbers, tolerance=tolerance)
        structure = WeightedStructure.from_edges(len(states), sources, targets, weights)
        chain = cls(structure, states=states, **options)
        chain.reading = chain.reading + reading
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
            Where to begin; also the initial state unless ``initial=`` says otherwise.
        max_states : int
            Exploration stops with an error beyond this.
        **options
            As for the constructor.

        Raises
        ------
        SizeLimit
            If more than `max_states` states are reachable.

        Examples
        --------
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
            Nodes are the states, in order; parallel edges are summed.
        weight : str
            The edge attribute that holds the number.

        Raises
        ------
        InvalidChain
            If an edge has no such attribute, or the graph is undirected.

        Examples
        --------
        >>> import networkx
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
        return cls.from_rates(triples, states=graph.nodes, **options)

    @property
    def n(self) -> int:
        """Number of states."""
        return self.matrix.n

    @property
    def is_rational(self) -> bool:
        """Whether all weights are numbers: no parameters occur."""
        return self.matrix.weights.is_rational

    def _arrays(self) -> list[ExactArray]:
        parts = [part for reward in self.rewards.values() for part in reward.parts]
        return [self.matrix.weights, *parts, *([] if self.initial is None else [self.initial])]

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The parameters that occur in rates, rewards or the initial distribution, sympy symbols."""
        return parameters_in(self._arrays())

    def subs(self, values: Mapping[Any, Any]) -> Self:
        """Return the chain with numbers, or other expressions, in place of parameters.

        Parameters
        ----------
        values : mapping from parameter (sympy symbol or its name) to number or sympy expression
            Parameters that are not named stay.

        Raises
        ------
        InvalidValue
            For a parameter that does not occur, a number that is not positive, or a division by
            zero.
        InvalidChain
            If the result is no chain: a rate has become negative.

        Examples
        --------
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
                initial=self.matrix.initial,
            ),
            states=self.states,
            labels=self.labels,
            rewards={name: reward.map(replace) for name, reward in self.rewards.items()},
            initial=None if self.initial is None else replace(self.initial),
        )

    def respected(self, respect: Iterable[str] | str | None = None) -> Partition:
        """Return the partition by the labels and rewards that a lumping shall respect.

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
        >>> chain = CTMC.from_rates({("a", "b"): 1, ("b", "c"): 1}, labels={"ok": ["a"]})
        >>> chain.respected()
        Partition([[0], [1, 2]])
        """
        wanted = ("labels", "rewards") if respect is None else respect
        items = [wanted] if isinstance(wanted, str) else wanted
        return Partition.by(self.n, (key for x in items for key in self._distinguished_by(x)))

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
        """Build another chain of the same class, keeping what was said about the reading of floats.

        `validate` may be false where the matrix is known to be one of this class.
        """
        chain = copy(self)
        chain._name(matrix.n, states)
        chain.matrix = chain._validated(matrix, normalize=False) if validate else matrix
        chain._attach(labels, rewards, initial, DEFAULT_TOLERANCE)
        return chain

    def equals(self, other: MarkovChain) -> bool:
        """Whether both are the same chain: class, names, numbers, labels, rewards, start."""
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


class CTMC(MarkovChain):
    """A continuous-time Markov chain.

    Parameters
    ----------
    matrix : array_like, scipy sparse matrix or WeightedStructure, shape (n, n)
        A generator (rows sum to zero, diagonal negative) or rates (no negative entry; a diagonal
        entry is a self-loop), in 1/time.
    states : iterable of hashable, optional
        State names; 0 .. n-1 by default.
    labels : mapping of str to states, boolean array or predicate, optional
    rewards : mapping of str to `Reward`, array or mapping from states, optional
    initial : state, mapping from states or array, optional
        Initial distribution.
    normalize : bool
        Accept a generator whose rows do not sum to zero, taking the diagonal from the rates.
    tolerance : float
        Largest relative change when a float is read as the rational that was meant; 0 reads floats
        literally.

    Raises
    ------
    InvalidChain
        For a negative rate, or a row that does not sum to zero; carries ``row``.
    InvalidValue
        For a number that is none.

    Examples
    --------
    >>> CTMC([[-0.3, 0.1, 0.2], [0, 0, 0], [1, 0, -1]])
    CTMC(3 states, 3 transitions)
    >>> CTMC([[-0.3, 0.1], [0, 0]])
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidChain: row 0 of the generator sums to -1/5, not to 0; correct it, leave the diagonal out, or pass normalize=True to take it from the rates
    """

    time = "continuous"

    def _validated(self, structure: WeightedStructure, normalize: bool) -> WeightedStructure:
        negative = negative_codes(structure.weights)
        if not negative.any():
            return structure
        diagonal = structure.sources() == structure.indices
        is_negative = negative[structure.weights.codes]
        bad = np.flatnonzero(is_negative & ~diagonal)
        if len(bad):
            _refuse_negative(self, structure, int(bad[0]), "rate")
        sums = structure.row_sums()
        zero = np.array([value == 0 for value in sums.values], dtype=bool)
        wrong = np.flatnonzero(~zero[sums.codes])
        if len(wrong) and not normalize:
            row = int(wrong[0])
            raise InvalidChain(
                f"row {self.states[row]!r} of the generator sums to {shown(sums[row])}, not to 0; correct it, "
                "leave the diagonal out, or pass normalize=True to take it from the rates",
                row=row,
                total=sums[row],
            )
        if len(wrong):
            self.rescaled = max(abs(value) for value in sums.values)
        return structure.without_diagonal()

    @property
    def exit_rates(self) -> ExactArray:
        """Total rate out of every state, self-loops excluded, shape (n,)."""
        return self.matrix.without_diagonal().row_sums()

    def generator(self) -> WeightedStructure:
        """Return the generator Q, whose rows sum to zero; built on each call, O(m).

        Examples
        --------
        >>> CTMC([[5, 2], [0, 0]]).generator().row(0)
        [(0, Fraction(-2, 1)), (1, Fraction(2, 1))]
        """
        return self.matrix.with_diagonal(self.exit_rates.map(lambda rate: -rate))


class DTMC(MarkovChain):
    """A discrete-time Markov chain.

    Parameters
    ----------
    matrix : array_like, scipy sparse matrix or WeightedStructure, shape (n, n)
        A stochastic matrix: no negative entry, every row sums to one.
    states, labels, rewards, initial, tolerance
        As for `CTMC`.
    normalize : bool
        Divide every row by its sum, exactly; ``rescaled`` says by how much rows were off.

    Raises
    ------
    InvalidChain
        For a negative probability, or a row that does not sum to one; carries ``row``.

    Examples
    --------
    >>> DTMC([[0.1, 0.9], [1, 0]])
    DTMC(2 states, 3 transitions)
    >>> DTMC([[0.1, 0.8999], [1, 0]])
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidChain: row 0 sums to 9999/10000 (0.9999), not to 1; correct it, or pass normalize=True to rescale
    """

    time = "discrete"

    def _validated(self, structure: WeightedStructure, normalize: bool) -> WeightedStructure:
        negative = negative_codes(structure.weights)
        if negative.any():
            first = int(np.flatnonzero(negative[structure.weights.codes])[0])
            _refuse_negative(self, structure, first, "probability")
        sums = structure.row_sums()
        one = np.array([value == 1 for value in sums.values], dtype=bool)
        wrong = np.flatnonzero(~one[sums.codes])
        if not len(wrong):
            return structure
        row = int(wrong[0])
        near_one = isinstance(sums[row], Fraction) and abs(sums[row] - 1) < 1
        decimal = f" ({float(sums[row]):.15g})" if near_one else ""
        if not normalize:
            raise InvalidChain(
                f"row {self.states[row]!r} sums to {shown(sums[row])}{decimal}, not to 1; correct it, or pass "
                "normalize=True to rescale",
                row=row,
                total=sums[row],
            )
        if any(value == 0 for value in sums.values):
            raise InvalidChain("a row without transitions cannot be rescaled to sum to 1", row=row)
        self.rescaled = max(
            (abs(v - 1) for v in sums.values if isinstance(v, Fraction)), default=Fraction(0)
        )
        return divide_rows(structure, sums)


def _refuse_negative(
    chain: MarkovChain, structure: WeightedStructure, entry: int, what: str
) -> None:
    source = int(np.searchsorted(structure.indptr, entry, side="right")) - 1
    target = int(structure.indices[entry])
    raise InvalidChain(
        f"the {what} of {chain.states[source]!r} -> {chain.states[target]!r} is negative: "
        f"{shown(structure.weights[entry])}",
        row=source,
        column=target,
        value=structure.weights[entry],
    )
