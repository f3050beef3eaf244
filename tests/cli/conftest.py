"""Running commands, in this process and as processes of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import lumpability
from lumpability import formats
from lumpability.cli import cli
from lumpability.markov.examples import machine_repair


class Outcome:
    """How a command ended and what it wrote."""

    def __init__(self, result: Result) -> None:
        self.exit_code = result.exit_code
        self.stdout, self.stderr, self.output = result.stdout, result.stderr, result.output

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        return document

    def assert_refused(self, *words: str) -> None:
        """Invalid input: exit code 3, nothing on stdout, one line on stderr with the given words."""
        assert self.exit_code == 3
        assert self.stdout == ""
        lines = self.stderr.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("Error: ")
        for word in words:
            assert word in lines[0]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command inside this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Outcome:
        return Outcome(CliRunner().invoke(cli, list(arguments), prog_name="lumpability"))

    return invoke


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    """Three machines and two repairers, as a file: 8 states, 4 blocks."""
    formats.write(machine_repair(3), tmp_path / "machines.json")
    return tmp_path / "machines.json"


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment in which a process finds this library, and shows warnings."""
    root = str(Path(lumpability.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "default"}
