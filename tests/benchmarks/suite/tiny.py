"""PyDTMC and ours on chains so small that trying partitions one by one ends.

PyDTMC looks at ranges of consecutive states only, so the states are renumbered block by block.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lumpability import DTMC, lump
from lumpability.markov import examples
from suite.measuring import seconds
from suite.running import Limits, run

__all__ = ["tiny_table"]

_LIMITS = Limits(seconds=120, gibibytes=8)


def _chains() -> dict[str, DTMC]:
    cubes = {f"hypercube_walk({d})": examples.hypercube_walk(d) for d in (2, 3, 4)}
    cycles = {f"cycle_walk({n})": examples.cycle_walk(n) for n in (6, 9, 12, 15)}
    return {
        name: chain.renumber(np.argsort(lump(chain).partition.labels, kind="stable"))
        for name, chain in {**cubes, **cycles}.items()
    }


def tiny_table(python: str | None) -> str:
    """Return the table; `python` is an interpreter with PyDTMC."""
    title = "\n**PyDTMC, on states numbered block by block: it tries ranges of consecutive states only**\n"
    if python is None:
        return f"{title}\nSkipped: no interpreter with PyDTMC was named (`--pydtmc PYTHON`)."
    script = str(Path(__file__).with_name("pydtmc_side.py"))
    lines = ["| chain | states | PyDTMC s | ours s | PyDTMC / ours |", "|---|---|---|---|---|"]
    for name, chain in _chains().items():
        lumping = lump(chain)
        ours = min(seconds(lambda chain=chain: lump(chain)) for _ in range(5))
        blocks = [block.tolist() for block in lumping.partition.blocks]
        given = json.dumps({"matrix": chain.matrix.to_scipy().toarray().tolist(), "ours": blocks})
        found: dict[str, Any] = run([python, script], _LIMITS, stdin=given)
        lines.append(f"| {name} | {chain.n} | {_columns(found, ours)} |")
    return "\n".join([title, *lines])


def _columns(found: dict[str, Any], ours: float) -> str:
    if "failure" in found:
        return f"{found['failure']} | {ours:.5f} | "
    note = "" if found["has_ours"] else " (without our lumping)"
    return f"{found['pydtmc']:.4f}{note} | {ours:.5f} | {found['pydtmc'] / ours:.0f}"
