from __future__ import annotations

import json
from fractions import Fraction

import pytest

from lumpability import CTMC, DTMC, Reward, formats, lump
from lumpability.errors import FormatError, InvalidChain
from lumpability.formats.assembly import LossyWrite
from lumpability.formats.storm import from_stormpy, to_stormpy
from lumpability.numbers.exact_array import ExactArray

stormpy = pytest.importorskip("stormpy")

SOURCE = """ctmc
const double lam;
const int N;
module queue
  x : [0..N];
  up : bool init true;
  [] x < N & up -> lam/3 : (x' = x+1);
  [] x > 0 -> 0.1 : (x' = x-1);
  [] true -> 1/7 : (up' = !up);
endmodule
label "full" = x = N;
label "never" = x > N;
rewards "waiting" true : x/3; endrewards
rewards "served" [] x > 0 : 2; endrewards
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "queue.sm"
    path.write_text(SOURCE)
    return path


def test_a_prism_source_is_explored_exactly(source):
    chain = formats.read(source, constants="N=2,lam=1/2")
    assert isinstance(chain, CTMC)
    assert (chain.n, chain.reading.distinct) == (6, 0)
    assert sorted(set(chain.matrix.weights.values)) == [
        Fraction(1, 10),
        Fraction(1, 7),
        Fraction(1, 6),
    ]
    assert sorted(chain.labels) == ["deadlock", "full", "never"]
    assert (chain.labels["full"].sum(), chain.labels["never"].sum()) == (2, 0)
    assert set(chain.rewards["waiting"].state) == {0, Fraction(1, 3), Fraction(2, 3)}
    assert chain.rewards["served"].action is not None
    assert list(chain.initial) == [1, 0, 0, 0, 0, 0]
    assert next(iter(chain.states)) == "x=0,up=true"
    assert not formats.read(source, constants="N=1,lam=1", state_names=False).states.named


def test_constants_may_be_a_mapping_and_doubles_give_the_same_chain(source):
    exact = formats.read(source, constants={"N": 2, "lam": Fraction(1, 2)})
    rounded = formats.read(source, constants={"N": 2, "lam": "0.5"}, exact=False)
    assert rounded.equals(exact)
    assert rounded.reading.distinct > 0


def test_states_are_named_by_variables_in_order_of_declaration(source, tmp_path):
    chain = formats.read(source, constants="N=1,lam=1")
    assert sorted(chain.states) == ["x=0,up=false", "x=0,up=true", "x=1,up=false", "x=1,up=true"]
    assert chain.states.index("up=true, x=1") == chain.states.index("x=1,up=true")
    with pytest.raises(InvalidChain, match="no state"):
        chain.states.index("up=true,x=7")
    program = stormpy.parse_prism_program(str(source), prism_compatibility=True)
    jani, _ = program.to_jani([])
    stormpy.io.export_jani_to_file(str(tmp_path / "queue.jani"), jani)
    names = list(formats.read(tmp_path / "queue.jani", constants="N=1,lam=1").states)
    assert all(",x=" in name and name.index(",x=") < name.index(",up=") for name in names)


def test_renamed_modules_have_their_variables_after_those_before(tmp_path):
    text = """ctmc
