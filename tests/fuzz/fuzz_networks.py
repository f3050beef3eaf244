"""What is attacked of networks: readers, quotients that were changed, certificates of layers and of graphs.

A changed file may hold another valid network.  What must hold after each: what is written is read as the same; a
reduction proves itself; and a check that accepts a changed quotient or certificate is right.  Networks are compared
at some points, exactly for layers and in onnxruntime for graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lumpability import check, formats, lump
from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.formats.onnx import read_graph
from lumpability.networks import NetworkCertificate
from lumpability.networks.claims import Subject, network_digest
from lumpability.networks.elementwise import Activate
from lumpability.networks.examples import planted
from lumpability.networks.graph.certificate import GraphCertificate
from lumpability.networks.graph.examples import residual
from lumpability.networks.graph.network import GraphNetwork
from lumpability.networks.layers import Dense
from lumpability.networks.network import Network

__all__ = ["network_attacks"]

POINTS = np.array([[1, -2, 3], [0, 0, 0], [-4, 1, 0.5], [7, 5, -3]], dtype=np.float64)
Attack = tuple[str, Path, Callable[[Path], None]]


def network_attacks(folder: Path, suffixes: list[str]) -> list[Attack]:
    """Write the files; return a name, a path and a use for each."""
    first = Dense(np.array([[1.0, 2.0, 2.0], [0.5, 1.0, 1.0]]), np.array([0.0, 1.0, 1.0]))
    last = Dense(np.array([[1.0], [1.0], [3.0]]), np.array([1.0]))
    small = Network((first, Activate("relu"), last), (None, 2), np.float64)
    found: list[Attack] = []
    for suffix in suffixes:
        path = folder / f"network{suffix}"
        formats.write(small, path)
        found.append((path.name, path, _read))
    large, _ = planted([3, 4, 2], copies=2)
    lumping = lump(large, kind="proportional")
    path = folder / "layers.json"
    lumping.certificate().write(path)
    found.append(("certificate of layers", path, _certificate(large, lumping)))
    path = folder / "quotient.npz"
    formats.write(lumping.quotient, path)
    found.append(("quotient of layers", path, _quotient(large, lumping)))
    return found + (_graph_attacks(folder) if ".onnx" in suffixes else [])


def _graph_attacks(folder: Path) -> list[Attack]:
    graph = residual()
    reduction = lump(graph)
    paths = {name: folder / f"{name}" for name in ("graph.onnx", "reduced.onnx", "graph.json")}
    formats.write(graph, paths["graph.onnx"])
    formats.write(reduction.quotient, paths["reduced.onnx"])
    reduction.certificate().write(paths["graph.json"])

    def certificate(path: Path) -> None:
        GraphCertificate.read(path).verify(graph, reduction.quotient)

    def reduced(path: Path) -> None:
        other = read_graph(path)
        claim = replace(reduction.certificate(), reduced=other.digest)
        if claim.verify(graph, other):
            _assert_alike(graph, other)

    return [
        ("graph.onnx", paths["graph.onnx"], _read),
        ("certificate of a graph", paths["graph.json"], certificate),
        ("quotient of a graph", paths["reduced.onnx"], reduced),
    ]


def _read(path: Path) -> None:
    """Read a network, write it and read it again; reduce it and check the proof."""
    network = formats.read(path)
    copy = path.with_name("copy.onnx" if path.name.endswith((".onnx", ".onnx.gz")) else "copy.npz")
    formats.write(network, copy)
    again = formats.read(copy)
    if "Opaque(" not in repr(getattr(network, "layers", ())):  # pieces of ONNX hold names
        assert _digest(again) == _digest(network), "written as something else"
    try:
        lumping = lump(network)
    except LumpabilityError:
        return
    verification = lumping.certificate().verify()
    assert verification, f"its own proof is rejected: {verification}"
    if isinstance(network, GraphNetwork):
        _assert_alike(network, lumping.quotient)


def _digest(model: Any) -> str:
    return model.digest if isinstance(model, GraphNetwork) else network_digest(model)


def _quotient(network: Network, lumping: Any) -> Callable[[Path], None]:
    def use(path: Path) -> None:
        other = formats.read(path)
        if not isinstance(other, Network):
            return
        claim = lumping.certificate()
        claim = NetworkCertificate(**(vars(claim) | {"reduced": Subject.of(other)}))
        if claim.verify(network, other):
            for point in POINTS:
                same = network.exact(point).tolist() == other.exact(point).tolist()
                assert same, "another function, accepted"

    return use


def _certificate(network: Network, lumping: Any) -> Callable[[Path], None]:
    def use(path: Path) -> None:
        claim = NetworkCertificate.read(path)
        if claim.verify(network, lumping.quotient):
            inner = {number: one.partition for number, one in enumerate(claim.layers)}
            assert check(network, inner, kind=claim.kind), "not a lumping, accepted"
            coarsest = lump(network, kind=claim.kind).certificate()
            for one, right in zip(claim.layers, coarsest.layers, strict=True):
                assert len(one.partition) == len(right.partition), "not the coarsest, accepted"

    return use


def _assert_alike(graph: GraphNetwork, other: GraphNetwork) -> None:
    """Compare two graphs in onnxruntime, if it takes the first one."""
    inputs = [np.resize(POINTS, _shape(shape)) for _, _, shape in graph.ends["input"]]
    try:
        values = graph(*inputs)
    except (InvalidInput, LumpabilityError):
        return
    found = other(*inputs)
    for one, two in zip(_several(values), _several(found), strict=True):
        alike = np.allclose(one, two, rtol=1e-4, atol=1e-4, equal_nan=True)
        assert alike, "another function, accepted"


def _several(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else 4 for size in shape)
