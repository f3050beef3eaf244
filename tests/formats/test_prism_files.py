from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from lumpability import CTMC, DTMC, Reward, formats
from lumpability.errors import FormatError
from lumpability.formats.assembly import LossyWrite
from lumpability.formats.prism import read_prism_files, write_prism_files
from lumpability.numbers.exact_array import ExactArray

# PRISM's own dialect: the dice program of Knuth and Yao, cut short, with decimals and a comment.
TRA = "4 6\n0 1 0.5\n0 2 0.5\n1 1 1\n2 0 0.25 again\n2 2 0.5\n2 3 0.25\n3 3 1\n".replace(
    "4 6", "4 7"
)
LAB = '0="init" 1="deadlock" 2="end of it"\n0: 0\n1: 2\n3: 1 2\n'
STA = "(s,d)\n0:(0,0)\n1:(7,1)\n2:(1,0)\n3:(7,2)\n"
SREW = '# Reward structure "flips"\n# State rewards\n4 2\n0 1\n2 1/3\n'
TREW = '# Reward structure "flips"\n# Transition rewards\n4 2\n0 1 4\n2 3 8\n'


def written(folder: Path, **files: str) -> Path:
    for suffix, text in files.items():
        (folder / f"dice.{suffix}").write_text(text)
    return folder / "dice.tra"


def test_prisms_dialect_is_read(tmp_path):
    chain = read_prism_files(written(tmp_path, tra=TRA, lab=LAB, sta=STA, srew=SREW, trew=TREW))
    assert isinstance(chain, DTMC)
    assert list(chain.states) == ["s=0,d=0", "s=7,d=1", "s=1,d=0", "s=7,d=2"]
    assert chain.matrix.row(2) == [(0, Fraction(1, 4)), (2, Fraction(1, 2)), (3, Fraction(1, 4))]
    assert {name: mask.tolist() for name, mask in chain.labels.items()} == {
        "deadlock": [False, False, False, True],
        "end of it": [False, True, False, True],
    }
    assert list(chain.initial) == [1, 0, 0, 0]
    assert list(chain.rewards["flips"].state) == [1, 0, Fraction(1, 3), 0]
    # 4 with probability 1/2 from state 0, 8 with probability 1/4 from state 2
    assert list(chain.rewards["flips"].action) == [2, 0, 2, 0]


def test_transition_rewards_of_a_ctmc_are_weighted_by_rates_over_their_sum(tmp_path):
    tra = "2 3\n0 0 1\n0 1 3\n1 0 5\n"
    trew = "2 2\n0 0 2\n0 1 1/3\n"
    chain = read_prism_files(written(tmp_path, tra=tra, trew=trew))
    assert isinstance(chain, CTMC)
    assert list(chain.rewards["reward"].action) == [(1 * 2 + 3 * Fraction(1, 3)) / 4, 0]


def test_storms_older_dialect_is_read(tmp_path):
    chain = read_prism_files(
        written(
            tmp_path,
            tra="ctmc\n0 1 0.5\n1 2 7\n",
            lab="#DECLARATION\ninit goal\n#END\n0 init\n2 goal\n",
            srew="0 1/2\n2 3\n",
        )
    )
    assert isinstance(chain, CTMC)
    assert (chain.n, chain.matrix.row(1)) == (3, [(2, 7)])
    assert chain.labels["goal"].tolist() == [False, False, True]
    assert list(chain.initial) == [1, 0, 0]
    assert list(chain.rewards["reward"].state) == [Fraction(1, 2), 0, 3]


@pytest.mark.parametrize(
    ("tra", "kind"),
    [
        ("2 2\n0 1 1\n1 0 1\n", DTMC),
        ("2 3\n0 0 1/3\n0 1 2/3\n1 0 1\n", DTMC),
        ("2 2\n0 1 2\n1 0 1\n", CTMC),
        ("2 2\n0 1 0.3\n1 0 1\n", CTMC),
        ("# Transitions (CTMC)\n2 2\n0 1 1\n1 0 1\n", CTMC),
        ("# Transitions (DTMC)\n2 2\n0 1 1\n1 0 1\n", DTMC),
        ("dtmc\n0 1 1\n1 0 1\n", DTMC),
        ("2 2\n0 1 0.999999\n1 0 1\n", None),  # a rounded DTMC, or a CTMC?
        ("2 1\n0 1 1\n", None),  # a DTMC that lacks a loop, or a CTMC with an absorbing state?
    ],
)
def test_the_type_is_inferred_only_where_it_is_clear(tmp_path, tra, kind):
    path = written(tmp_path, tra=tra)
    if kind is None:
        with pytest.raises(FormatError, match=r"give type='dtmc' .* or type='ctmc'"):
            read_prism_files(path)
    else:
        assert type(read_prism_files(path)) is kind
    assert type(formats.read(path, type="ctmc")) is CTMC
    with pytest.raises(FormatError, match="type is 'dtmc' or 'ctmc', not 'mdp'"):
        formats.read(path, type="mdp")


