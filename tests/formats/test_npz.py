from __future__ import annotations

import io
import pickle
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lumpability import CTMC, DTMC
from lumpability.errors import FormatError, SizeLimit
from lumpability.formats.npz import write_npz
from lumpability.formats.numpy_archive import read_archive


def saved(folder: Path, **changes: object) -> Path:
    """The plain layout of a three-state DTMC, as any program can write it."""
    arrays = {
        "type": np.array("DTMC"),
        "indptr": np.array([0, 2, 3, 4]),
        "indices": np.array([0, 1, 2, 2], dtype=np.int32),
        "data": np.array([0.1, 0.9, 1, 1]),
        "initial": np.array([0, 2]),
        "label_names": np.array(["ok", "init"]),
        "label0": np.array([True, True, False]),
        "label1": np.array([True, False, True]),
        "srew_cost": np.array([1 - 0.95, 0, 2]),
        "arew_cost": np.array([1, 2, 3]),
        **changes,
    }
    path = folder / "chain.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_the_plain_layout_is_read(tmp_path):
    chain = read_archive(saved(tmp_path))
    assert isinstance(chain, DTMC)
    assert chain.matrix.row(0) == [(0, Fraction(1, 10)), (1, Fraction(9, 10))]
    assert list(chain.labels) == ["ok"]
    assert list(chain.initial) == [Fraction(1, 2), 0, Fraction(1, 2)]
    assert list(chain.rewards["cost"].state) == [Fraction(1, 20), 0, 2]
    assert list(chain.rewards["cost"].action) == [1, 2, 3]
    assert chain.reading.neighbours == 1


def test_numpy_alone_reads_the_plain_part_of_what_is_written(tmp_path, repair):
    write_npz(repair, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert str(arrays["type"]) == "CTMC"
        assert arrays["data"].tolist() == repair.matrix.weights.to_floats().tolist()
        assert arrays["srew_cost"].tolist() == [0, 1 / 7, 3]
        assert arrays["initial"].tolist() == [0]
        assert arrays["label_names"].tolist() == ["ok", "needs care", "deadlock"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": None}, "lacks the text 'type'"),
        ({"type": np.array("MDP")}, "has the type 'MDP', not CTMC or DTMC"),
        ({"type": np.array(3)}, "lacks the text 'type'"),
        ({"indptr": None}, "lacks the array 'indptr'"),
        ({"indptr": np.array([0.0, 1.0])}, "'indptr' is 1-dimensional of type float64"),
        ({"indptr": np.array([0, 3, 2, 4])}, "must not decrease"),
        (
            {"indptr": np.array([0, 2, 3, 5])},
            "row pointers must run from 0 to the number of entries",
        ),
        ({"indptr": np.array([], dtype=int)}, "row pointers must run from 0"),
        ({"indices": np.array([0, 1, 2, 3])}, "has target 3, but states are 0 .. 2"),
        ({"indices": np.array([[0, 1], [2, 2]])}, "'indices' is 2-dimensional"),
        ({"data": None}, "lacks the array 'data'"),
        ({"data": np.array([0.1, 0.9, 1])}, "'data' has 3 entries, not 4"),
        ({"data": np.array([0.1, 0.9, np.nan, 1])}, "is not a finite number"),
        ({"data": np.array([-0.1, 1.1, 1, 1])}, "holds the negative weight -1/10"),
        ({"data": np.array([0.1, 0.9, 1, 0.9999999])}, "row 2 sums to 9999999/10000000"),
        ({"initial": np.array([3])}, "'initial' names a state beyond the 3"),
        ({"label_names": np.array(["ok", "ok"])}, "holds a name twice"),
        ({"label0": None}, "lacks the array 'label0'"),
        ({"label0": np.array([True, True])}, "'label0' has 2 entries, not 3"),
        ({"label0": np.array([1, 1, 0])}, "'label0' is 1-dimensional of type int64"),
        ({"srew_cost": np.array([1.0])}, "'srew_cost' has 1 entries, not 3"),
        ({"state_names": np.array(["a", "b", "a"])}, "state name 'a' occurs twice"),
        ({"state_names": np.array(["a"])}, "'state_names' has 1 entries, not 3"),
        (
            {
                "state_names": np.array(["1", "a", "b"]),
                "state_integers": np.array([True, True, False]),
            },
            "names the state 'a', which is not an integer",
        ),
        ({"data_codes": np.array([0, 1, 2, 9])}, "lacks the array 'numerators'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, message):
    path = saved(tmp_path, **changes)
    with pytest.raises(FormatError) as failure:
        read_archive(path)
    assert message in str(failure.value)
    assert str(failure.value).startswith(str(path))


def test_pickled_objects_are_never_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "chain.npz"
    np.savez(path, allow_pickle=True, indptr=np.array([Trap()], dtype=object))
    with pytest.raises(
        FormatError, match="'indptr' holds pickled Python objects, which are never read"
    ):
        read_archive(path)
    # a member that is a bare pickle, not even an array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("indptr.npy", pickle.dumps(Trap()))
    with pytest.raises(FormatError, match="'indptr' is not a sound array"):
        read_archive(path)
    assert not (tmp_path / "sprung").exists()


def test_a_header_that_announces_more_than_there_is_allocates_nothing(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    )
    path = tmp_path / "chain.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.npy", buffer.getvalue())
    with pytest.raises(FormatError, match="'data' announces 8000000000000000 bytes but holds 0"):
        read_archive(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(20):
            archive.writestr(f"a{k}.npy", bytes(10**7))
    with pytest.raises(SizeLimit, match="more than 32 MiB and 100 times its size"):
        read_archive(path)
    with pytest.raises(SizeLimit, match="more than 1000000 bytes"):
        read_archive(path, max_bytes=10**6)


def test_numbers_beyond_64_bits_are_kept(tmp_path):
    chain = CTMC([[0, Fraction(10**30, 7)], [Fraction(1, 3**50), 0]])
    write_npz(chain, tmp_path / "a.npz")
    assert read_archive(tmp_path / "a.npz").equals(chain)


def test_names_that_are_neither_text_nor_integer_become_text(tmp_path):
    chain = CTMC.from_rates({((0, 1), (1, 0)): 1})
    write_npz(chain, tmp_path / "a.npz")
    assert list(read_archive(tmp_path / "a.npz").states) == ["(0, 1)", "(1, 0)"]
