"""Statements for Coq: one file that needs nothing but Coq's own standard library.

The file defines the matrices and the sums over blocks and states the identity as a proposition about all states
and blocks.  It proves the identity with `vm_compute` and one small lemma: comparing all pairs of indices
suffices.  It derives the consequence, equal sums inside blocks, from the identity.  `coqc FILE.v` succeeds
exactly when the statement is true; a reader has to trust Coq and to read the definitions and the theorems.
``parts.v`` holds the Coq text, which this module fills in.  Tested with Coq 8.16.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from string import Template

from lumpability.certificate.export.statement import (
    ChainStatement,
    IntegerStatement,
    LayerStatement,
    NetworkStatement,
    block_comments,
    comment,
)


def write_coq(statement: IntegerStatement) -> str:
    r"""Return the text of a Coq file, in ASCII, that ``coqc`` refuses if the statement is false.

    >>> pair = ChainStatement("a pair", "row sums", ((-1, 1), (1, -1)), ((0,),), (0, 0))
    >>> print("\n".join(line for line in write_coq(pair).splitlines() if "Theorem " in line))
    Theorem sizes : is_matrix n n Q /\ is_matrix m m Qhat /\ is_labelling n m labels.
    Theorem every_block_has_a_state : forall C, (C < m)%nat -> 0 < size C.
    Theorem Q_V_is_V_Qhat : forall s C, (s < n)%nat -> (C < m)%nat ->
    Theorem lumpable : forall s t C, (s < n)%nat -> (t < n)%nat -> (C < m)%nat -> block s = block t ->
    """
    if isinstance(statement, NetworkStatement):
        layers = [_layer(k, layer) for k, layer in enumerate(statement.layers, 1)]
        parts = [_network_header(statement), _filled("general"), _filled("times"), *layers]
    else:
        parts = [_chain_header(statement), _filled("general"), *_chain(statement)]
    return "\n".join(parts)


_THEOREMS = {
    "row sums": ("row sums",),
    "column sums": ("column sums",),
    "both": ("row sums", "column sums"),
    "proportional": ("proportional",),
}


def _chain(statement: ChainStatement) -> list[str]:
    data = {
        "M": statement.symbol,
        "n": statement.n,
        "m": statement.m,
        "labels": _list(statement.labels),
        "matrix": _matrix(statement.matrix),
        "quotient": _matrix(statement.quotient),
        "kappas": _list(statement.kappa),
        "kappa_denominator": statement.kappa_denominator,
    }
    names = ("chain", "sizes", *_THEOREMS[statement.identity])
    return [_filled(name, **data) for name in names]


def _chain_header(statement: ChainStatement) -> str:
    symbol, by = statement.symbol, statement.denominator
    lines = [
        comment(statement.title),
        f"{statement.n} states in {statement.m} blocks.  Entries of {symbol} and {symbol}hat are those of the",
        f"chain and of its quotient multiplied by {by}.  Compile with coqc.",
        *block_comments(statement),
    ]
    return _comment(lines)


def _network_header(statement: NetworkStatement) -> str:
    lines = [
        comment(statement.title),
        "For each layer l: A_(l-1) W_l = What_l A_l.  Row 0 of W_l holds the biases and is fed by the constant 1,",
        "which is class 0; units of class 0 are constants, and their values are their factors.  A_l has the factor",
        "of unit s in row class(s), column s.  Layers without weights are kept, for the units that stay.",
        "Numbers are multiplied by the denominators given.  Compile with coqc.",
        *(f"layer {k}: {comment(layer.title)}" for k, layer in enumerate(statement.layers, 1)),
    ]
    return _comment(lines)


def _layer(k: int, layer: LayerStatement) -> str:
    row_classes, classes = layer.shape
    data = {
        "k": k,
        "j": k - 1,
        "rows": len(layer.row_labels),
        "row_classes": row_classes,
        "units": len(layer.labels),
        "classes": classes,
        "denominator": layer.denominator,
        "matrix": _matrix(layer.matrix),
        "quotient": _matrix(layer.quotient),
        "row_labels": _list(layer.row_labels),
        "row_factors": _list(layer.row_factors),
        "row_denominator": layer.row_denominator,
        "labels": _list(layer.labels),
        "factors": _list(layer.factors),
        "factor_denominator": layer.factor_denominator,
        "unused_rows": _list(layer.unused_rows),
        "unused": _list(layer.unused),
    }
    return "\n".join(
        _filled(name, **data) for name in ("layer", *["unused"] * bool(layer.unused_rows))
    )


@cache
def _parts() -> dict[str, Template]:
    text = resources.files(__package__).joinpath("parts.v").read_text(encoding="ascii")
    parts = (part.partition(" *)\n") for part in text.split("(* part: ")[1:])
    return {name: Template(body) for name, _, body in parts}


def _filled(name: str, **data: object) -> str:
    return _parts()[name].substitute(data)


def _comment(lines: Iterable[str]) -> str:
    return "(* " + "\n   ".join(lines) + "\n*)\n"


def _matrix(rows: Sequence[Sequence[int]]) -> str:
    return "[\n  " + ";\n  ".join(map(_list, rows)) + "]"


def _list(values: Sequence[int]) -> str:
    return f"[{'; '.join(map(str, values))}]"
