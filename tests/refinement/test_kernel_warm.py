"""The kernel is compiled once, ahead, by processes of its own; whatever happens to them, refinement works."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from lumpability.structure import WeightedStructure

kernel_compile = pytest.importorskip("lumpability.refinement.kernel_compile")
kernel_warm = pytest.importorskip("lumpability.refinement.kernel_warm")

needs_compiler = pytest.mark.skipif(
    kernel_compile.cache_folder() is None, reason="compilation is switched off"
)
TYPES = ("B", "uint32")
ONE = WeightedStructure.from_edges(2, [0], [1], [1])
SAID = "compiling the engine for large models, which takes some seconds, once"
SAID_LATER = "compiling the rest of the engine for large models, which takes some seconds, once"
# What is compiled where it is called, and not by others ahead.
PROGRAM = """
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

large = machine_repair(16)
"""
PREPARE = """
kernel_warm.prepare(large.matrix)
ahead = misses()
blocks = len(lump(large, engine="kernel").partition)
"""
# By one thread and by several.
REFINE = """
assert kernel_warm.is_warm(large.matrix)
kernel_warm.warm(large.matrix)
ahead = misses()
blocks = [len(lump(chain, engine="kernel").partition) for chain in (machine_repair(6), large)]
"""
RESULT = """
where_called = [loop for loop, number in misses().items() if number != ahead.get(loop)]
print(json.dumps([blocks, where_called, kernel_warm.is_warm(large.matrix)]))
"""


@needs_compiler
@pytest.mark.skipif(kernel_warm.cores() == 1, reason="there is no core for a process beside")
def test_all_is_compiled_ahead_and_only_once_the_rest_beside_even_when_this_process_ends(
    in_a_new_process, tmp_path
):
    """No loop is compiled where it is called, and nobody is warned of the process beside as if it were forgotten."""

    def run(program):
        done = in_a_new_process(PROGRAM + program + RESULT)
        return json.loads(done.stdout), done.stderr

    def files():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}

    assert run(PREPARE) == ([17, [], False], f"{SAID}\n")
    deadline = time.monotonic() + 200
    while not list(tmp_path.rglob("kernel-*-rest-uint8-uint32.ready")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    all_of_them = files()
    assert run(REFINE) == ([[7, 17], [], True], "")
    assert files() == all_of_them


@pytest.fixture
def stamp(monkeypatch, tmp_path):
    """Where a stamp is to be, in an empty folder."""
    monkeypatch.setattr(kernel_compile, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(kernel_warm, "_kept", set())
    return kernel_compile._stamp("sweeping-uint8-uint32")


@pytest.fixture
def compiled_here(monkeypatch):
    """The shares that this process would compile: of what part, number, of how many, and the types."""
    shares = []
    monkeypatch.setattr(kernel_warm, "compile_share", lambda *share: shares.append(share))
    return shares


def helped_by(monkeypatch, *programs):
    """Let processes run these programs instead of compiling."""
    commands = [[sys.executable, "-c", program] for program in programs]
    monkeypatch.setattr(kernel_warm, "_commands", lambda part, codes, entries: commands)


def warm():
    """What anyone waits for."""
    kernel_warm._compile_unless_kept("sweeping", *TYPES)


def test_a_stamp_tells_that_nothing_is_left_to_do(monkeypatch, caplog, stamp, compiled_here):
    helped_by(monkeypatch, "pass", "pass")
    warm()
    assert stamp.exists()
    helped_by(monkeypatch, "raise SystemExit('not again')")
    warm()
    monkeypatch.setattr(kernel_warm, "_kept", set())  # as in another process
    warm()
    assert compiled_here == [("sweeping", 0, 3, *TYPES)]
    assert [record.getMessage() for record in caplog.records] == [SAID]


def test_what_processes_fail_to_compile_is_compiled_here(monkeypatch, caplog, stamp, compiled_here):
    helped_by(monkeypatch, "pass", "raise ValueError('no room')", "raise SystemExit(3)")
    warm()
    assert compiled_here == [("sweeping", 0, 4, *TYPES), ("sweeping", 0, 1, *TYPES)]
    assert stamp.exists()
    assert [record.getMessage() for record in caplog.records] == [
        SAID,
        "compiling the kernel without help: ValueError: no room; exit code 3",
    ]


def test_where_no_process_can_be_started_all_is_compiled_here(
    monkeypatch, caplog, stamp, compiled_here
):
    monkeypatch.setattr(
        kernel_warm, "_commands", lambda part, codes, entries: [["/nowhere/python"]]
    )
    warm()
    assert compiled_here == [("sweeping", 0, 2, *TYPES), ("sweeping", 0, 1, *TYPES)]
    assert "/nowhere/python" in caplog.text


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("frozen", True)])
def test_without_an_interpreter_nothing_is_started(
    monkeypatch, caplog, stamp, compiled_here, name, value
):
    """A frozen program would start itself."""
    monkeypatch.setattr(sys, name, value, raising=False)
    warm()
    assert compiled_here == [("sweeping", 0, 1, *TYPES)]
    assert stamp.exists()
    assert [record.getMessage() for record in caplog.records] == [SAID]


def test_where_nothing_is_compiled_nothing_is_started(monkeypatch, compiled_here):
    monkeypatch.setattr(kernel_compile, "cache_folder", lambda: None)
    monkeypatch.setattr(kernel_warm, "_kept", set())
    monkeypatch.setattr(
        kernel_warm, "_commands", lambda part, codes, entries: pytest.fail("started")
    )
    warm()
    kernel_warm.prepare(ONE)
    assert compiled_here == []
    assert kernel_warm.is_warm(ONE)
    assert kernel_warm.is_complete(ONE)


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
            kernel_warm.compile_share("sweeping", 0, 1, *TYPES)
        assert gc.isenabled() == enabled
    finally:
        gc.enable()


def test_shares_have_every_loop_of_a_part_once_and_only_all_of_them_leave_a_stamp(
    monkeypatch, tmp_path, stamp
):
    def compiled(part, *share):
        loops = []
        monkeypatch.setattr(kernel_warm, "compile_for", lambda loop, _: loops.append(loop.__name__))
        kernel_warm.compile_share(part, *share, *TYPES)
        return loops

    assert not {*compiled("sweeping", 0, 2)} & {*compiled("sweeping", 1, 2)}
    helped = sorted(compiled("rest", 0, 2) + compiled("rest", 1, 2))
    assert list(tmp_path.iterdir()) == []
    assert {"propagate", "collapse_rows"} < set(helped)
    assert helped == sorted(compiled("rest", 0, 1))
    assert {"sweep", "first_unstable"} < {*compiled("sweeping", 0, 1)} - {*helped}
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_compiled_depends_on_the_numbers_of_weights_and_states():
    few = WeightedStructure.from_edges(2, [0], [1], [1])
    assert kernel_warm._types(few) == TYPES
    size = 300
    row = WeightedStructure.from_edges(size, [0] * size, range(size), range(1, size + 1))
    assert kernel_warm._types(row) == ("H", "uint32")


def test_processes_import_what_this_one_would_and_take_the_other_shares(monkeypatch):
    monkeypatch.setattr(kernel_warm, "cores", lambda: 3)
    monkeypatch.setattr(kernel_warm, "_pieces", lambda *types: [[], [], []])
    commands = kernel_warm._commands("rest", "B", "uint64")
    assert all(command[-len(sys.path) :] == sys.path for command in commands)
    assert [command[4:9] for command in commands] == [
        ["rest", "1", "3", "B", "uint64"],
        ["rest", "2", "3", "B", "uint64"],
    ]


@pytest.fixture
def beside(monkeypatch, stamp, compiled_here):
    """Processes that are started to compile the rest, which run a program instead; what one thread needs is there."""
    started, right = [], subprocess.Popen
    monkeypatch.setattr(kernel_warm, "_beside", {})
    monkeypatch.setattr(kernel_warm, "cores", lambda: 2)
    kernel_compile.keep("sweeping-uint8-uint32")

    def start(program):
        def run(command, **options):
            started.append(right([sys.executable, "-c", program], **options))
            return started[-1]

        monkeypatch.setattr(subprocess, "Popen", run)
        return started

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_nobody_waits_for_the_rest(beside, compiled_here):
    started = beside("import time; time.sleep(600)")
    kernel_warm.prepare(ONE)
    kernel_warm.prepare(ONE)
    assert len(started) == 1
    assert kernel_warm.can_sweep(ONE)
    assert not kernel_warm.is_warm(ONE)
    assert not kernel_warm.is_complete(ONE)
    assert compiled_here == []


def test_rounds_that_follow_come_before_the_rest_of_the_rest(beside, compiled_here):
    beside("import time; time.sleep(600)")
    kernel_warm.prepare(ONE)
    assert not kernel_warm.can_follow(ONE)
    kernel_warm.compile_rest(*TYPES)  # what the process beside does
    following, _ = kernel_warm._pieces("rest", *TYPES)
    assert compiled_here[0] == ("rest", 0, 2, *TYPES)
    assert {loop.__name__ for loop, _ in following} > {"begin", "propagate", "leave"}
    assert kernel_warm.can_follow(ONE)
    assert not kernel_warm.is_complete(ONE)


def test_the_rest_is_there_when_the_process_beside_says_so(beside, compiled_here):
    started = beside("pass")
    kernel_warm.prepare(ONE)
    kernel_compile.keep("rest-uint8-uint32")
    assert kernel_warm.is_complete(ONE)
    assert kernel_warm.is_warm(ONE)
    kernel_warm.prepare(ONE)
    assert len(started) == 1
    assert compiled_here == []


@pytest.fixture
def elsewhere(monkeypatch, stamp):
    """Another process that is the first to compile a part, or fails to, as soon as it is let."""
    entered, let = threading.Event(), threading.Event()

    @contextmanager
    def others(name, *, fails):
        def compile_it():
            with kernel_compile.only_one(name):
                entered.set()
                assert let.wait(60)
                if not fails:
                    kernel_compile.keep(name)

        first = threading.Thread(target=compile_it)
        first.start()
        assert entered.wait(60)
        # Time enough for who would not wait.
        threading.Timer(0.3, let.set).start()
        yield
        first.join()

    return others


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("part", ["sweeping", "rest"])
def test_another_process_that_is_at_it_is_waited_for(
    elsewhere, monkeypatch, compiled_here, part, fails
):
    """Processes that start at the same time do not all compile; should the first one fail, the next does."""
    helped_by(monkeypatch)
    with elsewhere(f"{part}-uint8-uint32", fails=fails):
        if part == "sweeping":
            warm()
        else:
            kernel_warm.compile_rest(*TYPES)
    shares = [1] if part == "sweeping" else [2, 1]
    assert compiled_here == ([(part, 0, share, *TYPES) for share in shares] if fails else [])


def test_where_no_file_can_be_locked_work_may_be_done_twice(monkeypatch, compiled_here, stamp):
    def fail(lock, operation):
        raise OSError("no locks")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", fail)
    kernel_warm.compile_rest(*TYPES)
    assert compiled_here == [("rest", 0, 2, *TYPES), ("rest", 0, 1, *TYPES)]


def test_should_the_process_beside_fail_the_rest_is_compiled_when_it_is_needed(
    beside, monkeypatch, compiled_here, caplog
):
    started = beside("raise SystemExit(3)")
    kernel_warm.prepare(ONE)
    started[0].wait()
    helped_by(monkeypatch)
    assert kernel_warm.is_complete(ONE)
    assert compiled_here == [("rest", 0, 1, *TYPES)]
    assert kernel_warm.is_warm(ONE)
    assert [record.getMessage() for record in caplog.records] == [SAID_LATER]


@pytest.mark.parametrize(("name", "value"), [("cores", lambda: 1), ("_command", lambda *a: [])])
def test_where_no_process_can_be_beside_the_rest_is_compiled_when_it_is_needed(
    beside, monkeypatch, compiled_here, name, value
):
    started = beside("pass")
    monkeypatch.setattr(kernel_warm, name, value)
    helped_by(monkeypatch)
    kernel_warm.prepare(ONE)
    assert compiled_here == []
    assert kernel_warm.is_complete(ONE)
    assert compiled_here == [("rest", 0, 1, *TYPES)]
    assert started == []


def test_a_process_that_cannot_be_started_is_told(beside, monkeypatch, caplog, compiled_here):
    def fail(command, **options):
        raise OSError("no room")

    beside("pass")
    monkeypatch.setattr(subprocess, "Popen", fail)
    kernel_warm.prepare(ONE)
    assert "without help: no room" in caplog.text
    assert compiled_here == []
