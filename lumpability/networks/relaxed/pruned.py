"""What `explain_pruning` tells: neurons, layers, and the whole, as text, JSON and a small page."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.notebook_hooks import Record

_ROUNDING = 1e-12


@dataclass(frozen=True)
class PrunedNeuron(Record):
    """What became of one neuron.

    Attributes
    ----------
    unit : int
    became : {"kept", "rescaled", "merged", "constant", "dropped"}
    of : int or None
        The neuron of the smaller network that stands for it.
    factor : float
        It stands for the neuron divided by this.
    value : float
        Of a constant.
    residual : float
        How far its incoming weights and bias move it at most, by intervals; of a constant or dropped neuron how far
        it is from the constant.
    """

    unit: int
    became: str
    of: int | None
    factor: float
    value: float
    residual: float

    def __str__(self) -> str:
        times = "" if self.factor == 1 else f"{self.factor:.4g} times "
        told = {
            "constant": f"became the constant {self.value:.4g}",
            "dropped": "was dropped",
            "merged": f"is {times}neuron {self.of}, which stands for others too",
        }.get(self.became, f"is {times}neuron {self.of}")
        residual = self.residual if self.residual > _ROUNDING else 0.0
        return f"neuron {self.unit} {told}; residual {residual:.3g}"


@dataclass(frozen=True)
class PrunedLayer(Record):
    """One layer of both networks.

    Attributes
    ----------
    layer : int
        Its number in the original network, or that of the node of a graph.
    name : str
        The same number, or the output of the node.
    units, left : int
        Neurons before and after; those of the output layer stay.
    zeroed : int
        Weights of the smaller network that are zero where the original, lifted, has none.
    weights : int
        Weights of the smaller network.
    values, values_before : int
        Distinct weights of the smaller network, and of the original.
    rank : int or None
        Rank of the smaller network's weights, where it is less than the shape allows and that of the original.
    largest_change : float
        Largest change of a weight or bias that the lift leaves.
    residual : float
        The largest residual of a neuron that stays.
    method : str
        What the change looks like.
    neurons : tuple of PrunedNeuron
    """

    layer: int
    name: str
    units: int
    left: int
    zeroed: int
    weights: int
    values: int
    values_before: int
    rank: int | None
    largest_change: float
    residual: float
    method: str
    neurons: tuple[PrunedNeuron, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many neurons became what."""
        return dict(Counter(one.became for one in self.neurons))

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.counts.items())
        return f"layer {self.name}: {self.units} -> {self.left} neurons ({counts}); {self.method}"


@dataclass(frozen=True, eq=False)
class PruningExplanation(Record):
    """What a pruning method did, and how far the outputs can move.

    Attributes
    ----------
    layers : tuple of PrunedLayer
    bound : Fraction
        No output differs by more on the region; for all inputs times max(1, abs(x)).
    meaning : str
    certificate : RegionCertificate

    Examples
    --------
    >>> from lumpability import Box, explain_pruning
    >>> from lumpability.networks import Network
    >>> full = Network.dense([([[1, 2, -1]], [1, 2, 0], "relu"), ([[1], [1], [0.25]], None, None)])
    >>> less = Network.dense([([[1]], [1], "relu"), ([[3]], [0.125], None)])
    >>> found = explain_pruning(full, less, region=Box([-1], [1]))
    >>> print(found)
    on the region no output differs by more than 0.125
    layer 0: 3 -> 1 neurons (2 merged, 1 constant); neurons merged, with factors; neurons made constant
      neuron 0 is neuron 0, which stands for others too; residual 0
      neuron 1 is 2 times neuron 0, which stands for others too; residual 0
      neuron 2 became the constant 0.5; residual 0.5
    layer 2: 1 -> 1 neurons (1 kept); biases changed
      neuron 0 is neuron 0; residual 0
    """

    layers: tuple[PrunedLayer, ...]
    bound: Fraction
    meaning: str
    certificate: RegionCertificate

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts."""
        layers = [{**layer.to_json(), "counts": layer.counts} for layer in self.layers]
        return {"bound": str(self.bound), "meaning": self.meaning, "layers": layers}

    def to_html(self) -> str:
        """Return a small self-contained page."""
        parts = [f"<p>{html.escape(self.meaning)}</p>"]
        for layer in self.layers:
            rows = "".join(f"<li>{html.escape(str(one))}</li>" for one in layer.neurons)
            head = html.escape(str(layer))
            parts.append(f"<details><summary>{head}</summary><ul>{rows}</ul></details>")
        body = "\n".join(parts)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>What pruning did</title>\n'
            "<style>body{font-family:system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
            f"</style></head><body>\n<h1>What pruning did</h1>\n{body}\n</body></html>\n"
        )

    def __str__(self) -> str:
        lines = [self.meaning]
        for layer in self.layers:
            lines.append(str(layer))
            lines += [f"  {one}" for one in layer.neurons]
        return "\n".join(lines)
