"""The lumping of a network, as `lump` returns it (`lumpability.networks.lump`).

The quotient computes the same function as the network for every input, over the reals and for the stored
weights; the identity that proves it is checked in exact arithmetic before a lumping is returned.
New weights that the stored type cannot hold are rounded, kept in float64, or refused, by choice of the caller.
Floating-point execution may still differ, because sums have another order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lumpability.errors import NotJustified
from lumpability.networks.bound_claims import NewWeights
from lumpability.networks.certificate import NetworkCertificate
from lumpability.networks.claims import Subject
from lumpability.networks.explain import Neuron, explain_neurons
from lumpability.networks.explanation import NetworkExplanation
from lumpability.networks.graph.source import graph_of
from lumpability.networks.merging import MergedStage, reasons
from lumpability.networks.near_misses import NearMiss, near_misses
from lumpability.networks.network import Network
from lumpability.networks.quotient import Rounding
from lumpability.notebook_hooks import Played
from lumpability.partition import Partition
from lumpability.quotient import Stats
from lumpability.vocabulary import missing_attribute


@dataclass(frozen=True, eq=False, repr=False)
class NetworkLumping(Played):
    """The coarsest lumping of a network.

    Attributes
    ----------
    network : Network
    kind : str
        Its name: "proportional" or "exact".
    partition : Partition
        Of all neurons of layers with weights, numbered layer after layer.
    quotient : Network
    stats : Stats
    respected : Partition
        The initial partition: neurons in different blocks of it may not share a class.
    stages : tuple of MergedStage
        Partition, factors, constants and dead classes, layer by layer.
    weights : tuple of NewWeights
        The quotient's weights before rounding.
    rounding : Rounding
        The changes by rounding to the stored type.

    Examples
    --------
    >>> from lumpability import lump
    >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
    >>> lumping = lump(network)
    >>> lumping
    NetworkLumping(proportional: 2 -> 1 hidden neurons, 6 -> 3 parameters, proved)
    >>> lumping.factors[0], lumping.origin[0]
    ([Fraction(1, 1), Fraction(2, 1)], [[0, 1]])
    """

    network: Network
    kind: str
    partition: Partition
    quotient: Network
    stats: Stats
    respected: Partition
    stages: tuple[MergedStage, ...]
    weights: tuple[NewWeights, ...]
    rounding: Rounding

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name)

    @property
    def partitions(self) -> list[Partition]:
        """Partition of the units of each layer with weights.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> lumping.partition, lumping.partitions
        (Partition([[0, 1], [2]]), [Partition([[0, 1]]), Partition([[0]])])
        """
        return [one.partition for one in self.stages]

    @property
    def factors(self) -> list[list[Any]]:
        """Factor c(s) of every unit, layer by layer, as fractions.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> [str(factor) for factor in lumping.factors[0]]
        ['1', '2']
        """
        return [one.factors.tolist() for one in self.stages]

    @property
    def origin(self) -> list[list[list[int]]]:
        """For every layer and every unit of the quotient, the units of its class.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> lumping.origin
        [[[0, 1]], [[0]]]
        """
        return [
            [one.partition.blocks[c].tolist() for c in one.kept.tolist()] for one in self.stages
        ]

    @cached_property
    def table(self) -> list[LayerReport]:
        """The units before and after, and why units were removed, layer by layer.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> row = lumping.table[0]
        >>> row.units, row.left, row.proportional
        (2, 1, 1)
        """
        return [LayerReport.of(one) for one in self.stages]

    @property
    def is_irreducible(self) -> bool:
        """Whether nothing could be merged, folded or removed.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> lumping.is_irreducible, lump(lumping.quotient).is_irreducible
        (False, True)
        """
        return all(row.units == row.left for row in self.table)

    @property
    def result(self) -> str:
        """The result in one sentence.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> lumping.result
        '2 -> 1 hidden neurons, 6 -> 3 parameters, the same function for every input'
        """
        alone = ""
        if graph_of(self.network) is not None:
            alone = "; the layers alone, as an option asks: without it the graph is reduced"
        if not self.is_irreducible:
            return (
                f"{self.network.hidden_neurons} -> {self.quotient.hidden_neurons} hidden neurons, "
                f"{self.network.parameter_count} -> {self.quotient.parameter_count} parameters, "
                f"the same function for every input{alone}"
            )
        barriers = sorted({row.held for row in self.table if row.held not in (None, "output")})
        if barriers:
            return f"no neuron that was examined can leave (kept as they are: units {', '.join(barriers)}){alone}"
        return f"irreducible: every layer's neurons are pairwise distinguishable{alone}"

    def certificate(self) -> NetworkCertificate:
        """Return a certificate, with everything needed to check the lumping; see `NetworkCertificate.verify`.

        Raises
        ------
        NotJustified
            If the lumping was found within a partition: the certificate of a network states that no two
            of its classes can be merged.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> bool(lumping.certificate().verify())
        True
        """
        if len(self.respected) > len(self.stages):
            raise NotJustified(
                "the certificate of a network states that no two of its classes can be merged, and within= "
                "may keep classes apart that can: lump without it to get a certificate"
            )
        return NetworkCertificate(
            kind=self.kind,
            original=Subject.of(self.network),
            reduced=Subject.of(self.quotient),
            layers=tuple(one.claim for one in self.stages),
            largest_change=self.rounding.largest,
            network=self.network,
            quotient=self.quotient,
        )

    def explain(self, first: Neuron, second: Neuron, *, limit: int = 10) -> NetworkExplanation:
        """Explain why two neurons share a class, or why not.

        Parameters
        ----------
        first, second : (int, int) or str
            Neurons or channels: (2, 17) or "2:17" is number 17 of layer 2 of the network.
        limit : int
            Largest number of aggregated weights to show.

        Returns
        -------
        NetworkExplanation
            As text, `to_json` and `to_html`.

        Raises
        ------
        InvalidInput
            If there is no such neuron.

        Notes
        -----
        Reads two columns of one layer.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> print(lump(network).explain("0:0", "0:1"))
        0:0 and 0:1 share class 0: the column of 0:1 is 2 times that of 0:0 in all 2 entries, and relu
        admits positive factors
          input 0: 1 and 2, in normal form 1 and 1
          bias: 1 and 2, in normal form 1 and 1
        """
        layers = self.network.layers
        return explain_neurons(layers, self.stages, self.kind, first, second, limit=limit)

    def near_misses(self, limit: int = 10, *, weights: int = 2) -> list[NearMiss]:
        """Return pairs of classes that would be one class if few weights were different.

        Parameters
        ----------
        limit : int
            Largest number of pairs to return.
        weights : int
            Largest number of aggregated weights in which two columns may differ.

        Returns
        -------
        list of NearMiss
            Fewest changes first, then smallest.

        Notes
        -----
        Compares all pairs of classes of each layer, in a sample of rows and, if needed, in all rows.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2], [3, 7]], None, "relu"), ([[1], [1]], None, None)])
        >>> len(lump(network).near_misses())
        1
        """
        return near_misses(self.stages, self.kind, limit, weights=weights)

    def report(self) -> dict[str, Any]:
        """Return the whole result as plain data for JSON.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], [1, 2], "relu"), ([[1], [1]], None, None)])
        >>> lumping = lump(network)
        >>> lumping.report()["after"]["hidden_neurons"]
        1
        """
        return {
            "kind": self.kind,
            "result": self.result,
            "before": self.network.sizes,
            "after": self.quotient.sizes,
            "layers": [dict(vars(row)) for row in self.table],
            "origin": self.origin,
            "weights": {
                "new": self.rounding.weights,
                "rounded": self.rounding.rounded,
                "largest_change": str(self.rounding.largest),
                "dtype": str(self.quotient.dtype),
            },
            "meaning": MEANING + (f"; {self.rounding}" if self.rounding.rounded else ""),
            "seconds": self.stats.seconds,
        }

    def __repr__(self) -> str:
        return (
            f"NetworkLumping({self.kind}: {self.network.hidden_neurons} -> "
            f"{self.quotient.hidden_neurons} hidden neurons, {self.network.parameter_count} -> "
            f"{self.quotient.parameter_count} parameters, proved)"
        )


MEANING = (
    "exact over the reals for the stored weights; floating-point execution may differ in the order of "
    "summation"
)
"""The meaning of the proof, a sentence of every report."""


@dataclass(frozen=True)
class LayerReport:
    """The units of one layer with weights, before and after.

    Attributes
    ----------
    layer : int
        Its number in the network.
    title : str
    units, left : int
        Neurons or channels before and after.
    identical, proportional, antiparallel, constant, dead : int
        Units that were removed, by reason.
    held : str or None
        Why nothing may be merged here.
    """

    layer: int
    title: str
    units: int
    left: int
    identical: int
    proportional: int
    antiparallel: int
    constant: int
    dead: int
    held: str | None

    @classmethod
    def of(cls, one: MergedStage) -> LayerReport:
        """Count the units of a stage."""
        return cls(
            layer=one.stage.position,
            title=one.stage.layer.title,
            units=one.stage.units,
            left=int(one.live.sum()),
            held=one.stage.held,
            **reasons(one),
        )
