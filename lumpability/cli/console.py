"""Tables go to stdout, progress to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import click

from lumpability.show.text import Table, as_rich, as_text

if TYPE_CHECKING:
    from rich.progress import Progress


def show(*tables: Table) -> None:
    """Print tables to stdout: coloured and wrapped on a terminal, plain text elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(as_rich(tables))
    else:
        click.echo("\n\n".join(as_text(table) for table in tables))


class Stages:
    """The times of the stages of a command; on a terminal a line shows the stage that is running.

    Attributes
    ----------
    seconds : dict of str to float
        Time of every finished stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._display: Progress | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._display = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.stop()

    @contextmanager
    def __call__(self, name: str, detail: str = "") -> Iterator[None]:
        """Run one stage."""
        started = time.perf_counter()
        display = self._display
        task = None if display is None else display.add_task(name, total=None, detail=detail)
        yield
        self.seconds[name] = time.perf_counter() - started
        if display is not None and task is not None:
            display.remove_task(task)

    def detail(self, text: str) -> None:
        """Show how far the stage that runs has come, in words."""
        if self._display is not None:
            self._display.update(self._display.task_ids[-1], detail=text)

    def progress(self, blocks: int, states: int) -> None:
        """Show the progress of a refinement; `lump` calls this function."""
        if self._display is not None:
            self._display.update(
                self._display.task_ids[-1],
                completed=blocks,
                total=states,
                detail=f"{blocks:,} blocks of {states:,} states",
            )
