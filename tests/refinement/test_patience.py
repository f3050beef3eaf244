"""The compiled kernel is got when rounds without it have taken as long as that would."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from lumpability import refinement
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import fingerprint_rounds, patience, refine
from lumpability.structure import WeightedStructure

kernel_warm = pytest.importorskip("lumpability.refinement.kernel_warm")
N = 60


@pytest.fixture
def structure():
    """A line with a marked end, which takes a round for every state; small limits apply to it."""
    initial = Partition((np.arange(N) == N - 1).astype(np.int64))
    return WeightedStructure.from_edges(
        N, np.arange(N - 1), np.arange(1, N), np.ones(N - 1, dtype=np.int64), initial=initial
    )


class Machine:
    """What is at hand, and how long it has been done without."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set = monkeypatch.setattr
        for name in ("SMALL", "LOAD_BEYOND"):
            self.set(refinement, name, N // 2)
        self.set(patience, "COMPILE_BEYOND", N // 2)
        self.set(patience, "WORKLIST", 1e9)
        self.spent(0.0)
        self.has(loaded=False, compiled=False)

    def has(self, *, loaded: bool, compiled: bool) -> None:
        self.set(patience, "_KERNEL", "sys" if loaded else "no such module")
        for part in ("can_sweep", "is_warm"):
            self.set(kernel_warm, part, lambda structure: compiled)

    def spent(self, seconds: float) -> None:
        self.set(patience, "_spent", patience._Meter(seconds))

    def slow(self, *, seconds: float) -> None:
        """Let the clock go so far from one look to the next."""
        ticks = iter(np.arange(0, 1e6, seconds))
        self.set(time, "monotonic", lambda: next(ticks))


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def test_small_structures_go_to_the_worklist_at_once(machine, structure):
    machine.set(refinement, "LOAD_BEYOND", structure.m)
    assert refine(structure).engine == "worklist"
    machine.set(refinement, "LOAD_BEYOND", structure.m - 1)
    assert refine(structure).engine == "rounds"


def test_a_kernel_that_is_ready_is_used_for_all_but_the_smallest(machine, structure):
    machine.has(loaded=True, compiled=True)
    machine.set(refinement, "LOAD_BEYOND", structure.m)
    assert refine(structure).engine == "kernel"
    machine.set(refinement, "SMALL", structure.m)
    assert refine(structure).engine == "worklist"


def test_what_rounds_are_soon_done_with_needs_no_kernel(machine, structure):
    found = refine(structure)
    assert (found.engine, found.proved) == ("rounds", True)
    assert found.partition == Partition.discrete(N)
    assert 0 < patience._spent.seconds < patience.LOADING


def test_the_kernel_is_loaded_when_rounds_have_taken_as_long(machine, structure):
    machine.has(loaded=False, compiled=True)
    machine.slow(seconds=patience.LOADING / 10)
    found = refine(structure)
    assert (found.engine, found.partition) == ("kernel", Partition.discrete(N))
    assert patience._spent.seconds >= patience.LOADING


@pytest.mark.parametrize("loaded", [False, True])
def test_it_is_compiled_when_rounds_have_taken_as_long_as_that(machine, structure, loaded):
    machine.has(loaded=loaded, compiled=False)
    machine.slow(seconds=patience.COMPILING / 10)
    found = refine(structure)
    assert (found.engine, found.partition) == ("kernel", Partition.discrete(N))
    assert patience.COMPILING <= patience._spent.seconds < 2 * patience.COMPILING


def test_seconds_count_from_one_structure_to_the_next(machine, structure):
    machine.has(loaded=True, compiled=False)
    machine.spent(patience.COMPILING / 2)
    assert patience.alternative(structure) == ("kernel", patience.COMPILING / 2)
    assert refine(structure).engine == "rounds"
    machine.spent(patience.COMPILING)
    assert patience.alternative(structure) == ("kernel", 0)
    assert refine(structure).engine == "kernel"


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("below", [0, 1])
def test_for_small_chains_nothing_is_ever_compiled(machine, structure, loaded, below):
    machine.has(loaded=loaded, compiled=False)
    machine.spent(10 * patience.COMPILING)
    machine.set(patience, "COMPILE_BEYOND", structure.m + below)
    assert refine(structure).engine == "rounds"
    machine.set(patience, "WORKLIST", 1e-9)
    machine.slow(seconds=1)
    assert refine(structure).engine == "worklist"


def test_the_worklist_goes_on_from_where_rounds_stopped_if_that_is_faster(machine, structure):
    machine.set(patience, "WORKLIST", patience.LOADING / 10 / structure.m)
    worklist, starts = refinement.worklist.refine, []

    def started(structure, start):
        starts.append(len(start))
        return worklist(structure, start)

    machine.set(refinement.worklist, "refine", started)
    machine.slow(seconds=patience.LOADING / 50)
    found = refine(structure)
    assert (found.engine, found.partition) == ("worklist", Partition.discrete(N))
    assert 2 < starts[0] < N


def test_of_a_large_structure_no_round_is_tried(machine, structure):
    machine.set(patience, "_LARGE", structure.m - 1)
    assert patience.alternative(structure) == ("kernel", 0)
    machine.set(patience, "_LARGE", structure.m)
    assert patience.alternative(structure) == ("kernel", patience.LOADING)


def test_plain_python_is_no_alternative_for_symbols(machine, structure):
    machine.set(patience, "WORKLIST", 1e-9)
    symbolic = replace(structure, weights=ExactArray.read(["x"] * structure.m)[0])
    assert patience.alternative(structure)[0] == "worklist"
    assert patience.alternative(symbolic) == ("kernel", patience.LOADING)
    assert refine(symbolic).engine == "rounds"


def test_functions_of_too_many_monomials_never_go_to_the_kernel(machine, structure):
    machine.has(loaded=True, compiled=True)
    symbolic = replace(structure, weights=ExactArray.read(["x"] * structure.m)[0])
    symbolic.weights.__dict__["components"] = None
    found = refine(symbolic)
    assert (found.engine, found.proved) == ("rounds", True)
    assert found.partition == Partition.discrete(N)


@pytest.mark.parametrize("limit", [0, 5, 20])
def test_rounds_that_run_out_of_time_carry_a_partition_that_the_answer_refines(
    limit, structure, monkeypatch
):
    looks = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: next(looks))
    tables = fingerprint_rounds.field_tables(structure.weights)
    with pytest.raises(fingerprint_rounds.OutOfTime) as raised:
        fingerprint_rounds.refine(structure, structure.initial, tables, patience=limit)
    assert len(raised.value.partition) == 2 + limit
    assert raised.value.partition.refines(structure.initial)
    monkeypatch.undo()
    assert refine(structure, raised.value.partition).partition == Partition.discrete(N)


FIRST = """
import sys
from lumpability import lump
from lumpability.markov.examples import machine_repair
lumping = lump(machine_repair(13))
print(lumping.stats.engine, len(lumping.partition), "numba" in sys.modules)
"""


def test_the_first_large_chain_of_a_process_waits_for_no_compiler(in_a_new_process, tmp_path):
    """106,496 transitions, in a process that has nothing compiled: numba is not even imported."""
    done = in_a_new_process(FIRST)
    assert done.stdout.split() == ["rounds", "14", "False"]
    assert list(tmp_path.iterdir()) == []
