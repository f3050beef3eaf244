"""Statements for proof assistants: sizes are limited, names made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.certificate.export.statement import (
    LARGEST,
    ChainStatement,
    block_comments,
    comment,
    refuse_large,
)
from lumpability.errors import SizeLimit


def test_sizes_beyond_the_limit_are_refused() -> None:
    refuse_large(LARGEST)
    with pytest.raises(SizeLimit, match="given at most 200") as caught:
        refuse_large(LARGEST + 1)
    assert (caught.value.size, caught.value.limit) == (LARGEST + 1, LARGEST)


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
