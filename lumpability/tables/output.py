"""What a lumping of a table writes: the block of every state, and the lumped chain, as Parquet files.

=========  =======================  ==========================================================
file       columns                  content
=========  =======================  ==========================================================
blocks     state, block             every state's key, in the order of keys, with its block's number
quotient   source, target,          transitions between blocks; the rate is numerator / denominator,
           numerator, denominator   decimals of 38 digits, or texts if they may have more, exactly
=========  =======================  ==========================================================

Row groups have a fixed size and rows an order, so equal input gives equal bytes, whatever engine ran.
A ``.csv`` has the same rows as text; there, a quotient has one column ``rate`` or ``probability``, such as 1/3, and
a block without transitions one of rate 0 to itself.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import require
from lumpability.files import writing
from lumpability.version import __version__

WRITTEN = (".parquet", ".pq", ".csv")
"""Suffixes of the tables that are written."""
_GROUP = 1 << 18  # rows
_STATES = ("source", "target", "state", "block")
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


def metadata_of(path: Path) -> dict[str, Any]:
    """Return what `write_table` has written with the rows of a Parquet file; nothing for other tables."""
    if not path.is_file() or not path.name.lower().endswith((".parquet", ".pq")):
        return {}
    schema = require("pyarrow.parquet", extra="tables").read_schema(path)
    try:
        found = json.loads((schema.metadata or {}).get(b"lumpability", b"{}"))
    except ValueError:  # not of this library
        return {}
    return found if isinstance(found, dict) else {}


def write_table(
    path: str | Path, batches: Iterable[Any], schema: Any, metadata: dict[str, Any]
) -> None:
    """Write record batches as one Parquet or CSV file, whole or not at all.

    Raises `FormatError` if it cannot be written.

    - metadata: plain data, which a Parquet file stores under the key ``lumpability``
    """
    if str(path).lower().endswith(".csv"):
        _write_csv(path, batches, schema, metadata)
        return
    text = json.dumps({"version": __version__, **metadata}, sort_keys=True)
    described = schema.with_metadata({"lumpability": text})
    with writing(path) as file, parquet_writer(file, described) as writer:
        for table in regrouped(batches, schema):
            writer.write_table(table.replace_schema_metadata(described.metadata))


def parquet_writer(file: Any, schema: Any) -> Any:
    """Return a writer of Parquet: numbers of states hardly repeat, unlike rates and labels."""
    parquet = require("pyarrow.parquet", extra="tables")
    packed = [x.name for x in schema if x.name in _STATES and x.type == _arrow().int64()]
    return parquet.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in _STATES],
        column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
    )


def regrouped(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
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


def _plain(column: Any) -> Any:
    """Return truth values as the texts true and false, and other columns as they are."""
    arrow = _arrow()
    return column.cast(arrow.string()) if column.type == arrow.bool_() else column


def _write_csv(
    path: str | Path, batches: Iterable[Any], schema: Any, metadata: dict[str, Any]
) -> None:
    names, quotient = schema.names, "numerator" in schema.names
    alone = np.full(metadata.get("blocks", 0), quotient)
    if quotient:
        names = [*names[:2], "rate" if metadata["time"] == "continuous" else "probability"]
    with writing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(names)
        for batch in batches:
            columns = [_plain(column).to_pylist() for column in batch.columns]
            if quotient:
                above, below = columns[2:]
                rates = [Fraction(int(a), int(b)) for a, b in zip(above, below, strict=True)]
                columns[2:] = [rates]
                alone[columns[0]] = alone[columns[1]] = False
            table.writerows(zip(*columns, strict=True))
        table.writerows((block, block, 0) for block in np.flatnonzero(alone).tolist())
        text.detach()
