"""Expected rewards: at a time, up to a time, until a target, in the long run.

A reward earns rho(s) per unit of time in state s (`lumpability.markov.earned_rewards`).  In the long run, a
chain that starts from p(0) spends in s the fraction sum over classes c of P(absorbed in c) pi_c(s) of its
time.  Up to time t it earns the integral of p(u) rho, which by uniformization is
1/L times the sum over k of P(more than k jumps) p(0) P^k rho.
"""

from __future__ import annotations

import math
import operator
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.attributes import Reward
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.earned_rewards import earning_rates
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.markov.solve.hitting import expected_until, hitting_probabilities
from lumpability.markov.solve.poisson import UNIT, poisson_reach, poisson_window
from lumpability.markov.solve.solution import (
    Effort,
    Floats,
    Method,
    Progress,
    Solution,
    choose_method,
)
from lumpability.markov.solve.stationary import stationary_distributions
from lumpability.markov.solve.transient import (
    Steps,
    distributions,
    exactly,
    refuse_slow,
    transient,
)
from lumpability.markov.solve.vectors import initial_of, read_time
from lumpability.numbers.exact_array import ExactArray


def long_run(
    chain: MarkovChain,
    *,
    initial: Any = None,
    method: Method = "auto",
    tolerance: float = 1e-12,
    max_iterations: int = 10_000,
    progress: Progress | None = None,
) -> Solution:
    """Return the fraction of time spent in every state in the long run.

    Parameters
    ----------
    chain : CTMC or DTMC
    initial : state, mapping or array, optional
        The chain's own initial distribution by default; needed if there are several recurrent
        classes.
    method, tolerance, max_iterations, progress
        As for `stationary`.

    Raises
    ------
    NotUnique
        If there are several recurrent classes and no initial distribution.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> long_run(DTMC([[0, "1/3", "2/3"], [0, 1, 0], [0, 0, 1]], initial=0)).values
    ExactArray([0, 1/3, 2/3])
    """
    options: dict[str, Any] = {
        "method": choose_method(chain, method, chain.n),
        "tolerance": tolerance,
        "max_iterations": max_iterations,
        "progress": progress,
    }
    distributions = stationary_distributions(chain, **options)
    if len(distributions) == 1:
        return distributions[0]
    start = initial_of(chain, initial)
    parts, weights, reached = [], [], []
    for states, distribution in zip(recurrent_classes(chain), distributions, strict=True):
        inside = np.zeros(chain.n, dtype=bool)
        inside[states] = True
        reach = hitting_probabilities(chain, inside, **options)
        weights.append(_inner(start, reach.values))
        reached.append(reach)
        parts.append(distribution)
    exact = [part.values for part in parts if isinstance(part.values, ExactArray)]
    if len(exact) == len(parts):
        mixed = ExactArray.constant(Fraction(0), chain.n)
        for weight, values in zip(weights, exact, strict=True):
            scale = ExactArray.constant(weight, chain.n)
            mixed = mixed.combine(values.combine(scale, operator.mul), operator.add)
        return Solution(mixed, "exact", states=chain.states)
    mixture: Floats = np.zeros(chain.n)
    for weight, part in zip(weights, parts, strict=True):
        mixture += weight * part.floats()
    error = _mixture_error(parts, reached, chain.n)
    return Solution(
        mixture,
        parts[0].method,
        residual=max(part.residual for part in parts),
        error_bound=error,
        relative_error=error,
        states=chain.states,
    )


def _mixture_error(parts: list[Solution], reached: list[Solution], n: int) -> float | None:
    """Bound the relative error of sums of products of numbers that are not negative."""
    errors = [[one.relative_error for one in solutions] for solutions in (parts, reached)]
    factor = 1 + 2 * (n + len(parts) + 2) * UNIT
    for known in errors:
        worst = max((math.inf if error is None else error) for error in known)
        factor *= 1 + worst
    return factor - 1 + UNIT if factor < math.inf else None


def _inner(vector: ExactArray, other: ExactArray | Floats) -> Any:
    """Sum of products, exact if both are."""
    if isinstance(other, ExactArray):
        return sum(vector.combine(other, operator.mul))
    return float(vector.to_floats() @ other)


def long_run_reward(
    chain: MarkovChain,
    reward: str | Reward,
    *,
    initial: Any = None,
    method: Method = "auto",
    progress: Progress | None = None,
) -> Any:
    """Return the expected reward per unit of time (or step) in the long run.

    Parameters
    ----------
    reward : str or Reward
    initial, method, progress
        As for `long_run`.

    Returns
    -------
    Fraction, field element or float
        Exact if the long-run distribution is.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC.from_rates({("up", "down"): 1, ("down", "up"): 2}, rewards={"power": {"up": 9}})
    >>> long_run_reward(chain, "power")
    Fraction(6, 1)
    """
    earning = earning_rates(chain, reward)
    found = long_run(chain, initial=initial, method=method, progress=progress)
    return _inner(earning, found.values)


def instantaneous_reward(
    chain: MarkovChain,
    reward: str | Reward,
    time: Any,
    *,
    initial: Any = None,
    epsilon: float = 1e-10,
    progress: Progress | None = None,
) -> Any:
    """Return the expected earning per unit of time at a time; parameters as for `transient`.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> chain = DTMC([[0, 1], ["1/2", "1/2"]], initial=0, rewards={"cost": [4, 8]})
    >>> instantaneous_reward(chain, "cost", 2)
    Fraction(6, 1)
    """
    found = transient(chain, time, initial=initial, epsilon=epsilon, progress=progress)
    return _inner(earning_rates(chain, reward), found.values)


