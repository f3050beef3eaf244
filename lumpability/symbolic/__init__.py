"""Symbolic proofs of lumpings (sympy), and lumpings stated for proof assistants."""

from lumpability.symbolic.functions import Rule, SameFunction
from lumpability.symbolic.proof import Consequence, Identity, Proof
from lumpability.symbolic.proving import export, prove, statement_of

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
