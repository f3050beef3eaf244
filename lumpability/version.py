"""The version of the library, for what it writes into files."""

__version__ = "0.1.0"
