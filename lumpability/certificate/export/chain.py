"""The identity that a certificate of a chain claims, written out with whole matrices of integers."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

from lumpability.certificate.claims import Claims
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.export.statement import ChainStatement, scaled
from lumpability.certificate.kinds import ClaimedKind
from lumpability.certificate.soundness import collapsed_conditions, quotient_parts
from lumpability.errors import NotJustified
from lumpability.numbers.integers import scale_to_integers
from lumpability.structure import WeightedStructure

__all__ = ["chain_statement"]


def chain_statement(claims: Claims, model: Any) -> ChainStatement:
    """Return the identity of verified claims about a model, over a common denominator.

    Raises `NotJustified` if the model has parameters: the statement is about integers.
    """
    parts, kind, partition, kappa = (
        ChainParts.of(model),
        claims.about,
        claims.partition,
        claims.kappa,
    )
    if not parts.matrix.weights.is_rational:
        raise NotJustified(
            "a proof assistant is given numbers, not parameters: substitute numbers first, or take the "
            "symbolic proof, lumpability.symbolic.prove"
        )
    matrices = collapsed_conditions(parts, kind, partition, kappa)
    quotient = quotient_parts(parts, kind, partition, kappa, matrices)
    closed = not kind.keeps_time(parts.time)
    rows, fewer = (_dense(replace(one.matrix, closed=closed)) for one in (parts, quotient))
    denominator = math.lcm(*(x.denominator for row in [*rows, *fewer] for x in row))
    factors, kappa_denominator = scale_to_integers([] if kappa is None else list(kappa))
    return ChainStatement(
        title=f"{claims.model.type}, {kind.name} lumping: {claims.identity}",
        identity=_identity(kind),
        matrix=scaled(rows, denominator),
        quotient=scaled(fewer, denominator),
        labels=tuple(partition.labels.tolist()),
        denominator=denominator,
        symbol="P" if parts.time == "discrete" else "Q" if closed else "R",
        kappa=tuple(factors),
        kappa_denominator=kappa_denominator,
        names=tuple(map(str, model.states)),
    )


def _identity(kind: ClaimedKind) -> str:
    if kind.scaled:
        return "proportional"
    if kind.outgoing and kind.incoming:
        return "both"
    return "row sums" if kind.outgoing else "column sums"


def _dense(structure: WeightedStructure) -> list[list[Fraction]]:
    explicit = structure.explicit()
    rows = [[Fraction(0)] * structure.n for _ in range(structure.n)]
    for state, row in enumerate(rows):
        for target, weight in explicit.row(state):
            row[target] = weight
    return rows
