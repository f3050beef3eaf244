"""Statements about chains: integers that stand for the exact matrices."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, lump
from lumpability.errors import NotJustified, SizeLimit
from lumpability.markov.examples import hypercube_walk, planted
from lumpability.symbolic import statement_of

KINDS = ["ordinary", "bisimulation", "exact", "strict", "proportional"]


@given(st.sampled_from(KINDS), st.integers(0, 10**6))
def test_a_statement_divided_by_its_denominator_is_the_chain(kind: str, seed: int) -> None:
    chain, partition = planted(kind, [2, 1, 2], seed=seed)
    lumping = lump(chain, kind=kind, within=partition)
    statement = lumping.certificate().statement(chain)
    for rows, model in ((statement.matrix, chain), (statement.quotient, lumping.quotient)):
        structure = model.matrix if kind == "bisimulation" else model.generator()  # type: ignore[attr-defined]
        for state, row in enumerate(rows):
            held = dict(structure.row(state))
            found = [Fraction(x, statement.denominator) for x in row]
            assert found == [held.get(u, 0) for u in range(len(row))]
    factors = [Fraction(x, statement.kappa_denominator) for x in statement.kappa]
    assert factors == ([] if lumping.factors is None else list(lumping.factors))
    assert statement.labels == tuple(lumping.partition.labels.tolist())


def test_parameters_and_large_chains_are_refused() -> None:
    chain = CTMC.from_rates({("a", "b"): "mu", ("b", "a"): 1}, labels={"a": ["a"]})
    with pytest.raises(NotJustified, match="numbers, not parameters"):
        statement_of(lump(chain))
    with pytest.raises(SizeLimit, match="256 rows or columns"):
        statement_of(lump(hypercube_walk(8)))
