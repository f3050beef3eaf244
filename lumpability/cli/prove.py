"""`lumpability prove`: a small model's lumping as a proof to read, and as a file for Coq."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, show_json
from lumpability.cli.failures import NO, tell
from lumpability.cli.models import describe, layer_options, lumped
from lumpability.files import writing
from lumpability.show.text import printable
from lumpability.symbolic import Proof, export, prove

_EXAMPLES = """\b
Examples:
  lumpability prove chain.drn
  lumpability prove chain.drn --kind strict --latex > proof.tex
  lumpability prove net.onnx --coq proof.v && coqc proof.v
"""


@click.command("prove", epilog=_EXAMPLES)
@options.file_argument("model")
@options.lumping
@click.option("--latex", is_flag=True, help="Print LaTeX, an environment of amsmath.")
@options.file_option("--coq", about="Write a file that coqc compiles if the identity holds.")
@options.reading
@options.as_json
@options.debug
def prove_command(
    *,
    model: Path,
    latex: bool,
    coq: Path | None,
    read: options.Read,
    as_json: bool,
    **asked: Any,
) -> None:
    """Lump MODEL and print the proof.

    The proof has matrices, their identity, assumptions, and what follows. This is for models that are small enough to be read; a certificate proves the others. Parameters of a
    chain are kept as symbols. The exit code is 1 if the quotient is not exact, because
    weights of a network were rounded.
    """
    with Stages() as stages:
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
    if as_json:
        show_json(
            "prove",
            path=str(model),
            model=describe(loaded, *layer_options(asked)).data,
            proof=_data(proof),
            written={"coq": None if coq is None else str(coq)},
            seconds=stages.seconds,
        )
    else:
        shown = proof.latex() if latex else proof.pretty()
        click.echo("\n".join(printable(line) for line in shown.splitlines()))
        if coq is not None:
            tell(f"written: {coq}")
    if not proof:
        click.get_current_context().exit(NO)


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
