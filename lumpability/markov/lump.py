"""`lump` and `check` for Markov chains; `lumpability.dispatch` documents them.

The partition is the coarsest of its kind that refines the initial partition, by default that of labels and
rewards; it is unique.  The identity of its kind is checked in exact arithmetic before a lumping is returned.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.errors import LumpabilityError
from lumpability.markov.attributes import States, block_names, read_vector
from lumpability.markov.chains import MarkovChain
from lumpability.markov.earned_rewards import with_respected_rewards
from lumpability.markov.kinds import find_kind
from lumpability.markov.kinds.kind import Kind
from lumpability.markov.lumping import Lumping
from lumpability.markov.respected import respected_names, warn_if_trivial
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import gather
from lumpability.partition import Partition
from lumpability.quotient import Stats, Verdict, project
from lumpability.refinement import Engine, EngineName, Progress, Witness
from lumpability.structure import WeightedStructure

_CHUNK = 1 << 15  # states


def lump_chain(
    chain: MarkovChain,
    *,
    kind: str | Kind,
    respect: Iterable[str] | str | None,
    ignore: Iterable[str] | str,
    within: Any,
    engine: EngineName | Engine,
    progress: Progress | None,
) -> Lumping:
    """Compute the coarsest lumping of a chain and its quotient, exactly; see `lumpability.lump`."""
    import scipy.sparse  # noqa: F401  # the time that is told is without what is imported at the first call

    started = time.perf_counter()
    notion = find_kind(kind)
    seen = with_respected_rewards(chain, keeps_jumps=notion.keeps_jumps)
    wanted = respected_names(chain, notion.respects if respect is None else respect, ignore)
    distinctions = seen.distinctions(wanted)
    respected = Partition.by(chain.n, distinctions)
    if within is not None:
        respected = respected.meet(Partition.of(within, states=chain.states))
    conditions = notion.conditions(chain)
    refinement = notion.coarsest(conditions, respected, engine=engine, progress=progress)
    partition = refinement.partition
    if not refinement.proved:
        witness = notion.witness(conditions, partition)
        wrong = f"is not stable ({witness})" if witness is not None else None
        if not partition.refines(respected):
            wrong = "mixes states that must stay apart"
        if wrong is not None:
            raise LumpabilityError(
                f"the {refinement.engine} engine returned a partition that {wrong}; if it is an engine of "
                "this library, please report it with the model",
                witness=witness,
            )
    warn_if_trivial(partition, respected)
    matrix = notion.quotient(chain, conditions, partition)
    factors = notion.factors(conditions, partition)
    quotient, dropped = _quotient_chain(seen, matrix, partition, factors, distinctions)
    stats = Stats(
        states=chain.n,
        transitions=chain.matrix.m,
        blocks=quotient.n,
        block_transitions=quotient.matrix.m,
        respected_blocks=len(respected),
        engine=refinement.engine,
        seconds=time.perf_counter() - started,
        proof=f"{notion.identity(chain)} holds exactly",
        dropped=dropped,
    )
    return Lumping(chain, notion, partition, quotient, stats, respected, factors)


def check_chain(
    chain: MarkovChain,
    partition: Any,
    *,
    kind: str | Kind,
    factors: Iterable[Any] | Mapping[Any, Any] | None,
    progress: Progress | None = None,
) -> Verdict:
    """Decide exactly whether a partition is a lumping of a chain; see `lumpability.check`."""
    notion = find_kind(kind)
    blocks = Partition.of(partition, states=chain.states)
    if factors is None:
        return _explained(notion.verdict(chain, blocks, progress), chain, notion, blocks)
    return notion.verdict_with(chain, blocks, read_vector("factors", factors, chain.states, 0)[0])


def _explained(verdict: Verdict, chain: MarkovChain, kind: Kind, partition: Partition) -> Verdict:
    """Add the transitions behind the sums of a witness, except for weak lumpability."""
    if not isinstance(verdict.witness, Witness):
        return verdict
    from lumpability.markov.explain import explain_witness

    step = explain_witness(chain, kind, partition, verdict.witness)
    return replace(verdict, explanation=step)


def _quotient_chain(
    chain: MarkovChain,
    matrix: WeightedStructure,
    partition: Partition,
    factors: ExactArray | None,
    distinctions: list[np.ndarray[Any, Any]],
) -> tuple[MarkovChain, tuple[str, ...]]:
    """Build the chain on blocks, with the labels and rewards that are constant on them.

    What was respected is constant, and is not checked again.  Where states have factors, time in the
    quotient is not time in the chain, so rewards have no meaning.
    """
    first = partition.representatives
    same_time = factors is None or all(factor == 1 for factor in factors.values)
    dropped: list[str] = []

    def constant(sort: str, name: str, codes: np.ndarray[Any, Any]) -> bool:
        same = any(codes is known for known in distinctions)
        same = same or _is_constant(codes, partition)
        if not same:
            dropped.append(f"{sort}:{name}")
        return same

    # The matrix is not validated, because the proved identity implies that its rows have the right sums.
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


def _is_constant(codes: np.ndarray[Any, Any], partition: Partition) -> bool:
    """Whether states of a block have equal codes; most arrays that differ do so in the first chunk."""
    of_block, labels = codes[partition.representatives], partition.labels
    return all(
        np.array_equal(gather(of_block, labels[low : low + _CHUNK]), codes[low : low + _CHUNK])
        for low in range(0, len(codes), _CHUNK)
    )
