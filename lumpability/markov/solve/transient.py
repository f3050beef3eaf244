"""The distribution of a chain at given times: uniformization for CTMCs, powers for DTMCs.

With a rate L at least as large as every exit rate, P = I + Q/L is stochastic and
p(t) = sum over k of e^(-Lt) (Lt)^k / k!  p(0) P^k (Jensen 1953).  The sum is truncated on both sides, so that the
omitted Poisson weights add up to at most epsilon (`lumpability.markov.solve.poisson`).  Where steps would not end,
small matrices are squared (`lumpability.markov.solve.squaring`).

The stated bound holds for the whole error in the L1 norm.  Each of its parts is proved: the omitted weights; the
rounding of the others, whose ratios are exact to two units; the rounding of each step, which later steps do not
increase, because P does not increase the L1 norm; and, if steps are saved, the distance from a stationary vector
mu, which later steps do not increase either, because (v - mu) P = v P - mu.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.solve.limits import Limit
from lumpability.markov.solve.poisson import (
    UNIT,
    Window,
    poisson_distance,
    poisson_reach,
    poisson_window,
)
from lumpability.markov.solve.solution import Floats, Progress, Solution
from lumpability.markov.solve.squaring import by_squaring
from lumpability.markov.solve.vectors import initial_of, read_time
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.structure import WeightedStructure

_EXACT_UP_TO, _EXACT_STEPS, _EXACT_BITS = 64, 1000, 200_000
_CHECK_FROM, _CHECK_EVERY = 1000, 50  # steps
MAX_STEPS = 10_000_000
_PATIENCE = 20_000  # steps, and eight for each state, before a limit that is far makes them end
_SQUARED = 64  # states
_FASTER = 1.0625  # times the largest exit rate, so that every state has a self-loop, which prevents oscillation


class Steps:
    """The distributions of a chain after 0, 1, 2, ... steps in floating point, with bounds on their errors.

    Parameters
    ----------
    chain : CTMC or DTMC
        A CTMC is uniformized.
    start : ExactArray, shape (n,)
    tolerance : float
        The distance from a stationary vector at which steps end.

    Attributes
    ----------
    rate : float
        Of uniformization; 1 for a DTMC.
    vector : array of float, shape (n,)
    error : float
        Bound on the error of `vector` in the L1 norm.
    still : bool
        Whether the vectors of all steps to come are known; see `coming`.
    needed : float
        An estimate of the steps until then; infinite if they do not seem to end.
    """

    def __init__(self, chain: MarkovChain, start: ExactArray, tolerance: float) -> None:
        self._chain, self._tolerance = chain, tolerance
        self._jumps, self.rate = _jumps(chain)
        self.vector, self.error, self.done = start.to_floats(), chain.n * 2.0**-1000 + UNIT, 0
        degrees = (
            np.diff(chain.matrix.indptr).max(initial=0),
            np.diff(self._jumps.indptr).max(initial=0),
        )
        # Rounding of rows when they are made, and of sums when they are multiplied and normalised.
        self._each = 2 * (int(degrees[0]) + int(degrees[1]) + 8) * UNIT
        self.still, self.needed = self.rate == 0, 0.0
        self._watch, self._mark, self._limit = False, (0, 2.0), Limit(chain)

    def expect(self, total: float) -> None:
        """Announce the largest number of steps; if it is large, check whether the vector still changes."""
        self._watch = total > _CHECK_FROM

    def advance(self) -> None:
        """Make a step."""
        if self.still:
            return
        vector = self._jumps @ self.vector
        self.vector = vector / vector.sum()
        self.error += self._each
        self.done += 1
        if self._watch and self.done % _CHECK_EVERY == 0:
            self._look()

    def _look(self) -> None:
        """End the steps if a limit is near; estimate how many more it takes."""
        if not self._limit.exists:
            self._watch, self.needed = False, math.inf
            return
        limit, distance, error = self._limit.near(self.vector)
        if distance <= self._tolerance:
            self.vector, self.error, self.still = limit, self.error + error, True
        elif self.done >= 2 * self._mark[0]:
            before, further = self._mark
            shrinking = math.log(max(further / distance, 1.0)) / (self.done - before)
            self.needed = (
                math.log(distance / self._tolerance) / shrinking if shrinking else math.inf
            )
            self._mark = self.done, distance

    def coming(self, steps: float) -> tuple[Floats, Floats, float]:
        """Return the sum of the vectors of the coming steps, the vector after them, and a bound on each one's error.

        Only once they are still; with a period they come again and again.
        """
        period = self._limit.period if self.done else 1
        if period == 1:
            return steps * self.vector, self.vector, self.error
        total, vector, after = np.zeros(len(self.vector)), self.vector, self.vector
        for place in range(period):
            total += (steps + period - 1 - place) // period * vector
            after = vector if place == steps % period else after
            vector = self._jumps @ vector
        return total, after, self.error + period * self._each


def _jumps(chain: MarkovChain) -> tuple[Any, float]:
    """Return the transposed matrix of jumps, for a CTMC (I + Q/L)^T, as a csr_array, and the rate L."""
    from scipy.sparse import diags_array

    if not isinstance(chain, CTMC):
        return chain.matrix.to_scipy().T.tocsr(), 1.0
    rates = chain.matrix.without_diagonal().to_scipy()
    exits = rates.sum(axis=1)
    fastest = float(exits.max(initial=0.0))
    if fastest == 0:
        return diags_array(np.ones(chain.n)).tocsr(), 0.0
    rate = _FASTER * fastest
    return (rates / rate + diags_array(1 - exits / rate)).T.tocsr(), rate


@dataclass(frozen=True)
class _Effort:
    epsilon: float
    max_steps: int
    progress: Progress | None

    def advance(self, steps: Steps, total: float) -> None:
        """Make a step, unless there were too many, or will be."""
        refuse_slow(steps, total, self.max_steps)
        steps.advance()
        if self.progress is not None:
            self.progress(steps.done, int(total))


def refuse_slow(steps: Steps, total: float, max_steps: int = MAX_STEPS) -> None:
    """Raise `SizeLimit` if there were too many steps, or as soon as too many are to be expected."""
    slow = total > max_steps and steps.done >= _PATIENCE + 8 * len(steps.vector)
    if steps.done >= max_steps or (slow and steps.needed > 4 * max_steps):
        raise SizeLimit(
            f"about {total:.3g} steps are needed, more than max_steps={max_steps}, and after {steps.done} "
            "the chain still moves: raise it, or use the stationary distribution if the time is long enough",
            steps=total,
        )


def transient(
    chain: MarkovChain,
    time: Any,
    *,
    initial: Any = None,
    epsilon: float = 1e-10,
    exact: bool | None = None,
    max_steps: int = MAX_STEPS,
    progress: Progress | None = None,
) -> Any:
    """Return the distribution at a time, or at each of several times.

    Parameters
    ----------
    chain : CTMC or DTMC
    time : number, or sequence of numbers
        Not negative; numbers of steps for a DTMC.  Several are answered in one pass.
    initial : state, mapping or array, optional
        The chain's own initial distribution by default.
    epsilon : float
        Largest truncation error (sum of absolute values), between 0 and 1.
    exact : bool, optional
        For a DTMC: exact arithmetic, the default up to 64 states and 1000 steps unless numbers become very long, and
        with parameters.
    max_steps : int
        Largest number of multiplications; beyond it chains of up to 64 states are squared.
    progress : callable, optional
        Called with (steps done, steps in all); an exception from it stops the computation.

    Returns
    -------
    Solution, or a list of them in the order of the times
        Its `error_bound` holds for the whole error in the sum of absolute values, rounding included.  It
        exceeds epsilon if very many steps are rounded.

    Raises
    ------
    InvalidInput
        For a negative time, a DTMC at a fraction of a step, or exact arithmetic for a CTMC.
    SizeLimit
        If more than `max_steps` multiplications are needed, and squaring is no way out; as soon as this is to be
        expected.

    Notes
    -----
    O(m) for each step: about L t + 7 sqrt(L t) of them for a CTMC with largest exit rate L, or fewer if
    it is stationary before.  Up to 64 states the alternative is `lumpability.markov.solve.squaring`.

    Examples
    --------
    >>> from lumpability import CTMC, DTMC
    >>> transient(DTMC([[0, 1], ["1/2", "1/2"]], initial=0), 3).values
    ExactArray([1/4, 3/4])
    >>> [x.error_bound < 1e-9 for x in transient(CTMC([[0, 1], [1, 0]], initial=0), [0.5, 1e9])]
    [True, True]
    """
    start = initial_of(chain, initial)
    several = isinstance(time, Sequence | np.ndarray) and not isinstance(time, str)
    times = [read_time(t) for t in (time if several else [time])]
    if not 0 < epsilon < 1:
        raise InvalidInput(f"epsilon must lie between 0 and 1, not {epsilon}", epsilon=epsilon)
    effort = _Effort(epsilon, max_steps, progress)
    if exact and isinstance(chain, CTMC):
        raise InvalidInput(
            "probabilities of a CTMC at a given time are not rational: leave exact=True out"
        )
    try:
        if isinstance(chain, CTMC):
            found = _uniformization(chain, start, [float(t) for t in times], effort)
        else:
            found = _powers(chain, start, times, exact, effort)
    except SizeLimit:
        if exact or chain.n > _SQUARED or not chain.is_rational or not start.is_rational:
            raise
        limit = Limit(chain)
        found = [by_squaring(chain, start, t, limit, epsilon / 4) for t in times]
    named = [replace(solution, states=chain.states) for solution in found]
    return named if several else named[0]


def _uniformization(
    chain: CTMC, start: ExactArray, times: list[float], effort: _Effort
) -> list[Solution]:
    epsilon = effort.epsilon
    steps = Steps(chain, start, epsilon / 4)
    means = [steps.rate * t for t in times]
    total = max((poisson_reach(mean, epsilon / 4)[1] for mean in means if mean), default=0)
    steps.expect(total)
    waiting = sorted(range(len(times)), key=lambda i: means[i])
    open_ones: list[
        tuple[int, Window, Floats, list[float]]
    ] = []  # with errors, mixed as the vectors
    found: dict[int, Solution] = {}
    while len(found) < len(times):
        while waiting and (
            steps.still or poisson_reach(means[waiting[0]], epsilon / 4)[0] <= steps.done
        ):
            i = waiting.pop(0)
            if steps.still:
                error = steps.error + epsilon / 2
                found[i] = Solution(
                    steps.vector, "uniformization", error_bound=error, iterations=steps.done
                )
            else:
                open_ones.append(
                    (i, poisson_window(means[i], epsilon / 4), np.zeros(chain.n), [0.0])
                )
        for item in list(open_ones):
            i, window, sums, mixed = item
            place = steps.done - window.first
            # Once the vector no longer changes, all remaining weights belong to the same vector.
            weight = float(window.weights[place:].sum() if steps.still else window.weights[place])
            sums += weight * steps.vector
            mixed[0] += weight * steps.error
            if steps.still or steps.done == window.last:
                # The mean and the mixture are rounded too.
                bound = mixed[0] + window.error + poisson_distance(means[i], 8 * UNIT)
                bound += 2 * len(window.weights) * UNIT
                found[i] = Solution(
                    sums, "uniformization", error_bound=bound, iterations=steps.done
                )
                open_ones.remove(item)
        if len(found) < len(times):
            effort.advance(steps, total)
    if effort.progress is not None:
        effort.progress(total, total)
    return [found[i] for i in range(len(times))]


def _powers(
    chain: MarkovChain, start: ExactArray, times: list[Any], exact: bool | None, effort: _Effort
) -> list[Solution]:
    for t in times:
        if int(t) != t:
            raise InvalidInput(f"a DTMC has no state after {t} steps: give a whole number")
    total = max((int(t) for t in times), default=0)
    if exactly(chain, start, total, exact):
        if total > effort.max_steps:
            raise SizeLimit(
                f"{total} steps are more than max_steps={effort.max_steps}", steps=total
            )
        wanted, kept = set(times), {}
        vectors = distributions(chain, start, total, progress=effort.progress)
        for done, vector in enumerate(vectors):
            if done in wanted:
                kept[done] = Solution(vector, "exact", iterations=done)
        return [kept[t] for t in times]
    steps, found = Steps(chain, start, effort.epsilon), {}
    steps.expect(total)
    for t in sorted(times):
        while steps.done < t and not steps.still:
            effort.advance(steps, total)
        now, error = steps.vector, steps.error
        if steps.still:
            _, now, error = steps.coming(int(t) - steps.done)
        found[t] = Solution(now, "powers", error_bound=error, iterations=steps.done)
    return [found[t] for t in times]


def exactly(chain: MarkovChain, start: ExactArray, steps: int, exact: bool | None = None) -> bool:
    """Whether this number of steps is computed in exact arithmetic, unless `exact` says it."""
    if not (chain.is_rational and start.is_rational):
        return True
    if exact is not None:
        return exact
    few = chain.n <= _EXACT_UP_TO and steps <= _EXACT_STEPS
    # Every step may multiply the denominators by the common one.
    return few and chain.matrix.weights.is_within(_EXACT_BITS // max(steps, 1))


def distributions(
    chain: MarkovChain, start: ExactArray, steps: int, *, progress: Progress | None = None
) -> Iterator[ExactArray]:
    """Yield the distributions of a DTMC after 0, 1, ..., `steps` steps, exactly."""
    yield start
    for step in range(steps):
        start = multiply_exactly(start, chain.matrix)
        yield start
        if progress is not None:
            progress(step + 1, steps)


def multiply_exactly(vector: ExactArray, matrix: WeightedStructure) -> ExactArray:
    """Return the product of a row vector and a matrix, exactly; O(m).

    >>> from lumpability import DTMC
    >>> vector, _ = ExactArray.read(["1/2", "1/2"])
    >>> multiply_exactly(vector, DTMC([[0, 1], ["1/3", "2/3"]]).matrix)
    ExactArray([1/6, 5/6])
    """
    products = vector.take(matrix.sources()).combine(matrix.weights, operator.mul)
    rows = np.zeros(matrix.m, dtype=np.int64)
    _, columns, sums = sum_entries((1, matrix.n), rows, matrix.indices, products)
    zero = vector.values[0] - vector.values[0] if len(vector) else 0
    dense = np.zeros(matrix.n, dtype=np.int64)
    dense[columns] = sums.codes.astype(np.int64) + 1
    return ExactArray.of_values(dense, [zero, *sums.values])
