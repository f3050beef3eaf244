"""Weighted transition structures: a finite set of states and a matrix of exact weights."""

from lumpability.structure.sparse import WeightedStructure

__all__ = ["WeightedStructure"]
