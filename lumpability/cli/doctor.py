"""`lumpability doctor`: what is installed here, and whether it works.

Versions, optional packages, processors, the folder where numba keeps compiled loops; then every engine lumps
one chain.  The times of the files show which loops were compiled meanwhile.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata, util
from pathlib import Path
from typing import Any

import click

from lumpability import __version__
from lumpability.cli.command import Outcome, command
from lumpability.cli.console import Stages
from lumpability.dispatch import lump
from lumpability.files import remove_all_leftovers
from lumpability.markov.examples import machine_repair, tandem
from lumpability.refinement import ENGINES, SUMS
from lumpability.show.text import Table
from lumpability.tables.workspace import remove_left_folders
from lumpability.vocabulary import count

_NEEDED = ("click", "hypothesis", "numba", "numpy", "rich", "scipy", "sympy")
_OPTIONAL = {
    "duckdb": ("tables", "chains larger than memory"),
    "matplotlib": ("plot", "diagrams"),
    "networkx": ("graph", "chains from and to graphs"),
    "onnx": ("onnx", "networks from .onnx files"),
    "onnxruntime": ("onnx", "measuring networks with --compare"),
    "pyarrow": ("tables", "chains larger than memory"),
    "pyspark": ("spark", "chains larger than memory on a cluster"),
    "safetensors": ("onnx", "networks from .safetensors files"),
    "stormpy": ("storm", "PRISM and JANI sources, Storm's models"),
    "torch": ("torch", "networks from PyTorch modules"),
    "umbi": ("umb", "chains from .umb files"),
}
_MACHINES = 8
_LARGE = (16, 300)  # machines, and places of two queues: enough to run every compiled loop
_EXAMPLES = """\b
Examples:
  lumpability doctor
  lumpability doctor --compile
  lumpability doctor --json
"""


@command("doctor", examples=_EXAMPLES)
@click.option(
    "--compile", "compile_all", is_flag=True, help="Compile all of the engine for large models."
)
def doctor_command(stages: Stages, *, compile_all: bool) -> Outcome:
    """Check what is installed, and whether it works.

    Shows versions, optional packages and how to install missing ones, processors, and whether the
    compiled engine is ready; then lumps a small chain with every engine. The first run compiles the engine
    for some seconds. Unfinished files that killed runs left in this folder, and their temporary folders, are removed. With --compile it compiles everything, so that no later run has to; use it for images
    and batch jobs. The exit code is 0 if all engines agree, and 1 if one fails.
    """
    started = time.time()
    with stages("looking"):
        versions = {name: _version(name) for name in _NEEDED}
        optional = {name: _version(name) for name in _OPTIONAL}
    with stages("lumping", "a small chain, with every engine"):
        trials = {engine: _trial(engine) for engine in ENGINES if ENGINES[engine].serves(SUMS)}
    if compile_all:
        with stages("compiling", "all of the engine for large models"):
            _compile_all()
    compiled = _compiled(started)
    leftovers = sorted(path.name for path in remove_all_leftovers(Path()))
    leftovers += sorted(map(str, remove_left_folders()))
    healthy = all(versions.values()) and all(trial["agrees"] for trial in trials.values())
    removed = Table("removed leftovers", tuple((name,) for name in leftovers))
    return Outcome(
        lambda: {
            "healthy": healthy,
            "python": platform.python_version(),
            "executable": sys.executable,
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "versions": versions,
            "optional": optional,
            "compiled": compiled,
            "engines": trials,
            "leftovers": leftovers,
        },
        [
            Table("lumpability", _about(compiled)),
            Table("packages", tuple((n, v or "ABSENT") for n, v in versions.items())),
            Table("optional packages", tuple(_offer(n, v) for n, v in optional.items())),
            Table(
                f"engines, on {_MACHINES} machines ({2**_MACHINES} states)",
                tuple((engine, trial["text"]) for engine, trial in trials.items()),
            ),
            *([removed] if leftovers else []),
            Table(f"all is well: {'yes' if healthy else 'no'}", ()),
        ],
        holds=healthy,
    )


def _version(package: str) -> str | None:
    """Return the version of a package that can be imported, without importing it."""
    if util.find_spec(package) is None:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # importable, though not installed by pip
        return "unknown"


def _trial(engine: Any) -> dict[str, Any]:
    """Lump the chain of the demo with one engine; report any failure."""
    started = time.perf_counter()
    try:
        chain = machine_repair(_MACHINES)
        blocks = len(lump(chain, engine=engine).partition)
    except Exception as error:  # noqa: BLE001 - a broken installation may fail in any way
        text = f"fails: {type(error).__name__}: {' '.join(str(error).split())}"
        return {"agrees": False, "text": text, "seconds": time.perf_counter() - started}
    seconds = time.perf_counter() - started
    agrees = blocks == _MACHINES + 1
    right = "right" if agrees else f"WRONG: {_MACHINES + 1} expected"
    return {
        "agrees": agrees,
        "text": f"{count(blocks, 'block')}, {right} ({seconds:.2f} s)",
        "seconds": seconds,
    }


def _compile_all() -> None:
    """Lump two chains: one with few rounds and blocks, one with many of both; make their histories."""
    machines, places = _LARGE
    for chain in (machine_repair(machines), tandem(places, places)):
        _ = lump(chain, engine="kernel").history


def _compiled(since: float) -> dict[str, Any]:
    """Return numba's folder of compiled loops, their number, and how many were compiled after `since`."""
    loops = {
        id(value): value.stats
        for name, module in sys.modules.items()
        if name.startswith("lumpability.refinement.kernel")
        for value in vars(module).values()
        if hasattr(value, "stats") and hasattr(value, "py_func")
    }
    folders = {loop.cache_path for loop in loops.values() if loop.cache_path is not None}
    folder = min(folders, default=None)
    files = [file.stat() for file in Path(folder).glob("*.nbc")] if folder else []
    return {
        "folder": folder,
        "files": len(files),
        "bytes": sum(file.st_size for file in files),
        "found": sum(sum(loop.cache_hits.values()) for loop in loops.values()),
        "compiled_now": sum(file.st_mtime >= since for file in files),
    }


def _about(compiled: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    now, found = compiled["compiled_now"], compiled["found"]
    state = f"was ready: {count(found, 'loop')} loaded"
    if now:
        state = f"is ready now: {count(now, 'loop')} compiled, {found} loaded"
    kept = "nowhere: it is compiled in every process"
    if compiled["folder"] is not None:
        kept = f"{compiled['folder']} ({compiled['files']} files, {compiled['bytes'] / 1e6:.1f} MB)"
    return (
        ("version", __version__),
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("system", platform.platform()),
        ("cores", f"{os.cpu_count()}; loops run on Python threads, no threading layer is needed"),
        ("compiled engine", state),
        ("kept in", kept),
    )


def _offer(name: str, version: str | None) -> tuple[str, str]:
    extra, purpose = _OPTIONAL[name]
    if version is not None:
        return name, f"{version}: {purpose}"
    return name, f"absent; for {purpose}: pip install 'lumpability[{extra}]'"