def accumulated_reward(
    chain: MarkovChain,
    reward: str | Reward,
    time: Any,
    *,
    initial: Any = None,
    epsilon: float = 1e-10,
    progress: Progress | None = None,
) -> Any:
    """Return the expected total earned up to a time.

    Parameters
    ----------
    reward : str or Reward
    time : number
        For a DTMC the number of steps; the state after the last one earns nothing.
    initial, progress
        As for `transient`.
    epsilon : float
        For a CTMC, largest truncation error relative to time and the largest earning rate.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> chain = DTMC([[0, 1], ["1/2", "1/2"]], initial=0, rewards={"cost": [4, 8]})
    >>> accumulated_reward(chain, "cost", 3)
    Fraction(18, 1)
    """
    return accumulated(chain, reward, time, initial=initial, epsilon=epsilon, progress=progress)[0]


def accumulated(
    chain: MarkovChain,
    reward: str | Reward,
    time: Any,
    *,
    initial: Any = None,
    epsilon: float = 1e-10,
    progress: Progress | None = None,
) -> tuple[Any, float]:
    """Return the expected total earned up to a time, and a bound on its error; see `accumulated_reward`."""
    earning, start = earning_rates(chain, reward), initial_of(chain, initial)
    time = read_time(time)
    if not isinstance(chain, CTMC):
        if int(time) != time:
            raise InvalidInput(f"a DTMC makes whole numbers of steps, not {time}", time=time)
        steps = int(time)
        if exactly(chain, start, steps):
            vectors = distributions(chain, start, steps, progress=progress)
            # The state after the last step earns nothing.
            earned = (_inner(earning, v) for v, _ in zip(vectors, range(steps), strict=False))
            return sum(earned), 0.0
        walk = Steps(chain, start, epsilon)
        walk.expect(steps)
        return _accumulated(walk, earning, float(time), None, progress)
    walk = Steps(chain, start, epsilon)
    if walk.rate == 0 or time == 0:
        total = _inner(earning, walk.vector) * float(time)
        return total, abs(total) * len(earning) * UNIT
    mean = walk.rate * float(time)
    # An error of a weight counts for all steps before it.
    finer = epsilon / (8 * (poisson_reach(mean, epsilon)[1] + 1))
    walk.expect(poisson_reach(mean, finer)[1])
    return _accumulated(walk, earning, float(time), finer, progress)


def _accumulated(
    walk: Steps, earning: ExactArray, time: float, epsilon: float | None, progress: Progress | None
) -> tuple[float, float]:
    """Sum the rewards earned after 0, 1, 2, ... jumps, until time ends or the distribution no longer changes.

    With held times h(k), whose sum is the whole time, the total is the sum over k of h(k) v(k) rho.  Errors of h count
    as often as two earnings can differ; so does the time after the last step.  Errors of v count for their held times.
    """
    rho, total, spent, wrong = earning.to_floats(), 0.0, 0.0, 0.0
    mean = walk.rate * time
    window, later = None, np.ones(0)
    first, last = (int(time), int(time) - 1) if epsilon is None else poisson_reach(mean, epsilon)
    while not walk.still and walk.done <= last:
        if walk.done >= first and window is None:
            window = poisson_window(mean, epsilon or 1e-10)
            later = window.later()
        # The expected time with so many jumps made is P(more jumps) / rate.
        held = (1.0 if walk.done < first else float(later[walk.done - first])) / walk.rate
        total += held * float(walk.vector @ rho)
        spent += held
        wrong += held * walk.error
        refuse_slow(walk, last)
        walk.advance()
        if progress is not None:
            progress(walk.done, last)
    rest = time - spent
    largest = float(np.abs(rho).max(initial=0.0))
    bound = wrong + abs(rest) * walk.error + time * (walk.done + len(rho) + 8) * UNIT
    if epsilon is not None:
        # Without a window nothing changed any more long before the jumps end.
        weight_wrong, steps = epsilon, walk.done + 1
        if window is not None:
            weight_wrong, steps = window.error + (len(window.weights) + 2) * UNIT, last + 1
        held_wrong = steps * weight_wrong / walk.rate
        bound += 2 * (held_wrong + (0.0 if walk.still else abs(rest) + held_wrong))
        bound += 16 * UNIT * time  # the mean is rounded
    remaining = rest * walk.vector
    if walk.still:
        remaining, _, error = walk.coming(rest)
        bound += abs(rest) * (error - walk.error)
    return total + float(remaining @ rho), bound * largest


def expected_reward_until(
    chain: MarkovChain,
    reward: str | Reward,
    target: Any,
    *,
    method: Method = "auto",
    progress: Progress | None = None,
) -> Solution:
    """Return for every state the expected reward until the target; infinite where it may be missed.

    Parameters
    ----------
    reward : str or Reward
    target : label name, states, boolean array or predicate
    method, progress
        As for `stationary`.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC([[0, 2], [0, 0]], rewards={"cost": [10, 0]})
    >>> expected_reward_until(chain, "cost", [1]).values
    ExactArray([5, 0])
    """
    effort = Effort(method, progress=progress)
    return expected_until(chain, earning_rates(chain, reward), target, effort)
