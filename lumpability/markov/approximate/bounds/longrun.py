"""Stationary and long-run averages.

With one recurrent class the average is the same from every start, and one vector v bounds it.  With several the
long-run average depends on where the chain is absorbed: every class is bounded apart, and two vectors
h and v on states, with Q h <= 0 and g + Q v <= h, bound the average from every state.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.certificate.bounds.question import Asked
from lumpability.certificate.bounds.vector import Vector
from lumpability.markov.approximate.bounds.average import adversary, nominal_bias
from lumpability.markov.approximate.bounds.ends import (
    Ends,
    Progress,
    Task,
    View,
    shrink,
)
from lumpability.markov.approximate.bounds.krylov import averaged, solved
from lumpability.markov.approximate.bounds.members import Floats, Members, rounded
from lumpability.markov.approximate.bounds.repair import Repair
from lumpability.markov.solve.classes import recurrent_classes
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

Ints = np.ndarray[Any, np.dtype[np.int64]]


def average_ends(
    task: Task, *, accuracy: float | None, progress: Progress | None
) -> tuple[Ends, float]:
    """Return ends of the average under every stationary distribution, and an estimate."""
    earning = task.asked.earning(task.parts)
    floats, members = earning.to_floats(), task.members()
    guess, estimate = nominal_bias(members, floats)
    nothing = rounded(np.zeros(members.n))
    ends = _bounded(task, members, nothing, floats, guess)
    if accuracy is not None:
        span = float(max(earning.values) - min(earning.values))
        found = averaged(members, earning, guess[members.labels])

        def improve() -> Ends:
            found.improve()
            return _bounded(task, members, found.values, found.rest, np.zeros(members.k))

        ends = shrink(ends, improve, lambda _: accuracy * span, progress)
    return ends, estimate


def _bounded(task: Task, members: Members, values: Vector, rest: Floats, guess: Floats) -> Ends:
    """Return what a vector on states proves when an adversary on blocks pays for the rest g + Q x."""
    above = rounded(adversary(members, rest, guess)[members.labels], onto=values)
    below = rounded(-adversary(members, -rest, -guess)[members.labels], onto=values)
    return task.proved_both((below,), (above,))


def long_run_ends(
    task: Task, *, accuracy: float | None, progress: Progress | None
) -> tuple[Ends, float]:
    """Return ends of the long-run average from the start, and an estimate."""
    classes = recurrent_classes(task.chain)
    if len(classes) == 1:
        stationary = Task(task.view, Asked("stationary", task.asked.of))
        found, estimate = average_ends(stationary, accuracy=accuracy, progress=progress)
        return _with_level(task, found), estimate
    earning = task.asked.earning(task.parts)
    inside = [
        average_ends(within_class(task, states, earning), accuracy=accuracy, progress=progress)[0]
        for states in classes
    ]
    ends = Ends()
    mixture = _Mixture(task, classes, earning)
    for upper in (False, True):
        ends = ends.better(mixture.proved(inside, upper=upper))
    return ends, float("nan")


def _with_level(task: Task, found: Ends) -> Ends:
    """Return ends of the long-run average given those of the only stationary one."""
    ends, k = Ends(), len(task.partition)
    for end, evidence, upper in (
        (found.lower, found.below, False),
        (found.upper, found.above, True),
    ):
        if end is not None:
            level = Vector.constant(end, k)
            proved = task.proved((level, *evidence.vectors), upper=upper)
            # An end that is the least or the largest number averaged needs no vector, and may have a worse one.
            nothing = Vector.constant(Fraction(0), k)
            ends = ends.better(proved or task.proved((level, nothing), upper=upper))
    return ends


def within_class(task: Task, states: Ints, earning: ExactArray) -> Task:
    """Return the question about the stationary average of one recurrent class, as a chain of its own."""
    matrix = task.chain.matrix
    place = np.zeros(matrix.n, dtype=np.int64)
    place[states] = np.arange(len(states))
    owner, positions = matrix.entries_of(states)
    indptr = np.searchsorted(owner, np.arange(len(states) + 1))
    closed = WeightedStructure.from_rows(
        indptr, place[matrix.indices[positions]], matrix.weights.take(positions)
    )
    chain = task.chain.rebuilt(closed, validate=False)
    asked = Asked("stationary", earning.take(states))
    return Task(View(chain, task.partition.restrict(states)), asked)


class _Mixture:
    """Vectors h and v for a chain with several recurrent classes, given those of the classes.

    On transient states h is the expectation of the level that the chain ends in, and v solves Q v = h - g.
    """

    def __init__(self, task: Task, classes: Sequence[Ints], earning: ExactArray) -> None:
        self._task, self._classes, self._earning = task, classes, earning
        self._free = np.ones(task.chain.n, dtype=bool)
        for states in classes:
            self._free[states] = False
        self._members = task.members(task.partition.meet(Partition(self._free.astype(np.int64))))
        slack = solved(self._members, np.ones(task.chain.n), self._free, residual=0.25)
        self._repair = Repair(self._members, self._free, slack)

    def proved(self, inside: Sequence[Ends], *, upper: bool) -> Ends | None:
        """Return the end of the mixture; a lower one by the negated problem."""
        sign = 1 if upper else -1
        earning = self._earning.map(lambda value: sign * value)
        levels, biases = np.zeros(self._task.chain.n), np.zeros(self._task.chain.n)
        grain = 2.0**-48 * max(float(max(map(abs, earning.values))), 2.0**-900)
        for states, ends in zip(self._classes, inside, strict=True):
            end, evidence = (ends.upper, ends.above) if upper else (ends.lower, ends.below)
            assert end is not None
            within = self._task.partition.restrict(states)
            vector = evidence.vectors[0].exact().to_floats()
            if sign * end < max(earning[x] for x in states.tolist()):
                full = vector if len(vector) == within.n else vector[within.labels]
                biases[states] = sign * full
            levels[states] = (np.ceil(float(sign * end) / grain) + 1) * grain
        return self._raised(earning, levels, biases, sign)

    def _raised(
        self, earning: ExactArray, levels: Floats, biases: Floats, sign: int
    ) -> Ends | None:
        members, free = self._members, self._free
        into = members.rates @ np.where(free, 0.0, levels)
        levels = levels + solved(members, into, free, residual=1e-12 * float(np.abs(into).max()))
        level = self._repair.raised(levels, None)
        if level is None:
            return None
        rest = (
            earning.to_floats()
            - level.exact().to_floats()
            + members.rates @ np.where(free, 0.0, biases)
        )
        size = float(np.abs(rest).max(initial=0.0))
        biases = biases + solved(members, rest, free, residual=1e-10 * size)
        bias = self._repair.raised(biases, earning, level)
        if bias is None:
            return None
        return self._task.proved((level.times(sign), bias.times(sign)), upper=sign > 0)
