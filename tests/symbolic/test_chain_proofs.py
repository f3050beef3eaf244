"""Symbolic proofs of chain lumpings: true ones are proved, wrong ones show the entries that differ."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Lumping, Partition, check, lump
from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov.examples import (
    cycle_walk,
    ehrenfest,
    exact_not_ordinary,
    hypercube_walk,
    machine_repair,
    planted,
    proportional_not_ordinary,
)
from lumpability.markov.kinds import find_kind
from lumpability.numbers.exact_array import ExactArray
from lumpability.symbolic import Identity, Proof, prove

KINDS = ["ordinary", "bisimulation", "exact", "strict", "proportional"]


def forged(chain: CTMC, partition: Partition, kind: str) -> Lumping:
    """A lumping that claims any partition, with the quotient that the kind would make of it."""
    chosen = find_kind(kind)
    conditions = chosen.conditions(chain)
    honest = lump(chain, kind=kind, within=range(chain.n))
    return replace(
        honest,
        partition=partition,
        quotient=CTMC(chosen.quotient(chain, conditions, partition)),
        factors=chosen.factors(conditions, partition),
    )


def identity(proof: Proof, number: int = 0) -> Identity:
    return proof.identities[number]


@st.composite
def claims(draw: st.DrawFn) -> tuple[CTMC, Partition, str]:
    """A chain with a planted lumping of some kind, and that partition or any other."""
    kind = draw(st.sampled_from(KINDS))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    chain, partition = planted(kind, sizes, seed=draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        labels = st.lists(st.integers(0, 2), min_size=chain.n, max_size=chain.n)
        partition = Partition.of(draw(labels))
    return chain, partition, kind


@given(claims())
def test_a_claim_is_proved_exactly_if_its_partition_is_a_lumping(
    claim: tuple[CTMC, Partition, str],
) -> None:
    chain, partition, kind = claim
    proof = prove(forged(chain, partition, kind))
    assert bool(proof) == bool(check(chain, partition, kind=kind)), str(proof)


@given(claims(), st.data())
def test_no_other_quotient_is_proved(claim: tuple[CTMC, Partition, str], data: Any) -> None:
    chain, partition, kind = claim
    lumping = forged(chain, partition, kind)
    rows = [[Fraction(0)] * len(partition) for _ in range(len(partition))]
    for block, row in enumerate(rows):
        for other, rate in lumping.quotient.matrix.row(block):
            row[other] = rate
    pairs = [(b, c) for b in range(len(rows)) for c in range(len(rows))]
    seen = pairs if kind == "bisimulation" else [(b, c) for b, c in pairs if b != c]
    if not seen:
        return
    block, other = data.draw(st.sampled_from(seen))
    rows[block][other] += Fraction(1, 10**9)
    assert not prove(replace(lumping, quotient=CTMC(rows)))


@pytest.mark.parametrize("kind", KINDS)
def test_planted_lumpings_of_every_kind_are_proved(kind: str) -> None:
    chain, partition = planted(kind, [2, 3, 1, 2], seed=3)
    proof = prove(lump(chain, kind=kind, within=partition))
    assert proof
    assert all(one.difference == sympy.zeros(*one.difference.shape) for one in proof.identities)
    assert proof.consequences
    assert proof.assumptions == ()


def test_the_matrices_are_those_of_the_theory() -> None:
    proof = prove(lump(exact_not_ordinary(), kind="exact"))
    half, quarter = sympy.Rational(1, 2), sympy.Rational(1, 4)
    assert proof.matrices == {
        "P": sympy.ImmutableMatrix([[0, half, half], [1, 0, 0], [half, quarter, quarter]]),
        "V": sympy.ImmutableMatrix([[1, 0], [0, 1], [0, 1]]),
        "P^": sympy.ImmutableMatrix([[0, 1], [3 * quarter, quarter]]),
        "D": sympy.ImmutableMatrix([[1, 0, 0], [0, half, half]]),
    }
    assert [one.text for one in proof.identities] == ["D P = P^ D"]


def test_strict_lumpings_have_two_identities() -> None:
    proof = prove(lump(hypercube_walk(3), kind="strict"))
    assert [one.text for one in proof.identities] == ["P V = V P^", "D P = P^ D"]
    assert str(proof) == "proved: P V = V P^; D P = P^ D"


def test_self_loops_belong_to_rates_and_not_to_generators() -> None:
    rates = {("a", "a"): 5, ("a", "c"): 1, ("b", "c"): 1}
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]})
    assert prove(lump(chain)).matrices["Q"].tolist() == [[-1, 1, 0], [0, 0, 0], [0, 1, -1]]
    assert prove(lump(chain, kind="bisimulation")).matrices["R"][0, 0] == 5


def test_parameters_are_positive_by_assumption() -> None:
    proof = prove(lump(ehrenfest(4, rate="lambda")))
    assert str(proof) == "proved: Q V = V Q^ for all lambda > 0"
    proof = prove(lump(proportional_not_ordinary("speed"), kind="proportional"))
    assert proof
    assert list(map(str, proof.assumptions)) == ["speed > 0"]
    assert str(proof.matrices["K"][1, 1]) == "speed"


def test_what_is_not_evident_of_rates_and_factors_is_stated() -> None:
    proof = prove(lump(cycle_walk(4, forward="p"), within=[0, 1, 2, 3]))
    assert list(map(str, proof.assumptions)) == ["p > 0", "1 - p >= 0"]
    rates = {("a", "c"): "x - y", ("b", "c"): "x**2 - y**2", ("c", "a"): 1}
    lumping = lump(CTMC.from_rates(rates, labels={"c": ["c"]}), kind="proportional")
    proof = prove(lumping)
    assert proof
    told = list(map(str, proof.assumptions))
    assert told == ["x > 0", "y > 0", "x - y >= 0", "x**2 - y**2 >= 0"]


def test_equal_rational_functions_need_no_simplification() -> None:
    rates = {("a", "c"): "(x**2 - 1)/(x + 1) + 1", ("b", "c"): "x", ("c", "a"): 1}
    proof = prove(lump(CTMC.from_rates(rates, labels={"goal": ["c"]})))
    assert proof
    assert identity(proof).difference == sympy.zeros(3, 2)


def test_a_wrong_partition_shows_the_entries_that_differ() -> None:
    chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): "3/2", ("c", "a"): "mu"})
    proof = prove(forged(chain, Partition.of([0, 1, 0]), "ordinary"))
    assert not proof
    assert identity(proof).failures == [(2, 0, sympy.Rational(-1, 2)), (2, 1, sympy.Rational(1, 2))]
    told = "Q V = V Q^ fails in (b, {a, b}): -3/2 against -1; (b, {c}): 3/2 against 1"
    assert str(proof) == f"not proved: {told}"
    assert repr(proof) == f"Proof(CTMC, ordinary lumping, failed: {told})"
    assert "Q V - V Q^ = ⎢" in proof.pretty()
    assert "\\neq 0" in proof.latex()
    assert "=>" not in proof.pretty()


def test_many_differences_are_counted() -> None:
    chain, _ = planted("ordinary", [3, 3, 3], seed=1)
    proof = prove(
        forged(chain, Partition.trivial(9).meet(Partition.of([0, 1] * 4 + [0])), "ordinary")
    )
    assert " more" in str(proof)


def test_factors_must_be_positive() -> None:
    lumping = lump(proportional_not_ordinary(2), kind="proportional")
    for factor in (0, -2):
        kappa, _ = ExactArray.read([1, factor, 1, 1])
        proof = prove(replace(lumping, factors=kappa))
        assert not proof
        assert f"kappa of state b is {factor}, not positive" in str(proof)
    kappa, _ = ExactArray.read([1, 3, 1, 1])
    assert not prove(replace(lumping, factors=kappa))
    kappa, _ = ExactArray.read([1, 2, 7, 1])
    assert not prove(replace(lumping, factors=kappa))


def test_parts_that_do_not_fit_are_refused() -> None:
    lumping = lump(machine_repair(2))
    with pytest.raises(InvalidInput, match="the partition has 4 states in 4 blocks"):
        prove(replace(lumping, partition=Partition.discrete(4)))
    scaled = lump(proportional_not_ordinary(2), kind="proportional")
    with pytest.raises(InvalidInput, match="as many factors"):
        prove(replace(scaled, factors=None))
    with pytest.raises(InvalidInput, match="a CTMC is not a lumping"):
        prove(lumping.chain)


def test_sizes_beyond_the_limit_are_refused() -> None:
    lumping = lump(hypercube_walk(6))
    with pytest.raises(SizeLimit, match="64 states, more than the 63") as caught:
        prove(lumping, largest=63)
    assert (caught.value.size, caught.value.limit) == (64, 63)
    assert prove(lumping, largest=64)
    with pytest.raises(SizeLimit, match="256 states, more than the 200"):
        prove(lump(hypercube_walk(8)))


def test_proofs_print_for_papers_and_slides() -> None:
    proof = prove(lump(ehrenfest(2, rate="lambda"), kind="strict"))
    text = proof.latex()
    assert text.startswith("\\begin{gather*}\nQ = \\left[\\begin{matrix}- 2 \\lambda & \\lambda")
    for part in (
        "\\hat{Q} = ",
        "Q V - V \\hat{Q} = 0",
        "D Q - \\hat{Q} D = 0",
        "\\text{for all } \\lambda > 0",
        "\\pi Q = 0 \\;\\Longrightarrow\\; (\\pi V) \\hat{Q} = \\pi Q V = 0",
        "\\hat{p}' = \\hat{p} \\hat{Q} \\;\\Longrightarrow\\; (\\hat{p} D)' = \\hat{p} \\hat{Q} D",
    ):
        assert part in text
    assert "⎢" in proof.pretty()
    shown = proof._repr_latex_()
    assert shown is not None
    assert shown.startswith("$$\\begin{gathered}")
    assert prove(lump(hypercube_walk(4)))._repr_latex_() is None
    scaled = prove(lump(proportional_not_ordinary(2), kind="proportional"))
    assert "K^{-1} Q V - V \\hat{Q} = 0" in scaled.latex()


def test_latex_escapes_names() -> None:
    lumping = lump(proportional_not_ordinary(2), kind="proportional")
    kappa, _ = ExactArray.read([1, -1, 1, 1])
    chain = CTMC(lumping.chain.matrix, states=["a", "b_1 & {x}", "c", "d"])
    proof = prove(replace(lumping, chain=chain, factors=kappa))
    assert "kappa of state b\\_1 \\& \\{x\\} is -1" in proof.latex()


def test_chains_without_states_and_of_one_state_are_proved() -> None:
    assert prove(lump(CTMC([])))
    assert prove(lump(DTMC([[1]])))
