"""Symbolic proofs of lumpings (sympy), and lumpings stated for proof assistants."""

from lumpability.symbolic.export import LANGUAGES, export, statement_of
from lumpability.symbolic.functions import Rule, SameFunction
from lumpability.symbolic.proof import Consequence, Identity, Proof
from lumpability.symbolic.proving import prove

__all__ = [
    "LANGUAGES",
    "Consequence",
    "Identity",
    "Proof",
    "Rule",
    "SameFunction",
    "export",
    "prove",
    "statement_of",
]