module one b : bool init true; a : [0..1]; [] a=0 -> 1 : (a'=1)&(b'=false); [] a=1 -> 2 : (a'=0); endmodule
module two = one [a=c, b=d] endmodule
module three z : [0..1]; [] z=0 -> 1 : (z'=1); endmodule
"""
    path = tmp_path / "m.sm"
    path.write_text(text)
    assert formats.read(path).states[0] == "b=true,a=0,d=true,c=0,z=0"


def test_blocks_of_a_source_are_named_by_what_their_states_have_in_common(tmp_path):
    module = "module m1 s1 : [0..1]; [] s1=0 -> 1 : (s1'=1); [] s1=1 -> 2 : (s1'=0); endmodule\n"
    more = "".join(f"module m{i} = m1 [s1=s{i}] endmodule\n" for i in (2, 3))
    path = tmp_path / "m.sm"
    path.write_text(f'ctmc\n{module}{more}label "down" = s1+s2+s3 = 2;\n')
    quotient = lump(formats.read(path)).quotient
    assert set(quotient.states) == {
        "s1=0,s2=0,s3=0",
        "s1..s3: twice 0, once 1",
        "s1..s3: once 0, twice 1",
        "s1=1,s2=1,s3=1",
    }


def test_constants_may_stay_parameters(source):
    chain = formats.read(source, constants="N=1", parametric=True)
    assert "lam/3" in {str(w.as_expr()) for w in chain.matrix.weights.values}


@pytest.mark.parametrize("suffix", [".sm", ".jani"])
def test_constants_with_a_value_are_given_another_or_stay_parameters(suffix, tmp_path):
    valued = SOURCE.replace("lam;", "lam = 2*mu; // lam = 7;").replace("int N;", "int N=1;")
    path = tmp_path / "queue.sm"
    path.write_text(valued.replace("ctmc", "ctmc const double mu = 1/4;"))
    if suffix == ".jani":
        path.write_text(SOURCE)  # Storm's export leaves out constants that have values
        program = stormpy.parse_prism_program(str(path), prism_compatibility=True)
        path = tmp_path / "queue.jani"
        stormpy.io.export_jani_to_file(str(path), program.to_jani([])[0])
        model = json.loads(path.read_text())
        twice = {"op": "*", "left": 2, "right": "mu"}
        model["constants"] = [
            {"name": "mu", "type": "real", "value": 0.25},
            {"name": "lam", "type": "real", "value": twice},
            {"name": "N", "type": "int", "value": 1},
        ]
        path.write_text(json.dumps(model))
    plain = formats.read(path, state_names=False)
    assert (plain.n, max(plain.matrix.weights.values)) == (4, Fraction(1, 6))
    chain = formats.read(path, constants="N=2,mu=3/2")
    assert (chain.n, max(chain.matrix.weights.values)) == (6, 1)
    for kept in ("mu", ["lam"]):
        (name,) = [kept] if isinstance(kept, str) else kept
        chain = formats.read(path, parametric=kept, state_names=suffix == ".jani")
        assert [str(x) for x in chain.parameters] == [name]
        value = {"mu": Fraction(1, 4), "lam": Fraction(1, 2)}[name]
        assert chain.subs({name: value}).equals(plain)
    for options, message in (
        ({"parametric": ["N"]}, "type int"),
        ({"parametric": ["x"]}, "its constants are"),
        ({"parametric": ["mu"], "constants": "mu=1"}, "cannot have a value and stay"),
    ):
        with pytest.raises(FormatError, match=message):
            formats.read(path, **options)


def test_jani_gives_the_same_chain(source, tmp_path):
    program = stormpy.parse_prism_program(str(source), prism_compatibility=True)
    jani, _ = program.to_jani([])
    stormpy.io.export_jani_to_file(str(tmp_path / "queue.jani"), jani)
    from_prism = formats.read(source, constants="N=2,lam=1")
    from_jani = formats.read(tmp_path / "queue.jani", constants="N=2,lam=1")
    assert from_jani.matrix.equals(from_prism.matrix)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (SOURCE, {}, "gives no value to lam, N: pass constants='lam=...'"),
        (SOURCE, {"constants": "N=2"}, "gives no value to lam"),
        (
            SOURCE,
            {"constants": "N=2.5,lam=1"},
            "Storm refuses it",
        ),
        (SOURCE, {"constants": "M=2"}, "Storm refuses it: .*unknown undefined constant 'M'"),
        (SOURCE.replace("endmodule", ""), {"constants": "N=2,lam=1"}, "Storm refuses it"),
        ("", {}, "Storm refuses it"),
        (
            "mdp\nmodule a\n x:[0..1];\n [a] x=0 -> (x'=1);\n [b] x=0 -> (x'=0);\nendmodule\n",
            {},
            "state 0 of this MDP has 2 choices",
        ),
    ],
)
def test_what_storm_refuses_is_one_clear_error(tmp_path, capfd, text, options, message):
    path = tmp_path / "model.sm"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as failure:
        formats.read(path, **options)
    assert str(failure.value).startswith(str(path))
    assert "\n" not in str(failure.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("exact", [True, False])
def test_models_pass_to_storm_and_back(exact):
    chain = CTMC(
        [[0, "1/3", 2], ["0.1", 5, 0], [0, 0, 1]],
        labels={"a b": [0, 1], "none": []},
        rewards={
            "both": Reward(ExactArray.read([1, "1/7", 0])[0], ExactArray.read([0, 0, 3])[0]),
            "one": [1, 2, 3],
        },
        initial={0: "1/2", 2: "1/2"},
    )
    model = to_stormpy(chain, exact=exact)
    assert model.is_exact == exact
    assert from_stormpy(model).equals(chain)


def test_what_cannot_be_passed_is_said():
    with pytest.raises(InvalidChain, match="a chain with parameters"):
        to_stormpy(CTMC.from_rates({("a", "b"): "lam"}))
    with pytest.warns(LossyWrite, match="2 initial states"):
        to_stormpy(DTMC([[1, 0], [0, 1]], initial=["1/3", "2/3"]))
    builder = stormpy.datastructures.SparseMatrixBuilder[float](
        rows=1, columns=1, entries=1, has_custom_row_grouping=True, row_groups=1
    )
    builder.new_row_group(0)
    builder.add_next_value(0, 0, 1.0)
    components = stormpy.models.SparseModelComponents[float](
        transition_matrix=builder.build(), state_labeling=stormpy.models.StateLabeling(1)
    )
    assert from_stormpy(stormpy.models.SparseMdp[float](components)).equals(DTMC([[1]]))


@pytest.mark.parametrize("expression", ["1/x", "pow(x, -1)", "1/0 + x"])
def test_a_division_by_zero_is_told_and_does_not_end_the_process(tmp_path, expression):
    path = tmp_path / "zero.sm"
    path.write_text(
        f"ctmc\nmodule m\n x : [0..1] init 0;\n [] true -> {expression} : (x'=1-x);\nendmodule\n"
    )
    with pytest.raises(FormatError, match=r"divides by zero|Storm refuses it"):
        formats.read(path)
    path.write_text(
        path.read_text().replace("true", "x=1").replace("init 0", "init 1").replace("1/0", "1/2")
    )
    assert formats.read(path).n == 2
