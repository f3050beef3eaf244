"""Certified differences of networks and their rounded copies: the table, and a long search for a bound that fails.

    PYTHONPATH=. python tests/benchmarks/certified_differences.py                  # the table
    PYTHONPATH=. python tests/benchmarks/certified_differences.py --write          # keeps it for the page
    PYTHONPATH=. python tests/benchmarks/certified_differences.py --nets 10000     # exact walks on random networks
    PYTHONPATH=. python tests/benchmarks/certified_differences.py --samples 1000000  # onnxruntime on real networks

Networks and boxes are those of the shared folder; copies are made here: float16 rounds every weight to half
precision, int8 rounds the weights of each layer to multiples of their largest absolute value over 127.
The peer column is auto_LiRPA's CROWN on f - f^, where auto_LiRPA 0.3, without what it depends on, is installed
beside torch, appdirs, packaging, pyyaml, sortedcontainers and tqdm.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lumpability import Network, compare, read, write
from lumpability.networks.difference import affine_layers, ranges
from lumpability.networks.difference.pair_bounds import pair_ranges
from lumpability.networks.difference.product import product_bounds
from lumpability.networks.difference.relation import guessed_lifts
from lumpability.networks.difference.residuals import residuals
from lumpability.networks.layers import Dense
from lumpability.networks.regions import Box

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("LUMPABILITY_SHARED", CHECKOUT.parent / "shared"))
PAGE = CHECKOUT / "docs" / "guides" / "certified-differences-table.txt"
HEADER = (
    "| network and box | copy | signed | product CROWN | auto_LiRPA | d* | least | boxes | programs | found | CPU s |\n"
    f"|{'---|' * 11}"
)


def changed(network: Network, change: Callable[[Any], Any], *, biases: bool) -> Network:
    """Return a copy whose weights are changed."""
    layers = []
    for layer in network.layers:
        if isinstance(layer, Dense):
            bias = change(layer.bias) if biases and layer.bias is not None else layer.bias
            layers.append(replace(layer, weight=change(layer.weight), bias=bias))
        else:
            layers.append(layer)
    return Network(tuple(layers), network.input_shape, network.dtype)


def float16(network: Network) -> Network:
    """Return a copy with all numbers rounded to half precision."""
    return changed(network, lambda w: w.astype(np.float16).astype(w.dtype), biases=True)


def int8(network: Network) -> Network:
    """Return a copy with the weights of each layer rounded to 8 bits."""

    def rounded(weight: Any) -> Any:
        step = np.abs(weight).max() / 127
        return (np.round(weight / step) * step).astype(weight.dtype)

    return changed(network, rounded, biases=False)


def digit(width: float) -> tuple[Any, Any]:
    """Return the box of a width around the image of the file, which cuts it off at 0 and 1."""
    box = Box.read(SHARED / "networks/vnnlib/mnistfc_prop_0_0.03.vnnlib")
    low, high = (np.array([float(x) for x in end]) for end in (box.low, box.high))
    centre = np.where(low == 0, high - 0.03, np.where(high == 1, low + 0.03, (low + high) / 2))
    return np.clip(centre - width, 0, 1), np.clip(centre + width, 0, 1)


def cases() -> list[tuple[str, Path, Any, Any, dict[str, Any]]]:
    """Return title, network, box, copy and options of every row."""
    acas = SHARED / "networks/acasxu/ACASXU_run2a_1_1_batch_2000.onnx"
    small, deep = (SHARED / f"networks/mnistfc/mnist-net_256x{n}.onnx" for n in (2, 4))
    property3, property4 = (
        Box.read(SHARED / f"networks/vnnlib/acasxu_prop_{n}.vnnlib") for n in (3, 4)
    )
    decide = {"tolerance": 0.01, "boxes": 2000}
    return [
        ("digits, [0, 1]", SHARED / "cases/relaxed/digits.onnx", (0, 1), float16, {}),
        ("mnist 256x2, eps .01", small, digit(0.01), int8, {}),
        ("mnist 256x2, eps .03", small, digit(0.03), int8, {}),
        ("mnist 256x4, eps .01", deep, digit(0.01), float16, {}),
        ("mnist 256x4, [0, 1]", deep, (0, 1), float16, {}),
        ("ACAS Xu 1_1, property 4", acas, property4, float16, {}),
        ("ACAS Xu 1_1, property 3", acas, property3, float16, {}),
        ("ACAS Xu 1_1, property 3, at most .01", acas, property3, float16, decide),
        ("digits, all inputs", SHARED / "cases/relaxed/digits.onnx", None, float16, {}),
    ]


def row(title: str, path: Path, box: Any, copy: Any, options: dict[str, Any]) -> str:
    """Return one line of the table."""
    first = read(path)
    second = copy(first)
    started = time.process_time()
    found = compare(first, second, region=box, **options)
    seconds = time.process_time() - started
    columns = [title, copy.__name__]
    if box is None:
        columns += ["", "", "", ""]
    else:
        columns += single_bounds(first, second, box)
    columns += [
        f"{found.bound:.3g}",
        str(found.boxes),
        str(found.cases),
        f"{found.found:.3g}",
        f"{seconds:.2f}",
    ]
    return f"| {' | '.join(columns)} |"


def single_bounds(first: Network, second: Network, box: Any) -> list[str]:
    """Return the bounds of one method each, on the whole box."""
    pair = [ranges(affine_layers(network), box) for network in (first, second)]
    lifts = guessed_lifts(*pair)
    found = residuals(pair[0].network, pair[1].network, lifts)
    bounds = {"product": product_bounds(*pair)}
    for method in ("signed", "d*"):
        layers = pair_ranges(*pair, lifts, found, (method,))
        bounds[method] = layers.d_low[-1], layers.d_high[-1]
    shown = {k: f"{max((-low).max(), high.max()):.3g}" for k, (low, high) in bounds.items()}
    peer = auto_lirpa(first, second, pair[0].input_low, pair[0].input_high)
    return [shown["signed"], shown["product"], peer, shown["d*"]]


def auto_lirpa(first: Network, second: Network, low: Any, high: Any) -> str:
    """Return the bound of auto_LiRPA's CROWN on f - f^, or nothing without the package."""
    try:
        import torch

        put_back_names()
        from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm
    except ImportError:
        return ""
    torch.set_default_dtype(torch.float64)
    halves = []
    for network in (first, second):
        parts: list[Any] = []
        for layer in affine_layers(network).layers:
            linear = torch.nn.Linear(*layer.weight.shape)
            linear.weight.data = torch.tensor(layer.weight.T, dtype=torch.float64)
            linear.bias.data = torch.tensor(layer.bias, dtype=torch.float64)
            parts += [linear, *([torch.nn.ReLU()] if layer.activation.name == "relu" else [])]
        halves.append(torch.nn.Sequential(*parts))

    class Gap(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = halves

        def forward(self, x: Any) -> Any:
            return self.first(x) - self.second(x)

    ends = [torch.tensor(end[None], dtype=torch.float64) for end in (low, high)]
    middle = (ends[0] + ends[1]) / 2
    model = BoundedModule(Gap(), middle)
    inputs = BoundedTensor(middle, PerturbationLpNorm(x_L=ends[0], x_U=ends[1]))
    below, above = model.compute_bounds(x=(inputs,), method="CROWN")
    return f"{max(float((-below.detach()).max()), float(above.detach().max())):.3g}"


def put_back_names() -> None:
    """Put names where auto_LiRPA 0.3 looks for them; torch and numpy have moved them since."""
    import torch
    from torch.onnx._internal.torchscript_exporter import _globals
    from torch.onnx._internal.torchscript_exporter import utils as moved

    def set_opset(version: int) -> None:
        _globals.GLOBALS.export_onnx_opset_version = version

    sets = types.ModuleType("numpy.lib.arraysetops")
    sets.isin = np.isin  # type: ignore[attr-defined]
    sys.modules.setdefault(sets.__name__, sets)
    importlib.import_module("torch.onnx.utils")._optimize_graph = moved._optimize_graph
    importlib.import_module("torch.onnx.symbolic_helper")._set_opset_version = set_opset
    torch._C.Node.__getitem__ = lambda node, name: getattr(node, node.kindOf(name))(name)


def search_nets(count: int, start: int) -> int:
    """Compare bounds with exact values along segments for random networks; return how many fail."""
    sys.path.insert(0, str(CHECKOUT / "tests/networks/difference"))
    from random_pairs import dense_pair, joined_pair, random_relation
    from test_difference_soundness import assert_holds, segment

    failures = 0
    for seed in range(start, start + count):
        low, high, left, right = segment(seed)
        joined, leaky = seed % 5 == 4, seed % 5 == 3
        function = "leaky_relu" if leaky else "relu"
        pair = joined_pair(seed) if joined else dense_pair(seed, function=function)
        affine = [affine_layers(network) for network in pair]
        options: dict[str, Any] = {"region": (low, high)}
        if seed % 5 == 1:
            options["relation"] = random_relation(seed, *affine)
        if seed % 5 == 2:
            options["region"], left = None, [50 * x for x in left]
        if seed % 7 == 0 and options["region"] is not None:
            options["boxes"] = 7
        try:
            assert_holds(compare(*pair, **options), *affine, left, right)
        except AssertionError:
            failures += 1
            print(f"the bound does not hold: seed {seed}")
        if seed % 1000 == 999:
            print(f"{seed + 1:,} networks, {failures} failures", flush=True)
    return failures


def search_samples(count: int) -> int:
    """Run real networks and their copies in onnxruntime, in doubles; return how many outputs exceed bounds."""
    import onnxruntime

    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for title, path, box, copy, options in cases():
            if box is None:
                continue
            first = read(path)
            pair = [doubled(network) for network in (first, copy(first))]
            found = compare(*pair, region=box, **options)
            sessions = []
            for number, network in enumerate(pair):
                write(network, Path(folder) / f"{number}.onnx")
                sessions.append(onnxruntime.InferenceSession(f"{folder}/{number}.onnx"))
            assert found.region is not None
            random, done, worst = np.random.default_rng(0), 0, 0.0
            while done < count:
                points = random.uniform(*found.region, size=(10_000, len(found.region[0])))
                outputs = [outputs_of(session, points) for session in sessions]
                gaps = outputs[0] - outputs[1]
                room = 1e-9 * (1 + np.abs(outputs[0]))
                failures += int(np.sum((gaps < found.low - room) | (gaps > found.high + room)))
                worst, done = max(worst, float(np.abs(gaps).max())), done + len(points)
            print(
                f"{title}: {done:,} samples, largest {worst:.3g}, certified {found.bound:.3g}",
                flush=True,
            )
    return failures


def doubled(network: Network) -> Network:
    """Return the same network, stored in doubles, for batches of inputs of one axis."""
    layers = [
        (layer.weight, layer.bias, "relu" if layer.activation.name == "relu" else None)
        for layer in affine_layers(network).layers
    ]
    return Network.dense(layers)


def outputs_of(session: Any, points: Any) -> Any:
    """Run a batch."""
    return session.run(None, {session.get_inputs()[0].name: points})[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="keep the table for the page")
    parser.add_argument(
        "--nets", type=int, metavar="N", help="search N random networks for a failure"
    )
    parser.add_argument("--start", type=int, default=0, metavar="S", help="the first seed")
    parser.add_argument(
        "--samples", type=int, metavar="N", help="run N inputs for each real network"
    )
    given = parser.parse_args()
    if given.nets:
        failures = search_nets(given.nets, given.start)
        print(f"{given.nets:,} random networks: {failures} bounds do not hold")
    elif given.samples:
        failures = search_samples(given.samples)
        print(f"{failures} outputs exceed their bounds")
    else:
        failures, lines = 0, [HEADER]
        print(HEADER)
        for case in cases():
            lines.append(row(*case))
            print(lines[-1], flush=True)
        if given.write:
            PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
