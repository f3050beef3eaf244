"""Random paths of a chain: the states visited, and the times of entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.solve.solution import Progress
from lumpability.markov.solve.vectors import initial_of, read_time

_REPORT = 10_000


@dataclass(frozen=True, eq=False)
class Path:
    """A path: the chain enters ``states[i]`` at ``times[i]``.

    Attributes
    ----------
    states : array of int, shape (k + 1,)
    times : array of float, shape (k + 1,)
        For a DTMC 0, 1, 2, ...
    end : float
        When the path was stopped; infinite if it ended in an absorbing state.

    Examples
    --------
    >>> path = Path(np.array([0, 1, 0]), np.array([0.0, 2.5, 4.0]), end=5.0)
    >>> path.at(0), path.at(3), path.at(5)
    (0, 1, 0)
    """

    states: np.ndarray[Any, np.dtype[np.int64]]
    times: np.ndarray[Any, np.dtype[np.float64]]
    end: float

    def at(self, time: float) -> int:
        """Return the state at a time.

        Raises
        ------
        InvalidInput
            Before 0 or after the end.
        """
        if not 0 <= time <= self.end:
            raise InvalidInput(f"the path runs from 0 to {self.end}, not to {time}", time=time)
        return int(self.states[np.searchsorted(self.times, time, side="right") - 1])


def simulate(
    chain: MarkovChain,
    *,
    steps: int | None = None,
    time: float | None = None,
    initial: Any = None,
    seed: int | np.random.Generator | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw a path.

    Parameters
    ----------
    chain : CTMC or DTMC
    steps : int, optional
        Stop after so many jumps.
    time : float, optional
        Stop at this time; at least one of the two must be given.
    initial : state, mapping or array, optional
        The chain's own initial distribution by default.
    seed : int or numpy Generator, optional
        The same seed gives the same path.
    progress : callable, optional
        Called from time to time with (jumps so far, steps or 0); an exception from it stops the simulation.

    Raises
    ------
    InvalidInput
        If neither `steps` nor `time` is given, or one is negative.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> simulate(DTMC([[0, 1], [1, 0]], initial=0), steps=3, seed=1).states.tolist()
    [0, 1, 0, 1]
    """
    if steps is None and time is None:
        raise InvalidInput("a path may never end: give steps=... or time=...")
    if steps is not None and steps < 0:
        raise InvalidInput("steps must not be negative")
    time = None if time is None else read_time(time)
    random = np.random.default_rng(seed)
    start = initial_of(chain, initial).to_floats()
    state = int(random.choice(chain.n, p=start / start.sum()))
    continuous = isinstance(chain, CTMC)
    weights = chain.matrix.weights.to_floats()
    bounds, targets = chain.matrix.indptr, chain.matrix.indices
    states, times, now = [state], [0.0], 0.0
    while steps is None or len(states) <= steps:
        low, high = int(bounds[state]), int(bounds[state + 1])
        if low == high:
            now = float("inf")
            break
        sums = np.cumsum(weights[low:high])
        hold = random.exponential(1 / sums[-1]) if continuous else 1.0
        now += hold
        if time is not None and now > time:
            break
        drawn = np.searchsorted(sums, random.random() * sums[-1], side="right")
        state = int(targets[low + min(int(drawn), high - low - 1)])
        states.append(state)
        times.append(now)
        if progress is not None and len(states) % _REPORT == 0:
            progress(len(states) - 1, steps or 0)
    end = float(time) if time is not None and now > time else now
    return Path(np.array(states, dtype=np.int64), np.array(times), end)
