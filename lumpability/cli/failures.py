"""How commands end: exit codes, one-line messages on stderr, no traceback for a user's mistake.

0 yes or done; 1 no (the witness is printed); 2 usage (click's own); 3 unreadable or invalid input or
an output that cannot be written; 70 a bug of this program; 130 interrupted; 141 the reader of stdout
went away.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from lumpability.errors import InvalidInput, LumpabilityError, MissingDependency, NotJustified
from lumpability.show.text import printable

__all__ = ["DEBUG", "NO", "WARNINGS", "ReportingGroup", "tell"]

NO = 1
INVALID = 3
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

DEBUG = "lumpability.debug"
"""Key of `click.Context.meta`: whether tracebacks are wanted."""
WARNINGS = "lumpability.warnings"
"""Key of `click.Context.meta`: the warnings told so far, a list of str."""


def tell(message: str, *, sort: str = "") -> None:
    """Write one line to stderr; `sort` is what kind of line, such as "Error"."""
    click.echo(printable(f"{sort}: {message}" if sort else message), err=True)


class ReportingGroup(click.Group):
    """A group of commands whose exceptions become one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were added, the main one first."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and report how it ended."""
        try:
            with _warnings_told(ctx):
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        except KeyboardInterrupt:
            tell("interrupted; nothing more was written", sort="Error")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, say it in one line
            code, message = _explain(error)
            if ctx.meta.get(DEBUG):
                traceback.print_exception(error)
            tell(message, sort="Internal error" if code == INTERNAL else "Error")
            raise click.exceptions.Exit(code) from None


def _explain(error: Exception) -> tuple[int, str]:
    """Return the exit code and the message for an exception."""
    if isinstance(error, InvalidInput | MissingDependency | NotJustified):
        return INVALID, str(error)
    if isinstance(error, MemoryError):
        return INVALID, "the model does not fit into memory"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return INVALID, f"{where}{error.strerror}"
    if isinstance(error, LumpabilityError):  # an engine that has caught itself out says so
        return INTERNAL, str(error).removeprefix("internal error: ")
    return INTERNAL, (
        f"{type(error).__name__}: {' '.join(str(error).split())}. This is a bug in lumpability: please "
        "report it with the command and the model; --debug shows where it happened."
    )


@contextmanager
def _warnings_told(ctx: click.Context) -> Iterator[None]:
    """Turn warnings meant for users into lines on stderr."""
    told: list[str] = ctx.meta.setdefault(WARNINGS, [])

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        told.append(str(message))
        tell(str(message), sort="Warning")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
