"""Lumpings of either wing as files for a proof assistant."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from lumpability.certificate.export.exporting import writer_of
from lumpability.certificate.export.statement import IntegerStatement
from lumpability.errors import InvalidInput
from lumpability.markov.lumping import Lumping
from lumpability.markov.statements import chain_statement
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.statements import network_statement

__all__ = ["export", "statement_of"]


@singledispatch
def statement_of(lumping: Any) -> IntegerStatement:
    """Return what a lumping claims, as identities between integer matrices.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping

    Raises
    ------
    InvalidInput
        If it is neither.
    SizeLimit
        If a matrix has more rows or columns than a proof assistant is given.
    NotJustified
        If the claim is not one about numbers, or more than one about matrices; see
        `lumpability.markov.statements` and `lumpability.networks.statements`.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> statement = statement_of(lump(chain))
    >>> statement.title, statement.labels
    ('CTMC, ordinary lumping: Q V = V Q^', (0, 1, 0))
    """
    raise InvalidInput(f"a {type(lumping).__name__} is no lumping: give what lump returns")


@statement_of.register
def _chain(lumping: Lumping) -> IntegerStatement:
    kind, kappa = lumping.kind.name, lumping.kappa
    return chain_statement(lumping.chain, lumping.quotient, lumping.partition, kind, kappa)


@statement_of.register
def _network(lumping: NetworkLumping) -> IntegerStatement:
    return network_statement(
        lumping.network,
        lumping.quotient,
        [one.claim() for one in lumping.stages],
        lumping.kind,
        largest_change=lumping.rounding.largest,
    )


def export(lumping: Lumping | NetworkLumping, language: str) -> str:
    """Return the text of a file in which a proof assistant proves a lumping.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
    language : {"coq", "lean"}

    Raises
    ------
    InvalidInput
        For another language.
    SizeLimit, NotJustified
        As `statement_of`.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> print(export(lump(chain), "coq"))
    (* CTMC, ordinary lumping: Q V = V Q^
    ...
    Theorem Q_V_is_V_Qhat : forall s C, (s < n)%nat -> (C < m)%nat ->
      sum_in C labels (row Q s) = entry Qhat (block s) C.
    ...
    """
    return writer_of(language)(statement_of(lumping))
