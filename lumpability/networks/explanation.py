"""Why two neurons share a class, or do not: an answer for people, programs and pages.

`NetworkExplanation` is plain data.  Its rows are the aggregated weights of the two neurons (the bias last), as
exact sums and in normal form: divided by the part of the first nonzero entry that the layer's rule passes.  The
neurons are together if all normal forms are equal.  They are apart if one row differs, or for another reason,
which is named.
``lumpability/schemas/network-explanation.schema.json`` describes `to_json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lumpability.notebook_hooks import Record, Told

REASONS = {
    "same": "one and the same neuron",
    "multiples": "their columns are multiples by a factor that passes",
    "layers": "neurons of different layers are never merged",
    "held": "the units of the layer stay as they are",
    "within": "the partition within which the network was lumped separates them",
    "constant": "one is constant, the other is not",
    "columns": "an aggregated weight differs",
    "factor": "their columns are multiples by a factor that does not pass",
    "function": "different functions follow them",
}
"""Every reason, by its code."""


@dataclass(frozen=True)
class ColumnEntry(Record):
    """One aggregated weight of both neurons."""

    # The sources: inputs ("input 3"), neurons below ("2:17"), or nothing for the bias.
    sources: tuple[str, ...]
    factors: tuple[Fraction, ...]  # the factors of the stored weights from the sources
    # first, second: the aggregated weights.
    first: Fraction
    second: Fraction
    # first_normal, second_normal: the same in normal form.
    first_normal: Fraction
    second_normal: Fraction

    @property
    def agrees(self) -> bool:
        """Whether the normal forms are equal."""
        return self.first_normal == self.second_normal

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        return {
            "sources": list(self.sources),
            "factors": [str(factor) for factor in self.factors],
            "sums": [str(self.first), str(self.second)],
            "normal": [str(self.first_normal), str(self.second_normal)],
            "agrees": self.agrees,
        }

    @property
    def name(self) -> str:
        """The sources in words.

        >>> one, two = Fraction(1), Fraction(2)
        >>> ColumnEntry(("0:1", "0:4"), (one, two), one, two, one, one).name
        '0:1 + 2 0:4'
        """
        if not self.sources:
            return "bias"
        parts = [
            source if factor == 1 else f"{factor} {source}"
            for source, factor in zip(self.sources, self.factors, strict=True)
        ]
        shown = (
            parts if len(parts) <= _PARTS else [*parts[: _PARTS - 1], f"... {len(parts)} in all"]
        )
        return " + ".join(shown)


_PARTS = 4


@dataclass(frozen=True, repr=False)
class NetworkExplanation(Told):
    """Why two neurons share a class, or do not.

    Attributes
    ----------
    kind : str
        "proportional" or "exact".
    neurons : tuple of two str
        As layer:neuron.
    together : bool
    reason : str
        A key of `REASONS`.
    claim : str
        The answer in one sentence.
    factor : Fraction or None
        The number that multiplies the first column to give the second, if there is one.
    entries : tuple of ColumnEntry
        Some aggregated weights; if one of them differs, it is the last.
    equal : int
        The number of other weights that agree, or are zero in both.
    unseen : int
        The number of weights after the one that differs, which were not compared.
    notes : tuple of str
        Whether each of the two is constant or dead.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.networks import Network
    >>> network = Network.dense([([[1, 2, 3]], [1, 2, 2], "relu"), ([[1], [1], [1]], None, None)])
    >>> print(lump(network).explain("0:0", "0:2"))
    0:0 and 0:2 are apart: scaled to the same first weight, their biases are 1 and 2/3
      input 0: 1 and 3, in normal form 1 and 1
      bias: 1 and 2, in normal form 1 and 2/3
    """

    kind: str
    neurons: tuple[str, str]
    together: bool
    reason: str
    claim: str
    factor: Fraction | None = None
    entries: tuple[ColumnEntry, ...] = ()
    equal: int = 0
    unseen: int = 0
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The answer, the weights that show it, and notes, one to a line."""
        lines = [self.claim]
        lines += [
            f"  {entry.name}: {entry.first} and {entry.second}, in normal form {entry.first_normal} and "
            f"{entry.second_normal}"
            for entry in self.entries
        ]
        lines += [f"  {line}" for line in self.remainder]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    @property
    def remainder(self) -> list[str]:
        """The numbers of weights that are not listed, in words."""
        counts = (
            (self.equal, "more that agree or are zero in both"),
            (self.unseen, "after it were not compared"),
        )
        return [f"{number} {what}" for number, what in counts if number]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        verdict = "together" if self.together else "apart"
        return f"NetworkExplanation({' and '.join(self.neurons)}: {verdict}, {self.reason})"
