"""The distribution of a chain at given times: uniformization for CTMCs, powers for DTMCs.

With a rate L at least as large as every exit rate, P = I + Q/L is stochastic and
p(t) = sum over k of e^(-Lt) (Lt)^k / k!  p(0) P^k (Jensen 1953).  The sum is truncated on both sides, so that the
omitted Poisson weights add up to at most epsilon (Fox and Glynn 1988; here by Chernoff's bound).

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

from lumpability.errors import InvalidInput, NoConvergence, SizeLimit
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.solve.solution import Floats, Progress, Solution
from lumpability.markov.solve.stationary import stationary_masses
from lumpability.markov.solve.vectors import initial_of, read_time
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.structure import WeightedStructure

_EXACT_UP_TO, _EXACT_STEPS, _EXACT_BITS = 64, 1000, 200_000
_LARGEST_MEAN = 1e290
_UNIT = 2.0**-53
_CHECK_FROM, _CHECK_EVERY = 1000, 50  # steps
_FASTER = 1.0625  # times the largest exit rate, so that every state has a self-loop, which prevents oscillation


@dataclass(frozen=True)
class Window:
    """The Poisson weights that matter."""

    first: int  # the number of steps that `weights[0]` belongs to
    weights: Floats  # sum to one
    error: float  # bound on the sum of all errors of weights: the omitted ones, and rounding

    @property
    def last(self) -> int:
        """The largest number of steps."""
        return self.first + len(self.weights) - 1

    def later(self) -> Floats:
        """Return the probability of more than k steps, for k from `first` to `last`."""
        return np.append(np.cumsum(self.weights[:0:-1])[::-1], 0.0)


def poisson_reach(mean: float, epsilon: float) -> tuple[int, int]:
    """Return the first and the last number of steps, outside of which the probability is at most epsilon."""
    if not mean < _LARGEST_MEAN:
        raise InvalidInput(
            "the rate times the time is beyond the range of floating point: choose another unit of time"
        )
    log = math.log(2) - math.log(epsilon)
    below, above = math.sqrt(2 * mean * log), log / 3 + math.sqrt(log**2 / 9 + 2 * mean * log)
    return max(0, math.floor(mean - below)), math.ceil(mean + above)


def poisson_window(mean: float, epsilon: float) -> Window:
    """Return the weights of a Poisson distribution, except for a mass of at most `epsilon`.

    >>> window = poisson_window(100.0, 1e-10)
    >>> window.error <= 2.1e-10, window.first > 20, window.last < 190
    (True, True, True)
    """
    if mean == 0:
        return Window(0, np.ones(1), 0.0)
    first, last = poisson_reach(mean, epsilon)
    mode = math.floor(mean)
    up = np.cumprod(mean / np.arange(mode + 1, last + 1, dtype=np.float64))
    down = np.cumprod(np.arange(mode, first, -1, dtype=np.float64) / mean)
    weights = np.concatenate([down[::-1], [1.0], up])
    weights /= weights.sum()
    away = np.abs(np.arange(first, last + 1) - mode)
    rounding = 2 * (2 * float(weights @ away) + len(weights)) * _UNIT
    return Window(first, weights, 2 * epsilon + rounding)


def _poisson_distance(mean: float, relative: float) -> float:
    """Bound the L1 distance of Poisson distributions whose means differ relatively (Adell and Jodra 2006)."""
    return 2 * min(mean * relative, math.sqrt(mean) * relative)


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
        Whether `vector` and `error` hold for all steps to come.
    """

    def __init__(self, chain: MarkovChain, start: ExactArray, tolerance: float) -> None:
        self._chain, self._tolerance = chain, tolerance
        self._jumps, self.rate = _jumps(chain)
        self.vector, self.error, self.done = start.to_floats(), chain.n * 2.0**-1000 + _UNIT, 0
        degrees = (
            np.diff(chain.matrix.indptr).max(initial=0),
            np.diff(self._jumps.indptr).max(initial=0),
        )
        # Rounding of rows when they are made, and of sums when they are multiplied and normalised.
        self._each = 2 * (int(degrees[0]) + int(degrees[1]) + 8) * _UNIT
        self._watch, self.still = False, self.rate == 0

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
        """End the steps if a stationary vector is near."""
        if self.done == _CHECK_EVERY:
            try:
                self._stationary = stationary_masses(self._chain)
            except NoConvergence:
                self._watch = False
                return
        masses, owner, error = self._stationary
        inside = np.bincount(owner, np.where(owner > 0, self.vector, 0.0))
        limit = masses * inside[owner]
        distance = float(np.abs(self.vector - limit).sum()) * (1 + 1e-9)
        if distance <= self._tolerance:
            self.vector = limit / limit.sum()
            self.error += 2 * (distance + error + len(limit) * _UNIT)
            self.still = True


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
        """Make a step, unless there were too many."""
        if steps.done >= self.max_steps:
            raise SizeLimit(
                f"about {total:.3g} steps are needed, more than max_steps={self.max_steps}, and the chain "
                "still moves: raise it, or use the stationary distribution if the time is long enough",
                steps=total,
            )
        steps.advance()
        if self.progress is not None:
            self.progress(steps.done, int(total))


def transient(
    chain: MarkovChain,
    time: Any,
    *,
    initial: Any = None,
    epsilon: float = 1e-10,
    exact: bool | None = None,
    max_steps: int = 10_000_000,
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
        Largest number of multiplications.
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
        If more than `max_steps` multiplications are needed.

    Notes
    -----
    O(m) for each step: about L t + 7 sqrt(L t) of them for a CTMC with largest exit rate L, or fewer if
    it is stationary before.

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
    if isinstance(chain, CTMC):
        if exact:
            raise InvalidInput(
                "probabilities of a CTMC at a given time are not rational: leave exact=True out"
            )
        found = _uniformization(chain, start, [float(t) for t in times], effort)
    else:
        found = _powers(chain, start, times, exact, effort)
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
                bound = mixed[0] + window.error + _poisson_distance(means[i], 8 * _UNIT)
                bound += 2 * len(window.weights) * _UNIT
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
        found[t] = Solution(steps.vector, "powers", error_bound=steps.error, iterations=steps.done)
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
