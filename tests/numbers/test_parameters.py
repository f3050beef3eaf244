from __future__ import annotations

import time
from fractions import Fraction

import pytest
import sympy
from hypothesis import example, given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, lump
from lumpability.errors import InvalidValue, SizeLimit
from lumpability.numbers.parameters import add, is_symbolic, parse, read_elements, to_expression

mu, nu = sympy.symbols("mu nu")

leaves = st.one_of(
    st.sampled_from(["mu", "nu"]), st.integers(0, 9).map(str), st.sampled_from(["0.5", "1e-2"])
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("({})/(1 + mu)".format, inner),
        st.builds("(-{})".format, inner),
        st.builds("({})**{}".format, inner, st.integers(0, 3)),
    ),
    max_leaves=6,
).map("0*mu + {}".format)  # a text without a letter is a number, not an expression


@given(expressions)
@example("mu**-2 + 3*nu")
@example("--mu")
def test_text_means_what_it_means_in_sympy(text):
    exactly = sympy.sympify(text, locals={"mu": mu, "nu": nu}, rational=True)
    assert sympy.simplify(parse(text) - exactly) == 0


@given(expressions, expressions)
def test_elements_are_equal_exactly_when_the_functions_are(one, other):
    a, b = read_elements([one, other])
    difference = sympy.simplify(parse(one) - parse(other))
    assert (a == b) == (difference == 0)
    assert hash(a) == hash(b) or a != b


@given(expressions, expressions)
def test_arithmetic_on_elements_is_arithmetic_on_functions(one, other):
    a, b, total, product = read_elements([one, other, f"({one}) + ({other})", f"({one})*({other})"])
    assert a + b == total
    assert a * b == product


@given(expressions)
def test_an_element_can_be_read_again(text):
    (element,) = read_elements([text])
    (again,) = read_elements([to_expression(element)])
    assert again == element
    if not isinstance(element, Fraction):
        assert read_elements([element]) == [element]


@pytest.mark.parametrize(
    ("item", "symbolic"),
    [
        ("mu", True),
        ("2*mu", True),
        (mu + 1, True),
        (read_elements(["mu"])[0], True),
        ("1e-3", False),
        ("1/3", False),
        ("", False),
        ("1 2", False),
        (sympy.Rational(1, 3), False),
        (Fraction(1, 3), False),
        (0.1, False),
        (None, False),
    ],
)
def test_what_is_symbolic(item, symbolic):
    assert is_symbolic(item) is symbolic


def test_numbers_among_expressions_are_read_by_the_usual_rule():
    values = read_elements([0.1, "1/10", sympy.Float(0.1), Fraction(1, 10), "0.1 + mu - mu", mu])
    assert len(set(values[:5])) == 1
    assert read_elements([0.1 * mu]) == read_elements(["mu/10"])
    assert read_elements([0.1 * mu], float_tolerance=0) != read_elements(["mu/10"])


def test_parameters_that_cancel_leave_numbers():
    assert read_elements(["mu - mu + 1/2", "nu/nu"]) == [Fraction(1, 2), Fraction(1)]
    assert all(isinstance(value, Fraction) for value in read_elements(["mu - mu"]))


def test_names_of_texts_and_positive_symbols_are_the_same_parameter():
    a, b = read_elements(["mu + nu", nu + mu])
    assert a == b


def test_weights_come_back_as_expressions():
    assert to_expression(read_elements(["(mu + 1)/2"])[0]).equals((mu + 1) / 2)
    assert to_expression(Fraction(-1, 3)) == sympy.Rational(-1, 3)


@pytest.mark.parametrize("symbol", [sympy.Symbol("x", negative=True), sympy.Symbol("x", real=True)])
def test_the_sign_of_a_parameter_must_be_known(symbol):
    with pytest.raises(InvalidValue, match=r"Symbol\('x', positive=True\)") as caught:
        read_elements([mu, symbol * 2])
    assert caught.value.parameter == symbol


