"""The version of the library, for what it writes into files."""

__version__ = "0.2.0"
