"""Where a chain is at a given time: uniformization for CTMCs, powers for DTMCs.

With a rate L at least as large as every exit rate, P = I + Q/L is stochastic and
p(t) = sum over k of e^(-Lt) (Lt)^k / k!  p(0) P^k (Jensen 1953).  The sum is truncated on both sides, so that
the omitted Poisson weights add up to at most epsilon (Fox and Glynn 1988).  Every p(0) P^k has sum one, so
the L1 distance to p(t) is at most epsilon, plus the rounding errors of floating-point numbers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.solve.solution import Floats, Progress, Solution
from lumpability.markov.solve.vectors import initial_of
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.structure import WeightedStructure

__all__ = ["distributions", "multiply_exactly", "poisson_window", "transient", "uniformized"]

_EXACT_UP_TO = 64


@dataclass(frozen=True)
class Window:
    """The Poisson weights that matter."""

    first: int  # the number of steps that `weights[0]` belongs to
    weights: Floats
    left_out: float  # probability of all other numbers of steps

    @property
    def last(self) -> int:
        """The largest number of steps."""
        return self.first + len(self.weights) - 1


def poisson_window(mean: float, epsilon: float) -> Window:
    """Return the weights of a Poisson distribution, except for a mass of at most `epsilon`."""
    from scipy.special import gammaln, pdtr, pdtrc

    if mean == 0:
        return Window(0, np.ones(1), 0.0)
    reach = 12 * math.sqrt(mean) + 60  # the mass beyond it is less than 1e-30
    counts = np.arange(max(0, math.floor(mean - reach)), math.ceil(mean + reach) + 1)
    below, above = pdtr(counts - 1.0, mean), pdtrc(counts, mean)
    below[counts == 0] = 0.0
    # The last count with at most epsilon/2 before it, the first with at most epsilon/2 after it.
    low = int(np.searchsorted(below, epsilon / 2, side="right")) - 1
    high = int(np.argmax(above <= epsilon / 2))
    kept = counts[low : high + 1]
    weights = np.exp(kept * math.log(mean) - mean - gammaln(kept + 1.0))
    return Window(int(kept[0]), weights, float(below[low] + above[high]))


def uniformized(chain: CTMC) -> tuple[Any, float]:
    """Return the transposed matrix P^T = (I + Q/L)^T as a csr_array, and the rate L.

    Raises `InvalidValue` if the rates hold parameters.
    """
    from scipy.sparse import diags_array

    rates = chain.matrix.without_diagonal().to_scipy()
    exits = rates.sum(axis=1)
    fastest = float(exits.max(initial=0.0))
    if fastest == 0:
        return diags_array(np.ones(chain.n)).tocsr(), 0.0
    jumps = rates / fastest + diags_array(1 - exits / fastest)
    return jumps.T.tocsr(), fastest


def transient(
    chain: MarkovChain,
    time: Any,
    *,
    initial: Any = None,
    epsilon: float = 1e-10,
    exact: bool | None = None,
    max_steps: int = 10_000_000,
    progress: Progress | None = None,
) -> Solution:
    """Return the distribution at a time.

    Parameters
    ----------
    chain : CTMC or DTMC
    time : number
        Not negative; a number of steps for a DTMC.
    initial : state, mapping or array, optional
        The chain's own initial distribution by default.
    epsilon : float
        Largest truncation error (sum of absolute values) for a CTMC, between 0 and 1.
    exact : bool, optional
        For a DTMC: exact arithmetic, the default up to 64 states and with parameters.
    max_steps : int
        Largest number of multiplications.
    progress : callable, optional
        Called with (steps done, steps in all); raising from it stops the computation.

    Returns
    -------
    Solution
        For a CTMC its `error_bound` states the truncation error.

    Raises
    ------
    InvalidInput
        For a negative time, a DTMC at a fraction of a step, or exact arithmetic for a CTMC.
    SizeLimit
        If more than `max_steps` multiplications are needed.

    Notes
    -----
    O(m) for each step: about L t + 12 sqrt(L t) of them for a CTMC with largest exit rate L.

    Examples
    --------
    >>> from lumpability import DTMC
    >>> transient(DTMC([[0, 1], ["1/2", "1/2"]], initial=0), 3).values
    ExactArray([1/4, 3/4])
    """
    start = initial_of(chain, initial)
    if not (math.isfinite(time) and time >= 0):
        raise InvalidInput(f"the time must be finite and not negative, not {time}", time=time)
    if isinstance(chain, CTMC):
        if exact:
            raise InvalidInput(
                "probabilities of a CTMC at a given time are not rational: leave exact=True out"
            )
        if not 0 < epsilon < 1:
            raise InvalidInput(f"epsilon must lie between 0 and 1, not {epsilon}", epsilon=epsilon)
        jumps, fastest = uniformized(chain)
        _refuse_steps(fastest * time, max_steps)
        window = poisson_window(fastest * float(time), epsilon)
        return _mix(jumps, start.to_floats(), window, progress)
    steps = int(time)
    if steps != time:
        raise InvalidInput(f"a DTMC has no state after {time} steps: give a whole number")
    _refuse_steps(steps, max_steps)
    *_, last = distributions(chain, start, steps, exact=exact, progress=progress)
    if isinstance(last, ExactArray):
        return Solution(last, "exact", iterations=steps)
    return Solution(last, "powers", iterations=steps)


def distributions(
    chain: MarkovChain,
    start: ExactArray,
    steps: int,
    *,
    exact: bool | None = None,
    progress: Progress | None = None,
) -> Iterator[ExactArray | Floats]:
    """Yield the distributions of a DTMC after 0, 1, ..., `steps` steps; exact as for `transient`."""
    symbolic = not (chain.is_rational and start.is_rational)
    if exact or symbolic or (exact is None and chain.n <= _EXACT_UP_TO):
        yield start
        for step in range(steps):
            start = multiply_exactly(start, chain.matrix)
            yield start
            if progress is not None:
                progress(step + 1, steps)
        return
    jumps, vector = chain.matrix.to_scipy().T.tocsr(), start.to_floats()
    yield vector
    for step in range(steps):
        vector = jumps @ vector
        yield vector
        if progress is not None:
            progress(step + 1, steps)


def _mix(jumps: Any, vector: Floats, window: Window, progress: Progress | None) -> Solution:
    """Sum the distributions after each number of jumps with their Poisson weights."""
    result = np.zeros(len(vector))
    for step in range(window.last + 1):
        if step >= window.first:
            result += window.weights[step - window.first] * vector
        if step < window.last:
            vector = jumps @ vector
        if progress is not None:
            progress(step, window.last)
    return Solution(result, "uniformization", error_bound=window.left_out, iterations=window.last)


def _refuse_steps(steps: float, max_steps: int) -> None:
    if steps > max_steps:
        raise SizeLimit(
            f"about {steps:.3g} steps are needed, more than max_steps={max_steps}: raise it, or use "
            "the stationary distribution if the time is long enough",
            steps=steps,
        )


def multiply_exactly(vector: ExactArray, matrix: WeightedStructure) -> ExactArray:
    """Return the product of a row vector and a matrix, exactly; O(m)."""
    products = vector.take(matrix.sources()).combine(matrix.weights, operator.mul)
    rows = np.zeros(matrix.m, dtype=np.int64)
    _, columns, sums = sum_entries((1, matrix.n), rows, matrix.indices, products)
    zero = vector.values[0] - vector.values[0] if len(vector) else 0
    dense = np.zeros(matrix.n, dtype=np.int64)
    dense[columns] = sums.codes.astype(np.int64) + 1
    return ExactArray.of_values(dense, [zero, *sums.values])
