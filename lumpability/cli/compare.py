"""`lumpability compare`: how far two networks can be apart on a box of inputs, proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.regions import read_region
from lumpability.dispatch import compare
from lumpability.networks.difference import Difference
from lumpability.networks.relaxed.lumping import with_same_layers
from lumpability.show.text import Table

_EXAMPLES = """\b
Examples:
  lumpability compare net.onnx int8.onnx --box digit.vnnlib
  lumpability compare net.onnx pruned.onnx --box box.json --tolerance 0.01
  lumpability compare net.onnx float16.onnx
"""


@command("compare", examples=_EXAMPLES)
@options.file_argument("first")
@options.file_argument("second")
@options.region
@click.option(
    "--tolerance",
    type=float,
    metavar="T",
    show_default="none",
    help="Decide whether no output differs by more than this: exit code 0 if proved, 1 if not.",
)
@click.option(
    "--boxes",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="1; with --tolerance and few inputs 2000",
    help="Parts into which the box may be split for a tighter bound.",
)
@click.option(
    "--cases",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="up to 200; with --tolerance 1000; 0 for large networks and for few inputs",
    help="Linear programs that may be solved for cases of signs of units, for a tighter bound.",
)
@options.certificate
def compare_command(
    stages: Stages,
    *,
    first: Path,
    second: Path,
    region: Path | None,
    tolerance: float | None,
    boxes: int | None,
    cases: int | None,
    certificate: Path | None,
) -> Outcome:
    """Bound how far the outputs of two networks are apart.

    The bound holds for every input of a box. Both networks have the same inputs and outputs; SECOND may be a
    pruned, quantised, rounded or reduced copy of FIRST. The bound is proved for real arithmetic with the stored weights. Without --box it holds for all
    inputs x, times max(1, |x|), where |x| is the largest absolute value of an input.

    With many inputs, bounds are tightened by telling cases of signs of units apart, which can take tens of seconds.
    Ctrl-C ends that, as it ends the splitting of a box, and what is proved so far is printed.

    A certificate is for two networks with the same layers; layers may have fewer neurons. Its bound is derived in
    exact arithmetic, without parts and cases, and can be larger than the one that is printed.
    """

    def told(done: int, most: int, bound: float) -> None:
        stages.detail(f"{done:,} of {most:,}, at most {bound:.3g}")

    with stages("reading", f"{first.name}, {second.name}"):
        networks: list[Any] = [formats.read(path) for path in (first, second)]
        box = read_region(region)
    with stages("bounding"):
        if certificate is not None:  # refused before the work, not after it
            with_same_layers(*networks)
        effort: dict[str, Any] = {"tolerance": tolerance, "boxes": boxes, "cases": cases}
        found = compare(*networks, region=box, **effort, progress=told)
    with stages("writing"):
        proof = None if certificate is None else found.certificate()
        if certificate is not None and proof is not None:
            proof.write(certificate)
    return Outcome(
        lambda: {
            "first": str(first),
            "second": str(second),
            "box": None if region is None else str(region),
            "difference": found.to_json(),
        },
        [_table(found, networks, None if proof is None else proof.meaning)],
        written={"certificate": certificate},
        holds=tolerance is None or bool(found.certified),
    )


def _table(found: Difference, networks: list[Any], meaning: str | None) -> Table:
    """Return the result for people."""
    times = " x max(1, |x|)" if found.region is None else ""
    rows: list[tuple[str, str]] = [
        (
            "region",
            "all inputs" if found.region is None else f"a box of {len(found.region[0])} inputs",
        ),
        ("outputs", str(len(found.low))),
        ("proved", f"no output differs by more than {_up(found.bound)}{times}"),
        ("found", _witness(found)),
        ("method", _method(found)),
    ]
    if found.tolerance is not None:
        rows.append(("verdict", f"{_verdict(found)} (tolerance {found.tolerance:g}{times})"))
    if meaning is not None:
        rows.append(("certificate", f"proves that {meaning}"))
    if found.interrupted:
        rows.append(("interrupted", "a longer search may prove less"))
    digits, kind = min(_types(network) for network in networks)
    rows.append(
        (
            "holds for",
            f"real arithmetic with the stored weights; a run rounds each step to {digits} digits ({kind})",
        )
    )
    return Table("Difference of two networks", tuple(rows))


def _types(network: Any) -> tuple[int, str]:
    """Return the digits and the name of the least precise type of floats in a network."""
    if network.domain == "graph":
        stored = [*network.index.constants.values(), *network.index.constant_nodes.values()]
        kinds = {network.ends["input"][0][1], *(str(array.dtype) for array in stored)}
    else:
        stored = [value for layer in network.layers for value in layer.parameters.values()]
        kinds = {str(network.dtype), *(str(array.dtype) for array in stored)}
    return min(
        ((_DIGITS[kind], kind) for kind in kinds if kind in _DIGITS), default=(15, "float64")
    )


_DIGITS = {"bfloat16": 2, "float16": 3, "float32": 6, "float64": 15}


def _method(found: Difference) -> str:
    boxes = f", {found.boxes:,} boxes" if found.boxes > 1 else ""
    return f"{found.method}{boxes}" + (f", {found.cases:,} linear programs" if found.cases else "")


def _witness(found: Difference) -> str:
    witness = found.witness
    scale = "" if witness.scale == 1 else f" at an input with |x| = {witness.scale:g}"
    return f"output {witness.output} differs by {witness.difference:.3g}{scale}"


def _verdict(found: Difference) -> str:
    verdicts: dict[Any, str] = {
        True: "yes, proved",
        False: "no, the input that was found exceeds it",
        None: "open: neither proved nor refuted",
    }
    return verdicts[found.certified]


def _up(value: float) -> str:
    """Return a number in few digits, rounded up.

    >>> _up(0.062561), _up(0.0), _up(2.0), _up(4e-280)
    ('0.06257', '0', '2', '1e-200')
    """
    if 0 < value < 1e-200:  # the slack for underflow, and nothing else
        return "1e-200"
    text = f"{value:.4g}"
    if float(text) >= value:
        return text
    exponent = int(f"{value:e}".partition("e")[2])
    return f"{float(text) + 10.0 ** (exponent - 3):.4g}"
