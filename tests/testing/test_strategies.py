"""Strategies draw what they promise, quickly, and shrink to the smallest example."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from fractions import Fraction
from importlib import metadata
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import find as find_any
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Network, Partition, check, lump
from lumpability.errors import InvalidInput
from lumpability.markov.solve import is_irreducible
from lumpability.networks.elementwise import Softmax
from lumpability.refinement import Witness, refine
from lumpability.structure import WeightedStructure
from lumpability.testing import (
    ctmcs,
    dtmcs,
    labelled,
    lumpable_chains,
    lumpable_networks,
    near_lumpable_chains,
    networks,
    not_lumpable_chains,
    parametric_chains,
    partitions,
    permutations_of,
    rationals,
    structures,
)
from lumpability.testing.definitions import find_witness, is_lumping, is_stable
from lumpability.testing.registration import register
from lumpability.testing.strategies.lumpable import KINDS

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

EVERY = {
    "ctmcs": ctmcs(),
    "ctmcs, irreducible": ctmcs(irreducible=True),
    "dtmcs": dtmcs(),
    "labelled": labelled(ctmcs(), max_rewards=2, initial=True),
    "lumpable_networks": lumpable_networks(),
    "networks": networks(),
    "near_lumpable_chains": near_lumpable_chains(),
    "parametric_chains": parametric_chains(),
    "partitions": partitions(),
    "permutations_of a chain": ctmcs().flatmap(permutations_of),
    "permutations_of a network": networks().flatmap(permutations_of),
    "permutations_of a structure": structures().flatmap(permutations_of),
    "rationals": rationals(max_exponent=30),
    "structures": structures(),
    **{f"lumpable_chains, {kind}": lumpable_chains(kind=kind) for kind in KINDS},
    "lumpable_chains, in discrete time": lumpable_chains(kind="exact", time="discrete"),
    "not_lumpable_chains": not_lumpable_chains(kind="strict"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_hundreds_of_examples_are_drawn_in_bounded_time(name):
    """With all of Hypothesis's health checks on: nothing is filtered, nothing too large or slow."""
    drawn = []

    @settings(max_examples=400, database=None, deadline=None, phases=[Phase.generate])
    @given(EVERY[name])
    def draw(example):
        drawn.append(example)

    start = time.process_time()
    draw()
    assert time.process_time() - start < 40  # 0.5 to 7 s on an idle machine
    assert len(drawn) >= 400


# --- what is drawn is what was promised ---------------------------------------------------------------


@given(rationals(min_value=1, max_value=3, max_denominator=4))
def test_rationals_keep_their_bounds(number):
    assert 1 <= number <= 3
    assert number.denominator <= 4


@given(partitions(states=6, max_blocks=3))
def test_partitions_keep_their_bounds(partition):
    assert partition.n == 6
    assert len(partition) <= 3


@given(structures(noise=0, max_states=6, min_states=2))
def test_structures_without_noise_have_a_stable_partition_built_in(structure):
    assert 2 <= structure.n <= 6
    assert len(structure.within) <= 2


@given(st.data())
def test_irreducible_chains_are(data):
    for strategy in (ctmcs(irreducible=True), dtmcs(irreducible=True)):
        assert is_irreducible(data.draw(strategy))
    kind = data.draw(st.sampled_from(KINDS))
    assert is_irreducible(data.draw(lumpable_chains(kind=kind, irreducible=True))[0])


@given(labelled(dtmcs(), min_labels=2, max_rewards=2, initial=True))
def test_labelled_chains_have_labels_rewards_and_a_start(chain):
    assert sorted(chain.labels) == ["a", "b"]
    assert len(chain.rewards) <= 2
    assert sum(chain.initial) == 1


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_lumping_that_was_built_in_is_one_by_definition(kind, data):
    times = ["continuous"] if kind == "proportional" else ["continuous", "discrete"]
    time_of_chain = data.draw(st.sampled_from(times))
    chain, partition = data.draw(lumpable_chains(kind=kind, time=time_of_chain))
    assert chain.time == time_of_chain
    assert is_lumping(chain, partition, kind)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_chain_that_was_broken_is_not_lumpable_with_the_witness_named(kind, data):
    times = ["continuous"] if kind == "proportional" else ["continuous", "discrete"]
    chain, partition, witness = data.draw(
        not_lumpable_chains(kind=kind, time=data.draw(st.sampled_from(times)))
    )
    verdict = check(chain, partition, kind=kind)
    assert not verdict
    assert verdict.witness == witness


