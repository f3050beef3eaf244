"""What is loaded when: models and certificates without the engine, the engine with the first verb."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lumpability
from lumpability import markov, networks

ENGINE = ("lumpability.refinement", "lumpability.quotient", "lumpability.markov.lumping")


def loaded(script: str) -> set[str]:
    """Run a script in a fresh process; return the modules it has loaded."""
    root = str(Path(lumpability.__file__).resolve().parent.parent)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{script}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "script",
    [
        "import lumpability",
        "from lumpability import CTMC; CTMC([[0, 1], [1, 0]])",
        "from lumpability import Network; Network.dense([([[1, 2]], None, 'relu')])",
        "from lumpability import Certificate, Verification, read, write",
        "import lumpability.certificate, lumpability.certificate.export.statement",
        "import lumpability.formats.numpy_archive, lumpability.formats.drn, lumpability.formats.onnx",
    ],
)
def test_models_and_the_checker_load_no_engine(script: str) -> None:
    assert not loaded(script) & {*ENGINE}


@pytest.mark.parametrize(
    "script",
    [
        "from lumpability import lump, CTMC; lump(CTMC([[0, 1], [1, 0]], labels={'a': [0]}))",
        """
from lumpability.dispatch import lump
from lumpability.markov.chains import CTMC
lump(CTMC([[0, 1], [1, 0]], labels={'a': [0]}))
""",
        """
from lumpability.dispatch import check
from lumpability.markov.chains import CTMC
assert check(CTMC([[0, 1], [1, 0]]), [0, 1])
""",
        """
from lumpability.dispatch import check, lump
from lumpability.networks.network import Network
network = Network.dense([([[1, 2]], None, 'relu')])
lump(network)
check(network, [0, 1])
""",
        "import lumpability; assert lumpability.markov.KINDS and lumpability.dispatch",
    ],
)
def test_the_verbs_load_what_they_need_when_they_are_first_used(script: str) -> None:
    assert "lumpability.dispatch" in loaded(script)


def test_lumping_a_chain_loads_nothing_that_only_explains_certifies_solves_or_merges_neurons() -> (
    None
):
    found = loaded(
        "from lumpability import lump, CTMC; lump(CTMC([[0, 1], [1, 0]], labels={'a': [0]}))"
    )
    late = ("certificate.file", "markov.explain", "markov.near_misses", "markov.solve", "networks")
    assert not found & {f"lumpability.{name}" for name in (*late, "show", "formats")}


def test_a_warning_of_the_first_verb_names_the_line_that_calls_it() -> None:
    script = (
        "import warnings\nfrom lumpability import CTMC, lump\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    lump(CTMC([[0, 1], [1, 0]]))\n"
        "assert told[0].filename == '<string>', told[0].filename"
    )
    loaded(script)


def test_names_that_are_not_there_are_attribute_errors() -> None:
    for module in (lumpability, markov, networks):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = module.nothing
    assert {*lumpability.__all__} <= {*dir(lumpability)}


def test_commands_of_the_shell_that_have_another_name_here_are_told():
    with pytest.raises(AttributeError, match=r"no attribute 'verify': use Certificate.read"):
        lumpability.verify  # noqa: B018
