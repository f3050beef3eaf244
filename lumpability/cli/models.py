"""What a command found: once as plain data for --json, once as tables for people.

Every class of model says for itself what there is to say about it, its lumping and a check, and which
options it understands; the functions below dispatch on the class, as `lumpability.dispatch` does
(`lumpability.cli.chains` registers chains, `lumpability.cli.networks` networks).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import click

from lumpability.markov.attributes import States
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.refinement import Progress
from lumpability.show.text import Table

__all__ = [
    "Report",
    "arguments",
    "describe",
    "judge",
    "smaller",
    "summarise",
    "understood",
    "units",
]


@dataclass(frozen=True)
class Report:
    """The outcome of one step of a command.

    Attributes
    ----------
    data : dict
        What `json.dumps` accepts; exact numbers are texts such as "1/3".
    tables : tuple of Table
    """

    data: dict[str, Any]
    tables: tuple[Table, ...]


@singledispatch
def describe(model: Any) -> Report:
    """Report what a model is: sizes, names of labels, how its numbers were read."""
    raise NotImplementedError(f"no description of a {type(model).__name__}")


@singledispatch
def units(model: Any) -> States:
    """Return the names of what is merged, as partition files use them: states or neurons."""
    raise NotImplementedError(f"no names for a {type(model).__name__}")


@singledispatch
def arguments(
    model: Any, kind: str | None, given: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Return what `lump` is called with, besides the kind, for the options given on the command line.

    Raises
    ------
    UsageError
        If an option is not for this class of model.
    """
    raise NotImplementedError(f"no options for a {type(model).__name__}")


@singledispatch
def summarise(lumping: Any, **asked: Any) -> Report:
    """Report what a lumping achieved, what it is proved by, and whatever else was asked for."""
    raise NotImplementedError(f"no summary of a {type(lumping).__name__}")


@singledispatch
def judge(model: Any, partition: Partition, verdict: Verdict) -> Report:
    """Report whether a partition is a lumping, with the witness if it is not."""
    raise NotImplementedError(f"no report on a check of a {type(model).__name__}")


def understood(given: dict[str, Any], options: Collection[str], model: str) -> dict[str, Any]:
    """Return the options given, all of which must be among those that a sort of model has.

    Raises
    ------
    UsageError
        For the first that is not.
    """
    for name in given:
        if name not in options:
            others = ", ".join(f"--{option}" for option in options)
            raise click.UsageError(f"--{name} is not for {model}, which has {others}")
    return given


def smaller(before: int, after: int) -> str:
    """Say how many times smaller something has become.

    Examples
    --------
    >>> smaller(8, 3), smaller(151060, 126)
    ('2.67', '1,199')
    """
    ratio = before / after
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
