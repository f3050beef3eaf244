"""Every law of refinement over every path of the engine.

One refiner goes every path for each input and insists on one answer, so that an input that is drawn once
tries them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain, repeat
from math import inf
from typing import Any

import pytest

from lumpability.numbers import exact_array
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.residues import moduli
from lumpability.partition import Partition
from lumpability.refinement import kernel, refine
from lumpability.refinement.kernel import arrays, follow, settle, sweep
from lumpability.structure import WeightedStructure
from lumpability.testing import assert_same_partition, parametrize_with_laws

HUGE = Fraction(10**40 + 7, 3**50)
SMALL_PRIMES = [3, 5, 7, 11, 13, 101, 10_007]


def by_engine(engine: str) -> Callable[..., Partition]:
    return lambda structure, within: refine(structure, within, engine=engine).partition


def kernel_with(*, threads: int = 1, **constants: Any) -> Callable:
    """The kernel with some constants changed, in whatever module they are."""
    modules = (kernel, settle, sweep, follow, arrays, exact_array)

    def path(structure: WeightedStructure, within: Partition) -> Partition:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in constants.items():
                patch.setattr(next(m for m in modules if hasattr(m, name)), name, value)
            return kernel.refine(structure, within, threads=threads)

    return path


def reweighted(
    change: Callable[[Fraction], Any], path: Callable[..., Partition]
) -> Callable[..., Partition]:
    """The same path with other weights, of which the same sums are equal."""

    def changed(structure: WeightedStructure, within: Partition) -> Partition:
        weights = ExactArray.read([change(weight) for weight in structure.weights])[0]
        other = WeightedStructure.from_rows(structure.indptr, structure.indices, weights)
        return path(other, within)

    return changed


def only_primes(components: tuple[ExactArray, ...]) -> Iterator[int]:
    """The moduli without 2^64."""
    return filter(None, moduli(components))


def times_parameter(weight: Fraction) -> str:
    return f"({weight})*mu/(1 + nu)"


PATHS: dict[str, Callable[..., Partition]] = {
    "definition": by_engine("definition"),
    "worklist": by_engine("worklist"),
    "rounds": by_engine("rounds"),
    "kernel": by_engine("kernel"),
    "kernel, single thread": kernel_with(_ROW_LENGTH=0),
    "kernel, several threads": kernel_with(
        threads=3, _ROW_LENGTH=0, _HAND_OUT_COST=0, _FETCH_COST=0
    ),
    "kernel, settling rows of any length": kernel_with(_ROW_LENGTH=inf),
    "kernel, only sweeping": kernel_with(_ROW_LENGTH=0, _EAGER=inf, _TRANSPOSE_COST=inf),
    "kernel, following": kernel_with(_ROW_LENGTH=0, _SWEEP_COST=1e9),
    "kernel, following in small budgets": kernel_with(_ROW_LENGTH=0, _SWEEP_COST=1e9, _BUDGET=1),
    "kernel, modulo primes": kernel_with(_ROW_LENGTH=0, moduli=only_primes),
    "kernel, following modulo primes": kernel_with(
        _ROW_LENGTH=0, moduli=only_primes, _SWEEP_COST=1e9
    ),
    "kernel, primes that collide": kernel_with(
        _ROW_LENGTH=0, moduli=lambda _: chain(SMALL_PRIMES, repeat(1_000_003))
    ),
    "residues of fractions": kernel_with(_NARROW_BITS=-1),
    "big integers, worklist": reweighted(lambda weight: weight * HUGE, by_engine("worklist")),
    "big integers, kernel": reweighted(lambda weight: weight * HUGE, by_engine("kernel")),
    "symbolic, worklist": reweighted(times_parameter, by_engine("worklist")),
    "symbolic, rounds": reweighted(times_parameter, by_engine("rounds")),
}


def everywhere(structure: WeightedStructure, within: Partition) -> Partition:
    """Go every path; all have to arrive where the reference does, whose answers the laws test by definitions."""
    expected = PATHS["definition"](structure, within)
    for name, path in PATHS.items():
        try:
            assert_same_partition(path(structure, within), expected)
        except AssertionError as different:
            raise AssertionError(f"on the path {name!r}: {different}") from None
    return expected


@parametrize_with_laws(everywhere)
def test_every_path_of_the_engine_obeys(law: Callable[[], None]) -> None:
    law()
