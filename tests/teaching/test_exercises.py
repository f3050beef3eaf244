"""Exercises have what was asked for; the solution is right; every wrong answer is found out, for a true reason."""

from __future__ import annotations

import copy
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Partition, check, lump
from lumpability.errors import FormatError, InvalidInput, NotJustified
from lumpability.markov.examples import exact_not_ordinary, land_of_oz, planted
from lumpability.teaching.exercises import (
    FORMATS,
    Task,
    exercise,
    grade,
    model_answer,
    observations,
    read_answer,
    read_task,
    rounds_of,
    sheet,
    solution,
    write_task,
)
from lumpability.teaching.exercises.construct import LARGEST

KINDS = ["ordinary", "bisimulation", "exact", "strict", "proportional"]


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Task, int]:
    kind = draw(st.sampled_from(KINDS))
    roots = 3 if kind == "proportional" else 2
    states = draw(st.integers(roots + 2, 10))
    rounds = draw(st.integers(1, states - roots - 1))
    seed = draw(st.integers(0, 1000))
    return exercise(kind, states=states, rounds=rounds, seed=seed), rounds


@given(tasks())
def test_the_chain_takes_exactly_the_rounds_asked_for_and_something_merges(
    drawn: tuple[Task, int],
) -> None:
    task, rounds = drawn
    partitions = rounds_of(task.chain, kind=task.kind)
    assert len(partitions) == rounds + 1
    assert partitions[-1] == lump(task.chain, kind=task.kind).partition
    assert len(partitions[-1]) < task.chain.n
    assert all(value.denominator == 1 for value in task.chain.matrix.weights.values)


@given(tasks())
def test_the_model_answer_is_right_in_every_step(drawn: tuple[Task, int]) -> None:
    task, rounds = drawn
    result = grade(task, model_answer(task))
    assert result
    assert len(result.right) == rounds + 3  # the start, the rounds, stable at the end, the quotient


@given(tasks(), st.data())
def test_any_other_sequence_of_partitions_is_wrong(
    drawn: tuple[Task, int], data: st.DataObject
) -> None:
    task, rounds = drawn
    answer = model_answer(task)
    number = data.draw(st.integers(0, rounds))
    labels = data.draw(st.lists(st.integers(0, 5), min_size=task.chain.n, max_size=task.chain.n))
    other = Partition(labels)
    if other == rounds_of(task.chain, kind=task.kind)[number]:
        assert grade(task, answer)
        return
    answer["rounds"][number] = [[task.chain.states[s] for s in block.tolist()] for block in other]
    del answer["quotient"]
    result = grade(task, answer)
    assert not result
    # The steps before are right, and the wrong one is where something was changed, or next to it.
    assert result.wrong in {
        "the start",
        f"round {number}",
        f"round {number + 1}",
        "stable at the end",
    }


@given(tasks(), st.data())
def test_a_wrong_entry_of_the_quotient_is_found(
    drawn: tuple[Task, int], data: st.DataObject
) -> None:
    task, _ = drawn
    answer = model_answer(task)
    size = len(answer["quotient"])
    row, column = data.draw(st.tuples(*[st.integers(0, size - 1)] * 2))
    answer["quotient"][row][column] = "1000"
    free = row == column and task.kind != "bisimulation"
    result = grade(task, answer)
    assert bool(result) == free
    if not free:
        assert result.wrong == "the quotient"
        assert "not 1000" in str(result.why)


@given(tasks(), st.randoms(use_true_random=False))
def test_blocks_may_be_listed_in_any_order(drawn: tuple[Task, int], random: Any) -> None:
    task, _ = drawn
    answer = model_answer(task)
    order = list(range(len(answer["quotient"])))
    random.shuffle(order)
    answer["rounds"][-1] = [answer["rounds"][-1][block][::-1] for block in order]
    matrix = answer["quotient"]
    answer["quotient"] = [[matrix[b][c] for c in order] for b in order]
    assert grade(task, answer)


