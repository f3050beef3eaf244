"""What a command found: once as plain data for --json, once as tables for people.

Every class of model says for itself what there is to say about it, its lumping and a check; the
functions below dispatch on the class, as `lumpability.verbs` does (`lumpability.cli.chains` registers chains).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.show.text import Table

__all__ = ["Report", "describe", "judge", "summarise"]


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
def summarise(lumping: Any) -> Report:
    """Report what a lumping achieved, what it is proved by, and its largest blocks."""
    raise NotImplementedError(f"no summary of a {type(lumping).__name__}")


@singledispatch
def judge(model: Any, partition: Partition, verdict: Verdict) -> Report:
    """Report whether a partition is a lumping, with the witness if it is not."""
    raise NotImplementedError(f"no report on a check of a {type(model).__name__}")
