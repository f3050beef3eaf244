"""The measured peers of design.md: Storm in doubles and Boa on an idle machine, in seconds.

What Boa would take here is estimated as its time there, times Storm's time here over Storm's there.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PEERS", "Peer"]


@dataclass(frozen=True)
class Peer:
    """A line of design.md's table; `boa` is None where Boa's answer was missing or wrong."""

    blocks: int
    storm: float
    boa: float | None


PEERS = {
    "polling_of_design:14": Peer(344_064, 0.63, 0.18),
    "tandem1023": Peer(2_096_128, 2.7, 1.8),
    "cluster64": Peer(75_725, 0.15, 0.10),
    "cluster256": Peer(1_187_597, 3.3, 1.8),
    "kanban4": Peer(454_475, 1.06, 0.73),
    "kanban5": Peer(2_546_432, 7.7, 5.8),
    "fms7": Peer(1_639_440, 5.1, 2.8),
    "peer_to_peer:5": Peer(126, 0.95, 1.2),
    "herman:15": Peer(612, 0.85, 2.1),
    "crowds5_20": Peer(121, 0.65, 0.62),
    "egl7_4": Peer(1_913, 0.23, 0.23),
    "nand60_1": Peer(2_726_958, 2.8, None),
    "brp20000_10": Peer(1_520_023, 1.1, 3.4),
    "marked_path:1000000": Peer(1_000_000, 0.24, 0.39),
    "planted_blocks:1000000": Peer(1_000, 3.7, 4.9),
}
