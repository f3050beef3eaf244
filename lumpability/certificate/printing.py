"""A certificate as text, so that a small one can be checked by hand.

The identity is printed as the sums of the model's rates, one line for each block; the history as one line for
each split.  Long parts are shortened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from lumpability.numbers.rationals import shown
from lumpability.split_history import History
from lumpability.vocabulary import count

if TYPE_CHECKING:
    from lumpability.certificate.claims import Claims
    from lumpability.certificate.kinds import ClaimedKind

_LINES, _MEMBERS = 30, 12


def printed(certificate: Claims) -> str:
    """Return a certificate as lines of text.

    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> print(lump(chain).certificate())
    certificate: ordinary lumping of a CTMC, 3 states -> 2 blocks
    model      sha256 09e8d3eadac97410...
    respected  label:goal
    blocks     B0 = {0, 2}; B1 = {1}
    sound      Q V = V Q^: members s of one block have equal sums of Q[s, u] over u in each other block
               from B0: into B1 1
               from B1: into B0 2
    coarsest   N0 = {B0}, N1 = {B1} must stay apart
    """
    return "\n".join(_lines(certificate))


def _lines(certificate: Claims) -> Iterator[str]:
    model = certificate.model
    yield (
        f"certificate: {certificate.kind} lumping of a {model.type}, "
        f"{count(model.states, 'state')} -> {count(len(certificate.partition), 'block')}"
    )
    yield f"model      sha256 {model.overall[:16]}..."
    respected = list(certificate.respected)
    if certificate.within is not None:
        respected.append(f"a partition into {count(len(certificate.within), 'block')}")
    yield f"respected  {_cut(respected) or 'nothing'}"
    blocks = certificate.partition.blocks
    members = (_set(block.tolist()) for block in blocks[:_LINES])
    named = [f"B{number} = {states}" for number, states in enumerate(members)]
    yield f"blocks     {'; '.join(named)}{_more(len(blocks))}"
    if certificate.kappa is not None:
        factors = (shown(factor) for factor in certificate.kappa.take(slice(_LINES)))
        yield f"kappa      {', '.join(factors)}{_more(len(certificate.kappa))}"
    matrix, _, _ = certificate.identity.removeprefix("K^-1 ").removeprefix("D ").partition(" ")
    other = "other " if model.type == "CTMC" else ""
    yield f"sound      {certificate.identity}: {certificate.about.meaning.format(M=matrix, other=other)}"
    yield from _quotient(certificate)
    if certificate.history is not None:
        yield from _splits(certificate.history, certificate.about)


def _quotient(certificate: Claims) -> Iterator[str]:
    """Yield the sums, one line for each block."""
    if certificate.matrix is None:
        yield f"           the quotient has {count(certificate.quotient.transitions, 'transition')}"
        return
    for block in range(min(certificate.matrix.n, _LINES)):
        row = [f"into B{to} {shown(weight)}" for to, weight in certificate.matrix.row(block)]
        yield f"           from B{block}: {_cut(row) or 'nothing'}"
    if certificate.matrix.n > _LINES:
        yield f"           {_more(certificate.matrix.n).strip()}"


def _splits(history: History, kind: ClaimedKind) -> Iterator[str]:
    roots = [f"N{node} = {_blocks(history, node)}" for node in range(min(history.roots, _LINES))]
    apart = "must stay apart" if history.roots > 1 else "is the initial block"
    yield f"coarsest   {', '.join(roots)}{_more(history.roots)} {apart}"
    what = "shares" if kind.scaled else "sums"
    for split in range(min(history.splits, _LINES)):
        incoming = not kind.outgoing or history.condition[split] == 1
        parts = [
            f"N{node} = {_blocks(history, node)} {shown(history.sums[node - history.roots])}"
            for node in range(*history.first_part[split : split + 2].tolist())
        ]
        yield (
            f"           N{history.split_node[split]} by {what} {'from' if incoming else 'into'} "
            f"N{history.splitter[split]}: {_cut(parts)}"
        )
    if history.splits > _LINES:
        yield f"           {_more(history.splits).strip()}"


def _blocks(history: History, node: int) -> str:
    return _set(f"B{block}" for block in history.blocks(node))


def _set(items: Iterable[object]) -> str:
    texts = [str(item) for item in items]
    more = f", ... {len(texts) - _MEMBERS} more" if len(texts) > _MEMBERS else ""
    return f"{{{', '.join(texts[:_MEMBERS])}{more}}}"


def _cut(items: list[str]) -> str:
    more = f", ... {len(items) - _MEMBERS} more" if len(items) > _MEMBERS else ""
    return ", ".join(items[:_MEMBERS]) + more


def _more(number: int) -> str:
    return f" ... {number - _LINES} more" if number > _LINES else ""
