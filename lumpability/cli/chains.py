"""What the commands say about Markov chains, and how they ask for what to respect; see `models`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lumpability.cli.models import (
    Report,
    arguments,
    describe,
    judge,
    smaller,
    summarise,
    understood,
    units,
)
from lumpability.cli.partition_file import read_partition
from lumpability.errors import InvalidInput
from lumpability.markov import Lumping, MarkovChain
from lumpability.markov.attributes import States
from lumpability.markov.kinds import find_kind
from lumpability.markov.naming import block_name
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.refinement import Progress, Witness
from lumpability.show.text import Table, count

__all__ = ["respecting"]

_OPTIONS = ("respect", "ignore", "initial", "engine")
_LARGEST = 5
_MEMBERS = 8
_LISTED = 12


@describe.register
def describe_chain(chain: MarkovChain) -> Report:
    """Report the class of a chain, its sizes, labels, rewards, and how its floats were read."""
    labels = {name: int(mask.sum()) for name, mask in chain.labels.items()}
    starts = None if chain.initial is None else _nonzero(chain)
    data = {
        "class": type(chain).__name__,
        "states": chain.n,
        "transitions": chain.matrix.m,
        "distinct_weights": len(chain.matrix.weights.values),
        "labels": labels,
        "rewards": list(chain.rewards),
        "initial_states": starts,
        **_reading(chain),
    }
    rows = [
        ("states", f"{chain.n:,}"),
        (
            "transitions",
            f"{chain.matrix.m:,}, {count(data['distinct_weights'], 'distinct number')}",
        ),
        ("labels", _listed([f"{k} ({count(v, 'state')})" for k, v in labels.items()])),
        ("rewards", _listed(list(chain.rewards))),
        ("initial", "none given" if starts is None else count(starts, "state")),
        *_reading_rows(chain),
    ]
    return Report(data, (Table(type(chain).__name__, tuple(rows)),))


@units.register
def states(chain: MarkovChain) -> States:
    """Return the states."""
    return chain.states


@arguments.register
def lump_arguments(
    chain: MarkovChain, kind: str | None, given: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Return what to respect, the partition to start from, the engine, and what it reports to."""
    asked = understood(given, _OPTIONS, f"a {type(chain).__name__}")
    initial = asked.get("initial")
    return {
        "respect": respecting(chain, kind, asked.get("respect"), asked.get("ignore")),
        "initial": None if initial is None else read_partition(initial, chain.states),
        "engine": asked.get("engine", "auto"),
        "progress": progress,
    }


@summarise.register
def summarise_chain_lumping(lumping: Lumping) -> Report:
    """Report sizes before and after, the proof, what was dropped, and the largest blocks."""
    chain, stats = lumping.chain, lumping.stats
    largest = _largest_blocks(chain.states, lumping.partition)
    data = {
        "kind": lumping.kind.name,
        "blocks": stats.blocks,
        "transitions": stats.block_transitions,
        "initial_blocks": stats.initial_blocks,
        "proof": stats.proof,
        "coarsest": True,
        "engine": stats.engine,
        "seconds": stats.seconds,
        "dropped": list(stats.dropped),
        "largest_blocks": largest,
        "kappa": None if lumping.kappa is None else [str(factor) for factor in lumping.kappa],
    }
    factor = f"{smaller(stats.states, stats.blocks)} times smaller" if stats.blocks else "empty"
    gain = "no two can be merged" if stats.blocks == stats.states else factor
    rows = [
        ("states", f"{stats.states:,} -> {stats.blocks:,}  ({gain})"),
        ("transitions", f"{stats.transitions:,} -> {stats.block_transitions:,}"),
        ("time", f"{stats.seconds:.2f} s, proof included ({stats.engine})"),
        ("proof", f"{stats.proof}; coarsest by construction"),
        ("respected", count(stats.initial_blocks, "initial block")),
    ]
    if stats.dropped:
        rows.append(("dropped", f"{', '.join(stats.dropped)}: not constant on blocks"))
    rows += _reading_rows(chain)
    title = f"{type(chain).__name__}, {lumping.kind.name} lumping"
    tables = [Table(title, tuple(rows))]
    if stats.blocks < stats.states:
        tables.append(_block_table(chain.states, lumping.partition, largest))
    return Report(data, tuple(tables))


