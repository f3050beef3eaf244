"""NNet files are read with their normalisation and written so that they read back the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lumpability.errors import FormatError
from lumpability.formats import read, write
from lumpability.networks import Network
from lumpability.networks.elementwise import Activate, Scale, Shift
from lumpability.networks.layers import Dense

TEXT = """// a comment
2,2,1,2,
2,2,1,
0,
-1,-1,
1,1,
1.0,0.0,5.0,
2.0,4.0,10.0,
1,2,
3,4,
0.5,
-0.5,
1,1,
0.25,
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "net.nnet"
    target.write_text(TEXT)
    return target


def test_normalisation_is_part_of_the_network(path: Path) -> None:
    network = read(path)
    # inputs (3 - 1) / 2 = 1 and 4 / 4 = 1; hidden 3.5 and 6.5; output 10.25 * 10 + 5
    assert network.exact([3, 4]).tolist() == [107.5]
    assert network([3, 4]).tolist() == [107.5]


def test_what_is_written_reads_back_the_same(path: Path, tmp_path: Path) -> None:
    network = read(path)
    write(network, tmp_path / "again.nnet")
    again = read(tmp_path / "again.nnet")
    assert again.exact(["1/3", 7]).tolist() == network.exact(["1/3", 7]).tolist()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("2,2,1,\n0", "2,2,\n0", 3, "2 numbers where 3 belong"),
        ("3,4,", "3,four,", 10, "'four' is not a number"),
        ("3,4,", "3,nan,", 10, "not finite"),
        ("\n1,2,\n", "\n1,2,3,\n", 9, "3 numbers where 2 belong"),
        ("0.25,\n", "", 13, "ends before biases of layer 1"),
        ("2,2,1,2,", "2.5,2,1,2,", 2, "positive integers"),
    ],
)
def test_bad_files_name_the_line(path: Path, old: str, new: str, line: int, message: str) -> None:
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read(path)
    assert caught.value.line == line


def test_other_layers_have_no_nnet_form(tmp_path: Path) -> None:
    network = Network((Activate("tanh"),), (None, 1), np.float64)
    with pytest.raises(FormatError, match="write ONNX"):
        write(network, tmp_path / "no.nnet")


def test_a_normalisation_in_another_order_has_no_nnet_form(tmp_path: Path) -> None:
    two, dense = np.array([2.0]), Dense(np.ones((1, 1)))
    first, then = Shift(two), Scale(two, divide=True)
    write(Network((first, then, dense), (None, 1), np.float64), tmp_path / "yes.nnet")
    assert read(tmp_path / "yes.nnet").exact([4]).tolist() == [3]
    column = Shift(np.ones((1, 1, 1, 1)))
    for layers in ((then, first, dense), (first, first, dense), (column, dense), (dense, then)):
        with pytest.raises(FormatError, match="write ONNX"):
            write(Network(layers, (None, 1), np.float64), tmp_path / "no.nnet")
