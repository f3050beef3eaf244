"""Every row of the table of what is preserved: proved rows hold exactly, others have counterexamples."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Lumping, lump
from lumpability.errors import InvalidInput, NotJustified
from lumpability.exact_array import ExactArray
from lumpability.markov.examples import planted
from lumpability.markov.preserves import PRESERVED, Claim, as_table, claims_about
from lumpability.markov.solve import (
    expected_hitting_times,
    hitting_probabilities,
    is_irreducible,
    recurrent_classes,
    stationary,
)
from lumpability.markov.solve.transient import multiply_exactly
from lumpability.quotient import project, pull_back, spread
from lumpability.structure import WeightedStructure

STEPS = 5

# A planted partition may have a single block; that warning has its own test.
pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")


def uniformized(chain: CTMC, rate: Fraction) -> WeightedStructure:
    """I + Q/rate, exactly: its powers determine p(t) for all t."""
    generator = chain.generator().explicit()
    identity = ExactArray.constant(Fraction(1), chain.n)
    scaled = generator.weights.map(lambda weight: weight / rate)
    return WeightedStructure.from_edges(
        chain.n,
        np.concatenate([generator.sources(), np.arange(chain.n)]),
        np.concatenate([generator.indices, np.arange(chain.n)]),
        scaled.concatenate(identity),
    )


def runs(lumping: Lumping, start: ExactArray) -> list[tuple[ExactArray, ExactArray]]:
    """p U^k and p V U^^k for k = 0, 1, ..."""
    whole, small = lumping.chain.matrix, lumping.quotient.matrix
    if isinstance(lumping.chain, CTMC):
        rate = 1 + max([*lumping.chain.exit_rates.values, *lumping.quotient.exit_rates.values])
        whole, small = uniformized(lumping.chain, rate), uniformized(lumping.quotient, rate)
    vector, block_vector = start, project(start, lumping.partition)
    found = []
    for _ in range(STEPS):
        found.append((vector, block_vector))
        vector, block_vector = (
            multiply_exactly(vector, whole),
            multiply_exactly(block_vector, small),
        )
    return found


def starts(lumping: Lumping, *, uniform: bool) -> list[ExactArray]:
    """Distributions that span all, or all that are uniform inside blocks."""
    size = len(lumping.partition) if uniform else lumping.chain.n
    points = [ExactArray.read([int(i == j) for j in range(size)])[0] for i in range(size)]
    return [spread(point, lumping.partition) for point in points] if uniform else points


def blocks_agree(lumping: Lumping, *, uniform: bool) -> bool:
    return all(
        project(vector, lumping.partition).equals(block_vector)
        for start in starts(lumping, uniform=uniform)
        for vector, block_vector in runs(lumping, start)
    )


def states_agree(lumping: Lumping) -> bool:
    return all(
        lumping.lift(block_vector).equals(vector)
        for start in starts(lumping, uniform=True)
        for vector, block_vector in runs(lumping, start)
    )


def is_stationary(vector: ExactArray, chain: CTMC | DTMC) -> bool:
    if isinstance(chain, DTMC):
        return multiply_exactly(vector, chain.matrix).equals(vector)
    return all(x == 0 for x in multiply_exactly(vector, chain.generator().explicit()))


def masses_agree(lumping: Lumping) -> bool:
    masses = project(stationary(lumping.chain, method="exact").values, lumping.partition)
    return is_stationary(masses, lumping.quotient)


def weighted_masses_agree(lumping: Lumping) -> bool:
    pi = stationary(lumping.chain, method="exact").values
    weighted = lumping.project_stationary(pi)
    by_formula = project(pi.combine(lumping.kappa, operator.mul), lumping.partition)
    total = sum(by_formula)
    return is_stationary(weighted, lumping.quotient) and weighted.equals(
        by_formula.map(lambda mass: mass / total)
    )


def stationary_states_agree(lumping: Lumping) -> bool:
    pi = stationary(lumping.quotient, method="exact").values
    return is_stationary(lumping.lift_stationary(pi), lumping.chain)


def hits_agree(solve: Callable, lumping: Lumping, *, uniform: bool) -> bool:
    target = lumping.partition.labels == 0
    whole = solve(lumping.chain, target, method="exact")
    small = solve(lumping.quotient, [0], method="exact")
    if not uniform:
        return list(whole) == [small[b] for b in lumping.partition.labels.tolist()]
    return all(
        sum((whole[s] for s in block.tolist()), start=Fraction(0)) / len(block) == small[b]
        for b, block in enumerate(lumping.partition.blocks)
    )


def rewards_agree(lumping: Lumping, *, uniform: bool) -> bool:
    amounts = ExactArray.read([b + 1 for b in range(len(lumping.partition))])[0]
    everywhere = pull_back(amounts, lumping.partition)
    return all(
        sum(vector.combine(everywhere, operator.mul)) == sum(blocks.combine(amounts, operator.mul))
        for start in starts(lumping, uniform=uniform)
        for vector, blocks in runs(lumping, start)
    )


def jumps_agree(lumping: Lumping) -> bool:
    labels = lumping.partition.labels.tolist()
    for state, block in enumerate(labels):
        sums = dict.fromkeys(range(len(lumping.partition)), Fraction(0))
        for target, rate in lumping.chain.matrix.row(state):
            sums[labels[target]] += rate
        if {c: r for c, r in sums.items() if r} != dict(lumping.quotient.matrix.row(block)):
            return False
    return True


CHECKS: dict[str, Callable[[Lumping], bool]] = {
    "block probabilities, every start": lambda x: blocks_agree(x, uniform=False),
    "block probabilities, uniform start": lambda x: blocks_agree(x, uniform=True),
    "state probabilities, uniform start": states_agree,
    "stationary block masses": masses_agree,
    "stationary masses weighted with kappa": weighted_masses_agree,
    "stationary state probabilities": stationary_states_agree,
    "hitting probabilities, every start": lambda x: hits_agree(
        hitting_probabilities, x, uniform=False
    ),
    "hitting probabilities, uniform start": lambda x: hits_agree(
        hitting_probabilities, x, uniform=True
    ),
    "hitting times, every start": lambda x: hits_agree(expected_hitting_times, x, uniform=False),
    "hitting times, uniform start": lambda x: hits_agree(expected_hitting_times, x, uniform=True),
    "rewards, every start": lambda x: rewards_agree(x, uniform=False),
    "rewards, uniform start": lambda x: rewards_agree(x, uniform=True),
    "single jumps": jumps_agree,
}


def planted_lumping(kind: str, sizes: list[int], seed: int, *, discrete: bool = False) -> Lumping:
    chain, partition = planted(kind, sizes, seed=seed)
    if discrete:
        chain = DTMC(uniformized(chain, 1 + max(chain.exit_rates.values)))
    lumping = lump(chain, kind=kind, respect=(), initial=partition)
    assert lumping.partition == partition
    return lumping


def name(claim: Claim) -> str:
    return f"{claim.kind}: {claim.quantity}"


@pytest.mark.parametrize("claim", [c for c in PRESERVED if c.holds], ids=name)
@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), seed=st.integers(0, 10**6))
def test_what_the_table_promises_holds_exactly(claim, sizes, seed):
    lumping = planted_lumping(claim.kind, sizes, seed)
    if "stationary" in claim.quantity:
        assume(is_irreducible(lumping.chain) and len(recurrent_classes(lumping.quotient)) == 1)
    assert CHECKS[claim.quantity](lumping)


@pytest.mark.parametrize(
    "claim", [c for c in PRESERVED if c.holds and c.kind != "proportional"], ids=name
)
@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), seed=st.integers(0, 10**6))
def test_what_the_table_promises_holds_in_discrete_time_too(claim, sizes, seed):
    # I + Q/L is lumpable of the kind of Q; for bisimulations in discrete time take ordinary ones.
    kind = "ordinary" if claim.kind == "bisimulation" else claim.kind
    lumping = planted_lumping(kind, sizes, seed, discrete=True)
    if "stationary" in claim.quantity:
        assume(is_irreducible(lumping.chain) and len(recurrent_classes(lumping.quotient)) == 1)
    assert CHECKS[claim.quantity](lumping)


@pytest.mark.parametrize("claim", [c for c in PRESERVED if not c.holds], ids=name)
def test_what_the_table_denies_has_a_counterexample(claim):
    for seed in range(60):
        lumping = planted_lumping(claim.kind, [2, 2, 1], seed)
        if "stationary" in claim.quantity and not is_irreducible(lumping.chain):
            continue
        try:
            if not CHECKS[claim.quantity](lumping):
                return
        except NotJustified:  # refused, with the reason
            return
    pytest.fail(f"no counterexample to {name(claim)}")


def test_the_documentation_shows_this_table(checkout):
    page = checkout / "docs" / "theory" / "preserved.md"
    assert as_table() in page.read_text(encoding="utf-8")


def test_a_kind_without_table_is_refused():
    with pytest.raises(InvalidInput, match="no table for 'weak'"):
        claims_about("weak")
