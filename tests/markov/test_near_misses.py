"""Near misses: with the changed weights the two blocks really merge, and no close pair is overlooked."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_explanation import chains

from lumpability import CTMC, check, lump, read
from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov import near_misses as module

pytestmark = [
    pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping"),
    pytest.mark.filterwarnings("ignore:no two blocks differ in so few sums"),
]


@given(chain=chains(), kind=st.sampled_from(["ordinary", "bisimulation"]))
@settings(max_examples=200)
def test_the_changed_chain_lets_the_pair_be_merged(chain, kind):
    lumping = lump(chain, kind=kind)
    for miss in lumping.near_misses(limit=1000):
        changed = miss.apply(chain)
        merged = miss.merged(lumping.partition)
        assert len(merged) == len(lumping.partition) - 1
        assert merged.refines(lumping.respected)
        assert check(changed, merged, kind=kind)
        seen = lump(changed, kind=kind)
        assert merged.refines(seen.partition)
        assert_changes(chain, changed, miss)


def assert_changes(chain, changed, miss):
    """What is listed is what differs between the two chains."""
    before, after = entries(chain), entries(changed)
    differing = {
        place: (before.get(place, 0), after.get(place, 0))
        for place in {*before, *after}
        if before.get(place, 0) != after.get(place, 0)
    }
    assert {(c.source, c.target): (c.value, c.needed) for c in miss.changes} == differing
    assert miss.distance == sum(abs(new - old) for old, new in differing.values())


def entries(chain):
    return {(s, t): w for s in range(chain.n) for t, w in chain.matrix.row(s)}


@given(chain=chains(), kind=st.sampled_from(["ordinary", "bisimulation"]))
@settings(max_examples=200)
def test_no_pair_is_overlooked_whose_rows_differ_in_up_to_two_entries(chain, kind):
    lumping = lump(chain, kind=kind)
    quotient, roots = (
        lumping.quotient.matrix,
        lumping.respected.labels[lumping.partition.representatives],
    )
    held = isinstance(chain, CTMC) and kind == "ordinary" and "cost" in chain.rewards
    expected = set()
    rows = [{t: w for t, w in quotient.row(s) if t != s} for s in range(quotient.n)]
    first = lumping.partition.representatives.tolist()
    for a in range(quotient.n):
        for b in range(a + 1, quotient.n):
            one = {c for c, w in rows[a].items() if rows[b].get(c) != w}
            other = {c for c, w in rows[b].items() if rows[a].get(c) != w}
            earns = held and any(chain.rewards["cost"].action[first[x]] != 0 for x in (a, b))
            if roots[a] == roots[b] and len(one) == len(other) <= 2 and not earns:
                expected.add((a, b))
    found = lumping.near_misses(limit=1000)
    assert expected <= {miss.blocks for miss in found}
    efforts = [(len(miss.changes), miss.distance) for miss in found]
    assert efforts == sorted(efforts)
    assert [str(m) for m in lumping.near_misses(limit=1)] == [str(m) for m in found[:1]]


def test_the_cheaper_side_and_the_largest_weights_are_changed():
    rates = {
        ("a", "x"): 3, ("a", "y"): 1, ("a2", "x"): 3, ("a2", "y"): 1,
        ("b", "x"): 1, ("b", "y"): 2,
        ("x", "z"): 1, ("y", "z"): 1,
    }  # fmt: skip
    lumping = lump(CTMC.from_rates(rates, labels={"mid": ["x", "y"], "end": ["z"]}))
    (miss, *_) = lumping.near_misses()
    assert str(miss) == "{a, a2} and {b} would be one block with b -> y: 2 -> 3"
    assert miss.to_json() == {
        "blocks": [{"size": 2, "first": ["a", "a2"]}, {"size": 1, "first": ["b"]}],
        "changes": [{"source": "b", "target": "y", "value": "2", "needed": "3"}],
        "distance": "1",
    }


def test_kinds_and_chains_without_an_answer_are_refused():
    chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2}, labels={"goal": ["c"]})
    for kind in ("exact", "strict", "proportional"):
        with pytest.raises(NotJustified, match=f"near misses of {kind} lumping are not sought"):
            lump(chain, kind=kind).near_misses()
    with pytest.raises(InvalidInput, match="the limit must be at least 1, not 0"):
        lump(chain).near_misses(0)
    symbolic = CTMC.from_rates({("a", "c"): "x", ("b", "c"): 2}, labels={"goal": ["c"]})
    with pytest.raises(InvalidInput, match="near misses need numbers: see coarser_when"):
        lump(symbolic).near_misses()


def test_nothing_to_merge_gives_nothing():
    assert lump(CTMC([[0]])).near_misses() == []
    assert lump(CTMC([[0, 1], [1, 0]], labels={"a": [0]})).near_misses() == []


def test_where_many_weights_differ_a_tolerance_is_advised():
    rates = {(s, t): Fraction(100 + (s == 1), 100) for s in (0, 1) for t in range(2, 7)}
    rates |= {(t, t + 1): 1 for t in range(2, 6)}
    chain = CTMC.from_rates(rates, labels={str(t): [t] for t in range(2, 7)})
    with pytest.warns(UserWarning, match=r"lumping.tolerance_merging\(state, other\)"):
        assert lump(chain).near_misses() == []


def test_large_quotients_leave_single_entries_out(monkeypatch):
    monkeypatch.setattr(module, "_HASHES", 0)
    monkeypatch.setattr(module, "_PROPOSED", 0)
    rates = {(i, 10): 1 + Fraction(i, 10) for i in range(5)}
    lumping = lump(CTMC.from_rates(rates, labels={"goal": [10]}))
    assert len(lumping.near_misses()) == 4  # each with its neighbour in the order of hashes


@pytest.mark.parametrize("name", ["embedded8", "polling10", "herman11"])
def test_near_misses_of_real_chains_merge(shared_file, name):
    chain = read(shared_file(f"chains/{name}.npz"))
    lumping = lump(chain)
    misses = lumping.near_misses(limit=3)
    assert len(misses) == 3
    for miss in misses:
        assert check(miss.apply(chain), miss.merged(lumping.partition))
    assert np.all(np.diff([len(miss.changes) for miss in misses]) >= 0)
