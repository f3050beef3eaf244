"""Statements for proof assistants: shapes are checked, sizes limited, names made harmless."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.certificate.export.statement import (
    LARGEST,
    ChainStatement,
    LayerStatement,
    block_comments,
    comment,
)
from lumpability.errors import InvalidInput, SizeLimit

PAIR = ChainStatement("a pair", "row sums", ((-1, 1), (1, -1)), ((0,),), (0, 0))
LAYER = LayerStatement(
    "twins", ((1, 2), (1, 2)), ((1, 1), (0, 1)), 1, (0, 1), (1, 1), 1, (1, 1), (1, 2), 1
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"identity": "sums"}, "unknown identity 'sums': choose one of row sums, column sums"),
        ({"symbol": "M"}, "the symbol is Q, P or R"),
        ({"matrix": ((-1, 1),)}, "the matrix must have 2 rows of 2 integers"),
        ({"matrix": ((-1, 1), (1,))}, "the matrix must have 2 rows of 2 integers"),
        ({"quotient": ((0, 0),)}, "the quotient must have 1 rows of 1 integers"),
        ({"labels": (0, 1)}, "labels must lie in 0 .. 0"),
        ({"labels": (0, -1)}, "labels must lie in 0 .. 0"),
        ({"identity": "proportional"}, "kappa has 0 entries, not 2"),
        ({"kappa": (1, 1)}, "kappa has 2 entries, not 0"),
        ({"names": ("a",)}, "names has 1 entries, not 2"),
    ],
)
def test_chains_that_do_not_fit_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace("..", r"\.\.")):
        replace(PAIR, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"matrix": ((1, 2),)}, "the weights must have 2 rows of 2 integers"),
        ({"quotient": ((1, 1), (0,))}, "the new weights must have 2 rows of 2 integers"),
        ({"row_labels": (0, 2)}, "labels must lie in"),
        ({"labels": (1, 2)}, "labels must lie in"),
        ({"row_factors": (1,)}, "row_factors has 1 entries, not 2"),
        ({"factors": ()}, "factors has 0 entries, not 2"),
    ],
)
def test_layers_that_do_not_fit_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        replace(LAYER, **fields)  # type: ignore[arg-type]


def test_sizes_beyond_the_limit_are_refused() -> None:
    n = LARGEST + 1
    with pytest.raises(SizeLimit, match="given at most 200") as caught:
        ChainStatement("large", "row sums", ((0,) * n,) * n, ((0,),), (0,) * n)
    assert (caught.value.size, caught.value.limit) == (n, LARGEST)


@given(st.text())
def test_comments_are_short_and_hold_nothing_that_ends_them(text: str) -> None:
    safe = comment(text)
    assert safe.isascii()
    assert safe.isprintable()
    assert len(safe) <= 60 * len("\\U00000000")
    assert not set('*/"\n`') & set(safe)


def test_long_names_and_large_blocks_are_cut() -> None:
    assert comment("x" * 100) == "x" * 57 + "..."
    many = ChainStatement("", "row sums", ((0,) * 100,) * 100, ((0,),), (0,) * 100)
    (line,) = block_comments(many)
    assert len(line) == 96
    assert line.startswith("block 0: 0; 1; 2;")
    assert line.endswith(" ...")
