"""The kernel is compiled once, ahead, by processes of its own; whatever happens to them, refinement works."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest

from lumpability.structure import WeightedStructure

kernel_compile = pytest.importorskip("lumpability.refinement.kernel_compile")
kernel_warm = pytest.importorskip("lumpability.refinement.kernel_warm")

needs_compiler = pytest.mark.skipif(
    kernel_compile.cache_folder() is None, reason="compilation is switched off"
)
ONE = WeightedStructure.from_edges(2, [0], [1], [1])
SAID = "compiling the engine for large models, which takes some seconds, once"
# Refines by one thread and by several, and tells whether it was warm before, and what was compiled where it was called.
REFINE = """
import json, sys
from lumpability import lump
from lumpability.markov.examples import machine_repair
from lumpability.refinement import kernel, kernel_warm

def misses():
    return {
        f"{loop.__module__}.{loop.__name__}": sum(loop.stats.cache_misses.values())
        for name, module in list(sys.modules.items())
        if name.startswith("lumpability.refinement.kernel")
        for loop in vars(module).values()
        if hasattr(loop, "stats") and hasattr(loop, "py_func")
    }

chain = machine_repair(6)
before = kernel_warm.is_warm(chain.matrix)
kernel_warm.warm(chain.matrix)
ahead = misses()
blocks = [len(lump(machine_repair(n), engine="kernel").partition) for n in (6, 16)]
where_called = [loop for loop, number in misses().items() if number != ahead.get(loop)]
print(json.dumps([before, blocks, where_called, kernel_warm.is_warm(chain.matrix)]))
"""


@needs_compiler
def test_what_refinement_and_quotients_call_is_compiled_ahead_and_only_once(
    in_a_new_process, tmp_path
):
    """No loop is compiled where it is called, be it for small chains or by several threads for large ones."""

    def run():
        done = in_a_new_process(REFINE)
        return json.loads(done.stdout), done.stderr

    def files():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}

    assert run() == ([False, [7, 17], [], True], f"{SAID}\n")
    first = files()
    assert run() == ([True, [7, 17], [], True], "")
    assert files() == first


@pytest.fixture
def stamp(monkeypatch, tmp_path):
    """Where a stamp is to be, in an empty folder."""
    monkeypatch.setattr(kernel_compile, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(kernel_warm, "_kept", set())
    return kernel_compile._stamp("uint8-uint32")


@pytest.fixture
def compiled_here(monkeypatch):
    """The shares that this process would compile: number, of how many, and the types."""
    shares = []
    monkeypatch.setattr(kernel_warm, "compile_share", lambda *share: shares.append(share))
    return shares


def helped_by(monkeypatch, *programs):
    """Let processes run these programs instead of compiling."""
    commands = [[sys.executable, "-c", program] for program in programs]
    monkeypatch.setattr(kernel_warm, "_commands", lambda codes, entries: commands)


def warm():
    kernel_warm.warm(ONE)


def test_a_stamp_tells_that_nothing_is_left_to_do(monkeypatch, caplog, stamp, compiled_here):
    helped_by(monkeypatch, "pass", "pass")
    warm()
    assert stamp.exists()
    helped_by(monkeypatch, "raise SystemExit('not again')")
    warm()
    monkeypatch.setattr(kernel_warm, "_kept", set())  # as in another process
    warm()
    assert compiled_here == [(0, 3, "B", "uint32")]
    assert [record.getMessage() for record in caplog.records] == [SAID]


def test_what_processes_fail_to_compile_is_compiled_here(monkeypatch, caplog, stamp, compiled_here):
    helped_by(monkeypatch, "pass", "raise ValueError('no room')", "raise SystemExit(3)")
    warm()
    assert compiled_here == [(0, 4, "B", "uint32"), (0, 1, "B", "uint32")]
    assert stamp.exists()
    assert [record.getMessage() for record in caplog.records] == [
        SAID,
        "compiling the kernel without help: ValueError: no room; exit code 3",
    ]


def test_where_no_process_can_be_started_all_is_compiled_here(
    monkeypatch, caplog, stamp, compiled_here
):
    monkeypatch.setattr(kernel_warm, "_commands", lambda codes, entries: [["/nowhere/python"]])
    warm()
    assert compiled_here == [(0, 2, "B", "uint32"), (0, 1, "B", "uint32")]
    assert "/nowhere/python" in caplog.text


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("frozen", True)])
def test_without_an_interpreter_nothing_is_started(
    monkeypatch, caplog, stamp, compiled_here, name, value
):
    """A frozen program would start itself."""
    monkeypatch.setattr(sys, name, value, raising=False)
    warm()
    assert compiled_here == [(0, 1, "B", "uint32")]
    assert stamp.exists()
    assert [record.getMessage() for record in caplog.records] == [SAID]


def test_where_nothing_is_compiled_nothing_is_started(monkeypatch, compiled_here):
    monkeypatch.setattr(kernel_compile, "cache_folder", lambda: None)
    monkeypatch.setattr(kernel_warm, "_kept", set())
    monkeypatch.setattr(kernel_warm, "_commands", lambda codes, entries: pytest.fail("started"))
    warm()
    assert compiled_here == []
    assert kernel_warm.is_warm(ONE)


def test_an_interrupt_leaves_no_process_behind(monkeypatch, stamp):
    started = []
    right = subprocess.Popen

    class Remembered(right):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    def interrupt(*share):
        raise KeyboardInterrupt

    helped_by(monkeypatch, *["import time; time.sleep(600)"] * 2)
    monkeypatch.setattr(subprocess, "Popen", Remembered)
    monkeypatch.setattr(kernel_warm, "compile_share", interrupt)
    with pytest.raises(KeyboardInterrupt):
        warm()
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)
    assert not stamp.exists()


@needs_compiler
@pytest.mark.parametrize("enabled", [True, False])
def test_collecting_garbage_goes_on_afterwards_if_it_did_before(monkeypatch, enabled):
    def fail(loop, arguments):
        assert not gc.isenabled()
        raise MemoryError

    monkeypatch.setattr(kernel_warm, "compile_for", fail)
    if not enabled:
        gc.disable()
    try:
        with pytest.raises(MemoryError):
            kernel_warm.compile_share(0, 1, "B", "uint32")
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_what_is_compiled_depends_on_the_numbers_of_weights_and_states():
    few = WeightedStructure.from_edges(2, [0], [1], [1])
    assert kernel_warm._types(few) == ("B", "uint32")
    size = 300
    row = WeightedStructure.from_edges(size, [0] * size, range(size), range(1, size + 1))
    assert kernel_warm._types(row) == ("H", "uint32")


def test_processes_import_what_this_one_would_and_take_the_other_shares(monkeypatch):
    monkeypatch.setattr(kernel_warm, "cores", lambda: 3)
    commands = kernel_warm._commands("B", "uint64")
    assert all(command[-len(sys.path) :] == sys.path for command in commands)
    assert [command[4:8] for command in commands] == [
        ["1", "3", "B", "uint64"],
        ["2", "3", "B", "uint64"],
    ]
