"""Random graphs: what is left computes the same function, and the proof refuses anything else."""

import numpy as np
import onnx
import pytest
from graph_builder import random_network
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.prove import prove
from lumpability.networks.graph.reduce import reduce_graph
from lumpability.networks.tensors.call import Unproved

pytest.importorskip("onnxruntime")
seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_a_reduced_graph_is_valid_and_computes_the_same_function_at_several_sizes(
    seed: int,
) -> None:
    network = random_network(seed)
    lumping = reduce_graph(network)
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    scale = float(np.abs(network(np.ones(_shape(network), np.float32))).max()) + 1
    assert lumping.compare(4).largest_difference < 1e-3 * scale
    assert lumping.quotient.parameter_count <= network.parameter_count


@given(seeds)
def test_what_is_reduced_is_not_reduced_again(seed: int) -> None:
    once = reduce_graph(random_network(seed)).quotient
    assert reduce_graph(once).is_unchanged


@given(seeds, st.integers(0, 2**16))
def test_no_model_with_another_weight_that_matters_is_proved(seed: int, place: int) -> None:
    network = random_network(seed)
    lumping = reduce_graph(network)
    model = onnx.ModelProto()
    model.CopyFrom(lumping.quotient.model)
    floats = [item for item in model.graph.initializer if item.data_type == 1]
    item = floats[place % len(floats)]
    array = numpy_helper.to_array(item).copy()
    array.flat[place % array.size] += 0.375
    item.CopyFrom(numpy_helper.from_array(array, item.name))
    x = np.random.default_rng(0).normal(size=(3, *_shape(network)[1:])).astype(np.float32)
    same = np.allclose(GraphNetwork(model)(x), network(x), rtol=1e-3, atol=1e-3)
    try:
        prove(network.analysis, model, lumping.kept)
    except Unproved:
        return
    assert same


def _shape(network: GraphNetwork) -> list[int]:
    ((_, _, shape),) = network.ends["input"]
    return [n if isinstance(n, int) else 1 for n in shape]
