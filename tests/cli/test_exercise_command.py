"""`lumpability exercise` and `lumpability grade`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumpability import formats
from lumpability.markov.examples import land_of_oz
from lumpability.networks.examples import unequal_factors
from lumpability.teaching.exercises import model_answer, read_task

Run = Callable[..., Any]


@pytest.mark.parametrize("suffix", [".md", ".tex", ".html"])
def test_a_sheet_its_solution_and_the_grade_of_the_right_answer(run: Run, suffix: str) -> None:
    sheet, solution = f"sheet{suffix}", f"solution{suffix}"
    made = run("exercise", "--kind", "strict", "--seed", "5", "-o", sheet, "--solution", solution)
    assert (made.exit_code, made.output) == (0, "")
    assert "holds exactly" in Path(solution).read_text()
    Path("answer.json").write_text(json.dumps(model_answer(read_task(sheet))))
    result = run("grade", sheet, "answer.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "verdict  right" in result.stdout
    document = run("grade", sheet, "answer.json", "--json").document
    assert (document["command"], document["correct"], document["wrong"]) == ("grade", True, None)


def test_the_same_seed_gives_the_same_sheet(run: Run) -> None:
    first, again, other = (run("exercise", "--seed", s).stdout for s in ("7", "7", "8"))
    assert first == again != other
    assert "seed" not in first
    told = run("exercise", "--seed", "7", "--show-seed").stdout
    assert "lumpability exercise --kind ordinary --states 6 --rounds 3 --seed 7" in told


def test_a_wrong_answer_has_exit_code_1_and_its_witness(run: Run) -> None:
    run("exercise", "--seed", "7", "-o", "sheet.md")
    Path("answer.json").write_text('{"rounds": [[["b"], ["a", "c", "d", "e", "f"]]]}')
    result = run("grade", "sheet.md", "answer.json")
    assert result.exit_code == 1
    assert "a and e share a block, but their sums into {b} are 0 and 1" in result.stdout
    document = run("grade", "sheet.md", "answer.json", "--json").document
    assert (document["correct"], document["wrong"]) == (False, "stable at the end")
    assert document["right"] == ["the start"]


def test_a_chain_of_ones_own(run: Run) -> None:
    formats.write(land_of_oz(), "oz.json")
    assert "| rain | 1/2 | 1/4 | 1/4 |" in run("exercise", "--chain", "oz.json").stdout
    formats.write(unequal_factors(), "net.nnet")
    result = run("exercise", "--chain", "net.nnet")
    assert result.exit_code == 2
    assert "not a network" in result.stderr


def test_what_cannot_be_made_or_read_is_refused(run: Run) -> None:
    run("exercise", "-o", "no/such/sheet.md").assert_refused("no/such")
    Path("sheet.md").write_text("# nothing")
    Path("answer.json").write_text("{}")
    run("grade", "sheet.md", "answer.json").assert_refused("sheet.md", "holds no task")
    run("exercise", "-o", "sheet.md")
    run("grade", "sheet.md", "answer.json").assert_refused("'rounds'")
    run("grade", "sheet.md", "absent.json").assert_refused("absent.json")
    Path("answer.json").write_text("{")
    run("grade", "sheet.md", "answer.json").assert_refused("answer.json")


def test_sheet_and_solution_appear_together_or_not_at_all(run: Run) -> None:
    outcome = run("exercise", "--solution", "solution.md", "-o", "missing/sheet.md")
    assert outcome.exit_code == 3
    assert not Path("solution.md").exists()


def test_what_cannot_be_made_is_wrong_usage_and_a_wrong_answer_names_its_file(run: Run) -> None:
    for asked in (
        ("--states", "99"),
        ("--states", "5", "--rounds", "9"),
        ("--network", "--states", "2"),
        ("--rounds", "4"),
    ):
        outcome = run("exercise", *asked)
        assert outcome.exit_code == 2
        assert re.search(r"have 4 to 16|choose 1 to \d rounds|at most 16", outcome.stderr)
    outcome = run("exercise", "-o", "sheet.html", "--solution", "sheet.html")
    assert outcome.exit_code == 2
    assert "name the same file" in outcome.stderr
    assert not Path("sheet.html").exists()
    run("exercise", "-o", "sheet.html")
    Path("answer.json").write_text('{"rounds": 3}')
    run("grade", "sheet.html", "answer.json").assert_refused("answer.json: 'rounds' is a list")
