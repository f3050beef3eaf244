"""The claims of a certificate of an interval, as a record; `BoundCertificate` adds methods."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lumpability.certificate.bounds.proofs import Evidence
from lumpability.certificate.bounds.question import Asked
from lumpability.certificate.digest import Digest
from lumpability.partition import Partition


@dataclass(frozen=True, eq=False, repr=False)
class BoundClaims:
    """The fields of a certificate; `lumpability.certificate.bounds.certificate` documents each."""

    model: Digest
    asked: Asked
    partition: Partition
    rate: Fraction | None
    over: str
    lower: Fraction
    upper: Fraction
    below: Evidence
    above: Evidence
    library: str
