"""`lump` and `check` of chains with a tolerance; `lumpability.dispatch` documents them.

The exact lumping comes first.  The partition by gaps depends on the values of sums only, and states of one block of
the exact lumping have equal sums into every union of such blocks; so the partition of the exact quotient, carried back,
is that of the chain.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from lumpability.markov.approximate.choose import partition_by_gaps
from lumpability.markov.approximate.gaps import split_by_values
from lumpability.markov.approximate.lumping import ApproximateLumping
from lumpability.markov.approximate.nominal import nominal_quotient
from lumpability.markov.approximate.residual import residual
from lumpability.markov.approximate.tolerance import (
    in_percent,
    read_absolute,
    read_tolerance,
    require_numbers,
)
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earned_rewards import with_respected_rewards
from lumpability.markov.kinds import find_kind
from lumpability.markov.respected import respected_names, warn_if_trivial
from lumpability.numbers.rationals import brief
from lumpability.partition import Partition
from lumpability.quotient import Verdict, collapse
from lumpability.refinement import Progress


def lump_within(
    chain: MarkovChain,
    *,
    tolerance: Any,
    absolute: Any = None,
    reward_tolerance: Any = None,
    respect: Iterable[str] | str | None = None,
    ignore: Iterable[str] | str = (),
    within: Any = None,
    progress: Progress | None = None,
) -> ApproximateLumping:
    """Merge states whose sums of rates agree within a tolerance; see `lumpability.lump`."""
    started = time.perf_counter()
    relative, least, for_rewards = _tolerances(tolerance, absolute, reward_tolerance)
    require_numbers(chain)
    notion = find_kind("ordinary")
    seen = with_respected_rewards(chain, keeps_jumps=False)
    names = respected_names(chain, notion.respects if respect is None else respect, ignore)
    rewards, others = _rewards_in(chain, names)
    strict = Partition.by(chain.n, seen.distinctions(names))
    near = Partition.by(chain.n, seen.distinctions(others))
    for name in rewards:
        for part in seen.rewards[name].parts:
            near = split_by_values(near, part, for_rewards)
    if within is not None:
        given = Partition.of(within, states=chain.states)
        strict, near = strict.meet(given), near.meet(given)
    conditions = notion.conditions(chain)
    exact = notion.coarsest(conditions, strict, progress=progress).partition
    small = collapse(conditions[0].matrix, exact)
    blocks = partition_by_gaps(
        small, near.restrict(exact.representatives), relative, least, progress=progress
    )
    partition = Partition(blocks.labels[exact.labels])
    warn_if_trivial(partition, near)
    quotient, dropped = nominal_quotient(chain, partition, rewards)
    return ApproximateLumping(
        chain,
        partition,
        relative,
        quotient,
        near,
        least,
        for_rewards,
        dropped,
        time.perf_counter() - started,
    )


def check_within(
    chain: MarkovChain, partition: Any, *, tolerance: Any, absolute: Any = None
) -> Verdict:
    """Decide whether sums agree within a tolerance inside all blocks; see `lumpability.check`."""
    relative, least, _ = _tolerances(tolerance, absolute, None)
    blocks = Partition.of(partition, states=chain.states)
    found = residual(chain, blocks, absolute=least)
    if found.relative <= relative:
        text = (
            f"ordinary within {in_percent(relative)}: sums spread by at most "
            f"{in_percent(found.relative)}, and by at most {brief(found.absolute)} in absolute terms"
        )
        return Verdict("ordinary", None, text, residual=found)
    text = (
        f"not ordinary within {in_percent(relative)}: {found.witness_text(chain, blocks)}, which differ by "
        f"{in_percent(found.relative)}"
    )
    return Verdict("ordinary", found.witness, text, residual=found)


def _tolerances(
    tolerance: Any, absolute: Any, reward_tolerance: Any
) -> tuple[Fraction, Fraction, Fraction]:
    return (
        read_tolerance(tolerance),
        Fraction(0) if absolute is None else read_absolute(absolute),
        Fraction(0)
        if reward_tolerance is None
        else read_tolerance(reward_tolerance, "reward tolerance"),
    )


def _rewards_in(chain: MarkovChain, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which rewards are respected, and what else."""
    rewards: dict[str, None] = {}
    others = []
    for item in names:
        sort, _, name = item.partition(":")
        if item == "rewards":
            rewards.update(dict.fromkeys(chain.rewards))
        elif sort == "reward" and name in chain.rewards:
            rewards[name] = None
        elif item in chain.rewards and item not in {*chain.labels, "labels", "initial"}:
            rewards[item] = None
        else:
            others.append(item)
    return list(rewards), others
