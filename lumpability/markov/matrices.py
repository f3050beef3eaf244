"""Reading chains: matrices, lists of transitions, tables, step functions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, SizeLimit
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.foreign import frame_entries, is_frame, plain
from lumpability.numbers.parameters import is_positive
from lumpability.numbers.rationals import Reading
from lumpability.structure import WeightedStructure

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Array = np.ndarray[Any, np.dtype[Any]]


def divide_rows(structure: WeightedStructure, divisors: ExactArray) -> WeightedStructure:
    """Divide row s by ``divisors[s]``, once for each distinct pair of entry and divisor.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(2, [0, 0, 1], [0, 1, 0], [1, 2, 5])
    >>> divide_rows(structure, structure.row_sums()).row(0)
    [(0, Fraction(1, 3)), (1, Fraction(2, 3))]
    """
    weights = structure.weights.combine(divisors.take(structure.sources()), operator.truediv)
    return WeightedStructure(structure.indptr, structure.indices, weights, structure.within)


def negative_codes(weights: ExactArray) -> Mask:
    """Return which distinct weights are negative.

    A parametric weight is negative if all its coefficients are, because parameters are positive.
    """
    return np.array([bool(value) and is_positive(-value) for value in weights.values], dtype=bool)


def with_loops(structure: WeightedStructure) -> WeightedStructure:
    """Give states without transitions a self-loop of weight one."""
    still = np.flatnonzero(np.diff(structure.indptr) == 0)
    return WeightedStructure.from_edges(
        structure.n,
        np.concatenate([structure.sources(), still]),
        np.concatenate([structure.indices, still]),
        structure.weights.concatenate(ExactArray.constant(Fraction(1), len(still))),
    )


def transitions(
    rates: Any, states: Iterable[Hashable] | None
) -> tuple[tuple[Hashable, ...], Array, Array, Any]:
    """Return names of states, and source, target and number of transitions given as a mapping, triples or a table.

    Without names, integers are in ascending order, other states in order of first mention.
    """
    ends, numbers = _columns(rates)
    names: tuple[Hashable, ...]
    if states is None and ends.dtype.kind in "iu":
        names, places = _numbered(ends)
    else:
        listed = ends.ravel().tolist()
        try:
            firsts = dict.fromkeys(listed)
        except TypeError as error:
            raise InvalidChain(f"a name of a state cannot be looked up ({error})") from None
        if states is not None:
            names = tuple(states)
        elif all(type(name) is int for name in firsts):
            names = tuple(sorted(firsts))
        else:
            names = tuple(firsts)
        known = {name: i for i, name in enumerate(names)}
        _refuse_strangers(ends, known, firsts)
        places = np.fromiter(map(known.__getitem__, listed), np.int64, len(listed)).reshape(-1, 2)
    return names, places[:, 0], places[:, 1], numbers


def _numbered(ends: Array) -> tuple[tuple[int, ...], Array]:
    """Return the integers that occur, ascending, and the place of each entry among them."""
    if not ends.size:
        return (), ends.astype(np.int64)
    low, high = int(ends.min()), int(ends.max())
    if high - low > 8 * ends.size:  # too thinly spread for a table
        unique, places = np.unique(ends, return_inverse=True)
        return tuple(unique.tolist()), places.reshape(ends.shape)
    present = np.zeros(high - low + 1, dtype=bool)
    present[ends - low] = True
    return tuple((np.flatnonzero(present) + low).tolist()), (np.cumsum(present) - 1)[ends - low]


def _refuse_strangers(ends: Array, known: Mapping[Hashable, int], firsts: Iterable[Any]) -> None:
    strangers = [name for name in firsts if name not in known]
    if strangers:
        stranger = strangers[0]
        source, target = next(pair for pair in ends.tolist() if stranger in pair)
        raise InvalidChain(
            f"transition {source!r} -> {target!r}: {stranger!r} is not in states", state=stranger
        )


def _columns(rates: Any) -> tuple[Array, Any]:
    """Return an array of sources and targets, shape (m, 2), and the numbers."""
    if hasattr(rates, "columns"):
        columns = list(rates.columns)
        number = next((c for c in ("rate", "probability", "weight") if c in columns), None)
        if number is None or "source" not in columns or "target" not in columns:
            raise InvalidChain(
                f"a table needs the columns source, target and rate; it has {', '.join(map(str, columns))}"
            )
        for name in ("source", "target"):
            if (missing := rates[name].isna()).any():
                raise InvalidChain(
                    f"row {rates.index.tolist()[int(missing.argmax())]!r} of the table has no {name}"
                )
        sides = [np.asarray(rates[name].to_numpy()) for name in ("source", "target")]
        values = rates[number].to_numpy()
        numbers = values if values.dtype.kind in "fiu" else values.tolist()
        if all(side.dtype.kind in "iu" for side in sides):
            return np.column_stack(sides), numbers
        pairs: Any = zip(*(rates[name].tolist() for name in ("source", "target")), strict=True)
    else:
        try:
            if isinstance(rates, Mapping):
                pairs, numbers = rates.keys(), list(rates.values())
            else:
                listed = [(source, target, number) for source, target, number in rates]
                pairs, numbers = [(s, t) for s, t, _ in listed], [number for *_, number in listed]
            pairs = [(source, target) for source, target in pairs]
        except (TypeError, ValueError) as error:
            raise InvalidChain(
                "transitions are a mapping (source, target) -> number, triples (source, target, number), or a "
                f"table ({error})"
            ) from None
    listed_pairs = list(pairs)
    ends = np.empty((len(listed_pairs), 2), dtype=object)
    for place, (source, target) in enumerate(listed_pairs):
        ends[place, 0], ends[place, 1] = source, target
    return ends, numbers


def read_matrix(
    matrix: Any, float_tolerance: float, states: Iterable[Hashable] | None = None
) -> tuple[WeightedStructure, Reading, Iterable[Hashable] | None]:
    """Read a dense or sparse matrix, or take a structure as it is; O(m).

    Also return the names of the states: the given ones, or those of a table's rows.
    """
    if is_frame(matrix):
        states, matrix = frame_entries(
            matrix, None if states is None else tuple(states), InvalidChain
        )
    return *_read_entries(plain(matrix), float_tolerance), states


def _read_entries(matrix: Any, float_tolerance: float) -> tuple[WeightedStructure, Reading]:
    if isinstance(matrix, WeightedStructure):
        return matrix, Reading()
    if hasattr(matrix, "tocsr"):
        rows = matrix.tocsr()
        _check_square(rows.shape)
        weights, reading = ExactArray.read(rows.data, float_tolerance=float_tolerance)
        return WeightedStructure.from_rows(rows.indptr, rows.indices, weights), reading
    return _read_dense(matrix, float_tolerance)


def _check_square(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        shown = " x ".join(map(str, shape))
        raise InvalidChain(f"the matrix must be square, not {shown}", shape=shape)


def _read_dense(matrix: Any, float_tolerance: float) -> tuple[WeightedStructure, Reading]:
    if not isinstance(matrix, np.ndarray):
        if not isinstance(matrix, Sequence) or not all(isinstance(x, Iterable) for x in matrix):
            raise InvalidChain(f"a {type(matrix).__name__} is not a matrix: give rows of numbers")
        rows = [list(row) for row in matrix]
        ragged = [row for row in rows if len(row) != len(rows)]
        if ragged:
            raise InvalidChain(
                f"the matrix must be square: it has {len(rows)} rows, one of {len(ragged[0])} entries"
            )
        matrix = np.empty((len(rows), len(rows)), dtype=object)
        for i, row in enumerate(rows):
            matrix[i, :] = row
    _check_square(matrix.shape)
    if matrix.dtype == object:
        sources, targets = np.nonzero(
            np.array([[x != 0 for x in row] for row in matrix], dtype=bool).reshape(matrix.shape)
        )
        entries: Any = matrix[sources, targets].tolist()
    elif matrix.dtype.kind in "fiub":
        sources, targets = np.nonzero(matrix)
        entries = matrix[sources, targets]
    else:
        raise InvalidChain(f"a matrix of {matrix.dtype} holds no numbers")
    weights, reading = ExactArray.read(entries, float_tolerance=float_tolerance)
    return WeightedStructure.from_edges(matrix.shape[0], sources, targets, weights), reading


def explore(
    step: Callable[[Any], Any], start: Hashable, max_states: int
) -> tuple[list[Hashable], Any, Any, list[Any]]:
    """Return reachable states, breadth first, and the sources, targets, weights between them."""
    number: dict[Hashable, int] = {start: 0}
    order: list[Hashable] = [start]
    sources: list[int] = []
    targets: list[int] = []
    weights: list[Any] = []
    for source, state in enumerate(order):  # `order` grows in this loop
        moves = step(state)
        for target, weight in moves.items() if isinstance(moves, Mapping) else moves:
            code = number.setdefault(target, len(order))
            if code == len(order):
                if code >= max_states:
                    raise SizeLimit(
                        f"more than {max_states} states are reachable from {start!r}: "
                        "raise max_states, or bound the model",
                        max_states=max_states,
                    )
                order.append(target)
            sources.append(source)
            targets.append(code)
            weights.append(weight)
    return order, np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64), weights
