"""Probabilities that a target is ever reached, and what is earned before it is.

States fall into three sorts: the target, the states that cannot reach it, and the others, which are free; the
graph decides.  Blocks are cut along these sorts, because values of the first two are known.  Both ends are upper
bounds: the lower one of the negated problem; for probabilities of the complement, so that an adversary who
stays in a block for ever gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property

import numpy as np

from lumpability.certificate.bounds.vector import Vector
from lumpability.errors import InvalidInput, NoFiniteBound
from lumpability.markov.approximate.bounds.ends import (
    Ends,
    Progress,
    Task,
    shrink,
)
from lumpability.markov.approximate.bounds.krylov import Solution, absorbed, solved
from lumpability.markov.approximate.bounds.members import Floats, rounded
from lumpability.markov.approximate.bounds.repair import Repair
from lumpability.markov.approximate.bounds.until import (
    Until,
    never_leaving,
    nominal_value,
    worst_case,
)
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

_ENOUGH = 0.25  # by which a slack falls per unit of time


def reaching_ends(
    task: Task, *, accuracy: float | None, progress: Progress | None
) -> tuple[Ends, float]:
    """Return ends of a question of the kinds "hitting" and "expected", and an estimate.

    Raises `NoFiniteBound` if there is no upper end; it carries ``state`` and ``lower``.
    """
    search = Reaching(task)
    guess = nominal_value(search.members, search.problem)
    estimate = search.at_start(guess[search.members.labels])
    if accuracy is not None:
        search.refuse_infinite(None, alone=False)
        improve = search.rounds_on_states(guess)
        least = 1e-6 * float(guess.max())

        def wanted(found: Ends) -> float:
            return accuracy * (max(float(found.upper or 0), least) if search.earns else 1.0)

        return shrink(Ends(), improve, wanted, progress), estimate
    ends = search.trivial.better(search.on_blocks(guess, upper=False))
    search.refuse_infinite(ends, alone=True)
    if search.staying is None or not search.earns:
        ends = ends.better(search.on_blocks(guess, upper=True))
    return ends, estimate


class Reaching:
    """A question about a target, with blocks cut along the sorts of states."""

    def __init__(self, task: Task) -> None:
        self.task, n = task, task.chain.n
        self.earns = task.asked.kind == "expected"
        self.goal = task.asked.goal(task.parts)
        assert task.never is not None
        self.never = task.never
        self.free = ~self.goal & ~self.never
        self.partition = task.partition.meet(Partition(self.goal + 2 * self.never))
        self.members = task.members(self.partition)
        zeros = ExactArray.constant(Fraction(0), n)
        self.earning = task.asked.earning(task.parts) if self.earns else zeros
        if min(self.earning.values) < 0:
            raise InvalidInput("what is earned until a target must not be negative")
        on_arrival = np.zeros(n) if self.earns else self.goal.astype(np.float64)
        self.problem = Until(self.earning.to_floats(), ~self.free, on_arrival)

    @cached_property
    def staying(self) -> int | None:
        """A state with which an adversary stays among the free states for ever; None if there is none."""
        return never_leaving(self.members, ~self.free)

    def refuse_infinite(self, ends: Ends | None, *, alone: bool) -> None:
        """Refuse a question whose answer is infinite, or without a finite bound on blocks `alone`."""
        if not self.earns:
            return
        states = self.task.chain.states
        lost = self.never & self.earning.where(bool)
        if lost.any():
            name = states[int(np.flatnonzero(lost)[0])]
            message = (
                f"the target cannot be reached from state {name!r}, which earns: no finite bound"
            )
        elif alone and self.staying is not None:
            name = states[self.staying]
            message = (
                f"no finite bound follows from the blocks alone: blocks that behave like their members, {name!r} "
                "among them, need never reach the target; give accuracy=..., or a finer partition"
            )
        else:
            return
        raise NoFiniteBound(message, state=name, lower=(ends or self.trivial).lower)

    @cached_property
    def repair(self) -> Repair:
        """Repairs vectors by expected times: on blocks if these are finite there, else on states."""
        members, n = self.members, self.task.chain.n
        problem = Until(np.ones(n), ~self.free, np.zeros(n))
        times = nominal_value(members, problem)
        found = Repair(members, self.free, times[members.labels])
        if not found.delta > _ENOUGH and self.staying is None:
            times = worst_case(members, problem, times)
            found = Repair(members, self.free, times[members.labels])
        if not found.works:
            slack = solved(members, problem.earning, self.free, residual=0.25)
            found = Repair(members, self.free, slack)
        return found

    @cached_property
    def trivial(self) -> Ends:
        """The ends that need no search: zero, and for a probability one."""
        k = len(self.task.partition)
        ends = Ends().better(self.task.proved((Vector.constant(Fraction(0), k),), upper=False))
        if self.earns:
            return ends
        return ends.better(self.task.proved((Vector.constant(Fraction(1), k),), upper=True))

    def at_start(self, values: Floats) -> float:
        """Return the expectation of a vector at the start."""
        start = self.task.asked.start
        return float(values.mean() if start is None else start.to_floats() @ values)

    def on_blocks(self, guess: Floats, *, upper: bool) -> Ends | None:
        """Return an end from the worst choice of members."""
        values = worst_case(self.members, self.problem, guess) if upper else self.below(guess)
        values = np.where(self.free, values[self.members.labels], self.problem.values)
        if not np.isfinite(values).all():
            return None
        rest = self.problem.earning + self.members.drift(values)
        return self.proved(rounded(values), rest, upper=upper)

    def below(self, guess: Floats, *, damping: float = 0.0) -> Floats:
        """Return the values on blocks of an adversary who minimises."""
        problem = self.problem
        if self.earns:
            negated = Until(-problem.earning, problem.fixed, -problem.values)
            return -worst_case(self.members, negated, -guess, damping=damping)
        # The complement: to end where the target cannot be reached.
        missed = Until(problem.earning, problem.fixed, self.never.astype(np.float64))
        return 1 - worst_case(self.members, missed, 1 - guess, damping=damping)

    def proved(self, values: Vector, rest: Floats, *, upper: bool) -> Ends | None:
        """Return the end that a vector v on states proves once it is repaired; `rest` is nearly g + Q v."""
        given = values.numerators if values.scale < 2**62 else values.numerators.astype(object)
        numerators = np.where(self.free, np.maximum(given, 0), 0)
        if not self.earns:
            numerators = np.minimum(numerators, values.scale)
            numerators[self.goal] = values.scale
        sign = 1 if upper else -1
        earning = self.earning.map(lambda value: sign * value) if self.earns else None
        near = Vector(sign * numerators, values.scale)
        attempts = self.repair.candidates(near, sign * rest, earning)
        proved = (self.task.proved((vector.times(sign),), upper=upper) for vector in attempts)
        return next(filter(None, proved), None)

    def rounds_on_states(self, guess: Floats) -> Callable[[], Ends]:
        """Return rounds of Krylov steps on states, whose residual an adversary on blocks redistributes."""
        members = self.members
        start = np.where(self.free, guess[members.labels], self.problem.values)

        def residual(values: Vector) -> Floats:
            return np.where(self.free, members.drift_beyond_floats(values, self.earning), 0.0)

        rest = np.where(self.free, self.problem.earning + members.drift(start), 0.0)
        found = Solution(rounded(start), rest, absorbed(members, self.free), residual)

        def improve() -> Ends:
            found.improve()
            ends = Ends()
            for upper in (False, True):
                ends = ends.better(self.proved(found.values, found.rest, upper=upper))
            return ends if ends.are_known else self.trivial.better(ends)

        return improve
