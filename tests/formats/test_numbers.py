from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import FormatError
from lumpability.formats.numbers import NumberTable, double_text, names_a_double
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import exact_text, read_float, read_text


def read(*texts: str, **options) -> tuple[ExactArray, NumberTable]:
    table = NumberTable("a.drn", **options)
    codes = [table.code(text, line=lambda: 7) for text in texts]
    return table.array(np.array(codes)), table


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/3", Fraction(1, 3)),
        ("0.333333333333333", Fraction(333333333333333, 10**15)),  # 15 digits: meant as written
        ("0.3333333333333333", Fraction(1, 3)),  # 16 digits: a double
        ("0.33333333333333331", Fraction(1, 3)),  # 17 digits: the same double
        ("0.333333333333333333", Fraction(333333333333333333, 10**18)),  # 18 digits: as written
        ("0.10000000000000001", Fraction(1, 10)),
        ("200.90000000000001", Fraction(2009, 10)),
        ("3.1709791983764586e-08", Fraction(1, 31536000)),
        ("0.050000000000000044", Fraction(1, 20)),
        ("12345678901234567", Fraction(12345678901234567)),
        ("1e-320", Fraction(1, 10**320)),
        ("1.234567890123456e400", read_text("1.234567890123456e400")),  # beyond every double
    ],
)
def test_numbers_are_read_by_the_stated_policy(text, value):
    array, _ = read(text)
    assert list(array) == [value]


def test_only_doubles_are_counted_as_read():
    _, table = read("1/3", "0.1", "0.10000000000000001", "0.050000000000000044", "2")
    assert (table.reading.distinct, table.reading.nearest, table.reading.neighbours) == (2, 1, 1)


def test_tolerance_zero_reads_every_decimal_literally():
    array, table = read("0.10000000000000001", float_tolerance=0)
    assert list(array) == [Fraction(10000000000000001, 10**17)]
    assert table.reading.distinct == 0


@given(st.fractions().map(str) | st.decimals(-(10**8), 10**8, places=6).map(str))
def test_fractions_and_short_decimals_are_literal(text):
    assert list(read(text)[0]) == [read_text(text)]


@given(st.floats(1e-200, 1e200))
def test_doubles_as_programs_print_them_are_read_as_the_double(x):
    text = f"{x:.17g}"
    expected = read_float(x) if names_a_double(text) else read_text(text)
    assert list(read(text)[0]) == [expected]


@given(st.fractions())
def test_exact_text_reads_back(value):
    assert read_text(exact_text(value)) == value


@given(st.floats(1e-200, 1e200))
def test_double_text_names_the_double(x):
    assert float(double_text(Fraction(x))) == x


def test_what_is_no_number_is_refused_with_its_line():
    for text in ("nan", "inf", "-inf", "1/0", "1,5", "0x10", "1e99999", "--1", "1/2/3"):
        with pytest.raises(FormatError) as failure:
            read(text, what="rate")
        assert (failure.value.line, failure.value.value) == (7, text)
    with pytest.raises(FormatError, match="is negative"):
        read("-0.5", what="rate", non_negative=True)


def test_expressions_need_declared_parameters():
    array, _ = read("2*mu^2 + 1/3", "1/2", parameters=["mu"])
    assert str(array[0].as_expr()) == "2*mu**2 + 1/3"
    with pytest.raises(
        FormatError, match="'lam' cannot be read: 'lam' mentions lam, which is not among"
    ):
        read("lam", parameters=["mu"])
    with pytest.raises(FormatError, match="cannot be read"):
        read("mu")


def test_arrays_without_parameters_are_fractions_beside_others_with():
    table = NumberTable("a.drn", parameters=["mu"])
    codes = [table.code(text, line=lambda: 1) for text in ("mu", "1/2")]
    assert table.array(np.array(codes[1:])).is_rational
    assert not table.array(np.array(codes)).is_rational
