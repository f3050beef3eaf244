"""`picture`: a chain, a network or a lumping as a picture, to show or to write to a file.

The suffix chooses the format: ``.svg`` for pages and slides, ``.png`` and ``.pdf`` for other programs, ``.dot`` for
Graphviz, ``.tex`` for LaTeX with TikZ.
Models too large for a slide are refused, because nobody could read the drawing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path
from typing import Any

from lumpability.errors import InvalidInput, SizeLimit
from lumpability.files import writing
from lumpability.markov.base import MarkovChain
from lumpability.markov.lumping import Lumping
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.reduce import GraphLumping
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.network import Network
from lumpability.numbers import latex
from lumpability.partition import Partition
from lumpability.show.graphs import LARGEST_DRAWN, Graph, chain_graph
from lumpability.show.network_graphs import class_colours, network_graph
from lumpability.show.node_graphs import node_graph
from lumpability.show.palette import colour, letter
from lumpability.show.svg import beside, graph_svg
from lumpability.show.text import printable
from lumpability.vocabulary import count

_POINT = 0.03  # centimetres for one unit of the drawing


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """A drawing.

    Attributes
    ----------
    svg : str
    graph : Graph
        Of the original, for DOT and TikZ.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> drawn = picture(land_of_oz())
    >>> drawn
    Picture(3 vertices)
    >>> drawn.dot.splitlines()[-2]
    '  2 -> 2 [label="1/2"];'
    """

    svg: str
    graph: Graph

    @property
    def dot(self) -> str:
        """In the language of Graphviz."""
        return to_dot(self.graph)

    @property
    def tikz(self) -> str:
        """As a tikzpicture for LaTeX."""
        return to_tikz(self.graph)

    def write(self, path: str | Path) -> None:
        """Write the picture to a file, whole or not at all.

        Raises `InvalidInput` for another suffix, and `FormatError` if the file cannot be written.

        Parameters
        ----------
        path : str or Path
            Ends in ``.svg``, ``.dot`` (or ``.gv``), ``.tex``, or with matplotlib ``.png`` or ``.pdf``.
        """
        suffix = Path(path).suffix.lower()
        if suffix in {".png", ".pdf"}:
            from lumpability.show.raster import write_raster

            write_raster(self.svg, path)
            return
        if suffix not in {".svg", ".dot", ".gv", ".tex"}:
            raise InvalidInput(
                f"{path}: a picture ends in .svg, .png, .pdf, .dot, .gv or .tex", path=str(path)
            )
        text = self.svg if suffix == ".svg" else self.tikz if suffix == ".tex" else self.dot
        with writing(path) as file:
            file.write(f"{text}\n".encode())

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Picture({len(self.graph.names)} vertices)"


def picture(value: Any, *, partition: Any = None) -> Picture:
    """Draw a chain, a network, or a lumping with its quotient beside it.

    Parameters
    ----------
    value : CTMC, DTMC, Lumping, Network, NetworkLumping, GraphNetwork or GraphLumping
    partition : partition or lumping, optional
        Of a chain, whose blocks are coloured.

    Raises
    ------
    SizeLimit
        Beyond 64 states, or 160 units in a layer.
    InvalidInput
        For anything else.

    Examples
    --------
    >>> from lumpability import lump
    >>> from lumpability.markov.examples import land_of_oz
    >>> picture(lump(land_of_oz())).svg.count("<circle")
    5
    """
    if partition is None:
        return _drawn(value)
    if not isinstance(value, MarkovChain):
        raise InvalidInput("partition= colours the states of a chain: a lumping has its own")
    return _chain_picture(value, Partition.of(partition, states=value.states))


@singledispatch
def _drawn(value: Any) -> Picture:
    raise InvalidInput(
        f"there is no picture of a {type(value).__name__}: give a model or a lumping"
    )


@_drawn.register
def _chain_picture(value: MarkovChain, blocks: Partition | None = None) -> Picture:
    _check_size(value.n)
    graph = chain_graph(value, blocks)
    return Picture(
        graph_svg(graph, f"{type(value).__name__} with {count(value.n, 'state')}"), graph
    )


@_drawn.register
def _(value: Lumping) -> Picture:
    chain, quotient = value.chain, value.quotient
    _check_size(chain.n)
    graph = chain_graph(chain, value.partition)
    small = _sized(chain_graph(quotient, Partition.discrete(quotient.n)), value.partition)
    titles = (count(chain.n, "state"), f"quotient, {count(quotient.n, 'block')}")
    return Picture(beside(graph, small, titles, f"{value.kind} lumping of a chain"), graph)


@_drawn.register
def _(value: Network | GraphNetwork) -> Picture:
    graph = network_graph(value) if isinstance(value, Network) else node_graph(value)
    return Picture(graph_svg(graph, f"network with {value.hidden_neurons} hidden neurons"), graph)


@_drawn.register
def _(value: NetworkLumping) -> Picture:
    before, after = class_colours(value.stages)
    graph, small = network_graph(value.network, before), network_graph(value.quotient, after)
    titles = (
        count(value.network.hidden_neurons, "hidden neuron"),
        f"quotient, {count(value.quotient.hidden_neurons, 'hidden neuron')}",
    )
    return Picture(beside(graph, small, titles, f"{value.kind} lumping of a network"), graph)


@_drawn.register
def _(value: GraphLumping) -> Picture:
    graph = node_graph(value)
    before, after = value.network.hidden_neurons, value.quotient.hidden_neurons
    return Picture(graph_svg(graph, f"network: {before} -> {after} hidden neurons"), graph)


def _sized(graph: Graph, partition: Partition) -> Graph:
    """Write how many states a block has where its name would be too long."""
    sizes = partition.blocks.sizes.tolist()
    names = [
        name if size == 1 else f"\N{MULTIPLICATION SIGN}{size:,}"
        for name, size in zip(graph.names, sizes, strict=True)
    ]
    notes = [", ".join(filter(None, pair)) for pair in zip(graph.names, graph.notes, strict=True)]
    return replace(graph, names=tuple(names), notes=tuple(notes))


def _check_size(states: int) -> None:
    if states > LARGEST_DRAWN:
        raise SizeLimit(
            f"{states} states are too many for a picture (at most {LARGEST_DRAWN}): draw the quotient",
            states=states,
        )


def to_dot(graph: Graph) -> str:
    r"""Return a graph in the language of Graphviz, vertices of one block in one colour.

    >>> print(to_dot(Graph.of(["up", 'a "b"'], [(0, 1, "1/2")], blocks=[0, 1])))
    digraph {
      node [style=filled, fontcolor=black];
      0 [label="up\nA", fillcolor="#56b4e9"];
      1 [label="a \"b\"\nB", fillcolor="#e69f00"];
      0 -> 1 [label="1/2"];
    }
    """
    lines = ["digraph {", "  node [style=filled, fontcolor=black];"]
    for vertex, (name, block) in enumerate(zip(graph.names, graph.blocks, strict=True)):
        label = f"{_quoted(name)}\\n{letter(block)}" if block >= 0 else _quoted(name)
        fill = colour(block) if block >= 0 else "white"
        lines.append(f'  {vertex} [label="{label}", fillcolor="{fill}"];')
    for arrow, weight in zip(graph.arrows, graph.weights, strict=True):
        label = f' [label="{_quoted(weight)}"]' if weight else ""
        lines.append(f"  {arrow.source} -> {arrow.target}{label};")
    return "\n".join([*lines, "}"])


def to_tikz(graph: Graph) -> str:
    r"""Return a graph as a tikzpicture, for ``\usepackage{tikz}``.

    >>> print(to_tikz(Graph.of(["up", "50%"], [(0, 1, "1/2")], blocks=[0, 0])))
    \begin{tikzpicture}[>=stealth, state/.style={circle, draw, minimum size=7mm, inner sep=0pt}]
      \definecolor{blockA}{HTML}{56B4E9}
      \node[state, fill=blockA, label=below:{up}] (s0) at (1.38, -1.38) {A};
      \node[state, fill=blockA, label=below:{50\%}] (s1) at (8.00, -1.38) {A};
      \draw[->] (s0) to node[midway, fill=white, inner sep=1pt] {\scriptsize $\frac{1}{2}$} (s1);
    \end{tikzpicture}
    """
    # Units that stay by themselves (block -1) are white and have no letter.
    style = "circle, draw, minimum size=7mm, inner sep=0pt"
    lines = [rf"\begin{{tikzpicture}}[>=stealth, state/.style={{{style}}}]"]
    for block in dict.fromkeys(block for block in graph.blocks if block >= 0):
        code = colour(block).removeprefix("#").upper()
        lines.append(rf"  \definecolor{{block{letter(block)}}}{{HTML}}{{{code}}}")
    for vertex, (name, block) in enumerate(zip(graph.names, graph.blocks, strict=True)):
        x, y = graph.points[vertex].tolist()
        name_of_block = letter(block) if block >= 0 else ""
        fill = f"fill=block{name_of_block}" if block >= 0 else "fill=white"
        lines.append(
            rf"  \node[state, {fill}, label=below:{{{latex.escaped(printable(name))}}}] (s{vertex}) "
            rf"at ({x * _POINT:.2f}, {-y * _POINT:.2f}) {{{name_of_block}}};"
        )
    pairs = {(arrow.source, arrow.target) for arrow in graph.arrows}
    for arrow, weight in zip(graph.arrows, graph.weights, strict=True):
        if arrow.source == arrow.target:
            way = "[loop above]"
        else:
            way = "[bend left=15]" if (arrow.target, arrow.source) in pairs else ""
        label = rf"node[midway, fill=white, inner sep=1pt] {{\scriptsize {latex.value(printable(weight))}}} "
        lines.append(
            rf"  \draw[->] (s{arrow.source}) to{way} {label if weight else ''}(s{arrow.target});"
        )
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _quoted(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')
