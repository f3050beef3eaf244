"""Markov chains in continuous and discrete time, with exact rates and probabilities.

A CTMC is given by rates r(s, u) >= 0 (1/time); its generator is Q[s, u] = r(s, u) for u != s with
Q[s, s] = - sum over u != s of r(s, u), so rows sum to zero and p'(t) = p(t) Q.  A self-loop r(s, s)
does not change Q, and therefore changes no probability; it is kept because bisimulation depends on it.
A DTMC is given by a stochastic matrix P: rows sum to one, p_{k+1} = p_k P.
Numbers are read exactly (`lumpability.numbers.rationals`).  Rows with a wrong sum are refused, or rescaled
on request; they are never repaired silently.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from lumpability.errors import InvalidChain
from lumpability.markov.base import MarkovChain
from lumpability.markov.matrices import divide_rows, negative_codes
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import gather
from lumpability.numbers.rationals import shown
from lumpability.structure import WeightedStructure

__all__ = ["CTMC", "DTMC", "MarkovChain"]

_ROUNDING = Fraction(1, 10**12)


class CTMC(MarkovChain):
    """A continuous-time Markov chain.

    Parameters
    ----------
    matrix : array_like, scipy sparse matrix or WeightedStructure, shape (n, n)
        A generator (rows sum to zero, diagonal negative) or rates (no negative entry; a diagonal
        entry is a self-loop), in 1/time.
    states : iterable of hashable, optional
        State names; 0 .. n-1 by default.
    labels : mapping of str to states, boolean array or predicate, optional
    rewards : mapping of str to `Reward`, array or mapping from states, optional
    initial : state, mapping from states or array, optional
        Initial distribution.
    normalize : bool
        Accept a generator whose rows do not sum to zero, taking the diagonal from the rates.
    float_tolerance : float
        Largest relative change when a float is read as the rational that was meant; 0 reads floats
        literally.

    Raises
    ------
    InvalidChain
        For a negative rate, or a row that does not sum to zero; carries ``row``.
    InvalidValue
        For an entry that is not a number.

    Examples
    --------
    >>> CTMC([[-0.3, 0.1, 0.2], [0, 0, 0], [1, 0, -1]])
    CTMC(3 states, 3 transitions)
    >>> CTMC([[-0.3, 0.1], [0, 0]])
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidChain: row 0 of the generator sums to -1/5, not to 0; correct it, leave the diagonal out, or pass normalize=True to take it from the rates
    """

    time = "continuous"

    def _validated(self, structure: WeightedStructure, normalize: bool) -> WeightedStructure:
        negative = negative_codes(structure.weights)
        if not negative.any():
            return structure
        bad = gather(negative, structure.weights.codes)
        bad[structure.loops()] = False
        if bad.any():
            _refuse_negative(self, structure, int(bad.argmax()), "rate")
        sums = structure.row_sums()
        if sums.values == (0,):
            return structure.without_diagonal()
        wrong = np.flatnonzero(sums.where(bool))
        if len(wrong) and not normalize:
            row = int(wrong[0])
            raise InvalidChain(
                f"row {self.states[row]!r} of the generator sums to {shown(sums[row])}, not to 0; correct it, "
                "leave the diagonal out, or pass normalize=True to take it from the rates",
                row=row,
                total=sums[row],
            )
        if len(wrong):
            self.rescaled = max(abs(value) for value in sums.values)
        return structure.without_diagonal()

    @property
    def exit_rates(self) -> ExactArray:
        """Total rate out of every state, self-loops excluded, shape (n,).

        Examples
        --------
        >>> CTMC([[5, 2], [1, 0]]).exit_rates
        ExactArray([2, 1])
        """
        return self.matrix.without_diagonal().row_sums()

    def generator(self) -> WeightedStructure:
        """Return the generator Q, whose rows sum to zero; built on each call, O(m).

        Examples
        --------
        >>> CTMC([[5, 2], [0, 0]]).generator().row(0)
        [(0, Fraction(-2, 1)), (1, Fraction(2, 1))]
        """
        return replace(self.matrix, closed=True).explicit()


class DTMC(MarkovChain):
    """A discrete-time Markov chain.

    Parameters
    ----------
    matrix : array_like, scipy sparse matrix or WeightedStructure, shape (n, n)
        A stochastic matrix: no negative entry, every row sums to one.
    states, labels, rewards, initial, float_tolerance
        As for `CTMC`.
    normalize : bool
        Divide every row by its sum, exactly, as is done without asking for floats whose rows sum to one
        but for 1e-12; ``rescaled`` is the largest distance of a sum from 1.
    absorbing : bool
        Give states without transitions a self-loop of probability 1.

    Raises
    ------
    InvalidChain
        For a negative probability, or a row that does not sum to one; carries ``row``.

    Examples
    --------
    >>> DTMC([[0.1, 0.9], [1, 0]])
    DTMC(2 states, 3 transitions)
    >>> DTMC([[0.1, 0.8999], [1, 0]])
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidChain: row 0 sums to 9999/10000 (off by -0.0001), not to 1; correct it, or pass normalize=True to rescale
    """

    time = "discrete"

    def _validated(self, structure: WeightedStructure, normalize: bool) -> WeightedStructure:
        negative = negative_codes(structure.weights)
        if negative.any():
            first = int(np.flatnonzero(negative[structure.weights.codes])[0])
            _refuse_negative(self, structure, first, "probability")
        sums = structure.row_sums()
        if sums.values == (1,):
            return structure
        wrong = np.flatnonzero(sums.where(lambda value: value != 1))
        if not len(wrong):
            return structure
        row = int(wrong[0])
        if sums[row] == 0:
            raise InvalidChain(
                f"row {self.states[row]!r} has no transitions; if the state is absorbing give it a self-loop of "
                "probability 1, or pass absorbing=True to do so for all such rows",
                row=row,
                total=sums[row],
            )
        distance = max(abs(v - 1) if isinstance(v, Fraction) else Fraction(1) for v in sums.values)
        if self.reading.distinct and distance <= _ROUNDING:  # floats that were divided by their sum
            normalize = True
        near_one = isinstance(sums[row], Fraction) and abs(sums[row] - 1) < 1
        off = f" (off by {float(sums[row] - 1):.2g})" if near_one else ""
        if not normalize:
            raise InvalidChain(
                f"row {self.states[row]!r} sums to {shown(sums[row])}{off}, not to 1; correct it, or pass "
                "normalize=True to rescale",
                row=row,
                total=sums[row],
            )
        empty = next((code for code, value in enumerate(sums.values) if value == 0), None)
        if empty is not None:
            row = int(np.flatnonzero(sums.codes == empty)[0])
            raise InvalidChain(
                f"row {self.states[row]!r} has no transitions and cannot be rescaled to sum to 1; if the state is "
                "absorbing, pass absorbing=True",
                row=row,
            )
        self.rescaled = max(
            (abs(v - 1) for v in sums.values if isinstance(v, Fraction)), default=Fraction(0)
        )
        self.reading = replace(self.reading, rescaled=self.rescaled)
        return divide_rows(structure, sums)


def _refuse_negative(
    chain: MarkovChain, structure: WeightedStructure, entry: int, what: str
) -> None:
    source = int(np.searchsorted(structure.indptr, entry, side="right")) - 1
    target = int(structure.indices[entry])
    raise InvalidChain(
        f"the {what} of {chain.states[source]!r} -> {chain.states[target]!r} is negative: "
        f"{shown(structure.weights[entry])}",
        row=source,
        column=target,
        value=structure.weights[entry],
    )
