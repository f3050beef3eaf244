"""Laws of lumping chains, for functions from a chain to its coarsest lumping.

A lumper takes a chain and the keywords ``kind`` and ``within`` (a `Partition` to refine) and returns something with the
attributes ``chain``, ``partition`` and ``quotient``, ``factors`` for proportional lumpings, and the methods of
`lumpability.Lumping` that carry vectors across.  `lumpability.lump` is one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.markov.preserved import PRESERVED
from lumpability.markov.solve import stationary
from lumpability.partition import Partition
from lumpability.testing.assertions import assert_quotient_correct, assert_same_partition
from lumpability.testing.definitions import (
    all_partitions,
    find_witness,
    generator_rows,
    is_lumping,
    transposed,
)
from lumpability.testing.laws.law import Draw, Law, law
from lumpability.testing.laws.promises import is_promise_kept
from lumpability.testing.strategies import (
    ctmcs,
    dtmcs,
    labelled,
    lumpable_chains,
    partitions,
    permutations_of,
)
from lumpability.testing.strategies.lumpable import KINDS
from lumpability.testing.strategies.values import twelve_rates

Lumper = Callable[..., Any]
Case = tuple[MarkovChain, Partition]

_BUCHHOLZ = "Buchholz 1994"
_MOST_MERGED = 6
_COLLAPSING = ("ordinary", "bisimulation", "proportional")
"""Kinds whose quotients hold everything that lumping them further needs."""

LUMPER_LAWS: dict[str, Law] = {}
"""Laws of lumping chains by name."""


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    """Draw a chain of any sort with a partition to refine."""
    planted = lumpable_chains(kind=kind).map(lambda pair: pair[0])
    sorts: list[SearchStrategy[Any]] = [ctmcs(max_states=5), planted]
    if not find_kind(kind).scaled:
        sorts += [dtmcs(max_states=5)]
    chain = draw(st.one_of(sorts))
    return chain, draw(partitions(states=chain.n, max_blocks=2))


@law(
    LUMPER_LAWS,
    "the definitions: Kemeny and Snell 1976; Buchholz 1994; Marin and Rossi",
    cases,
    variants=KINDS,
)
def lumping_by_definition(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """The partition refines the given one, and states of a block have the equal sums of its kind."""
    chain, within = case
    found = lump(chain, kind=variant, within=within).partition
    assert found.refines(within), f"{found} does not refine {within}"
    witness = find_witness(chain, found, variant)
    assert witness is None, f"{found} was found, but {witness}"


@law(LUMPER_LAWS, "the coarsest lumping of every kind is unique", cases, variants=KINDS)
def coarsest_lumping(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """No coarser lumping of the kind refines the given partition: all ways to merge blocks are tried."""
    chain, within = case
    found = lump(chain, kind=variant, within=within).partition
    if len(found) > _MOST_MERGED:
        return
    for merge in all_partitions(len(found)):
        coarser = Partition(merge.labels[found.labels])
        if len(coarser) < len(found) and coarser.refines(within):
            assert not is_lumping(chain, coarser, variant), f"{found} was found, not {coarser}"


@law(LUMPER_LAWS, "an intertwining: M V = V M^ and D M = M^ D", cases, variants=KINDS)
def quotient_identity(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """The quotient satisfies the matrix identity of its kind."""
    chain, within = case
    lumping = lump(chain, kind=variant, within=within)
    factors = lumping.factors if variant == "proportional" else None
    assert_quotient_correct(
        chain, lumping.partition, lumping.quotient, kind=variant, factors=factors
    )


@law(
    LUMPER_LAWS,
    "lumpings are built in by unfolding a quotient",
    lambda kind: lumpable_chains(kind=kind, max_blocks=4),
    variants=KINDS,
)
def planted_lumping(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """A lumping that was built in refines the one found, from any coarser start."""
    chain, planted = case
    within = Partition(draw(partitions(states=len(planted))).labels[planted.labels])
    found = lump(chain, kind=variant, within=within).partition
    assert planted.refines(found), f"{planted} was built in and refines {within}; found {found}"


@law(LUMPER_LAWS, "two quotients in a row are one", cases, variants=_COLLAPSING)
def quotient_of_the_quotient(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """Lumping in two steps, from a finer start and then the quotient, gives the result of one step."""
    chain, within = case
    fine = within.meet(draw(partitions(states=chain.n)))
    first = lump(chain, kind=variant, within=fine)
    start = Partition(within.labels[first.partition.representatives])
    second = lump(first.quotient, kind=variant, within=start)
    at_once = lump(chain, kind=variant, within=within)
    assert_same_partition(
        Partition(second.partition.labels[first.partition.labels]), at_once.partition
    )


@law(LUMPER_LAWS, "lumping is idempotent", cases, variants=KINDS)
def lumped_already(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """A quotient has no coarser lumping of its kind among blocks of one size, from the same start."""
    chain, within = case
    first = lump(chain, kind=variant, within=within)
    start = Partition(within.labels[first.partition.representatives])
    if variant not in _COLLAPSING:  # an exact quotient does not know the sizes of its blocks
        start = start.meet(Partition(first.partition.blocks.sizes))
    again = lump(first.quotient, kind=variant, within=start)
    assert_same_partition(again.partition, Partition.discrete(first.quotient.n))


@law(LUMPER_LAWS, "states have no order", cases, variants=KINDS)
def renumbering(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """Renumbering the states renumbers the lumping."""
    chain, within = case
    renumbered, order = draw(permutations_of(chain))
    found = lump(chain, kind=variant, within=within).partition
    again = lump(renumbered, kind=variant, within=within.restrict(order)).partition
    assert_same_partition(again, found.restrict(order))


@law(LUMPER_LAWS, "units of time are arbitrary", lambda kind: ctmcs(max_states=5), variants=KINDS)
def another_unit_of_time(lump: Lumper, chain: CTMC, draw: Draw, variant: str) -> None:
    """Multiplying all rates by one number, from 1e-12 to 1e12, changes no block."""
    factor = Fraction(10) ** draw(st.integers(-12, 12))
    within = draw(partitions(states=chain.n, max_blocks=2))
    rates = [[(t, factor * rate) for t, rate in chain.matrix.row(s)] for s in range(chain.n)]
    faster = CTMC.from_rates(
        [(s, t, rate) for s, row in enumerate(rates) for t, rate in row], states=range(chain.n)
    )
    found = lump(chain, kind=variant, within=within).partition
    assert_same_partition(lump(faster, kind=variant, within=within).partition, found)


@st.composite
def _transitions(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """Draw twelve rates as floats, with parallel ones, and the same rates in another order."""
    rates = draw(twelve_rates())
    targets = draw(st.lists(st.integers(2, 5), min_size=12, max_size=12))
    listed = [(0, target, float(rate)) for target, rate in zip(targets, rates, strict=True)]
    shuffled = [(1, target, rate) for _, target, rate in draw(st.permutations(listed))]
    return listed, shuffled


@law(
    LUMPER_LAWS,
    "rates are a set with multiplicities",
    _transitions(),
    variants=("ordinary", "bisimulation"),
)
def order_in_which_rates_are_given(
    lump: Lumper, case: tuple[list[Any], list[Any]], draw: Draw, variant: str
) -> None:
    """Two states with the same twelve rates, given as floats in any order, share a block."""
    first, second = case
    chain = CTMC.from_rates([*first, *second], states=range(6))
    within = Partition([0, 0, 1, 1, 1, 1])
    assert_same_partition(lump(chain, kind=variant, within=within).partition, within)


@law(LUMPER_LAWS, _BUCHHOLZ, cases, variants=("strict",))
def strict_is_ordinary_and_exact(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """A strict lumping is ordinary and exact, and refines the coarsest of both."""
    chain, within = case
    found = lump(chain, kind="strict", within=within).partition
    for kind in ("ordinary", "exact"):
        witness = find_witness(chain, found, kind)
        assert witness is None, f"{found} was found, not {kind}: {witness}"
        coarsest = lump(chain, kind=kind, within=within).partition
        assert found.refines(coarsest), f"{found} does not refine the {kind} {coarsest}"


@law(
    LUMPER_LAWS, "Baier et al. 2005; Marin, Piazza and Rossi 2019", lambda _: cases("proportional")
)
def finer_kinds(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """Bisimulation refines ordinary lumping, and that refines proportional lumping."""
    chain, within = case
    found = [lump(chain, kind=kind, within=within).partition
             for kind in ("bisimulation", "ordinary", "proportional")]  # fmt: skip
    assert found[0].refines(found[1]), f"bisimulation {found[0]}, ordinary {found[1]}"
    assert found[1].refines(found[2]), f"ordinary {found[1]}, proportional {found[2]}"


@st.composite
def _irreducible(draw: st.DrawFn) -> Case:
    planted = lumpable_chains(kind="exact", irreducible=True).map(lambda pair: pair[0])
    sorts: list[SearchStrategy[Any]] = [
        ctmcs(irreducible=True, max_states=5), dtmcs(irreducible=True, max_states=5), planted,
    ]  # fmt: skip
    chain = draw(st.one_of(sorts))
    return chain, draw(partitions(states=chain.n, max_blocks=2))


@law(
    LUMPER_LAWS,
    "Buchholz 1994; reversed chains: Kemeny and Snell 1976, section 5.3",
    _irreducible(),
)
def exact_is_ordinary_backwards(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """The coarsest exact lumping is the coarsest ordinary one of the chain run backwards.

    That is, of an irreducible chain, and among partitions into blocks of equally probable states.
    """
    chain, within = case
    pi = stationary(chain, method="exact").values
    masses = list(pi)
    columns = transposed(generator_rows(chain))
    backwards = [
        [masses[u] * weight / masses[s] for u, weight in enumerate(row)]
        for s, row in enumerate(columns)
    ]
    reverse = type(chain)(backwards)
    equal_masses = Partition.of(masses, states=chain.n)
    exact = lump(chain, kind="exact", within=within).partition
    ordinary = lump(reverse, kind="ordinary", within=within.meet(equal_masses)).partition
    assert_same_partition(exact, ordinary)


@law(
    LUMPER_LAWS,
    "labels are what properties speak of",
    lambda kind: labelled(_one_chain(kind)),
    variants=KINDS,
)
def labels_are_kept(lump: Lumper, chain: MarkovChain, draw: Draw, variant: str) -> None:
    """Labels are constant on blocks, and the quotient has them."""
    lumping = lump(chain, kind=variant, within=Partition.trivial(chain.n))
    for name, mask in chain.labels.items():
        kept = lumping.quotient.labels[name][lumping.partition.labels]
        assert np.array_equal(kept, mask), f"label {name!r} is on {mask.tolist()}, kept {kept}"


def _one_chain(kind: str) -> SearchStrategy[Any]:
    return cases(kind).map(lambda case: case[0])


def _promised(variant: str) -> SearchStrategy[Any]:
    kind, _, quantity = variant.partition(": ")
    times = ["continuous"] if find_kind(kind).scaled else ["continuous", "discrete"]
    return st.one_of(
        [
            lumpable_chains(kind=kind, time=time, irreducible="stationary" in quantity)
            for time in times
        ]
    )


@law(
    LUMPER_LAWS,
    "lumpability.markov.preserved, after Kemeny and Snell, Buchholz, Marin and Rossi",
    _promised,
    variants=[f"{claim.kind}: {claim.quantity}" for claim in PRESERVED if claim.holds],
)
def promises_are_kept(lump: Lumper, case: Case, draw: Draw, variant: str) -> None:
    """The quotient determines what its kind promises: probabilities, hitting times, rewards."""
    chain, planted = case
    kind, _, quantity = variant.partition(": ")
    lumping = lump(chain, kind=kind, within=planted)
    assert_same_partition(lumping.partition, planted)
    assert is_promise_kept(lumping, quantity), f"{quantity} differ between chain and quotient"
