"""Differential tests on drawn models: Storm for chains, onnxruntime for networks.

Numbers are small enough to be exact in floating point too, so that both worlds must agree to the last bit.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import Network, lump, read, write
from lumpability.markov import MarkovChain
from lumpability.testing import ctmcs, dtmcs, labelled, lumpable_chains, lumpable_networks

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

binary = st.sampled_from([*map(Fraction, ("0", "1", "2", "1/2", "1/4"))])


def storm_blocks(chain: MarkovChain) -> int:
    """Number of blocks of Storm's strong bisimulation; it wants an initial state."""
    transformations: Any = pytest.importorskip("stormpy.transformations")
    from lumpability.formats.storm import to_stormpy

    quotient = transformations.perform_bisimulation(
        to_stormpy(chain.rebuilt(chain.matrix, labels=chain.labels, initial=0), exact=False),
        None,
        bisimulation_type=transformations.BisimulationType.STRONG,
    )
    return int(quotient.nr_states)


@given(labelled(ctmcs(rates=binary), max_labels=2))
def test_storm_finds_as_many_blocks_of_drawn_chains(chain: MarkovChain) -> None:
    assert storm_blocks(chain) == len(lump(chain, kind="bisimulation").partition)


@given(labelled(dtmcs(weights=st.sampled_from([Fraction(0), Fraction(1)]), max_states=4)))
def test_storm_finds_as_many_blocks_of_drawn_chains_in_discrete_time(chain: MarkovChain) -> None:
    if any(weight.denominator & (weight.denominator - 1) for weight in chain.matrix.weights.values):
        return  # a third is no float: equal sums would be a matter of luck
    assert storm_blocks(chain) == len(lump(chain, kind="bisimulation").partition)


@given(lumpable_chains(kind="bisimulation"), st.data())
def test_storm_finds_no_more_blocks_than_were_built_in(pair: Any, data: st.DataObject) -> None:
    chain, planted = pair
    marks = data.draw(st.lists(st.booleans(), min_size=len(planted), max_size=len(planted)))
    mask = np.array(marks, dtype=bool)[planted.labels]
    marked = chain.rebuilt(chain.matrix, labels={"a": mask})
    found = lump(marked, kind="bisimulation").partition
    assert planted.refines(found)
    assert storm_blocks(marked) == len(found)


@given(planted=lumpable_networks(activations=["relu", "abs", "identity", "sign"]), data=st.data())
def test_onnxruntime_computes_the_same_with_the_quotient(
    planted: Any, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    onnxruntime: Any = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    network: Network = planted[0]
    size = network.input_shape[1] or 1
    point = data.draw(st.lists(st.integers(-8, 8), min_size=size, max_size=size))
    expected = [float(value) for value in network.exact(point).tolist()]
    folder = tmp_path_factory.mktemp("networks")
    for name, one in (("whole", network), ("quotient", lump(network).quotient)):
        path: Path = folder / f"{name}.onnx"
        write(one, path)
        assert read(path).exact(point).tolist() == one.exact(point).tolist()
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {one.input_name: np.array([point], dtype=one.dtype)})
        assert found[0].tolist() == expected
