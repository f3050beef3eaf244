"""Errors that say what is wrong, where, and what to do about it.

Every error the library raises on purpose derives from `LumpabilityError` and carries its evidence
as attributes, so that programs need not parse messages.  A message is one sentence (two at most):
what is wrong, where, and what would be right.  Errors in the input of the user are
`InvalidInput`; the command line turns them into exit code 3 without a traceback.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

__all__ = [
    "FormatError",
    "InvalidChain",
    "InvalidInput",
    "InvalidNetwork",
    "InvalidPartition",
    "InvalidValue",
    "LumpabilityError",
    "MissingDependency",
    "NoConvergence",
    "NoFiniteBound",
    "NotJustified",
    "NotUnique",
    "SizeLimit",
    "TrivialLumping",
]


class LumpabilityError(Exception):
    """Base of all errors of this library; keyword arguments become attributes (the evidence).

    Examples
    --------
    >>> error = LumpabilityError("row 3 sums to 2", row=3)
    >>> error.row, error.evidence
    (3, {'row': 3})
    """

    def __init__(self, message: str, **evidence: Any) -> None:
        super().__init__(message)
        self.evidence = evidence

    def __getattr__(self, name: str) -> Any:
        # Only called when normal lookup fails: evidence reads like an attribute.
        evidence = self.__dict__.get("evidence", {})
        if name in evidence:
            return evidence[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with the message alone, which FormatError does not accept.
        return _restore, (type(self), self.args, self.evidence)


def _restore(cls: type[LumpabilityError], args: Any, evidence: dict[str, Any]) -> LumpabilityError:
    """Rebuild an error that comes from another process."""
    error = cls.__new__(cls, *args)
    error.evidence = evidence
    return error


class InvalidInput(LumpabilityError, ValueError):
    """An input cannot be used; the message says which part and why."""


class InvalidValue(InvalidInput):
    """An invalid number: NaN, infinity, malformed text, a wrong type, a wrong sign."""


class InvalidPartition(InvalidInput):
    """A partition that misses or repeats a state, or does not fit the model."""


class InvalidChain(InvalidInput):
    """A matrix that is not a generator, a rate matrix or a stochastic matrix."""


class InvalidNetwork(InvalidInput):
    """A network whose layers do not fit together or hold values that are not numbers."""


class SizeLimit(InvalidInput):
    """The input exceeds a stated limit; the message names the limit and how to raise it."""


class MissingDependency(LumpabilityError, ImportError):
    """An optional package is needed; the message holds the pip line that installs it."""


class NotJustified(LumpabilityError):
    """The theory does not justify the request for this kind of lumping; the message says why."""


class NotUnique(InvalidInput):
    """The answer is not unique: for a chain with several recurrent classes, for example."""


class NoConvergence(LumpabilityError):
    """A numerical solver did not reach its tolerance; carries the ``residual`` it reached."""


class NoFiniteBound(LumpabilityError):
    """A quantity is infinite, or no finite bound follows from the blocks alone; carries the ``state``."""


class TrivialLumping(UserWarning):
    """Nothing that is respected tells states apart, and the coarsest lumping is one block."""


class FormatError(InvalidInput):
    """A file that cannot be read: carries ``path`` and, where it makes sense, ``line`` and ``value``.

    >>> print(FormatError("negative rate '-2'", path="chain.tra", line=7))
    chain.tra, line 7: negative rate '-2'
    """

    def __init__(
        self, message: str, *, path: str | Path, line: int | None = None, **evidence: Any
    ) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {message}", path=str(path), line=line, **evidence)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that calls the library, however many of its own functions are between."""
    depth, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        "lumpability."
    ):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, category, stacklevel=depth)


def require(module: str, *, extra: str) -> Any:
    """Import an optional package, or raise `MissingDependency` with the line that installs it.

    >>> require("fractions", extra="none").Fraction(1, 2)
    Fraction(1, 2)
    >>> require("no_such_package", extra="onnx")
    Traceback (most recent call last):
        ...
    lumpability.errors.MissingDependency: this needs the package 'no_such_package': pip install 'lumpability[onnx]'
    """
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != package:
            raise
        raise MissingDependency(
            f"this needs the package {package!r}: pip install 'lumpability[{extra}]'",
            package=package,
            extra=extra,
        ) from error
