"""`lumpability compare`: exit codes, what it prints, and bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumpability import Network, formats

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _files(run: Run) -> None:
    """Write two networks that differ by x / 4 on [0, 1], and boxes."""
    for name, weight in (("a", 1.0), ("b", 1.25)):
        network = Network.dense([([[weight, -1]], None, "relu"), ([[1], [1]], None, None)])
        formats.write(network, f"{name}.nnet")
    formats.write(Network.dense([([[1]] * 2, None, None)]), "two.nnet")
    Path("box.json").write_text(json.dumps({"low": [0], "high": [1]}))
    Path("box.vnnlib").write_text("(declare-const X_0 Real)(assert (<= X_0 1))(assert (>= X_0 0))")
    Path("empty.json").write_text(json.dumps({"low": [1], "high": [0]}))
    Path("nan.json").write_text('{"low": [0], "high": [NaN]}')
    Path("wide.json").write_text(json.dumps({"low": [0, 0], "high": [1, 1]}))
    Path("far.json").write_text('{"low": ["-1e400"], "high": [0]}')
    Path("no.vnnlib").write_text("(assert (or (<= X_0 1) (>= X_0 2)))")


@pytest.mark.parametrize("box", ["box.json", "box.vnnlib"])
def test_the_bound_and_what_was_found_are_printed(run: Run, box: str) -> None:
    found = run("compare", "a.nnet", "b.nnet", "--box", box)
    assert found.exit_code == 0
    assert "no output differs by more than 0.25" in found.stdout
    assert "output 0 differs by 0.25" in found.stdout
    assert "a run rounds each step to 15 digits (float64)" in found.stdout


@pytest.mark.parametrize(
    ("tolerance", "code", "verdict"), [("0.3", 0, "yes, proved"), ("0.2", 1, "no, the input")]
)
def test_a_tolerance_decides_the_exit_code(
    run: Run, tolerance: str, code: int, verdict: str
) -> None:
    found = run("compare", "a.nnet", "b.nnet", "--box", "box.json", "--tolerance", tolerance)
    assert (found.exit_code, verdict in found.stdout) == (code, True)


def test_without_a_box_the_bound_is_for_all_inputs(run: Run) -> None:
    found = run("compare", "a.nnet", "b.nnet")
    assert found.exit_code == 0
    assert "all inputs" in found.stdout
    assert "x max(1, |x|)" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("b.nnet", "--box", "far.json"), "beyond the range of doubles"),
        (("b.nnet", "--box", "empty.json"), "the box is empty"),
        (("b.nnet", "--box", "nan.json"), "NaN"),
        (("b.nnet", "--box", "wide.json"), "2 numbers"),
        (("b.nnet", "--box", "no.vnnlib"), "no.vnnlib"),
        (("b.nnet", "--box", "missing.json"), "missing.json"),
        (("two.nnet", "--box", "box.json"), "1 and 2 inputs"),
        (("b.nnet", "--tolerance", "-1"), "no tolerance"),
    ],
)
def test_bad_input_is_told_in_one_line_with_exit_code_3(
    run: Run, arguments: tuple[str, ...], why: str
) -> None:
    run("compare", "a.nnet", *arguments).assert_refused(why)


def test_a_certificate_of_the_difference_is_written_and_verified(run: Run) -> None:
    found = run("compare", "a.nnet", "b.nnet", "--box", "box.json", "--certificate", "proof.json")
    assert found.exit_code == 0
    assert (
        "certificate  proves that on the region no output differs by more than 0.25" in found.stdout
    )
    assert run("verify", "proof.json", "a.nnet", "--quotient", "b.nnet").exit_code == 0
    formats.write(Network.dense([([[1]], None, None)]), "linear.nnet")
    found = run("compare", "a.nnet", "linear.nnet", "--box", "box.json", "--certificate", "c.json")
    found.assert_refused("only neurons and weights may differ")
    assert not Path("c.json").exists()


def test_one_of_several_boxes_is_chosen_by_its_number(run: Run) -> None:
    disjuncts = "(and (>= X_0 0) (<= X_0 1)) (and (>= X_0 4) (<= X_0 8))"
    Path("two.vnnlib").write_text(f"(declare-const X_0 Real)(assert (or {disjuncts}))")
    run("compare", "a.nnet", "b.nnet", "--box", "two.vnnlib").assert_refused("two.vnnlib:1")
    run("compare", "a.nnet", "b.nnet", "--box", "two.vnnlib:3").assert_refused("holds 2 boxes")
    found = run("compare", "a.nnet", "b.nnet", "--box", "two.vnnlib:2")
    assert "no output differs by more than 2" in found.stdout


@pytest.mark.parametrize(("kind", "digits"), [("float16", 3), ("float32", 6)])
def test_the_least_precise_type_is_told(run: Run, kind: str, digits: int) -> None:
    copy = Network.dense([([[1, -1]], None, "relu"), ([[1], [1]], None, None)], dtype=kind)
    formats.write(copy, "copy.npz")
    told = run("compare", "a.nnet", "copy.npz").stdout
    assert f"a run rounds each step to {digits} digits ({kind})" in told


def test_a_file_with_one_number_is_no_box_of_two_inputs(run: Run) -> None:
    found = run("compare", "two.nnet", "two.nnet", "--box", "box.json")
    found.assert_refused("1 number in low, but the network has 2")
