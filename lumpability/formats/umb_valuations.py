"""Names of states from the variable valuations of a UMB file: "x=1,up=true", as for PRISM sources.

A valuation has the same number of whole bytes for every state.  Its fields follow each other from the lowest bit on;
an optional one has a bit before it that says whether it is present.  Integers may be stored less an offset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.formats.tokens import Array

_BITS = 64


def valuation_names(data: bytes, fields: Any, n: int) -> list[str] | None:
    """Return a name for each of n states; None for texts, numbers beyond 64 bits, or names that are not all different."""
    width = (sum(field.size_bits for field in fields) + 7) // 8
    if not n or len(data) != n * width:
        return None
    table = np.unpackbits(
        np.frombuffer(data, dtype=np.uint8).reshape(n, width), axis=1, bitorder="little"
    )
    columns, at = [], 0
    for field in fields:
        bits = table[:, at : at + field.size_bits]
        at += field.size_bits
        if hasattr(field, "padding"):
            continue
        present = np.ones(n, dtype=bool)
        if field.is_optional:
            present, bits = bits[:, 0].astype(bool), bits[:, 1:]
        kind = getattr(field.sized_type.type, "value", str(field.sized_type.type))
        values = _values(bits, kind, field.offset or 0)
        if values is None:
            return None
        pairs = zip(values, present.tolist(), strict=True)
        columns.append([f"{field.name}={value}" if there else "" for value, there in pairs])
    names = [",".join(filter(None, parts)) for parts in zip(*columns, strict=True)]
    return names if len(set(names)) == n else None


def _values(bits: Array, kind: str, offset: int) -> list[str] | None:
    """Return the values of a field as texts, from its bits, the lowest first."""
    size = bits.shape[1]
    if size > _BITS or (kind == "double" and size != _BITS) or kind not in _KINDS:
        return None
    low = np.zeros((len(bits), _BITS), dtype=np.uint8)
    low[:, :size] = bits
    if kind == "int":
        low[:, size:] = bits[:, -1:]  # the sign
    found = np.packbits(low, axis=1, bitorder="little").view(_KINDS[kind]).ravel()
    if kind == "bool":
        return ["true" if value else "false" for value in found.tolist()]
    return [str(value + offset) for value in found.tolist()]


_KINDS = {"bool": "<u8", "uint": "<u8", "int": "<i8", "double": "<f8"}
