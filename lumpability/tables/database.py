"""The engines of SQL that rounds and proofs run on: DuckDB in one process, or Spark on a cluster."""

from lumpability.tables.session import Session
from lumpability.tables.spark import SparkDatabase

Database = Session | SparkDatabase