@given(near_lumpable_chains(epsilon="1/1000000"))
def test_near_lumpable_chains_miss_by_epsilon(pair):
    witness = find_witness(*pair, "ordinary")
    assert abs(witness.total - witness.other_total) == Fraction(1, 10**6)


@given(parametric_chains(parameters=("lam", "mu")))
def test_parametric_chains_have_parameters(chain):
    assert "lam" in map(str, chain.parameters)


@given(lumpable_networks(activations=["relu", "tanh", "sigmoid", "abs", "identity"]))
def test_copies_that_were_built_in_are_found_with_their_factors(planted):
    network, classes, factors = planted
    assert check(network, dict(enumerate(classes)))
    lumping = lump(network)
    assert lumping.quotient.hidden_neurons <= sum(len(one) for one in classes[:-1])
    for one, scale in zip(classes, factors, strict=True):
        assert len(scale) == one.n
        assert all(scale[first] == 1 for first in one.representatives.tolist())


@given(st.data())
def test_renumbered_models_are_the_same_models(data):
    structure = data.draw(structures())
    other, order = data.draw(permutations_of(structure))
    back = np.argsort(np.array(order))
    assert other.renumber(back).equals(structure)
    chain = data.draw(ctmcs())
    assert data.draw(permutations_of(chain))[0].n == chain.n
    network = data.draw(networks())
    other, order = data.draw(permutations_of(network))
    point = [1, -2][: network.input_shape[1]]
    assert other.exact(point).tolist() == network.exact(point).tolist()
    assert sorted(order) == list(range(len(order)))


def test_what_cannot_be_drawn_is_refused_in_words():
    with pytest.raises(InvalidInput, match="a list cannot be renumbered"):
        permutations_of([1])
    softmax = Network((Softmax(),), (None, 2))
    with pytest.raises(InvalidInput, match="only dense networks"):
        permutations_of(softmax)
    for options in ({"kind": "weak"}, {"kind": "proportional", "time": "discrete"}, {"time": "no"}):
        with pytest.raises(InvalidInput):
            find_any(lumpable_chains(**options), lambda pair: True)


# --- the smallest examples ----------------------------------------------------------------------------


def find(strategy, condition):
    """The smallest example, the same one in every run."""
    quiet = settings(database=None, phases=[Phase.generate, Phase.shrink])
    return find_any(strategy, condition, random=Random(0), settings=quiet)


def test_the_smallest_partition_with_two_blocks():
    assert find(partitions(), lambda p: len(p) == 2) == Partition([0, 1])


def test_the_smallest_partition_with_a_block_that_is_not_contiguous():
    found = find(partitions(), lambda p: np.any(np.diff(p.labels) < 0))
    assert found == Partition([0, 1, 0])


def test_the_smallest_structure_that_is_not_stable_at_the_start():
    found = find(structures(), lambda one: not is_stable(one, one.within))
    assert (found.n, found.row(0), found.row(1)) == (2, [(0, 1)], [])
    assert found.within == Partition([0, 0])


def test_the_smallest_structure_that_needs_two_rounds():
    found = find(structures(), lambda one: len(refine(one).partition) > 1 + len(one.within))
    assert found.n == 3
    assert found.m <= 3


def test_the_smallest_chain_with_a_rate():
    found = find(ctmcs(), lambda chain: chain.matrix.m > 0)
    assert (found.n, found.matrix.row(0)) == (1, [(0, 1)])


