"""Reading and writing models: the suffix of a file's name chooses the format.

Chains: PRISM's explicit files, Storm's DRN, UMB, the library's own JSON, NPZ, and PRISM and JANI
sources.  Networks: ONNX, NNet and others.  Each format has a module of its own, imported when first
used, so that optional packages are needed only for the formats that need them.  See
docs/guides/formats.md for what each format holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from lumpability.errors import FormatError
from lumpability.numbers.rationals import DEFAULT_TOLERANCE

__all__ = ["FORMATS", "Format", "read", "write"]


@dataclass(frozen=True)
class Format:
    """Where the functions of a format are.

    Attributes
    ----------
    module : str or None
        Name of the module in this package, imported when first used; None if the functions are given.
    reader : str, callable or None
        The function that reads a path, by its name in the module; None if the format cannot be read.
    writer : str, callable or None
        The function that writes a model to a path; None if the format cannot be written.
    holds : tuple of str
        "chain", "network" or both; where both, the reader finds out from the file.

    Examples
    --------
    >>> FORMATS[".drn"].reader
    'read_drn'
    """

    module: str | None
    reader: str | Callable[..., Any] | None
    writer: str | Callable[..., Any] | None
    holds: tuple[str, ...] = ("chain",)

    def function(self, name: str | Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of the format; its module is imported if need be."""
        if callable(name):
            return name
        return getattr(import_module(f"{__name__}.{self.module}"), name)  # type: ignore[no-any-return]


FORMATS: dict[str, Format] = {
    ".drn": Format("drn", "read_drn", "write_drn"),
    ".drn.gz": Format("drn", "read_drn", "write_drn"),
    ".jani": Format("storm", "read_jani", None),
    ".json": Format("json_format", "read_json", "write_json"),
    ".json.gz": Format("json_format", "read_json", "write_json"),
    ".nm": Format("storm", "read_prism_source", None),
    ".nnet": Format("nnet", "read_nnet", "write_nnet", ("network",)),
    ".npz": Format("numpy_archive", "read_archive", "write_archive", ("chain", "network")),
    ".onnx": Format("onnx", "read_onnx", "write_onnx", ("network",)),
    ".onnx.gz": Format("onnx", "read_onnx", "write_onnx", ("network",)),
    ".pm": Format("storm", "read_prism_source", None),
    ".prism": Format("storm", "read_prism_source", None),
    ".safetensors": Format("weights", "read_safetensors", "write_safetensors", ("network",)),
    ".sm": Format("storm", "read_prism_source", None),
    ".tra": Format("prism", "read_prism_files", "write_prism_files"),
    ".umb": Format("umb", "read_umb", "write_umb"),
}
"""Every suffix known, in lower case; a longer one goes before a shorter one."""


def _format_of(path: Path, verb: str) -> Format:
    name = path.name.lower()
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix):
            return FORMATS[suffix]
    raise FormatError(
        f"the suffix of the name does not say the format; known to {verb} are "
        f"{', '.join(_suffixes(verb))}",
        path=path,
    )


def _suffixes(verb: str) -> list[str]:
    return [
        suffix
        for suffix, known in FORMATS.items()
        if (known.reader if verb == "read" else known.writer) is not None
    ]


def read(
    path: str | Path,
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    normalize: bool = False,
    **options: Any,
) -> Any:
    r"""Read a model from a file.

    Parameters
    ----------
    path : str or Path
        Its suffix chooses the format.
    tolerance : float
        Largest relative change when a float of a chain is read as the rational that was meant; 0
        reads all numbers literally.  Networks hold binary values exactly, and ignore it.
    normalize : bool
        Rescale rows of a DTMC that do not sum to one; what that changed is in ``rescaled``.
        Networks ignore it.
    **options
        Of the format: ``type="ctmc"`` for ``.tra``, ``constants="N=3"`` for PRISM and JANI sources,
        ``max_bytes=`` for packed files, ``layers=`` for bare weights; see the module of the format.

    Returns
    -------
    CTMC, DTMC or Network

    Raises
    ------
    FormatError
        If the suffix is not known, the format has no such option, or the file is not valid.
    SizeLimit
        If a packed file unpacks beyond the limit.
    MissingDependency
        If the format needs a package that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "walk.tra"
    ...     _ = path.write_text("2 3\n0 0 1/3\n0 1 2/3\n1 0 1\n")
    ...     read(path)
    DTMC(2 states, 3 transitions)
    >>> read("walk.txt")
    Traceback (most recent call last):
        ...
    lumpability.errors.FormatError: walk.txt: the suffix of the name does not say the format; known to read are .drn, ...
    """
    path = Path(path)
    known = _format_of(path, "read")
    if known.reader is None:
        raise FormatError("files of this format can be written, but not read", path=path)
    reader = known.function(known.reader)
    takes = signature(reader).parameters
    common = {"tolerance": tolerance, "normalize": normalize}
    return reader(
        path,
        **{name: value for name, value in common.items() if name in takes},
        **_checked(options, reader, path),
    )


def write(model: Any, path: str | Path, **options: Any) -> None:
    """Write a model to a file, whole or not at all.

    Parameters
    ----------
    model : CTMC, DTMC or Network
    path : str or Path
        Its suffix chooses the format.  An existing file is replaced when the new one is complete.
    **options
        Of the format: ``value_type="double"`` for ``.drn`` and ``.tra``; see the module of the format.

    Raises
    ------
    FormatError
        If the suffix is not known, the format has no such option or cannot hold the model, or the
        file cannot be written.
    MissingDependency
        If the format needs a package that is not installed.

    Warns
    -----
    LossyWrite
        If the format cannot hold all of the model; the message says what is missing.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from lumpability import CTMC, read, write
    >>> chain = CTMC([[0, "1/3"], [2, 0]], labels={"up": [0]})
    >>> with TemporaryDirectory() as folder:
    ...     write(chain, f"{folder}/chain.drn")
    ...     read(f"{folder}/chain.drn").equals(chain)
    True
    """
    path = Path(path)
    known = _format_of(path, "write")
    if known.writer is None:
        raise FormatError(
            f"files of this format can be read, but not written; known to write are "
            f"{', '.join(_suffixes('write'))}",
            path=path,
        )
    from lumpability.markov.chains import MarkovChain
    from lumpability.networks.network import Network

    classes = {"chain": MarkovChain, "network": Network}
    if not isinstance(model, tuple(classes[name] for name in known.holds)):
        raise FormatError(
            f"files of this format hold a {' or a '.join(known.holds)}, not a {type(model).__name__}",
            path=path,
        )
    writer = known.function(known.writer)
    writer(model, path, **_checked(options, writer, path))


def _checked(options: dict[str, Any], function: Callable[..., Any], path: Path) -> dict[str, Any]:
    takes = [p.name for p in signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in takes:
            raise FormatError(
                f"this format has no option {name!r}; it has {', '.join(takes) or 'none'}",
                path=path,
            )
    return options
