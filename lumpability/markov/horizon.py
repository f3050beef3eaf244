"""Lumping for finitely many steps: after k rounds of refinement, states of one block agree on all within k steps.

Let P_0 be the initial partition, and let P_i split every block of P_(i-1) by the sums of probabilities into the
blocks of P_(i-1).  For a state x of the block B of P_i the sums p(x, C) into the blocks C of P_(i-1) depend on B alone.
These are the matrices M_i of the *quotient sequence*, and a function of blocks g on P_0 has after i steps the
expectation

    E_x g(X_i) = (M_i M_(i-1) ... M_1 g)(B),     x in B.

In the same way the targets that are reached within i steps, and the rewards of i steps, follow from blocks.  P_k has
at most as many blocks as the coarsest lumping, which is what remains for large k, and often far fewer.  Values of
i steps are constant on blocks of P_k too, so that the rows of its first members, up to k times, give the same answers.

A chain in continuous time is uniformised, P = I + Q / L with the largest exit rate L; the number of its steps until t is
Poisson distributed with mean L t.  What happens after more than k steps is bounded by its probability, between
rationals (`certificate.bounds.poisson`).

Kamaleson, Parker and Rowe, "Finite-horizon bisimulation minimisation for probabilistic systems", 2016.  Cost: k rounds
of exact sums, each for the predecessors of what was split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from lumpability.certificate.bounds.recursion import poisson_mixtures
from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov.approximate.tolerance import read_steps, read_time, require_numbers
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earned_rewards import earning_rates, with_respected_rewards
from lumpability.markov.horizon_steps import Enclosure, Step, step_between, uniformised
from lumpability.markov.kinds import find_kind
from lumpability.markov.respected import respected_names
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import Stats, pull_back
from lumpability.refinement import Progress
from lumpability.refinement.exact_rounds import Levels
from lumpability.vocabulary import count

Array = np.ndarray[Any, Any]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_MANY = 1000
_ONE = 1 << 96  # values are integers over it


@dataclass(frozen=True, eq=False, repr=False)
class HorizonLumping:
    """The partitions of a chain that agree on everything within finitely many steps, and their quotients.

    Attributes
    ----------
    chain : CTMC or DTMC
    horizon : int
        Number of steps; for a CTMC of the uniformised chain.
    partitions : tuple of Partition
        P_0, P_1 and so on, up to the horizon, or to the coarsest lumping if that comes first.
    steps : tuple of Step
        M_1, M_2 and so on: `step` has them by number.
    rate : Fraction or None
        The rate L of the uniformised chain, in 1/time; None for a DTMC.
    seconds : float
        Time for everything from the chain to the quotient sequence.

    Examples
    --------
    >>> from lumpability import DTMC, lump
    >>> half = ["1/2"] * 5
    >>> moves = {(i, i + d): "1/2" for i in range(1, 6) for d in (-1, 1)} | {(0, 0): 1, (6, 6): 1}
    >>> walk = DTMC.from_rates(moves, states=range(7), labels={"won": [6], "lost": [0]})
    >>> small = lump(walk, horizon=1)
    >>> small
    HorizonLumping(7 states -> 5 blocks within 1 step)
    >>> small.reached("won")
    ExactArray([0, 0, 0, 0, 0, 1/2, 1])
    """

    domain: ClassVar[str] = "chain"
    kind: ClassVar[str] = "horizon"

    chain: MarkovChain
    horizon: int
    partitions: tuple[Partition, ...]
    steps: tuple[Step, ...]
    rate: Fraction | None = None
    seconds: float = 0.0

    @property
    def stats(self) -> Stats:
        """Sizes and time, as every lumping has them; transitions of blocks are those of the last step.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> stats = lump(DTMC([[0, 1], [1, 0]], labels={"a": [0]}), horizon=5).stats
        >>> stats.blocks, stats.proof
        (2, 'agrees on everything within 5 steps')
        """
        return Stats(
            self.chain.n,
            self.chain.matrix.m,
            len(self.partition),
            len(self.steps[-1].indices) if self.steps else 0,
            len(self.partitions[0]),
            "rounds",
            self.seconds,
            f"agrees on everything within {count(self.horizon, 'step')}",
        )

    @property
    def partition(self) -> Partition:
        """The partition that agrees on everything up to the horizon.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> lump(DTMC([[0, 1], [1, 0]], labels={"a": [0]}), horizon=5).partition
        Partition([[0], [1]])
        """
        return self.partitions[-1]

    @property
    def is_lumping(self) -> bool:
        """Whether further rounds split nothing: the partition is then the coarsest ordinary lumping.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> lump(DTMC([[0, 1], [1, 0]], labels={"a": [0]}), horizon=5).is_lumping
        True
        """
        return len(self.steps) == len(self.partitions)

    def step(self, number: int) -> Step:
        """Return M_i, from the blocks that agree on i steps to those that agree on i - 1.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> small = lump(DTMC([[0, 1], [1, 0]], labels={"a": [0]}), horizon=5)
        >>> small.step(4).row(0)
        [(1, Fraction(1, 1))]
        """
        if not 1 <= number <= self.horizon:
            raise InvalidInput(f"steps are numbered from 1 to {self.horizon}, not {number}")
        return self.steps[min(number, len(self.steps)) - 1]

    def probability(
        self, of: str, *, steps: int | None = None, time: Any = None
    ) -> ExactArray | Enclosure:
        """Return the probability to be in the states of a label after some steps, or at a time, from every state.

        Parameters
        ----------
        of : str
            A label that was respected.
        steps : int, optional
            For a DTMC; the horizon by default.
        time : number
            For a CTMC.

        Returns
        -------
        ExactArray or Enclosure, shape (n,)
            In exact arithmetic for a DTMC.  For a CTMC between two ends, whose distance is at most the probability
            of more steps than the horizon.

        Raises
        ------
        InvalidInput
            If there is no such label, the number of steps is beyond the horizon, or the time is missing or negative.
        NotJustified
            If blocks mix states with the label and others.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([["1/2", "1/2"], [1, 0]], labels={"a": [0]})
        >>> lump(chain, horizon=2).probability("a")
        ExactArray([3/4, 1/2])
        """
        return self._answer(of, steps, time, held=False)

    def reached(
        self, target: str, *, steps: int | None = None, time: Any = None
    ) -> ExactArray | Enclosure:
        """Return the probability to reach the states of a label within some steps, or until a time.

        Parameters, results and errors are those of `probability`.

        Examples
        --------
        >>> from lumpability import CTMC, lump
        >>> chain = CTMC([[0, 1], [0, 0]], labels={"done": [1]})
        >>> found = lump(chain, horizon=20).reached("done", time=1)
        >>> [float(end[0]) for end in (found.lower, found.upper)]
        [0.632120558828557..., 0.632120558828557...]
        """
        return self._answer(target, steps, time, held=True)

    def earned(self, reward: str, *, steps: int | None = None) -> ExactArray:
        """Return the expected reward of the first steps of a DTMC, from every state, in exact arithmetic.

        Raises
        ------
        InvalidInput
            If there is no such reward, or the number of steps is beyond the horizon.
        NotJustified
            For a CTMC; or if blocks mix states with different rewards.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([["1/2", "1/2"], [1, 0]], rewards={"cost": [1, 0]})
        >>> lump(chain, horizon=2).earned("cost")
        ExactArray([3/2, 1])
        """
        if self.rate is not None:
            raise NotJustified(
                "rewards of uniformised steps are not rewards until a time: ask chains in discrete time"
            )
        of_states = earning_rates(self.chain, reward)
        self._require_respected(of_states.codes, f"reward {reward!r}")
        earning: Array = np.array(
            list(of_states.take(self.partition.representatives)), dtype=object
        )
        values = 0 * earning
        for _ in range(self._number(steps)):
            sums, factor = self._last.sums(values)
            values = sums / factor + earning
        return self._pulled_back(list(values))

    def _indicator(self, label: str) -> Mask:
        """Return which blocks have a label."""
        if label not in self.chain.labels:
            known = ", ".join(self.chain.labels) or "none"
            raise InvalidInput(f"there is no label {label!r}; the chain has {known}", label=label)
        mask: Mask = self.chain.labels[label]
        self._require_respected(mask.astype(np.int64), f"label {label!r}")
        found: Mask = mask[self.partition.representatives]
        return found

    def _require_respected(self, codes: Array, what: str) -> None:
        start = self.partitions[0]
        if not np.array_equal(codes[start.representatives][start.labels], codes):
            raise NotJustified(
                f"the {what} was not respected, and blocks mix its states with others"
            )

    def _pulled_back(self, values: list[Fraction]) -> ExactArray:
        return pull_back(ExactArray.of_values(np.arange(len(values)), values), self.partition)

    @cached_property
    def _last(self) -> Step:
        """The probabilities between blocks, by first members: they serve all steps, as values of i steps agree on P_i."""
        if self.is_lumping:
            return self.steps[-1]
        return step_between(uniformised(self.chain)[0], self.partition, self.partition)

    def _number(self, steps: int | None) -> int:
        if steps is None:
            return self.horizon
        steps = read_steps(steps, "number")
        if steps > self.horizon:
            raise InvalidInput(
                f"blocks agree on {self.horizon} steps, not on {steps}: lump with horizon={steps}",
                steps=steps,
            )
        return steps

    def _answer(
        self, label: str, steps: int | None, time: Any, *, held: bool
    ) -> ExactArray | Enclosure:
        """Return the probability of a label, or of having been there if it is held."""
        start = self._indicator(label)
        if self.rate is not None:
            if time is None or steps is not None:
                raise InvalidInput("a chain in continuous time has times: give time=...")
            return self._until(start, read_time(time), held)
        if time is not None:
            raise InvalidInput("a chain in discrete time has steps: give steps=...")
        values, scale = start.astype(int).astype(object), 1
        for _ in range(self._number(steps)):
            values, factor = self._last.sums(values)
            scale *= factor
            values = np.where(start, scale, values) if held else values
        return self._pulled_back([Fraction(value, scale) for value in values])

    def _until(self, start: Mask, time: Fraction, held: bool) -> Enclosure:
        """Mix the values after all numbers of steps with bounds of their Poisson probabilities."""
        assert self.rate is not None
        mean = self.rate * time
        if mean > 4 * self.horizon + _MANY:  # so few steps are improbable, and say nothing
            once = self._pulled_back([Fraction(held and x) for x in start.tolist()])
            return Enclosure(once, ExactArray.constant(Fraction(1), self.chain.n))
        ends = []
        for sign in (-1, 1):
            first = sign * _ONE * start.astype(int).astype(object)

            def step(values: Array, first: Array = first) -> Array:
                sums, factor = self._last.sums(values)
                sums = -(-sums // factor)
                return np.where(start, first, sums) if held else sums

            (found,), _ = poisson_mixtures(step, first, [mean], self.horizon)
            clipped = [min(max(sign * value / _ONE, Fraction(0)), Fraction(1)) for value in found]
            ends.append(self._pulled_back(clipped))
        return Enclosure(*ends)

    def __repr__(self) -> str:
        blocks = f"{self.chain.n} states -> {len(self.partition)} blocks"
        return f"HorizonLumping({blocks} within {count(self.horizon, 'step')})"


def lump_to_horizon(
    chain: MarkovChain,
    *,
    horizon: int,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    progress: Progress | None = None,
) -> HorizonLumping:
    """Return the partitions that agree on 0, 1, 2, ... steps; see `lumpability.lump`."""
    started = perf_counter()
    horizon = read_steps(horizon, "horizon")
    require_numbers(chain)
    names = find_kind("ordinary").respects if respect is None else respect
    seen = with_respected_rewards(chain, keeps_jumps=False)
    start = Partition.by(chain.n, seen.distinctions(respected_names(chain, names, ignore)))
    if within is not None:
        start = start.meet(Partition.of(within, states=chain.states))
    matrix, rate = uniformised(chain)
    levels = Levels([matrix], start)
    reached = 0
    while reached < horizon and levels.advance(reached + 1) > reached:
        reached += 1
        if progress is not None:
            progress(len(np.unique(levels.all_labels(reached))), chain.n)
    partitions = [Partition(levels.all_labels(i)) for i in range(reached + 1)]
    pairs = [(fine, coarse) for coarse, fine in pairwise(partitions)]
    if reached < horizon:
        pairs.append((partitions[-1], partitions[-1]))
    steps = tuple(step_between(matrix, fine, coarse) for fine, coarse in pairs)
    seconds = perf_counter() - started
    return HorizonLumping(chain, horizon, tuple(partitions), steps, rate, seconds)
