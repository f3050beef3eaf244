"""What is measured of one model.  Each task runs in a process of its own and returns plain numbers.

Times are medians; where two sides are compared, a run of one is followed by a run of the other.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability import CTMC, lump
from lumpability.markov import examples
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure
from suite import rounds
from suite.measuring import one_core, peak_beyond, seconds
from suite.models import Store
from suite.sides import Calls, medians_of_sides

__all__ = ["TASKS", "default_runs"]

Numbers = dict[str, float]

# Beyond 64 bits on both sides of the bar; both are prime.
_AWKWARD = Fraction(2**127 - 1, 2**89 - 1)
_ONCE_BEYOND = 30_000_000  # transitions: timed once
_ONCE_AFTER = 5  # seconds: what takes longer in one process is not repeated


def default_runs(transitions: int) -> int:
    """Return of how many runs the median is taken."""
    if transitions >= _ONCE_BEYOND:
        return 1
    return 7 if transitions < 1_000_000 else 5 if transitions < 10_000_000 else 3


def _few(runs: int, transitions: int) -> int:
    """Return how often to run what takes long."""
    return min(runs, 3 if transitions < 1_000_000 else 1)


def _ours(chain: Any, engine: str = "auto") -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the block count says when the answer is trivial
        return lump(chain, kind="bisimulation", respect="labels", engine=engine)


def _medians(sides: dict[str, Callable[[], object]], runs: int) -> Numbers:
    """Run the sides in turn."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            taken[name].append(seconds(side))
        if sum(times[0] for times in taken.values()) > _ONCE_AFTER:
            break
    return {name: statistics.median(times) for name, times in taken.items()}


def _sizes(chain: Any, lumping: Any) -> Numbers:
    return {"states": chain.n, "transitions": chain.matrix.m, "blocks": len(lumping.partition)}


def _our_side(store: Store, name: str) -> tuple[Numbers, Calls]:
    chain = store.load(name)

    def on_one_core() -> Any:
        with one_core():
            return _ours(chain)

    _warm_up(chain)
    lumping = _ours(chain)
    if chain.matrix.m < _ONCE_BEYOND:
        assert np.array_equal(on_one_core().partition.labels, lumping.partition.labels)
    calls: Calls = {"ours": lambda: _ours(chain), "ours_one_core": on_one_core}
    return _sizes(chain, lumping), calls


def _storm_side(store: Store, name: str) -> tuple[Numbers, Calls]:
    from suite import storm

    model = storm.model_of(store.load(name), exact=False)
    blocks = float(storm.refine(model).nr_states)
    return {"storm_blocks": blocks}, {"storm": lambda: storm.refine(model)}


def time_refinement(store: Store, name: str, runs: int) -> Numbers:
    """Chain in memory to quotient in memory: ours on all cores and on one, Storm in doubles."""
    sides = [(_storm_side, (store, name)), (_our_side, (store, name))]
    facts, times = medians_of_sides(sides, runs)
    return {**facts, **times, "runs": runs}


def time_kernel(store: Store, name: str, runs: int) -> Numbers:
    """Only ours, compiled at every size."""
    chain = store.load(name)
    sizes = _sizes(chain, _ours(chain, "kernel"))
    return {**sizes, **_medians({"kernel": lambda: _ours(chain, "kernel")}, runs), "runs": runs}


def time_for_user(store: Store, name: str, runs: int) -> Numbers:
    """From scipy's compressed rows and label masks to arrays of the quotient, step by step."""
    from suite import storm

    chain = store.load(name)
    kind, labels = type(chain), chain.labels
    rows = chain.matrix.to_scipy()
    continuous = chain.time == "continuous"
    _warm_up(chain)
    del chain
    at: dict[str, Any] = {}

    def build_ours() -> None:
        at["chain"] = kind(rows, labels=labels, initial=0)

    def lump_ours() -> None:
        at["lumping"] = _ours(at["chain"])

    def arrays_ours() -> None:
        at["arrays"] = at["lumping"].partition.labels, at["lumping"].quotient.matrix.to_scipy()

    def build_storm() -> None:
        at["model"] = storm.build(
            rows.indptr,
            rows.indices,
            lambda low, high: rows.data[low:high].tolist(),
            labels,
            continuous=continuous,
        )

    def lump_storm() -> None:
        at["storm_quotient"] = storm.refine(at["model"])

    def arrays_storm() -> None:
        at["storm_arrays"] = storm.read_back(at["storm_quotient"])

    runs = _few(runs, rows.nnz)
    steps = (build_ours, lump_ours, arrays_ours, build_storm, lump_storm, arrays_storm)
    return {**_medians({step.__name__: step for step in steps}, runs), "runs": runs}


