"""The certificate of an interval: the question, the two ends, and the evidence for each.

It names the chain by its digest and holds the partition, so that a checker needs the chain alone.  The evidence
is a vector on blocks or on states, or a number of steps of a recursion; the checker recomputes both
ends from it in exact arithmetic (`lumpability.certificate.bounds.proofs`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from lumpability.certificate.bounds.decimals import decimals
from lumpability.certificate.bounds.file import BoundClaims, read_bound, write_bound
from lumpability.certificate.bounds.proofs import prove
from lumpability.certificate.digest import ChainParts, Digest
from lumpability.certificate.verification import Contradiction, Verification
from lumpability.numbers.rationals import shown


class BoundCertificate(BoundClaims):
    """The claim that a quantity of a chain lies in an interval, with evidence that others can check.

    Attributes
    ----------
    model : Digest
        The hash that identifies the chain.
    asked : Asked
        The question.
    partition : Partition
    rate : Fraction or None
        The rate of uniformisation, for questions about a time in continuous time.
    over : {"hull", "members"}
        For questions about a time: the interval holds for every chain in the hull, or for mixtures of members.
    lower, upper : Fraction
        The ends of the interval.
    below, above : Evidence
        What proves the lower and the upper end.
    library : str
        The version of the library that made the certificate.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> from lumpability.markov.approximate.bounds import bounds
    >>> chain = CTMC.from_rates({("a", "b"): 1, ("b", "a"): 3}, labels={"on": ["a"]})
    >>> certificate = bounds(chain, [0, 1]).stationary("on").certify()
    >>> certificate
    BoundCertificate(stationary on: [0.75, 0.75])
    >>> print(certificate.verify(chain))
    stationary, proved: stationary on lies in [0.75, 0.75]
    """

    domain: ClassVar[str] = "chain"

    @property
    def kind(self) -> str:
        """The kind of the question.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> from lumpability.markov.approximate.bounds import bounds
        >>> bounds(DTMC([[0, 1], [1, 0]]), [0, 0]).hitting([1]).certify().kind
        'hitting'
        """
        return self.asked.kind

    def verify(self, model: Any, quotient: Any = None) -> Verification:
        """Check the interval in exact arithmetic, without any solver, in one pass over the chain.

        Parameters
        ----------
        model : CTMC or DTMC
        quotient : None
            Certificates of intervals are about no quotient; anything else is rejected.

        Returns
        -------
        Verification
            Falsy if a claim does not hold; ``rejection`` says which.

        Notes
        -----
        O(m) for m transitions, about 0.05 to 0.1 microseconds for each; for a time t in addition O(k^2 L t) on the k
        blocks.

        Examples
        --------
        >>> from lumpability import DTMC
        >>> from lumpability.markov.approximate.bounds import bounds
        >>> chain = DTMC([["1/2", "1/2"], [0, 1]])
        >>> bool(bounds(chain, [0, 1]).expected([1, 0], until=[1]).certify().verify(chain))
        True
        """
        try:
            self._check(ChainParts.of(model), quotient)
        except Contradiction as found:
            return Verification(False, False, found.rejection, f"rejected: {found.rejection}")
        text = f"{self.asked} lies in {decimals(self.lower, self.upper)}"
        return Verification(True, False, None, f"{self.kind}, proved: {text}")

    def _check(self, parts: ChainParts, quotient: Any) -> None:
        if quotient is not None:
            raise Contradiction("quotient", "an interval is about a chain, not about a quotient")
        difference = self.model.difference(Digest.of(parts))
        if difference is not None:
            raise Contradiction("model", f"the certificate is about another chain ({difference})")
        if not parts.matrix.weights.is_rational:
            raise Contradiction("model", "it has parameters")
        if self.partition.n != parts.matrix.n:
            raise Contradiction("partition", f"it is a partition of {self.partition.n} states")
        for upper, end, evidence in (
            (False, self.lower, self.below),
            (True, self.upper, self.above),
        ):
            field = "upper" if upper else "lower"
            proved = prove(
                self.asked,
                parts,
                self.partition,
                evidence,
                upper=upper,
                rate=self.rate,
                over=self.over,
            )
            if end < proved if upper else end > proved:
                raise Contradiction(field, f"the evidence proves {shown(proved)}, not {shown(end)}")

    def write(self, path: str | Path) -> None:
        """Write a ``.json`` or ``.json.gz`` file, whole or not at all.

        Raises
        ------
        FormatError
            If it cannot be written.
        """
        write_bound(self, path)

    @classmethod
    def read(cls, path: str | Path, *, max_bytes: int | None = None) -> BoundCertificate:
        """Read a file of `write`, as a stream; only `verify` decides whether its claims hold.

        Parameters
        ----------
        path : str or Path
        max_bytes : int, optional
            Of the text after unpacking, in place of the limits by default.

        Raises
        ------
        FormatError
            If it is not a certificate of an interval, or has another version.
        SizeLimit
            If it is too large.
        """
        return cls(**vars(read_bound(path, max_bytes=max_bytes)))

    def __repr__(self) -> str:
        return f"BoundCertificate({self.asked}: {decimals(self.lower, self.upper)})"
