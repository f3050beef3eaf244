"""`lumpability check`: whether a partition is a lumping, and if not, why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.models import describe, judge, options_of, subject, units
from lumpability.cli.partition_file import read_factors, read_partition
from lumpability.dispatch import check
from lumpability.markov import KINDS

_EXAMPLES = """\b
Examples:
  lumpability check chain.drn blocks.json
  lumpability check chain.npz blocks.txt --kind bisimulation --json
  lumpability check measured.drn blocks.json --tolerance 1%
  lumpability check net.onnx classes.json
"""


@command("check", examples=_EXAMPLES)
@options.file_argument("model")
@options.file_argument("partition")
@options.kind
@options.file_option(
    "--factors",
    default="any",
    about="Chains, with --kind proportional: check with these factors of the states, a JSON list in "
    'their order or a mapping from states; numbers are integers or texts such as "1/3".',
)
@options.antiparallel
@options.tolerance
@options.reading
def check_command(
    stages: Stages,
    *,
    model: Path,
    partition: Path,
    kind: str | None,
    factors: Path | None,
    antiparallel: bool | None,
    tolerance: str | None,
    absolute: str | None,
    read: options.Read,
) -> Outcome:
    """Decide whether PARTITION is a lumping of MODEL.

    PARTITION is a file. In JSON (suffix .json): a list of blocks, each a list of states; or a mapping
    from states to block labels; or a list of block labels in the order of the states. In CSV: the
    columns state and block. Any other file holds one block label on each line. For a network, states are the neurons of its layers with
    weights: 2:17 is neuron (or channel) 17 of layer 2, as info numbers them, and for graphs conv:17 that of
    the node that writes conv.

    The exit code is 0 for yes and 1 for no. If no, the output names two states of one block, and a block
    into which (or neurons from which) their exact sums differ.
    """
    with stages("reading", model.name):
        loaded = subject(read(model), kind, antiparallel)
        blocks = read_partition(partition, units(loaded))
        asked = {"tolerance": tolerance, "absolute": absolute, "antiparallel": antiparallel}
        given: dict[str, Any] = {name: x for name, x in asked.items() if x is not None}
        if factors is not None:
            given["factors"] = read_factors(factors, units(loaded))
    if kind == "weak":
        given["progress"] = stages.progress
    with stages("checking"), options_of(loaded):
        verdict = check(loaded, blocks, kind=kind, **given)
    report = judge(loaded, blocks, verdict)
    hint = ""
    if not verdict and KINDS[verdict.kind].has_coarsest and loaded.domain != "graph":
        chosen = "" if kind is None else f" --kind {kind}"
        chosen += " --antiparallel" if antiparallel else ""
        chosen += "" if tolerance is None else f" --tolerance {tolerance}"
        what = "the coarsest lumping" if tolerance is None else "a partition within the tolerance"
        hint = f"Hint: {what} inside this partition: lumpability lump {model} --within {partition}{chosen}"
    return Outcome(
        lambda: {
            "path": str(model),
            "partition": str(partition),
            "model": describe(loaded, kind, antiparallel).data,
            "verdict": report.data,
        },
        report.tables,
        hint=hint,
        holds=bool(verdict),
    )
