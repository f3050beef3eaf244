"""Boxes keep exact ends, round outward, and refuse what is no box in one sentence."""

from __future__ import annotations

import gzip
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import InvalidInput
from lumpability.networks.regions import Box

BOUNDS = "(assert (<= X_0 1)) (assert (>= X_0 0))"


@given(st.fractions(), st.fractions(min_value=0))
def test_floats_of_a_box_contain_the_box(low: Fraction, width: Fraction) -> None:
    box = Box([low], [low + width])
    (below,), (above,) = box.floats
    assert Fraction(below.item()) <= low <= low + width <= Fraction(above.item())
    assert (Fraction(below.item()) == low) == (Fraction(float(low)) == low)


@given(st.lists(st.sampled_from([0, 1]), max_size=4), st.fractions(0, 1), st.fractions(0, 1))
def test_every_point_lies_in_a_part(cuts: list[int], x: Fraction, y: Fraction) -> None:
    parts = list(Box([0, "-1/3"], [1, "2/3"]).halves(cuts))
    assert len(parts) == 2 ** len(cuts)
    assert any([x, y - Fraction(1, 3)] in part for part in parts)


def test_decimals_are_exact_and_floats_literal() -> None:
    assert Box(["0.1"], [1]).low[0] == Fraction(1, 10)
    assert Box([0.1], [1]).low[0] == Fraction(0.1) != Fraction(1, 10)


def test_around_clips_and_keeps_the_shape() -> None:
    box = Box.around(np.zeros((1, 2, 1)), "0.03", clip=(0, 1))
    assert box.shape == (1, 2, 1)
    assert box.low.tolist() == [0, 0]
    assert box.high.tolist() == [Fraction(3, 100)] * 2


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        ([1], [0], "the box is empty: input 0"),
        ([0, float("nan")], [1, 1], "nan is not a finite number"),
        ([0], [float("inf")], "inf is not a finite number"),
        ([0], [1, 1], "one shape"),
        ([], [], "at least one input"),
        ([[0, 1], [2]], [1], "not an array of numbers|not a finite"),
    ],
)
def test_what_is_no_box_is_refused(low: list[float], high: list[float], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Box(low, high)


def test_clip_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="empty"):
        Box.around([2], 0.5, clip=(0, 1))


def written(folder: Path, text: str, name: str = "box.vnnlib") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_bounds_may_have_either_side_and_any_nesting(tmp_path: Path) -> None:
    text = """; a comment (with brackets
    (declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real)
    (assert (and (<= X_0 0.5) (>= 0.75 X_0) (<= (- 0.25) X_0))) (assert (or (and (= X_1 (/ 1 3)))))
    (assert (or (<= Y_0 0) (>= Y_0 1)))
    """
    box = Box.read(written(tmp_path, text))
    assert box.low.tolist() == [Fraction(-1, 4), Fraction(1, 3)]
    assert box.high.tolist() == [Fraction(1, 2), Fraction(1, 3)]


TWO = "(and (>= X_0 0) (<= X_0 1) (<= Y_0 3)) (and (<= 4 X_0) (<= X_0 5))"


