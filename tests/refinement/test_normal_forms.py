"""The definition under every normal form, and every engine against it."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, Network, lump
from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.numbers.groups import Group
from lumpability.partition import Partition
from lumpability.refinement import ENGINES, SHARES, SUMS, definition, multiples, refine
from lumpability.refinement.stability import disagreement
from lumpability.structure import WeightedStructure
from lumpability.structure.dense import DenseStructure, RowClasses
from lumpability.testing import structures
from lumpability.testing.definitions import all_partitions

WEIGHTS = [0.0, 0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, 2.0**-1070, 1e300]


@st.composite
def layers(draw: st.DrawFn) -> DenseStructure:
    """A layer over a few classes of rows, with constants and columns that are multiples."""
    rows, units = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    number = st.sampled_from(WEIGHTS)
    matrix = np.array([[draw(number) for _ in range(units)] for _ in range(rows)])
    for unit in range(1, units):
        if draw(st.booleans()):
            factor = draw(st.sampled_from([1.0, 2.0, -1.0, 3.0]))
            matrix[:, unit] = factor * matrix[:, draw(st.integers(0, unit - 1))]
    matrix[~np.isfinite(matrix)] = 1.0
    bias = np.array([draw(number) for _ in range(units)])
    of_class = draw(st.lists(st.integers(-1, 2), min_size=rows, max_size=rows))
    factors = st.sampled_from([Fraction(1), Fraction(2), Fraction(1, 3)])
    order = sorted((c, row) for row, c in enumerate(of_class) if c >= 0)
    constant = [row for row, c in enumerate(of_class) if c < 0]
    below = RowClasses(
        members=np.array([row for _, row in order], dtype=np.int64),
        starts=np.array(
            [i for i, (c, _) in enumerate(order) if i == 0 or order[i - 1][0] != c], dtype=np.int64
        ),
        factors=np.array([draw(factors) for _ in order] + [None], dtype=object)[:-1],
        constant_rows=np.array(constant, dtype=np.int64),
        constants=np.array([draw(factors) for _ in constant] + [None], dtype=object)[:-1],
    )
    return DenseStructure(matrix, bias, below)


def positive(structure: WeightedStructure) -> WeightedStructure:
    return replace(structure, weights=structure.weights.map(abs))


@given(layer=layers(), group=st.sampled_from(Group), data=st.data())
@settings(deadline=None)
def test_every_engine_refines_a_layer_as_the_definition_does(layer, group, data):
    units = data.draw(
        st.lists(st.integers(0, 1), min_size=layer.columns, max_size=layer.columns), label="within"
    )
    within = layer.within.meet(Partition([*units, *[0] * (layer.classes + 1)]))
    expected = definition.refine([layer], within, multiples(group))
    for engine in ENGINES:
        assert refine(layer, within, normal=multiples(group), engine=engine).partition == expected
    assert refine(layer, within, normal=multiples(group)).engine == "columns"
    assert disagreement(layer, expected, multiples(group)) is None


@given(structure=structures(max_states=6), several=st.booleans())
def test_every_engine_that_serves_a_normal_form_refines_as_the_definition_does(structure, several):
    matrices = [structure, structure.transposed] if several else [structure]
    for normal, given_ in ((SUMS, matrices), (SHARES, [positive(structure)])):
        expected = definition.refine(given_, structure.within, normal)
        for engine in ENGINES.values():
            if engine.serves(normal):
                found = refine(given_, structure.within, normal=normal, engine=engine.name)
                assert found.partition == expected, engine.name


NORMAL_FORMS = [SUMS, SHARES, *map(multiples, Group)]


@pytest.mark.parametrize("normal", NORMAL_FORMS, ids=repr)
@given(structure=structures(max_states=5))
def test_the_definition_is_the_coarsest_of_all_stable_partitions(normal, structure):
    """All partitions are tried; the one that is found is stable, and coarser than every other."""
    structure = positive(structure) if normal is SHARES else structure
    found = definition.refine([structure], structure.within, normal)
    stable = [
        partition
        for partition in all_partitions(structure.n)
        if partition.refines(structure.within)
        and definition.split([structure], partition, normal) == partition
    ]
    assert found in stable
    assert all(partition.refines(found) for partition in stable)


@pytest.mark.parametrize("normal", NORMAL_FORMS, ids=repr)
@given(structure=structures(), data=st.data())
def test_a_witness_exists_exactly_where_a_round_of_the_definition_splits(normal, structure, data):
    structure = positive(structure) if normal is SHARES else structure
    labels = st.lists(st.integers(0, 2), min_size=structure.n, max_size=structure.n)
    partition = Partition(np.array(data.draw(labels), dtype=np.int64))
    witness = disagreement(structure, partition, normal)
    splits = len(definition.split([structure], partition, normal)) > len(partition)
    assert (witness is not None) == splits
    if witness is not None:
        assert partition.labels[witness.state] == partition.labels[witness.other]
        assert witness.total != witness.other_total


def test_multiples_of_targets_that_are_not_apart_are_left_to_the_definition():
    structure = WeightedStructure.from_edges(4, [0, 1], [2, 3], [1, 2])
    normal = multiples(Group.POSITIVE)
    assert refine(structure, normal=normal).engine == "definition"
    with pytest.raises(InvalidInput, match="engine='definition' unless every target"):
        refine(structure, normal=normal, engine="worklist")


def test_engines_refuse_what_they_do_not_serve():
    structure = WeightedStructure.from_edges(2, [0], [1], [1])
    with pytest.raises(InvalidInput, match="kernel engine does not refine by SHARES"):
        refine(structure, normal=SHARES, engine="kernel")
    with pytest.raises(InvalidInput, match="columns engine does not refine by SUMS"):
        refine(structure, engine="columns")
    layer = DenseStructure(np.array([[1.0]]), None, RowClasses.separate(1))
    for engine in ("worklist", "rounds", "kernel"):
        with pytest.raises(InvalidInput, match=f"the {engine} engine refines sparse structures"):
            refine(layer, engine=engine)
    with pytest.raises(InvalidInput, match="refines one dense layer"):
        refine(structure, normal=multiples(Group.ANY), engine="columns")


def test_a_function_may_be_the_engine_of_both_wings():
    asked: list[Any] = []

    def engine(structures, within, normal):
        asked.append(normal)
        return definition.refine(structures, within, normal)

    network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    assert len(lump(network, engine=engine).partition) == len(lump(network).partition)
    assert asked
    assert all(normal == multiples(Group.POSITIVE) for normal in asked)


def test_reading_lumping_and_certifying_a_network_goes_through_the_engine():
    """`definition`'s siblings are entered: there is no second refinement in the network wing."""
    entered: set[str] = set()

    def profile(frame, event, argument):
        if event == "call":
            entered.add(frame.f_code.co_filename.replace("\\", "/").rpartition("/lumpability/")[2])

    network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        lumping = lump(network)
    finally:
        sys.setprofile(before)
    assert lumping.certificate().verify(network)
    assert {"refinement/__init__.py", "refinement/engines.py", "refinement/columns.py"} <= entered


@pytest.mark.parametrize(
    ("engine", "what"),
    [
        (
            lambda structures, within, normal: Partition.trivial(2),
            "mixes states that must stay apart",
        ),
        (lambda structures, within, normal: within, "is not stable"),
    ],
)
def test_what_an_engine_of_the_caller_answers_is_checked(engine, what):
    states = 2 if what.startswith("mixes") else 3
    rates = {("a", "b"): 1, ("b", "a"): 2} if states == 2 else {("a", "c"): 1, ("c", "b"): 2}
    chain = CTMC.from_rates(rates, labels={"goal": ["b"]})
    with pytest.raises(LumpabilityError, match=what):
        lump(chain, engine=engine)
