"""What files of other tools hold: marks before the text, other line ends, one choice, rounded numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, lump, read
from lumpability.errors import FormatError, InvalidChain
from lumpability.formats.numbers import simplest_rounded
from lumpability.markov.examples import land_of_oz

TRA = "3 4\n0 1 0.5\n0 2 0.5\n1 1 1\n2 2 1\n"
DRN = """@type: {type}
@value_type: double
@parameters

@reward_models

@nr_states
2
@nr_choices
2
@model
state 0{first} init
\taction 0
\t\t1 : {rate}
state 1{second}
\taction 0
\t\t0 : 1
"""
SOURCE = """{type}
module k
 x:[0..2] init 0;
 {arrow} x=0 -> {w}:(x'=1) + {v}:(x'=2);
 {arrow} x=1 -> 1:(x'=0);
 {arrow} x=2 -> 1:(x'=2);
endmodule
"""


def drn(**given):
    return DRN.format(**({"type": "CTMC", "first": " !3", "second": " !1", "rate": "3"} | given))


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_byte_order_marks_and_other_line_ends_change_nothing(tmp_path, before, ends, packed):
    files = {
        "m.tra": TRA,
        "m.lab": '0="init" 1="end"\n0: 0\n2: 1\n',
        "m.drn": drn(),
        "m.sta": "(x)\n0:(4)\n1:(5)\n2:(6)\n",
    }
    expected, found = {}, {}
    for chains, dress in ((expected, False), (found, True)):
        for name, text in files.items():
            data = text.encode()
            if dress:
                data = before + data.replace(b"\n", ends)
            if packed and name == "m.drn":
                import gzip

                (tmp_path / "m.drn.gz").write_bytes(gzip.compress(data))
            else:
                (tmp_path / name).write_bytes(data)
        chains["tra"] = read(tmp_path / "m.tra")
        chains["drn"] = read(tmp_path / ("m.drn.gz" if packed else "m.drn"))
    assert list(found["tra"].states) == ["x=4", "x=5", "x=6"]
    assert all(found[key].equals(expected[key]) for key in expected)


def test_text_that_is_not_utf_8_by_its_mark_is_refused(tmp_path):
    (tmp_path / "m.tra").write_bytes(TRA.encode("utf-16"))
    with pytest.raises(FormatError, match="byte order mark of UTF-16"):
        read(tmp_path / "m.tra")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (drn(type="MDP", first="", second="", rate="1"), DTMC([[0, 1], [1, 0]], initial=0)),
        (drn(type="Markov Automaton", rate="1"), CTMC([[0, 3], [1, 0]], initial=0)),
        (drn(first=" !3.0000001"), CTMC([[0, 3], [1, 0]], initial=0)),
    ],
)
def test_one_choice_everywhere_is_a_chain(tmp_path, text, expected):
    (tmp_path / "m.drn").write_text(text)
    assert read(tmp_path / "m.drn").equals(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            drn(type="Markov Automaton", first=" !0", rate="1"),
            "state 0 of this Markov automaton has no rate",
        ),
        (
            drn(type="MDP", first="", second="", rate="1").replace(
                "state 1", "\taction 1\n\t\t0 : 1\nstate 1"
            ),
            "state 0 has a second action",
        ),
        (drn(first=" !40"), "the exit rate of state 0 is 40, but its rates sum to 3"),
    ],
)
def test_what_is_no_chain_names_the_state(tmp_path, text, message):
    (tmp_path / "m.drn").write_text(text)
    with pytest.raises(FormatError, match=message):
        read(tmp_path / "m.drn")


def test_an_mdp_of_prism_with_one_choice_is_read(tmp_path):
    (tmp_path / "m.tra").write_text("3 3 4\n0 0 1 0.5 go\n0 0 2 0.5 go\n1 0 1 1\n2 0 2 1\n")
    assert read(tmp_path / "m.tra").equals(DTMC([[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]]))


def test_sources_are_explored_with_checks_and_without_added_loops(tmp_path):
    pytest.importorskip("stormpy")
    path = tmp_path / "m.nm"
    path.write_text("\ufeff" + SOURCE.format(type="mdp", arrow="[]", w="1/3", v="2/3"))
    assert read(path).matrix.row(0) == [(1, Fraction(1, 3)), (2, Fraction(2, 3))]
    path.write_text(SOURCE.format(type="ma", arrow="<>", w=2, v=3))
    found = read(path)
    assert isinstance(found, CTMC)
    assert found.matrix.row(0) == [(1, 2), (2, 3)]
    path.write_text(
        SOURCE.format(type="dtmc", arrow="[]", w="0.5", v="0.5").replace("x'=1", "x'=3")
    )
    with pytest.raises(FormatError, match="out-of-bounds"):
        read(path)
    path.write_text(
        "ctmc\nmodule k\n x:[0..2] init 0;\n [] x=0 -> 2:(x'=1)+3:(x'=2);\n [] x=2 -> 1:(x'=2);\nendmodule\n"
    )
    assert read(path).matrix.equals(CTMC([[0, 2, 3], [0, 0, 0], [0, 0, 1]]).matrix)


def test_rows_without_transitions_are_made_absorbing_when_asked(tmp_path):
    (tmp_path / "m.tra").write_text("3 2\n0 1 0.5\n0 2 0.5\n")
    for options in ({}, {"normalize": True}):
        with pytest.raises(FormatError, match=r"row 1 has no transitions.*absorbing=True"):
            read(tmp_path / "m.tra", type="dtmc", **options)
    expected = DTMC([[0, 0.5, 0.5], [0, 1, 0], [0, 0, 1]])
    assert read(tmp_path / "m.tra", type="dtmc", absorbing=True).equals(expected)
    assert DTMC([[0, 0.5, 0.5], [0, 0, 0], [0, 0, 0]], absorbing=True).equals(expected)
    with pytest.raises(InvalidChain, match="row 'b' has no transitions"):
        DTMC([[0, 1], [0, 0]], states=["a", "b"])


@given(
    p=st.integers(0, 60), q=st.integers(1, 60), digits=st.integers(6, 12), scientific=st.booleans()
)
def test_the_simplest_rational_that_rounds_to_a_decimal_is_the_one_meant(p, q, digits, scientific):
    value = Fraction(p, q)
    text = f"{float(value):.{digits - 1}e}" if scientific else f"{float(value):.{digits}f}"
    assert simplest_rounded(text) == value
    assert simplest_rounded(f"-{text}") == -value


def test_files_rounded_to_some_digits_give_the_blocks_that_were_meant(tmp_path):
    path = tmp_path / "m.tra"
    path.write_text(
        "6 10\n0 2 0.333333\n0 3 0.333333\n0 4 0.333333\n1 5 0.666667\n1 4 0.333333\n2 2 1\n3 3 1\n4 4 1\n"
        "5 5 0.142857\n5 2 0.857143\n"
    )
    (tmp_path / "m.lab").write_text('0="init" 1="deadlock" 2="bad"\n0: 0\n4: 2\n')
    chain = read(path, type="dtmc", digits=6)
    assert len(lump(chain, respect="bad").partition) == 3
    assert chain.reading.nearest == 4
    with pytest.raises(FormatError, match="row 0"):
        read(path, type="dtmc")


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_matrices_that_scipy_saved_are_read(tmp_path, form):
    matrix = land_of_oz().matrix
    scipy.sparse.save_npz(tmp_path / "m.npz", matrix.to_scipy().asformat(form))
    for options in ({}, {"type": "dtmc"}):
        found = read(tmp_path / "m.npz", **options)
        assert isinstance(found, DTMC)
        assert found.matrix.equals(matrix)
    assert isinstance(read(tmp_path / "m.npz", type="ctmc"), CTMC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": [2, 3]}, "must be square"),
        ({"format": b"dia"}, "save matrix.tocsr"),
        ({"indices": [0, 7]}, "7"),
        ({"indptr": [0, 5, 2]}, "row pointers"),
        ({"data": [1.0]}, "entries"),
    ],
)
def test_damaged_matrices_of_scipy_are_refused(tmp_path, change, message):
    arrays = {
        "shape": [2, 2],
        "format": b"csr",
        "indices": [1, 0],
        "indptr": [0, 1, 2],
        "data": [1.0, 1.0],
    }
    np.savez(tmp_path / "m.npz", **{k: np.array(v) for k, v in (arrays | change).items()})
    with pytest.raises(FormatError, match=message):
        read(tmp_path / "m.npz")
