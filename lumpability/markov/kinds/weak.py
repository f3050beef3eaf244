"""Weak lumpability: the block process is Markov for some initial distributions.

Write P_lm for the rows of block l and columns of block m, pi for the stationary distribution of an
irreducible chain, and P^[l, m] for the probability of a step from l to m under pi.  Started from a, the
block process is Markov with matrix P^ exactly when for every history of blocks l, m, ..., z the row vector
x = a_l P_lm ... satisfies x (P V)_z = (x 1) P^[z, .].  That is linear in a_l.  So collect, for each block,
the column vectors f that a_l must be orthogonal to: first the columns of (P V)_z - 1 P^[z, .]; then, for
every f of block m, also P_lm f for every block l; until their spans stop growing, which takes at most n
vectors in all.  The admissible initial distributions are those with a_l f = 0 for all f of block l, with any
masses of the blocks.  The partition is weakly lumpable exactly when there is one, and then pi is one.
Ordinary lumpability is the case where all columns are zero, so that every start is admissible.
A CTMC is treated through P = I + Q/L, which has the same stationary distribution and the same answer.
Kemeny and Snell 1976, section 6.4; Rubino and Sericola 1989, 1991 and 1993 (continuous time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from lumpability.errors import InvalidChain, NotJustified, SizeLimit
from lumpability.markov.attributes import block_name
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.horizon_steps import uniformised
from lumpability.markov.kinds import exact, ordinary
from lumpability.markov.kinds.kind import Condition, Kind
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.refinement import Progress

MAX_STATES = 200
"""States up to which `check(..., kind="weak")` computes; `check_weak` takes another limit."""

Vector = list[Exact]


@dataclass(frozen=True)
class History:
    """A history of blocks which shows that the block process is not Markov.

    Attributes
    ----------
    blocks : tuple of int
        The blocks visited, in order.
    block : int
        The block that comes next.
    probability : Exact
        Its probability when the chain starts from its stationary distribution and has visited `blocks`.
    expected : Exact
        Its probability when only the last of `blocks` is known.

    Examples
    --------
    >>> print(History((0, 1), 0, Fraction(1, 2), Fraction(1, 3)))
    after blocks 0, 1 block 0 follows with probability 1/2, after block 1 alone with 1/3
    """

    blocks: tuple[int, ...]
    block: int
    probability: Exact
    expected: Exact

    def __str__(self) -> str:
        path = ", ".join(map(str, self.blocks))
        return (
            f"after blocks {path} block {self.block} follows with probability {self.probability}, "
            f"after block {self.blocks[-1]} alone with {self.expected}"
        )


@dataclass(frozen=True, eq=False)
class Starts:
    """The initial distributions for which the block process is a Markov chain.

    Attributes
    ----------
    chain : CTMC or DTMC
    partition : Partition
    equations : tuple, one entry for each block, of tuples of vectors
        The part of an initial distribution in the block must be orthogonal to each vector; the
        vectors of a block are linearly independent.
    """

    chain: MarkovChain
    partition: Partition
    equations: tuple[tuple[tuple[Exact, ...], ...], ...]

    def admits(self, initial: Any) -> bool:
        """Whether the block process is Markov when the chain starts from this distribution.

        Parameters
        ----------
        initial : state, mapping or array

        Examples
        --------
        >>> from lumpability.markov.examples import weak_not_ordinary
        >>> starts = check_weak(weak_not_ordinary(), [{0}, {1, 2}]).starts
        >>> starts.admits(0), starts.admits(1), starts.admits([0, "4/7", "3/7"])
        (True, False, False)
        """
        from lumpability.markov.solve.vectors import initial_of

        return self._admits(list(initial_of(self.chain, initial)))

    def _admits(self, initial: Vector) -> bool:
        return all(
            _inner([initial[s] for s in members.tolist()], vector) == 0
            for members, vectors in zip(self.partition.blocks, self.equations, strict=True)
            for vector in vectors
        )

    @property
    def dimension(self) -> int:
        """Number of free coordinates of an initial distribution; n - 1 if all are admissible."""
        return self.partition.n - 1 - sum(map(len, self.equations))


@dataclass(frozen=True)
class WeakVerdict(Verdict):
    """A verdict on weak lumpability; its witness is a `History`.

    Attributes
    ----------
    starts : Starts
        The initial distributions for which the block process is Markov; if the verdict is negative,
        no distribution satisfies the equations.
    """

    starts: Starts


class Weak(Kind):
    """The block process is Markov from some initial distributions; only a check, without a coarsest one."""

    name = "weak"
    has_coarsest = False
    preserves = (
        "block probabilities at every time for the initial distributions found, and the stationary "
        "block masses"
    )

    def identity(self, chain: MarkovChain) -> str:
        return "the block process is Markov from the stationary distribution"

    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        raise NotJustified(
            "weak lumpings have no coarsest one, because their join need not be weak: give a partition to check, "
            "with kind='weak'",
            kind=self.name,
        )

    def verdict(
        self, chain: MarkovChain, partition: Partition, progress: Progress | None = None
    ) -> Verdict:
        return check_weak(chain, partition, progress=progress)


def check_weak(
    chain: MarkovChain,
    partition: Any,
    *,
    max_states: int = MAX_STATES,
    progress: Progress | None = None,
) -> WeakVerdict:
    """Decide exactly whether a partition is weakly lumpable, and from which starts.

    Raises `SizeLimit` for more than `max_states` states, and `InvalidChain` for a chain that is not
    irreducible, because it does not determine the quotient.

    - chain: irreducible
    - max_states: refuse larger chains
    - progress (callable): called with (equations found, states), first with (0, states); an exception from it
      stops the check

    O(n^3) exact operations, on numbers that grow.

    >>> from lumpability.markov.examples import weak_not_ordinary
    >>> verdict = check_weak(weak_not_ordinary(), [{0}, {1, 2}])
    >>> print(verdict)
    weak: the block process is Markov from the stationary distribution; 1 of 2 dimensions of starts
    """
    if chain.n > max_states:
        raise SizeLimit(
            f"weak lumpability of {chain.n} states, more than {max_states}: "
            "call check_weak(..., max_states=...) to wait longer",
            states=chain.n,
            max_states=max_states,
        )
    blocks = Partition.of(partition, states=chain.states)
    from lumpability.markov.solve.classes import is_irreducible  # only this kind needs the solvers

    if not is_irreducible(chain):
        raise InvalidChain(
            "weak lumpability is decided for irreducible chains: restrict this one to a recurrent "
            "class, see lumpability.markov.solve.recurrent_classes"
        )
    told = progress or (lambda found, states: None)
    told(0, chain.n)
    steps = _BlockSteps(chain, blocks)
    equations, history = steps.equations(lambda found: told(found, chain.n))
    starts = Starts(chain, blocks, equations)
    if history is None:
        text = (
            "weak: the block process is Markov from the stationary distribution; "
            f"{starts.dimension} of {chain.n - 1} dimensions of starts"
        )
        return WeakVerdict("weak", None, text, starts)
    names = [block_name(chain.states, blocks, block) for block in history.blocks]
    where = " in the uniformized chain" if isinstance(chain, CTMC) else ""
    text = (
        f"not weak: from the stationary distribution{where}, after {', '.join(names)} the block "
        f"{block_name(chain.states, blocks, history.block)} follows with probability "
        f"{history.probability}, after {names[-1]} alone with {history.expected}"
    )
    return WeakVerdict("weak", history, text, starts)


@dataclass
class _Span:
    """Vectors in echelon form, to tell whether another one is independent of them."""

    rows: list[tuple[int, Vector]] = field(default_factory=list)

    def add(self, vector: Vector) -> bool:
        """Add a vector; return whether it was independent of those before."""
        rest = vector
        for pivot, row in self.rows:
            if rest[pivot] != 0:
                factor = rest[pivot] / row[pivot]
                rest = [x - factor * y for x, y in zip(rest, row, strict=True)]
        pivot = next((i for i, x in enumerate(rest) if x != 0), -1)
        if pivot >= 0:
            self.rows.append((pivot, rest))
        return pivot >= 0


def _inner(row: Sequence[Exact], column: Sequence[Exact]) -> Exact:
    return sum((x * y for x, y in zip(row, column, strict=True) if x != 0), start=Fraction(0))


class _BlockSteps:
    """The steps of the block process, from the stationary distribution."""

    def __init__(self, chain: MarkovChain, partition: Partition) -> None:
        self.rows = _probabilities(chain)
        self.labels: list[int] = partition.labels.tolist()
        self.members = [block.tolist() for block in partition.blocks]
        self.pi = _inside_blocks(chain, partition)
        self.into = [self._block_sums(state) for state in range(chain.n)]
        self.quotient = [
            [
                _inner([self.pi[s] for s in block], [self.into[s][c] for s in block])
                / sum(self.pi[s] for s in block)
                for c in range(len(self.members))
            ]
            for block in self.members
        ]

    def _block_sums(self, state: int) -> Vector:
        sums: Vector = [Fraction(0)] * len(self.members)
        for target, weight in self.rows[state].items():
            sums[self.labels[target]] = sums[self.labels[target]] + weight
        return sums

    def equations(
        self, told: Callable[[int], None]
    ) -> tuple[tuple[tuple[tuple[Exact, ...], ...], ...], History | None]:
        """Return independent equations for every block, and a history against pi if there is one."""
        count = len(self.members)
        spans = [_Span() for _ in range(count)]
        found: list[list[tuple[Exact, ...]]] = [[] for _ in range(count)]
        history = None
        queue: list[tuple[int, Vector, tuple[int, ...], int]] = [
            (b, [self.into[s][c] - self.quotient[b][c] for s in self.members[b]], (b,), c)
            for b in range(count)
            for c in range(count)
        ]
        for block, vector, path, following in queue:  # `queue` grows in this loop
            if not spans[block].add(vector):
                continue
            found[block].append(tuple(vector))
            told(sum(map(len, found)))
            if history is None and _inner([self.pi[s] for s in self.members[block]], vector) != 0:
                history = self._history(path, following)
            for before in range(count):
                earlier = self._pull(before, block, vector)
                if any(x != 0 for x in earlier):
                    queue.append((before, earlier, (before, *path), following))
        return tuple(map(tuple, found)), history

    def _pull(self, before: int, block: int, vector: Vector) -> Vector:
        """Return P_lm f for l = before, m = block."""
        value = dict(zip(self.members[block], vector, strict=True))
        return [
            sum((w * value[t] for t, w in self.rows[s].items() if t in value), start=Fraction(0))
            for s in self.members[before]
        ]

    def _history(self, path: tuple[int, ...], following: int) -> History:
        masses = {s: self.pi[s] for s in self.members[path[0]]}
        for block in path[1:]:
            moved: dict[int, Exact] = {}
            for source, mass in masses.items():
                for target, weight in self.rows[source].items():
                    if self.labels[target] == block:
                        moved[target] = moved.get(target, 0) + mass * weight
            masses = moved
        onwards = sum(mass * self.into[s][following] for s, mass in masses.items())
        return History(
            path, following, onwards / sum(masses.values()), self.quotient[path[-1]][following]
        )


def _inside_blocks(chain: MarkovChain, partition: Partition) -> list[Exact]:
    """Return weights that inside every block are proportional to the stationary distribution.

    It is uniform inside the blocks of an exact lumping, and does not matter inside those of an ordinary one; both are
    decided faster than it is found.
    """
    from lumpability.markov.solve.stationary import stationary

    for easier in (ordinary.Ordinary(), exact.Exact()):
        if easier.witness(easier.conditions(chain), partition) is None:
            return [Fraction(1)] * chain.n
    return list(stationary(chain, method="exact").values)


def _probabilities(chain: MarkovChain) -> list[dict[int, Exact]]:
    """Return the rows of P, or of I + Q/L with L twice the largest exit rate (their sum if symbolic)."""
    rate = None
    if isinstance(chain, CTMC):
        exits = chain.exit_rates.values
        rate = 2 * max(exits) if chain.is_rational else sum(exits)
    steps, _ = uniformised(chain, rate)
    return [dict(steps.row(s)) for s in range(chain.n)]
