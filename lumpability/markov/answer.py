"""The answer to one question: numbers by parameter, time, and block or state, each with a bound on its error."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from lumpability.errors import InvalidInput, require
from lumpability.markov.lumping import Lumping
from lumpability.notebook_hooks import Shown
from lumpability.vocabulary import count


def _decimal(value: Any) -> Any:
    """Return an exact number as an integer or the nearest float, if floats hold it; anything else unchanged."""
    if not isinstance(value, Fraction):
        return value
    if value.denominator == 1:
        return value.numerator
    try:
        return float(value) or value
    except OverflowError:
        return value


class AnswerRow(NamedTuple):
    """One number."""

    point: dict[str, Fraction]  # values of the parameters of a sweep
    time: Any  # None where the quantity has none
    name: Any  # of a block, a state, a label or a reward
    size: int  # the states that it stands for
    value: Any  # exact, a float, infinity or an expression of parameters
    error: float | None  # bound on the absolute error; 0 if exact, None if there is none


@dataclass(frozen=True, eq=False)
class Answer(Shown):
    """What `ask` returns.

    Attributes
    ----------
    quantity : str
    lumping : Lumping
        The lumping that keeps apart only what the question needs.
    parameters : tuple of str
        Those of the sweep.
    rows : tuple of AnswerRow

    Examples
    --------
    >>> from lumpability import DTMC
    >>> from lumpability.markov import ask
    >>> chain = DTMC([[0, "1/2", "1/2"], [0, 1, 0], [0, 0, 1]], labels={"won": [1]}, initial=0)
    >>> answer = ask(chain, "transient", times=[0, 5], label="won")
    >>> answer
    Answer(transient: 2 numbers from 3 blocks of 3 states)
    >>> [(row.time, row.value) for row in answer.rows]
    [(0, Fraction(0, 1)), (5, Fraction(1, 2))]
    """

    quantity: str
    lumping: Lumping
    parameters: tuple[str, ...]
    rows: tuple[AnswerRow, ...]

    @property
    def value(self) -> Any:
        """The number, if there is only one.

        Raises
        ------
        InvalidInput
            If there are several.
        """
        if len(self.rows) != 1:
            raise InvalidInput(f"the answer has {len(self.rows)} numbers: look at its rows")
        return self.rows[0].value

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `records`."""
        timed = ("time",) if any(row.time is not None for row in self.rows) else ()
        return (*self.parameters, *timed, "name", "states", "value", "error")

    def records(self) -> list[tuple[Any, ...]]:
        """Return the rows as plain tuples, for tables.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> from lumpability.markov import ask
        >>> line = CTMC.from_rates({("up", "down"): "x", ("down", "up"): 2}, labels={"ok": ["up"]})
        >>> answer = ask(line, label="ok", sweep={"x": [1, 2]})
        >>> answer.columns, answer.records()[0]
        (('x', 'name', 'states', 'value', 'error'), (Fraction(1, 1), 'ok', 2, Fraction(2, 3), 0.0))
        """
        timed = "time" in self.columns
        return [
            (
                *(row.point[name] for name in self.parameters),
                *((row.time,) if timed else ()),
                *row[2:],
            )
            for row in self.rows
        ]

    def to_csv(self) -> str:
        """Return the rows as text with commas, a line of names first.

        Numbers are decimals, as other programs read them; the last column has the values that are exact.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> from lumpability.markov import ask
        >>> line = CTMC.from_rates({("up", "down"): 1, ("down", "up"): 2}, labels={"ok": ["up"]})
        >>> print(ask(line).to_csv())
        name,states,value,error,exact
        up,1,0.6666666666666666,3.9e-17,2/3
        down,1,0.3333333333333333,1.9e-17,1/3
        <BLANKLINE>
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*self.columns, "exact"))
        for *before, value, error in self.records():
            number = _decimal(value)
            bound, exact = error, value if isinstance(value, Fraction) else ""
            if isinstance(value, Fraction) and isinstance(number, float):  # that of the rounding
                bound = float(f"{float(abs(value - Fraction(number))) * 1.05:.1e}")
            writer.writerow((*map(_decimal, before), number, bound, exact))
        return text.getvalue()

    def to_frame(self, *, exact: bool = False) -> Any:
        """Return a pandas DataFrame with a row for each number.

        Parameters
        ----------
        exact : bool
            Keep exact numbers, which are Fractions; by default they are rounded to floats.

        Raises
        ------
        MissingDependency
            If pandas is not installed.
        """
        pandas = require("pandas", extra="test")
        rows = self.records() if exact else [tuple(map(_decimal, row)) for row in self.records()]
        return pandas.DataFrame(rows, columns=list(self.columns))

    def __repr__(self) -> str:
        stats, numbers = self.lumping.stats, count(len(self.rows), "number")
        return f"Answer({self.quantity}: {numbers} from {stats.blocks} blocks of {stats.states} states)"
