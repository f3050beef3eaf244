"""The library's own SVG as PNG or PDF, drawn by matplotlib.

Pictures consist of circles, paths, rectangles and texts, some of them in groups that are moved.  Each becomes a patch of
matplotlib at the same place.  Patterns become hatches.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from lumpability.errors import require
from lumpability.show.plots import write_figure

_INK, _PAPER = "#1c1e23", "#ffffff"
_HATCHES = {"stripes": "////", "dots": "....", "cross": "++++"}
_STEPS = {"M": 1, "L": 1, "Q": 2, "C": 3, "Z": 0}
_INCH = 96  # units of SVG
_RESOLUTION = 192


def write_raster(svg: str, path: str | Path) -> None:
    """Write an SVG text of `lumpability.show.svg` as ``.png`` or ``.pdf``, whole or not at all.

    Equal pictures give equal bytes.

    Raises `MissingDependency` if matplotlib is not installed.  Raises `FormatError` if the file cannot be
    written.
    """
    figures = require("matplotlib.figure", extra="plot")
    root = ET.fromstring(svg)  # noqa: S314  # the library's own text
    width, height = float(root.get("width", 1)), float(root.get("height", 1))
    figure = figures.Figure(figsize=(width / _INCH, height / _INCH), dpi=_RESOLUTION)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    _Drawing(axes).group(root, 0.0, 0.0)
    write_figure(figure, path, facecolor=_PAPER)


class _Drawing:
    def __init__(self, axes: Any) -> None:
        self.axes = axes
        self.patches = require("matplotlib.patches", extra="plot")
        self.paths = require("matplotlib.path", extra="plot")
        self.effects = require("matplotlib.patheffects", extra="plot")
        self.order = 0

    def group(self, parent: Any, x: float, y: float) -> None:
        """Draw the parts of a group that is moved by (x, y), in order."""
        for part in parent:
            tag = part.tag.rpartition("}")[2]
            self.order += 1
            if tag == "g":
                moved = re.match(r"translate\(([-\d.e+]+) ([-\d.e+]+)\)", part.get("transform", ""))
                dx, dy = (float(moved[1]), float(moved[2])) if moved else (0.0, 0.0)
                self.group(part, x + dx, y + dy)
            elif tag == "circle":
                self._circle(part, x, y)
            elif tag == "path":
                self._path(part, x, y)
            elif tag == "text":
                self._text(part, x, y)

    def _circle(self, part: Any, x: float, y: float) -> None:
        fill = part.get("fill", _PAPER)
        centre = (x + float(part.get("cx")), y + float(part.get("cy")))
        hatch = next((h for name, h in _HATCHES.items() if fill.endswith(f"-{name})")), None)
        self.axes.add_patch(
            self.patches.Circle(
                centre,
                float(part.get("r")),
                facecolor="none" if hatch else fill,
                edgecolor=_INK,
                linewidth=0 if hatch else 0.75,
                hatch=hatch,
                zorder=self.order,
            )
        )

    def _path(self, part: Any, x: float, y: float) -> None:
        path = self.paths.Path
        codes = {"M": path.MOVETO, "L": path.LINETO, "Q": path.CURVE3, "C": path.CURVE4}
        points, kinds = [], []
        tokens = re.findall(r"[A-Z]|-?[\d.]+(?:e-?\d+)?", part.get("d", ""))
        while tokens:
            step = tokens.pop(0)
            for _ in range(_STEPS[step]):
                points.append((x + float(tokens.pop(0)), y + float(tokens.pop(0))))
                kinds.append(codes[step])
            if step == "Z":
                points.append(points[0])
                kinds.append(path.CLOSEPOLY)
        if not points:
            return
        filled = part.get("fill") != "none"
        self.axes.add_patch(
            self.patches.PathPatch(
                path(points, kinds),
                facecolor=_INK if filled else "none",
                edgecolor="none" if filled else _INK,
                linewidth=0.75 * float(part.get("stroke-width", 0)),
                alpha=float(part.get("opacity", 1)),
                zorder=self.order,
            )
        )

    def _text(self, part: Any, x: float, y: float) -> None:
        halo = part.get("class") == "halo"
        around = [self.effects.withStroke(linewidth=3, foreground=_PAPER)] if halo else []
        self.axes.text(
            x + float(part.get("x")),
            y + float(part.get("y")),
            (part.text or "").replace("$", r"\$"),
            fontsize=0.75 * float(part.get("font-size")),
            fontweight="bold" if part.get("font-weight") else "normal",
            horizontalalignment="center",
            verticalalignment="baseline",
            color=_INK,
            path_effects=around,
            zorder=self.order,
        )
