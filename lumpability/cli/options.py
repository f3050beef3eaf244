"""Arguments and options that several commands share.

An option has the name that the same option has in Python, with hyphens for underscores.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from lumpability import formats
from lumpability.errors import InvalidInput
from lumpability.markov import KINDS
from lumpability.markov.approximate.tolerance import read_absolute, read_tolerance
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.refinement import ENGINES
from lumpability.tables import TABLE_ENGINES
from lumpability.vocabulary import keywords, unknown_word

Command = Callable[..., Any]
Option = Callable[[Command], Command]
Read = Callable[..., Any]
Write = Callable[[Any, Path], None]


class _Words(click.Choice[str]):
    """A choice of words; the error for a former word names the present one."""

    def __init__(self, what: str, words: Iterable[str]) -> None:
        super().__init__([*words])
        self.what = what

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Return the error message for a word that is not among the choices."""
        return str(unknown_word(self.what, value, self.choices))


def file_argument(name: str) -> Option:
    """Return an argument that is a path; reading it checks whether the file exists."""
    return click.argument(name, type=click.Path(path_type=Path))


def file_option(
    *names: str, about: str, default: str = "not written", metavar: str = "FILE"
) -> Option:
    """Return an option that is a path; `default` describes the behaviour without it."""
    return click.option(
        *names,
        type=click.Path(path_type=Path),
        metavar=metavar,
        help=about,
        show_default=default,
        callback=_output if default in ("not written", "stdout") else None,
    )


