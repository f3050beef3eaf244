"""`lumpability verify`: whether a certificate holds for a model; the engine is not used."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from lumpability.certificate import BoundCertificate, Certificate, Verification, domain_of
from lumpability.cli import options
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.cli.models import describe
from lumpability.cli.tables import describe_table, refuse_table_options, table_options
from lumpability.errors import FormatError, InvalidInput
from lumpability.formats import reading_options
from lumpability.formats.onnx import read_graph
from lumpability.networks import NetworkCertificate
from lumpability.networks.graph.certificate import GraphCertificate
from lumpability.networks.relaxed.certificate import RegionCertificate
from lumpability.show.text import Table
from lumpability.tables import TableCertificate

_EXAMPLES = """\b
Examples:
  lumpability lump chain.drn.gz --certificate proof.json.gz
  lumpability verify proof.json.gz chain.drn.gz
  lumpability verify proof.json.gz chain.drn.gz --quotient small.drn --json
  lumpability verify proof.json edges.parquet --states states.parquet --blocks blocks.parquet
"""
_CERTIFICATES: dict[str, Any] = {
    "chain": Certificate,
    "network": NetworkCertificate,
    "graph": GraphCertificate,
    "table": TableCertificate,
    "region": RegionCertificate,
    "bound": BoundCertificate,
}
"""The class of certificates for each domain that they name."""
_MODELS = {"region": "network", "bound": "chain"}
"""The `domain` of models, where a certificate names another."""


@command("verify", examples=_EXAMPLES)
@options.file_argument("certificate")
@options.file_argument("model")
@options.file_option(
    "--quotient",
    default="not checked",
    about="The lumped model: also check that the certificate is about it.",
)
@options.file_option(
    "--blocks",
    default="needed for edge tables",
    about="Edge tables: the file of blocks that the certificate is about.",
)
@options.reading
@table_options("states", "table", "memory", "temp")
def verify_command(
    stages: Stages,
    *,
    certificate: Path,
    model: Path,
    quotient: Path | None,
    blocks: Path | None,
    tables: dict[str, Any],
    read: Any,
) -> Outcome:
    """Check in exact arithmetic that CERTIFICATE holds for MODEL.

    The engine is not used. The command reads the model itself and trusts nothing in the certificate. It proves that the
    partition is a lumping (sound) and, if the certificate claims it, that no coarser partition is one
    (coarsest). A certificate of bound is about an interval: the command computes its ends again.

    The exit code is 0 if every claim was proved, and 1 with the claim that fails if not.
    """
    with stages("reading", certificate.name):
        most = read.keywords.pop("max_bytes")
        claim, domain = _read_certificate(certificate, most)
    if domain == TableCertificate.domain:
        if blocks is None:
            raise click.UsageError(
                "give the file of blocks that the certificate is about: --blocks"
            )
        with stages("verifying", model.name):
            tables["float_tolerance"] = read.keywords["float_tolerance"]
            verification = claim.verify(model, blocks, quotient=quotient, **tables)
        described = describe_table(claim.states, claim.transitions)
    else:
        refuse_table_options(tables, model)
        region = isinstance(claim, RegionCertificate)
        if region and quotient is None:
            raise click.UsageError(
                "give the reduced network that the certificate is about: --quotient"
            )
        with stages("reading the model", model.name):
            loaded = _read_model(read, model, domain, most, region=region)
            reduced = None
            if quotient is not None:
                fitting = _fitting(read, quotient)
                reduced = _read_model(fitting, quotient, domain, most, region=region)
        with stages("verifying"):
            verification = claim.verify(loaded, reduced)
        described = describe(loaded).data
    soundness_only = isinstance(claim, BoundCertificate | TableCertificate | GraphCertificate)
    return Outcome(
        lambda: {
            "path": str(model),
            "certificate": str(certificate),
            "model": described,
            "verification": _data(claim.kind, verification),
        },
        [_table(certificate, model, verification, stages, soundness_only=soundness_only)],
        holds=bool(verification),
    )


def _read_certificate(path: Path, max_bytes: int | None) -> tuple[Any, str]:
    """Return a certificate and the domain of the models that it can be about."""
    domain = domain_of(path)
    if domain not in _CERTIFICATES:
        raise FormatError(
            f"is about a {domain[:60]!r}, not about one of {', '.join(_CERTIFICATES)}", path=path
        )
    return _CERTIFICATES[domain].read(path, max_bytes=max_bytes), _MODELS.get(domain, domain)


def _fitting(read: Any, path: Path) -> options.Read:
    """Return the reader of the model with the options that the format of the quotient has, too."""
    has = reading_options(path)
    return functools.partial(read.func, **{k: v for k, v in read.keywords.items() if k in has})


def _read_model(
    read: options.Read, path: Path, domain: str, max_bytes: int | None, *, region: bool
) -> Any:
    # The limit is for the certificate, too, so it may be given for a model that is not packed.
    limited = max_bytes is not None and "max_bytes" in reading_options(path)
    limit = {"max_bytes": max_bytes} if limited else {}
    model = read_graph(path, **limit) if domain == "graph" else read(path, **limit)
    if model.domain != domain and not (region and model.domain == "graph"):
        raise InvalidInput(
            f"the certificate is about a {domain}, and {path} holds a {model.domain}"
        )
    return model


def _data(kind: str, verification: Verification) -> dict[str, Any]:
    rejection = verification.rejection
    return {
        "kind": kind,
        "accepted": bool(verification),
        "sound": verification.sound,
        "coarsest": verification.coarsest,
        "text": verification.text,
        "rejection": None
        if rejection is None
        else {
            "field": rejection.field,
            "reason": rejection.reason,
            "states": list(rejection.states),
        },
    }


def _table(
    certificate: Path,
    model: Path,
    verification: Verification,
    stages: Stages,
    *,
    soundness_only: bool,
) -> Table:
    coarsest = ("coarsest", "proved" if verification.coarsest else "not proved")
    rows = [
        ("verdict", "accepted" if verification else "rejected"),
        ("sound", "proved" if verification.sound else "not proved"),
        *(() if soundness_only else (coarsest,)),
        ("proof" if verification else "because", verification.text.partition(": ")[2]),
        ("model", str(model)),
        ("time", f"{sum(stages.seconds.values()):.2f} s"),
    ]
    return Table(f"Certificate {certificate}", tuple(rows))