def test_a_row_that_misses_one_by_the_last_of_13_digits_names_the_option_for_it(tmp_path):
    text = "3 4\n0 1 0.3333333333333\n0 2 0.6666666666666\n1 1 1\n2 2 1\n"
    path = written(tmp_path, tra=text)
    with pytest.raises(
        FormatError, match=r"off by -1e-13.* or give digits=N if numbers were rounded"
    ):
        formats.read(path, type="dtmc")
    assert formats.read(path, type="dtmc", digits=13).reading.rescaled < Fraction(1, 10**12)
    halves = written(tmp_path, tra="2 2\n0 1 0.5\n1 1 1\n")
    with pytest.raises(FormatError, match=r"sums to 1/2 .*to rescale$"):
        formats.read(halves, type="dtmc")


def test_rounded_rows_of_a_dtmc_are_refused_or_rescaled(tmp_path):
    path = written(tmp_path, tra="2 3\n0 0 0.333333\n0 1 0.666666\n1 1 1\n")
    with pytest.raises(
        FormatError, match=r"row 0 sums to 999999/1000000 \(off by -1e-06\), not to 1"
    ):
        read_prism_files(path, type="dtmc")
    chain = read_prism_files(path, normalize=True)
    assert isinstance(chain, DTMC)
    assert chain.matrix.row(0) == [(0, Fraction(1, 3)), (1, Fraction(2, 3))]


