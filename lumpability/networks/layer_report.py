"""What happened to one layer of a network, in numbers for a table."""

from __future__ import annotations

from dataclasses import dataclass

from lumpability.networks.merging import MergedStage, reasons

__all__ = ["LayerReport"]


@dataclass(frozen=True)
class LayerReport:
    """What happened to one layer with weights.

    Attributes
    ----------
    layer : int
        Its number in the network.
    title : str
    units, left : int
        Neurons or channels before and after.
    identical, proportional, antiparallel, constant, dead : int
        Units that disappeared, by reason.
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
        """Count what happened to the units of a stage."""
        return cls(
            layer=one.stage.position,
            title=one.stage.layer.title,
            units=one.stage.units,
            left=int(one.live.sum()),
            held=one.stage.held,
            **reasons(one),
        )
