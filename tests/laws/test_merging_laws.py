"""Every law of lumping networks, through the dense specialisation and the shared engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lumpability import NetworkLumping, lump
from lumpability.testing import assert_same_partition, parametrize_with_laws


def by_both_engines(model: Any, *, kind: str, **options: Any) -> Any:
    """Lump a network through both engines; a chain, as the bridge between the wings does, as it is."""
    lumping = lump(model, kind=kind, **options)
    if isinstance(lumping, NetworkLumping):
        by_structure = lump(model, kind=kind, engine="definition", **options)
        assert_same_partition(by_structure.partition, lumping.partition)
        assert by_structure.factors == lumping.factors
    return lumping


@parametrize_with_laws(by_both_engines, of="network lumper")
def test_lumping_networks_obeys(law: Callable[[], None]) -> None:
    law()