def time_rational_storm(store: Store, name: str, runs: int) -> Numbers:
    """Storm in exact rationals."""
    from suite import storm

    model = storm.model_of(store.load(name), exact=True)
    found: list[int] = []
    runs = _few(runs, model.nr_transitions)
    return {
        **_medians({"rational": lambda: found.append(storm.refine(model).nr_states)}, runs),
        "rational_blocks": found[0],
        "runs": runs,
    }


def time_numpy(store: Store, name: str, runs: int) -> Numbers:
    """The baseline of plain numpy."""
    chain = store.load(name)
    matrix = chain.matrix
    weights, labels = rounds.integer_weights(matrix.weights), list(chain.labels.values())
    found: list[int] = []

    def refine() -> None:
        found.append(int(rounds.refine(matrix.indptr, matrix.indices, weights, labels).max()) + 1)

    runs = _few(runs, matrix.m)
    return {**_medians({"numpy": refine}, runs), "numpy_blocks": found[0], "runs": runs}


def _csr_bytes(chain: Any) -> int:
    """Bytes of scipy's compressed rows: 8 for each value, 4 for each index, 8 for each pointer."""
    return 12 * chain.matrix.m + 8 * (chain.n + 1)


def _warm_up(chain: Any) -> None:
    """Load everything that is loaded once in a process, code compiled for such chains included."""
    for small in (examples.machine_repair(13), examples.tandem(40, 40)):  # swept, and followed
        _ours(small, "kernel")
    _ours(chain, "kernel")


def memory_ours(store: Store, name: str, runs: int) -> Numbers:
    """Peak beyond the chain in memory, while it is lumped."""
    chain = store.load(name)
    _warm_up(chain)
    return {"memory_ours": peak_beyond(lambda: _ours(chain)), "csr": _csr_bytes(chain)}


def memory_kernel(store: Store, name: str, runs: int) -> Numbers:
    """The same, compiled at every size."""
    chain = store.load(name)
    _warm_up(chain)
    peak = peak_beyond(lambda: _ours(chain, "kernel"))
    return {"memory_kernel": peak, "csr": _csr_bytes(chain)}


def memory_storm(store: Store, name: str, runs: int) -> Numbers:
    """Peak beyond Storm's model in memory, while it refines."""
    from suite import storm

    storm.refine(storm.model_of(examples.machine_repair(10), exact=False))
    chain = store.load(name)
    model, size = storm.model_of(chain, exact=False), _csr_bytes(chain)
    del chain
    return {"memory_storm": peak_beyond(lambda: storm.refine(model)), "csr": size}


def _scaled(chain: Any, factor: Any) -> CTMC:
    """The same numbers as rates, all times a factor: the same blocks."""
    matrix = chain.matrix
    weights = matrix.weights.map(lambda value: value * factor)
    structure = WeightedStructure(matrix.indptr, matrix.indices, weights, matrix.within)
    return CTMC(structure, labels=chain.labels)


def time_big_numbers(store: Store, name: str, runs: int) -> Numbers:
    """Integer rates, and the same times a fraction of 127 by 89 bits."""
    chain = store.load(name)
    small = _scaled(chain, chain.matrix.weights.denominator)
    big = _scaled(chain, _AWKWARD)
    _warm_up(small)
    counts = {len(_ours(one).partition) for one in (small, big)}
    assert len(counts) == 1, counts
    return {
        **_medians({"small": lambda: _ours(small), "big": lambda: _ours(big)}, runs),
        "blocks": counts.pop(),
        "runs": runs,
    }


def time_symbolic(store: Store, name: str, runs: int) -> Numbers:
    """The same rates times x + y, beside integer rates."""
    chain = store.load(name)
    (factor,) = ExactArray.read(["x + y"])[0]
    small, symbolic = _scaled(chain, chain.matrix.weights.denominator), _scaled(chain, factor)
    _warm_up(small)
    counts = {len(_ours(small).partition)}
    runs = _few(runs, chain.matrix.m)
    times = _medians(
        {
            "beside": lambda: _ours(small),
            "symbolic": lambda: counts.add(len(_ours(symbolic).partition)),
        },
        runs,
    )
    assert len(counts) == 1, counts
    return {**times, "runs": runs}


TASKS: dict[str, Callable[[Store, str, int], Numbers]] = {
    "time": time_refinement,
    "kernel": time_kernel,
    "memory_kernel": memory_kernel,
    "user": time_for_user,
    "rational": time_rational_storm,
    "numpy": time_numpy,
    "memory_ours": memory_ours,
    "memory_storm": memory_storm,
    "big_numbers": time_big_numbers,
    "symbolic": time_symbolic,
}
