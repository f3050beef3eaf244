"""The claims of a certificate of a chain, as a record; `lumpability.certificate.Certificate` adds methods."""

from __future__ import annotations

from dataclasses import dataclass

from lumpability.certificate.digest import Digest
from lumpability.certificate.kinds import KINDS, ClaimedKind
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import Reading
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure


@dataclass(frozen=True, eq=False, repr=False)
class Claims:
    """The fields of a certificate; `lumpability.certificate.Certificate` documents each."""

    model: Digest
    kind: str
    respected: tuple[str, ...]
    within: Partition | None
    partition: Partition
    kappa: ExactArray | None
    quotient: Digest
    matrix: WeightedStructure | None
    denominator: int | None
    reading: Reading
    history: History | None
    library: str

    @property
    def about(self) -> ClaimedKind:
        """The identity and the assumptions that certificates of this kind claim.

        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> lump(land_of_oz()).certificate().about.incoming
        False
        """
        return KINDS[self.kind]

    @property
    def identity(self) -> str:
        """The identity that makes the partition a lumping.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> lump(land_of_oz()).certificate().identity
        'P V = V P^'
        """
        matrix, rates = ("Q", "R") if self.model.type == "CTMC" else ("P", "P")
        return self.about.identity.format(M=matrix, R=rates)