def _output(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse two outputs of one command with one path, before anything is computed."""
    outputs = ctx.meta.setdefault("lumpability.outputs", {})
    if value is not None:
        other = outputs.setdefault(Path(os.path.normpath(value.absolute())), parameter.opts[-1])
        if other != parameter.opts[-1]:
            raise click.UsageError(f"{other} and {parameter.opts[-1]} name the same file {value}")
    return value


def read_by(read: Callable[[Any], Any]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that reads a value, or refuses it as wrong usage; None if the option was not given."""

    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return None
        try:
            return read(value)
        except InvalidInput as error:
            raise click.BadParameter(str(error)) from None

    return callback


def checked_by(read: Callable[[Any], object]) -> Callable[..., Any]:
    """Return a callback that refuses what cannot be read, and leaves the value as it was given."""
    return read_by(lambda value: (read(value), value)[1])


def _names(values: tuple[str, ...]) -> list[str]:
    """Split the values of a repeatable option at commas."""
    return [name for item in values for name in item.split(",") if name]


def _layers(values: tuple[str, ...]) -> Any:
    """Return names of layers with the activations that follow them."""
    from lumpability.networks.activations import activation

    parted = [item.partition(":") for item in _names(values)]
    return [(name, activation(word) if word else None) for name, _, word in parted] or None


def added(*options: Option) -> Option:
    """Return the options as one decorator; --help lists them in this order."""

    def add(command: Command) -> Command:
        """Add the options to a command, which gets None for one that is not given."""
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return add


kind = click.option(
    "--kind",
    type=_Words("kind", KINDS),
    show_default="ordinary for chains, proportional for networks",
    help="The notion of lumpability: any for chains, proportional or exact for networks.",
)

antiparallel = click.option(
    "--antiparallel",
    is_flag=True,
    default=None,
    help="Networks: merge neurons of opposite sign too, with a skip past the activation, where that "
    "leaves fewer parameters.",
)

dtype = click.option(
    "--dtype",
    type=_Words("dtype", ["float16", "float32", "float64"]),
    show_default="as stored",
    help="Networks: type of the new weights.",
)

region = file_option(
    "--region",
    "--box",
    default="all inputs",
    about="Networks: the box of inputs for which the result holds, a .vnnlib file, or JSON with the lists low and "
    "high; FILE:2 is the second of several.",
)

certificate = file_option(
    "--certificate",
    about="Write a proof that others can check, .json or .json.gz, for the command verify.",
)

lumping = added(
    kind,
    click.option(
        "--respect",
        metavar="NAMES",
        multiple=True,
        callback=read_by(_names),
        show_default="labels,rewards; for exact and strict initial too",
        help="Chains: what a block may not mix, separated by commas: labels, rewards, initial (the "
        'initial distribution), or single ones by name (label:up or up). --respect "" is nothing.',
    ),
    click.option(
        "--ignore",
        metavar="NAMES",
        multiple=True,
        callback=read_by(_names),
        show_default="nothing",
        help="Chains: labels and rewards, by name, not to respect.",
    ),
    file_option(
        "--within",
        default="no partition",
        about="A partition that the lumping must refine, in a file such as check takes.",
    ),
    click.option(
        "--engine",
        type=_Words("engine", ["auto", *ENGINES, *TABLE_ENGINES]),
        show_default="auto",
        help="Implementation of the refinement; the answer is the same. The last ones are for edge tables.",
    ),
    antiparallel,
    dtype,
    click.option(
        "--exact-weights",
        is_flag=True,
        default=None,
        help="Networks: refuse if that type cannot hold a new weight, rather than round it.",
    ),
    click.option(
        "--align",
        type=click.IntRange(min=1),
        metavar="N",
        show_default="1",
        help="ONNX networks: keep the units of every layer at a multiple of N, for which kernels are made.",
    ),
    region,
    click.option(
        "--boxes",
        type=click.IntRange(min=1),
        metavar="N",
        show_default="1",
        help="Networks, with --region: cut it into at most N parts for tighter bounds.",
    ),
)

"""All options of `lumpability.lump` but tolerances; the command gets None for one that is not given."""

tolerance = added(
    click.option(
        "--tolerance",
        metavar="SHARE",
        callback=checked_by(read_tolerance),
        show_default="none: exactly",
        help="Chains: sums of rates that differ by this share, such as 1% or 0.01, count as near.",
    ),
    click.option(
        "--absolute",
        metavar="RATE",
        callback=checked_by(read_absolute),
        show_default="none",
        help="With --tolerance: sums that differ by no more than this rate count as near, too.",
    ),
)

"""The tolerances for sums of rates."""

reward_tolerance = click.option(
    "--reward-tolerance",
    metavar="SHARE",
    callback=checked_by(read_tolerance),
    show_default="none: equal",
    help="With --tolerance: rewards of a block may differ by this share.",
)

horizon = click.option(
    "--horizon",
    type=click.IntRange(min=0),
    metavar="K",
    show_default="all steps",
    help="Chains: keep apart only what K steps can tell apart; those of a CTMC are uniformised.",
)

_READING = added(
    click.option(
        "--float-tolerance",
        type=float,
        default=DEFAULT_TOLERANCE,
        show_default=True,
        metavar="T",
        callback=checked_by(read_tolerance),
        help="Largest relative change when a float is read as the rational that was meant "
        "(0.050000000000000044 as 1/20); 0 takes binary values literally, as networks always do.",
    ),
    click.option(
        "--normalize",
        is_flag=True,
        help="Accept rows that do not sum as they must: rescale probabilities, take a generator's "
        "diagonal from its rates. The result says by how much.",
    ),
    click.option(
        "--type",
        type=_Words("type", ["ctmc", "dtmc"]),
        show_default="as the file says",
        help="What a .tra file or a matrix of scipy in .npz holds, if it does not say.",
    ),
    click.option(
        "--digits",
        type=click.IntRange(1, 30),
        metavar="N",
        show_default="not rounded",
        help=".tra and .drn files: the digits that numbers were rounded to; 0.333333 of 6 digits is read as 1/3.",
    ),
    click.option(
        "--absorbing",
        is_flag=True,
        help=".tra, .drn and .npz files: give states of a DTMC without transitions a self-loop.",
    ),
    click.option(
        "--constants",
        metavar="N=3,...",
        multiple=True,
        callback=read_by(",".join),
        show_default="as the source says",
        help="PRISM and JANI sources: values of constants; may be repeated.",
    ),
    click.option(
        "--exact/--no-exact",
        default=True,
        show_default=True,
        help="PRISM and JANI sources: let Storm compute weights as rationals, or as doubles.",
    ),
    click.option(
        "--parametric",
        is_flag=True,
        help="PRISM and JANI sources: keep undefined constants as parameters.",
    ),
    click.option(
        "--state-names/--no-state-names",
        default=True,
        show_default=True,
        help="PRISM and JANI sources, UMB files: name states by the values of their variables.",
    ),
    click.option(
        "--layers",
        metavar="NAME:FUNCTION,...",
        multiple=True,
        callback=read_by(_layers),
        show_default="the file's own list",
        help=".npz and .safetensors files of weights alone: the layers by name, each with the activation that "
        "follows it: net.1:relu,net.3:relu,net.5.",
    ),
    click.option(
        "--fold-scaling/--no-fold-scaling",
        default=True,
        show_default=True,
        help="NNet files: include the file's scaling of inputs and outputs as layers.",
    ),
    click.option(
        "--max-bytes",
        type=click.IntRange(min=1),
        metavar="N",
        show_default="a limit of each format",
        help="Packed files and certificates: the size that they may unpack to.",
    ),
)


def reading(command: Command) -> Command:
    """Add the options of `lumpability.read`; the command gets `read`, a function of a path."""

    @functools.wraps(command)
    def with_read(*arguments: Any, **given: Any) -> Any:
        asked = {name: given.pop(name) for name in keywords(formats.read) if name in given}
        return command(*arguments, read=functools.partial(formats.read, **asked), **given)

    return _READING(with_read)


def writing(command: Command) -> Command:
    """Add the option for the writing of numbers; the command gets `write`."""

    @functools.wraps(command)
    def with_write(*arguments: Any, value_type: Any, **others: Any) -> Any:
        write = functools.partial(formats.write, value_type=value_type)
        return command(*arguments, write=write, **others)

    return click.option(
        "--value-type",
        type=_Words("value-type", ["rational", "double", "parametric"]),
        show_default="exactly",
        help="Chains: how numbers are written. double takes the nearest doubles, for tools that read no "
        "exact rationals.",
    )(with_write)
