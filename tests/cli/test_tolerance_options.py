"""`lump --tolerance` and `check --tolerance`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumpability import CTMC, DTMC, read, write

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


def test_states_that_agree_on_a_few_steps_are_merged(run: Run, tmp_path: Path) -> None:
    walk = DTMC.from_rates(
        {(i, i + d): "1/2" for i in range(1, 20) for d in (-1, 1)} | {(0, 0): 1, (20, 20): 1},
        states=range(21),
        labels={"won": [20], "lost": [0]},
    )
    write(walk, tmp_path / "w.json")
    done = run("lump", "w.json", "--horizon", "3", "--partition", "p.json", "--json")
    lumping = done.document["lumping"]
    assert (lumping["kind"], lumping["horizon"], lumping["rate"]) == ("horizon", 3, None)
    assert lumping["blocks_by_step"] == [3, 5, 7, 9]
    assert len(json.loads(Path("p.json").read_text())) == lumping["blocks"] == 9
    text = run("lump", "w.json", "--horizon", "40").stdout
    assert "on all steps, as no round splits more" in text
    assert "21 -> 21" in text


def test_a_horizon_of_a_chain_in_continuous_time_names_its_rate(run: Run, measured: Path) -> None:
    text = run("lump", "c.json", "--horizon", "2", "--ignore", "cost").stdout
    assert "of the uniformised chain, 101 per unit of time" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "x.drn"), "--output is for a lumping without --horizon"),
        (("--certificate", "x.json"), "--certificate is for a lumping without --horizon"),
        (("--kind", "exact"), "a horizon is for ordinary lumping, not for 'exact'"),
        (("--tolerance", "1%"), "tolerance has no meaning with a horizon"),
    ],
)
def test_what_does_not_go_with_a_horizon_is_told_in_one_line(
    run: Run, measured: Path, options: tuple[str, str], message: str
) -> None:
    done = run("lump", "c.json", "--horizon", "2", *options)
    assert done.exit_code in (2, 3)
    assert message in " ".join(done.stderr.split())
    assert not done.stdout
