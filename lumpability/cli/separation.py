"""What `lumpability explain` says about two states or neurons of one model: why they share a block, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lumpability.cli import options
from lumpability.cli.console import Stages, show_json
from lumpability.cli.models import describe, layer_options, lumped, subject
from lumpability.files import writing
from lumpability.show.text import printable


def tell_states(
    model: Path,
    state: str,
    other: str,
    *,
    asked: dict[str, Any],
    read: options.Read,
    html: Path | None,
    as_json: bool,
) -> None:
    """Print their equal sums, or the splits that separate them; `asked` are the options of the lumping."""
    with Stages() as stages:
        with stages("reading", model.name):
            loaded = subject(read(model), *layer_options(asked))
        with stages("lumping"):
            lumping = lumped(loaded, asked, stages, layers=loaded.domain == "network")
        with stages("explaining"):
            explanation = lumping.explain(state, other)
            text = str(explanation)
        if html is not None:
            with stages("writing"), writing(html) as file:
                file.write(explanation.to_html().encode("utf-8", errors="backslashreplace"))
    if as_json:
        show_json(
            "explain",
            path=str(model),
            model=describe(loaded, *layer_options(asked)).data,
            explanation=explanation.to_json(),
            written={"html": None if html is None else str(html)},
            seconds=stages.seconds,
        )
    else:
        click.echo("\n".join(map(printable, text.splitlines())))
