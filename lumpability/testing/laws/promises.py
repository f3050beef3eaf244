"""The quantities that each kind preserves, checked in exact arithmetic.

There is one check for every quantity of `lumpability.markov.preserved.QUANTITIES`.  Probabilities at a time t are
linear combinations of p U^k with U = P or U = I + Q/L, so comparing some powers compares all times.
"Every start" is compared for the unit vectors, which span all distributions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from lumpability.errors import InvalidInput
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.markov.horizon_steps import uniformised
from lumpability.markov.solve import expected_hitting_times, hitting_probabilities, stationary
from lumpability.markov.solve.transient import multiply_exactly
from lumpability.numbers.exact_array import ExactArray
from lumpability.quotient import project, pull_back, spread

_STEPS = 5


def is_promise_kept(lumping: Any, quantity: str) -> bool:
    """Whether a quotient determines a quantity, for one lumping.

    Raises `InvalidInput` for another quantity, and `NotJustified` if the lumping refuses to carry a vector
    across.

    - lumping: with ``chain``, ``quotient``, ``partition`` and the methods that carry vectors across;
      irreducible for stationary quantities
    - quantity: A key of `lumpability.markov.preserved.QUANTITIES`

    >>> from lumpability import lump
    >>> lumping = lump(DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]]), within=[0, 1, 1])
    >>> is_promise_kept(lumping, "block probabilities, every start")
    True
    """
    if quantity not in _CHECKS:
        raise InvalidInput(f"no quantity {quantity!r}: choose one of {'; '.join(_CHECKS)}")
    return _CHECKS[quantity](lumping)


def _runs(lumping: Any, start: ExactArray) -> list[tuple[ExactArray, ExactArray]]:
    """Return p U^k and p V U^^k for k = 0, 1, ..."""
    chains, rate = (lumping.chain, lumping.quotient), None
    if isinstance(lumping.chain, CTMC):
        rate = 1 + max(out for chain in chains for out in chain.exit_rates.values)
    whole, small = (uniformised(chain, rate)[0] for chain in chains)
    vector, block_vector = start, project(start, lumping.partition)
    found = []
    for _ in range(_STEPS):
        found.append((vector, block_vector))
        vector, block_vector = (
            multiply_exactly(vector, whole),
            multiply_exactly(block_vector, small),
        )
    return found


def _starts(lumping: Any, *, uniform: bool) -> list[ExactArray]:
    """Return distributions that span all, or all that are uniform inside blocks."""
    size = len(lumping.partition) if uniform else lumping.chain.n
    points = [ExactArray.read([int(i == j) for j in range(size)])[0] for i in range(size)]
    return [spread(point, lumping.partition) for point in points] if uniform else points


def _blocks_agree(lumping: Any, *, uniform: bool) -> bool:
    return all(
        project(vector, lumping.partition).equals(block_vector)
        for start in _starts(lumping, uniform=uniform)
        for vector, block_vector in _runs(lumping, start)
    )


def _states_agree(lumping: Any) -> bool:
    return all(
        lumping.lift(block_vector).equals(vector)
        for start in _starts(lumping, uniform=True)
        for vector, block_vector in _runs(lumping, start)
    )


def _is_stationary(vector: ExactArray, chain: MarkovChain) -> bool:
    if isinstance(chain, DTMC):
        return multiply_exactly(vector, chain.matrix).equals(vector)
    assert isinstance(chain, CTMC)
    return all(x == 0 for x in multiply_exactly(vector, chain.generator()))


def _masses_agree(lumping: Any) -> bool:
    masses = project(_stationary(lumping.chain), lumping.partition)
    return _is_stationary(masses, lumping.quotient)


def _weighted_masses_agree(lumping: Any) -> bool:
    pi = _stationary(lumping.chain)
    weighted = lumping.project_stationary(pi)
    by_formula = project(pi.combine(lumping.factors, operator.mul), lumping.partition)
    total = sum(by_formula)
    return _is_stationary(weighted, lumping.quotient) and weighted.equals(
        by_formula.map(lambda mass: mass / total)
    )


def _stationary_states_agree(lumping: Any) -> bool:
    return _is_stationary(lumping.lift_stationary(_stationary(lumping.quotient)), lumping.chain)


def _stationary(chain: MarkovChain) -> ExactArray:
    values = stationary(chain, method="exact").values
    assert isinstance(values, ExactArray)
    return values


def _hits_agree(solve: Callable[..., Any], lumping: Any, *, uniform: bool) -> bool:
    target = lumping.partition.labels == 0
    whole = solve(lumping.chain, target, method="exact")
    small = solve(lumping.quotient, lumping.quotient.states[:1], method="exact")
    if not uniform:
        return list(whole) == [small[b] for b in lumping.partition.labels.tolist()]
    return all(
        sum((whole[s] for s in block.tolist()), start=Fraction(0)) / len(block) == small[b]
        for b, block in enumerate(lumping.partition.blocks)
    )


def _rewards_agree(lumping: Any, *, uniform: bool) -> bool:
    amounts = ExactArray.read([b + 1 for b in range(len(lumping.partition))])[0]
    everywhere = pull_back(amounts, lumping.partition)
    return all(
        sum(vector.combine(everywhere, operator.mul)) == sum(blocks.combine(amounts, operator.mul))
        for start in _starts(lumping, uniform=uniform)
        for vector, blocks in _runs(lumping, start)
    )


def _jumps_agree(lumping: Any) -> bool:
    labels = lumping.partition.labels.tolist()
    for state, block in enumerate(labels):
        sums = dict.fromkeys(range(len(lumping.partition)), Fraction(0))
        for target, rate in lumping.chain.matrix.row(state):
            sums[labels[target]] += rate
        if {c: r for c, r in sums.items() if r} != dict(lumping.quotient.matrix.row(block)):
            return False
    return True


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "block probabilities, every start": lambda x: _blocks_agree(x, uniform=False),
    "block probabilities, uniform start": lambda x: _blocks_agree(x, uniform=True),
    "state probabilities, uniform start": _states_agree,
    "stationary block masses": _masses_agree,
    "stationary masses weighted with kappa": _weighted_masses_agree,
    "stationary state probabilities": _stationary_states_agree,
    "hitting probabilities, every start": lambda x: _hits_agree(
        hitting_probabilities, x, uniform=False
    ),
    "hitting probabilities, uniform start": lambda x: _hits_agree(
        hitting_probabilities, x, uniform=True
    ),
    "hitting times, every start": lambda x: _hits_agree(expected_hitting_times, x, uniform=False),
    "hitting times, uniform start": lambda x: _hits_agree(expected_hitting_times, x, uniform=True),
    "rewards, every start": lambda x: _rewards_agree(x, uniform=False),
    "rewards, uniform start": lambda x: _rewards_agree(x, uniform=True),
    "single jumps": _jumps_agree,
}
