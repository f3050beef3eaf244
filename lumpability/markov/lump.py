"""`lump` and `check` for Markov chains.

The partition is the coarsest of its kind that refines what must be respected (labels and rewards, unless
said otherwise); it is unique.  The identity of its kind has been checked in exact arithmetic before a
lumping is returned.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.dispatch import check, lump
from lumpability.errors import InvalidInput, LumpabilityError, TrivialLumping
from lumpability.markov.attributes import States, read_vector
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earned_rewards import with_respected_rewards
from lumpability.markov.explain import explain_witness
from lumpability.markov.kinds import find_kind
from lumpability.markov.kinds.kind import Kind
from lumpability.markov.kinds.proportional import Proportional
from lumpability.markov.lumping import Lumping, Stats
from lumpability.markov.naming import block_names
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import Verdict, project
from lumpability.refinement import Engine, EngineName, Progress, Witness
from lumpability.structure import WeightedStructure

__all__ = ["check_chain", "lump_chain"]


@lump.register
def lump_chain(
    chain: MarkovChain,
    *,
    kind: str | Kind | None = None,
    respect: Iterable[str] | str | None = None,
    initial: Any = None,
    engine: EngineName | Engine = "auto",
    progress: Progress | None = None,
) -> Lumping:
    """Compute the coarsest lumping of a chain and its quotient, exactly.

    Parameters
    ----------
    chain : CTMC or DTMC
    kind : str
        "ordinary" by default.
    respect : iterable of str, optional
        What may not be mixed in a block, see `MarkovChain.respected`: by default all labels and
        rewards.  Pass ``()`` for nothing.
    initial : anything `Partition.of` takes, optional
        A partition of states that must be refined as well.
    engine : {"auto", "definition", "worklist", "rounds", "kernel"} or callable
        All give the same answer; "auto" takes what is fastest at hand, see `refinement.refine`.
    progress : callable, optional
        Called with (blocks so far, states); raising from it stops the computation.

    Returns
    -------
    Lumping

    Warns
    -----
    TrivialLumping
        If nothing that is respected tells states apart and the answer is a single block.

    Notes
    -----
    O(m log n) for n states and m transitions, plus the quotient.
    """
    started = time.perf_counter()
    chosen = find_kind(kind or "ordinary")
    seen = with_respected_rewards(chain, keeps_jumps=chosen.keeps_jumps)
    distinctions = seen.distinctions(chosen.respects if respect is None else respect)
    respected = Partition.by(chain.n, distinctions)
    if initial is not None:
        respected = respected.meet(_read_partition(initial, chain))
    conditions = chosen.conditions(chain)
    refinement = chosen.coarsest(conditions, respected, engine=engine, progress=progress)
    partition = refinement.partition
    if not refinement.proved:
        witness = chosen.witness(conditions, partition)
        if witness is not None:
            raise LumpabilityError(
                f"the {refinement.engine} engine returned a partition that is not stable ({witness}); "
                "if it is an engine of this library, please report it with the model",
                witness=witness,
            )
    if len(partition) == 1 < chain.n and len(respected) == 1:
        warnings.warn(
            "nothing that is respected tells states apart, so all fall into one block: give labels, "
            "rewards or initial=... to say which states must stay apart",
            TrivialLumping,
            stacklevel=3,
        )
    matrix = chosen.quotient(chain, conditions, partition)
    kappa = chosen.factors(conditions, partition)
    quotient, dropped = _quotient_chain(seen, matrix, partition, kappa, distinctions)
    stats = Stats(
        states=chain.n,
        transitions=chain.matrix.m,
        blocks=quotient.n,
        block_transitions=quotient.matrix.m,
        initial_blocks=len(respected),
        engine=refinement.engine,
        seconds=time.perf_counter() - started,
        proof=f"{chosen.identity(chain)} holds exactly",
        dropped=dropped,
    )
    return Lumping(chain, chosen, partition, quotient, stats, respected, kappa)


@check.register
def check_chain(
    chain: MarkovChain, partition: Any, *, kind: str | Kind | None = None, kappa: Any = None
) -> Verdict:
    """Decide exactly whether a partition is a lumping of a chain.

    Parameters
    ----------
    chain : CTMC or DTMC
    partition : anything `Partition.of` takes
    kind : str
        "ordinary" by default.
    kappa : array_like or mapping from states, shape (n,), optional
        For "proportional" only: check it with these factors, rather than with any.

    Returns
    -------
    Verdict
        Its witness, a `Witness`, names two states of one block, a block and two different sums; its
        `explanation`, a `Step`, has the transitions behind them (not if `kappa` is given).

    Raises
    ------
    InvalidPartition
        If the partition does not fit the chain.
    InvalidInput
        For `kappa` with another kind, or a factor that is not positive.

    Notes
    -----
    O(m) exact additions.
    """
    chosen = find_kind(kind or "ordinary")
    blocks = _read_partition(partition, chain)
    if kappa is None:
        return _explained(chosen.verdict(chain, blocks), chain, chosen, blocks)
    if not isinstance(chosen, Proportional):
        raise InvalidInput(f"{chosen.name} lumping has no kappa: use kind='proportional'")
    factors, _ = read_vector("kappa", kappa, chain.states, 0)
    return chosen.verdict_with(chain, blocks, factors)


def _explained(verdict: Verdict, chain: MarkovChain, kind: Kind, partition: Partition) -> Verdict:
    """Add the transitions behind the sums of a witness; weak lumpability has one of another sort."""
    if not isinstance(verdict.witness, Witness):
        return verdict
    step = explain_witness(chain, kind, partition, verdict.witness)
    return replace(verdict, explanation=step)


def _read_partition(partition: Any, chain: MarkovChain) -> Partition:
    return Partition.of(partition, states=chain.states)


def _quotient_chain(
    chain: MarkovChain,
    matrix: WeightedStructure,
    partition: Partition,
    kappa: ExactArray | None,
    distinctions: list[np.ndarray[Any, Any]],
) -> tuple[MarkovChain, tuple[str, ...]]:
    """Build the chain on blocks, with what of labels and rewards is constant on them.

    What was respected is, and need not be looked at.

    Where states are scaled, time in the quotient is not time in the chain, so rewards have no meaning.
    """
    first = partition.representatives
    same_time = kappa is None or all(factor == 1 for factor in kappa.values)
    dropped: list[str] = []

    def constant(sort: str, name: str, codes: np.ndarray[Any, Any]) -> bool:
        same = any(codes is known for known in distinctions)
        same = same or bool(np.array_equal(codes[first][partition.labels], codes))
        if not same:
            dropped.append(f"{sort}:{name}")
        return same

    # Nothing is validated: the identity that was proved makes rows sum as they must.
    quotient = object.__new__(type(chain))
    quotient.__dict__.update(chain.__dict__, matrix=matrix)
    if len(first) == chain.n:  # block numbers are state numbers, and arrays are immutable
        quotient.labels, quotient.rewards = dict(chain.labels), dict(chain.rewards)
    else:
        quotient.states = States(len(first), block_names(chain.states, partition))
        quotient.labels = {
            name: mask[first]
            for name, mask in chain.labels.items()
            if constant("label", name, mask)
        }
        for mask in quotient.labels.values():
            mask.setflags(write=False)
        quotient.rewards = {
            name: reward.map(lambda part: part.take(first))
            for name, reward in chain.rewards.items()
            if same_time and all(constant("reward", name, part.codes) for part in reward.parts)
        }
        if chain.initial is not None:
            quotient.initial = project(chain.initial, partition)
    if not same_time:
        quotient.rewards = {}
        dropped.extend(f"reward:{name}" for name in chain.rewards)
    return quotient, tuple(dict.fromkeys(dropped))
