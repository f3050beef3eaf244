"""The guide lists the laws as they are."""

from __future__ import annotations

import pytest

from lumpability.testing import LAWS
from lumpability.testing.laws import laws_as_table


@pytest.mark.parametrize("sort", LAWS)
def test_the_guide_lists_the_laws(sort, checkout):
    page = checkout / "docs" / "guides" / "test-your-own.md"
    assert laws_as_table(sort) in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("sort", LAWS)
def test_every_law_has_a_statement_and_a_source(sort):
    for name, law in LAWS[sort].items():
        assert law.name == name
        assert law.statement.endswith(".")
        assert law.source
