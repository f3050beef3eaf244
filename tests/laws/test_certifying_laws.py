"""Every law of certificates: what is true is verified, and mutants are not."""

from __future__ import annotations

from collections.abc import Callable

from lumpability import lump
from lumpability.testing import parametrize_with_laws


@parametrize_with_laws(lump, of="certifier")
def test_certificates_of_chain_lumpings_obey(law: Callable[[], None]) -> None:
    law()


@parametrize_with_laws(lump, of="network certifier")
def test_certificates_of_network_lumpings_obey(law: Callable[[], None]) -> None:
    law()
