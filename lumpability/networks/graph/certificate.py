"""Certificates of reduced graphs: which units of every layer stay, and digests of the two files.

That is all a proof needs: the weights are in the two files.  Verifying numbers both graphs in one free algebra
(`lumpability.networks.graph.prove`); neither the code that chose units nor the code that edited weights takes part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lumpability.certificate.file import Reader, plain, read_document, write_document
from lumpability.certificate.json_stream import Scanner
from lumpability.certificate.verification import Verification
from lumpability.errors import InvalidInput
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.graph.prove import prove
from lumpability.networks.graph.source import graph_behind
from lumpability.networks.tensors.tensor import Unproved
from lumpability.numbers.float_arrays import Array
from lumpability.version import __version__

_MOST_LAYERS = 1 << 16


@dataclass(frozen=True, eq=False)
class GraphCertificate:
    """What the reduction of a graph claims, and the means to check it.

    Attributes
    ----------
    original, reduced : str
        SHA-256 of the two models.
    kept : dict of str to int array
        By the name of a layer's output: which of its units the reduced graph has.
    library : str
        The version that made it.
    network, quotient : GraphNetwork or None
        Where they are at hand; a certificate from a file does not hold them.

    Examples
    --------
    >>> from lumpability.networks.graph.examples import residual
    >>> from lumpability.networks.graph.reduce import reduce_graph
    >>> print(reduce_graph(residual()).certificate().verify())
    proved: every output of the reduced graph has the value of the original one, for every input
    """

    domain: ClassVar[str] = "graph"
    kind: ClassVar[str] = "proportional"

    original: str
    reduced: str
    kept: dict[str, Array]
    library: str = __version__
    network: GraphNetwork | None = None
    quotient: GraphNetwork | None = None

    def verify(
        self, network: GraphNetwork | None = None, reduced: GraphNetwork | None = None
    ) -> Verification:
        """Check that the reduced graph computes the same as the original one.

        Parameters
        ----------
        network, reduced : GraphNetwork, optional
            May be left out where the certificate holds them.

        Raises
        ------
        InvalidInput
            If one of them is not at hand.
        """
        network = self.network if network is None else network
        reduced = self.quotient if reduced is None else reduced
        if network is None or reduced is None:
            raise InvalidInput(
                "a certificate of a graph says which units stay, and the weights are in the files: "
                "give the network and the reduced network"
            )
        network, reduced = (graph_behind(one) for one in (network, reduced))
        for one, digest, name in (
            (network, self.original, "network"),
            (reduced, self.reduced, "reduced network"),
        ):
            if one.digest != digest:
                return Verification.rejected(
                    "digest", f"the {name} is not the one that the certificate is about"
                )
        unknown = [name for name in self.kept if name not in network.index.producer]
        if unknown:
            told = f"no node of the network writes {unknown[0][:60]!r}"
            return Verification.rejected("layers", told)
        try:
            prove(network.analysis, reduced.index.model, self.kept)
        except Unproved as unproved:
            return Verification.rejected(
                "layers", f"the value of {str(unproved)!r} is not shown to be the same"
            )
        except (LookupError, TypeError, ValueError) as error:
            # The rules compare nodes that write the same tensors; those of another graph may have nothing in common.
            told = f"the graphs do not have the same nodes ({type(error).__name__}: {error})"
            return Verification.rejected("layers", told)
        text = (
            "every output of the reduced graph has the value of the original one, for every input"
        )
        return Verification(True, False, None, f"proved: {text}")

    def write(self, path: str | Path) -> None:
        """Write a ``.json`` or ``.json.gz`` file, whole or not at all; some bytes for each unit."""
        items: dict[str, Any] = {
            "library": self.library,
            "network": self.original,
            "quotient": self.reduced,
            "layers": [f"{name} {_text(units)}" for name, units in self.kept.items()],
        }
        write_document(path, "graph", [(key, plain(value)) for key, value in items.items()])

    @classmethod
    def read(cls, path: str | Path, *, max_bytes: int | None = None) -> GraphCertificate:
        """Read a certificate from a file.

        Parameters
        ----------
        path : str or Path
        max_bytes : int, optional
            Of the text after unpacking, in place of the limits by default.

        Raises
        ------
        FormatError
            If it is not valid.
        """
        return read_document(path, "graph", _claims, max_bytes=max_bytes)


def _text(units: Array) -> str:
    """Return units as text; those of a recurrent layer direction by direction, each ending in a semicolon."""
    rows = [",".join(map(str, row)) for row in np.atleast_2d(units).tolist()]
    return rows[0] if units.ndim == 1 else "".join(f"{row};" for row in rows)


def _claims(scanner: Scanner) -> GraphCertificate:
    reader = Reader(scanner)
    library, original, reduced = (
        reader.next(key).text() for key in ("library", "network", "quotient")
    )
    kept = {}
    for line in reader.next("layers").texts(_MOST_LAYERS):
        name, _, text = line.rpartition(" ")
        parts = text.split(";")[:-1] if ";" in text else [text]
        rows = [[reader.whole(unit) for unit in part.split(",")] for part in parts]
        if len({len(row) for row in rows}) != 1:
            scanner.fail(f"lists unequal numbers of units for {name[:60]!r}")
        array = np.array([[min(unit, 1 << 60) for unit in row] for row in rows], dtype=np.int64)
        kept[name] = array if ";" in text else array[0]
    return GraphCertificate(original, reduced, kept, library)
