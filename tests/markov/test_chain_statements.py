"""Statements about chains: integers that stand for the exact matrices."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, lump
from lumpability.errors import InvalidInput, NotJustified, SizeLimit
from lumpability.markov.examples import hypercube_walk, planted
from lumpability.markov.statements import chain_statement
from lumpability.partition import Partition

KINDS = ["ordinary", "bisimulation", "exact", "strict", "proportional"]


@given(st.sampled_from(KINDS), st.integers(0, 10**6))
def test_a_statement_divided_by_its_denominator_is_the_chain(kind: str, seed: int) -> None:
    chain, partition = planted(kind, [2, 1, 2], seed=seed)
    lumping = lump(chain, kind=kind, initial=partition)
    statement = chain_statement(chain, lumping.quotient, lumping.partition, kind, lumping.kappa)
    for rows, model in ((statement.matrix, chain), (statement.quotient, lumping.quotient)):
        structure = model.matrix if kind == "bisimulation" else model.generator()  # type: ignore[attr-defined]
        for state, row in enumerate(rows):
            held = dict(structure.row(state))
            found = [Fraction(x, statement.denominator) for x in row]
            assert found == [held.get(u, 0) for u in range(len(row))]
    factors = [Fraction(x, statement.kappa_denominator) for x in statement.kappa]
    assert factors == ([] if lumping.kappa is None else list(lumping.kappa))
    assert statement.labels == tuple(lumping.partition.labels.tolist())


def test_parameters_large_chains_and_kinds_without_identity_are_refused() -> None:
    chain = CTMC.from_rates({("a", "b"): "mu", ("b", "a"): 1})
    same = Partition.discrete(2)
    with pytest.raises(NotJustified, match="numbers, not parameters"):
        chain_statement(chain, chain, same, "ordinary")
    number = chain.subs({"mu": 2})
    with pytest.raises(InvalidInput, match="weak lumping has no identity"):
        chain_statement(number, number, same, "weak")
    with pytest.raises(InvalidInput, match="kappa has 0 entries"):
        chain_statement(number, number, same, "proportional")
    large = hypercube_walk(8)
    with pytest.raises(SizeLimit):
        chain_statement(large, large, Partition.discrete(256), "strict")
