"""The engine depends on a structure's size and on the kind of its weights, and on nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from lumpability import lump
from lumpability.markov import examples
from lumpability.numbers.exact_array import ExactArray
from lumpability.refinement import SUMS, choose, kernel, refine
from lumpability.structure import WeightedStructure

LINE = WeightedStructure.from_edges(5, range(4), range(1, 5), [1] * 4)


def symbolic() -> WeightedStructure:
    return replace(LINE, weights=ExactArray.read(["x", "y", "x", "x + y"])[0])


@pytest.mark.parametrize(
    ("structure", "name"), [(LINE, "SMALL"), (symbolic(), "SMALL_SYMBOLIC")], ids=str
)
def test_small_structures_go_to_the_worklist_and_larger_ones_to_the_kernel(
    structure, name, monkeypatch
):
    for small, engine in ((structure.m, "worklist"), (structure.m - 1, "kernel")):
        monkeypatch.setattr(choose, name, small)
        assert choose.engine_for([structure], SUMS) == engine
        assert refine(structure).engine == engine


def test_rational_functions_of_too_many_monomials_go_to_the_rounds(monkeypatch):
    monkeypatch.setattr(choose, "SMALL_SYMBOLIC", 3)
    monkeypatch.setattr(ExactArray, "components", None)
    assert choose.engine_for([symbolic()], SUMS) == "rounds"


PROGRAM = """
import io, json, sys
from hashlib import sha256
from lumpability import lump
from lumpability.markov import examples
chain = examples.tandem(60, 60)
for engine in sys.argv[1:]:
    lumping = lump(chain, engine=engine)
    lumping.certificate().write(sys.argv[0] + ".json")
    print(sha256(open(sys.argv[0] + ".json", "rb").read()).hexdigest(), lumping.stats.engine)
"""


@pytest.mark.slow  # everything is compiled once
def test_a_certificate_has_the_same_bytes_whatever_the_engine_the_process_and_the_cache(tmp_path):
    """From an empty cache, from a full one, on one core, and in a process that has done something else before."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    runs = [["auto"], ["auto"], ["kernel", "worklist", "auto", "rounds", "auto"]]
    found = []
    for engines in runs:
        done = subprocess.run(
            [sys.executable, str(script), *engines],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found += zip(engines, map(str.split, done.stdout.splitlines()), strict=True)
    assert len({digest for _, (digest, _) in found}) == 1, json.dumps(found)
    assert {ran for engine, (_, ran) in found if engine == "auto"} == {"kernel"}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_certificate_has_the_same_bytes_on_any_number_of_threads(threads, monkeypatch, tmp_path):
    chain = examples.tandem(60, 60)
    lump(chain).certificate().write(tmp_path / "expected.json")
    monkeypatch.setattr(kernel, "cores", lambda: threads)
    lump(chain).certificate().write(tmp_path / "found.json")
    expected, found = (tmp_path / f"{name}.json" for name in ("expected", "found"))
    assert found.read_bytes() == expected.read_bytes()
