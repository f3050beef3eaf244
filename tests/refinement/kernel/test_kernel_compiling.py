"""What is kept of compiled functions belongs to the sources of the kernel that is installed."""

from __future__ import annotations

import gc

import numba
import pytest

from lumpability.refinement.kernel import compiling


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "follow.follow_changes-1.py311.nbi").write_bytes(b"index")
    (tmp_path / "follow.follow_changes-1.py311.1.nbc").write_bytes(b"code")
    (tmp_path / "other.function-1.py311.1.nbc").write_bytes(b"somebody else's")
    return tmp_path


def test_what_was_compiled_from_other_sources_is_removed(folder):
    (folder / "kernel.digest").write_text("of an earlier release")
    compiling._discard_stale(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "kernel.digest",
        "other.function-1.py311.1.nbc",
    ]


def test_what_was_compiled_from_these_sources_is_kept(folder):
    compiling._discard_stale(folder)
    (folder / "follow.follow_changes-1.py311.1.nbc").write_bytes(b"new code")
    compiling._discard_stale(folder)
    assert (folder / "follow.follow_changes-1.py311.1.nbc").read_bytes() == b"new code"


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path / "file")
    compiling._tidy()
    assert "cannot tidy the folder" in caplog.text


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compilation is switched off")
def test_where_functions_are_compiled_there_is_a_folder_for_them():
    assert compiling.cache_folder() is not None


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compilation is switched off")
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


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compilation is switched off")
def test_what_others_compile_is_none_of_the_kernels_business(caplog):
    def double(x):
        return 2 * x

    double.__module__ = None
    before = gc.isenabled()
    assert numba.njit(double)(3) == 6
    assert gc.isenabled() == before
    assert not caplog.records
