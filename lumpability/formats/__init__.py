"""Reading and writing models: the suffix of a file's name chooses the format.

Chains: PRISM's explicit files, Storm's DRN, UMB, the library's own JSON, NPZ, and PRISM and JANI
sources, and edge tables that fit into memory.  Networks: ONNX, NNet and others.  Each format has a module of its own, imported when first
used, so that optional packages are needed only for the formats that need them.  See
docs/guides/formats.md for what each format holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lumpability.errors import FormatError
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.vocabulary import keywords, refuses_unknown_options

if TYPE_CHECKING:
    from lumpability.formats.weights import LayerList
    from lumpability.markov.base import MarkovChain
    from lumpability.networks.graph.network import GraphNetwork
    from lumpability.networks.network import Network

__all__ = ["FORMATS", "SOURCES", "Format", "read", "write"]


@dataclass(frozen=True)
class Format:
    """The functions of a format.

    Attributes
    ----------
    module : str or None
        Name of the module in this package, imported when first used; None if the functions are given.
    reader : str, callable or None
        The function that reads a path, by its name in the module; None if the format cannot be read.
    writer : str, callable or None
        The function that writes a model to a path; None if the format cannot be written.
    holds : tuple of str
        Domains: "chain", "network", "graph"; where several, the reader finds out from the file.

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
        """Return a function of the format, importing its module if needed."""
        if callable(name):
            return name
        return getattr(import_module(f"{__name__}.{self.module}"), name)  # type: ignore[no-any-return]


FORMATS: dict[str, Format] = {
    ".csv": Format("edge_table", "read_edge_table", "write_edge_table"),
    ".csv.gz": Format("edge_table", "read_edge_table", None),
    ".db": Format("edge_table", "read_edge_table", None),
    ".drn": Format("drn", "read_drn", "write_drn"),
    ".drn.gz": Format("drn", "read_drn", "write_drn"),
    ".duckdb": Format("edge_table", "read_edge_table", None),
    ".jani": Format("storm", "read_source", None),
    ".json": Format("json_format", "read_json", "write_json"),
    ".json.gz": Format("json_format", "read_json", "write_json"),
    ".nm": Format("storm", "read_source", None),
    ".nnet": Format("nnet", "read_nnet", "write_nnet", ("network",)),
    ".npz": Format("numpy_archive", "read_archive", "write_archive", ("chain", "network")),
    ".onnx": Format("onnx", "read_onnx", "write_onnx", ("network", "graph")),
    ".onnx.gz": Format("onnx", "read_onnx", "write_onnx", ("network", "graph")),
    ".parquet": Format("edge_table", "read_edge_table", "write_edge_table"),
    ".pm": Format("storm", "read_source", None),
    ".pq": Format("edge_table", "read_edge_table", "write_edge_table"),
    ".prism": Format("storm", "read_source", None),
    ".safetensors": Format("weights", "read_safetensors", "write_safetensors", ("network",)),
    ".sm": Format("storm", "read_source", None),
    ".tra": Format("prism", "read_prism_files", "write_prism_files"),
    ".tsv": Format("edge_table", "read_edge_table", None),
    ".umb": Format("umb", "read_umb", "write_umb"),
}
"""Every known suffix, in lower case; a longer one takes precedence over a shorter one."""

SOURCES = (".jani", ".nm", ".pm", ".prism", ".sm")
"""Suffixes of sources, which have constants and variables."""


def _format_of(path: Path, verb: str) -> Format:
    name = path.name.lower()
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix):
            return FORMATS[suffix]
    if verb == "read" and path.is_dir():
        return FORMATS[".parquet"]
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


def reading_options(path: str | Path) -> list[str]:
    """Return the options of `read` that the format of a file has.

    >>> reading_options("walk.tra")[:2]
    ['float_tolerance', 'digits']
    """
    known = _format_of(Path(path), "read")
    return [] if known.reader is None else keywords(known.function(known.reader))


