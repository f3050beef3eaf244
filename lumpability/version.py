"""The version of the library, for what it writes into files."""

__all__ = ["__version__"]

__version__ = "0.1.0"