@pytest.mark.parametrize("item", [sympy.sqrt(mu), sympy.exp(mu), sympy.pi * mu, mu**nu])
def test_only_rational_functions_with_rational_coefficients_are_weights(item):
    with pytest.raises(InvalidValue, match="is not a rational function"):
        read_elements([item])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "mu nu",
        "2mu",
        "mu +",
        "f(mu)",
        "mu.real",
        "mu[0]",
        "'a'*mu",
        "[mu]",
        "mu if nu else 1",
        "mu > nu",
        "mu // 2",
        "mu % 2",
        "mu @ nu",
        "~mu",
        "not mu",
        "mu := 2",
        "lambda: mu",
        "mu**0.5",
        "mu**nu",
        "mu**(1 + 1)",
        "mu**True",
        "1j*mu",
        "0x10*mu",
        "1_000*mu",
        "True*mu",
        "None*mu",
        "...",
        "mu/0",
        "mu/(1 - 1)",
        "0**-1",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "2*nan",
        "__import__('os').system('true')",
        "(" * 300 + "mu" + ")" * 300,
        "-" * 1500 + "mu",
        "mu" * 1500,
        "mu\x00",
    ],
)
def test_what_is_not_plain_arithmetic_is_refused(text):
    with pytest.raises(InvalidValue):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "((mu + 1)**64)**64",
        "((((9**64)**64)**64)**64)**64 * mu",
        "((((2*mu)**64)**64)**64)**64",
        "mu**65",
        "mu**-65",
        "mu**99999999999999999999999999",
        "(a + b + c + d + e)**60",
        "(a + b)**60*(c + d)**60*(e + f)**60",
        "+".join(f"1/(a{i} + b{i})" for i in range(60)),
    ],
)
def test_short_texts_cannot_exhaust_the_machine(text):
    started = time.perf_counter()
    with pytest.raises(InvalidValue, match="when multiplied out"):
        read_elements([text])
    assert time.perf_counter() - started < 2


def test_the_largest_expressions_accepted_are_read_in_seconds():
    (power,) = read_elements(["(mu + nu)**64"])
    assert len(power.numer) == 65
    (total,) = read_elements(["+".join(f"1/(a{i} + b{i})" for i in range(6))])
    assert len(total.denom) == 2**6


@pytest.mark.parametrize("text", ["mu # nu", "mu # 1/0", "(mu +\n nu)", "mu;nu", "mu\\\n+nu"])
def test_comments_and_lines_are_no_arithmetic(text):
    with pytest.raises(InvalidValue, match="not an arithmetic expression"):
        parse(text)


@pytest.mark.parametrize("name", ["\u00b5", "\u03bc", "\ufb01", "\u2126", "\u017f"])
def test_names_are_what_is_written(name):
    assert str(parse(f"2*{name}")) == f"2*{name}"
    chain = CTMC([[0, name], ["\u03bc + 1", 0]])
    assert {str(x) for x in chain.parameters} == {name, "\u03bc"}


@pytest.mark.parametrize(
    "text",
    [
        "(a+b+c+d+e+f)**8/(a+2*b+c+d+e+f+1)**8",
        "1/(a+b+c+d+e+f)**8 + 1/(a+2*b+c+d+e+f)**8",
        "(a+b+c)**64/(a+2*b+c)**64",
    ],
)
def test_short_texts_that_take_long_are_refused_at_once(text):
    before = time.perf_counter()
    with pytest.raises(InvalidValue, match="multiplied out"):
        read_elements([text])
    assert time.perf_counter() - before < 1


def test_a_function_has_one_form_whatever_its_signs():
    first, *others = read_elements(
        ["1/(2 - b)", "-1/(b - 2)", "-(b - 2)**(-1)", "(2 - b)/(b - 2)**2"]
    )
    assert others == [first] * 3
    rates = {("s", "g"): "1/(2 - b)", ("t", "g"): "-1/(b - 2)", ("g", "s"): 1, ("g", "t"): 1}
    assert len(lump(CTMC.from_rates(rates, labels={"g": ["g"]})).partition) == 2


@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 5), min_size=1, max_size=3))
def test_sums_have_the_form_of_functions_that_are_read(numbers):
    texts = [f"({a}*x + {b})/({c}*x - y + {d}*x*y + {5 + e})" for a, b, c, d, e in numbers]
    total = add(read_elements([*texts, "x*y"])[:-1])
    assert total == read_elements(["+".join(texts), "x*y"])[0]


def test_long_sums_of_functions_take_seconds():
    before = time.process_time()
    assert len(add(read_elements([f"1/(a + {i})" for i in range(1, 150)])).denom) == 150
    assert len(add(read_elements([f"1/(a + {i}*b)" for i in range(1, 50)])).denom) == 50
    assert time.process_time() - before < 5


def test_sums_that_never_end_are_refused():
    rates = [f"1/(a+{k}*b+c+d+e+f+1)**8" for k in range(1, 6)]
    before = time.perf_counter()
    with pytest.raises(SizeLimit, match="terms"):
        DTMC([[*rates, "1"], *([0] * 5 + [1] for _ in range(5))])
    with pytest.raises(SizeLimit, match="terms"):
        CTMC.from_rates([("s", "t", rate) for rate in rates])
    assert time.perf_counter() - before < 20
