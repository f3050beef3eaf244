"""Every kind against its definition, and what is particular to each.

What holds of all drawn chains, planted lumpings and broken ones is in tests/laws and tests/testing.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from lumpability import CTMC, DTMC, Partition, Reward, check, lump
from lumpability.errors import (
    InvalidChain,
    InvalidInput,
    InvalidPartition,
    InvalidValue,
    NotJustified,
)
from lumpability.markov.examples import (
    exact_not_ordinary,
    land_of_oz,
    proportional_not_ordinary,
    queue_at_changing_speed,
)
from lumpability.markov.kinds.ordinary import Ordinary
from lumpability.markov.solve import long_run_reward, stationary, transient
from lumpability.numbers.exact_array import ExactArray
from lumpability.refinement import fingerprint_rounds
from lumpability.testing import ctmcs, dtmcs, labelled
from lumpability.testing.definitions import all_partitions, dense, is_lumping

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

KINDS = ("ordinary", "bisimulation", "exact", "strict", "proportional")
chains = labelled(ctmcs(max_states=5), max_labels=1)


@pytest.mark.parametrize("kind", KINDS)
@given(chain=chains)
def test_the_check_of_a_ctmc_is_the_definition_for_all_set_partitions(chain, kind):
    agree_with_brute_force(chain, kind)


@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict"])
@given(chain=labelled(dtmcs(max_states=5), max_labels=1))
def test_the_check_of_a_dtmc_is_the_definition_for_all_set_partitions(chain, kind):
    agree_with_brute_force(chain, kind)


def agree_with_brute_force(chain: CTMC | DTMC, kind: str) -> None:
    respected = chain.respected()
    coarsest = lump(chain, kind=kind).partition
    lumpings = []
    for partition in all_partitions(chain.n):
        verdict = is_lumping(chain, partition, kind)
        assert bool(check(chain, partition, kind=kind)) == verdict
        if verdict and partition.refines(respected):
            lumpings.append(partition)
    assert coarsest in lumpings
    assert all(partition.refines(coarsest) for partition in lumpings)


@given(chain=chains)
def test_every_ordinary_lumping_is_proportional(chain):
    assert check(chain, lump(chain).partition, kind="proportional")


@given(chain=chains)
def test_kappa_is_positive_and_divides_the_rates_out_of_blocks(chain):
    lumping = lump(chain, kind="proportional")
    labels, rates = lumping.partition.labels.tolist(), dense(chain.matrix)
    for state, factor in enumerate(lumping.factors):
        assert factor > 0
        for block in set(labels) - {labels[state]}:
            total = sum(r for r, b in zip(rates[state], labels, strict=True) if b == block)
            expected = dict(lumping.quotient.matrix.row(labels[state])).get(block, 0)
            assert total == factor * expected


def test_an_exact_quotient_may_lump_further_because_it_forgets_block_sizes():
    chain = CTMC([[0, 0, 1], [0, 0, 1], ["1/2", "1/2", 0]])
    lumping = lump(chain, kind="strict", respect=())
    assert lumping.partition == Partition([0, 0, 1])
    assert len(lump(lumping.quotient, kind="strict").partition) == 1
    assert not check(chain, [0, 0, 0], kind="strict")


def test_proportional_keeps_the_weighted_stationary_masses_but_not_transients():
    chain = queue_at_changing_speed(3, (1, 2, 5))
    lumping = lump(chain, kind="proportional")
    assert [int(k) for k in lumping.factors] == [1, 2, 5] * 4
    pi, small = stationary(chain, method="exact").values, stationary(lumping.quotient).values
    weights = [k * x for k, x in zip(lumping.factors, pi, strict=True)]
    for block, members in enumerate(lumping.partition.blocks):
        assert sum(weights[s] for s in members.tolist()) / sum(weights) == small[block]
    assert lumping.project_stationary(pi).equals(small)
    whole = lumping.project(transient(chain, 1).values).to_floats()
    difference = np.abs(whole - transient(lumping.quotient, 1).values).max()
    assert difference > 1e-3  # far beyond the truncation error of 1e-10


def test_proportional_is_coarser_than_dividing_by_the_exit_rate():
    # a and b leave their block alike, but a also moves inside it, which changes its exit rate only.
    chain = CTMC.from_rates(
        {("a", "c"): 1, ("a", "d"): 2, ("a", "b"): 7, ("b", "c"): 2, ("b", "d"): 4, ("c", "a"): 1},
        states=["a", "b", "c", "d"],
        labels={"c": ["c"], "d": ["d"]},
    )
    lumping = lump(chain, kind="proportional")
    assert lumping.partition == Partition([0, 0, 1, 2])
    assert list(lumping.factors) == [1, 2, 1, 1]


def test_a_state_that_nothing_leaves_shares_no_block_with_one_that_something_does():
    chain = CTMC([[0, 0, 1], [0, 0, 0], [0, 0, 0]], labels={"end": [2]})
    assert lump(chain, kind="proportional").partition == Partition([0, 1, 2])
    verdict = check(chain, [[0, 1], [2]], kind="proportional")
    assert (verdict.witness.total, verdict.witness.other_total) == (1, 0)
    assert str(verdict) == (
        "not proportional: states 0 and 1 share a block, but the shares of their rates out of it "
        "into {2} are 1 and 0"
    )


def test_proportional_lumping_of_a_dtmc_is_refused_with_the_way_round():
    chain = DTMC([[0, 1], [1, 0]])
    with pytest.raises(NotJustified, match="no holding times"):
        lump(chain, kind="proportional")
    with pytest.raises(NotJustified):
        check(chain, [0, 0], kind="proportional")
    # The way round that the message names: same stationary distribution.
    assert stationary(CTMC(chain.matrix)).values.equals(stationary(chain).values)


def test_an_engine_that_compares_sums_is_refused_for_proportional_lumping():
    with pytest.raises(InvalidInput, match="engine='auto'"):
        lump(proportional_not_ordinary(), kind="proportional", engine="kernel")


def test_exact_lumping_does_not_split_on_exit_rates():
    # Exit rates differ inside the block {1, 2}: 1 and 1/2 + 1/4 + 1/4 - 1/4.
    lumping = lump(CTMC(exact_not_ordinary().matrix, labels={"start": [0]}), kind="exact")
    assert lumping.partition == Partition([0, 1, 1])
    assert len(set(lumping.chain.exit_rates)) == 2


def test_lift_is_refused_when_the_start_is_not_uniform_inside_blocks():
    chain = CTMC([[0, 0, 1], [0, 0, 1], [1, 1, 0]], initial={0: 1})
    lumping = lump(chain, kind="exact", respect=(), within=[0, 0, 1])
    with pytest.raises(NotJustified, match="not uniform inside blocks"):
        lumping.lift([1, 0])
    assert list(lumping.lift_stationary(["1/2", "1/2"])) == [
        Fraction(1, 4), Fraction(1, 4), Fraction(1, 2),
    ]  # fmt: skip
    assert len(lump(chain, kind="exact").partition) == 3  # by default it respects the start


@pytest.mark.parametrize("kind", ["ordinary", "proportional", "bisimulation"])
def test_lift_is_refused_with_the_reason_where_states_are_not_determined(kind):
    lumping = lump(queue_at_changing_speed(2), kind=kind)
    for carry in (lumping.lift, lumping.lift_stationary):
        with pytest.raises(NotJustified, match="states"):
            carry([1, *[0] * (lumping.quotient.n - 1)])


def test_an_action_reward_counts_jumps_inside_blocks_after_lumping_too():
    reward = Reward(action=ExactArray.read([1, 1, 1])[0])
    chain = CTMC.from_rates(
        {("a", "b"): 1, ("b", "a"): 1, ("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 3},
        rewards={"jumps": reward},
    )
    lumping = lump(chain)
    assert lumping.partition == Partition([0, 0, 1])
    assert lumping.quotient.rewards["jumps"].action is None
    assert long_run_reward(chain, "jumps") == long_run_reward(lumping.quotient, "jumps")
    kept = lump(chain, kind="bisimulation")
    assert kept.quotient.rewards["jumps"].action is not None
    assert long_run_reward(chain, "jumps") == long_run_reward(kept.quotient, "jumps")


def test_given_factors_are_checked_with_the_rates_divided_by_them():
    chain = proportional_not_ordinary(2)
    blocks = [{"a", "b"}, {"c"}, {"d"}]
    assert check(chain, blocks, kind="proportional", factors=[1, 2, 1, 1])
    assert check(chain, blocks, kind="proportional", factors=["1/3", "2/3", 7, 1])
    verdict = check(chain, blocks, kind="proportional", factors={"a": 1, "b": 1, "c": 1, "d": 1})
    assert (verdict.witness.total, verdict.witness.other_total) == (1, 2)
    assert "divided by their factors, sum to 1 and to 2" in str(verdict)


@given(chain=chains)
def test_the_factors_of_a_lumping_pass_its_check(chain):
    lumping = lump(chain, kind="proportional")
    assert check(chain, lumping.partition, kind="proportional", factors=lumping.factors)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"kind": "proportional", "factors": [1, 0, 1, 1]}, InvalidValue, "'b' is 0"),
        ({"kind": "proportional", "factors": [1, -2, 1, 1]}, InvalidValue, "'b' is -2"),
        ({"kind": "proportional", "factors": [1, 2]}, InvalidChain, "2 entries for 4 states"),
        ({"kind": "ordinary", "factors": [1, 2, 1, 1]}, InvalidInput, "no factors"),
        ({"kind": "proportionate"}, InvalidInput, "unknown kind"),
    ],
)
def test_impossible_factors_and_kinds_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        check(proportional_not_ordinary(), [0, 0, 1, 2], **options)


@pytest.mark.parametrize("kind", KINDS)
def test_partitions_of_the_wrong_size_are_refused(kind):
    chain = proportional_not_ordinary()
    with pytest.raises(InvalidPartition, match="5 labels for 4 states"):
        check(chain, [0, 0, 1, 2, 3], kind=kind)
    with pytest.raises(InvalidPartition, match="is in no block"):
        lump(chain, kind=kind, within=[{"a", "b"}, {"c"}])


def test_a_proportional_quotient_has_no_rewards_unless_time_is_kept():
    chain = proportional_not_ordinary(2)
    with_cost = chain.rebuilt(
        chain.matrix, states=chain.states, labels=chain.labels, rewards={"cost": [1, 1, 0, 0]}
    )
    lumping = lump(with_cost, kind="proportional")
    assert lumping.quotient.rewards == {}
    assert lumping.stats.dropped == ("reward:cost",)
    same = lump(with_cost, kind="proportional", within=[0, 1, 2, 3])
    assert list(same.quotient.rewards) == ["cost"]


def test_a_collision_of_fingerprints_is_found_and_repaired(monkeypatch):
    """The proof fails, and the worklist goes on from there, exactly."""
    monkeypatch.setattr(fingerprint_rounds, "propose", lambda structure, within, *_: within)
    lumping = lump(queue_at_changing_speed(3), kind="proportional")
    assert len(lumping.partition) == 4


def test_a_vector_of_zeros_is_no_stationary_distribution_to_project():
    lumping = lump(queue_at_changing_speed(1), kind="proportional")
    with pytest.raises(InvalidInput, match="zero everywhere"):
        lumping.project_stationary([0] * 6)


def test_a_kind_of_ones_own_has_the_name_of_its_class():
    class Jumps(Ordinary):
        pass

    lumping = lump(land_of_oz(), kind=Jumps())
    assert lumping.kind == "jumps"
    assert "jumps" in str(lumping.explain("rain", "snow"))
    with pytest.raises(InvalidInput, match=r"give an object of the kind: Jumps\(\)"):
        lump(land_of_oz(), kind=Jumps)
