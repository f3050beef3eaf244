"""Lumpings restated for a proof assistant, which checks them without trusting this library.

The route: `Certificate.statement` (`chain`) and `NetworkCertificate.statement` (`lumpability.networks.identities`)
verify a certificate and write its identities out in integers (`statement`); `coq` writes those as a file.
"""

from __future__ import annotations

from lumpability.certificate.export.coq import write_coq
from lumpability.certificate.export.statement import IntegerStatement
from lumpability.errors import InvalidInput

__all__ = ["write_statement"]


def write_statement(statement: IntegerStatement, language: str) -> str:
    """Return the text of a file that states and proves a statement in a language: "coq".

    Examples
    --------
    >>> from lumpability.certificate.export.statement import NetworkStatement
    >>> write_statement(NetworkStatement("no layers", ()), "agda")
    Traceback (most recent call last):
    lumpability.errors.InvalidInput: no export to 'agda': choose coq
    """
    if language != "coq":
        raise InvalidInput(f"no export to {language!r}: choose coq", language=language)
    return write_coq(statement)
