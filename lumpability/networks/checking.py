"""`check` for networks: whether a partition of the neurons is a lumping and, if not, why.

The check is the forward pass of `lumpability.networks.merging` with given classes: rows of merged units are
summed with their factors, constants are folded, and the columns of every class must be multiples of each
other.  The witness names two units of one class, a class below (or the bias), and two sums that differ by no
admissible factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.networks.claims import KINDS
from lumpability.networks.explain import Pair
from lumpability.networks.layer_partitions import layer_partitions
from lumpability.networks.merging import MergedStage, merge_stage
from lumpability.networks.network import Network
from lumpability.networks.weight_stages import stages_of
from lumpability.notebook_hooks import Told
from lumpability.partition import Partition
from lumpability.quotient import Verdict
from lumpability.vocabulary import unknown_word


@dataclass(frozen=True)
class NetworkWitness(Told):
    """Two units of one class that cannot be merged.

    Attributes
    ----------
    layer : int
        Number of the layer in the network.
    unit, other : int
    source : tuple of int or None
        The rows (units of the layer below, with their positions) whose weights are summed; None for the bias.
    total, other_total : Fraction
        The two aggregated weights.
    factor : Fraction
        The number by which the first sum would have to be multiplied to give the second: the ratio of the
        columns' first nonzero sums.
    reason : str
        In words.
    """

    layer: int
    unit: int
    other: int
    source: tuple[int, ...] | None
    total: Fraction
    other_total: Fraction
    factor: Fraction
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        return {
            "layer": self.layer,
            "neurons": [self.unit, self.other],
            "inputs": None if self.source is None else list(self.source),
            "sums": [str(self.total), str(self.other_total)],
            "factor": str(self.factor),
            "text": self.reason,
        }

    @property
    def claim(self) -> str:
        """The two units, as a title."""
        return f"Units {self.unit} and {self.other} of layer {self.layer}"

    def __str__(self) -> str:
        return self.reason


def check_network(network: Network, partition: Any, *, kind: str, antiparallel: bool) -> Verdict:
    """Decide exactly whether a partition is a lumping of a network; see `lumpability.check`."""
    if kind not in KINDS:
        raise unknown_word("kind", kind, KINDS)
    stages = stages_of(network)
    given = layer_partitions(partition, stages, names=(stage.position for stage in stages))
    below: MergedStage | None = None
    for number, (stage, wanted) in enumerate(zip(stages, given, strict=True)):
        above = stages[number + 1] if number + 1 < len(stages) else None
        found = merge_stage(
            stage,
            below if stage.open else None,
            above,
            kind,
            within=wanted,
            antiparallel=antiparallel,
        )
        if not wanted.refines(found.partition) or len(found.partition) != len(wanted):
            witness = _witness(found, wanted)
            return Verdict(kind, witness, f"not {kind}: {witness}")
        below = found
    return Verdict(kind, None, f"{kind}: all columns of every class are admissible multiples")


def _witness(found: MergedStage, wanted: Partition) -> NetworkWitness:
    """Return two units of a wanted class that are in different classes, and the sums that show it."""
    labels = found.partition.labels
    unit, other = next(
        (int(members[0]), int(members[k]))
        for members in wanted.blocks
        for k in np.flatnonzero(labels[members] != labels[members[0]])[:1].tolist()
    )
    layer = found.stage.position
    where = f"units {unit} and {other} of layer {layer}"
    one = Fraction(1)
    if found.stage.held is not None:
        reason = f"{where} stay apart: {found.stage.held}"
        return NetworkWitness(layer, unit, other, None, one, one, one, reason)
    pair = Pair(found, unit, other)
    lead = pair.lead
    bias = found.summed.classes
    if lead is None or lead == bias:
        sums = pair.columns[bias]
        reason = (
            f"{where} have no weights, and biases {sums[0]} and {sums[1]} that no factor reconciles"
        )
        return NetworkWitness(layer, unit, other, None, *sums, one, reason)
    first, second = pair.columns[lead]
    factor = second / first if first else one
    shown = (
        f"{where}: their sums from inputs {list(pair.source(lead).rows)} are {first} and {second}"
    )
    row = pair.disagreement(factor)
    if row is None:
        row = lead
        reason = f"{shown}: the factor {factor} does not pass the layers that follow"
    elif row == lead:
        reason = shown
    else:
        a, b = pair.columns[row]
        source = f"from inputs {list(pair.source(row).rows)}" if row < bias else "their biases"
        reason = f"{shown}, but {source} {a} and {b}"
    rows = pair.source(row).rows if row < bias else None
    return NetworkWitness(layer, unit, other, rows, *pair.columns[row], factor, reason)
