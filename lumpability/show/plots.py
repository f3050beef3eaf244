"""Plots with matplotlib: what a lumping saves, and that the quotient gives the same answers.

Every function draws into the given axes, or into a new figure, and returns the axes; `save` writes its figure.  Sizes
are drawn in black and in a second colour with another brightness, so that they differ on a grey printer as well.
Legends are outside of the axes, where they hide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidInput, require
from lumpability.files import writing
from lumpability.markov.answer import Answer
from lumpability.markov.lumping import Lumping
from lumpability.markov.solve import stationary, transient
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.relaxed.relaxation import RelaxedLumping

_UNDATED: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}
_NAMED = 36  # characters of a name in a legend or beside a bar
BEFORE, AFTER = "#b9c3d0", "#1a5fb4"


def new_axes(axes: Any, width: float = 6.4) -> Any:
    """Return the given axes, or those of a new figure.

    >>> new_axes("given")
    'given'
    """
    if axes is not None:
        return axes
    pyplot = require("matplotlib.pyplot", extra="plot")
    return pyplot.subplots(figsize=(width, 3.6), layout="constrained")[1]


def _short(name: Any) -> str:
    """Return a name that leaves the axes room."""
    text = str(name)
    return text if len(text) <= _NAMED else f"{text[: _NAMED - 4]} ..."


def legend(axes: Any, **more: Any) -> None:
    """Add a legend at the right of the axes."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0, **more)


def _scale(axes: Any, log: str) -> None:
    """Make the axes named by a text such as "x", "y" or "xy" logarithmic."""
    if set(log) - {"x", "y"}:
        raise InvalidInput(f"log={log!r} names no axes: give 'x', 'y' or 'xy'")
    for axis in log:
        axes.set(**{f"{axis}scale": "log"})


def save(axes: Any, path: str | Path) -> None:
    """Write the figure of some axes; the suffix says the format: .pdf, .png or .svg.

    Equal figures give equal bytes.  The file is written whole or not at all.

    Parameters
    ----------
    axes : matplotlib axes
    path : str or Path

    Raises
    ------
    FormatError
        For another suffix, or if the file cannot be written.
    """
    write_figure(axes.figure, path, bbox_inches="tight")
    require("matplotlib.pyplot", extra="plot").close(axes.figure)


def write_figure(figure: Any, path: str | Path, **options: Any) -> None:
    """Write a figure of matplotlib without the time at which it was made."""
    matplotlib, kind = require("matplotlib", extra="plot"), Path(path).suffix.lower()[1:]
    if kind not in _UNDATED:
        raise FormatError(f"a plot is written as {', '.join(f'.{x}' for x in _UNDATED)}", path=path)
    with matplotlib.rc_context({"svg.hashsalt": "lumpability"}), writing(path) as file:
        figure.savefig(file, format=kind, metadata=_UNDATED[kind], **options)


def answer_values(answer: Answer, *, log: str = "", largest: int = 10, axes: Any = None) -> Any:
    """Plot the numbers of an answer: over the parameter of its sweep, over time, or by name.

    - answer: without parameters left
    - log: axes with a logarithmic scale: "x", "y" or "xy"
    - largest: number of lines, or bars, to draw: those with the largest values

    Raises `InvalidInput` if values are expressions.

    >>> from lumpability import CTMC
    >>> from lumpability.markov import ask
    >>> line = CTMC.from_rates({("up", "down"): "x", ("down", "up"): 2}, labels={"ok": ["up"]})
    >>> axes = answer_values(ask(line, label="ok", sweep={"x": [1, 2, 6]}))
    >>> [line.get_xydata().tolist() for line in axes.lines]
    [[[1.0, 0.6666666666666666], [2.0, 0.5], [6.0, 0.25]]]
    """
    if any(getattr(row.value, "free_symbols", None) for row in answer.rows):
        raise InvalidInput("values are expressions of parameters: give them numbers, or a sweep")
    drawn = new_axes(axes)
    timed = "time" in answer.columns
    if not (answer.parameters or timed):
        rows = sorted(answer.rows, key=lambda row: -float(row.value))[:largest][::-1]
        drawn.barh(range(len(rows)), [float(row.value) for row in rows], color=AFTER)
        drawn.set_yticks(range(len(rows)), [_short(row.name) for row in rows])
        drawn.set(xlabel=answer.quantity)
        _scale(drawn, log)
        return drawn
    over = "time" if timed else answer.parameters[0]
    lines: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row in answer.rows:
        fixed = [f"{name} = {x}" for name, x in row.point.items() if name != over]
        place = row.time if timed else row.point[over]
        line = lines.setdefault((row.name, *fixed), [])
        line.append((float(place), float(row.value)))
    shown = sorted(lines, key=lambda name: -max(y for _, y in lines[name]))[:largest]
    for name in (name for name in lines if name in shown):
        drawn.plot(
            *zip(*lines[name], strict=True),
            marker="." if len(lines[name]) < 40 else "",
            label=", ".join([_short(name[0]), *name[1:]]),
        )
    drawn.set(xlabel=over, ylabel=answer.quantity)
    _scale(drawn, log)
    legend(drawn, fontsize="small")
    return drawn


