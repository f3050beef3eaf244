"""The frame of every command: progress on stderr while it works, then its outcome on stdout, and an exit code.

A command is a function that returns an `Outcome`.  The outcome is shown as tables or lines for people, or with
--json as one document, after all files are in place.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from lumpability import __version__
from lumpability.cli.console import Stages, show
from lumpability.cli.failures import DEBUG, NO, WARNINGS, tell
from lumpability.files import together, writing
from lumpability.show.text import Table, printable


@dataclass(frozen=True)
class Outcome:
    """What a command found."""

    # Returns what --json prints, plain data for `json.dumps`; exact numbers are texts such as "1/3".
    data: Callable[[], dict[str, Any]]
    tables: Sequence[Table] = ()
    text: str = ""  # printed in place of tables
    read: Path | None = None  # a table of files follows: this one, and those that were written
    # By their names in JSON, None for one that was not asked for; "report" is the document itself.
    written: Mapping[str, Path | None] = field(default_factory=dict)
    hint: str = ""  # a line on stderr for people
    holds: bool = True  # otherwise the exit code is 1

    def document(self, command: str, seconds: dict[str, float], warnings: list[str]) -> str:
        """Return the one JSON document of a command."""
        names = {name: None if file is None else str(file) for name, file in self.written.items()}
        whole = {
            "lumpability": __version__,
            "command": command,
            **self.data(),
            **({"written": names} if names else {}),
            "seconds": seconds,
            "warnings": warnings,
        }
        return json.dumps(whole, indent=2)

    def show(self, seconds: dict[str, float]) -> None:
        """Print tables, or the text, and the hint."""
        files = [] if self.read is None else [self._files(self.read, seconds)]
        if self.text:
            click.echo("\n".join(map(printable, self.text.split("\n"))))
        elif self.tables:
            show(*self.tables, *files)
        if self.hint:
            tell(self.hint)

    def _files(self, read: Path, seconds: dict[str, float]) -> Table:
        took = f"  ({seconds['reading']:.2f} s)" if "reading" in seconds else ""
        files = [("read", f"{read}{took}")]
        files += [("written", str(file)) for file in self.written.values() if file is not None]
        return Table("files", tuple(files))


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG] = True


DEBUGGING = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    help="Show the traceback of an error.",
)
_JSON = click.Option(
    ["--json", "as_json"], is_flag=True, help="Print one JSON document to stdout, nothing else."
)


def command(
    name: str, *, examples: str, in_json: bool = True
) -> Callable[[Callable[..., Outcome]], click.Command]:
    """Make a command of a function that gets its stages and options and returns its outcome.

    - examples: the end of its help
    - in_json: whether the command has --json
    """

    def decorate(work: Callable[..., Outcome]) -> click.Command:
        @functools.wraps(work)
        def run(as_json: bool = False, **given: Any) -> None:
            context = click.get_current_context()
            with Stages() as stages, together():
                outcome = work(stages, **given)
                text, report = "", outcome.written.get("report")
                if as_json or report is not None:
                    told = context.meta[WARNINGS]
                    text = outcome.document(str(context.info_name), stages.seconds, told)
                if report is not None:
                    with writing(report) as stream:
                        stream.write(f"{text}\n".encode())
            if as_json:
                click.echo(text)
            else:
                outcome.show(stages.seconds)
            if not outcome.holds:
                context.exit(NO)

        made = click.command(name, epilog=examples)(run)
        made.params += [*([_JSON] if in_json else []), DEBUGGING]
        return made

    return decorate
