"""Plots with matplotlib: what a lumping saves, and that the quotient gives the same answers.

Every function draws into the given axes, or into a new figure, and returns the axes.  Sizes are drawn in black
and in a second colour with another brightness, so that they differ on a grey printer as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lumpability.errors import require
from lumpability.markov.lumping import Lumping
from lumpability.markov.solve import stationary, transient
from lumpability.networks.lumping import NetworkLumping

__all__ = ["class_sizes", "layer_widths", "stationary_masses", "transient_masses"]

_BEFORE, _AFTER = "#b9c3d0", "#1a5fb4"


def _axes(axes: Any, width: float = 6.4) -> Any:
    if axes is not None:
        return axes
    pyplot = require("matplotlib.pyplot", extra="plot")
    return pyplot.subplots(figsize=(width, 3.6), layout="constrained")[1]


def layer_widths(lumping: NetworkLumping, *, axes: Any = None) -> Any:
    """Plot the units of every layer before and after.

    Parameters
    ----------
    lumping : NetworkLumping
    axes : matplotlib axes, optional

    Returns
    -------
    matplotlib axes

    Raises
    ------
    MissingDependency
        Without matplotlib.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.networks.examples import planted
    >>> axes = layer_widths(lump(planted([3, 4, 2], copies=3)[0]))
    >>> [int(bar.get_height()) for bar in axes.patches]
    [12, 2, 4, 2]
    """
    drawn = _axes(axes, max(4.0, 0.5 * len(lumping.table)))
    rows = lumping.table
    place = np.arange(len(rows))
    drawn.bar(place - 0.2, [row.units for row in rows], 0.4, color=_BEFORE, label="before")
    drawn.bar(place + 0.2, [row.left for row in rows], 0.4, color=_AFTER, label="after")
    drawn.set_xticks(place, [str(row.layer) for row in rows])
    drawn.set(xlabel="layer", ylabel="units")
    drawn.legend()
    return drawn


def class_sizes(lumping: Lumping | NetworkLumping, *, axes: Any = None) -> Any:
    """Plot how many classes there are of each size, on logarithmic scales.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
    axes : matplotlib axes, optional

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import machine_repair
    >>> axes = class_sizes(lump(machine_repair(6, repairers=2)))
    >>> axes.collections[-1].get_offsets().data.tolist()
    [[1.0, 2.0], [6.0, 2.0], [15.0, 2.0], [20.0, 1.0]]
    """
    drawn = _axes(axes)
    sizes, counts = np.unique(lumping.partition.blocks.sizes, return_counts=True)
    drawn.vlines(sizes, 0.7, counts, color=_BEFORE)
    drawn.scatter(sizes, counts, color=_AFTER)
    drawn.set(xscale="log", yscale="log", xlabel="members", ylabel="classes")
    return drawn


def stationary_masses(lumping: Lumping, *, axes: Any = None) -> Any:
    """Plot the stationary distribution of the chain, summed over blocks, against that of the quotient.

    All points lie on the diagonal, up to the errors of the solvers.

    Parameters
    ----------
    lumping : Lumping
        Of an irreducible chain.
    axes : matplotlib axes, optional

    Raises
    ------
    NotUnique
        If the chain has several recurrent classes.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> axes = stationary_masses(lump(land_of_oz()))
    >>> axes.collections[0].get_offsets().data.tolist()
    [[0.8, 0.8], [0.2, 0.2]]
    """
    whole = lumping.project_stationary(stationary(lumping.chain).values).to_floats()
    small = stationary(lumping.quotient).floats()
    drawn = _axes(axes)
    top = max(float(whole.max()), float(small.max())) * 1.05
    drawn.plot([0, top], [0, top], color=_BEFORE, zorder=0)
    drawn.scatter(whole, small, color=_AFTER)
    drawn.set(
        xlabel="chain, summed over blocks", ylabel="quotient", title="stationary distribution"
    )
    return drawn


def transient_masses(
    lumping: Lumping, times: Sequence[float], *, largest: int = 6, axes: Any = None
) -> Any:
    """Plot block probabilities over time: of the chain as lines, of the quotient as dots.

    Parameters
    ----------
    lumping : Lumping
        Of a chain with an initial distribution, of a kind that preserves block probabilities.
    times : sequence of float
        Steps for a DTMC.
    largest : int
        Number of blocks to plot: those with the largest probabilities at the end.
    axes : matplotlib axes, optional

    Examples
    --------
    >>> from lumpability import DTMC, lump
    >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], initial=0)
    >>> axes = transient_masses(lump(chain, within=[0, 1, 1]), [0, 1, 2])
    >>> [line.get_ydata().tolist() for line in axes.lines]
    [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    wholes = [transient(lumping.chain, time).values for time in times]
    whole = np.array([lumping.project(values).to_floats() for values in wholes])
    small = np.array([transient(lumping.quotient, time).floats() for time in times])
    drawn = _axes(axes)
    chosen = np.sort(np.argsort(-whole[-1], kind="stable")[:largest]).tolist()
    for block in chosen:
        (line,) = drawn.plot(times, whole[:, block], label=str(lumping.quotient.states[block]))
        drawn.plot(times, small[:, block], "o", color=line.get_color(), markersize=4)
    drawn.set(xlabel="time", ylabel="probability", title="lines: chain; dots: quotient")
    drawn.legend(fontsize="small")
    return drawn
