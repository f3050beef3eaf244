"""What a lumping must not mix: the names of labels and rewards that are respected, and a warning if there are none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lumpability.errors import InvalidInput, TrivialLumping, warn
from lumpability.markov.chains import MarkovChain
from lumpability.partition import Partition


def warn_if_trivial(partition: Partition, respected: Partition) -> None:
    """Warn if all states fall into one block because nothing has to be kept apart."""
    if len(partition) == 1 < partition.n and len(respected) == 1:
        warn(
            "all states fall into one block, because nothing that is respected tells them apart: give "
            "labels, rewards or within=... to say which states must stay apart",
            TrivialLumping,
        )


def respected_names(
    chain: MarkovChain, respect: Iterable[str] | str, ignore: Iterable[str] | str
) -> Sequence[str]:
    """Return what to respect, less the labels and rewards to ignore.

    Raises `InvalidInput` if a name to ignore is neither a label nor a reward.
    """
    respect = [respect] if isinstance(respect, str) else list(respect)
    ignore = [ignore] if isinstance(ignore, str) else list(ignore)
    if not ignore:
        return respect
    labels = {f"label:{name}" for name in chain.labels}
    rewards = {f"reward:{name}" for name in chain.rewards}
    sorts = {"labels": labels, "rewards": rewards, "initial": {"initial"}}
    ignored: set[str] = set()
    for name in ignore:
        meant = sorts.get(name, {name, f"label:{name}", f"reward:{name}"} & (labels | rewards))
        if not meant and name not in sorts:
            known = ", ".join(sorted(labels | rewards)) or "no labels or rewards"
            raise InvalidInput(f"there is no {name!r} to ignore; the chain has {known}", name=name)
        ignored |= meant
    names = [name for item in respect for name in sorted(sorts.get(item, {item}))]
    return [n for n in names if not {n, f"label:{n}", f"reward:{n}"} & ignored]
