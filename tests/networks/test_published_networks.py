"""Official networks of the verification competitions: what reduces, by how much, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_networks import FOLDER, published_files

from lumpability import check, lump
from lumpability.formats import read, write
from lumpability.networks import Network

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no networks in {FOLDER}")
pytest.importorskip("onnx")


def published(name: str) -> Network:
    network = read(next(FOLDER.glob(f"*/{name}")))
    assert isinstance(network, Network)
    return network


def bitwise_equal(network: Network, other: Network, folder: Path, points: int) -> bool:
    """Run both in onnxruntime at random points, one at a time."""
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    sessions = []
    for number, model in enumerate((network, other)):
        path = folder / f"{number}.onnx"
        write(model, path)
        sessions.append(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    random = np.random.default_rng(0)
    shape = [1 if size is None else size for size in network.input_shape]
    for _ in range(points):
        x = (10 * random.normal(size=shape)).astype(network.dtype)
        first, second = (s.run(None, {network.input_name: x})[0] for s in sessions)
        if first.tobytes() != second.tobytes():
            return False
    return True


TLL = [
    ("N=M=8_m=1_instance_0_0.onnx", 386, 188, 17_295, 2_685),
    ("N=M=8_m=1_instance_0_1.onnx", 386, 209, 17_295, 3_458),
    ("N=M=16_m=1_instance_1_0.onnx", 1_546, 647, 267_815, 27_232),
    ("N=M=24_m=1_instance_2_0.onnx.gz", 3_599, 1_524, 1_356_112, 132_847),
    pytest.param(
        "N=M=32_m=1_instance_3_0.onnx.gz",
        *(6_170, 2_046, 4_233_303, 253_515),
        marks=pytest.mark.slow,  # as the smaller ones, of the same family
    ),
]


@pytest.mark.parametrize(("name", "hidden", "left", "weights", "kept"), TLL)
def test_two_level_lattice_networks_lose_half_their_neurons_and_most_parameters(
    tmp_path: Path, name: str, hidden: int, left: int, weights: int, kept: int
) -> None:
    network = published(f"tllBench_n=2_{name}")
    lumping = lump(network, exact_weights=True)  # every new weight is a float32
    assert (network.hidden_neurons, network.parameter_count) == (hidden, weights)
    assert (lumping.quotient.hidden_neurons, lumping.quotient.parameter_count) == (left, kept)
    assert check(network, lumping.partition)
    for point in ([1, "-1/3"], ["7/2", -2]):
        assert network.exact(point).tolist() == lumping.quotient.exact(point).tolist()
    assert bitwise_equal(network, lumping.quotient, tmp_path, 2_000)


@pytest.mark.parametrize(
    ("name", "left", "kept"),
    [(TLL[0][0], 120, 2_001), (TLL[1][0], 133, 2_598), (TLL[2][0], 403, 20_684)],
)
def test_lattice_networks_lose_more_where_opposite_signs_merge(
    name: str, left: int, kept: int
) -> None:
    network = published(f"tllBench_n=2_{name}")
    lumping = lump(network, exact_weights=True, antiparallel=True)
    assert (lumping.quotient.hidden_neurons, lumping.quotient.parameter_count) == (left, kept)
    assert lumping.certificate().verify()
    for point in ([1, "-1/3"], ["7/2", -2]):
        assert network.exact(point).tolist() == lumping.quotient.exact(point).tolist()


@pytest.mark.parametrize("name", [TLL[0][0], TLL[1][0]])
def test_the_shared_engine_finds_the_same_classes(name: str) -> None:
    network = published(f"tllBench_n=2_{name}")
    assert lump(network, engine="definition").partition == lump(network).partition


@pytest.mark.slow
def test_the_largest_lattice_network_loses_96_percent_of_its_parameters() -> None:
    network = published("tllBench_n=2_N=M=64_m=1_instance_7_0.onnx.gz")
    lumping = lump(network, exact_weights=True)
    assert lumping.quotient.hidden_neurons == 6_812
    assert lumping.quotient.parameter_count == 2_788_798


@pytest.mark.parametrize(
    "name",
    [
        "twin_ladder-5_inp-5_layers-5_width-1_margin.onnx",
        "twin_ladder-25_inp-5_layers-25_width-1_margin.onnx",
        "twin_ladder-10_inp-4_layers-5_width-1_margin.nnet",
    ],
)
def test_twin_ladders_are_constant(name: str) -> None:
    network = published(name)
    lumping = lump(network)
    assert lumping.quotient.hidden_neurons == 0
    size = int(network.input_shape[-1] or 0)
    values = {str(lumping.quotient.exact([k] * size).tolist()) for k in range(3)}
    assert values == {str(network.exact([1] * size).tolist())}


def test_iterated_merging_takes_a_third_of_a_bug_report() -> None:
    network = published("nnenum_bug_issue7.onnx")
    lumping = lump(network)
    assert (network.hidden_neurons, lumping.quotient.hidden_neurons) == (600, 400)
    assert [row.identical for row in lumping.table] == [50, 50, 50, 50, 0, 0, 0]
    assert (
        network.exact([1, 2, 3, 4, 5]).tolist() == lumping.quotient.exact([1, 2, 3, 4, 5]).tolist()
    )


@pytest.mark.parametrize(
    "name",
    [
        "ACASXU_run2a_1_1_batch_2000.onnx",
        "ACASXU_run2a_2_2_batch_2000.onnx",
        "ACASXU_run2a_5_9_batch_2000.onnx",
        "ACASXU_experimental_v2a_1_1.nnet",
        "mnist-net_256x2.onnx",
        "mnist-net_256x4.onnx",
        "cifar_base_kw.onnx",
        "cifar_deep_kw.onnx",
        "coav_0.0459990501404s_UNSAT.nnet",
        "mnist10x10.nnet",
    ],
)
def test_trained_networks_are_irreducible_and_it_is_said(name: str) -> None:
    network = published(name)
    lumping = lump(network)
    assert lumping.is_irreducible
    assert lumping.result == "irreducible: every layer's neurons are pairwise distinguishable"
    assert lumping.quotient.parameter_count == network.parameter_count
    assert lumping.certificate().verify()


def test_residual_joins_are_barriers_and_evaluate_exactly() -> None:
    network = published("resnet_2b.onnx")
    assert [layer.title for layer in network.layers].count("Join") == 2
    assert "before Join" in lump(network, kind="proportional").result
    assert lump(network).is_irreducible  # as a graph, where joins are looked into
    x = np.zeros((1, 3, 32, 32))
    exact = network.exact(x.astype(object))
    np.testing.assert_allclose(network(x), exact.astype(np.float64), rtol=1e-4)


@pytest.mark.parametrize("path", published_files(".onnx"), ids=lambda path: path.stem)
def test_every_file_evaluates_like_onnxruntime(path: Path) -> None:
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    network = read(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shape = [1 if size is None else size for size in network.input_shape]
    x = np.random.default_rng(3).normal(size=shape).astype(network.dtype)
    (expected,) = session.run(None, {network.input_name: x})
    if path.stem == "dropout_training_mode_true":  # random by definition: zero, or twice the input
        assert all(b in (0, 2 * a) for a, b in zip(x.ravel(), network(x).ravel(), strict=True))
        return
    found = network(x)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
