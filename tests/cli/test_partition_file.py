"""Partitions as files: every form is read, what is not a partition is refused with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lumpability import Partition
from lumpability.cli.partition_file import read_partition, write_partition
from lumpability.errors import FormatError
from lumpability.markov.attributes import States


@pytest.mark.parametrize("suffix", ["p.json", "p.txt", "p.csv", "p.json.gz", "p.csv.gz"])
@pytest.mark.parametrize(
    "states",
    [
        States(4),
        States(4, ["a", "b", "ü", "0"]),
        States(4, [(0, 1), (1, 0), (1, 1), (0, 0)]),
        States(4, [1, "1", 2, 3]),
    ],
    ids=["numbers", "texts", "tuples", "ambiguous"],
)
def test_a_partition_read_back_is_the_partition_written(
    tmp_path: Path, suffix: str, states: States
) -> None:
    partition = Partition([0, 1, 0, 2])
    write_partition(partition, tmp_path / suffix, states)
    assert read_partition(tmp_path / suffix, states) == partition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[0, 2], [1]]", [0, 1, 0]),
        ('[["0", "2"], ["1"]]', [0, 1, 0]),
        ('{"0": "x", "1": "y", "2": "x"}', [0, 1, 0]),
        ('["x", "y", "x"]', [0, 1, 0]),
        ("[7, 3, 7]", [0, 1, 0]),
    ],
)
def test_every_form_of_a_partition_is_read(tmp_path: Path, text: str, expected: list[int]) -> None:
    (tmp_path / "p.json").write_text(text)
    assert read_partition(tmp_path / "p.json", States(3)) == Partition(expected)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", "[[0], [1]]", "state 2 is in no block"),
        ("p.json", "[[0, 2], [1, 2]]", "state 2 is in two blocks"),
        ("p.json", "[[0, 2, 2], [1]]", "state 2 is listed twice"),
        ("p.json", "[[0, 2], [1, 3]]", "there is no state 3"),
        ("p.json", "[[0, -1], [1]]", "there is no state -1"),
        ("p.json", "[[0, 2], [1.0]]", "holds the number 1.0"),
        ("p.json", "[[0, 2], 1]", "holds 1, which is not a list"),
        ("p.json", '{"0": 1, "1": 1}', "state 2 is in no block"),
        ("p.json", '{"0": 1, "1": 1, "2": 1, "0": 2}', "the key '0' twice"),
        ("p.json", '{"0": 1, "1": 1, "2": [1]}', "[1] is not a block label"),
        ("p.json", '{"0": 1, "1": 1, "9999999999999999999999": 1}', "there is no state"),
        ("p.json", "[0, 1]", "2 labels for 3 states"),
        ("p.json", "[0, 1, null]", "None is not a block label"),
        ("p.json", "3", "a list or a mapping"),
        ("p.json", "[0, 1,", "line 1: is not JSON"),
        ("p.json", "[" * 100_000, "nests brackets too deeply"),
        ("p.json", "", "is not JSON"),
        ("p.json", "[" + "1" * 5000 + "]", "too many digits"),
        ("p.txt", "a\nb\n", "2 labels for 3 states"),
        ("p.txt", "a\n\nb\n", "line 2: an empty line"),
        ("p.txt", "[[0, 2], [1]]", "needs the suffix .json"),
    ],
)
def test_a_partition_that_is_none_is_refused_with_the_reason(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        read_partition(tmp_path / name, States(3))
    assert name in str(caught.value)


def test_a_partition_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\n")
    with pytest.raises(FormatError, match="UTF-8"):
        read_partition(tmp_path / "p.txt", States(1))


def test_a_table_may_have_other_columns_and_any_order(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('block,note,state\nx,"a, b",2\ny,,1\nx,,0\n')
    assert read_partition(path, States(3)) == Partition([0, 1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the columns state and block"),
        ("state\n0\n", "the columns state and block"),
        ("state,block\n0,a,b\n", "has 3 columns, not 2"),
        ("state,block\n0,a\n0,b\n", "names the state '0' twice"),
        ("state,block\n0,a\n", "state 1"),
        ("state,block\n7,a\n", "no state '7'"),
        ('state,block\n"0,a\n', "is no CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_partition(path, States(3))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "\ufeff\ufeffa\nb\na\n"),
        ("p.txt", "a\nb\na\n\n  \n"),
        ("p.csv", "\ufeff\ufeffstate,block\n0,a\n1,b\n2,a\n\n\n"),
    ],
)
def test_marks_at_the_start_and_blank_lines_at_the_end_change_no_partition(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_partition(tmp_path / name, States(3)) == Partition([0, 1, 0])
