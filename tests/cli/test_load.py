"""Commands under load: many at once on one folder, ended at random moments, on a full disk; see `forks`."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from lumpability import Network, formats
from lumpability.cli import cli
from lumpability.markov.examples import machine_repair
from lumpability.networks.examples import planted
from lumpability.teaching.exercises import exercise, model_answer, sheet

if sys.platform == "win32":
    pytest.skip("processes are forked here", allow_module_level=True)

pytestmark = pytest.mark.slow

AT_ONCE, ENDED = 10, 6
TIMES = re.compile(r"\d+\.\d+ s|\d+(\.\d+)? MB|\d+ (loops?|files)")
UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@dataclass(frozen=True)
class Case:
    """A command with its files; those after "->" are written."""

    command: str
    code: int = 0

    @property
    def arguments(self) -> list[str]:
        return self.command.replace("->", "").split()

    @property
    def outputs(self) -> list[str]:
        words = self.command.split()
        return [words[i + 1] for i, word in enumerate(words) if word == "->"]


CASES = [
    Case(
        "lump m.json -o -> small.drn --partition -> p.csv --certificate -> c.json --html -> h.html"
    ),
    Case("lump m.json --tolerance 1% --partition -> near.json --interval -> i.drn.gz"),
    Case("lump net.nnet -o -> small.nnet --certificate -> nc.json"),
    Case("shrink net.nnet -o -> shrunk.npz"),
    Case("check m.json halves.txt", code=1),
    Case("solve m.json transient --times 0:3 --label operational --csv -> s.csv"),
    Case("bound m.json blocks.txt --stationary operational --certificate -> b.json"),
    Case("compare net.nnet net.nnet --box box.json --certificate -> d.json"),
    Case("explain m.json 0 7 --html -> why.html"),
    Case("explain net.nnet net.nnet --box box.json --html -> what.html --certificate -> e.json"),
    Case("verify proof.json m.json"),
    Case("prove tiny.json --coq -> proof.v"),
    Case("info m.json"),
    Case("convert m.json -> converted.umb" if find_spec("umbi") else "convert m.json -> m.npz"),
    Case("relax net.nnet --box box.json --units 3 -o -> r.nnet --certificate -> r.json"),
    Case("demo --machines 3"),
    Case("doctor"),
    Case("exercise --seed 1 -o -> sheet.tex --solution -> solution.html"),
    Case("grade sheet.md answer.json"),
    *(
        [Case("lump edges.csv -o -> blocks.parquet --quotient -> q.csv --certificate -> t.json")]
        if find_spec("duckdb") and find_spec("pyarrow")
        else []
    ),
    *([Case("lump net.onnx -o -> small.onnx")] if find_spec("onnx") else []),
]


def test_every_command_is_among_the_cases() -> None:
    assert {case.arguments[0] for case in CASES} == set(cli.commands)


class Room:
    """A folder with models, in which commands run."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.folder, self.logs, self.number = folder, logs, 0
        self.forks = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        chain = machine_repair(5)
        formats.write(chain, folder / "m.json")
        formats.write(machine_repair(3), folder / "tiny.json")
        formats.write(planted([3, 6, 4, 2], copies=2)[0], folder / "net.nnet")
        if find_spec("onnx"):
            weights = [([[1, 2], [2, 4]], None, "relu"), ([[1], [1]], None, None)]
            formats.write(Network.dense(weights), folder / "net.onnx")
        (folder / "box.json").write_text(json.dumps({"low": [0] * 3, "high": [1] * 3}))
        names = [str(state) for state in chain.states]
        (folder / "blocks.txt").write_text("".join(f"{name.count('d')}\n" for name in names))
        (folder / "halves.txt").write_text("".join(f"{name[0]}\n" for name in names))
        task = exercise(seed=1)
        (folder / "sheet.md").write_text(sheet(task))
        (folder / "answer.json").write_text(json.dumps(model_answer(task)))
        edges = [f"{s},{(7 * s + k) % 60},{k}\n" for s in range(60) for k in (1, 2)]
        (folder / "edges.csv").write_text("source,target,rate\n" + "".join(edges))
        assert self.run(Case("lump m.json --certificate -> proof.json"))[0] == 0
        self.models = self.names()

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def asked(self, job: object) -> int:
        """Ask the forking process."""
        assert self.forks.stdin is not None
        assert self.forks.stdout is not None
        self.forks.stdin.write(f"{json.dumps(job)}\n")
        self.forks.stdin.flush()
        return int(self.forks.stdout.readline())

    def start(self, case: Case, limit: int | None = None) -> tuple[int, str]:
        """Return the number of a process, and where its output goes."""
        self.number += 1
        told = str(self.logs / str(self.number))
        job = {"arguments": case.arguments, "folder": str(self.folder), "told": told}
        return self.asked({**job, "limit": limit}), told

    def ended(self, number: int, told: str) -> tuple[int, str, str]:
        """Return the exit code and both outputs, times left out."""
        code = self.asked(number)
        paths = [Path(f"{told}.{name}") for name in ("out", "err")]
        out, err = (path.read_text() if path.exists() else "" for path in paths)
        return code, TIMES.sub("", out), err

    def run(self, case: Case, limit: int | None = None) -> tuple[int, str, str]:
        return self.ended(*self.start(case, limit))

    def outputs(self, case: Case) -> dict[str, bytes]:
        paths = [self.folder / name for name in case.outputs]
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def clear(self) -> None:
        for name in self.names() - self.models:
            (self.folder / name).unlink()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    room = Room(tmp_path_factory.mktemp("room"), tmp_path_factory.mktemp("logs"))
    yield room
    room.forks.communicate()


@pytest.fixture
def cleared(room: Room) -> Iterator[Room]:
    yield room
    room.clear()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command.split(" -")[0])
def test_commands_under_load_give_whole_files_or_none_and_the_same_bytes(
    cleared: Room, case: Case
) -> None:
    room, before = cleared, time.monotonic()
    alone = room.run(case)
    took = time.monotonic() - before
    assert alone[0] == case.code, alone
    right = room.outputs(case)
    assert set(right) == set(case.outputs)
    everything = room.models | set(right)

    # Many at once, the first half of them over the files of the run before.
    for _ in range(2):
        for one in [room.start(case) for _ in range(AT_ONCE // 2)]:
            assert room.ended(*one) == alone
        assert (room.outputs(case), room.names()) == (right, everything)
        room.clear()

    # On a full disk, old files stay.
    for name in case.outputs:
        (room.folder / name).write_text("old")
    full = room.run(case, limit=64)
    if case.outputs:
        assert (full[0], full[1]) == (3, "")
        assert re.fullmatch(r"Error: .*\n", full[2])
        assert set(room.outputs(case).values()) == {b"old"}
    assert room.names() == everything
    room.clear()

    # Ended at random moments: files are whole or absent, and the next run removes what is left.
    moments = random.Random(case.command)
    for number in range(ENDED):
        how = (signal.SIGINT, signal.SIGKILL)[number % 2]
        one = room.start(case)
        time.sleep(moments.uniform(0, took))
        os.kill(one[0], how)
        code, _, err = room.ended(*one)
        assert code in {alone[0], 130, -how}, err
        assert "Traceback" not in err
        assert room.outputs(case).items() <= right.items()
        left = room.names() - everything
        assert all(map(UNFINISHED.fullmatch, left))
        assert not left or how == signal.SIGKILL or number > 1
    for name in room.names() - everything:
        os.utime(room.folder / name, (1, 1))
    assert room.run(case)[:2] == alone[:2]
    assert (room.outputs(case), room.names()) == (right, everything)
