"""Weighted transition structures: a finite set of states and a matrix of exact weights.

`Structure` is the protocol that the engine uses.  In memory there are two: `WeightedStructure`, in
compressed rows, and `lumpability.structure.dense.DenseStructure`, a layer of a neural network.
"""

from lumpability.structure.protocol import Rows, Structure
from lumpability.structure.sparse import WeightedStructure

__all__ = ["Rows", "Structure", "WeightedStructure"]
