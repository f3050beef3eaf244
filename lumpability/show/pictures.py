"""`picture`: a chain, a network or a lumping as a picture, to look at or to write to a file.

The suffix chooses the form: ``.svg`` for pages and slides, ``.dot`` for Graphviz, ``.tex`` for LaTeX with TikZ.
Drawn is what fits a slide; anything larger is refused with its size rather than drawn as a hairball.
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
from lumpability.networks.lumping import NetworkLumping
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.show.export import to_dot, to_tikz
from lumpability.show.graphs import LARGEST_DRAWN, Graph, chain_graph
from lumpability.show.network_graphs import network_graph
from lumpability.show.svg import beside, graph_svg
from lumpability.show.text import count

__all__ = ["Picture", "picture"]


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
            Ends in ``.svg``, ``.dot`` (or ``.gv``), or ``.tex``.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in {".svg", ".dot", ".gv", ".tex"}:
            raise InvalidInput(f"{path}: a picture ends in .svg, .dot, .gv or .tex", path=str(path))
        text = self.svg if suffix == ".svg" else self.tikz if suffix == ".tex" else self.dot
        with writing(path) as file:
            file.write(f"{text}\n".encode())

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"Picture({len(self.graph.names)} vertices)"


@singledispatch
def picture(value: Any) -> Picture:
    """Draw a chain, a network, or a lumping with its quotient beside it.

    Parameters
    ----------
    value : CTMC, DTMC, Lumping, Network or NetworkLumping
        For a chain also ``partition=``, whose blocks are coloured.

    Returns
    -------
    Picture

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
    raise InvalidInput(
        f"there is no picture of a {type(value).__name__}: give a model or a lumping"
    )


@picture.register
def _(value: MarkovChain, partition: Any = None) -> Picture:
    _check_size(value.n)
    blocks = None if partition is None else Partition.of(partition, states=value.states)
    graph = chain_graph(value, blocks)
    return Picture(
        graph_svg(graph, f"{type(value).__name__} with {count(value.n, 'state')}"), graph
    )


@picture.register
def _(value: Lumping) -> Picture:
    chain, quotient = value.chain, value.quotient
    _check_size(chain.n)
    graph = chain_graph(chain, value.partition)
    small = _sized(chain_graph(quotient, Partition.discrete(quotient.n)), value.partition)
    titles = (count(chain.n, "state"), f"quotient, {count(quotient.n, 'block')}")
    return Picture(beside(graph, small, titles, f"{value.kind} lumping of a chain"), graph)


@picture.register
def _(value: Network) -> Picture:
    graph = network_graph(value)
    return Picture(graph_svg(graph, f"network with {value.hidden_neurons} hidden neurons"), graph)


@picture.register
def _(value: NetworkLumping) -> Picture:
    graph = network_graph(value.network, value.partitions)
    small = network_graph(value.quotient)
    titles = (
        count(value.network.hidden_neurons, "hidden neuron"),
        f"quotient, {count(value.quotient.hidden_neurons, 'hidden neuron')}",
    )
    return Picture(beside(graph, small, titles, f"{value.kind} lumping of a network"), graph)


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
