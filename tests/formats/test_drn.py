from __future__ import annotations

import gzip
import warnings
from fractions import Fraction
from pathlib import Path

import pytest

from lumpability import CTMC, DTMC, formats
from lumpability.errors import FormatError, SizeLimit
from lumpability.formats.drn import read_drn, write_drn
from lumpability.formats.tokens import chunks

HEADER = """// Exported by storm
// Original model type: CTMC
@type: CTMC
@value_type: rational
@parameters

@reward_models
 cost {blank}
@nr_states
3
@nr_choices
3
@model
""".replace("{blank}", "")
BODY = """state 0 !1/6 [0, 0] init "two words"
//[x=0]
\taction __NOLABEL__ [0, 0]
\t\t1 : 1/6
state 1 !3/5 [1, 1/3] goal init
//[x=1]
\taction __NOLABEL__ [0, 0]
\t\t0 : 1/10
\t\t1 : 1/3
\t\t2 : 1/6
state 2 !13/30 [0, 0] goal
//[x=2]
\taction __NOLABEL__ [0, 2]
\t\t1 : 1/10
\t\t2 : 1/3
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "chain.drn"
    path.write_text(text)
    return path


def test_storms_own_dialect_is_read(tmp_path):
    chain = read_drn(written(tmp_path, HEADER + BODY))
    assert isinstance(chain, CTMC)
    assert list(chain.states) == ["x=0", "x=1", "x=2"]
    assert chain.matrix.row(1) == [(0, Fraction(1, 10)), (1, Fraction(1, 3)), (2, Fraction(1, 6))]
    assert {name: mask.tolist() for name, mask in chain.labels.items()} == {
        "two words": [True, False, False],
        "goal": [False, True, True],
    }
    assert list(chain.initial) == [Fraction(1, 2), Fraction(1, 2), 0]
    unnamed, cost = chain.rewards[""], chain.rewards["cost"]
    assert (list(unnamed.state), unnamed.action) == ([0, 1, 0], None)
    assert (list(cost.state), list(cost.action)) == ([0, Fraction(1, 3), 0], [0, 0, 2])
    assert chain.reading.distinct == 0


def test_parameters_and_placeholders_become_symbolic_weights(tmp_path):
    text = (
        "@type: DTMC\n@value_type: parametric\n@parameters\np q\n"
        "@placeholders\n$0 : (p)/(p+q)\n$1 : (1/3 * (q))/(1)\n@reward_models\n\n@nr_states\n2\n@model\n"
        "state 0 init\n\taction 0\n\t\t0 : $0\n\t\t1 : (q) / (p + q)\nstate 1\n\taction 0\n\t\t1 : 1\n"
    )
    chain = read_drn(written(tmp_path, text))
    assert [str(weight.as_expr()) for _, weight in chain.matrix.row(0)] == [
        "p/(p + q)",
        "q/(p + q)",
    ]
    with pytest.raises(FormatError, match=r"line 15: the probability '\$2' cannot be read"):
        read_drn(written(tmp_path, text.replace("0 : $0", "0 : $2")))
    with pytest.raises(FormatError, match="mentions r, which is not among the parameters p q"):
        read_drn(written(tmp_path, text.replace("(q) / (p + q)", "r")))


def test_doubles_are_read_as_the_rationals_that_were_meant(tmp_path):
    text = (
        "@type: DTMC\n@value_type: double\n@nr_states\n2\n@model\n"
        "state 0\n\taction 0\n\t\t0 : 0.050000000000000044\n\t\t1 : 0.94999999999999996\n"
        "state 1\n\taction 0\n\t\t0 : 0.33333333333333331\n\t\t1 : 0.66666666666666663\n"
    )
    chain = read_drn(written(tmp_path, text))
    assert chain.matrix.row(0) == [(0, Fraction(1, 20)), (1, Fraction(19, 20))]
    assert chain.matrix.row(1) == [(0, Fraction(1, 3)), (1, Fraction(2, 3))]
    assert (chain.reading.distinct, chain.reading.neighbours) == (4, 1)
    with pytest.raises(FormatError, match="row 0 sums to"):
        read_drn(written(tmp_path, text.replace("0.94999999999999996", "0.94")))
    path = written(tmp_path, text)
    with pytest.raises(FormatError, match="row 0 sums to"):
        read_drn(path, float_tolerance=0)
    literal = read_drn(path, float_tolerance=0, normalize=True)
    assert literal.reading.distinct == 0
    assert literal.rescaled > 0


def test_rounded_rows_are_refused_unless_rescaling_is_asked_for(tmp_path):
    text = (
        "@type: DTMC\n@value_type: double\n@nr_states\n1\n@model\nstate 0\n\taction 0\n"
        "\t\t0 : 0.9999999\n"
    )
    with pytest.raises(FormatError, match="sums to 9999999/10000000") as failure:
        read_drn(written(tmp_path, text))
    assert failure.value.row == 0
    chain = read_drn(tmp_path / "chain.drn", normalize=True)
    assert chain.matrix.row(0) == [(0, 1)]
    assert chain.rescaled == Fraction(1, 10**7)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "@type: CTMC",
            "@type: POMDP",
            3,
            "holds a model of type 'POMDP': only CTMC and DTMC can be read",
        ),
        ("@type: CTMC", "@type: " + "S" * 10**5, 3, "of type 'SSSS"),
        ("rational", "double-interval", 4, "holds values of type double-interval"),
        ("@nr_states\n3", "@nr_states\n-3", 10, "'-3' is not a number of states"),
        ("@nr_states\n3", "@nr_states\n99999999999", 10, "is not a number of states"),
        (
            "@nr_states\n3\n@nr_choices\n3",
            "@nr_states\n2",
            21,
            "target 2 is out of range: there are 2 states",
        ),
        ("@nr_choices\n3", "@nr_choices\n4", None, "announces 4 choices for 3 states"),
        ("@model", "@mode", 13, "'@mode' is not part of a DRN header"),
        (" cost ", "cost cost ", 8, "names a reward model twice"),
        ("state 1 ", "state 7 ", 18, "state 7 comes where state 1 should"),
        ("state 1 !3/5", "state 1", 18, "has no exit rate '!rate'"),
        ("!3/5", "!3/4", None, "the exit rate of state 1 is 3/4, but its rates sum to 3/5"),
        ("0 : 1/10", "0 : -1/10", 21, "the rate '-1/10' is negative"),
        ("0 : 1/10", "0 : nan", 21, "the rate 'nan' cannot be read"),
        ("0 : 1/10", "0 : 1/0", 21, "divides by zero"),
        ("0 : 1/10", "7 : 1/10", 21, "target 7 is out of range: there are 3 states"),
        ("0 : 1/10", "0 1/10", 21, "'0 1/10' is not 'target : value'"),
        ("0 : 1/10", "x : 1/10", 21, "'x : 1/10' is neither 'state', 'action' nor"),
        ("\t\t0 : 1/10", "\taction b", 21, "state 1 has a second action"),
        ("[1, 1/3]", "[1]", 18, "holds 1 rewards, the header names 2"),
        ("[1, 1/3]", "[1, x]", 18, "the reward 'x' cannot be read"),
        ('"two words"', '"two words', 14, "unmatched quote"),
        ("//[x=1]", "//[x=0]", None, "state name 'x=0' occurs twice"),
        ("[0, 2]", "7", 26, "'7' after the action is not a list of rewards"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, line, message):
    text = HEADER + BODY
    assert old in text
    path = written(tmp_path, text.replace(old, new, 1))
    with pytest.raises(FormatError) as failure:
        read_drn(path)
    assert message in str(failure.value)
    assert failure.value.line == line
    assert str(failure.value).startswith(str(path))


def test_a_file_cut_off_anywhere_after_the_header_is_refused(tmp_path):
    lines = (HEADER + BODY).splitlines(keepends=True)
    for count in range(13):
        with pytest.raises(FormatError, match="@model"):
            read_drn(written(tmp_path, "".join(lines[:count])))
    for count in range(13, len(lines) - 5):
        with pytest.raises(FormatError, match="announces 3 states but holds"):
            read_drn(written(tmp_path, "".join(lines[:count])))


def test_a_header_with_more_rewards_than_memory_holds_is_refused(tmp_path):
    names = " ".join(f"r{k}" for k in range(100_000))
    states = "".join(f"state {s}\n{s} : 1\n" for s in range(400_000))
    text = f"@type: DTMC\n@reward_models\n{names}\n@nr_states\n400000\n@model\n{states}"
    with pytest.raises(SizeLimit, match="100000 rewards for each of 400000 states") as failure:
        read_drn(written(tmp_path, text))
    assert failure.value.path == str(tmp_path / "chain.drn")


def test_parallel_transitions_are_summed_and_zeros_dropped(tmp_path):
    text = "@type: CTMC\n@nr_states\n2\n@model\nstate 0 !1\n1 : 0.25\n1 : 0.75\n0 : 0\nstate 1 !0\n"
    chain = read_drn(written(tmp_path, text))
    assert chain.matrix.row(0) == [(1, 1)]
    assert chain.matrix.row(1) == []


def test_the_body_reads_the_same_in_chunks_of_any_size(tmp_path, monkeypatch):
    path = written(tmp_path, HEADER + BODY)
    whole = read_drn(path)
    for size in (1, 7, 50, 200):
        monkeypatch.setattr(
            "lumpability.formats.drn.chunks",
            lambda *args, size=size, **options: chunks(*args, size=size, **options),
        )
        assert read_drn(path).equals(whole)


@pytest.mark.parametrize("value_type", ["rational", "double"])
def test_storm_reads_what_is_written(tmp_path, chain, value_type):
    stormpy = pytest.importorskip("stormpy")
    path = tmp_path / "chain.drn"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_drn(chain, path, value_type=value_type)
    number = stormpy.Rational if value_type == "rational" else float
    model = stormpy.build_model_from_drn[number](str(path))
    assert (model.nr_states, model.nr_transitions) == (chain.n, chain.matrix.m)
    rows = [
        [(entry.column, str(entry.value)) for entry in model.transition_matrix.get_row(s)]
        for s in range(chain.n)
    ]
    if value_type == "rational":
        expected = [[(u, str(weight)) for u, weight in chain.matrix.row(s)] for s in range(chain.n)]
        assert rows == expected
    else:
        floats = [[(u, float(weight)) for u, weight in chain.matrix.row(s)] for s in range(chain.n)]
        assert [[(u, float(text)) for u, text in row] for row in rows] == floats
    carried = {name for name, mask in chain.labels.items() if mask.any()}
    assert set(model.labeling.get_labels()) == carried | {"init"}
    assert set(model.reward_models) == set(chain.rewards)


def test_doubles_are_written_with_the_digits_that_name_them(tmp_path):
    chain = DTMC([["1/3", "2/3"], [0, 1]])
    write_drn(chain, tmp_path / "chain.drn", value_type="double")
    text = (tmp_path / "chain.drn").read_text()
    assert "0 : 0.33333333333333331\n" in text
    assert read_drn(tmp_path / "chain.drn").equals(chain)


def test_names_the_format_cannot_hold_are_refused(tmp_path):
    for labels, rewards in (
        ({'a"b': [0]}, {}),
        ({"a\nb": [0]}, {}),
        ({"": [0]}, {}),
        ({}, {"a b": [1]}),
    ):
        chain = CTMC([[1]], labels=labels, rewards=rewards)
        with pytest.raises(FormatError, match="cannot be written"):
            write_drn(chain, tmp_path / "chain.drn")
    with pytest.raises(FormatError, match="value_type is 'rational', 'double' or 'parametric'"):
        write_drn(CTMC([[1]]), tmp_path / "chain.drn", value_type="float")
    assert list(tmp_path.iterdir()) == []


def test_a_label_no_state_carries_is_kept_in_a_comment(tmp_path, repair):
    write_drn(repair, tmp_path / "chain.drn")
    assert "// Labels of no state: deadlock\n" in (tmp_path / "chain.drn").read_text()
    assert not read_drn(tmp_path / "chain.drn").labels["deadlock"].any()


def test_gzip_is_the_same_text(tmp_path, chain):
    formats.write(chain, tmp_path / "a.drn")
    formats.write(chain, tmp_path / "a.drn.gz")
    assert (
        gzip.decompress((tmp_path / "a.drn.gz").read_bytes()) == (tmp_path / "a.drn").read_bytes()
    )
