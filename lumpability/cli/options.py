"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lumpability.cli.failures import DEBUG
from lumpability.markov import KINDS
from lumpability.rationals import DEFAULT_TOLERANCE

__all__ = [
    "debug_option",
    "file_argument",
    "json_option",
    "kind_option",
    "names",
    "reading_options",
]

Command = Callable[..., Any]


def file_argument(name: str) -> Callable[[Command], Command]:
    """Return an argument that is a path; whether the file is there, reading it will say."""
    return click.argument(name, type=click.Path(path_type=Path))


def names(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> Any:
    """Split what a repeatable option was given at commas; None if it was not given."""
    return [name for item in value for name in item.split(",") if name] if value else None


def _tolerance(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 <= value < 1 or math.isnan(value):
        raise click.BadParameter(f"{value} is not a relative change: give 0 or a small number")
    return value


def reading_options(command: Command) -> Command:
    """Add the options that say how numbers are read."""
    command = click.option(
        "--normalize",
        is_flag=True,
        help="Accept rows that do not sum as they must: rescale probabilities, take a generator's "
        "diagonal from its rates. The result says by how much.",
    )(command)
    return click.option(
        "--tolerance",
        type=float,
        default=DEFAULT_TOLERANCE,
        show_default=True,
        metavar="T",
        callback=_tolerance,
        help="Largest relative change when a float is read as the rational that was meant "
        "(0.050000000000000044 as 1/20); 0 takes binary values literally.",
    )(command)


def kind_option(command: Command) -> Command:
    """Add --kind."""
    return click.option(
        "--kind",
        type=click.Choice(list(KINDS)),
        help="The notion of lumpability.  [default: ordinary for chains]",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document to stdout, nothing else."
    )(command)


def _set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG] = True


def debug_option(command: Command) -> Command:
    """Add --debug."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )(command)
