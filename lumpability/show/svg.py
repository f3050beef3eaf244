"""Pictures as SVG: chains and networks, blocks by colour, pattern and letter.

The SVG is one text that loads nothing, for a page, a notebook, or a file of its own.  Colours
follow the reader's choice of light or dark (``prefers-color-scheme``); lines and texts use ``currentColor``,
which the picture sets together with its background, so that they always fit.  Title and description
describe the picture in words.  The same model gives the same characters, on every machine.
"""

from __future__ import annotations

from html import escape

from lumpability.show.graphs import Graph, short
from lumpability.show.palette import colour, letter, pattern

_STYLE = (
    ".lumpability{color:#1c1e23;font-family:system-ui,'DejaVu Sans',sans-serif}"
    ".lumpability .paper{fill:#fff}"
    ".lumpability .halo{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}"
    "@media(prefers-color-scheme:dark){.lumpability{color:#eceef2}"
    ".lumpability .paper{fill:#17181c}.lumpability .halo{stroke:#17181c}}"
)
_PATTERNS = {
    "stripes": '<pattern id="lumpability-stripes" width="5" height="5" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="1.6" height="5" fill="#101114" opacity=".55"/></pattern>',
    "dots": '<pattern id="lumpability-dots" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<circle cx="2.5" cy="2.5" r="1.1" fill="#101114" opacity=".55"/></pattern>',
    "cross": '<pattern id="lumpability-cross" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M0 0H6M0 0V6" stroke="#101114" stroke-width="1.3" opacity=".55"/></pattern>',
}
_MOST_LABELS = 48
_MOST_NAMES = 30
_CROWDED = 250
_WIDEST = 1100.0
_HEAD, _GAP = 26.0, 30.0


def graph_svg(graph: Graph, title: str) -> str:
    """Draw a graph.

    - title: A description for screen readers

    >>> text = graph_svg(Graph.of(["up", "<b>"], [(0, 1, "1/2")], blocks=[0, 0]), "two states")
    >>> "<title>two states</title>" in text, "&lt;b&gt;" in text
    (True, True)
    """
    return _document(_graph_parts(graph), graph.width, graph.height, title, _in_words(graph))


def beside(first: Graph, second: Graph, titles: tuple[str, str], title: str) -> str:
    """Draw two graphs side by side, or below each other if they are wide: an original and its quotient.

    >>> graph = Graph.of(["a"], [])
    >>> beside(graph, graph, ("chain", "quotient"), "one state").count("<circle")
    2
    """
    graphs = (first, second)
    across = first.width + second.width <= _WIDEST
    width = max(graph.width for graph in graphs)
    height = max(graph.height for graph in graphs)
    parts: list[str] = []
    left = top = 0.0
    for graph, name in zip(graphs, titles, strict=True):
        x = left if across else (width - graph.width) / 2
        y = top + _HEAD + ((height - graph.height) / 2 if across else 0)
        parts += [
            _text(x + graph.width / 2, top + 19, name, 14, bold=True),
            f'<g transform="translate({x:g} {y:g})">',
            *_graph_parts(graph),
            "</g>",
        ]
        left, top = (left + graph.width + _GAP, 0) if across else (0, y + graph.height)
    size = (left - _GAP, height + _HEAD) if across else (width, top)
    words = f"{titles[0]}: {_in_words(first)} {titles[1]}: {_in_words(second)}"
    return _document(parts, round(size[0], 1), round(size[1], 1), title, words)


def _document(parts: list[str], width: float, height: float, title: str, words: str) -> str:
    used = [text for name, text in _PATTERNS.items() if any(f"-{name})" in part for part in parts)]
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lumpability" role="img" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        'style="max-width:100%;height:auto">'
    )
    head = [f"<title>{escape(title)}</title>", f"<desc>{escape(words)}</desc>"]
    patterns = [f"<defs>{''.join(used)}</defs>"] if used else []
    paper = '<rect class="paper" width="100%" height="100%" rx="8"/>'
    return "\n".join([start, *head, f"<style>{_STYLE}</style>", *patterns, paper, *parts, "</svg>"])


def _graph_parts(graph: Graph) -> list[str]:
    if graph.headings:  # links between layers have one direction, and there is no room for heads
        lines = "".join(arrow.line for arrow in graph.arrows)
        parts = [
            f'<path d="{lines}" fill="none" stroke="currentColor" stroke-width=".6" opacity=".3"/>'
        ]
    else:
        faint = ".65" if len(graph.arrows) <= _CROWDED else ".2"
        parts = [
            f'<path d="{arrow.line}" fill="none" stroke="currentColor" stroke-width="1.3" '
            f'opacity="{faint}"/><path d="{arrow.head}" fill="currentColor" opacity="{faint}"/>'
            for arrow in graph.arrows
        ]
    if len(graph.arrows) <= _MOST_LABELS:
        parts += [
            _text(arrow.x, arrow.y + 4, short(weight, 16), 11.5, halo=True)
            for arrow, weight in zip(graph.arrows, graph.weights, strict=True)
            if weight
        ]
    for x, heading, below in graph.headings:
        parts += [_text(x, 18, heading, 13, bold=True), _text(x, 34, below, 12)]
    for (x, y), name, note, block in zip(
        graph.points.tolist(), graph.names, graph.notes, graph.blocks, strict=True
    ):
        said = f"{name} · {note}" if note else name
        parts.append(f"<g><title>{escape(said)}</title>")
        parts += _vertex(x, y, graph.radius, block)
        if len(graph.names) <= _MOST_NAMES and not graph.headings:
            parts.append(_text(x, y + graph.radius + 14, short(name), 12, halo=True))
        parts.append("</g>")
    return parts


def _vertex(x: float, y: float, radius: float, block: int) -> list[str]:
    circle = f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}"'
    if block < 0:
        return [f'{circle} class="paper" stroke="currentColor" stroke-opacity=".7"/>']
    parts = [f'{circle} fill="{colour(block)}" stroke="#1c1e23"/>']
    if pattern(block):
        parts.append(f'{circle} fill="url(#lumpability-{pattern(block)})"/>')
    if radius >= 8:
        size = round(radius * 0.95, 1)
        # A pattern must not run through the letter.
        halo = (
            f'paint-order="stroke" stroke="{colour(block)}" stroke-width="3" '
            if pattern(block)
            else ""
        )
        parts.append(
            f'<text {halo}x="{x:g}" y="{round(y + 0.34 * radius, 1):g}" text-anchor="middle" font-size="{size:g}" '
            f'font-weight="700" fill="#101114">{letter(block)}</text>'
        )
    return parts


def _text(
    x: float, y: float, text: str, size: float, *, bold: bool = False, halo: bool = False
) -> str:
    weight = ' font-weight="700"' if bold else ""
    around = ' class="halo"' if halo else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-size="{size:g}"{weight}{around} '
        f'fill="currentColor">{escape(text)}</text>'
    )


def _in_words(graph: Graph) -> str:
    blocks: dict[int, list[str]] = {}
    for name, block in zip(graph.names, graph.blocks, strict=True):
        if block < 0:
            continue
        blocks.setdefault(block, []).append(name)
    listed = "; ".join(
        f"{letter(block)}: {', '.join(members[:12])}{', …' if len(members) > 12 else ''}"
        for block, members in list(blocks.items())[:12]
    )
    if graph.headings:
        return (
            "Units from layer to layer: " + ", ".join(below for _, _, below in graph.headings) + "."
        )
    return f"Blocks {listed}{'; …' if len(blocks) > 12 else ''}."
