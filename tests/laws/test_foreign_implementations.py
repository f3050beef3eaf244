"""What the laws found in other programs, as docs/guides/test-your-own.md shows it.

Each example is the smallest one that a law came up with; the programs are asked again here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from foreign_refiners import PyDTMC, networkx_snap, storm

from lumpability import Partition
from lumpability.refinement import refine
from lumpability.structure import WeightedStructure


def structure(n: int, weights: dict[tuple[int, int], str], initial: list[int]) -> WeightedStructure:
    return WeightedStructure.from_edges(
        n, [s for s, _ in weights], [t for _, t in weights], list(weights.values()),
        within=Partition(initial),
    )  # fmt: skip


def answers(program: object, given: WeightedStructure) -> tuple[Partition, Partition]:
    """What the program finds and what is right."""
    found = program(given, given.within)  # type: ignore[operator]
    return Partition.of(found, states=given.n), refine(given).partition


HALVES = {(0, 0): "1", (1, 0): "1/2", (1, 1): "1/2"}
UNEQUAL = {(0, 0): "1/2", (0, 1): "1/2", (1, 0): "1/2"}


def test_networkx_compares_weights_and_not_their_sums() -> None:
    pytest.importorskip("networkx")
    found, right = answers(networkx_snap, structure(2, HALVES, [0, 0]))
    assert (found, right) == (Partition([0, 1]), Partition([0, 0]))
    found, right = answers(networkx_snap, structure(2, UNEQUAL, [0, 0]))
    assert (found, right) == (Partition([0, 0]), Partition([0, 1]))


def test_storm_merges_what_differs_by_a_billionth() -> None:
    pytest.importorskip("stormpy")
    close = structure(3, {(0, 2): "1000000001/1000000000", (1, 2): "1"}, [0, 0, 1])
    found, right = answers(storm, close)
    assert (found, right) == (Partition([0, 0, 1]), Partition([0, 1, 2]))


def test_storm_depends_on_the_unit_of_time() -> None:
    pytest.importorskip("stormpy")

    def of(rate: str) -> tuple[Partition, Partition]:
        edges = [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0)]
        return answers(storm, structure(4, dict.fromkeys(edges, rate), [0] * 4))

    expected = Partition([0, 0, 1, 2])
    assert of("1") == (expected, expected)
    assert of("1/1000000000") == (Partition([0, 0, 0, 1]), expected)


def test_storm_depends_on_the_order_of_addition() -> None:
    pytest.importorskip("stormpy")
    million = ["1000000"] * 8
    rates = [*million, "1/5", "3000000", "3/5", "7000000"]
    order = [0, 1, 2, 3, 4, 5, 6, 7, 9, 8, 10, 11]
    edges = {(0, 2 + i): rate for i, rate in enumerate(rates)}
    edges |= {(1, 2 + place): rate for place, rate in zip(order, rates, strict=True)}
    found, right = answers(storm, structure(14, edges, [0, 0, *[1] * 12]))
    assert right == Partition([0, 0, *[1] * 12])
    assert found.labels[0] != found.labels[1]


@pytest.fixture(scope="module")
def pydtmc() -> Iterator[PyDTMC]:
    if "LUMPABILITY_PYDTMC" not in os.environ:
        pytest.skip("LUMPABILITY_PYDTMC names no Python that has PyDTMC")
    program = PyDTMC()
    yield program
    program.close()


def test_pydtmc_misses_blocks_that_are_not_contiguous(pydtmc: PyDTMC) -> None:
    found, right = answers(pydtmc, structure(3, {(0, 1): "1", (2, 1): "1"}, [0, 0, 0]))
    assert (found, right) == (Partition([0, 1, 2]), Partition([0, 1, 0]))
    assert pydtmc.lumpings([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.3, 0.5, 0.2]]) == []


def test_pydtmc_takes_a_tenth_and_two_tenths_for_another_sum_than_three_tenths(
    pydtmc: PyDTMC,
) -> None:
    assert pydtmc.lumpings([[0.1, 0.2, 0.7], [0.3, 0, 0.7], [0, 0, 1]]) == []
    assert pydtmc.lumpings([[0.125, 0.25, 0.625], [0.375, 0, 0.625], [0, 0, 1]]) == [[[0, 1], [2]]]
