"""Chains larger than memory: edge tables on DuckDB, and streamed from disk, lumped as exactly as any others.

`lump_table` reads Parquet files, CSV files and databases (`reading`) and lumps them: in memory, by streaming the
transitions from disk (`streaming`), or by rounds of SQL (`rounds`).  Every engine returns the same partition, with the
same numbers of blocks, and proves it (`proof`).
"""

from typing import TYPE_CHECKING

from lumpability import lazy

if TYPE_CHECKING:
    from lumpability.tables.certificate import TableCertificate
    from lumpability.tables.chain import read_table
    from lumpability.tables.lump import TABLE_ENGINES, inspect_table, lump_table
    from lumpability.tables.result import TableLumping
    from lumpability.tables.writing import write_chain, write_family

__all__ = [
    "TABLE_ENGINES",
    "TableCertificate",
    "TableLumping",
    "inspect_table",
    "lump_table",
    "read_table",
    "write_chain",
    "write_family",
]

_HOMES = {
    "TABLE_ENGINES": "lump",
    "TableCertificate": "certificate",
    "inspect_table": "lump",
    "lump_table": "lump",
    "read_table": "chain",
    "TableLumping": "result",
    "write_chain": "writing",
    "write_family": "writing",
}

__getattr__ = lazy.attributes(__name__, _HOMES)
