"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli.failures import DEBUG
from lumpability.markov import KINDS
from lumpability.numbers.rationals import DEFAULT_TOLERANCE

__all__ = [
    "Read",
    "Write",
    "debug_option",
    "file_argument",
    "initial_option",
    "json_option",
    "kind_option",
    "names",
    "reading_options",
    "respect_option",
    "writing_options",
]

Command = Callable[..., Any]
Read = Callable[[Path], Any]
Write = Callable[[Any, Path], None]


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
    """Add the options that say how models are read; the command gets `read`, a function of a path."""

    @functools.wraps(command)
    def with_read(
        *arguments: Any,
        tolerance: float,
        normalize: bool,
        chain_type: str | None,
        constants: str | None,
        **others: Any,
    ) -> Any:
        asked = {"type": chain_type, "constants": constants}
        options = {name: value for name, value in asked.items() if value is not None}
        read = functools.partial(formats.read, tolerance=tolerance, normalize=normalize, **options)
        return command(*arguments, read=read, **others)

    for option in reversed(_READING):
        with_read = option(with_read)
    return with_read


_READING = (
    click.option(
        "--tolerance",
        type=float,
        default=DEFAULT_TOLERANCE,
        show_default=True,
        metavar="T",
        callback=_tolerance,
        help="Largest relative change when a float is read as the rational that was meant "
        "(0.050000000000000044 as 1/20); 0 takes binary values literally, as networks always do.",
    ),
    click.option(
        "--normalize",
        is_flag=True,
        help="Accept rows that do not sum as they must: rescale probabilities, take a generator's "
        "diagonal from its rates. The result says by how much.",
    ),
    click.option(
        "--type",
        "chain_type",
        type=click.Choice(["ctmc", "dtmc"]),
        help="What a .tra file holds, if it does not say.",
    ),
    click.option(
        "--constants", metavar="N=3,...", help="Constants of a PRISM or JANI source file."
    ),
)


def writing_options(command: Command) -> Command:
    """Add the options that say how models are written; the command gets `write`."""

    @functools.wraps(command)
    def with_write(*arguments: Any, doubles: bool, **others: Any) -> Any:
        options = {"value_type": "double"} if doubles else {}
        return command(*arguments, write=functools.partial(formats.write, **options), **others)

    return click.option(
        "--doubles",
        is_flag=True,
        help="Write the nearest doubles instead of exact rationals, for tools that read no others.",
    )(with_write)


def kind_option(command: Command) -> Command:
    """Add --kind."""
    return click.option(
        "--kind",
        type=click.Choice(list(KINDS)),
        help="The notion of lumpability: any for chains, proportional or exact for networks.  "
        "[default: ordinary for chains, proportional for networks]",
    )(command)


def respect_option(command: Command) -> Command:
    """Add --respect."""
    return click.option(
        "--respect",
        metavar="NAMES",
        multiple=True,
        callback=names,
        help="Chains: what a block may not mix, separated by commas: labels, rewards, initial, or single "
        'ones by name (label:up or up). --respect "" is nothing.  [default: labels,rewards]',
    )(command)


def initial_option(command: Command) -> Command:
    """Add --initial."""
    return click.option(
        "--initial",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Chains: a partition that must be refined as well (same form as for check).",
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
