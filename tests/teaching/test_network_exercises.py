"""Exercises about networks: something to merge in every layer; wrong answers are found out, for a true reason."""

from __future__ import annotations

import contextlib
import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import FormatError, InvalidInput
from lumpability.teaching.exercises import (
    FORMATS,
    NetworkTask,
    grade,
    model_answer,
    network_exercise,
    read_task,
    sheet,
    solution,
    write_task,
)


@st.composite
def tasks(draw: st.DrawFn) -> NetworkTask:
    layers = draw(st.integers(1, 3))
    return network_exercise(
        draw(st.sampled_from(["proportional", "exact"])),
        neurons=draw(st.integers(3 * layers, 12)),
        layers=layers,
        seed=draw(st.integers(0, 1000)),
    )


@given(tasks())
def test_every_hidden_layer_has_something_to_merge_and_weights_are_integers(
    task: NetworkTask,
) -> None:
    lumping = task.lumping
    for row in lumping.table[:-1]:
        assert 1 < row.left < row.units
        assert row.constant == row.dead == 0
    for layer in [*task.layers, *(NetworkTask(lumping.quotient, task.kind).layers)]:
        assert (layer.weight == layer.weight.round()).all()


@given(tasks())
def test_the_model_answer_is_right_and_the_sheet_carries_the_task(task: NetworkTask) -> None:
    result = grade(task, model_answer(task))
    assert result
    assert len(result.right) == len(task.layers)
    for markup in FORMATS:
        assert "holds exactly" in solution(task, markup=markup) or "hold exactly" in solution(
            task, markup=markup
        )


@pytest.mark.parametrize("markup", FORMATS)
def test_a_sheet_is_read_back(markup: str, tmp_path: Path) -> None:
    task = network_exercise(neurons=8, layers=2, seed=3)
    path = tmp_path / "sheet"
    path.write_text(sheet(task, markup=markup, seed=True))
    read = read_task(path)
    assert isinstance(read, NetworkTask)
    assert write_task(read) == write_task(task)


@given(tasks(), st.data())
def test_any_other_classes_are_wrong(task: NetworkTask, data: st.DataObject) -> None:
    answer = copy.deepcopy(model_answer(task))
    number = data.draw(st.integers(0, len(answer["classes"]) - 1))
    units = task.layers[number].units
    labels = data.draw(st.lists(st.integers(0, 3), min_size=units, max_size=units))
    classes = [[s for s in range(units) if labels[s] == c] for c in sorted(set(labels))]
    same = {frozenset(c) for c in classes} == {frozenset(c) for c in answer["classes"][number]}
    answer["classes"][number] = classes
    del answer["layers"]
    result = grade(task, answer)
    assert bool(result) == same
    if not same:
        assert result.wrong == f"layer {number + 1}"


@given(tasks(), st.data())
def test_any_wrong_weight_is_found(task: NetworkTask, data: st.DataObject) -> None:
    answer = copy.deepcopy(model_answer(task))
    layer = data.draw(st.sampled_from(answer["layers"]))
    row = data.draw(st.sampled_from([*layer["weights"], layer["bias"]]))
    row[data.draw(st.integers(0, len(row) - 1))] = "1000"
    result = grade(task, answer)
    assert result.wrong == "the smaller network"
    assert "not 1000" in str(result.why)


@given(tasks(), st.randoms(use_true_random=False))
def test_classes_may_be_listed_in_any_order(task: NetworkTask, random: Any) -> None:
    answer = copy.deepcopy(model_answer(task))
    for number in range(len(answer["classes"])):
        order = list(range(len(answer["classes"][number])))
        random.shuffle(order)
        answer["classes"][number] = [answer["classes"][number][c][::-1] for c in order]
        below, above = answer["layers"][number : number + 2]
        below["weights"] = [[row[c] for c in order] for row in below["weights"]]
        below["bias"] = [below["bias"][c] for c in order]
        above["weights"] = [above["weights"][c] for c in order]
    assert grade(task, answer)


def test_each_mistake_has_its_reason() -> None:
    task = network_exercise(neurons=7, layers=2, seed=1)
    apart = grade(task, {"classes": [[[0], [1, 3], [2]], [[0, 2], [1]]]})
    assert apart.why == (
        "neurons 0 and 2 are apart, but over the merged rows the column of 2 is 2 times that of 0"
    )
    together = grade(task, {"classes": [[[0, 2], [1, 3]], [[0, 1, 2]]]})
    assert together.wrong == "layer 2"
    assert together.right == ("layer 1",)
    assert "units 0 and 1" in str(together.why)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"rounds": []},
        {"classes": 1},
        {"classes": [[[0]]]},
        {"classes": [[0], [1]]},
        {"classes": [[[0, 99]], [[0]]]},
        {"layers": []},
        {"layers": [{}, {}, {}]},
    ],
)
def test_an_answer_that_is_none_is_refused(answer: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        grade(network_exercise(neurons=7, layers=2, seed=1), answer)


def test_a_matrix_of_the_wrong_size_is_wrong() -> None:
    task = network_exercise(neurons=7, layers=2, seed=1)
    answer = copy.deepcopy(model_answer(task))
    answer["layers"][0]["bias"].append("1")
    assert grade(task, answer).why == "layer 1 has 2 rows and 2 columns"


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "strict"},
        {"layers": 0},
        {"neurons": 5},
        {"neurons": 17},
        {"neurons": 9, "layers": 4},
    ],
)
def test_what_is_impossible_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        network_exercise(**arguments)


def test_tasks_and_answers_are_as_their_schemas_say() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    task = network_exercise(neurons=7, layers=2, seed=1)
    for name, content in (
        ("exercise", json.loads(write_task(task))),
        ("answer", model_answer(task)),
    ):
        folder = resources.files("lumpability").joinpath("schemas")
        schema = json.loads(folder.joinpath(f"{name}.schema.json").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(content, schema)


def test_every_field_of_a_task_may_be_damaged(tmp_path: Path) -> None:
    content = json.loads(write_task(network_exercise(neurons=3, layers=1)))
    path = tmp_path / "sheet.md"
    layer = {"weights": [["1e999999999"]], "bias": ["1"]}
    for key in content:
        for value in (None, 3, [], {}, "x", [layer], [{"weights": [["1/0"]], "bias": ["1"]}]):
            path.write_text("lumpability-exercise: " + json.dumps({**content, key: value}))
            with contextlib.suppress(FormatError):
                assert isinstance(read_task(path), NetworkTask)
