"""`lump` and `check` for Markov chains, and the lumping they return.

The partition is the coarsest of its kind that refines what must be respected (labels and rewards, unless
said otherwise); it is unique.  The identity of its kind has been checked in exact arithmetic before a
lumping is returned.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lumpability import display
from lumpability.certificate import Certificate
from lumpability.certificate.making import certify
from lumpability.display import Player
from lumpability.errors import InvalidInput, LumpabilityError, TrivialLumping
from lumpability.exact_array import ExactArray
from lumpability.history import History
from lumpability.markov.attributes import read_vector
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earning import with_respected_rewards
from lumpability.markov.kind import Kind
from lumpability.markov.kinds import find_kind
from lumpability.markov.naming import block_name, block_names
from lumpability.markov.near_misses import NearMiss, find_near_misses
from lumpability.markov.proportional import Proportional
from lumpability.markov.reasons import Explanation
from lumpability.markov.reasons_making import explain, explain_witness, state_number
from lumpability.markov.separation import Separation
from lumpability.markov.special_cases import SpecialCase, special_cases
from lumpability.partition import Partition
from lumpability.quotient import Verdict, collapse, project, pull_back
from lumpability.refinement import Engine, Progress, Witness, split_history
from lumpability.structure import WeightedStructure
from lumpability.verbs import check, lump
from lumpability.version import __version__

__all__ = ["Lumping", "Stats", "block_name", "check_chain", "lump_chain"]


@dataclass(frozen=True)
class Stats:
    """Sizes, time and what was proved.

    Attributes
    ----------
    states, transitions : int
        Of the chain.
    blocks, block_transitions : int
        Of the quotient.
    initial_blocks : int
        Blocks that had to be respected.
    engine : str
        Implementation of the refinement that ran.
    seconds : float
        For everything from the chain to the quotient, proof included.
    proof : str
        The identity that was checked in exact arithmetic.
    dropped : tuple of str
        Labels and rewards that are not constant on blocks, and which the quotient therefore lacks;
        all rewards if a proportional lumping changes the time that blocks are held.
    """

    states: int
    transitions: int
    blocks: int
    block_transitions: int
    initial_blocks: int
    engine: str
    seconds: float
    proof: str
    dropped: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Lumping:
    """The coarsest lumping of a chain.

    Attributes
    ----------
    chain : CTMC or DTMC
    kind : Kind
    partition : Partition
        Block numbers are the states of the quotient, in order.
    quotient : CTMC or DTMC
    stats : Stats
    respected : Partition
        That was refined: what may not share a block.
    kappa : ExactArray or None, shape (n,)
        For "proportional", the factor of every state: q(s, C) = kappa(s) Q^[B, C] for s in B != C.
        The first member of a block has factor 1.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> lumping = lump(chain)
    >>> lumping
    Lumping(ordinary: 3 states -> 2 blocks, Q V = V Q^ holds exactly)
    >>> list(lumping.quotient.states), lumping.quotient.matrix.row(0)
    (['{a, b}', 'c'], [(1, Fraction(1, 1))])
    """

    chain: MarkovChain
    kind: Kind
    partition: Partition
    quotient: MarkovChain
    stats: Stats
    respected: Partition
    kappa: ExactArray | None = None

    def project(self, vector: Any) -> ExactArray:
        """Sum a vector on states over blocks (a distribution becomes the block distribution).

        Parameters
        ----------
        vector : array_like or mapping from states, shape (n,)

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> lumping = lump(CTMC.from_rates({("a", "b"): 1, ("b", "a"): 1}, labels={"a": ["a"]}))
        >>> lumping.project({"a": "1/3", "b": "2/3"})
        ExactArray([1/3, 2/3])
        """
        return project(self._read(vector, self.chain), self.partition)

    def pull_back(self, function: Any) -> ExactArray:
        """Give every state the value of its block, shape (n,).

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
        >>> lump(chain).pull_back([5, 7])
        ExactArray([5, 7, 7])
        """
        return pull_back(self._read(function, self.quotient), self.partition)

    def lift(self, vector: Any) -> ExactArray:
        """Spread block probabilities, at any time, over states, where the theory justifies it.

        Parameters
        ----------
        vector : array_like or mapping from blocks, shape (k,)

        Raises
        ------
        NotJustified
            If it does not for this kind, or the chain does not start uniformly inside blocks; the
            message says why.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], initial=0)
        >>> lumping = lump(chain, kind="exact")
        >>> lumping.partition, lumping.lift(["1/3", "2/3"])
        (Partition([[0], [1, 2]]), ExactArray([1/3, 1/3, 1/3]))
        """
        return self.kind.lift(self._read(vector, self.quotient), self.chain, self.partition)

    def lift_stationary(self, vector: Any) -> ExactArray:
        """Return the stationary distribution of the chain, given that of the quotient.

        Parameters
        ----------
        vector : array_like or mapping from blocks, shape (k,)
            A stationary distribution of the quotient.

        Raises
        ------
        NotJustified
            If the quotient does not determine it for this kind; the message says why.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
        >>> lump(chain, kind="exact").lift_stationary(["1/2", "1/2"])
        ExactArray([1/2, 1/4, 1/4])
        """
        return self.kind.lift_stationary(
            self._read(vector, self.quotient), self.chain, self.partition
        )

    def project_stationary(self, vector: Any) -> ExactArray:
        """Return the stationary distribution of the quotient, given one of the chain.

        The sum over blocks; for "proportional" states are weighted with `kappa`:
        pi^(B) = (sum over B of kappa pi) / (sum over all of kappa pi).

        Parameters
        ----------
        vector : array_like or mapping from states, shape (n,)
            A stationary distribution of the chain.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
        >>> lump(chain).project_stationary(["1/2", "1/4", "1/4"])
        ExactArray([1/2, 1/2])
        """
        return self.kind.project_stationary(
            self._read(vector, self.chain), self.partition, self.kappa
        )

    def coarser_when(self, *, max_blocks: int = 300) -> list[SpecialCase]:
        """Return equations between parameters under which the coarsest lumping has fewer blocks.

        Parameters
        ----------
        max_blocks : int
            Refuse lumpings with more blocks.

        Returns
        -------
        list of SpecialCase
            All that are linear in a parameter; empty for a chain without parameters.

        Raises
        ------
        SizeLimit
            If the lumping is too large for the search.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "y"}, labels={"goal": ["c"]})
        >>> lumping = lump(chain)
        >>> len(lumping.partition), [str(case) for case in lumping.coarser_when()]
        (3, ['2 blocks if y = x'])
        """
        return special_cases(
            self.chain, self.kind, self.respected, self.partition, max_blocks=max_blocks
        )

    @cached_property
    def history(self) -> History:
        """The splits that prove the partition the coarsest, made when first asked for.

        Nodes are unions of blocks of `partition`; see `History`.  O(m log k) on the quotient of k
        blocks and m transitions, whatever engine found the partition.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2}, labels={"goal": ["c"]})
        >>> history = lump(chain).history
        >>> history.roots, [history.blocks(node) for node in range(4)], history.sums
        (2, [[0, 2], [1], [0], [2]], ExactArray([-1, -2]))
        """
        conditions = self.kind.conditions(self.chain)
        return split_history(
            [collapse(condition.matrix, self.partition) for condition in conditions],
            self.respected.restrict(self.partition.representatives),
            proportional=isinstance(self.kind, Proportional),
        )

    @cached_property
    def _separation(self) -> Separation:
        return Separation(self.chain, self.kind, self.partition, self.respected)

    def explain(self, state: Any, other: Any) -> Explanation:
        """Say why two states share a block, or why they do not.

        Parameters
        ----------
        state, other : hashable
            Names, or numbers, of states.

        Returns
        -------
        Explanation
            Truth in `together`; prints as text, shows as HTML in notebooks.

        Raises
        ------
        InvalidInput
            If there is no such state; the message names similar ones.

        Notes
        -----
        Works on the quotient, by rounds up to the first that separates the two; they are kept for
        further questions.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> rates = {("a", "c"): 1, ("b", "c"): 1, ("d", "c"): 2, ("d", "a"): 5}
        >>> lumping = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}))
        >>> print(lumping.explain("a", "b"))
        a and b are together (ordinary), in the block {a, b}; equal rates:
          into {c}: 1
        >>> print(lumping.explain("a", "d"))
        a and d are apart (ordinary), in 1 step:
        1. a and d share the block {a, b, d}, but their rates into {c} differ
             a: 1  (a -> c: 1)
             d: 2  (d -> c: 2)
        2. c is in {c}, a is not: c has the label 'goal', a has not
        holds in a, not in d: ¬(out(goal) ≥ 2)
        """
        numbers = (state_number(self.chain.states, given) for given in (state, other))
        return explain(self._separation, *numbers)

    def near_misses(self, limit: int = 10) -> list[NearMiss]:
        """Return pairs of blocks that would be one if a few weights were different.

        Parameters
        ----------
        limit : int

        Returns
        -------
        list of NearMiss
            By the number of weights that would have to change, then by how much.

        Raises
        ------
        NotJustified
            For kinds other than "ordinary" and "bisimulation".
        InvalidInput
            For a chain with parameters; see `coarser_when`.

        Notes
        -----
        Finds pairs whose rows in the quotient differ in up to two entries, transitions between the two
        included; see `lumpability.markov.near_misses` for how, and for the limits on large quotients.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> rates = {("a", "c"): 1, ("b", "c"): "11/10", ("c", "a"): 2, ("c", "b"): 2}
        >>> lumping = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}))
        >>> for miss in lumping.near_misses():
        ...     print(miss)
        {a} and {b} would be one block with a -> c: 1 -> 11/10
        """
        return find_near_misses(self._separation, limit)

    @property
    def trace(self) -> History:
        """The `history`, by the name that the command line has for it.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import machine_repair
        >>> lump(machine_repair(3)).trace.splits
        2
        """
        return self.history

    def certificate(self) -> Certificate:
        """Return what others need to check this lumping without trusting the engine that made it.

        Makes the `history` if it has not been asked for yet.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
        >>> certificate = lump(chain).certificate()
        >>> print(certificate.verify(chain))
        ordinary, proved: Q V = V Q^ holds exactly, and no two of 2 blocks can be merged
        """
        return certify(self, __version__)

    def player(self, *, title: str | None = None) -> Player:
        """Return the lumping as a page that plays it step by step in a browser; see `Player`.

        Parameters
        ----------
        title : str, optional

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> lump(land_of_oz()).player(title="The weather")
        Player('The weather')
        """
        return display.player(self, title=title)

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def _repr_svg_(self) -> str | None:
        return display.svg(self)

    @staticmethod
    def _read(vector: Any, model: MarkovChain) -> ExactArray:
        return read_vector("the vector", vector, model.states, 0)[0]

    def __repr__(self) -> str:
        stats = self.stats
        return f"Lumping({self.kind.name}: {stats.states} states -> {stats.blocks} blocks, {stats.proof})"


@lump.register
def lump_chain(
    chain: MarkovChain,
    *,
    kind: str | None = None,
    respect: Iterable[str] | str | None = None,
    initial: Any = None,
    engine: Engine = "auto",
    progress: Progress | None = None,
) -> Lumping:
    """Compute the coarsest lumping of a chain and its quotient, exactly.

    Parameters
    ----------
    chain : CTMC or DTMC
    kind : str
        "ordinary" by default.
    respect : iterable of str, optional
        What may not be mixed in a block, see `MarkovChain.respected`: by default all labels and
        rewards.  Pass ``()`` for nothing.
    initial : anything `Partition.of` takes, optional
        A partition of states that must be refined as well.
    engine : {"auto", "reference", "worklist", "kernel"}
        All give the same answer.
    progress : callable, optional
        Called with (blocks so far, states); raising from it stops the computation.

    Returns
    -------
    Lumping

    Warns
    -----
    TrivialLumping
        If nothing that is respected tells states apart and the answer is a single block.

    Notes
    -----
    O(m log n) for n states and m transitions, plus the quotient.
    """
    started = time.perf_counter()
    chosen = find_kind(kind or "ordinary")
    seen = with_respected_rewards(chain, keeps_jumps=chosen.keeps_jumps)
    distinctions = seen.distinctions(chosen.respects if respect is None else respect)
    respected = Partition.by(chain.n, distinctions)
    if initial is not None:
        respected = respected.meet(_read_partition(initial, chain))
    conditions = chosen.conditions(chain)
    refinement = chosen.coarsest(conditions, respected, engine=engine, progress=progress)
    partition = refinement.partition
    if not refinement.proved:
        witness = chosen.witness(conditions, partition)
        if witness is not None:
            raise LumpabilityError(
                f"internal error: the {refinement.engine} engine returned an unstable partition "
                f"({witness}); please report it with the model",
                witness=witness,
            )
    if len(partition) == 1 < chain.n and len(respected) == 1:
        warnings.warn(
            "nothing that is respected tells states apart, so all fall into one block: give labels, "
            "rewards or initial=... to say which states must stay apart",
            TrivialLumping,
            stacklevel=3,
        )
    matrix = chosen.quotient(chain, conditions, partition)
    kappa = chosen.factors(conditions, partition)
    quotient, dropped = _quotient_chain(seen, matrix, partition, kappa, distinctions)
    stats = Stats(
        states=chain.n,
        transitions=chain.matrix.m,
        blocks=quotient.n,
        block_transitions=quotient.matrix.m,
        initial_blocks=len(respected),
        engine=refinement.engine,
        seconds=time.perf_counter() - started,
        proof=f"{chosen.identity(chain)} holds exactly",
        dropped=dropped,
    )
    return Lumping(chain, chosen, partition, quotient, stats, respected, kappa)


@check.register
def check_chain(
    chain: MarkovChain, partition: Any, *, kind: str | None = None, kappa: Any = None
) -> Verdict:
    """Decide exactly whether a partition is a lumping of a chain.

    Parameters
    ----------
    chain : CTMC or DTMC
    partition : anything `Partition.of` takes
    kind : str
        "ordinary" by default.
    kappa : array_like or mapping from states, shape (n,), optional
        For "proportional" only: check it with these factors, rather than with any.

    Returns
    -------
    Verdict
        Its witness, a `Witness`, names two states of one block, a block and two different sums; its
        `explanation`, a `Step`, has the transitions behind them (not if `kappa` is given).

    Raises
    ------
    InvalidPartition
        If the partition does not fit the chain.
    InvalidInput
        For `kappa` with another kind, or a factor that is not positive.

    Notes
    -----
    O(m) exact additions.
    """
    chosen = find_kind(kind or "ordinary")
    blocks = _read_partition(partition, chain)
    if kappa is None:
        return _explained(chosen.verdict(chain, blocks), chain, chosen, blocks)
    if not isinstance(chosen, Proportional):
        raise InvalidInput(f"{chosen.name} lumping has no kappa: use kind='proportional'")
    factors, _ = read_vector("kappa", kappa, chain.states, 0)
    return chosen.verdict_with(chain, blocks, factors)


def _explained(verdict: Verdict, chain: MarkovChain, kind: Kind, partition: Partition) -> Verdict:
    """Add the transitions behind the sums of a witness; weak lumpability has one of another sort."""
    if not isinstance(verdict.witness, Witness):
        return verdict
    step = explain_witness(chain, kind, partition, verdict.witness)
    return replace(verdict, explanation=step)


def _read_partition(partition: Any, chain: MarkovChain) -> Partition:
    return Partition.of(partition, states=chain.states)


def _quotient_chain(
    chain: MarkovChain,
    matrix: WeightedStructure,
    partition: Partition,
    kappa: ExactArray | None,
    distinctions: list[np.ndarray[Any, Any]],
) -> tuple[MarkovChain, tuple[str, ...]]:
    """Build the chain on blocks, with what of labels and rewards is constant on them.

    What was respected is, and need not be looked at.

    Where states are scaled, time in the quotient is not time in the chain, so rewards have no meaning.
    """
    first = partition.representatives
    same_time = kappa is None or all(factor == 1 for factor in kappa.values)
    dropped: list[str] = []

    def constant(sort: str, name: str, codes: np.ndarray[Any, Any]) -> bool:
        same = len(first) == len(codes) or any(codes is known for known in distinctions)
        same = same or bool(np.array_equal(codes[first][partition.labels], codes))
        if not same:
            dropped.append(f"{sort}:{name}")
        return same

    labels = {n: mask[first] for n, mask in chain.labels.items() if constant("label", n, mask)}
    rewards = {
        name: reward.map(lambda part: part.take(first))
        for name, reward in chain.rewards.items()
        if same_time and all(constant("reward", name, part.codes) for part in reward.parts)
    }
    if not same_time:
        dropped.extend(f"reward:{name}" for name in chain.rewards)
    quotient = chain.rebuilt(
        matrix,
        states=block_names(chain.states, partition),
        labels=labels,
        rewards=rewards,
        initial=None if chain.initial is None else project(chain.initial, partition),
        validate=False,  # the identity that was proved makes its rows sum as they must
    )
    return quotient, tuple(dict.fromkeys(dropped))
