"""The lumping of a chain: a partition, the quotient, and what can be computed from them.

Vectors are carried to the quotient and back where the theory justifies it.  Histories of splits,
explanations, near misses, special cases of parameters and certificates are made on request.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lumpability.errors import NotJustified
from lumpability.markov.blocks import Blocked
from lumpability.markov.chains import MarkovChain
from lumpability.markov.kinds import KINDS
from lumpability.markov.kinds.kind import Kind
from lumpability.notebook_hooks import Played
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import Stats, collapse
from lumpability.refinement import split_history
from lumpability.split_history import History
from lumpability.version import __version__
from lumpability.vocabulary import missing_attribute

if TYPE_CHECKING:  # methods import what they alone need, which halves the time to start
    from lumpability.certificate import Certificate
    from lumpability.markov.approximate.merging import MergingTolerance
    from lumpability.markov.coarser_when import SpecialCase
    from lumpability.markov.distinguishing import Separation
    from lumpability.markov.explanation import Explanation
    from lumpability.markov.near_misses import NearMiss


@dataclass(frozen=True, eq=False, repr=False)
class Lumping(Blocked, Played):
    """The coarsest lumping of a chain.

    Attributes
    ----------
    chain : CTMC or DTMC
    notion : Kind
        The kind of the lumping, as an object; `kind` is its name.
    partition : Partition
        Block numbers are the states of the quotient, in order.
    quotient : CTMC or DTMC
    stats : Stats
    respected : Partition
        The initial partition: states in different blocks of it may not share a block.
    factors : ExactArray or None, shape (n,)
        For "proportional", the factor kappa(s) of every state: q(s, C) = kappa(s) Q^[B, C] for s in B != C.
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
    notion: Kind
    partition: Partition
    quotient: MarkovChain
    stats: Stats
    respected: Partition
    factors: ExactArray | None = None

    @property
    def kind(self) -> str:
        """Name of the kind.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> lump(DTMC([[0, 1], [1, 0]], labels={"start": [0]}), kind="exact").kind
        'exact'
        """
        return self.notion.name

    def lift(self, vector: Any) -> ExactArray:
        """Spread block probabilities, at any time, over states, where the theory justifies it.

        Parameters
        ----------
        vector : array_like or mapping from blocks, shape (k,)

        Raises
        ------
        NotJustified
            If the theory does not justify it for this kind, or the chain does not start uniformly inside
            blocks; the message says why.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], initial=0)
        >>> lumping = lump(chain, kind="exact")
        >>> lumping.partition, lumping.lift(["1/3", "2/3"])
        (Partition([[0], [1, 2]]), ExactArray([1/3, 1/3, 1/3]))
        """
        return self.notion.lift(self._read(vector, self.quotient), self.chain, self.partition)

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
        return self.notion.lift_stationary(
            self._read(vector, self.quotient), self.chain, self.partition
        )

    def project_stationary(self, vector: Any) -> ExactArray:
        """Return the stationary distribution of the quotient, given one of the chain.

        The sum over blocks; for "proportional" states are weighted with their `factors` kappa:
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
        return self.notion.project_stationary(
            self._read(vector, self.chain), self.partition, self.factors
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
        from lumpability.markov.coarser_when import special_cases

        return special_cases(
            self.chain, self.notion, self.respected, self.partition, max_blocks=max_blocks
        )

    @cached_property
    def history(self) -> History:
        """The splits that prove the partition the coarsest, computed at the first access.

        Nodes are unions of blocks of `partition`; see `History`.  O(m log k) on the quotient of k
        blocks and m transitions, for any engine.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2}, labels={"goal": ["c"]})
        >>> history = lump(chain).history
        >>> history.roots, [history.blocks(node) for node in range(4)], history.sums
        (2, [[0, 2], [1], [0], [2]], ExactArray([-1, -2]))
        """
        conditions = self.notion.conditions(self.chain)
        return split_history(
            [collapse(condition.matrix, self.partition) for condition in conditions],
            self.respected.restrict(self.partition.representatives),
            normal=self.notion.normal,
        )

    @cached_property
    def _separation(self) -> Separation:
        from lumpability.markov.distinguishing import Separation

        return Separation(self.chain, self.notion, self.partition, self.respected)

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
        2. c is in {c}, a is not: c has the label 'goal', a does not
        holds in a, not in d: ¬(out(goal) ≥ 2)
        """
        from lumpability.markov.explain import explain, state_number

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

        Warns
        -----
        UserWarning
            If there are none; `tolerance_merging` finds what small changes of many weights would merge.

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
        from lumpability.markov.near_misses import find_near_misses

        return find_near_misses(self._separation, limit)

    def tolerance_merging(self, state: Any, other: Any) -> MergingTolerance:
        """Say at which tolerance two states would share a block, and what that would cost.

        Parameters
        ----------
        state, other : hashable
            Names, or numbers, of states.

        Returns
        -------
        MergingTolerance
            Its ``tolerance``, the approximate ``lumping`` within it, whose ``residual`` is the cost, and the
            residual of merging just the two blocks, ``alone``.

        Raises
        ------
        NotJustified
            For kinds other than "ordinary".
        InvalidInput
            For a chain with parameters, or if there is no such state.

        Notes
        -----
        Refines the quotient for about a dozen tolerances.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
        >>> lumping = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}))
        >>> print(lumping.tolerance_merging("a", "b"))
        a and b share a block at a tolerance of 0.995%: 2 blocks, sums spread by at most 0.99% (1); merged alone, by 0.99%
        >>> print(lumping.tolerance_merging("a", "c"))
        no tolerance merges a and c
        """
        from lumpability.markov.approximate.merging import merging_tolerance
        from lumpability.markov.explain import state_number

        if self.kind != "ordinary":
            raise NotJustified(
                f"a tolerance is for ordinary lumping, not for {self.kind!r}: lump with kind='ordinary'",
                kind=self.kind,
            )
        numbers = (state_number(self.chain.states, given) for given in (state, other))
        return merging_tolerance(self, self.respected, *numbers)

    def certificate(self) -> Certificate:
        """Return a certificate, with which others can check this lumping without trusting the engine.

        It contains the `history`.

        Raises
        ------
        NotJustified
            For a kind that is not of this library, because checkers do not know its identity.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
        >>> certificate = lump(chain).certificate()
        >>> print(certificate.verify(chain))
        ordinary, proved: Q V = V Q^ holds exactly, and no two of 2 blocks can be merged
        """
        from lumpability.certificate.issue import certify
        from lumpability.certificate.kinds import KINDS as CLAIMED

        if self.kind not in CLAIMED or type(KINDS[self.kind]) is not type(self.notion):
            raise NotJustified(
                f"a certificate states one of the kinds {', '.join(CLAIMED)}, whose identities its checkers "
                f"know: {self.kind!r} is your own"
            )
        return certify(self, __version__)

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name)

    def __repr__(self) -> str:
        stats = self.stats
        return (
            f"Lumping({self.kind}: {stats.states} states -> {stats.blocks} blocks, {stats.proof})"
        )
