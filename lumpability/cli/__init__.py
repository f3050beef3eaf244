"""The command line, `lumpability COMMAND`: results on stdout, everything else on stderr.

One file for each command (`files` has the two that only read and write).  `command` is the frame of all of them,
`failures` defines how they end, and `models` the functions that they need for each class of model, which `chains`
and `networks` provide.
"""

from __future__ import annotations

import os
import sys

import click

from lumpability import __version__
from lumpability.cli.bound import bound_command
from lumpability.cli.check import check_command
from lumpability.cli.command import DEBUGGING
from lumpability.cli.compare import compare_command
from lumpability.cli.demo import demo_command
from lumpability.cli.doctor import doctor_command
from lumpability.cli.exercise import exercise_command, grade_command
from lumpability.cli.explain import explain_command
from lumpability.cli.failures import ReportingGroup
from lumpability.cli.files import convert_command, info_command
from lumpability.cli.lump import lump_command, shrink_command
from lumpability.cli.prove import prove_command
from lumpability.cli.relax import relax_command
from lumpability.cli.solve import solve_command
from lumpability.cli.verify import verify_command
from lumpability.formats import FORMATS
from lumpability.tables.reading import SUFFIXES

__all__ = ["cli", "main"]


_EPILOG = f"""Formats: {", ".join(FORMATS)}. Edge tables ({", ".join(SUFFIXES)}) may be larger
than memory for info, lump and verify.

\b
Exit codes:
  0   yes, or done
  1   no: not lumpable, with two states or neurons that prove it; certificate rejected;
      two networks not proved to be within a tolerance
  2   wrong usage
  3   a file that cannot be read, used or written
  70  a bug in this program
\b
Examples:
  lumpability demo
  lumpability lump chain.drn.gz -o small.drn
  lumpability check chain.drn.gz blocks.json
  lumpability solve chain.drn.gz hitting-time --target failed
  lumpability lump net.onnx -o small.onnx
  lumpability compare net.onnx int8.onnx --box box.vnnlib
  lumpability doctor
\b
Shell completion, a line for the shell's start-up file (bash; zsh and fish likewise):
  eval "$(_LUMPABILITY_COMPLETE=bash_source lumpability)"
"""


@click.group(
    cls=ReportingGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="lumpability")
def cli() -> None:
    """Exact lumping of Markov chains and neural networks: merge states that behave alike, provably.

    The suffix of a file names its format. Results go to stdout, everything else to stderr.
    """


cli.params.append(DEBUGGING)
for _command in (
    lump_command,
    check_command,
    solve_command,
    bound_command,
    compare_command,
    explain_command,
    verify_command,
    prove_command,
    info_command,
    convert_command,
    shrink_command,
    relax_command,
    demo_command,
    doctor_command,
    exercise_command,
    grade_command,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A state's name that the terminal cannot encode must not end the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli.main(prog_name="lumpability", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (
        click.Abort
    ):  # an interrupt before or after the command, for which click would exit with 1
        raise KeyboardInterrupt from None
    finally:
        _silence_closed_stdout()


def _silence_closed_stdout() -> None:
    """Keep the interpreter from reporting at exit that the reader of stdout has ended."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