def test_the_same_arguments_give_the_same_task_and_another_seed_another() -> None:
    first, again, other = (exercise(seed=seed) for seed in (7, 7, 8))
    assert write_task(first) == write_task(again)
    assert write_task(first) != write_task(other)
    # Fixed for good: sheets that were handed out can be made again.
    assert [first.chain.matrix.row(s) for s in range(2)] == [[(3, 1), (4, 1)], [(2, 1)]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_exercises_are_found(kind: str) -> None:
    rounds = LARGEST - (4 if kind == "proportional" else 3)
    task = exercise(kind, states=LARGEST, rounds=rounds, seed=3)
    assert len(rounds_of(task.chain, kind=kind)) == rounds + 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rounds": 4}, "choose 1 to 3 rounds"),
        ({"rounds": 0}, "choose 1 to 3 rounds"),
        ({"states": 3}, "4 to 16 states, not 3"),
        ({"states": 17}, "4 to 16 states"),
        ({"kind": "weak"}, "no coarsest lumping"),
        ({"kind": "nice"}, "is not a kind"),
    ],
)
def test_what_is_impossible_is_refused_with_what_is_possible(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        exercise(**arguments)


def test_each_kind_of_mistake_has_its_reason() -> None:
    task = exercise(seed=7)
    start = [["b"], ["a", "c", "d", "e", "f"]]

    def why(*steps: list[list[str]]) -> str:
        result = grade(task, {"rounds": [start, *steps]})
        return f"{result.wrong}: {result.why}"

    assert why([["b"], ["a", "c"], ["d"], ["e", "f"]]) == (
        "round 1: a and d are apart, but all their sums are equal: they are zero"
    )
    assert why(start) == ("round 1: a and e share a block, but their sums into {b} are 0 and 1")
    assert why([["a", "b"], ["c", "d"], ["e", "f"]]) == (
        "round 1: a and b share a block, though they were apart before"
    )
    assert why() == (
        "stable at the end: a and e share a block, but their sums into {b} are 0 and 1"
    )
    wrong_start = grade(task, {"rounds": [[["a", "b", "c", "d", "e", "f"]]]})
    assert str(wrong_start) == (
        "wrong: the start: a and b have different labels (nothing right before it)"
    )


def test_steps_may_leave_for_later_what_rounds_may_not() -> None:
    task = exercise(seed=7)
    slow = [
        [["b"], ["a", "c", "d", "e", "f"]],
        [["b"], ["a", "c", "d"], ["e", "f"]],
        [["b"], ["a"], ["c", "d"], ["e", "f"]],
        [["b"], ["a"], ["c"], ["d"], ["e", "f"]],
    ]
    assert grade(task, {"steps": slow})
    assert grade(task, {"steps": [slow[0], slow[0], *slow[1:]]})
    assert not grade(task, {"rounds": [slow[0], slow[0], *slow[1:]]})
    assert grade(task, {"steps": slow[:2]}).wrong == "stable at the end"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"answer": 1},
        {"rounds": [], "quotient": []},
        {"rounds": "abc"},
        {"rounds": [["a"]]},
        {"rounds": [[["a"], ["nobody"]]]},
        {"rounds": [[["a", "b", "c", "d", "e", "f"]]], "steps": []},
        {"quotient": "1"},
        {"quotient": [1, 2]},
    ],
)
def test_an_answer_that_is_none_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        grade(exercise(seed=7), answer)


def test_a_matrix_of_the_wrong_size_is_wrong() -> None:
    result = grade(exercise(seed=7), {"quotient": [[0, 1], [1, 0]]})
    assert result.why == "its matrix has 5 rows and 5 columns, one for each block"


@pytest.mark.parametrize("markup", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_sheet_carries_its_task(markup: str, kind: str, tmp_path: Path) -> None:
    task = exercise(kind, states=7, rounds=2, seed=1)
    path = tmp_path / "sheet"
    path.write_text(sheet(task, markup=markup, seed=True), encoding="utf-8")
    read = read_task(path)
    assert read.chain.equals(task.chain)
    assert (read.kind, read.made) == (task.kind, task.made)
    text = solution(task, markup=markup)
    assert "holds exactly" in text
    assert "Round 3" in text


def test_the_solution_ends_with_the_answer_that_is_right() -> None:
    task = exercise("strict", states=8, rounds=3, seed=5)
    found = re.search(r"```json\n(.*?)\n```", solution(task))
    assert found
    assert grade(task, json.loads(found[1]))


def test_hostile_names_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "a|b*_`#", r"\input{x} --> %$&~^" + "line\nend"]
    chain = DTMC([[0, 1, 0], [0, 0, 1], [1, 0, 0]], states=names, labels={"<b>": [names[0]]})
    task = Task(chain, "ordinary")
    for markup in FORMATS:
        text = sheet(task, markup=markup)
        body = text[: text.index("lumpability-exercise")]
        if markup == "html":
            assert "<script>" not in body
            assert "<b>" not in body
        if markup == "latex":
            assert r"\input{x}" not in body
        hidden = text[len(body) :]
        assert hidden.count("-->") == (0 if markup == "latex" else 1)
        assert "line\nend" not in text
        path = tmp_path / "sheet"
        path.write_text(text)
        assert list(read_task(path).chain.states) == names


