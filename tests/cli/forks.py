"""A process that has imported everything runs commands in forks of itself; `test_load` talks to it.

A line on stdin is a job or the number of a process to wait for; the answer on stdout is the number of the process, or
its exit code.  So hundreds of runs take a minute, and each is a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from contextlib import redirect_stdout, suppress
from importlib import import_module
from typing import Any

from lumpability.__main__ import main
from lumpability.cli import cli


def run(arguments: list[str], folder: str, told: str, limit: int | None) -> None:
    """Run a command; its output goes to two files, and no other file may grow beyond the limit."""
    os.chdir(folder)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{told}.{name}", os.O_WRONLY | os.O_CREAT, 0o600), stream)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv[1:] = arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()


def forked(job: dict[str, Any]) -> int:
    """Return the number of a process that runs a job."""
    if number := os.fork():
        return number
    code = 130  # interrupted in the moment before or after the command
    try:
        run(**job)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Exception:  # noqa: BLE001 - the test says that no command ends like this
        code = 99
    finally:
        os._exit(code)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
        cli.main(["doctor", "--json"], standalone_mode=False)  # compiles, or loads what is compiled
    for module in ("duckdb", "onnx", "sympy", "umbi"):
        with suppress(ImportError):
            import_module(module)
    for line in sys.stdin:
        job = json.loads(line)
        if isinstance(job, int):
            answer = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
        else:
            answer = forked(job)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