def layer_widths(lumping: NetworkLumping, *, axes: Any = None) -> Any:
    """Plot the units of every layer before and after.

    Parameters
    ----------
    lumping : NetworkLumping
    axes : matplotlib axes, optional

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
    drawn = new_axes(axes, max(4.0, 0.5 * len(lumping.table)))
    rows = lumping.table
    place = np.arange(len(rows))
    drawn.bar(place - 0.2, [row.units for row in rows], 0.4, color=BEFORE, label="before")
    drawn.bar(place + 0.2, [row.left for row in rows], 0.4, color=AFTER, label="after")
    drawn.set_xticks(place, [str(row.layer) for row in rows])
    drawn.set(xlabel="layer", ylabel="units")
    legend(drawn)
    return drawn


def relaxation_curve(relaxed: RelaxedLumping, *, axes: Any = None) -> Any:
    """Plot how few hidden units are left for which difference of the outputs.

    Raises `MissingDependency` without matplotlib.

    >>> from lumpability import relax
    >>> from lumpability.networks import Network
    >>> network = Network.dense([([[1, 2, 1]], [0, 0.01, 3], "relu"), ([[1], [1], [1]], None, None)])
    >>> relaxation_curve(relax(network, tolerance=0.1)).get_ylabel()
    'hidden units left'
    """
    axes = new_axes(axes)
    points = [point for point in relaxed.curve if point.bound > 0]
    units, bounds = [point.units for point in points], [point.bound for point in points]
    axes.plot(bounds, units, color=BEFORE, marker=".", drawstyle="steps-post", label="tried")
    left = relaxed.quotient.hidden_neurons
    axes.plot(
        [float(relaxed.bound)], [left], color=AFTER, marker="o", label="certified", linestyle=""
    )
    axes.set(xlabel="largest difference of an output", ylabel="hidden units left", xscale="log")
    axes.set_ylim(bottom=0)
    legend(axes)
    return axes


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
    drawn = new_axes(axes)
    sizes, counts = np.unique(lumping.partition.blocks.sizes, return_counts=True)
    drawn.vlines(sizes, 0.7, counts, color=BEFORE)
    drawn.scatter(sizes, counts, color=AFTER)
    drawn.set(xscale="log", yscale="log", xlabel="members", ylabel="classes")
    return drawn


def stationary_masses(lumping: Lumping, *, log: str = "", axes: Any = None) -> Any:
    """Plot the stationary distribution of the chain, summed over blocks, against that of the quotient.

    All points lie on the diagonal, up to the errors of the solvers.

    Parameters
    ----------
    lumping : Lumping
        Of an irreducible chain.
    log : str
        "xy" for logarithmic scales.
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
    drawn = new_axes(axes)
    top = max(float(whole.max()), float(small.max())) * 1.05
    low = float(small[small > 0].min()) if log else 0.0
    drawn.plot([low, top], [low, top], color=BEFORE, zorder=0)
    drawn.scatter(whole, small, color=AFTER)
    drawn.set(
        xlabel="chain, summed over blocks", ylabel="quotient", title="stationary distribution"
    )
    _scale(drawn, log)
    return drawn


def transient_masses(
    lumping: Lumping, times: Sequence[float], *, largest: int = 6, log: str = "", axes: Any = None
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
    log : str
        Axes with a logarithmic scale: "x", "y" or "xy".
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
    drawn = new_axes(axes)
    chosen = np.sort(np.argsort(-whole[-1], kind="stable")[:largest]).tolist()
    for block in chosen:
        (line,) = drawn.plot(times, whole[:, block], label=_short(lumping.quotient.states[block]))
        drawn.plot(times, small[:, block], "o", color=line.get_color(), markersize=4)
    drawn.set(xlabel="time", ylabel="probability", title="lines: chain; dots: quotient")
    _scale(drawn, log)
    legend(drawn, fontsize="small")
    return drawn
