"""Every law of lumping chains, for every kind, through every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lumpability import Lumping, Partition, lump
from lumpability.refinement import ENGINES, SHARES, SUMS
from lumpability.testing import assert_same_partition, parametrize_with_laws


def by_every_engine(chain: Any, *, kind: str, within: Partition) -> Lumping:
    """Lump through every engine; all have to find the same blocks and the same quotient."""
    expected = lump(chain, kind=kind, within=within)
    serving = [
        [name for name in ENGINES if ENGINES[name].serves(normal)] for normal in (SUMS, SHARES)
    ]
    for engine in serving[kind == "proportional"]:
        found = lump(chain, kind=kind, within=within, engine=engine)
        assert_same_partition(found.partition, expected.partition)
        assert found.quotient.equals(expected.quotient), f"another quotient by {engine}"
    return expected


@parametrize_with_laws(by_every_engine, of="lumper")
def test_lumping_chains_obeys(law: Callable[[], None]) -> None:
    law()
