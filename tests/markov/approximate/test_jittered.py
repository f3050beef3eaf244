"""Blocks are recovered after every rate has been multiplied by a number near 1; the benchmark has 200 seeds."""

import runpy
from pathlib import Path

import pytest

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "jittered_chains.py"))
FAMILIES = BENCHMARK["FAMILIES"]


@pytest.mark.parametrize("seed", [2, 4])  # 1 % and 5 %
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "machine_repair(8)"])
def test_the_blocks_of_jittered_chains_are_recovered(family, seed):
    assert BENCHMARK["is_recovered"](family, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_the_blocks_of_machines_with_jittered_rates_are_recovered(seed):
    assert BENCHMARK["is_recovered"]("machine_repair(8)", seed)
