"""Storm's side, through stormpy: building from compressed rows, refining, reading the quotient back.

The fastest way that stormpy offers is taken at every step.  Exact numbers: its refinement takes doubles
and rational functions only, so rationals travel as constant rational functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import stormpy
from stormpy import datastructures, models
from stormpy.numbers.developer import cln
from stormpy.transformations import BisimulationType, perform_bisimulation

__all__ = ["build", "double", "model_of", "rational", "read_back", "refine"]

_CHUNK = 1 << 17  # transitions that are Python numbers at a time

Array = np.ndarray[Any, Any]


def build(
    indptr: Array,
    indices: Array,
    values: Callable[[int, int], list[Any]],
    labels: Mapping[str, Array],
    *,
    kind: type = float,
    continuous: bool,
) -> Any:
    """Return a sparse model; ``values(low, high)`` gives the numbers of transitions low .. high-1."""
    n, m = len(indptr) - 1, len(indices)
    sources = np.repeat(np.arange(n, dtype=np.int32), np.diff(indptr))
    builder = datastructures.SparseMatrixBuilder[kind](rows=n, columns=n, entries=m)
    for low in range(0, m, _CHUNK):
        high = min(low + _CHUNK, m)
        builder.add_next_values(
            sources[low:high].tolist(), indices[low:high].tolist(), values(low, high)
        )
    labeling = models.StateLabeling(n)
    for name, mask in {**labels, "init": np.arange(n) == 0}.items():
        labeling.add_label(name)
        carriers = datastructures.BitVector(n, np.flatnonzero(mask).tolist())
        labeling.set_states(name, carriers)
    components = models.SparseModelComponents[kind](
        transition_matrix=builder.build(),
        state_labeling=labeling,
        reward_models={},
        rate_transitions=continuous,
    )
    return (models.SparseCtmc if continuous else models.SparseDtmc)[kind](components)


def double(value: Fraction) -> float:
    return float(value)


def rational(value: Fraction) -> Any:
    """A constant rational function."""
    return stormpy.RationalFunction(cln.FactorizedPolynomial(cln.Rational(str(value))))


def model_of(chain: Any, *, exact: bool) -> Any:
    """Build from a chain; each distinct number is converted once."""
    weights = chain.matrix.weights
    table = [(rational if exact else double)(value) for value in weights.values]

    def values(low: int, high: int) -> list[Any]:
        return [table[code] for code in weights.codes[low:high].tolist()]

    return build(
        chain.matrix.indptr,
        chain.matrix.indices,
        values,
        chain.labels,
        kind=stormpy.RationalFunction if exact else float,
        continuous=chain.time == "continuous",
    )


def refine(model: Any) -> Any:
    """Return the quotient by strong bisimulation that respects all labels."""
    return perform_bisimulation(model, None, bisimulation_type=BisimulationType.STRONG)


def read_back(quotient: Any) -> tuple[Array, Array, Array]:
    """Return the quotient's matrix as compressed rows; stormpy has no state-to-block map to return."""
    n, m = quotient.nr_states, quotient.nr_transitions
    matrix = quotient.transition_matrix
    pairs = ((entry.column, entry.value) for entry in matrix.row_iter(0, n - 1))
    entries = np.fromiter(pairs, dtype=[("column", np.int32), ("value", float)], count=m)
    indptr = np.zeros(n + 1, dtype=np.int64)
    np.cumsum([len(matrix.get_row(row)) for row in range(n)], out=indptr[1:])
    return indptr, entries["column"].copy(), entries["value"].copy()
