"""LaTeX of names that anybody may have chosen compiles."""

from __future__ import annotations

import pytest

from lumpability.numbers import latex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_", r"$\mathrm{\_}$"),
        ("x_", r"$\mathrm{x\_}$"),
        ("a__b", r"$\mathrm{a\_\_b}$"),
        ("1/0", "1/0"),
        ("-7/3", r"$-\frac{7}{3}$"),
        ("β", r"$\beta$"),
        ("50% & more", r"50\% \& more"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
    ],
)
def test_a_value_is_mathematics_and_any_other_text_is_escaped(text, expected):
    assert latex.value(text) == expected
