"""Symbolic proofs of lumpings (sympy), and lumpings stated for proof assistants."""

from lumpability.symbolic.export import export, statement_of
from lumpability.symbolic.functions import Rule, SameFunction
from lumpability.symbolic.proof import Consequence, Identity, Proof
from lumpability.symbolic.proving import prove

__all__ = [
    "Consequence",
    "Identity",
    "Proof",
    "Rule",
    "SameFunction",
    "export",
    "prove",
    "statement_of",
]
