"""The result of a solver: numbers, the method that found them, and bounds on their errors."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from lumpability.errors import InvalidInput, InvalidValue, require
from lumpability.markov.attributes import States
from lumpability.markov.chains import MarkovChain
from lumpability.markov.parametric import parameters_in, read_point, substitute_array
from lumpability.notebook_hooks import Shown
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.parameters import to_expression

Floats = np.ndarray[Any, np.dtype[np.float64]]
Method = Literal["auto", "exact", "direct", "iterative"]
METHODS: tuple[Method, ...] = ("auto", "exact", "direct", "iterative")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all, or 0 where unknown); an exception from it stops the solver."""

EXACT_UP_TO, EXACT_BITS = 64, 20_000
"""States, and bits of the common denominator, up to which "auto" computes in exact arithmetic."""
ITERATIONS_FIRST = 600
"""Iterations that "auto" tries before it factorises the matrix.

If iterations converge slowly, the chain mixes slowly; then it has small separators, and its factors are
sparse.  If it mixes fast, the factors are dense, but few iterations are needed.
"""


@dataclass(frozen=True)
class Effort:
    """The method for solving equations, and the limits of the attempt."""

    method: Method = "auto"  # {"auto", "exact", "direct", "iterative"}
    tolerance: float = 1e-12  # relative, of the iteration
    max_iterations: int = 10_000
    progress: Progress | None = None

    def attempts(self) -> list[Effort]:
        """Return the numerical methods to try, in order."""
        if self.method != "auto":
            return [self]
        few = min(self.max_iterations, ITERATIONS_FIRST)
        return [
            replace(self, method="iterative", max_iterations=few),
            replace(self, method="direct"),
        ]