@pytest.mark.parametrize(
    ("files", "where", "line", "message"),
    [
        ({"tra": ""}, "tra", None, "is empty"),
        ({"tra": "3 3 3 2\n"}, "tra", 1, "announces observations: a POMDP"),
        ({"tra": "mdp\n0 1 0 1\n"}, "tra", 2, "state 0 has a second choice"),
        ({"tra": "2 3 3\n0 0 1 1\n1 0 0 1\n1 1 1 1\n"}, "tra", 4, "state 1 has a second choice"),
        ({"tra": "# Transitions (MDP)\n1 1\n0 0 1\n"}, "tra", 3, "is not 'source choice target"),
        ({"tra": "# Transitions (SMG)\n1 1\n0 0 1\n"}, "tra", 1, "holds a model of type SMG"),
        ({"tra": "2 1\n1 2 1\n"}, "tra", 2, "there are 2 states, numbered from 0"),
        ({"tra": "STATES 2\nTRANSITIONS 1\n1 2 1\n"}, "tra", 1, "a file of MRMC"),
        ({"tra": "two states\n"}, "tra", 1, "is not the numbers of states and transitions"),
        ({"tra": TRA.replace("2 2 0.5", "2 4 0.5")}, "tra", 6, "state 4 is out of range"),
        ({"tra": TRA.replace("2 2 0.5", "2 x 0.5")}, "tra", 6, "'x' is not a state"),
        ({"tra": TRA.replace("2 2 0.5", "2 2 -0.5")}, "tra", 6, "the value '-0.5' is negative"),
        ({"tra": TRA.replace("2 2 0.5", "2 2 nan")}, "tra", 6, "the value 'nan' cannot be read"),
        ({"tra": TRA.replace("2 2 0.5", "2 2")}, "tra", 6, "'2 2' is not 'source target value'"),
        ({"tra": TRA.replace("3 3 1\n", "")}, "tra", None, "announces 7 transitions but holds 6"),
        ({"tra": "2000000000 1\n0 0 1\n"}, "tra", None, "announces 2000000000 states for 1 trans"),
        ({"lab": ""}, "lab", None, "the declaration"),
        ({"lab": "0=init\n"}, "lab", 1, "'0=init' is not a declaration of labels"),
        ({"lab": '0="a" 1="a"\n'}, "lab", 1, "declares a label twice"),
        ({"lab": '0="a" 0="b"\n'}, "lab", 1, "declares a label twice"),
        (
            {"lab": LAB.replace("1: 2", "9: 2")},
            "lab",
            3,
            "state 9 is out of range: there are 4 states",
        ),
        ({"lab": LAB.replace("1: 2", "1: 7")}, "lab", 3, "there is no label number 7"),
        ({"lab": LAB.replace("1: 2", "1 2")}, "lab", 3, "'1 2' is not 'state: label numbers'"),
        ({"lab": LAB.replace("1: 2", "1: a")}, "lab", 3, "'a' is not a label number"),
        (
            {"lab": LAB.replace("1: 2", "1: 2: 3")},
            "lab",
            3,
            "'1: 2: 3' is not 'state: label numbers'",
        ),
        ({"lab": "#DECLARATION a b\n"}, "lab", None, "'#END' is missing"),
        ({"lab": "#DECLARATION a #END\n0 b\n"}, "lab", 2, "the label 'b' is not declared"),
        ({"sta": ""}, "sta", None, "is empty: the variables"),
        ({"sta": "s,d\n"}, "sta", 1, "is not a list of variables"),
        ({"sta": STA.replace("1:(7,1)\n", "")}, "sta", None, "state 1 is missing"),
        ({"sta": STA.replace("1:(7,1)", "0:(7,1)")}, "sta", 3, "state 0 is named twice"),
        (
            {"sta": STA.replace("1:(7,1)", "1:(0,0)")},
            "tra",
            None,
            "state name 's=0,d=0' occurs twice",
        ),
        ({"sta": STA.replace("1:(7,1)", "1:(7)")}, "sta", 3, "(7) has 1 values for 2 variables"),
        ({"sta": STA.replace("1:(7,1)", "1 (7,1)")}, "sta", 3, "is not 'number:(values)'"),
        ({"sta": STA.replace("1:(7,1)", "8:(7,1)")}, "sta", 3, "is not one of the 4 states"),
        ({"srew": ""}, "srew", None, "is empty"),
        ({"srew": "5 1\n0 1\n"}, "srew", 1, "is for 5 states, but the model has 4"),
        ({"srew": "4 3\n0 1\n"}, "srew", None, "announces 3 rewards but holds 1"),
        ({"srew": "4 1\n0 x\n"}, "srew", 2, "the reward 'x' cannot be read"),
        ({"srew": "4 1\n4 1\n"}, "srew", 2, "state 4 is out of range"),
        ({"srew": "4 2\n0 1\n0 2\n"}, "srew", None, "state 0 has two rewards"),
        (
            {"trew": "4 1\n0 3 1\n"},
            "trew",
            None,
            "gives a reward to 0 -> 3, which is not a transition",
        ),
        ({"trew": "4 1\n0 1\n"}, "trew", 2, "'0 1' is not 'source target reward'"),
        (
            {"srew": SREW, "trew": TREW.replace("flips", "other")},
            "trew",
            None,
            "names the reward 'other', but dice.srew names it 'flips'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, files, where, line, message):
    path = written(tmp_path, **{"tra": TRA, **files})
    with pytest.raises(FormatError) as failure:
        read_prism_files(path)
    assert message in str(failure.value)
    assert (failure.value.path, failure.value.line) == (str(path.with_suffix(f".{where}")), line)


def test_several_rewards_are_numbered_and_named(tmp_path):
    chain = CTMC(
        [[0, 1, 1], [1, 0, 0], [0, 0, 0]],
        rewards={
            "cost": [1, 2, 3],
            "moves": Reward(action=ExactArray.read([1, "1/2", 0])[0]),
        },
    )
    path = tmp_path / "m.tra"
    write_prism_files(chain, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.tra", "m1.srew", "m2.trew"]
    assert read_prism_files(path).equals(chain)
    # numbered files that belong to another model are left alone
    (tmp_path / "m1.tra").write_text("1 1\n0 0 5\n")
    with pytest.raises(FormatError, match=r"m1\.tra beside it is another model"):
        write_prism_files(chain, path)
    assert read_prism_files(path).rewards == {}


def test_a_leftover_file_that_would_be_read_is_refused(tmp_path, walk):
    (tmp_path / "walk.sta").write_text("(x)\n0:(0)\n")
    with pytest.raises(FormatError, match=r"walk\.sta beside it belongs to another model"):
        write_prism_files(walk, tmp_path / "walk.tra")
    assert [p.name for p in tmp_path.iterdir()] == ["walk.sta"]


def test_the_files_of_a_chain_are_replaced_together(tmp_path, repair, walk):
    path = tmp_path / "chain.tra"
    formats.write(walk, path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    labels = {**walk.labels, 'a"b': [0]}
    broken = DTMC(walk.matrix, labels=labels, rewards=walk.rewards, initial=walk.initial)
    with pytest.raises(FormatError, match="holds a quote"):
        formats.write(broken, path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_ctmc_that_looks_like_a_dtmc_says_what_it_is(tmp_path):
    chain = CTMC([[0, 1], [1, 0]])
    write_prism_files(chain, tmp_path / "a.tra")
    assert (tmp_path / "a.tra").read_text().startswith("# Transitions (CTMC)\n2 2\n")
    assert read_prism_files(tmp_path / "a.tra").equals(chain)


def test_names_of_prism_variables_are_written_as_variables(tmp_path):
    chain = DTMC([[1, 0], [0, 1]], states=["x=0,up=true", "x=1,up=false"])
    write_prism_files(chain, tmp_path / "a.tra")
    assert (tmp_path / "a.sta").read_text() == "(x,up)\n0:(0,true)\n1:(1,false)\n"
    assert read_prism_files(tmp_path / "a.tra").equals(chain)


def test_an_action_reward_no_transition_can_carry_is_a_loss(tmp_path):
    reward = Reward(action=ExactArray.read([1, 1])[0])
    chain = CTMC([[0, 2], [0, 0]], rewards={"r": reward})
    with pytest.warns(LossyWrite, match="'r' on leaving states without transitions is left out"):
        write_prism_files(chain, tmp_path / "a.tra")
    assert list(read_prism_files(tmp_path / "a.tra").rewards["r"].action) == [1, 0]


def test_transitions_in_any_order_and_parallel_ones_are_summed(tmp_path):
    path = written(tmp_path, tra="2 4\n1 0 1\n0 1 1/6\n0 0 1/2\n0 1 1/3\n")
    chain = read_prism_files(path)
    assert chain.matrix.row(0) == [(0, Fraction(1, 2)), (1, Fraction(1, 2))]
