"""Random graphs: what is left computes the same function, and the proof refuses anything else."""

import onnx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import numpy_helper
from random_graphs import random_network
from try_random_graphs import wrong

from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.prove import prove
from lumpability.networks.graph.reduce import reduce_graph
from lumpability.networks.tensors.tensor import Unproved

pytest.importorskip("onnxruntime")
seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_a_reduced_graph_is_valid_and_computes_the_same_function_at_several_sizes(
    seed: int,
) -> None:
    network = random_network(seed)
    lumping = reduce_graph(network)
    onnx.checker.check_model(lumping.quotient.model, full_check=True)
    assert not wrong(network, lumping.quotient, 4)
    assert lumping.quotient.parameter_count <= network.parameter_count


@given(seeds)
def test_what_is_reduced_is_not_reduced_again_unless_units_were_kept_for_its_arrays(
    seed: int,
) -> None:
    once = reduce_graph(random_network(seed))
    assume(not any("no array" in reason or "no rule" in reason for reason in once.held))
    assert reduce_graph(once.quotient).is_unchanged


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
    try:
        prove(network.analysis, model, lumping.kept)
    except Unproved:
        return
    assert not wrong(network, GraphNetwork(model), 3)
