"""The reports of the commands about Markov chains; see `models`."""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.cli.report import Report, smaller
from lumpability.markov import Lumping, MarkovChain
from lumpability.markov.approximate import ApproximateLumping, Residual
from lumpability.markov.approximate.tolerance import in_percent
from lumpability.markov.attributes import States, block_name
from lumpability.markov.blocks import Blocked
from lumpability.markov.horizon import HorizonLumping
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.refinement import Witness
from lumpability.show.text import Table
from lumpability.vocabulary import count

UNIT = "state"
"""The noun for what is merged, in the singular."""
_LARGEST = 5
_MEMBERS = 8
_LISTED = 12


def describe(chain: MarkovChain) -> Report:
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


def units(chain: MarkovChain) -> States:
    """Return the states."""
    return chain.states


def summarise(lumping: Lumping | ApproximateLumping | HorizonLumping) -> Report:
    """Report sizes before and after, what holds, what was dropped, and the largest blocks."""
    chain, stats, partition = lumping.chain, lumping.stats, lumping.partition
    largest = _largest_blocks(chain.states, partition)
    data = {
        "kind": lumping.kind,
        "blocks": stats.blocks,
        "transitions": stats.block_transitions,
        "initial_blocks": stats.respected_blocks,
        "proof": stats.proof,
        "engine": stats.engine,
        "seconds": stats.seconds,
        "dropped": list(stats.dropped),
        "largest_blocks": largest,
    }
    factor = f"{smaller(stats.states, stats.blocks)} times smaller" if stats.blocks else "empty"
    gain = "no two can be merged" if stats.blocks == stats.states else factor
    rows = [
        ("states", f"{stats.states:,} -> {stats.blocks:,}  ({gain})"),
        ("transitions", f"{stats.transitions:,} -> {stats.block_transitions:,}"),
    ]
    if isinstance(lumping, ApproximateLumping):
        data |= _tolerances(lumping)
        rows += [("time", f"{stats.seconds:.2f} s"), *_tolerance_rows(lumping)]
    elif isinstance(lumping, HorizonLumping):
        sizes = [len(level) for level in lumping.partitions]
        rate = None if lumping.rate is None else str(lumping.rate)
        data |= {"horizon": lumping.horizon, "blocks_by_step": sizes, "rate": rate}
        data["coarsest"] = lumping.is_lumping
        rows += [("time", f"{stats.seconds:.2f} s"), *_horizon_rows(lumping, sizes)]
    else:
        factors = None if lumping.factors is None else [str(x) for x in lumping.factors]
        data |= {"coarsest": True, "kappa": factors}
        rows += [
            ("time", f"{stats.seconds:.2f} s, proof included ({stats.engine})"),
            ("proof", f"{stats.proof}; coarsest by construction"),
        ]
    rows.append(("respected", count(stats.respected_blocks, "block")))
    if stats.dropped:
        rows.append(("dropped", f"{', '.join(stats.dropped)}: not constant on blocks"))
    title = f"{type(chain).__name__}, {lumping.kind} lumping"
    tables = [Table(title, (*rows, *_reading_rows(chain)))]
    if stats.blocks < stats.states:
        tables.append(_block_table(lumping, largest))
    return Report(data, tuple(tables))


def _tolerances(lumping: ApproximateLumping) -> dict[str, Any]:
    return {
        "tolerance": str(lumping.tolerance),
        "absolute": str(lumping.absolute),
        "reward_tolerance": str(lumping.reward_tolerance),
        "residual": _residual(lumping.chain.states, lumping.partition, lumping.residual),
    }


def _tolerance_rows(lumping: ApproximateLumping) -> list[tuple[str, str]]:
    found = lumping.residual
    spread = f"{in_percent(found.relative)} relative, {shown(found.absolute)} absolute"
    rows = [
        ("tolerance", in_percent(lumping.tolerance)),
        ("residual", f"sums spread by at most {spread}"),
    ]
    if found.witness is not None:
        rows.append(("where", found.witness_text(lumping.chain, lumping.partition)))
    return [*rows, ("quotient", "means over blocks, an estimate; the interval chain bounds")]


def _horizon_rows(lumping: HorizonLumping, sizes: list[int]) -> list[tuple[str, str]]:
    all_steps = "; on all steps, as no round splits more" if lumping.is_lumping else ""
    rows = [
        ("proof", f"{lumping.stats.proof}{all_steps}"),
        ("after steps", _listed([f"{i}: {size:,}" for i, size in enumerate(sizes)])),
    ]
    if lumping.rate is not None:
        rows.append(("steps", f"of the uniformised chain, {shown(lumping.rate)} per unit of time"))
    return rows


def _residual(states: States, partition: Partition, found: Residual) -> dict[str, Any]:
    """Return a residual as plain data."""
    return {
        "relative": str(found.relative),
        "absolute": str(found.absolute),
        "witness": _witness(states, partition, found.witness),
        "absolute_witness": _witness(states, partition, found.absolute_witness),
    }


def evidence(chain: MarkovChain, partition: Partition, verdict: Verdict) -> dict[str, Any]:
    """Return the witness of a verdict in the chain's names, and the labels and rewards that blocks mix."""
    names = [*(f"label:{x}" for x in chain.labels), *(f"reward:{x}" for x in chain.rewards)]
    return {
        "witness": _witness(chain.states, partition, verdict.witness),
        "explanation": None if verdict.explanation is None else verdict.explanation.to_json(),
        "residual": None
        if verdict.residual is None
        else _residual(chain.states, partition, verdict.residual),
        "mixed": [x for x in names if not partition.refines(chain.respected((x,)))],
    }


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
    """Return rows that say how numbers of the file were changed; none if they were exact."""
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
    """Return the name of a state as a number or text for JSON."""
    return state if isinstance(state, int) else str(state)


def _block_table(lumping: Blocked | HorizonLumping, blocks: list[dict[str, Any]]) -> Table:
    states, partition = lumping.chain.states, lumping.partition
    names = lumping.quotient.states if isinstance(lumping, Blocked) else None
    rows = tuple(
        (
            f"{b['block']}",
            f"{b['size']:,}",
            block_name(states, partition, b["block"])
            if names is None or not names.named or b["size"] == 1
            else str(names[b["block"]]),
        )
        for b in blocks
    )
    title = "largest blocks" if len(partition) > len(blocks) else "blocks"
    return Table(title, rows, ("block", "states", "members"), frozenset({0, 1}))


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f", ... {more} more" if more > 0 else "")
