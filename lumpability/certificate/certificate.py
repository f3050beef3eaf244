"""A certificate: what a lumping of a chain claims, and what others need to check it.

It states the kind, what was respected, the partition, and kappa.  That the partition is a lumping follows
from the identity of its kind, which anybody can compute.  That it is the *coarsest* follows from a forest of
splits, see `lumpability.split_history`.  The certificate does not hold the chain or the quotient; it
identifies them by a hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lumpability.certificate.chain_file import read_claims, write_claims
from lumpability.certificate.checker import verify
from lumpability.certificate.claims import Claims
from lumpability.certificate.export import write_statement
from lumpability.certificate.export.statement import ChainStatement, chain_statement, refuse_large
from lumpability.certificate.printing import printed
from lumpability.certificate.verification import Verification
from lumpability.errors import InvalidInput
from lumpability.vocabulary import count


class Certificate(Claims):
    """The claims of a lumping of a chain.

    Attributes
    ----------
    model, quotient : Digest
        The hashes that identify the chain and its quotient.
    kind : str
    respected : tuple of str
        Labels and rewards ("label:up", "reward:cost", "initial") that are constant on blocks.  No coarser
        lumping respects all of these and `within`.
    within : Partition or None
        A partition given by the user, whose blocks must stay apart as well.
    partition : Partition
    kappa : ExactArray or None, shape (n,)
        The factors of a proportional lumping.
    matrix : WeightedStructure or None
        The matrix of the quotient, if it is small.
    denominator : int or None
        The common denominator of the model's weights; None with parameters, or beyond 512 bits.
    reading : Reading
        How the author of the certificate read the floats of the file; not proved.
    history : History or None
        The proof that no two blocks can be merged; None if this is not claimed.
    library : str
        The version of the library that made the certificate.

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

    def verify(self, model: Any, quotient: Any = None) -> Verification:
        """Check all claims in exact arithmetic, without the engine.

        Parameters
        ----------
        model : CTMC or DTMC
        quotient : CTMC or DTMC, optional
            The lumped chain: also check that it is the quotient of the certificate.

        Returns
        -------
        Verification
            Falsy if a claim does not hold; ``rejection`` says which.

        Notes
        -----
        O(m log n); about a microsecond for each transition.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> print(lump(chain).certificate().verify(chain))
        ordinary, proved: P V = V P^ holds exactly, and no two of 2 blocks can be merged
        """
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
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lump(land_of_oz()).certificate().write(f"{folder}/oz.json")
        """
        write_claims(self, path)

    @classmethod
    def read(cls, path: str | Path, *, max_bytes: int | None = None) -> Certificate:
        """Read a file of `write`, as a stream; only `verify` decides whether its claims hold.

        Parameters
        ----------
        path : str or Path
        max_bytes : int, optional
            Of the text after unpacking, in place of the limits by default.

        Raises
        ------
        FormatError
            If it is not a certificate of a chain, or has another version.
        SizeLimit
            If it is too large.

        Examples
        --------
        >>> import tempfile
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lump(chain).certificate().write(f"{folder}/oz.json")
        ...     bool(Certificate.read(f"{folder}/oz.json").verify(chain))
        True
        """
        return cls(**vars(read_claims(path, max_bytes=max_bytes)))

    def statement(self, model: Any) -> ChainStatement:
        """Return the identity as one between matrices of integers, after verifying the certificate.

        Parameters
        ----------
        model : CTMC or DTMC

        Raises
        ------
        InvalidInput
            If the certificate does not hold for this model.
        SizeLimit
            If the matrix is too large for a proof assistant.
        NotJustified
            If the model has parameters.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
        >>> statement = lump(chain).certificate().statement(chain)
        >>> statement.matrix, statement.quotient, statement.denominator
        (((0, 1, 1), (2, 0, 0), (2, 0, 0)), ((0, 2), (2, 0)), 2)
        """
        refuse_large(self.partition.n)
        verification = self.verify(model)
        if not verification:
            raise InvalidInput(
                f"the certificate does not hold for this chain, and is not exported: {verification}",
                rejection=verification.rejection,
            )
        return chain_statement(self, model)

    def export(self, language: str, model: Any) -> str:
        """Return a file in the language of a proof assistant that states and proves the identity.

        Parameters
        ----------
        language : {"coq"}
        model : CTMC or DTMC

        Raises
        ------
        InvalidInput
            For another language, another model, or a certificate that does not hold.
        SizeLimit, NotJustified
            As `statement`.

        Examples
        --------
        >>> from lumpability import lump
        >>> from lumpability.markov.examples import land_of_oz
        >>> chain = land_of_oz()
        >>> lump(chain).certificate().export("coq", chain).splitlines()[0]
        '(* DTMC, ordinary lumping: P V = V P^'
        """
        return write_statement(self.statement(model), language)

    def __str__(self) -> str:
        return printed(self)

    def __repr__(self) -> str:
        states, blocks = count(self.model.states, "state"), count(len(self.partition), "block")
        return f"Certificate({self.kind}: {states} -> {blocks})"
