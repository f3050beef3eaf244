"""Run tasks in processes of their own, under limits, and keep what they return.

Every result is a line of JSON in a file, appended as soon as it is known: an interrupted run is continued by
starting it again.  A line counts as long as the code that it measured is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lumpability
from suite.models import Store

__all__ = ["Limits", "Results", "prepare", "run"]

GIB = 2**30
_WORKER = (sys.executable, "-m", "suite.worker")
_FAILED = "failed"
_WITHOUT_US = frozenset({"rational", "numpy", "memory_storm"})


@dataclass(frozen=True)
class Limits:
    """Seconds, and GiB of address space, for one task."""

    seconds: int
    gibibytes: int


PREPARING = Limits(seconds=1800, gibibytes=22)


def run(arguments: Sequence[str], limits: Limits, *, stdin: str | None = None) -> dict[str, Any]:
    """Run a program that prints one line of JSON; a failure becomes ``{"failure": reason}``."""
    here = Path(__file__).parents[1]
    path = os.pathsep.join([str(here), str(Path(lumpability.__file__).parents[1])])

    def restrict() -> None:
        size = limits.gibibytes * GIB
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    try:
        done = subprocess.run(
            arguments,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limits.seconds,
            env={**os.environ, "PYTHONPATH": path},
            preexec_fn=restrict,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failure": f"over {limits.seconds} s"}
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    memory = ("MemoryError", "bad_alloc", "Cannot allocate memory", "std::length_error")
    if done.returncode == -9 or any(word in done.stderr for word in memory):
        return {"failure": f"over {limits.gibibytes} GiB"}
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    print(f"{' '.join(arguments[-3:])}: {lines[-1]}", file=sys.stderr)
    return {"failure": f"{_FAILED}: {lines[-1][:80]}"}


def prepare(store: Store, name: str) -> bool:
    """Have a model built unless it is stored; say so, and return whether it is there now."""
    if name in store:
        return True
    print(f"preparing {name}", file=sys.stderr, flush=True)
    result = run((*_WORKER, str(store.folder), "prepare", name, "0"), PREPARING)
    if "failure" in result:
        print(f"{name}: {result['failure']}", file=sys.stderr)
    return "failure" not in result


def _code_digest() -> str:
    """Digest of what the times of ours depend on."""
    folder = Path(lumpability.__file__).parent
    rooms = ("markov", "numbers", "refinement", "structure")
    files = [
        *folder.glob("*.py"),
        *(path for room in rooms for path in (folder / room).rglob("*.py")),
    ]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@dataclass
class Results:
    """Results by model and task, in memory and in a file."""

    file: Path
    store: Store
    runs: int = 0  # 0: as suits the size
    code: str = field(default_factory=_code_digest)
    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.file.exists():
            return
        for line in self.file.read_text().splitlines():
            entry = json.loads(line)
            if entry["result"].get("failure", "").startswith(_FAILED):
                continue  # no limit, but something to repair: tried again
            if entry["task"] in _WITHOUT_US or entry["code"] == self.code:
                self.known[entry["model"], entry["task"]] = entry["result"]

    def get(self, model: str, task: str, limits: Limits) -> dict[str, Any]:
        """Return what is known, else measure it."""
        if (model, task) not in self.known:
            arguments = (str(self.store.folder), task, model, str(self.runs))
            self.add(model, task, run((*_WORKER, *arguments), limits))
        return self.known[model, task]

    def add(self, model: str, task: str, result: dict[str, Any]) -> None:
        """Keep a result."""
        self.known[model, task] = result
        entry = {"model": model, "task": task, "code": self.code, "result": result}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as lines:
            lines.write(json.dumps(entry) + "\n")

    def of(self, model: str) -> dict[str, Any]:
        """Return all numbers of a model; failures under the name of the task."""
        merged: dict[str, Any] = {}
        for (name, task), result in self.known.items():
            if name == model:
                merged |= {task: result["failure"]} if "failure" in result else result
        return merged
