"""What a lumping of a table writes: the block of every state, and the lumped chain, as Parquet files.

=========  =======================  ==========================================================
file       columns                  content
=========  =======================  ==========================================================
blocks     state, block             every state's key, in the order of keys, with its block's number
quotient   source, target,          transitions between blocks; the rate is numerator / denominator,
           numerator, denominator   decimals of 38 digits, or texts if they may have more, exactly
=========  =======================  ==========================================================

Row groups have a fixed size and rows an order, so equal input gives equal bytes, whatever engine ran.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lumpability.errors import require
from lumpability.files import writing
from lumpability.version import __version__

__all__ = ["blocks_schema", "quotient_schema", "write_parquet"]

_GROUP = 1 << 18  # rows
DIGITS = 38


def _arrow() -> Any:
    return require("pyarrow", extra="tables")


def blocks_schema(key: str) -> Any:
    """Return the schema of the file of blocks, for keys of a type."""
    arrow = _arrow()
    kind = arrow.int64() if key == "BIGINT" else arrow.string()
    return arrow.schema([("state", kind), ("block", arrow.int64())])


def quotient_schema(*, wide: bool = False) -> Any:
    """Return the schema of the file of the quotient; wide numbers are texts."""
    arrow = _arrow()
    number = arrow.string() if wide else arrow.decimal128(DIGITS, 0)
    return arrow.schema(
        [
            ("source", arrow.int64()),
            ("target", arrow.int64()),
            ("numerator", number),
            ("denominator", number),
        ]
    )


def write_parquet(
    path: str | Path, batches: Iterable[Any], schema: Any, metadata: dict[str, Any]
) -> None:
    """Write record batches as one Parquet file, whole or not at all.

    Raises `FormatError` if it cannot be written.

    Parameters
    ----------
    metadata : dict
        Plain data, stored under the key ``lumpability``.
    """
    parquet = require("pyarrow.parquet", extra="tables")
    text = json.dumps({"version": __version__, **metadata}, sort_keys=True)
    described = schema.with_metadata({"lumpability": text})
    packed = [field.name for field in schema if field.type == _arrow().int64()]
    options = {
        "compression": "zstd",
        "use_dictionary": [name for name in schema.names if name in ("numerator", "denominator")],
        "column_encoding": dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
    }
    with writing(path) as file, parquet.ParquetWriter(file, described, **options) as writer:
        for table in _regrouped(batches, schema):
            writer.write_table(table.replace_schema_metadata(described.metadata))


def _regrouped(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    """Yield tables of `_GROUP` rows, the last one of fewer."""
    arrow = _arrow()
    waiting: list[Any] = []
    rows = 0
    for batch in batches:
        waiting.append(batch.cast(schema))
        rows += batch.num_rows
        while rows >= _GROUP:
            table = arrow.Table.from_batches(waiting, schema)
            yield table.slice(0, _GROUP).combine_chunks()
            waiting = table.slice(_GROUP).to_batches()
            rows -= _GROUP
    if rows:
        yield arrow.Table.from_batches(waiting, schema).combine_chunks()
