"""Lumpings of either wing as files for a proof assistant, by way of their certificates."""

from __future__ import annotations

from lumpability.certificate.export import write_statement
from lumpability.certificate.export.statement import IntegerStatement
from lumpability.errors import InvalidInput
from lumpability.markov.lumping import Lumping
from lumpability.networks.lumping import NetworkLumping

__all__ = ["export", "statement_of"]


def statement_of(lumping: Lumping | NetworkLumping) -> IntegerStatement:
    """Return what a lumping claims, as identities between integer matrices; its certificate is verified first.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping

    Raises
    ------
    InvalidInput
        If it is neither, or does not hold.
    SizeLimit
        If a matrix has more rows or columns than a proof assistant is given.
    NotJustified
        If the claim is not one about numbers, or more than one about matrices.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> statement = statement_of(lump(chain))
    >>> statement.title, statement.labels
    ('CTMC, ordinary lumping: Q V = V Q^', (0, 1, 0))
    """
    if isinstance(lumping, Lumping):
        return lumping.certificate().statement(lumping.chain)
    if isinstance(lumping, NetworkLumping):
        return lumping.certificate().statement()
    raise InvalidInput(f"a {type(lumping).__name__} is no lumping: give what lump returns")


def export(lumping: Lumping | NetworkLumping, language: str = "coq") -> str:
    """Return the text of a file in which a proof assistant proves a lumping.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
    language : {"coq"}

    Raises
    ------
    InvalidInput, SizeLimit, NotJustified
        As `statement_of`; or for another language.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> print(export(lump(chain)))
    (* CTMC, ordinary lumping: Q V = V Q^
    ...
    Theorem Q_V_is_V_Qhat : forall s C, (s < n)%nat -> (C < m)%nat ->
      sum_in C labels (row Q s) = entry Qhat (block s) C.
    ...
    """
    return write_statement(statement_of(lumping), language)
