r"""Pictures for other tools: DOT for Graphviz, TikZ for LaTeX.

Names come from files that anybody may have written: in DOT they are quoted, in TeX every character that
means something there is escaped, so that a name is printed and never obeyed.
"""

from __future__ import annotations

from lumpability.show.graphs import Graph
from lumpability.show.palette import colour, letter
from lumpability.show.text import printable

__all__ = ["to_dot", "to_tikz"]

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_POINT = 0.03  # centimetres for one unit of the drawing


def to_dot(graph: Graph) -> str:
    r"""Return a graph in the language of Graphviz, vertices of one block in one colour.

    Examples
    --------
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

    Examples
    --------
    >>> print(to_tikz(Graph.of(["up", "50%"], [(0, 1, "1/2")], blocks=[0, 0])))
    \begin{tikzpicture}[>=stealth, state/.style={circle, draw, minimum size=7mm, inner sep=0pt}]
      \definecolor{blockA}{HTML}{56B4E9}
      \node[state, fill=blockA, label=below:{up}] (s0) at (1.38, -1.38) {A};
      \node[state, fill=blockA, label=below:{50\%}] (s1) at (8.00, -1.38) {A};
      \draw[->] (s0) to node[midway, fill=white, inner sep=1pt] {\scriptsize 1/2} (s1);
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
            rf"  \node[state, {fill}, label=below:{{{_tex(name)}}}] (s{vertex}) "
            rf"at ({x * _POINT:.2f}, {-y * _POINT:.2f}) {{{name_of_block}}};"
        )
    pairs = {(arrow.source, arrow.target) for arrow in graph.arrows}
    for arrow, weight in zip(graph.arrows, graph.weights, strict=True):
        if arrow.source == arrow.target:
            way = "[loop above]"
        else:
            way = "[bend left=15]" if (arrow.target, arrow.source) in pairs else ""
        label = rf"node[midway, fill=white, inner sep=1pt] {{\scriptsize {_tex(weight)}}} "
        lines.append(
            rf"  \draw[->] (s{arrow.source}) to{way} {label if weight else ''}(s{arrow.target});"
        )
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _quoted(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in printable(text))
