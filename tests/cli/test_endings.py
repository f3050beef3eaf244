"""How commands end: exit codes, one line on stderr, no traceback, old files left as they were."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import lumpability.cli.lump
from lumpability import CTMC, DTMC, __version__, formats, lump
from lumpability.errors import LumpabilityError
from lumpability.markov.examples import machine_repair

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "arguments",
    [
        ["lump", "absent.drn"],
        ["lump", "absent.npz"],
        ["check", "absent.json", "p.json"],
        ["check", "machines.json", "absent.json"],
        ["lump", "machines.json", "--within", "absent.txt"],
        ["info", "absent.tra"],
        ["convert", "absent.tra", "x.drn"],
    ],
)
def test_a_missing_file_is_named(run: Run, machines: Path, arguments: list[str]) -> None:
    run(*arguments).assert_refused("absent.", "No such file")


@pytest.mark.parametrize("name", ["c.drn", "c.json", "c.npz", "c.drn.gz", "c.tra", "c.umb"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01garbage", b"@type: CTMC\nstate 0\n", b"{"])
def test_a_file_that_is_no_model_is_refused_without_a_traceback(
    run: Run, tmp_path: Path, name: str, content: bytes
) -> None:
    if name.endswith(".umb"):
        pytest.importorskip("umbi")
    (tmp_path / name).write_bytes(content)
    run("lump", name).assert_refused(name)


def test_an_unknown_suffix_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.xyz").write_text("")
    run("lump", "c.xyz").assert_refused("c.xyz")


def test_an_unknown_name_is_refused_with_the_names_there_are(run: Run, machines: Path) -> None:
    run("lump", "machines.json", "--respect", "up").assert_refused("'up'", "label:operational")
    run("lump", "machines.json", "--ignore", "up").assert_refused("'up'", "label:operational")


@pytest.mark.parametrize(
    "arguments",
    [
        ["lump"],
        ["lump", "machines.json", "--kind", "strong"],
        ["lump", "machines.json", "--engine", "gpu"],
        ["lump", "machines.json", "--tolerance", "-1"],
        ["lump", "machines.json", "--tolerance", "1%%"],
        ["lump", "machines.json", "--tolerance", "1%", "--absolute", "-1"],
        ["lump", "machines.json", "--tolerance", "1%", "--certificate", "c.json"],
        ["lump", "machines.json", "--interval", "small.drn"],
        ["lump", "machines.json", "--float-tolerance", "-1"],
        ["info", "machines.json", "--tolerance", "0"],
        ["lump", "machines.json", "--tolerance", "nan"],
        ["lump", "machines.json", "--tolerance", "much"],
        ["check", "machines.json"],
        ["frobnicate"],
        ["demo", "--machines", "99"],
    ],
)
def test_wrong_usage_has_exit_code_2_and_says_so_on_stderr(
    run: Run, machines: Path, arguments: list[str]
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: lumpability" in result.stderr


@pytest.mark.parametrize("option", ["-o", "--partition"])
def test_an_output_that_cannot_be_written_is_named(
    run: Run, machines: Path, tmp_path: Path, option: str
) -> None:
    run("lump", "machines.json", option, "no/such/folder.json").assert_refused("no/such/folder")
    (tmp_path / "folder.json").mkdir()
    run("lump", "machines.json", option, "folder.json").assert_refused("folder.json")


def test_bad_input_leaves_the_old_output_as_it_was(
    run: Run, machines: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old.drn"
    old.write_text("old")
    (tmp_path / "bad.drn").write_text("@type: CTMC\n")
    assert run("lump", "bad.drn", "-o", "old.drn").exit_code == 3
    assert run("convert", "bad.drn", "old.drn").exit_code == 3
    assert old.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.drn", "machines.json", "old.drn"]


def test_control_characters_of_a_file_do_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    chain = DTMC([[0, 1], [1, 0]], states=["\x1b[2J", "b"], labels={"\x07": ["b"]})
    formats.write(chain, tmp_path / "c.json")
    for result in (run("info", "c.json"), run("lump", "c.json"), run("lump", "c.json", "--json")):
        assert result.exit_code == 0
        assert "\x1b" not in result.output
        assert "\x07" not in result.output


def test_a_bug_is_one_line_and_a_traceback_only_with_debug(
    run: Run, machines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("list index\nout of range")

    monkeypatch.setattr(lumpability.cli.models, "lump", broken)
    result = run("lump", "machines.json")
    assert (result.exit_code, result.stdout) == (70, "")
    assert re.fullmatch(r"Internal error: IndexError: .*report it.*\n", result.stderr)
    assert "Traceback" in run("lump", "machines.json", "--debug").stderr
    assert "Traceback" in run("--debug", "lump", "machines.json").stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LumpabilityError("internal error: unstable"), 70),
        (MemoryError(), 3),
        (OSError(28, "No space left on device", "x"), 3),
        (OSError("odd"), 70),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_the_exit_code_says_how_it_ended(
    run: Run, machines: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(lumpability.cli.models, "lump", fail)
    result = run("lump", "machines.json", "-o", "out.drn")
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == (0 if code == 141 else 1)
    assert not Path("out.drn").exists()


def test_an_interrupt_outside_of_a_command_is_no_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def aborted(**_: object) -> None:
        raise click.Abort

    monkeypatch.setattr(lumpability.cli.cli, "main", aborted)
    with pytest.raises(KeyboardInterrupt):
        lumpability.cli.main()


def test_warnings_of_the_library_are_single_lines_on_stderr(
    run: Run, machines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warns(*_: object, **__: object) -> object:
        warnings.warn("a warning\nof two lines", UserWarning, stacklevel=1)
        return lump(machine_repair(2))

    monkeypatch.setattr(lumpability.cli.models, "lump", warns)
    result = run("lump", "machines.json", "-o", "out.json")
    assert (result.exit_code, result.stderr) == (0, "Warning: a warning\\nof two lines\n")


def test_a_process_separates_stdout_and_stderr(environment: dict[str, str], machines: Path) -> None:
    def start(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "lumpability", *arguments],
            cwd=machines.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = start("lump", "machines.json", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["lumping"]["blocks"] == 4
    code, out, err = start("lump", "absent.drn")
    assert (code, out, len(err.splitlines())) == (3, "", 1)
    assert start("--version") == (0, f"lumpability, version {__version__}\n", "")


def test_help_imports_nothing_heavy(environment: dict[str, str]) -> None:
    code = (
        "import sys; sys.argv = ['lumpability', 'lump', '--help']\n"
        "from lumpability.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sympy', 'numba', 'rich', 'stormpy', 'umbi', 'networkx', 'pandas', 'onnx', 'torch'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == "[]\n"


def test_a_reader_that_goes_away_ends_the_run_quietly(
    environment: dict[str, str], machines: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lumpability", "info", str(machines)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 141


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """Let children heed interrupts even where this run was started with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
def test_interrupting_shows_one_line_and_leaves_no_partial_file(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # A path of 3,000 states takes the reference engine, which works by definition, minutes.
    n = 3000
    path = CTMC.from_rates([(i, i + 1, 1) for i in range(n - 1)], labels={"end": [n - 1]})
    formats.write(path, tmp_path / "path.json")
    (tmp_path / "out.drn").write_text("old")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "lumpability", "lump", "path.json"),
            *("--engine", "definition", "-o", "out.drn"),
        ],
        cwd=tmp_path,
        env={**environment, "TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = _read_until(ours, b"lumping", seconds=120)
        assert b"lumping" in seen  # progress is shown, because stderr is a terminal
        process.send_signal(signal.SIGINT)
        seen = _read_until(ours, b"interrupted; nothing more was written", seconds=60)
        assert process.wait(timeout=60) == 130
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(ours)
    assert b"Traceback" not in seen
    assert (tmp_path / "out.drn").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.drn", "path.json"]


def _read_until(terminal: int, text: bytes, seconds: float) -> bytes:
    seen, deadline = b"", time.monotonic() + seconds
    while text not in seen and time.monotonic() < deadline:
        try:
            seen += os.read(terminal, 1 << 16)
        except OSError:  # the other side is closed
            break
    return seen


@pytest.mark.usefixtures("heeded_interrupts")
def test_interrupting_while_the_program_starts_shows_one_line(environment: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(name, path, target=None):\n"
        "        if name == 'lumpability.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted)\n"
        "from lumpability.__main__ import main\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "Error: interrupted\n")
