"""What is kept of compiled functions belongs to the sources of the kernel that is installed."""

from __future__ import annotations

import errno
import gc
import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

from lumpability.refinement.kernel import compiling

JIT = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compilation is switched off")
MODULE = """
import numpy as np
from lumpability.refinement.kernel import compiling

@compiling.compiled
def double(x):
    return x + x
"""


@pytest.fixture
def double(tmp_path, monkeypatch):
    """A compiled function whose files are kept in a folder of their own."""
    (tmp_path / "doubled.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("doubled")
    yield module.double
    del sys.modules["doubled"]


@JIT
def test_each_signature_has_files_of_its_own(double):
    """Two processes that compile two signatures at the same time never write one file."""
    assert (double(np.int64(3)), double(np.float64(1.5))) == (6, 3.0)
    folder = Path(double.stats.cache_path)
    assert len(list(folder.glob("doubled.double-*.nbi"))) == 2
    assert len(list(folder.glob("doubled.double-*.nbc"))) == 2
    assert len({file.name.split(".")[-3] for file in folder.glob("doubled.double-*.nbc")}) == 2


@JIT
def test_what_was_compiled_from_other_sources_is_never_loaded_and_is_removed(double, monkeypatch):
    double(np.int64(3))
    folder = Path(double.stats.cache_path)
    before = set(folder.glob("doubled.*.nb?"))
    monkeypatch.setattr(compiling, "digest_of_sources", lambda folder: "another")
    again = compiling.compiled(double.py_func)
    assert again(np.int64(3)) == 6
    assert not again.stats.cache_hits
    after = set(folder.glob("doubled.*.nb?"))
    assert len(after) == len(before) == 2
    assert not after & before


@JIT
def test_two_processes_that_compile_at_once_both_run_their_own_code(tmp_path, in_a_new_process):
    """They start from an empty cache with two signatures; what a third one loads is right for both."""
    (tmp_path / "doubled.py").write_text(MODULE)
    code = "from doubled import double; import numpy as np; print(double({}))"
    calls = ["np.int64(3)", "np.float64(1.5)"]
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(in_a_new_process, code.format(call), PYTHONPATH=str(tmp_path))
            for call in calls
        ]
        assert [run.result().stdout.strip() for run in runs] == ["6", "3.0"]
    both = "from doubled import double; import numpy as np; " + "".join(
        f"print(double({call})); " for call in calls
    )
    both += "print(sum(double.stats.cache_hits.values()))"
    assert in_a_new_process(both, PYTHONPATH=str(tmp_path)).stdout.split() == ["6", "3.0", "2"]


@JIT
def test_where_nothing_can_be_written_every_process_compiles_for_itself(tmp_path, monkeypatch):
    """No folder is found that can be written, as in a read-only installation without a home."""
    monkeypatch.setattr(compiling.Kept, "_impl_class", _NoFolder)

    def triple(x):
        return 3 * x

    kept = compiling.compiled(triple)
    assert kept(np.int64(3)) == 9
    assert kept.stats.cache_path is None


class _NoFolder:
    def __init__(self, function):
        raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available")


@JIT
def test_a_full_disk_does_not_stop_what_was_compiled(double, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compiling.IndexDataCacheFile, "save", full)
    assert double(np.int64(3)) == 6
    assert "not kept for the next process" in caplog.text


@JIT
def test_compiling_is_announced_once_and_loading_is_not(in_a_new_process):
    program = """
from lumpability.markov.examples import machine_repair
from lumpability.refinement import refine
for machines in (3, 4):
    refine(machine_repair(machines).matrix, engine="kernel")
"""
    first, second = (in_a_new_process(program).stderr for _ in range(2))
    assert first.count("compiling the engine for large models") == 1
    assert second == ""


@JIT
def test_what_others_compile_is_none_of_the_kernels_business(caplog):
    def double(x):
        return 2 * x

    double.__module__ = None
    before = gc.isenabled()
    assert numba.njit(double)(3) == 6
    assert gc.isenabled() == before
    assert not caplog.records
