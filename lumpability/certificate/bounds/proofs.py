"""What a proof of a bound consists of, and the one pass over the chain that recomputes the bound from it.

Let g be what is averaged, Q the generator (P - I in discrete time), and v any function on states, given on blocks
or on states.

- stationary: if g + Q v <= c in every state, then pi g <= c for every stationary pi, because pi Q = 0.
- long-run: if Q h <= 0 and g + Q v <= h, then the long-run average from x is at most h_x, because h does not
  increase in expectation.
- until a target T, earning g >= 0 and on arrival b: if v >= 0, v >= b on T, and g + Q v <= 0 elsewhere, then the
  expectation from x is at most v_x.  If v <= b on T, v <= 0 on the states Z that cannot reach T, and g + Q v >= 0
  elsewhere, then it is at least v_x, since T or Z is reached surely.
- at a time: see `lumpability.certificate.bounds.recursion`.

Norris 1997 (long run); Chatterjee, Quatmann and others, TACAS 2025 (until).  All in integers; each function raises
`Contradiction` if a condition does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from lumpability.certificate.bounds.drift import Drift, drift
from lumpability.certificate.bounds.question import Asked, Mask, absorbing, bounds_on_blocks
from lumpability.certificate.bounds.recursion import (
    SCALE,
    Progress,
    Recursion,
    ceilings,
    poisson_mixtures,
    values_after,
)
from lumpability.certificate.bounds.rows import Rows, hull_of, members_of
from lumpability.certificate.bounds.vector import Vector
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.verification import Contradiction
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

_MOST_STEPS = 10**7
_MOST_MEAN = 10**10

HULL, MEMBERS = "hull", "members"


@dataclass(frozen=True)
class Evidence:
    """What proves one end of an interval.

    Attributes
    ----------
    vectors : tuple of Vector
        Functions v on blocks (shape (k,)) or on states (shape (n,)): one, and for the long run h and v.
    steps : int
        Steps of the recursion, for questions about a time.
    """

    vectors: tuple[Vector, ...] = field(default=(), repr=False)
    steps: int = 0


def prove(
    asked: Asked,
    parts: ChainParts,
    partition: Partition,
    evidence: Evidence,
    *,
    upper: bool,
    rate: Fraction | None = None,
    over: str = HULL,
    never: Mask | None = None,
) -> Fraction:
    """Return the end of an interval that the evidence proves.

    Parameters
    ----------
    upper : bool
        Whether the upper end.
    rate : Fraction, optional
        The rate of uniformisation, for questions about a time in continuous time.
    over : {"hull", "members"}
        For questions about a time: the rows of the recursion.
    never : array of bool, optional
        What `unreachable` returns, if it is known already.

    Raises
    ------
    Contradiction
        If the evidence proves nothing.
    """
    if asked.time is not None:
        evolution = evolution_of(asked, parts, partition, rate, over=over)
        ends, _ = evolution.ends([asked.time], evidence.steps, upper=upper)
        return ends[0]
    vectors = [_on_states(vector, partition) for vector in evidence.vectors]
    if len(vectors) != (2 if asked.kind == "long_run" else 1):
        raise Contradiction("vectors", f"{len(vectors)} vectors are given")
    if asked.kind == "stationary":
        earning = asked.earning(parts)
        found = _drift_of(parts, vectors[0], earning)
        return _within(earning, found.largest() if upper else found.smallest())
    if asked.kind == "long_run":
        earning = asked.earning(parts)
        _refuse_drift(_drift_of(parts, vectors[0], None), upper=upper)
        found = _drift_of(parts, vectors[1], earning)
        _refuse_drift(found.minus(vectors[0]), upper=upper)
        return _within(earning, _at_start(vectors[0], asked.start, upper=upper))
    _check_until(asked, parts, vectors[0], never, upper=upper)
    return _at_start(vectors[0], asked.start, upper=upper)


def _within(earning: ExactArray, end: Fraction) -> Fraction:
    """Return an end of the expectation or average of a vector, which lies between its least and largest number."""
    least, most = Fraction(min(earning.values)), Fraction(max(earning.values))
    return min(max(end, least), most)


def _on_states(vector: Vector, partition: Partition) -> Vector:
    if len(vector) == partition.n:
        return vector
    if len(vector) != len(partition):
        raise Contradiction(
            "vectors", f"one has {len(vector)} numbers, for neither states nor blocks"
        )
    return vector.take(partition.labels)


def _at_start(vector: Vector, start: ExactArray | None, *, upper: bool) -> Fraction:
    """Return the expectation of a vector, or its extreme value without an initial distribution."""
    if start is None:
        return vector.largest() if upper else vector.smallest()
    _refuse_start(start, len(vector))
    return vector.expectation(start)


def _refuse_start(start: ExactArray, states: int) -> None:
    """Refuse what is not a distribution on the states."""
    if len(start) != states:
        raise Contradiction("start", f"it has {len(start)} numbers for the states")
    if min(start.values) < 0:
        raise Contradiction("start", "a probability is negative")
    if sum(start[x] for x in start.support().tolist()) != 1:
        raise Contradiction("start", "the probabilities do not sum to one")


def _drift_of(parts: ChainParts, vector: Vector, earning: ExactArray | None) -> Drift:
    """Return g + Q v in every state."""
    return drift(parts.matrix, vector).plus(earning)


def _refuse_drift(found: Drift, *, upper: bool, where: Mask | None = None) -> None:
    """Check that a drift is at most zero, for a lower end at least zero, in some states."""
    wrong = found.most.signs() > 0 if upper else found.least.signs() < 0
    states = np.flatnonzero(wrong if where is None else wrong & where)
    if len(states):
        x, allowed = int(states[0]), "positive" if upper else "negative"
        raise Contradiction("vectors", f"the drift in state {x} is {allowed}", (x,))


def _check_until(
    asked: Asked, parts: ChainParts, vector: Vector, never: Mask | None, *, upper: bool
) -> None:
    goal = asked.goal(parts)
    earning = None if asked.kind == "hitting" else asked.earning(parts)
    if earning is not None and min(earning.values) < 0:
        raise Contradiction("of", "a reward until a target must not be negative")
    values = vector.numerators
    on_arrival = vector.scale if asked.kind == "hitting" else 0
    outside = ~goal
    if upper:
        _refuse_values(values < 0)
        _refuse_values(goal & (values < on_arrival))
    else:
        never = unreachable(parts, goal) if never is None else never
        _refuse_values(goal & (values > on_arrival))
        _refuse_values(never & (values > 0))
        outside &= ~never
    _refuse_drift(_drift_of(parts, vector, earning), upper=upper, where=outside)


def _refuse_values(wrong: Mask) -> None:
    states = np.flatnonzero(wrong)
    if len(states):
        x = int(states[0])
        raise Contradiction("vectors", f"the value in state {x} is not a bound", (x,))


def unreachable(parts: ChainParts, goal: Mask) -> Mask:
    """Return the states from which a target cannot be reached; a search against the transitions, O(m)."""
    incoming = parts.matrix.transposed
    reached, front = goal.copy(), np.flatnonzero(goal)
    last = np.empty(parts.matrix.n, dtype=np.int64)
    while len(front):
        _, positions = incoming.entries_of(front)
        found = incoming.indices[positions]
        found = found[~reached[found]]
        reached[found] = True
        last[found] = np.arange(len(found))
        front = found[last[found] == np.arange(len(found))]  # each once
    return ~reached


@dataclass(frozen=True)
class Evolution:
    """The recursion of a question about a time, on the hull or the members of a partition."""

    asked: Asked
    earning: ExactArray  # what is averaged, of states
    rows: Rows
    least: ExactArray  # the values of blocks at time zero, shape (k,)
    most: ExactArray
    mass: ExactArray | None  # the initial probability of blocks
    rate: Fraction | None
    over: str

    def ends(
        self,
        times: list[Fraction],
        steps: int,
        *,
        upper: bool,
        narrow: int = -1,
        progress: Progress | None = None,
    ) -> tuple[list[Fraction], int]:
        """Return the upper or the lower ends at some times, and the steps made."""
        step = Recursion(self.rows, self.rate).step
        start = ceilings(self.most if upper else self.least.map(lambda value: -value))
        if self.rate is None:
            numbers = [int(time) for time in times]
            found, done = values_after(
                step, start, numbers, steps, narrow=narrow, progress=progress
            )
        else:
            means = [self.rate * time for time in times]
            found, done = poisson_mixtures(
                step, start, means, steps, narrow=narrow, progress=progress
            )
        ends = [self._at_start(values) / SCALE for values in found]
        return [_within(self.earning, end if upper else -end) for end in ends], done

    def _at_start(self, values: list[Fraction]) -> Fraction:
        if self.mass is None:
            return max(values)
        return sum((self.mass[b] * values[b] for b in self.mass.support().tolist()), Fraction(0))


def evolution_of(
    asked: Asked,
    parts: ChainParts,
    partition: Partition,
    rate: Fraction | None,
    *,
    over: str = HULL,
) -> Evolution:
    """Return the recursion of a question about a time.

    - rate: the rate of uniformisation; in continuous time None stands for twice the outflow of a row
    - over: {"hull", "members"}
    """
    discrete, time = parts.time == "discrete", asked.time
    if time is None or time < 0 or (discrete and time.denominator != 1):
        raise Contradiction("time", f"{time} is not a time of this chain")
    matrix = parts.matrix
    if asked.kind == "time_bounded":
        matrix = absorbing(matrix, asked.goal(parts), discrete=discrete)
    if over == MEMBERS:
        rows = members_of(matrix, partition)
    else:
        rows = hull_of(matrix, partition, inner=discrete)
    if discrete:
        if rate is not None:
            raise Contradiction("rate", "a chain in discrete time has none")
        longest = time
    else:
        outflow = rows.outflow()
        rate = (2 * outflow or 1 / max(time, Fraction(1))) if rate is None else rate
        if rate <= 0 or rate < outflow:
            raise Contradiction("rate", f"it is below {outflow}, the outflow of a block")
        if rate > 1024 * (outflow or 1):
            raise Contradiction(
                "rate", "it is more than a thousand times the outflow of every block"
            )
        longest = rate * time
    if longest > _MOST_MEAN:
        raise Contradiction("time", f"more than {_MOST_MEAN:.0e} steps are too many")
    earning = asked.earning(parts)
    least, most = bounds_on_blocks(earning, partition.labels, len(partition))
    return Evolution(asked, earning, rows, least, most, _mass(asked.start, partition), rate, over)


def _mass(start: ExactArray | None, partition: Partition) -> ExactArray | None:
    """Return the initial probability of every block."""
    if start is None:
        return None
    _refuse_start(start, partition.n)
    sums = [Fraction(0)] * len(partition)
    for x in start.support().tolist():
        sums[partition.labels[x]] += start[x]
    return ExactArray.of_values(np.arange(len(sums)), sums)
