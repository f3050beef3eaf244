"""Making a certificate from a lumping: it copies data, and computes only hashes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.certificate.certificate import Certificate
from lumpability.certificate.digest import ChainParts, Digest
from lumpability.certificate.kinds import KINDS
from lumpability.certificate.respected import (
    codes_of,
    names_of,
    respected_partition,
    with_earned_rewards,
)
from lumpability.partition import Partition
from lumpability.split_history import History

_SMALL_STATES, _SMALL_TRANSITIONS = 1000, 10_000


def certify(lumping: Any, library: str) -> Certificate:
    """Return the certificate of a lumping of a chain; O(m).

    Parameters
    ----------
    library : str
        The version of the library that makes the certificate.

    Notes
    -----
    `respected` names all labels and rewards that are constant on the blocks of the initial partition; a
    partition given by the user is stored if it separates more.
    """
    parts = ChainParts.of(lumping.chain)
    seen = parts
    if not KINDS[lumping.kind].keeps_time(parts.time):
        seen = with_earned_rewards(parts)
    names = tuple(
        name
        for name in names_of(seen)
        if lumping.respected.refines(Partition.by(parts.matrix.n, codes_of(seen, name) or ()))
    )
    extra = (
        None if respected_partition(seen, names, None) == lumping.respected else lumping.respected
    )
    matrix = lumping.quotient.matrix
    small = matrix.n <= _SMALL_STATES and matrix.m <= _SMALL_TRANSITIONS
    return Certificate(
        model=Digest.of(parts),
        kind=lumping.kind,
        respected=names,
        within=extra,
        partition=lumping.partition,
        kappa=lumping.factors,
        quotient=Digest.of(lumping.quotient),
        matrix=matrix if small else None,
        denominator=parts.denominator,
        reading=lumping.chain.reading,
        history=_in_order(lumping.history),
        library=library,
    )


def _in_order(history: History) -> History:
    """Renumber nodes so that the parts of a split follow each other in the order."""
    owner = np.repeat(np.arange(history.splits), np.diff(history.first_part))
    parts = np.lexsort((history.starts[history.roots :], owner))
    nodes = np.append(np.arange(history.roots), history.roots + parts)
    number = np.empty(len(nodes), dtype=np.int64)
    number[nodes] = np.arange(len(nodes))
    return replace(
        history,
        starts=history.starts[nodes],
        ends=history.ends[nodes],
        split_node=number[history.split_node],
        splitter=number[history.splitter],
        sums=history.sums.take(parts),
    )
