"""`lump --tolerance` and `check --tolerance`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumpability import CTMC, read, write

Run = Callable[..., Any]


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
    chain = CTMC.from_rates(
        rates,
        states="abc",
        labels={"goal": ["c"]},
        rewards={"cost": {"a": 50, "b": 51}},
        initial="a",
    )
    write(chain, tmp_path / "c.json")
    (tmp_path / "p.json").write_text('[["a", "b"], ["c"]]')
    return tmp_path


def test_states_are_merged_within_a_tolerance_and_written(run: Run, measured: Path) -> None:
    outputs = ("-o", "small.drn", "--interval", "i.drn", "--partition", "found.json")
    result = run("lump", "c.json", "--tolerance", "1%", "--reward-tolerance", "2%", *outputs)
    assert result.exit_code == 0
    assert "3 -> 2" in result.stdout
    assert "sums spread by at most 0.99% relative, 1 absolute" in result.stdout
    assert "their rates into {c} sum to 100 and to 101" in result.stdout
    assert "exact" not in result.stdout
    assert read(measured / "small.drn").matrix.row(0)[0][1] * 2 == 201
    assert "[100,101]" in (measured / "i.drn").read_text()
    assert json.loads((measured / "found.json").read_text()) == [["a", "b"], ["c"]]


def test_the_report_has_tolerances_and_the_residual(run: Run, measured: Path) -> None:
    result = run("lump", "c.json", "--tolerance", "0.02", "--ignore", "cost", "--json")
    lumping = json.loads(result.stdout)["lumping"]
    assert (lumping["kind"], lumping["blocks"], lumping["tolerance"]) == ("approximate", 2, "1/50")
    assert lumping["residual"]["relative"] == "1/101"
    assert lumping["residual"]["witness"]["sums"] == ["100", "101"]
    assert lumping["dropped"] == ["reward:cost"]


@pytest.mark.parametrize(("tolerance", "code"), [("1%", 0), ("0.5%", 1)])
def test_a_partition_is_checked_within_a_tolerance(
    run: Run, measured: Path, tolerance: str, code: int
) -> None:
    result = run("check", "c.json", "p.json", "--tolerance", tolerance)
    assert result.exit_code == code
    assert ("--tolerance 0.5%" in result.stderr) == bool(code)
    report = run("check", "c.json", "p.json", "--tolerance", tolerance, "--json")
    verdict = json.loads(report.stdout)["verdict"]
    assert verdict["lumpable"] == (not code)
    assert verdict["residual"]["relative"] == "1/101"
    assert run("check", "c.json", "p.json", "--tolerance", "0", "--absolute", "1").exit_code == 0


def test_what_does_not_go_with_a_tolerance_is_told_in_one_line(run: Run, measured: Path) -> None:
    kind = run("lump", "c.json", "--tolerance", "1%", "--kind", "exact")
    kind.assert_refused("a tolerance is for ordinary lumping, not for 'exact'")
    alone = run("lump", "c.json", "--absolute", "1")
    alone.assert_refused("absolute is for a lumping within a tolerance: give --tolerance")