def test_a_disjunction_is_several_boxes_without_those_that_are_empty(tmp_path: Path) -> None:
    text = (
        f"(declare-const X_0 Real) (declare-const Y_0 Real) (set-logic QF_LRA) (assert (or {TWO}))"
    )
    boxes = Box.read_all(written(tmp_path, text))
    assert [(one.low.tolist(), one.high.tolist()) for one in boxes] == [([0], [1]), ([4], [5])]
    (one,) = Box.read_all(written(tmp_path, f"{text} (assert (or (<= X_0 2) (<= X_0 3)))"))
    assert one.high.tolist() == [1]
    same = "(declare-const X_0 Real) (assert (or (and (= X_0 1) (<= Y_0 1)) (and (= X_0 1) (>= Y_0 2))))"
    assert Box.read(written(tmp_path, same)).low.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "declares no input"),
        (f"{BOUNDS}", "declares no input"),
        ("(declare-const X_0 Real) (assert (<= X_0 1))", "X_0 has no lower bound"),
        (f"(declare-const X_0 Real) (declare-const X_2 Real) {BOUNDS}", "X_1 is not declared"),
        (f"(declare-const X_0 Real) {BOUNDS} (assert (<= X_1 0))", "X_1 is bounded but not"),
        (f"(declare-const X_0 Real) {BOUNDS} (assert (<= X_0 X_0))", "not a bound of one input"),
        (f"(declare-const X_0 Real) {BOUNDS} (assert (<= X_0 Y_0))", "not a bound of one input"),
        ("(declare-const X_0 Real) (assert (or (<= X_0 0) (>= X_0 1)))", "X_0 has no lower bound"),
        (f"(declare-const X_0 Real) (assert (or {TWO}", "ends inside"),
        (f"(declare-const X_0 Real) (assert (or {TWO}))", "holds 2 boxes, and one is needed"),
        (f"(declare-const X_0 Real)\n;\n(asert {TWO})", r"line 3: \(asert .* is not a command"),
        (f"(declare-const X_0 Real)\n(assert (or {TWO}) 1)", "line 2: .* is not a command"),
        (
            "(declare-const X_0 Real)" + "(assert (or (<= X_0 1) (>= X_0 0)))" * 11,
            "more than 1,024 boxes",
        ),
        ("(declare-const X_0 Real) (assert (<= X_0 nan))", "not a bound of one input"),
        ("(declare-const X_0 Real) (assert ((<= X_0 1)))", "not a bound of one input"),
        ("((declare-const X_0 Real))", "is not a command"),
        ("(declare-const X_0 Real) (assert (<= X_0 (/ 1 0)))", "not a bound of one input"),
        ("(declare-const X_0 Real) (assert (<= X_0 0)) (assert (>= X_0 1))", "the box is empty"),
        ("(assert", "ends inside an expression"),
        (")", "closes nothing"),
        ("|X_0", "without an end"),
        ("(" * 100_000, "nested more than 64 deep"),
        ("X_0", "not a command"),
    ],
)
def test_a_vnnlib_file_that_is_no_box_is_refused_in_one_sentence(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told) as caught:
        Box.read(written(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[0, 1]", "an object with the keys"),
        ('{"low": 0, "high": 1}', "lists of numbers"),
        ('{"low": [0], "high": [NaN]}', "NaN"),
        ('{"low": [0], "high": [{}]}', "not a finite rational"),
        ('{"low": [2], "high": [1]}', "the box is empty"),
        ('{"low": [false], "high": [1]}', "true or false"),
        ('{"low": [0], "low": [0.5], "high": [1]}', "a key twice"),
    ],
)
def test_json_that_is_no_box_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        Box.read(written(tmp_path, text, "box.json"))


def test_json_decimals_are_exact_and_files_may_be_packed(tmp_path: Path) -> None:
    path = tmp_path / "box.json.gz"
    path.write_bytes(gzip.compress(b'{"low": [0.1], "high": ["1/3"]}'))
    box = Box.read(path)
    assert (box.low[0], box.high[0]) == (Fraction(1, 10), Fraction(1, 3))


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="suffix"):
        Box.read(tmp_path / "box.txt")


@pytest.mark.parametrize(
    ("name", "inputs"),
    [*((f"acasxu_prop_{k}", 5) for k in (1, 2, 3, 4)), ("mnistfc_prop_0_0.03", 784)],
)
def test_published_properties_are_read(shared: Path, name: str, inputs: int) -> None:
    path = shared / "networks/vnnlib" / f"{name}.vnnlib"
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    assert Box.read(path).n == inputs


BOUNDED = "(declare-const X_0 Real)(assert (<= X_0 5))(assert (>= X_0 0))"


@pytest.mark.parametrize("command", ["(push 1)", "(pop 1)", "(reset)", "(reset-assertions)"])
def test_commands_that_change_assertions_are_refused(tmp_path: Path, command: str) -> None:
    with pytest.raises(InvalidInput, match="changes what was asserted"):
        Box.read(written(tmp_path, f"{BOUNDED}{command}(assert (<= X_0 1))"))


def test_nothing_is_asserted_after_the_exit(tmp_path: Path) -> None:
    box = Box.read(written(tmp_path, f"{BOUNDED}(exit)(assert (<= X_0 1))"))
    assert box.high.tolist() == [5]


@pytest.mark.parametrize("clip", [5, (1,), (0, 1, 2), "01"])
def test_a_clip_that_is_no_pair_is_refused(clip: Any) -> None:
    with pytest.raises(InvalidInput, match="clip is a pair"):
        Box.around([0], 1, clip=clip)
