"""The definitions agree with each other, with counting, and with the library."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, Partition, check
from lumpability.refinement.stability import disagreement
from lumpability.testing import ctmcs, dtmcs, partitions, structures
from lumpability.testing.definitions import (
    all_partitions,
    dense,
    find_unstable,
    find_witness,
    generator_rows,
    is_lumping,
    is_stable,
)

KINDS = ("ordinary", "bisimulation", "exact", "strict", "proportional")


@pytest.mark.parametrize(("n", "count"), [(0, 1), (1, 1), (2, 2), (3, 5), (4, 15), (6, 203)])
def test_there_are_as_many_partitions_as_bell_numbers_say(n, count):
    found = all_partitions(n)
    assert len(found) == len(set(found)) == count
    assert found[0] == Partition.trivial(n)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_check_and_the_definition_give_one_verdict_and_one_witness(kind, data):
    chains = ctmcs() if kind == "proportional" else st.one_of(ctmcs(), dtmcs())
    chain = data.draw(chains)
    partition = data.draw(partitions(states=chain.n))
    witness = find_witness(chain, partition, kind)
    assert check(chain, partition, kind=kind).witness == witness
    assert is_lumping(chain, partition, kind) == (witness is None)


@given(st.data())
def test_a_structure_is_stable_exactly_when_nothing_disagrees(data):
    structure = data.draw(structures())
    partition = data.draw(partitions(states=structure.n))
    assert is_stable(structure, partition) == (disagreement(structure, partition) is None)
    assert find_unstable(structure, partition) == disagreement(structure, partition)


@given(ctmcs())
def test_rows_of_a_generator_sum_to_zero_and_rates_are_kept(chain):
    rows, rates = generator_rows(chain), dense(chain.matrix)
    assert all(sum(row) == 0 for row in rows)
    for s in range(chain.n):
        assert [x for t, x in enumerate(rows[s]) if t != s] == [
            x for t, x in enumerate(rates[s]) if t != s
        ]


def test_an_understood_diagonal_is_shown():
    rates = CTMC([[5, 2], [1, 0]]).matrix
    assert dense(replace(rates, closed=True)) == [[-2, 2], [1, -1]]
