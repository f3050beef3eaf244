"""Certificates as text: what is too long for one is refused before anything is written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from lumpability import CTMC, Certificate, lump
from lumpability.errors import FormatError


def with_rate(rate: Fraction) -> CTMC:
    return CTMC.from_rates({("a", "b"): rate, ("b", "a"): 1}, labels={"goal": ["b"]})


@pytest.mark.parametrize("bits", [1, 64, 512, 11_999])
@pytest.mark.parametrize("power", [1, -1])
def test_long_numbers_are_read_back(bits: int, power: int, tmp_path: Path) -> None:
    chain = with_rate(Fraction(2**bits - 1) ** power)
    path = tmp_path / "long.json"
    lump(chain).certificate().write(path)
    assert Certificate.read(path).verify(chain).coarsest


@pytest.mark.parametrize("bits", [12_001, 15_000, 100_000])
@pytest.mark.parametrize("power", [1, -1])
def test_numbers_longer_than_can_be_read_are_not_written(
    bits: int, power: int, tmp_path: Path
) -> None:
    certificate = lump(with_rate(Fraction(2**bits - 1) ** power)).certificate()
    with pytest.raises(FormatError, match=f"a number of {bits} bits is too long"):
        certificate.write(tmp_path / "long.json")
    assert not list(tmp_path.iterdir())
