"""Asking for memory before it is needed, which no loop of short random rows does by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from lumpability.refinement.kernel_compile import inlined

__all__ = ["FAR", "is_far", "prefetch"]

FAR = np.uint64(32)
"""How many transitions ahead to ask for what is kept of their targets, if that is far."""

_NEAR = 4_000_000  # states; what is kept of fewer is in the cache most of the time
_READ, _KEEP, _DATA = 0, 3, 1  # what LLVM wants to know


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Bring ``array[index]``, along the first axis, near; any index is safe."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        parts = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, parts.strides)[0]
        offset = builder.mul(arguments[1], stride)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.gep(builder.bitcast(parts.data, byte), [offset])
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, *(number(about) for about in (_READ, _KEEP, _DATA))])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


def interpreted_prefetch(array: Any, index: Any) -> None:
    """Do nothing: without a compiler no memory is worth waiting for."""


if config.DISABLE_JIT:  # an intrinsic is code for the compiler only
    prefetch = interpreted_prefetch


@inlined
def is_far(states: Any) -> Any:
    """Whether what is kept of so many states is out of reach of the cache."""
    return states > _NEAR
