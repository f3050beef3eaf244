"""Networks reduced on boxes, exactly and within a tolerance: the tables of docs/guides/regions-measured.md.

    PYTHONPATH=. python tests/benchmarks/regions.py            # both tables
    PYTHONPATH=. python tests/benchmarks/regions.py --write    # keeps them for the page
    PYTHONPATH=. python tests/benchmarks/regions.py --parts    # with the columns of 64 parts, some minutes more

Networks and boxes are those of the shared folder.  The peer column is `onnxsim.stable_relu_prune` with intervals and
CROWN and with merging of layers that are linear, where onnxsim is installed.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from lumpability import Box, lump, read, relax

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("LUMPABILITY_SHARED", CHECKOUT.parent / "shared"))
EXACT = CHECKOUT / "docs" / "guides" / "regions-table.txt"
RELAXED = CHECKOUT / "docs" / "guides" / "relaxed-table.txt"
EXACT_HEAD = (
    "| network and box | hidden units | onnxsim | left | prototype | with 64 parts | prototype | "
    f"bound with rounding | CPU s | CPU s to verify |\n|{'---|' * 10}"
)
RELAXED_HEAD = (
    f"| network and region | hidden units | left | bound | prototype | CPU s |\n|{'---|' * 6}"
)


def digit(eps: str) -> Box:
    """Return the box around the image of the file, which cuts it off at 0 and 1."""
    low, high = Box.read(SHARED / "networks/vnnlib/mnistfc_prop_0_0.03.vnnlib").floats
    centre = np.where(low == 0, high - 0.03, np.where(high == 1, low + 0.03, (low + high) / 2))
    return Box.around(centre, eps, clip=(0, 1))


def acas(prop: int) -> Box:
    """Return the box of a property."""
    return Box.read(SHARED / f"networks/vnnlib/acasxu_prop_{prop}.vnnlib")


ACAS = "networks/acasxu/ACASXU_run2a_1_1_batch_2000.onnx"
SMALL, DEEP = (f"networks/mnistfc/mnist-net_256x{n}.onnx" for n in (2, 4))


def exact_row(title: str, path: Path, box: Box, known: tuple[str, str], *, parts: bool) -> str:
    """Return one line of the first table; `known` is what a prototype left, without and with parts."""
    network: Any = read(path)
    started = time.process_time()
    lumping = lump(network, region=box)
    took = time.process_time() - started
    started = time.process_time()
    assert lumping.certificate().verify()
    verified = time.process_time() - started
    finer = ""
    if parts:
        finer = f"{lump(network, region=box, boxes=64).quotient.hidden_neurons:,}"
    columns = [
        title,
        f"{network.hidden_neurons:,}",
        onnxsim_leaves(path, box),
        f"{lumping.quotient.hidden_neurons:,}",
        known[0],
        finer,
        known[1],
        f"{float(lumping.bound):.1g}",
        f"{took:.1f}",
        f"{verified:.1f}",
    ]
    return f"| {' | '.join(columns)} |"


def onnxsim_leaves(path: Path, box: Box) -> str:
    """Return how many ReLU units onnxsim leaves, or nothing without the package."""
    try:
        import onnx
        from onnxsim import stable_relu_prune
    except ImportError:
        return ""
    model = onnx.load(path)
    stored = {item.name for item in model.graph.initializer}
    (taken,) = [item for item in model.graph.input if item.name not in stored]
    shape = [d.dim_value or 1 for d in taken.type.tensor_type.shape.dim]
    low, high = (end.reshape(shape) for end in box.floats)
    pruned, report = stable_relu_prune.apply(
        model, {taken.name: (low, high)}, merge_active=True, verify_samples=0
    )
    gone = sum(layer.units for layer in report.layers) - report.removed_units
    merged = {node.output[0] for node in pruned.graph.node if node.op_type == "Relu"}
    return f"{gone:,}" if len(merged) == len(report.layers) else f"{gone:,} with merged layers"


def relaxed_row(
    title: str, path: Path, box: Box | None, options: dict[str, Any], known: str
) -> str:
    """Return one line of the second table; `known` is the bound of a prototype."""
    network: Any = read(path)
    started = time.process_time()
    found = relax(network, region=box, **options)
    took = time.process_time() - started
    times = "" if box is not None else " times max(1, abs(x))"
    columns = [
        title,
        f"{network.hidden_neurons:,}",
        f"{found.quotient.hidden_neurons:,}",
        f"{float(found.bound):.3g}{times}",
        known,
        f"{took:.1f}",
    ]
    return f"| {' | '.join(columns)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--parts", action="store_true")
    asked = parser.parse_args()
    exact = [EXACT_HEAD]
    for title, name, box, known in [
        ("ACAS Xu 1_1, property 3", ACAS, acas(3), ("155", "140")),
        ("ACAS Xu 1_1, property 4", ACAS, acas(4), ("133", "123")),
        ("mnist 256x2, eps .03", SMALL, digit("0.03"), ("101", "")),
        ("mnist 256x4, eps .01", DEEP, digit("0.01"), ("66", "")),
        ("mnist 256x4, eps .03", DEEP, digit("0.03"), ("237", "")),
        ("mnist 256x4, eps .05", DEEP, digit("0.05"), ("704", "")),
    ]:
        cut = asked.parts and bool(known[1])
        exact.append(exact_row(title, SHARED / name, box, known, parts=cut))
        print(exact[-1], flush=True)
    unit = {n: Box([0] * n, [1] * n) for n in (64, 3072)}
    widened, serra = (
        f"cases/relaxed/{name}.onnx"
        for name in ("digits_widened_drift1e-4", "serra_cifar10_116_248")
    )
    relaxed = [RELAXED_HEAD]
    for title, name, region, options, known_bound in [
        (
            "digits widened three times, drift 1e-4, [0, 1]",
            widened,
            unit[64],
            {"units": 80},
            ".017",
        ),
        ("the same, all inputs", widened, None, {"units": 80}, ""),
        ("Serra's CIFAR10, [0, 1]", serra, unit[3072], {"tolerance": "1e-6"}, "2.2e-7"),
        ("mnist 256x2, eps .03", SMALL, digit("0.03"), {"units": 25, "by": "constants"}, ".45"),
        ("mnist 256x4, eps .01", DEEP, digit("0.01"), {"units": 1, "by": "constants"}, ".0046"),
    ]:
        relaxed.append(relaxed_row(title, SHARED / name, region, options, known_bound))
        print(relaxed[-1], flush=True)
    if asked.write:
        EXACT.write_text("\n".join(exact) + "\n", encoding="utf-8")
        RELAXED.write_text("\n".join(relaxed) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
