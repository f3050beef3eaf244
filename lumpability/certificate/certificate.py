"""A certificate: everything that is claimed of a lumping of a chain, and what others need to check it.

It states the kind, what was respected, the partition and kappa, and two reasons.  Why the partition is
a lumping needs no words: the identity of its kind, which anybody can compute.  Why it is the *coarsest*
does: a forest of splits, see `lumpability.split_history`.  It does not hold the chain, but says by a hash which
one is meant, and likewise which quotient comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumpability.certificate.digest import Digest
from lumpability.certificate.verification import Verification
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import Reading
from lumpability.partition import Partition
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["KINDS", "Certificate"]

KINDS = {
    "ordinary": "{M} V = V {M}^",
    "bisimulation": "{R} V = V {R}^",
    "exact": "D {M} = {M}^ D",
    "strict": "{M} V = V {M}^ and D {M} = {M}^ D",
    "proportional": "K^-1 {M} V = V {M}^ outside blocks",
}
"""The identities, by kind; M stands for the generator Q or the matrix P, R for the rates or P."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """What a lumping of a chain claims.

    Attributes
    ----------
    model, quotient : Digest
        Which chains are meant.
    kind : str
    respected : tuple of str
        Labels and rewards ("label:up", "reward:cost", "initial") that are constant on blocks, and
        which together with `initial` no coarser lumping respects.
    initial : Partition or None
        What else must stay apart: a partition given by the user.
    partition : Partition
    kappa : ExactArray or None, shape (n,)
        The factors of a proportional lumping.
    matrix : WeightedStructure or None
        The quotient itself, where it is small.
    denominator : int or None
        The common denominator of the model's weights; None with parameters, or beyond 512 bits.
    reading : Reading
        How the maker of the certificate read the floats of its file; told, not proved.
    history : History or None
        Why no two blocks can be merged; None if that is not claimed.
    library : str
        The version that made it.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> certificate = lump(chain).certificate()
    >>> certificate
    Certificate(ordinary: 3 states -> 2 blocks)
    >>> print(certificate.verify(chain))
    ordinary, proved: Q V = V Q^ holds exactly, and no two of 2 blocks can be merged
    """

    model: Digest
    kind: str
    respected: tuple[str, ...]
    initial: Partition | None
    partition: Partition
    kappa: ExactArray | None
    quotient: Digest
    matrix: WeightedStructure | None
    denominator: int | None
    reading: Reading
    history: History | None
    library: str

    @property
    def identity(self) -> str:
        """The identity that makes the partition a lumping.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> certificate = lump(chain).certificate()
        >>> certificate.identity
        'P V = V P^'
        """
        matrix, rates = ("Q", "R") if self.model.type == "CTMC" else ("P", "P")
        return KINDS[self.kind].format(M=matrix, R=rates)

    def verify(self, model: Any, quotient: Any = None) -> Verification:
        """Check everything that is claimed, in exact arithmetic, without the engine.

        Parameters
        ----------
        model : CTMC or DTMC
        quotient : CTMC or DTMC, optional
            The lumped chain: check as well that it is the one that is meant.

        Returns
        -------
        Verification
            Falsy if something does not hold; ``rejection`` says what.

        Notes
        -----
        O(m log n); about a microsecond for each transition.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> certificate = lump(chain).certificate()
        >>> print(certificate.verify(chain))
        ordinary, proved: P V = V P^ holds exactly, and no two of 2 blocks can be merged
        """
        from lumpability.certificate.checker import verify

        return verify(self, model, quotient)

    def write(self, path: str | Path) -> None:
        """Write a ``.json`` or ``.json.gz`` file, whole or not at all.

        Raises
        ------
        FormatError
            If it cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> certificate = lump(chain).certificate()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     certificate.write(f"{folder}/oz.json")
        ...     bool(Certificate.read(f"{folder}/oz.json").verify(chain))
        True
        """
        from lumpability.certificate.file_writer import write_certificate

        write_certificate(self, path)

    @classmethod
    def read(cls, path: str | Path) -> Certificate:
        """Read what `write` wrote, as a stream; nothing in it is believed before `verify`.

        Raises
        ------
        FormatError
            If it is not a certificate of a chain, or of another version.
        SizeLimit
            If it is absurdly large.

        Examples
        --------
        >>> import tempfile
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> certificate = lump(chain).certificate()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     certificate.write(f"{folder}/oz.json")
        ...     Certificate.read(f"{folder}/oz.json").kind
        'ordinary'
        """
        from lumpability.certificate.file import read_certificate

        return read_certificate(path)

    def export(self, language: str, model: Any) -> str:
        """Return a file in the language of a proof assistant that states and proves the identity.

        Parameters
        ----------
        language : {"coq", "lean"}
        model : CTMC or DTMC

        Raises
        ------
        InvalidInput
            For another language, another model, or a certificate that does not hold.
        SizeLimit
            If the matrix is too large for a proof assistant.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> certificate = lump(chain).certificate()
        >>> text = certificate.export("coq", chain)
        >>> text.splitlines()[0]
        '...'
        """
        from lumpability.certificate.export.exporting import export

        return export(self, language, model)

    def __str__(self) -> str:
        from lumpability.certificate.printing import printed

        return printed(self)

    def __repr__(self) -> str:
        states = "1 state" if self.model.states == 1 else f"{self.model.states} states"
        blocks = "1 block" if len(self.partition) == 1 else f"{len(self.partition)} blocks"
        return f"Certificate({self.kind}: {states} -> {blocks})"
