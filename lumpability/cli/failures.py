"""The end of a command: an exit code, and for a user's mistake one line on stderr, without a traceback.

The exit codes are 0 for yes or done, 1 for no (the witness is printed), 2 for wrong usage, 3 for an input
that is unreadable or invalid or an output that cannot be written, 70 for a bug of this program, 130 for an
interrupt, and 141 if nobody reads stdout any more.  Messages of the library name arguments of Python
functions; this module replaces them by options of commands.
"""

from __future__ import annotations

import difflib
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from lumpability.errors import (
    InvalidInput,
    LumpabilityError,
    MissingDependency,
    NoConvergence,
    NoFiniteBound,
    NotJustified,
)
from lumpability.show.text import printable
from lumpability.vocabulary import FORMER

NO = 1
USAGE = 2
INVALID = 3
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

DEBUG = "lumpability.debug"
"""Key of `click.Context.meta`: whether tracebacks are wanted."""
WARNINGS = "lumpability.warnings"
"""Key of `click.Context.meta`: the warnings told so far, a list of str."""


def dashed(name: str) -> str:
    """Return the option of the command line for an option in Python.

    >>> dashed("exact_weights")
    '--exact-weights'
    """
    return f"--{name.replace('_', '-')}"


_CHOICE = re.compile(r"\b(kind|type|engine|constants|dtype|value_type)=(['\"])(.*?)\2")
_FILE = re.compile(r"\b(within|temp)=(\.\.\.)?")
_GIVEN = re.compile(
    r"\b(normalize|absorbing|parametric|resume|values|sweep|target|avoid|times|label|reward|initial|states|"
    r"tolerance)=(\.\.\.|True)"
)
_FORMER = {
    dashed(former): dashed(present)
    for verb in ("lump", "check", "read", "write")
    for former, present in FORMER[verb].items()
}


def tell(message: str, *, sort: str = "") -> None:
    """Write one line to stderr that begins with its sort, such as "Error"."""
    click.echo(printable(f"{sort}: {message}" if sort else message), err=True)


class ReportingGroup(click.Group):
    """A group of commands whose exceptions become one line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were added, the main one first."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for an unknown word suggest a command."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], self.commands, n=1)
            if Path(args[0]).suffix:
                meant = f"lumpability lump {args[0]}"
            else:
                meant = f"lumpability {close[0]}" if close else "lumpability --help"
            ctx.fail(f"no such command {args[0]!r}; try: {meant}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and report how it ended."""
        try:
            with _warnings_told(ctx):
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except click.NoSuchOption as error:
            present = _FORMER.get(error.option_name)
            if present is None:
                raise
            message = f"no such option {error.option_name}: it is called {present} now"
            raise click.UsageError(message, ctx=error.ctx) from None
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        except KeyboardInterrupt:
            tell("interrupted; nothing more was written", sort="Error")
            raise click.exceptions.Exit(INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001 - the last resort: one line for any other error
            code, message = _explain(error)
            if ctx.meta.get(DEBUG):
                traceback.print_exception(error)
            tell(message, sort="Internal error" if code == INTERNAL else "Error")
            raise click.exceptions.Exit(code) from None


def _explain(error: Exception) -> tuple[int, str]:
    """Return the exit code and the message for an exception."""
    if isinstance(error, MissingDependency):
        return INVALID, f"{error}; lumpability doctor shows what is installed"
    if isinstance(error, InvalidInput) and "option" in error.evidence:
        return USAGE, _for_the_shell(str(error))
    if isinstance(error, InvalidInput | NotJustified):
        return INVALID, _for_the_shell(str(error))
    if isinstance(error, NoConvergence | NoFiniteBound):  # asked for more than can be proved
        return NO, _for_the_shell(str(error))
    if isinstance(error, MemoryError):
        return INVALID, "the model does not fit into memory"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return INVALID, f"{where}{error.strerror}"
    if isinstance(error, LumpabilityError):  # an engine found its own answer wrong
        return INTERNAL, str(error).removeprefix("internal error: ")
    return INTERNAL, (
        f"{type(error).__name__}: {' '.join(str(error).split())}. This is a bug in lumpability: please "
        "report it with the command, the model and what lumpability doctor prints; --debug shows where it "
        "happened."
    )


def _for_the_shell(message: str) -> str:
    """Say arguments of Python functions as options of commands.

    >>> _for_the_shell("pass normalize=True, or use kind='exact'")
    'pass --normalize, or use --kind exact'
    """
    message = _GIVEN.sub(r"--\1", message)
    message = re.sub(r"\bmax_bytes\b", "--max-bytes", message.replace("digits=N", "--digits N"))
    message = _CHOICE.sub(lambda found: f"{dashed(found[1])} {found[3]}", message)
    return _FILE.sub(r"--\1 FILE", message)


@contextmanager
def _warnings_told(ctx: click.Context) -> Iterator[None]:
    """Turn warnings meant for users into lines on stderr."""
    told: list[str] = ctx.meta.setdefault(WARNINGS, [])

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        told.append(_for_the_shell(str(message)))
        tell(told[-1], sort="Warning")

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
