"""Near misses of networks: with the weights that they ask for, the two classes are one."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import NETWORKS, lumped

from lumpability import lump, read
from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks import Network, NetworkLumping
from lumpability.networks.layers import Dense
from lumpability.networks.near_misses import NearMiss

SHARED = Path(__file__).parents[3] / "shared" / "networks"


def together(lumping: NetworkLumping, miss: NearMiss) -> bool:
    return lumping.explain(miss.first, miss.second).together


def holds(lumping: NetworkLumping, misses: list[NearMiss]) -> int:
    """Check every near miss whose weights the stored type can hold; return how many."""
    checked = 0
    for miss in misses:
        assert not together(lumping, miss)
        if not all(change.representable for change in miss.changes):
            with pytest.raises(NotJustified, match="cannot hold"):
                miss.apply(lumping.network)
        else:
            changed = lump(miss.apply(lumping.network), kind=lumping.kind)
            found = changed.explain(miss.first, miss.second)
            assert (found.together, found.factor) == (True, miss.factor), str(miss)
            checked += 1
    return checked


@given(
    st.integers(0, 2**20),
    st.sampled_from(["relu", "tanh", "identity", "sigmoid"]),
    st.sampled_from(["proportional", "exact"]),
)
def test_changing_the_weights_of_a_near_miss_makes_one_class_of_two(
    seed: int, function: str, kind: str
) -> None:
    random = np.random.default_rng(seed)
    layers: list[Any] = [
        (random.integers(-2, 3, (a, b)), random.integers(-1, 2, b), function)
        for a, b in pairwise([3, 6, 5, 2])
    ]
    lumping = lump(Network.dense(layers), kind=kind)
    misses = lumping.near_misses(limit=6, weights=2)
    holds(lumping, misses)
    sizes = [len(miss.changes) for miss in misses]
    assert sizes == sorted(sizes)


def test_two_neurons_that_one_moved_weight_keeps_apart_are_found() -> None:
    network = NETWORKS["layers"]
    lumping = lump(network)
    first = network.layers[0]
    assert isinstance(first, Dense)
    one = lumping.stages[0]
    a, b = next(block for block in one.partition.blocks if len(block) > 1).tolist()[:2]
    weight = first.weight.copy()
    weight[1, b] += 8
    broken = replace(network, layers=(replace(first, weight=weight), *network.layers[1:]))
    misses = lump(broken).near_misses(limit=50, weights=1)
    assert (f"0:{a}", f"0:{b}") in {(miss.first, miss.second) for miss in misses}
    assert holds(lump(broken), misses) > 0


def test_every_pair_that_one_weight_keeps_apart_is_found() -> None:
    """All pairs of columns, compared in fractions."""
    random = np.random.default_rng(5)
    weights = random.integers(1, 4, (5, 20)).astype(float)
    lumping = lump(Network.dense([(weights, None, "relu"), (np.eye(20), None, None)]))
    firsts = lumping.stages[0].partition.representatives.tolist()
    expected = {
        (f"0:{a}", f"0:{b}")
        for a in firsts
        for b in firsts
        if a < b
        if max(np.unique(weights[:, b] / weights[:, a], return_counts=True)[1]) == 4
    }
    found = {(miss.first, miss.second) for miss in lumping.near_misses(limit=1000, weights=1)}
    assert found == expected != set()


@pytest.mark.parametrize(
    "name", ["convolution", "prelu", "batch_norm", "constant", "dead", "float32"]
)
def test_near_misses_of_every_kind_of_layer_hold(name: str) -> None:
    lumping = lumped(name)
    misses = lumping.near_misses(limit=20, weights=3)
    holds(lumping, misses)
    for miss in misses:
        data = json.loads(json.dumps(miss.to_json()))
        assert data["changes"][0]["source"] == miss.changes[0].source
        assert miss.first in str(miss)


def test_weights_of_another_network_are_not_changed() -> None:
    network = NETWORKS["relu"]
    (miss, *_) = lump(network).near_misses(weights=3)
    for other in ("convolution", "constant", "input"):
        with pytest.raises(InvalidInput, match="another network"):
            miss.apply(NETWORKS[other])
    with pytest.raises(InvalidInput, match="another network"):
        miss.apply(replace(network, layers=()))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no networks in {SHARED}")
def test_near_misses_of_a_lattice_network_hold() -> None:
    pytest.importorskip("onnx")
    lumping = lump(read(SHARED / "tll" / "tllBench_n=2_N=M=8_m=1_instance_0_0.onnx"))
    assert holds(lumping, lumping.near_misses()) == 10
