"""`lump` and `check` for chains: ordinary lumpability and bisimulation."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, LumpabilityError, Partition, check, lump
from lumpability.errors import (
    InvalidChain,
    InvalidInput,
    InvalidPartition,
    NotJustified,
    TrivialLumping,
)
from lumpability.markov import lump as lump_module
from lumpability.markov.attributes import block_name
from lumpability.markov.examples import machine_repair
from lumpability.testing import ctmcs, dtmcs, labelled

KINDS = ("ordinary", "bisimulation")

# Drawn labels may be the same on all states; that warning has its own test.
pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")


chains = st.one_of(labelled(ctmcs(), initial=True), labelled(dtmcs(), initial=True))


def product(vector: list[Fraction], chain: CTMC | DTMC) -> list[Fraction]:
    """One exact step x Q or x P."""
    matrix = chain.generator() if isinstance(chain, CTMC) else chain.matrix
    result = [Fraction(0)] * chain.n
    for s, x in enumerate(vector):
        for u, w in matrix.row(s):
            result[u] += x * w
    return result


@given(chains, st.lists(st.fractions(0, 1), min_size=6, max_size=6))
def test_projection_commutes_with_every_step_for_every_distribution(chain, weights):
    """p Q V = p V Q^, hence p(t) V = p(0) V exp(Q^ t) for all t and all p(0)."""
    lumping = lump(chain)
    vector = weights[: chain.n]
    stepped = list(lumping.project(product(vector, chain)))
    assert stepped == product(list(lumping.project(vector)), lumping.quotient)


@given(chains, st.sampled_from(KINDS))
def test_lumping_the_quotient_changes_nothing(chain, kind):
    quotient = lump(chain, kind=kind).quotient
    again = lump(quotient, kind=kind)
    assert again.partition == Partition.discrete(quotient.n)
    assert again.quotient.equals(quotient)


@given(chains, st.sampled_from(KINDS))
def test_the_labels_of_a_quotient_cannot_be_changed(chain, kind):
    quotient = lump(chain, kind=kind).quotient
    assert quotient.labels is not chain.labels
    assert not any(mask.flags.writeable for mask in quotient.labels.values())


@given(labelled(dtmcs()))
def test_bisimulation_of_a_dtmc_is_ordinary_lumpability(chain):
    assert lump(chain, kind="bisimulation").partition == lump(chain).partition


@given(chains)
def test_the_quotient_keeps_labels_and_the_initial_distribution(chain):
    lumping = lump(chain)
    quotient, labels = lumping.quotient, lumping.partition.labels
    assert np.array_equal(quotient.labels["a"][labels], chain.labels["a"])
    assert list(quotient.initial) == list(lumping.project(list(chain.initial)))


@given(chains, st.integers(0, 5), st.integers(0, 5))
def test_a_false_verdict_has_a_true_witness(chain, a, b):
    a, b = a % chain.n, b % chain.n
    block_of = Partition.of(lambda s: -1 if s in (a, b) else s, states=chain.n)
    verdict = check(chain, block_of)
    if verdict:
        return
    witness = verdict.witness
    matrix = chain.generator() if isinstance(chain, CTMC) else chain.matrix
    members = set(block_of.blocks[witness.block].tolist())
    sums = [
        sum(w for u, w in matrix.row(s) if u in members) for s in (witness.state, witness.other)
    ]
    assert sums == [witness.total, witness.other_total]
    assert sums[0] != sums[1]
    assert {witness.state, witness.other} == {a, b}


def test_the_two_state_chain_where_ordinary_and_bisimulation_differ():
    chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 2})
    with pytest.warns(TrivialLumping):
        assert len(lump(chain).partition) == 1
    assert len(lump(chain, kind="bisimulation").partition) == 2
    verdict = check(chain, [{"a", "b"}], kind="bisimulation")
    assert str(verdict) == (
        "not bisimulation: states 'a' and 'b' share a block, but their rates into {a, b} sum to "
        "1 and to 2"
    )


def test_self_loops_matter_to_bisimulation_only():
    rows = [[5, 1, 0], [0, 0, 0], [0, 1, 0]]
    chain = CTMC(rows, labels={"end": [1]})
    assert lump(chain).partition == Partition.of([{0, 2}, {1}])
    assert lump(chain, kind="bisimulation").partition == Partition.discrete(3)


def test_blocks_need_not_be_contiguous():
    chain = DTMC([[".2", ".5", ".3"], [".4", ".2", ".4"], [".3", ".5", ".2"]])
    assert check(chain, [{0, 2}, {1}])
    assert lump(chain, within=[0, 1, 0]).partition == Partition.of([{0, 2}, {1}])


def test_one_tenth_plus_two_tenths_is_three_tenths_and_three_thirds_are_one():
    chain = DTMC.from_rates(
        {
            ("a", "x"): 0.1, ("a", "y"): 0.2, ("a", "z"): 0.7,
            ("b", "x"): 0.3, ("b", "z"): 0.7,
            ("x", "x"): 1 / 3, ("x", "y"): 1 / 3, ("x", "z"): 1 / 3,
            ("y", "x"): 2 / 3, ("y", "z"): 1 / 3,
            ("z", "z"): 1,
        },
        labels={"z": ["z"], "xy": ["x", "y"]},
    )  # fmt: skip
    expected = Partition.of([{"a", "b"}, {"x", "y"}, {"z"}], states=chain.states)
    assert lump(chain).partition == expected


def test_without_anything_to_respect_the_answer_is_one_block_with_a_warning():
    chain = CTMC([[0, 1, 2], [3, 0, 0], [0, 1, 0]])
    with pytest.warns(TrivialLumping, match="nothing that is respected tells them apart"):
        lumping = lump(chain)
    assert lumping.partition == Partition.trivial(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lump(CTMC([[0, 1], [1, 0]], labels={"a": [0]}))


def test_absorbing_and_isolated_states_share_blocks_when_their_labels_agree():
    rows = np.zeros((5, 5), dtype=int)
    rows[0, 1] = rows[2, 3] = 7
    chain = CTMC(rows, labels={"end": [1, 3, 4]})
    assert lump(chain).partition == Partition.of([0, 1, 0, 1, 1])


@pytest.mark.parametrize("n", [0, 1])
def test_the_empty_chain_and_a_single_state(n):
    for chain in (CTMC(np.zeros((n, n))), DTMC(np.eye(n))):
        lumping = lump(chain)
        assert (lumping.quotient.n, len(lumping.partition)) == (n, n)
        assert check(chain, Partition.trivial(n))


def test_labels_that_are_not_respected_and_not_constant_are_dropped_openly():
    chain = CTMC(
        [[0, 1], [1, 0]], labels={"a": [0], "all": [0, 1]}, rewards={"r": [1, 2]}, initial=0
    )
    lumping = lump(chain, respect=())
    assert lumping.stats.dropped == ("label:a", "reward:r")
    assert list(lumping.quotient.labels) == ["all"]
    assert lumping.quotient.rewards == {}


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize("odd", [None, 0, 1, 2, 3])
def test_a_reward_is_dropped_wherever_a_block_disagrees_about_it(chunk, odd, monkeypatch):
    monkeypatch.setattr(lump_module, "_CHUNK", chunk)
    chain = CTMC.from_rates(
        {(s, 4): 1 for s in range(4)},
        states=range(5),
        labels={"end": [4]},
        rewards={"r": [7 if s == odd else 5 for s in range(5)]},
    )
    lumping = lump(chain, respect="labels")
    assert [len(block) for block in lumping.partition] == [4, 1]
    assert ("reward:r" in lumping.stats.dropped) == (odd is not None)
    assert ("r" in lumping.quotient.rewards) == (odd is None)


def test_an_initial_partition_is_refined_together_with_the_labels():
    chain = CTMC(np.zeros((4, 4)), labels={"a": [0, 1]})
    assert lump(chain, within=[0, 1, 1, 1]).partition == Partition.of([{0}, {1}, {2, 3}])
    assert lump(chain, respect=(), within=[0, 1, 1, 1]).partition == Partition.of([0, 1, 1, 1])


@pytest.mark.parametrize("partition", [[0, 0], [{0, 1}], [{0, 1, 2}, {2}], {0: 1, 1: 1}])
def test_partitions_that_miss_or_repeat_a_state_are_refused(partition):
    chain = CTMC(np.zeros((3, 3)))
    with pytest.raises(InvalidPartition):
        check(chain, partition)
    with pytest.raises(InvalidPartition):
        lump(chain, within=partition)


def test_unknown_kinds_and_models_are_refused():
    chain = CTMC(np.zeros((1, 1)))
    with pytest.raises(InvalidInput, match="unknown kind 'fancy': choose one of ordinary"):
        lump(chain, kind="fancy")
    with pytest.raises(InvalidInput, match="cannot lump a list"):
        lump([1])
    with pytest.raises(InvalidInput, match="cannot check a list"):
        check([1], [0])


@pytest.mark.parametrize("kind", KINDS)
def test_lifting_is_refused_with_the_reason_where_theory_does_not_justify_it(kind):
    lumping = lump(CTMC([[0, 1], [1, 0]], labels={"a": [0]}), kind=kind)
    with pytest.raises(
        NotJustified, match="does not determine how a block's probability is spread"
    ):
        lumping.lift([1, 0])


def test_functions_on_blocks_are_pulled_back_by_name_or_position():
    chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1}, labels={"goal": ["c"]})
    lumping = lump(chain)
    assert list(lumping.quotient.states) == ["{a, b}", "c"]
    assert list(chain.states) == ["a", "c", "b"]
    assert list(lumping.pull_back({"{a, b}": 5})) == [5, 0, 5]
    assert list(lumping.pull_back([5, 7])) == [5, 7, 5]


def test_block_names_stay_distinct_when_a_state_is_called_like_a_block():
    chain = CTMC.from_rates(
        {("{a, b}", "a"): 1, ("a", "{a, b}"): 1, ("b", "{a, b}"): 1}, labels={"l": ["{a, b}"]}
    )
    assert list(lump(chain).quotient.states) == ["{a, b}", "{a, b}'"]


def test_names_of_large_blocks_are_cut():
    states = CTMC(np.zeros((9, 9))).states
    assert block_name(states, Partition.trivial(9), 0) == "{0, 1, 2, 3, ... 5 more}"


@pytest.mark.parametrize("engine", ["definition", "worklist", "rounds", "kernel"])
def test_every_engine_gives_the_same_lumping(engine):
    rates = {(s, t): 1 + (s * t) % 3 for s in range(12) for t in range(12) if (s + t) % 4 == 1}
    chain = CTMC.from_rates(rates, labels={"goal": [1, 5]})
    assert lump(chain, engine=engine).partition == lump(chain).partition


def test_partitions_and_names_are_equal_across_processes():
    """Nothing may depend on the hash seed."""
    code = (
        "from lumpability import CTMC, lump\n"
        "names = ['s%d' % i for i in range(40)]\n"
        "chain = CTMC.from_rates({(names[i], names[i * 7 % 40]): 1 + i % 2 for i in range(40)},"
        " states=names, labels={'x': set(names[:9])})\n"
        "lumping = lump(chain)\n"
        "print(lumping.partition.labels.tolist(), list(lumping.quotient.states))\n"
        "print(lumping.history.to_json())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
            check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }  # fmt: skip
    assert len(outputs) == 1


def test_small_chains_never_load_the_compiler():
    code = (
        "import sys; from lumpability import CTMC, lump; "
        "lump(CTMC([[0, 1], [1, 0]], labels={'a': [0]})); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_engine_result_is_never_returned(monkeypatch):
    """The identity is checked after the engine, whatever it says."""
    from lumpability.markov.kinds import kind as kind_module
    from lumpability.refinement import Refinement

    chain = CTMC([[0, 1, 0], [0, 0, 1], [0, 0, 0]], labels={"end": [2]})
    wrong = Refinement(Partition.of([0, 0, 1]), "worklist")
    monkeypatch.setattr(kind_module, "refine", lambda *args, **kwargs: wrong)
    with pytest.raises(LumpabilityError, match="the worklist engine returned"):
        lump(chain)


def test_blocks_are_found_by_names_and_listed_as_a_table():
    chain = machine_repair(3)
    lumping = lump(chain)
    assert [lumping.block_of(state) for state in ("uuu", "udu", "duu")] == [0, 1, 1]
    with pytest.raises(InvalidChain, match="there is no state"):
        lumping.block_of("up")
    table = lumping.table()
    assert [row.size for row in table] == [1, 3, 3, 1]
    assert table[1].members == ("uud", "udu", "duu")
    working = {name for row in table for name in row.members if "operational" in row.labels}
    assert working == {
        s for s, up in zip(chain.states, chain.labels["operational"], strict=True) if up
    }
    assert lump(CTMC([[0, 1], [1, 0]], labels={"x": [0]})).block_of(1) == 1


def test_the_time_of_a_lumping_is_without_imports():
    code = (
        "import sys, time\n"
        "seen, clock = [], time.perf_counter\n"
        "time.perf_counter = lambda: (seen.append(set(sys.modules)), clock())[1]\n"
        "from lumpability import CTMC, lump\n"
        "lump(CTMC([[0, 1, 1], [2, 0, 0], [2, 0, 0]], labels={'a': [0]}))\n"
        "print(len(seen), seen[-1] - seen[0])\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "2 set()\n"
