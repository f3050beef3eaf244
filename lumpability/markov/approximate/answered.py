"""`lump` with an error: the blocks that one question needs, and its proved answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from lumpability.errors import InvalidInput, NoFiniteBound
from lumpability.markov.approximate.bounds import Interval, Question, bounds
from lumpability.markov.approximate.bounds.ends import Task
from lumpability.markov.approximate.bounds.goal import (
    question_needs_start,
    refined_for,
    starting_partition,
)
from lumpability.markov.approximate.lumping import ApproximateLumping
from lumpability.markov.approximate.nominal import nominal_quotient
from lumpability.markov.approximate.tolerance import read_positive_share
from lumpability.markov.chains import MarkovChain
from lumpability.markov.respected import respected_names
from lumpability.partition import Partition
from lumpability.refinement import Progress


@dataclass(frozen=True, eq=False, repr=False)
class AnsweredLumping(ApproximateLumping):
    """A partition made for one question, whose answer lies in a proved interval.

    Attributes
    ----------
    question : Question
    error : Fraction
        The half-width that was asked for, relative to the range of what is averaged, or to the answer of `Expected`.
    answer : Interval

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.markov.approximate.bounds import Transient
    >>> from lumpability.markov.examples import machine_repair
    >>> chain = machine_repair(8, failure="1/10")
    >>> lump(chain, error="1%", question=Transient("operational", 10))
    AnsweredLumping(256 states -> 7 blocks, operational at time 10 in [0.994925, 0.9978014], proved)
    """

    question: Question = field(kw_only=True)
    error: Fraction = field(kw_only=True)
    answer: Interval = field(kw_only=True)

    def __repr__(self) -> str:
        blocks = f"{self.chain.n} states -> {len(self.partition)} blocks"
        return f"AnsweredLumping({blocks}, {self.answer})"


def lump_for(
    chain: MarkovChain,
    *,
    error: Any,
    question: Question,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    progress: Progress | None = None,
) -> AnsweredLumping:
    """Refine until one question is answered within an error; see `lumpability.lump`."""
    started = time.perf_counter()
    share = read_positive_share(error, "error")
    if not isinstance(question, Question):
        raise InvalidInput(
            f"the question is a Transient, TimeBounded, Stationary, LongRun, Hitting or Expected, not a {type(question).__name__}"
        )
    task = bounds(chain, Partition.trivial(chain.n)).task(question)
    respected = starting_partition(task)
    if task.asked.start is None and question_needs_start(task):
        raise InvalidInput(
            "the chain has no initial distribution, and no blocks narrow an answer that holds from every state: "
            "give the question initial=..."
        )
    if respect is not None:
        names = respected_names(chain, respect, ignore)
        respected = respected.meet(Partition.by(chain.n, chain.distinctions(names)))
    if within is not None:
        respected = respected.meet(Partition.of(within, states=chain.states))
    answers: list[Interval] = []

    def half_width(refined: Task) -> float:
        try:
            answers.append(bounds(chain, refined.partition).answer(question))
        except NoFiniteBound:  # more blocks are needed
            return float("inf")
        return float(answers[-1].width / 2)

    task = refined_for(task.on(respected), float(share), half_width, progress)
    quotient, dropped = nominal_quotient(chain, task.partition)
    seconds = time.perf_counter() - started
    return AnsweredLumping(
        chain,
        task.partition,
        Fraction(0),
        quotient,
        respected,
        dropped=dropped,
        seconds=seconds,
        question=question,
        error=share,
        answer=answers[-1],
    )