def test_a_chain_of_ones_own_makes_a_task() -> None:
    task = Task(exact_not_ordinary().rebuilt(exact_not_ordinary().matrix), "exact")
    assert grade(task, model_answer(task))
    chain, _ = planted("ordinary", [2, 2, 1], seed=4)
    labelled = CTMC(chain.matrix, labels={"first": [0]})
    own = Task(labelled, "ordinary")
    assert grade(own, model_answer(own))


def test_a_task_shows_numbers_and_labels_only() -> None:
    with pytest.raises(InvalidInput):
        Task(CTMC([[0, "x"], [1, 0]]), "ordinary")
    with pytest.raises(InvalidInput):
        Task(CTMC([[0, 1], [1, 0]], rewards={"r": [1, 2]}), "ordinary")
    with pytest.raises(NotJustified):
        Task(land_of_oz(), "proportional")
    with pytest.raises(InvalidInput):
        Task(land_of_oz(), "nice")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing here",
        "lumpability-exercise: ",
        "lumpability-exercise: {",
        'lumpability-exercise: {"format": "other"}',
        'lumpability-exercise: {"format": "lumpability/exercise", "version": 2}',
        'lumpability-exercise: {"format": "lumpability/exercise", "version": 1}',
    ],
)
def test_a_damaged_sheet_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sheet.md"
    path.write_text(text)
    with pytest.raises(FormatError, match=re.escape("sheet.md")):
        read_task(path)


def test_every_field_of_a_task_may_be_damaged(tmp_path: Path) -> None:
    content = json.loads(write_task(exercise(seed=7)))
    path = tmp_path / "sheet.md"
    for key in content:
        for value in (None, 3, [], {}, "x", [["a"]], {"a": 1}, [["a", "b", "1e999999999"]]):
            damaged = copy.deepcopy(content)
            damaged[key] = value
            path.write_text("lumpability-exercise: " + json.dumps(damaged))
            try:
                task = read_task(path)
            except InvalidInput:
                continue
            assert isinstance(task, Task)


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_and_answers_are_as_their_schemas_say(kind: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    task = exercise(kind, states=7, rounds=3, seed=1)
    for name, content in (
        ("exercise", json.loads(write_task(task))),
        ("answer", model_answer(task)),
    ):
        schema = json.loads(
            resources.files("lumpability").joinpath(f"schemas/{name}.schema.json").read_text()
        )
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(content, schema)


def test_an_answer_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text('{"quotient": [[0.5]], "quotient": []}')
    with pytest.raises(FormatError, match="twice"):
        read_answer(path)
    path.write_text("[1]")
    with pytest.raises(FormatError):
        read_answer(path)


@pytest.mark.parametrize("kind", KINDS)
def test_observations_decide_lumpability(kind: str) -> None:
    """A partition is a lumping exactly when states of a block are observed alike."""
    random = np.random.default_rng(3)
    task = exercise(kind, states=5, rounds=1, seed=2)
    for _ in range(60):
        partition = Partition(random.integers(0, 3, 5))
        seen = observations(task.chain, partition, kind=kind)
        alike = all(
            seen[block[0]] == seen[state] for block in partition for state in block.tolist()
        )
        assert alike == bool(check(task.chain, partition, kind=kind))


def test_numbers_of_answers_may_be_decimals(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_text('{"quotient": [[0.75, 0.25], [1, 0.0]]}')
    assert grade(Task(land_of_oz(), "ordinary"), read_answer(path))


@pytest.mark.parametrize(
    ("row", "words"),
    [(["x", [], 0, 0, 0], "no number"), ([{}, 0, 0, 0, 0], "no number")],
)
def test_what_is_no_number_is_told_with_its_row(row: list[Any], words: str) -> None:
    zero = [0] * 5
    with pytest.raises(InvalidInput, match=words):
        grade(exercise(seed=7), {"quotient": [row, zero, zero, zero, zero]})


@pytest.mark.parametrize("markup", FORMATS)
def test_a_sheet_does_not_tell_how_its_solution_is_made(markup: str) -> None:
    task = exercise(seed=7)
    assert "seed" not in sheet(task, markup=markup)
    assert "seed 7" in sheet(task, markup=markup, seed=True)


def test_lines_of_code_are_lines_in_html() -> None:
    page = sheet(exercise(seed=7), markup="html")
    assert "\\n" not in page
    assert "...],\n &quot;quotient" in page