@dataclass(frozen=True, eq=False)
class Solution(Shown):
    """One number for each state (or block), exact or in floating point.

    Attributes
    ----------
    finite : ExactArray or array of float, shape (n,)
        Exact if `method` is "exact"; zero where the quantity is infinite.
    method : str
        "exact", "direct" or "iterative", "uniformization" or "powers".
    residual : float
        Largest absolute residual of the equations solved, computed afterwards; 0 if exact.
    error_bound : float or None
        Proved bound on the error, rounding included: of the sum of absolute values of a distribution, of
        every entry of times, probabilities and rewards by state; 0 if exact, None if there is none.
    relative_error : float or None
        Proved bound on the relative error of every entry; 0 if exact, None if there is none.
    iterations : int
    infinite : array of bool or None, shape (n,)
        Where the quantity is infinite.
    states : States or None
        The states of the chain, by whose names numbers are found.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> from lumpability.markov.solve import stationary
    >>> stationary(CTMC([[0, 1], [2, 0]]))
    Solution([2/3, 1/3], exact)
    """

    finite: ExactArray | Floats
    method: str
    residual: float = 0.0
    error_bound: float | None = None
    relative_error: float | None = None
    iterations: int = 0
    infinite: np.ndarray[Any, np.dtype[np.bool_]] | None = None
    states: States | None = None

    def __post_init__(self) -> None:
        if self.is_exact:
            object.__setattr__(self, "error_bound", 0.0)
            object.__setattr__(self, "relative_error", 0.0)

    @property
    def values(self) -> ExactArray | Floats:
        """The numbers, all of them finite, shape (n,).

        Raises
        ------
        InvalidValue
            If one is infinite: use `floats`, or `finite` and `infinite`.
        """
        if self.infinite is not None and self.infinite.any():
            state = int(np.flatnonzero(self.infinite)[0])
            raise InvalidValue(
                f"the value of state {state} is infinite: use floats(), or finite with infinite",
                index=state,
            )
        return self.finite

    @property
    def is_exact(self) -> bool:
        """Whether the values are exact."""
        return isinstance(self.finite, ExactArray)

    def floats(self) -> Floats:
        """Return the values as floats, shape (n,), infinite ones as infinity.

        Raises
        ------
        InvalidValue
            If parameters occur.
        """
        finite = self.finite
        result = finite.to_floats() if isinstance(finite, ExactArray) else finite.copy()
        if self.infinite is not None:
            result[self.infinite] = math.inf
        return result

    def __len__(self) -> int:
        return len(self.finite)

    def __getitem__(self, state: Any) -> Any:
        """Return the number of a state, by its name or, if that is no name, by its position.

        A rational function is returned as an expression of sympy.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> from lumpability.markov.solve import stationary
        >>> stationary(CTMC.from_rates({("up", "down"): "a", ("down", "up"): "b"}))["up"]
        b/(a + b)
        """
        states = self.states
        if states is not None and (isinstance(state, str) or (states.named and state in states)):
            return self._at(states.index(state))
        return self._at(state)

    def _at(self, index: int) -> Any:
        if self.infinite is not None and self.infinite[index]:
            return math.inf
        value = self.finite[index]
        return to_expression(value) if hasattr(value, "as_expr") else value

    def __iter__(self) -> Iterator[Any]:
        return (self._at(i) for i in range(len(self)))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Return pairs of a state and its number.

        Examples
        --------
        >>> from lumpability import CTMC
        >>> from lumpability.markov.solve import stationary
        >>> list(stationary(CTMC.from_rates({("up", "down"): 1, ("down", "up"): 2})).items())
        [('up', Fraction(2, 3)), ('down', Fraction(1, 3))]
        """
        return zip(range(len(self)) if self.states is None else self.states, self, strict=True)

    def to_series(self) -> Any:
        """Return a pandas Series by state: of floats, or of exact numbers and expressions.

        Raises
        ------
        MissingDependency
            If pandas is not installed.
        """
        pandas = require("pandas", extra="test")
        index, values = zip(*self.items(), strict=True) if len(self) else ((), ())
        return pandas.Series(
            list(values),
            index=pandas.Index(list(index), name="state", tupleize_cols=False),
            name="value",
        )

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with the column ``value``, by state; see `to_series`."""
        return self.to_series().to_frame()

    def subs(self, values: Mapping[Any, Any]) -> Solution:
        """Return the solution for numbers, or other expressions, in place of parameters.

        Parameters
        ----------
        values : mapping from parameter (sympy symbol or its name) to number or expression

        Examples
        --------
        >>> from lumpability import CTMC
        >>> from lumpability.markov.solve import stationary
        >>> stationary(CTMC.from_rates({("up", "down"): "a", ("down", "up"): "b"})).subs({"a": 1, "b": 2})
        Solution([2/3, 1/3], exact)
        """
        if not isinstance(self.finite, ExactArray):
            raise InvalidInput("a solution in floating point holds no parameters")
        point = read_point(values, parameters_in([self.finite]))
        return replace(self, finite=substitute_array(self.finite, point))

    def __repr__(self) -> str:
        if self.is_exact:
            about = "exact"
        elif self.relative_error is not None:
            about = f"{self.method}, relative error at most {self.relative_error:.1e}"
        elif self.error_bound is not None:
            about = f"{self.method}, error at most {self.error_bound:.1e}"
        else:
            about = f"{self.method}, residual {self.residual:.1e}"
        if len(self) > 12:
            return f"Solution({len(self)} numbers, {about})"
        shown = (str(x) if self.is_exact else f"{x:.6g}" for x in self)
        return f"Solution([{', '.join(shown)}], {about})"


def choose_method(chain: MarkovChain, method: Method, size: int) -> Method:
    """Settle whether "auto" is exact; refuse floating point for symbolic chains.

    Raises `InvalidInput` for an unknown method, or a numerical one with parameters.

    - returns Method: "auto" now means to iterate first and to factorise if that does not converge
    """
    if method not in METHODS:
        raise InvalidInput(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    if not chain.is_rational:
        if method not in ("auto", "exact"):
            raise InvalidInput("a chain with parameters has no numbers: use chain.subs(...) first")
        return "exact"
    if method != "auto":
        return method
    if size > EXACT_UP_TO:
        return "auto"
    weights = chain.matrix.weights
    tiny = any(0 < abs(x) < sys.float_info.min for x in weights.values)  # which floats cannot hold
    return "exact" if tiny or weights.is_within(EXACT_BITS) else "auto"