@refuses_unknown_options
def read(
    path: str | Path,
    *,
    float_tolerance: float = DEFAULT_TOLERANCE,
    normalize: bool = False,
    digits: int | None = None,
    absorbing: bool = False,
    type: Literal["ctmc", "dtmc"] | None = None,  # noqa: A002  # the word users of these files know
    constants: str | Mapping[str, Any] | None = None,
    exact: bool = True,
    parametric: bool | Iterable[str] = False,
    state_names: bool = True,
    layers: LayerList | None = None,
    fold_scaling: bool = True,
    max_bytes: int | None = None,
) -> MarkovChain | Network | GraphNetwork:
    r"""Read a model from a file.

    Parameters
    ----------
    path : str or Path
        Its suffix chooses the format.
    float_tolerance : float
        Largest relative change when a float of a chain is read as the rational that was meant; 0
        reads all numbers literally.  Networks hold binary values exactly, and ignore it.
    normalize : bool
        Rescale rows of a DTMC that do not sum to one; ``rescaled`` is the largest distance of a sum from 1.
        Networks ignore it.
    digits : int, optional
        For ``.tra`` and ``.drn``: the digits that numbers were rounded to.  A decimal of so many digits is
        read as the simplest rational that rounds to it.
    absorbing : bool
        For ``.tra``, ``.drn`` and ``.npz``: give states of a DTMC without transitions a self-loop.
    type : {"ctmc", "dtmc"}, optional
        For ``.tra``, matrices of scipy in ``.npz``, and edge tables: what the file holds, if it does not say.
    constants : str or mapping, optional
        For PRISM and JANI sources: values of constants, ``"N=3,rate=1/2"``, also in place of the source's.
    exact : bool
        For PRISM and JANI sources: let Storm compute weights as rationals (default) or as doubles.
    parametric : bool or iterable of str
        For PRISM and JANI sources: keep undefined constants as parameters; given names, keep those constants
        as parameters, whatever values the source gives.
    state_names : bool
        For PRISM and JANI sources, and ``.umb``: name states by the values of their variables, "x=1,up=true",
        in the order of declarations.
    layers : list of layer descriptions, optional
        For files with only weights (``.npz``, ``.safetensors``): how the network uses them.
    fold_scaling : bool
        For ``.nnet``: include the file's scaling of inputs and outputs as layers.
    max_bytes : int, optional
        For packed files: the size that they may unpack to.

    Returns
    -------
    CTMC, DTMC or Network

    Raises
    ------
    FormatError
        If the suffix is not known, the format does not have an option that was given, or the file is
        not valid.
    InvalidInput
        For an option that no format has.
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
    lumpability.errors.FormatError: walk.txt: the suffix of the name does not say the format; known to read are ...umb
    """
    path = Path(path)
    known = _format_of(path, "read")
    if known.reader is None:
        raise FormatError("files of this format can be written, but not read", path=path)
    reader = known.function(known.reader)
    own = {
        "digits": (digits, None),
        "absorbing": (absorbing, False),
        "type": (type, None),
        "constants": (constants, None),
        "exact": (exact, True),
        "parametric": (parametric, False),
        "state_names": (state_names, True),
        "layers": (layers, None),
        "fold_scaling": (fold_scaling, True),
        "max_bytes": (max_bytes, None),
    }
    options: dict[str, Any] = {n: value for n, (value, default) in own.items() if value != default}
    takes = keywords(reader)
    common = {"float_tolerance": float_tolerance, "normalize": normalize}  # networks ignore both
    options |= {name: value for name, value in common.items() if name in takes}
    model: MarkovChain | Network = reader(path, **_checked(options, reader, path))
    return model


@refuses_unknown_options
def write(
    model: MarkovChain | Network,
    path: str | Path,
    *,
    value_type: Literal["rational", "double", "parametric"] | None = None,
) -> None:
    """Write a model to a file, whole or not at all.

    Parameters
    ----------
    model : CTMC, DTMC or Network
    path : str or Path
        Its suffix chooses the format.  An existing file is replaced when the new one is complete.
    value_type : {"rational", "double", "parametric"}, optional
        For ``.drn``, ``.tra`` and ``.umb``: how numbers are written.  By default exactly, as rationals or
        as expressions in the parameters of the chain (``.drn`` alone holds "parametric"); "double" takes the
        nearest doubles, for tools that read only these.

    Raises
    ------
    FormatError
        If the suffix is not known, the format does not have an option that was given or cannot hold
        the model, or the file cannot be written.
    InvalidInput
        For an option that no format has.
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
    if getattr(model, "domain", None) not in known.holds:
        raise FormatError(
            f"files of this format hold a {' or a '.join(known.holds)}, not a {type(model).__name__}",
            path=path,
        )
    writer = known.function(known.writer)
    options = {} if value_type is None else {"value_type": value_type}
    writer(model, path, **_checked(options, writer, path))


def _checked(options: dict[str, Any], function: Callable[..., Any], path: Path) -> dict[str, Any]:
    takes = keywords(function)
    for name in options:
        if name not in takes:
            raise FormatError(
                f"this format has no option {name!r}; it has {', '.join(takes) or 'none'}",
                path=path,
            )
    return options
