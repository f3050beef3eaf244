"""A certificate restated for a proof assistant, which then believes nobody.

The identity is written out with the whole matrix, in integers over a common denominator, for small chains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lumpability.certificate.digest import ChainParts
from lumpability.certificate.export.coq import write_coq
from lumpability.certificate.export.lean import write_lean
from lumpability.certificate.export.statement import ChainStatement, IntegerStatement, refuse_large
from lumpability.certificate.export.stating import state_chain
from lumpability.certificate.soundness import collapsed_conditions, quotient_parts
from lumpability.errors import InvalidInput

if TYPE_CHECKING:
    from lumpability.certificate.certificate import Certificate

__all__ = ["LANGUAGES", "export", "writer_of"]

LANGUAGES: dict[str, Callable[[IntegerStatement], str]] = {"coq": write_coq, "lean": write_lean}
"""What writes a statement, by language."""


def writer_of(language: str) -> Callable[[IntegerStatement], str]:
    """Return what writes a statement in a language.

    Raises
    ------
    InvalidInput
        If nothing does.
    """
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InvalidInput(f"no export to {language!r}: choose one of {known}", language=language)
    return LANGUAGES[language]


def export(certificate: Certificate, language: str, model: Any) -> str:
    """Return a file in which a proof assistant proves what a certificate claims; see `Certificate.export`."""
    write = writer_of(language)
    refuse_large(certificate.partition.n)
    parts = ChainParts.of(model)
    verification = certificate.verify(model)
    if not verification:
        raise InvalidInput(
            f"the certificate does not hold for this chain, and is not exported: {verification}",
            rejection=verification.rejection,
        )
    return write(_statement(certificate, parts, model.states))


def _statement(certificate: Certificate, parts: ChainParts, names: Any) -> ChainStatement:
    kind, partition, kappa = certificate.kind, certificate.partition, certificate.kappa
    matrices = collapsed_conditions(parts, kind, partition, kappa)
    quotient = quotient_parts(parts, kind, partition, kappa, matrices)
    closed = parts.time == "continuous" and kind != "bisimulation"
    return state_chain(
        kind,
        replace(parts.matrix, closed=closed),
        replace(quotient.matrix, closed=closed),
        partition,
        kappa=kappa,
        symbol="P" if parts.time == "discrete" else "Q" if closed else "R",
        title=f"{certificate.model.type}, {kind} lumping: {certificate.identity}",
        names=names,
    )