@judge.register
def judge_chain(chain: MarkovChain, partition: Partition, verdict: Verdict) -> Report:
    """Report a verdict, its witness in the chain's names, and labels that blocks mix."""
    mixed = [
        name
        for name in [*(f"label:{x}" for x in chain.labels), *(f"reward:{x}" for x in chain.rewards)]
        if not partition.refines(chain.respected((name,)))
    ]
    data = {
        "kind": verdict.kind,
        "lumpable": bool(verdict),
        "blocks": len(partition),
        "text": verdict.text,
        "witness": _witness(chain.states, partition, verdict.witness),
        "explanation": None if verdict.explanation is None else verdict.explanation.to_json(),
        "mixed": mixed,
    }
    rows = [
        ("verdict", "yes" if verdict else "no"),
        ("partition", f"{count(chain.n, 'state')} in {count(len(partition), 'block')}"),
        ("proof" if verdict else "because", verdict.text.partition(": ")[2]),
    ]
    if mixed:
        rows.append(("mixed", f"{', '.join(mixed)}: not constant on blocks"))
    title = f"{type(chain).__name__}: is the partition a lumping ({verdict.kind})?"
    return Report(data, (Table(title, tuple(rows)),))


def respecting(
    chain: MarkovChain,
    kind: str | None,
    respect: Sequence[str] | None,
    ignore: Iterable[str] | None,
) -> Sequence[str] | None:
    """Return what `lump` shall respect: what was asked for, or the kind's default, less some names.

    Raises
    ------
    InvalidInput
        If a name to ignore is neither a label nor a reward.
    """
    if ignore is None:
        return respect
    labels = {f"label:{name}" for name in chain.labels}
    rewards = {f"reward:{name}" for name in chain.rewards}
    ignored = set()
    for name in ignore:
        meant = {name, f"label:{name}", f"reward:{name}"} & (labels | rewards)
        if not meant:
            known = ", ".join([*labels, *rewards]) or "no labels or rewards"
            raise InvalidInput(f"there is no {name!r} to ignore; the chain has {known}", name=name)
        ignored |= meant
    sorts = {"labels": labels, "rewards": rewards}
    wanted = find_kind(kind or "ordinary").respects if respect is None else respect
    names = [name for item in wanted for name in sorted(sorts.get(item, {item}))]
    return [n for n in names if not {n, f"label:{n}", f"reward:{n}"} & ignored]


def _nonzero(chain: MarkovChain) -> int:
    assert chain.initial is not None
    zero = np.array([value == 0 for value in chain.initial.values], dtype=bool)
    return int((~zero[chain.initial.codes]).sum())


def _witness(states: States, partition: Partition, witness: Any) -> dict[str, Any] | None:
    if isinstance(witness, Witness):
        return {
            "states": [_plain(states[witness.state]), _plain(states[witness.other])],
            "sums": [str(witness.total), str(witness.other_total)],
            "direction": witness.direction,
            "block": _block(states, partition, witness.block),
        }
    return None if witness is None else {"text": str(witness)}


def _reading(chain: MarkovChain) -> dict[str, Any]:
    reading = chain.reading
    return {
        "reading": {
            "distinct": reading.distinct,
            "nearest": reading.nearest,
            "neighbours": reading.neighbours,
            "largest_change": str(reading.largest_change),
        },
        "rescaled": str(chain.rescaled),
    }


def _reading_rows(chain: MarkovChain) -> list[tuple[str, str]]:
    """Say openly what differs from the numbers in the file; exact files need no words."""
    rows = []
    if chain.reading.distinct:
        rows.append(("numbers", str(chain.reading)))
    if chain.rescaled:
        rows.append(("rescaled", f"row sums were off by up to {float(chain.rescaled):.2g}"))
    return rows


def _largest_blocks(states: States, partition: Partition) -> list[dict[str, Any]]:
    sizes = partition.blocks.sizes
    order = np.argsort(-sizes, kind="stable")[:_LARGEST].tolist()
    return [_block(states, partition, block) for block in order]


def _block(states: States, partition: Partition, block: int) -> dict[str, Any]:
    members = partition.blocks[block]
    shown = [_plain(states[i]) for i in members[:_MEMBERS].tolist()]
    return {"block": block, "size": len(members), "first_members": shown}


def _plain(state: Any) -> int | str:
    """Return a state's name as JSON can hold it."""
    return state if isinstance(state, int) else str(state)


def _block_table(states: States, partition: Partition, blocks: list[dict[str, Any]]) -> Table:
    rows = tuple(
        (f"{b['block']}", f"{b['size']:,}", block_name(states, partition, b["block"]))
        for b in blocks
    )
    title = "largest blocks" if len(partition) > len(blocks) else "blocks"
    return Table(title, rows, ("block", "states", "members"), frozenset({0, 1}))


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f", ... {more} more" if more > 0 else "")
