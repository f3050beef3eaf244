"""What `lumpability explain` says about two networks: what was done to the first to get the second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.cli.console import Stages, show_json
from lumpability.cli.regions import read_region
from lumpability.files import writing
from lumpability.show.text import printable


def tell_pruning(
    original: Path,
    smaller: Path,
    *,
    region: Path | None,
    brief: bool,
    as_json: bool,
    written: dict[str, Path | None],
) -> None:
    """Print what became of every neuron and weight, and the certified difference.

    - written: the files "html" and "certificate" to write, or None
    """
    with Stages() as stages:
        with stages("reading", f"{original.name}, {smaller.name}"):
            networks: list[Any] = [formats.read(path) for path in (original, smaller)]
            box = read_region(region)
        with stages("explaining"):
            from lumpability.networks.relaxed.explain import explain_pruning

            found = explain_pruning(networks[0], networks[1], region=box)
        with stages("writing"):
            if (certificate := written["certificate"]) is not None:
                found.certificate.write(certificate)
            if (html := written["html"]) is not None:
                with writing(html) as file:
                    file.write(found.to_html().encode())
    if as_json:
        show_json(
            "explain",
            original=str(original),
            smaller=str(smaller),
            explanation=found.to_json(),
            written={name: None if path is None else str(path) for name, path in written.items()},
            seconds=stages.seconds,
        )
        return
    lines = str(found).splitlines() if not brief else [found.meaning, *map(str, found.layers)]
    click.echo("\n".join(map(printable, lines)))
