"""Every law of lumping networks, through every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lumpability import NetworkLumping, lump
from lumpability.refinement import ENGINES
from lumpability.testing import assert_same_partition, parametrize_with_laws


def by_every_engine(model: Any, *, kind: str, **options: Any) -> Any:
    """Lump a network through every engine; a chain, as the bridge between the wings does, as it is."""
    lumping = lump(model, kind=kind, **options)
    if isinstance(lumping, NetworkLumping):
        for engine in ENGINES:
            found = lump(model, kind=kind, engine=engine, **options)
            assert_same_partition(found.partition, lumping.partition)
            assert found.factors == lumping.factors
    return lumping


@parametrize_with_laws(by_every_engine, of="network lumper")
def test_lumping_networks_obeys(law: Callable[[], None]) -> None:
    law()
