"""`lumpability prove`: a small model's lumping as a proof to read, and as a file for Coq."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.models import describe, layer_options, lumped
from lumpability.files import writing
from lumpability.symbolic import Proof, export, prove

_EXAMPLES = """\b
Examples:
  lumpability prove chain.drn
  lumpability prove chain.drn --kind strict --latex > proof.tex
  lumpability prove net.onnx --coq proof.v && coqc proof.v
"""


@command("prove", examples=_EXAMPLES)
@options.file_argument("model")
@options.lumping
@click.option("--latex", is_flag=True, help="Print LaTeX, an environment of amsmath.")
@options.file_option("--coq", about="Write a file that coqc compiles if the identity holds.")
@options.reading
def prove_command(
    stages: Stages,
    *,
    model: Path,
    latex: bool,
    coq: Path | None,
    read: options.Read,
    **asked: Any,
) -> Outcome:
    """Lump MODEL and print the proof.

    The proof has matrices, their identity, assumptions, and what follows. This is for models that are small enough to be read; a certificate proves the others. Parameters of a
    chain are kept as symbols. The exit code is 1 if the quotient is not exact, because
    weights of a network were rounded.
    """
    with stages("reading", model.name):
        loaded = read(model)
    with stages("lumping"):
        lumping = lumped(loaded, asked, stages, layers=True)
    with stages("proving"):
        proof = prove(lumping)
        text = None if coq is None else export(lumping)
    if coq is not None and text is not None:
        with stages("writing"), writing(coq) as file:
            file.write(text.encode())
    return Outcome(
        lambda: {
            "path": str(model),
            "model": describe(loaded, *layer_options(asked)).data,
            "proof": _data(proof),
        },
        text=proof.latex() if latex else proof.pretty(),
        written={"coq": coq},
        hint="" if coq is None else f"written: {coq}",
        holds=bool(proof),
    )


def _data(proof: Proof) -> dict[str, object]:
    return {
        "title": proof.title,
        "holds": proof.holds,
        "text": str(proof),
        "matrices": {
            name: [[str(x) for x in row] for row in matrix.tolist()]
            for name, matrix in proof.matrices.items()
        },
        "identities": [one.text for one in proof.identities],
        "assumptions": [str(one) for one in proof.assumptions],
        "consequences": [str(one) for one in proof.consequences],
    }
