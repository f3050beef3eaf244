"""Chains with parameters: the generic lumping, its proof, numbers in place of parameters."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Partition, check, lump
from lumpability.errors import InvalidChain, InvalidValue, NotJustified, SizeLimit
from lumpability.markov import coarser_when
from lumpability.markov.examples import (
    components,
    land_of_oz,
    polling,
    proportional_not_ordinary,
    queue_at_changing_speed,
    sis_epidemic,
)
from lumpability.numbers.exact_array import ExactArray
from lumpability.testing import labelled, parametric_chains

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

KINDS = ("ordinary", "bisimulation", "exact", "strict", "proportional")
A, B, C = sympy.symbols("a b c")
symbolic_chains = labelled(parametric_chains(), max_labels=1)


@pytest.mark.parametrize("kind", KINDS)
@given(chain=symbolic_chains, a=st.integers(1, 9), b=st.integers(1, 9))
def test_the_generic_lumping_holds_for_all_values_and_is_the_coarsest_for_most(kind, chain, a, b):
    generic = lump(chain, kind=kind).partition
    assert check(chain, generic, kind=kind)
    values = {str(p): v for p, v in {"a": a, "b": b}.items() if p in map(str, chain.parameters)}
    numbers = chain.subs(values)
    assert numbers.is_rational
    assert check(numbers, generic, kind=kind)
    assert generic.refines(lump(numbers, kind=kind).partition)
    unlikely = {p: Fraction(10**6 + 3 * i, 7 + i) for i, p in enumerate(values)}
    assert lump(chain.subs(unlikely), kind=kind).partition == generic


@pytest.mark.parametrize("kind", ["ordinary", "exact", "proportional"])
@given(chain=symbolic_chains)
def test_special_cases_are_real_and_none_with_a_equal_to_b_is_missed(kind, chain):
    lumping = lump(chain, kind=kind)
    cases = lumping.coarser_when()
    for case in cases:
        special = chain.subs({case.equation.lhs: case.equation.rhs})
        assert len(lump(special, kind=kind).partition) == case.blocks < len(lumping.partition)
    if {"a", "b"} <= set(map(str, chain.parameters)):
        equal = lump(chain.subs({"b": A}), kind=kind).partition
        found = any({case.equation.lhs, case.equation.rhs} == {A, B} for case in cases)
        assert found == (len(equal) < len(lumping.partition))


def test_the_quotient_of_a_symbolic_chain_is_symbolic():
    lumping = lump(sis_epidemic(3, infection="b", recovery="g"))
    assert [str(rate) for _, rate in lumping.quotient.matrix.row(1)] == ["g", "2*b"]
    assert lumping.stats.proof == "Q V = V Q^ holds exactly"


@pytest.mark.parametrize(
    ("chain", "kind", "blocks"),
    [
        (components(7, crew=2, failure="f", detection="d", repair="r"), "ordinary", 36),
        (polling(8, arrival="l", service="m", switching="s"), "ordinary", 384),
        (sis_epidemic(11, infection="b", recovery="g"), "strict", 12),
        (
            queue_at_changing_speed(900, ("x", "y", "z"), arrival="l", service="m", switching="s"),
            "proportional",
            901,
        ),
    ],
)
def test_parametric_models_of_a_few_thousand_states_lump_by_evaluation(chain, kind, blocks):
    lumping = lump(chain, kind=kind, respect=("labels",))
    assert len(lumping.partition) == blocks
    assert lumping.stats.engine in {"rounds", "kernel"}


def test_a_symbolic_speed_is_kappa():
    lumping = lump(proportional_not_ordinary("v"), kind="proportional")
    assert [str(k) for k in lumping.factors] == ["1", "v", "1", "1"]
    assert [str(case) for case in lump(proportional_not_ordinary("v")).coarser_when()] == [
        "3 blocks if v = 1"
    ]


def test_parameters_may_be_replaced_one_by_one_or_by_expressions():
    chain = CTMC.from_rates(
        {("u", "d"): "a/b", ("d", "u"): "c"}, rewards={"cost": ["c", 1]}, initial={"u": 1}
    )
    assert chain.parameters == (A, B, C)
    some = chain.subs({B: 2})
    assert some.parameters == (A, C)
    assert str(some.matrix.row(0)[0][1]) == "a/2"
    same = chain.subs({"a": 3 * B})
    assert same.parameters == (C,)  # 3 b / b
    assert same.matrix.row(0) == [(1, 3)]
    assert chain.subs({"a": 3 * B**2}).parameters == (B, C)
    done = chain.subs({"a": 0.1, "b": "1/5", "c": 4})
    assert done.is_rational
    assert done.matrix.row(0) == [(1, Fraction(1, 2))]
    assert list(done.rewards["cost"].state) == [4, 1]
    assert list(done.states) == ["u", "d"]


def test_a_rate_that_becomes_zero_disappears():
    chain = CTMC.from_rates({("u", "d"): "a - b", ("d", "u"): "b"})
    assert chain.subs({"a": 1, "b": 1}).matrix.m == 1


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"d": 1}, InvalidValue, "there is no parameter d; there are a, b"),
        ({"a": 0}, InvalidValue, "positive number, not 0"),
        ({"a": -1}, InvalidValue, "positive number, not -1"),
        ({"a": "x y"}, InvalidValue, "x y"),
        ({"a": 1, "b": 1}, InvalidValue, "divides by zero"),
        ({"a": 1, "b": 2}, InvalidChain, "negative"),
    ],
)
def test_impossible_values_are_refused(values, error, text):
    chain = CTMC.from_rates({("u", "d"): "1/(a - b)", ("d", "u"): "a"})
    with pytest.raises(error, match=text):
        chain.subs(values)


def test_a_parameter_of_unknown_sign_is_refused():
    with pytest.raises(InvalidValue, match="positive=True"):
        CTMC.from_rates({("u", "d"): sympy.Symbol("x", real=True)})


def test_a_parameter_is_its_name_whatever_symbol_stands_for_it(tmp_path):
    text, plain, positive = (
        CTMC.from_rates({("u", "d"): x, ("v", "d"): "x + y"}, labels={"d": ["d"]})
        for x in ("x", sympy.Symbol("x"), sympy.Symbol("x", positive=True))
    )
    assert plain.equals(text)
    assert plain.equals(positive)
    assert [x.is_positive for x in (*text.parameters, *positive.parameters)] == [
        None,
        None,
        True,
        None,
    ]
    for name, chain in {"text": text, "positive": positive}.items():
        lump(chain).certificate().write(tmp_path / name)
    assert (tmp_path / "text").read_bytes() == (tmp_path / "positive").read_bytes()
    assert lump(text).certificate().verify(positive, lump(plain).quotient)
    assert positive.subs({"x": 2}).equals(text.subs({sympy.Symbol("x"): 2}))


def test_rewards_and_rates_with_different_symbols_of_a_name_are_of_one_parameter():
    x = sympy.Symbol("x", positive=True)
    chain = CTMC.from_rates({("u", "d"): x, ("d", "u"): 1}, rewards={"cost": {"u": "x", "d": 1}})
    assert len(chain.parameters) == 1
    assert chain.subs({"x": 2}).is_rational
    assert chain.subs({"x": 2}).rewards["cost"].parts[0].is_rational
    with pytest.raises(InvalidValue, match="given twice"):
        chain.subs({"x": 2, x: 3})


def test_a_formula_that_needs_the_sign_of_its_parameter_is_read():
    x = sympy.Symbol("x")
    assert CTMC.from_rates({("u", "d"): sympy.sqrt(x**2)}).equals(
        CTMC.from_rates({("u", "d"): "x"})
    )


def test_symbolic_probabilities_must_add_up_to_one():
    chain = DTMC([["1-q", "q"], ["q/2", "1-q/2"]])
    assert chain.subs({"q": "1/3"}).matrix.row(1)[0] == (0, Fraction(1, 6))
    with pytest.raises(InvalidChain, match="negative"):
        chain.subs({"q": 3})
    with pytest.raises(InvalidChain, match="sums to"):
        DTMC([["1-q", "p"], [0, 1]])


def test_special_cases_need_parameters_and_a_moderate_size():
    assert lump(land_of_oz()).coarser_when() == []
    with pytest.raises(SizeLimit, match="max_blocks"):
        lump(polling(4, arrival="l", service="m", switching="s")).coarser_when(max_blocks=10)


def test_reduction_of_states_with_sums_of_parameters():
    chain = CTMC.from_rates(
        {("s", "x"): "a", ("s", "y"): "b", ("t", "x"): "a + b", ("u", "y"): "a + b"},
        states=["s", "t", "u", "x", "y"],
        labels={"goal": ["x", "y"]},
    )
    assert lump(chain).partition == Partition([0, 0, 0, 1, 1])


def test_equations_that_leave_no_chain_are_no_special_cases():
    # From s and t rates agree only if b = 2 a, and then the rate 1/(b - 2 a) of u has no value.
    chain = CTMC.from_rates(
        {("s", "x"): "2*a", ("t", "x"): "b", ("u", "x"): "1/(2*a - b)"},
        states=["s", "t", "u", "x"],
        labels={"goal": ["x"], "u": ["u"]},
    )
    assert lump(chain).coarser_when() == []


def test_too_many_pairs_of_blocks_are_not_compared(monkeypatch):
    monkeypatch.setattr(coarser_when, "_MOST_PAIRS", 2)
    chain = components(3, failure="f", detection="d", repair="r")
    with pytest.raises(SizeLimit, match="pairs"):
        lump(chain).coarser_when()


def _two_that_leave(first, second):
    return CTMC.from_rates(
        {("a", "c"): first, ("b", "c"): second, ("c", "a"): 1, ("c", "b"): 1},
        labels={"end": ["c"]},
    )


@pytest.mark.parametrize(
    "rates", [("x - y", "1"), ("1", "1 - p"), ("x - y", "y - x"), ("1", "x*x - x + 1")]
)
def test_proportional_lumping_claims_no_factor_whose_sign_is_unknown(rates):
    chain = _two_that_leave(*rates)
    with pytest.raises(NotJustified, match="not evidently positive"):
        lump(chain, kind="proportional")
    with pytest.raises(NotJustified, match="not evidently positive"):
        check(chain, [["a", "b"], ["c"]], kind="proportional")
    with pytest.raises(InvalidValue, match="factors are positive"):
        check(chain, [["a", "b"], ["c"]], kind="proportional", factors=[1, "x - y", 1])
    assert not check(chain.rebuilt(chain.matrix, states=chain.states), [["a", "c"], ["b"]])


def test_rates_into_other_blocks_that_cancel_are_refused():
    chain = CTMC.from_rates(
        {("a", "c"): "x - y", ("a", "d"): "y - x", ("b", "c"): 1, ("c", "a"): 1, ("d", "b"): 1},
        labels={"c": ["c"], "d": ["d"]},
    )
    with pytest.raises(NotJustified, match="sum to 0"):
        lump(chain, kind="proportional")


def test_factors_that_are_evidently_positive_are_proved():
    chain = _two_that_leave("2*x + y", "x/(x + 1)")
    lumping = lump(chain, kind="proportional")
    assert len(lumping.partition) == 2
    assert lumping.certificate().verify(chain)
    shared = CTMC.from_rates(
        {("a", "c"): "l*p", ("a", "d"): "l*(1 - p)", ("b", "c"): "p", ("b", "d"): "1 - p",
         ("c", "a"): 1, ("d", "b"): 1},
        labels={"c": ["c"], "d": ["d"]},
    )  # fmt: skip
    assert [str(x) for x in lump(shared, kind="proportional").factors][:4] == ["1", "1", "1", "1/l"]


def test_a_certificate_with_a_factor_of_unknown_sign_is_rejected():
    chain = _two_that_leave("x", "1")
    certificate = lump(chain, kind="proportional").certificate()
    assert certificate.verify(chain)
    for wrong in ("-1", "1/(x - 2)"):
        forged = replace(certificate, kappa=ExactArray.read(["1", wrong, "x/x"])[0])
        assert "kappa" in forged.verify(chain).text


def test_negative_initial_probabilities_are_refused_with_parameters_too():
    with pytest.raises(InvalidChain, match="negative"):
        CTMC([[0, 1], [1, 0]], initial=["-x", "1 + x"])


def test_texts_of_parameters_are_substituted_as_expressions():
    chain = CTMC.from_rates({("u", "d"): "a", ("d", "u"): "b"})
    assert chain.subs({"b": "a"}).equals(CTMC.from_rates({("u", "d"): "a", ("d", "u"): "a"}))
    assert chain.subs({"b": "2*a + c"}).parameters == (A, C)
