"""The page of operators lists those that have rules, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lumpability.networks.operators import _FAMILIES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "operators.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not part of an installation")
def test_the_page_of_operators_lists_those_with_rules():
    table = "\n".join(
        line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")
    )
    listed = {
        name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    understood = {operator for family in _FAMILIES for operator in family.OPERATORS}
    assert listed - {"Scan", "Loop", "If"} == understood
