from __future__ import annotations

import copy
import pickle
import re
import sys

import pytest

from lumpability import CTMC, errors, lump, write
from lumpability.errors import (
    FormatError,
    InvalidChain,
    InvalidInput,
    InvalidPartition,
    LumpabilityError,
    MissingDependency,
    TrivialLumping,
    require,
)

ALL = [getattr(errors, name) for name in errors.__all__ if name != "TrivialLumping"]
INPUT_ERRORS = [
    cls for cls in ALL if issubclass(cls, InvalidInput) and cls not in (InvalidInput, FormatError)
]


def test_every_error_can_be_caught_as_one():
    assert all(issubclass(cls, LumpabilityError) for cls in ALL)


def test_a_trivial_lumping_is_a_warning():
    assert issubclass(TrivialLumping, UserWarning)


@pytest.mark.parametrize("cls", INPUT_ERRORS)
def test_what_the_user_got_wrong_is_a_value_error(cls):
    assert issubclass(cls, ValueError)


def test_a_missing_package_is_an_import_error_and_no_invalid_input():
    assert issubclass(MissingDependency, ImportError)
    assert not issubclass(MissingDependency, InvalidInput)


def test_evidence_reads_like_attributes_and_as_a_mapping():
    error = InvalidChain("row 3 sums to 2", row=3, total=2)
    assert (error.row, error.total) == (3, 2)
    assert error.evidence == {"row": 3, "total": 2}
    assert str(error) == "row 3 sums to 2"


def test_evidence_that_is_not_there_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match=re.escape("'InvalidChain' object has no attribute 'row'")
    ):
        _ = InvalidChain("no row here").row


@pytest.mark.parametrize(
    ("line", "text"), [(None, "a.tra: bad"), (7, "a.tra, line 7: bad"), (0, "a.tra, line 0: bad")]
)
def test_a_format_error_says_where(line, text):
    error = FormatError("bad", path="a.tra", line=line, value="x")
    assert str(error) == text
    assert (error.path, error.line, error.value) == ("a.tra", line, "x")


@pytest.mark.parametrize(
    "error",
    [
        LumpabilityError("plain"),
        InvalidPartition("state 1 is in two blocks", state=1),
        FormatError("negative rate '-2'", path="chain.tra", line=7, value="-2"),
    ],
)
@pytest.mark.parametrize(
    "copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_errors_cross_process_boundaries_whole(error, copied):
    other = copied(error)
    assert type(other) is type(error)
    assert (str(other), other.args, other.evidence) == (str(error), error.args, error.evidence)


def test_require_names_the_pip_line():
    with pytest.raises(MissingDependency, match=re.escape("pip install 'lumpability[graph]'")) as e:
        require("no_such_package.inner", extra="graph")
    assert (e.value.package, e.value.extra) == ("no_such_package", "graph")


def test_require_hides_no_fault_inside_a_package_that_is_there(tmp_path, monkeypatch):
    (tmp_path / "present_package.py").write_text("import absent_dependency_of_it")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="absent_dependency_of_it") as caught:
        require("present_package", extra="graph")
    assert not isinstance(caught.value, MissingDependency)


def test_require_imports_a_submodule():
    assert require("xml.dom", extra="none") is sys.modules["xml.dom"]


def test_warnings_name_the_line_that_calls_the_library(tmp_path):
    chain = CTMC([[0, 1], [1, 0]], rewards={"r": [1, 2]}, states=["a\nb", "b"])
    for call in (
        lambda: lump(CTMC([[0, 1], [1, 0]])),
        lambda: write(chain, tmp_path / "c.drn"),
        lambda: CTMC([[0, 1, 0], [1, 0, 1], [0, 1, 0]], labels={"up": [0, 0]}),
    ):
        with pytest.warns(UserWarning, match=".") as told:
            call()
        assert told[0].filename == __file__
