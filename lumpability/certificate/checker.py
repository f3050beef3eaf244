"""The checker: it trusts nothing in a certificate and computes with the model alone.

It proves (a) soundness: the model is the one of the certificate, the partition refines what must be
respected, the identity of the kind holds exactly (`soundness`), and the quotient is the named one; and (b)
coarseness: the history of splits proves that no coarser partition is a lumping (`replay`).  Neither this
module nor any that it imports uses the engine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.certificate.claims import Claims
from lumpability.certificate.digest import ChainParts, Digest
from lumpability.certificate.kinds import KINDS
from lumpability.certificate.replay import replay
from lumpability.certificate.respected import codes_of, respected_partition, with_earned_rewards
from lumpability.certificate.soundness import collapsed_conditions, like, quotient_parts
from lumpability.certificate.verification import Contradiction, Verification
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.parameters import is_positive
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure


def verify(certificate: Claims, model: Any, quotient: Any = None) -> Verification:
    """Check everything that a certificate claims about a chain.

    Parameters
    ----------
    quotient : CTMC or DTMC, optional
        If given, it must be the quotient that the certificate is about.
    """
    sound = False
    try:
        parts = ChainParts.of(model)
        _check_head(certificate, parts)
        if quotient is not None:
            _check_same("quotient", certificate.quotient, Digest.of(quotient))
        respected = _check_respected(certificate, parts)
        matrices = _check_soundness(certificate, parts)
        sound = True
        if certificate.history is not None:
            replay(
                certificate.history,
                matrices,
                respected.restrict(certificate.partition.representatives),
                proportional=certificate.about.scaled,
            )
    except Contradiction as found:
        return Verification(sound, False, found.rejection, f"rejected: {found.rejection}")
    coarsest = certificate.history is not None
    blocks = len(certificate.partition)
    last = (
        f", and no two of {blocks} blocks can be merged"
        if blocks > 1
        else ", and one block is least"
    )
    told = last if coarsest else "; it is not claimed to be the coarsest"
    holds = "hold" if certificate.about.outgoing and certificate.about.incoming else "holds"
    text = f"{certificate.kind}, proved: {certificate.identity} {holds} exactly{told}"
    return Verification(True, coarsest, None, text)


def _check_head(certificate: Claims, parts: ChainParts) -> None:
    """Check that the certificate is about this model, and that its kind and sizes fit the model."""
    if certificate.kind not in KINDS:
        raise Contradiction("kind", f"there is no kind {certificate.kind!r}")
    _check_same("model", certificate.model, Digest.of(parts))
    if certificate.partition.n != parts.matrix.n:
        states = f"{certificate.partition.n} states, the model has {parts.matrix.n}"
        raise Contradiction("partition", f"it is a partition of {states}")
    scaled = certificate.about.scaled
    if scaled and parts.time == "discrete":
        raise Contradiction(
            "kind", "proportional lumping changes times, which a DTMC does not have"
        )
    if scaled != (certificate.kappa is not None):
        raise Contradiction("kappa", "factors belong to proportional lumpings, and to no others")
    if certificate.denominator != parts.denominator:
        raise Contradiction(
            "denominator", "it is not the common denominator of the model's weights"
        )


def _check_same(field: str, claimed: Digest, found: Digest) -> None:
    difference = claimed.difference(found)
    if difference is not None:
        raise Contradiction(field, f"the certificate is about another chain ({difference})")


def _check_respected(certificate: Claims, parts: ChainParts) -> Partition:
    """Return the partition by what must be respected, which the partition has to refine."""
    if not certificate.about.keeps_time(parts.time):
        parts = with_earned_rewards(parts)
    labels, first = certificate.partition.labels, certificate.partition.representatives
    for name in certificate.respected:
        found = codes_of(parts, name)
        if found is None:
            raise Contradiction("respected", f"the model has no {name!r}")
        for codes in found:
            wrong = np.flatnonzero(codes[first][labels] != codes)
            if len(wrong):
                state = int(wrong[0])
                other = int(first[labels[state]])
                why = (
                    f"states {other} and {state} share block {labels[state]}, which mixes {name!r}"
                )
                raise Contradiction("partition", why, (other, state))
    if certificate.within is not None:
        if certificate.within.n != parts.matrix.n:
            raise Contradiction("initial", f"it is a partition of {certificate.within.n} states")
        if not certificate.partition.refines(certificate.within):
            raise Contradiction("partition", "it does not refine the initial partition")
    return respected_partition(parts, certificate.respected, certificate.within)


def _check_soundness(certificate: Claims, parts: ChainParts) -> list[WeightedStructure]:
    """Check the identity and the quotient; return the matrices on blocks."""
    kappa = certificate.kappa
    if kappa is not None:
        kappa = _factors(kappa, parts, certificate.partition)
    matrices = collapsed_conditions(parts, certificate.about, certificate.partition, kappa)
    quotient = quotient_parts(parts, certificate.about, certificate.partition, kappa, matrices)
    _check_same("quotient", certificate.quotient, Digest.of(quotient))
    if certificate.matrix is not None:
        weights = like(certificate.matrix.weights, parts.matrix.weights, "matrix")
        if not replace(certificate.matrix, weights=weights).equals(quotient.matrix):
            raise Contradiction("matrix", "it is not the matrix of the quotient")
    return matrices


def _factors(kappa: ExactArray, parts: ChainParts, partition: Partition) -> ExactArray:
    """Return kappa in the field of the weights: positive, and 1 for first members."""
    if len(kappa) != parts.matrix.n:
        raise Contradiction("kappa", f"it has {len(kappa)} factors for {parts.matrix.n} states")
    kappa = like(kappa, parts.matrix.weights, "kappa")
    wrong = next((value for value in kappa.values if not is_positive(value)), None)
    if wrong is not None:
        always = "" if kappa.is_rational else " for all parameters"
        raise Contradiction("kappa", f"the factor {shown(wrong)} is not positive{always}")
    if not kappa.where(lambda factor: factor == 1)[partition.representatives].all():
        raise Contradiction("kappa", "the first member of a block has a factor other than 1")
    return kappa
