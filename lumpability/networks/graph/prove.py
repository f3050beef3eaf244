"""Whether two graphs compute the same function: both are numbered in one free algebra, and their outputs compared.

Nothing of how units were chosen or weights were edited is used.  A layer of the reduced graph takes over the values of
the original one only after the identity of its weights has been checked, see `matching`; all other operators
are functions of what they read.  The statement is about the real numbers that the files store, about sums and
products without rounding: a large number that is added and taken away again to round a value is no number at all.
It holds where the values of the original graph are finite; what may be infinite for some inputs is never cancelled
(`lumpability.networks.tensors.domains`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.networks.graph.analysis import Analysis
from lumpability.networks.tensors.call import Against
from lumpability.networks.tensors.index import Index
from lumpability.networks.tensors.tensor import Unproved
from lumpability.numbers.float_arrays import Array


def prove(original: Analysis, model: Any, kept: dict[str, Array]) -> None:
    """Check that a model computes the same as the analysed one.

    Parameters
    ----------
    original : Analysis
    model : ModelProto
    kept : dict of str to int array
        By the name of a layer's output: which units of the original layer the model has.

    Raises
    ------
    Unproved
        With the name of a tensor: the output of the first layer that is not shown to agree, or an output of the model.
    """
    index = Index(model, original.index.folder)
    for role in ("inputs", "outputs"):
        ends = [
            [item.SerializeToString() for item in _ends(one, role)]
            for one in (original.index, index)
        ]
        if ends[0] != ends[1]:
            raise Unproved(original.index.outputs[0])
    other = Analysis(index, against=Against(original, kept))
    for name in original.index.outputs:
        if not _same(original, other, name):
            raise Unproved(name)


def _ends(index: Index, role: str) -> list[Any]:
    if role == "outputs":
        return list(index.graph.output)
    return [*index.inputs, *index.defaults, *(index.stored[i.name] for i in index.defaults)]


def _same(first: Analysis, second: Analysis, name: str) -> bool:
    if name in first.tensors and name in second.tensors:
        a, b = first.tensors[name], second.tensors[name]
        dims = [work.sizes.dims.get(name) for work in (first, second)]
        return (
            dims[0] == dims[1] and np.array_equal(a.ids, b.ids) and np.array_equal(a.facs, b.facs)
        )
    names = [work.sizes.identity(name) for work in (first, second)]
    return names[0] is not None and names[0] == names[1]
