"""A certificate restated for a proof assistant, which then believes nobody.

The identity is written out with the whole matrix, in integers over a common denominator, for small chains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lumpability.certificate.coq import write_coq
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.lean import write_lean
from lumpability.certificate.soundness import collapsed_conditions, quotient_parts
from lumpability.certificate.statement import ChainStatement, IntegerStatement, refuse_large
from lumpability.errors import InvalidInput, NotJustified
from lumpability.integers import scale_to_integers
from lumpability.structure import WeightedStructure

if TYPE_CHECKING:
    from lumpability.certificate.document import Certificate

__all__ = ["LANGUAGES", "export"]

LANGUAGES: dict[str, Callable[[IntegerStatement], str]] = {"coq": write_coq, "lean": write_lean}
"""What writes a statement, by language."""

_IDENTITIES = {
    "ordinary": "row sums",
    "bisimulation": "row sums",
    "exact": "column sums",
    "strict": "both",
    "proportional": "proportional",
}


def export(certificate: Certificate, language: str, model: Any) -> str:
    """Return a file in which a proof assistant proves what a certificate claims; see `Certificate.export`."""
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InvalidInput(f"no export to {language!r}: choose one of {known}", language=language)
    refuse_large(certificate.partition.n)
    parts = ChainParts.of(model)
    if not parts.matrix.weights.is_rational:
        raise NotJustified("a proof assistant is given numbers: substitute them for the parameters first")
    verification = certificate.verify(model)
    if not verification:
        raise InvalidInput(
            f"the certificate does not hold for this chain, and is not exported: {verification}",
            rejection=verification.rejection,
        )
    return LANGUAGES[language](_statement(certificate, parts, model.states))


def _statement(certificate: Certificate, parts: ChainParts, names: Any) -> ChainStatement:
    kind, partition, kappa = certificate.kind, certificate.partition, certificate.kappa
    matrices = collapsed_conditions(parts, kind, partition, kappa)
    quotient = quotient_parts(parts, kind, partition, kappa, matrices)
    closed = parts.time == "continuous" and kind != "bisimulation"
    rows, fewer = _dense(parts.matrix, closed), _dense(quotient.matrix, closed)
    denominator = math.lcm(*(x.denominator for row in [*rows, *fewer] for x in row))
    factors, kappa_denominator = scale_to_integers([] if kappa is None else list(kappa))
    return ChainStatement(
        title=f"{certificate.model.type}, {kind} lumping: {certificate.identity}",
        identity=_IDENTITIES[kind],
        matrix=_scaled(rows, denominator),
        quotient=_scaled(fewer, denominator),
        labels=tuple(partition.labels.tolist()),
        denominator=denominator,
        symbol="P" if parts.time == "discrete" else "Q" if closed else "R",
        kappa=tuple(factors),
        kappa_denominator=kappa_denominator,
        names=tuple(str(name) for name in names),
    )


def _dense(matrix: WeightedStructure, closed: bool) -> list[list[Fraction]]:
    explicit = replace(matrix, closed=closed).explicit()
    rows = [[Fraction(0)] * matrix.n for _ in range(matrix.n)]
    for state, row in enumerate(rows):
        for target, weight in explicit.row(state):
            row[target] = weight
    return rows


def _scaled(rows: list[list[Fraction]], by: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(x * by) for x in row) for row in rows)
