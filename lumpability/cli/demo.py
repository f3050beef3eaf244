"""`lumpability demo`: lump a chain and a network of the library, and refute a partition."""

from __future__ import annotations

import click

from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.models import describe, judge, summarise
from lumpability.dispatch import check, lump
from lumpability.markov.examples import machine_repair
from lumpability.networks.examples import planted
from lumpability.partition import Partition
from lumpability.show.text import Table

_REPAIRERS = 2
_SIZES, _COPIES = [3, 8, 6, 2], 4
_STORY = (
    ("state", "which machines are up (u) and which are down (d)"),
    ("label", "operational: at least half of them are up"),
)


@command(
    "demo",
    examples="Examples: lumpability demo, and lumpability demo --machines 18 to wait a moment",
)
@click.option(
    "--machines",
    type=click.IntRange(3, 20),
    default=16,
    show_default=True,
    help="Number of machines; the chain has 2^machines states.",
)
def demo_command(stages: Stages, *, machines: int) -> Outcome:
    """Lump a chain and a network of the library.

    A wrong partition of the chain is refuted. In the chain identical machines fail one by one, and two repairers
    share their time among all machines that are down. A state says of every machine whether it is up, so there are 2^machines states. Only
    the number of machines that are down matters, and the lumping finds that. In the network every hidden
    neuron has four copies, scaled by different factors, and the lumping merges them.
    """
    with stages("building"):
        chain = machine_repair(machines, repairers=_REPAIRERS)
    # The chain decides which functions are compiled, so the first run uses the same chain.
    with stages("compiling", "the engine, once on this machine"):
        lump(chain, progress=stages.progress)
    with stages("lumping"):
        lumping = lump(chain, progress=stages.progress)
    with stages("checking"):
        wrong = Partition.of([str(state)[0] for state in chain.states], states=chain.states)
        verdict = check(chain, wrong)
    with stages("lumping the network"):
        merged = summarise(lump(planted(_SIZES, copies=_COPIES)[0]))
    found, refuted = summarise(lumping), judge(chain, wrong, verdict)
    code = (
        "from lumpability import lump",
        "from lumpability.markov.examples import machine_repair",
        "from lumpability.networks.examples import planted",
        f"print(lump(machine_repair({machines}, repairers={_REPAIRERS})))",
        f"print(lump(planted({_SIZES}, copies={_COPIES})[0]))",
    )
    ready = (
        f"ready after a first run of {stages.seconds['compiling']:.2f} s: compiled once, then kept"
    )
    title = f"{machines} machines, {_REPAIRERS} repairers for all that are down"
    return Outcome(
        lambda: {
            "model": describe(chain).data,
            "lumping": found.data,
            "verdict": refuted.data,
            "network": merged.data,
            "python": list(code),
        },
        [
            Table(title, (*_STORY, ("engine", ready))),
            *found.tables,
            Table(
                "a wrong idea: only the first machine matters, so let its state be the block", ()
            ),
            *refuted.tables,
            Table(
                "a network: every hidden neuron has four copies, scaled by different factors", ()
            ),
            *merged.tables,
            Table("the same in Python", tuple((line,) for line in code)),
        ],
    )
