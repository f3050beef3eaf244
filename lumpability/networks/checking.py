"""`check` for networks: whether a partition of the neurons is a lumping and, if not, why.

The forward pass of `lumpability.networks.merging` with given classes: rows of merged units are summed
with their factors, constants folded, and the columns of every class must be multiples of each other.
The witness names two units of one class, a class below (or the bias), and the two sums that no admissible
factor reconciles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.dispatch import check
from lumpability.errors import InvalidInput, InvalidPartition
from lumpability.networks.column_pair import Pair
from lumpability.networks.lump import KINDS
from lumpability.networks.lumping import offsets
from lumpability.networks.merging import MergedStage, merge_stage
from lumpability.networks.network import Network
from lumpability.networks.weight_stages import Stage, stages_of
from lumpability.notebook_hooks import Told
from lumpability.partition import Partition
from lumpability.quotient import Verdict

__all__ = ["NetworkWitness", "check_network"]


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
        What the first different sum would have to be multiplied by to agree: the ratio of the columns'
        first non-zero sums.
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
        """What the witness is about, as a title."""
        return f"Units {self.unit} and {self.other} of layer {self.layer}"

    def __str__(self) -> str:
        return self.reason


@check.register
def check_network(
    network: Network, partition: Any, *, kind: str | None = None, antiparallel: bool = False
) -> Verdict:
    """Decide exactly whether a partition of the units is a lumping of a network.

    Parameters
    ----------
    network : Network
    partition : mapping of int to partition, or anything `Partition.of` takes
        A mapping gives for the i-th layer with weights a partition of its units (others stay
        separate).  Anything else is a partition of all units, numbered layer after layer, as in
        `NetworkLumping.partition`.
    kind : {"proportional", "exact"}
    antiparallel : bool
        Units of opposite sign may share a class where the activation has a reflection.

    Returns
    -------
    Verdict
        Its witness is a `NetworkWitness`.

    Raises
    ------
    InvalidPartition
        If it does not fit the network or mixes units of different layers.

    Examples
    --------
    >>> from lumpability import check
    >>> network = Network.dense([([[1, 2]], [1, 1], "relu"), ([[1], [1]], None, None)])
    >>> print(check(network, {0: [{0, 1}]}))
    not proportional: units 0 and 1 of layer 0: their sums from inputs [0] are 1 and 2, but their biases 1 and 1
    """
    chosen = kind or "proportional"
    if chosen not in KINDS:
        raise InvalidInput(f"unknown kind {chosen!r} for a network: choose proportional or exact")
    stages = stages_of(network)
    given = _by_stage(partition, stages, network)
    below: MergedStage | None = None
    for number, (stage, wanted) in enumerate(zip(stages, given, strict=True)):
        above = stages[number + 1] if number + 1 < len(stages) else None
        found = merge_stage(
            stage,
            below if stage.open else None,
            above,
            chosen,
            within=wanted,
            antiparallel=antiparallel,
        )
        if not wanted.refines(found.partition) or len(found.partition) != len(wanted):
            witness = _witness(found, wanted)
            return Verdict(chosen, witness, f"not {chosen}: {witness}")
        below = found
    return Verdict(chosen, None, f"{chosen}: all columns of every class are admissible multiples")


def _by_stage(partition: Any, stages: list[Stage], network: Network) -> list[Partition]:
    if isinstance(partition, Mapping) and all(
        isinstance(value, Partition) or (isinstance(value, Iterable) and not isinstance(value, str))
        for value in partition.values()
    ):
        unknown = [key for key in partition if key not in range(len(stages))]
        if unknown:
            raise InvalidPartition(
                f"there is no layer {unknown[0]!r}: layers with weights are 0 .. {len(stages) - 1}"
            )
        return [
            Partition.of(partition[i], states=stage.units)
            if i in partition
            else Partition.discrete(stage.units)
            for i, stage in enumerate(stages)
        ]
    bounds = offsets(network)
    whole = Partition.of(partition, states=int(bounds[-1]))
    layer = np.repeat(np.arange(len(stages)), np.diff(bounds))
    mixed = np.flatnonzero(layer[whole.representatives][whole.labels] != layer)
    if len(mixed):
        raise InvalidPartition(
            f"unit {int(mixed[0])} shares a class with a unit of another layer", unit=int(mixed[0])
        )
    return [
        whole.restrict(np.arange(low, high))
        for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


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
        reason = f"{shown}: the factor {factor} does not pass what follows the layer"
    elif row == lead:
        reason = shown
    else:
        a, b = pair.columns[row]
        source = f"from inputs {list(pair.source(row).rows)}" if row < bias else "their biases"
        reason = f"{shown}, but {source} {a} and {b}"
    rows = pair.source(row).rows if row < bias else None
    return NetworkWitness(layer, unit, other, rows, *pair.columns[row], factor, reason)