def test_the_smallest_chain_in_discrete_time():
    found = find(dtmcs(), lambda chain: True)
    assert (found.n, found.matrix.row(0)) == (1, [(0, 1)])


def test_the_smallest_labelled_chain_whose_label_tells_states_apart():
    found = find(labelled(ctmcs()), lambda chain: len(chain.respected()) == 2)
    assert (found.n, found.matrix.m) == (2, 0)
    assert found.labels["a"].tolist() == [False, True]


@pytest.mark.parametrize("kind", ["ordinary", "exact", "proportional"])
def test_the_smallest_chain_that_is_not_lumpable(kind):
    few = not_lumpable_chains(kind=kind, max_blocks=2, max_block_size=2)
    chain, partition, witness = find(few, lambda triple: True)
    if kind == "proportional":  # two states, two ways out, taken in other proportions
        assert partition == Partition([0, 0, 1, 2])
        assert (witness.total, witness.other_total) == (Fraction(1, 2), 1)
        return
    assert partition == Partition([0, 0, 1])
    assert chain.matrix.m == 1
    assert witness == Witness(0, 1, 1, Fraction(1), Fraction(0), "in" if kind == "exact" else "out")


def test_the_smallest_network_that_merges():
    found = find(networks(), lambda one: len(lump(one).partition) < lump(one).partition.n)
    assert (found.hidden_neurons, found.parameter_count) == (2, 7)
    assert all((layer.weight == 0).all() for layer in found.layers if layer.parameters)


def test_the_smallest_network_with_a_factor():
    planted = lumpable_networks(activations=["relu"], max_copies=1)
    network, partitions_found, factors = find(planted, lambda one: any(c != 1 for c in one[2][0]))
    assert partitions_found[0] == Partition([0, 0])
    assert factors[0] in ([1, 2], [1, Fraction(1, 2)])
    assert network.hidden_neurons == 2


# --- the entry point ----------------------------------------------------------------------------------


@settings(max_examples=5)
@given(st.data())
def test_types_are_drawn_once_registered(data):
    register()
    for kind in (CTMC, DTMC, Network, Partition, WeightedStructure):
        assert isinstance(data.draw(st.from_type(kind)), kind)


def test_an_installed_package_registers_itself():
    try:
        found = metadata.distribution("lumpability").entry_points.select(group="hypothesis")
    except metadata.PackageNotFoundError:
        pytest.skip("lumpability is not installed, only importable")
    assert [entry.value for entry in found] == ["lumpability.testing.registration:register"]
    code = (
        "from hypothesis import find, strategies\n"
        "from lumpability import CTMC\n"
        "print(find(strategies.from_type(CTMC), lambda chain: chain.n == 2))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert found.stdout == "CTMC(2 states, 0 transitions)\n"


def test_without_hypothesis_one_line_says_what_to_install():
    code = "import sys; sys.modules['hypothesis'] = None; import lumpability.testing"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "this needs the package 'hypothesis': pip install 'lumpability[test]'" in result.stderr


def test_the_first_example_of_a_strategy_imports_nothing_that_hypothesis_would_time():
    """Each strategy in a fork of one process, which has imported no more than a user's test does."""
    script = """
import os, sys, warnings
from hypothesis import given, settings
from lumpability import lump
from lumpability.testing import strategies
warnings.simplefilter("ignore")

def try_first(strategy):
    @settings(max_examples=3, database=None, deadline=None)
    @given(strategy)
    def test(drawn):
        before = set(sys.modules)
        lump(drawn[0] if isinstance(drawn, tuple) else drawn)
        late = [name for name in set(sys.modules) - before if name.startswith(("scipy", "sympy"))]
        assert not late, late

    test()

for make in (
    strategies.ctmcs,
    strategies.dtmcs,
    strategies.parametric_chains,
    strategies.networks,
    lambda: strategies.lumpable_chains(kind="exact"),
):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
    else:
        status = 1
        try:
            try_first(make())
            status = 0
        finally:
            os._exit(status)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)
