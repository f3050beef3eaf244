"""`lumpability doctor`, completion in the shell, and what errors suggest."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lumpability.cli.doctor
from lumpability import CTMC, formats
from lumpability.cli import cli
from lumpability.files import hold
from lumpability.refinement import ENGINES, SUMS

Run = Callable[..., Any]

CHAIN_ENGINES = [name for name in ENGINES if ENGINES[name].serves(SUMS)]


def test_doctor_finds_this_installation_well(run: Run) -> None:
    result = run("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "all is well: yes" in result.stdout
    for engine in CHAIN_ENGINES:
        assert f"  {engine}" in result.stdout
    document = run("doctor", "--json").document
    assert document["healthy"] is True
    assert document["versions"]["numpy"] == np.__version__
    assert document["cores"] == os.cpu_count()
    assert set(document["engines"]) == set(CHAIN_ENGINES)
    assert all(trial["agrees"] for trial in document["engines"].values())


def test_doctor_compiles_all_of_the_kernel_if_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lumpability.cli.doctor._LARGE", (5, 6))
    assert "compiling" not in run("doctor", "--json").document["seconds"]
    assert run("doctor", "--compile", "--json").document["seconds"]["compiling"] > 0


def test_doctor_says_how_to_install_what_is_absent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lumpability.cli.doctor.util.find_spec
    monkeypatch.setattr(
        "lumpability.cli.doctor.util.find_spec", lambda n: None if n == "umbi" else found(n)
    )
    result = run("doctor")
    assert result.exit_code == 0  # it is optional
    assert "pip install 'lumpability[umb]'" in result.stdout
    assert run("doctor", "--json").document["optional"]["umbi"] is None


def test_doctor_survives_and_reports_an_engine_that_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = lumpability.cli.doctor.lump

    def broken(chain: Any, *, engine: str) -> Any:
        if engine == "kernel":
            raise OSError("cannot load\nthe compiler")
        return right(chain, engine=engine)

    monkeypatch.setattr("lumpability.cli.doctor.lump", broken)
    result = run("doctor")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "kernel      fails: OSError: cannot load the compiler" in result.stdout
    assert "all is well: no" in result.stdout


def test_doctor_tells_what_was_compiled_while_it_ran() -> None:
    """By the time of files, whichever process wrote them."""
    assert lumpability.cli.doctor._trial("kernel")["agrees"]
    everything = lumpability.cli.doctor._compiled(since=0)
    if everything["folder"] is None:
        pytest.skip("compilation is switched off")
    assert everything["compiled_now"] == everything["files"] > 0
    later = lumpability.cli.doctor._compiled(since=time.time() + 60)
    assert (later["compiled_now"], later["files"]) == (0, everything["files"])
    for compiled, text in ((everything, "is ready now"), (later, "was ready")):
        assert text in dict(lumpability.cli.doctor._about(compiled))["compiled engine"]


def test_the_packages_that_doctor_knows_are_those_of_the_project() -> None:
    try:
        required = metadata.requires("lumpability") or []
    except metadata.PackageNotFoundError:
        pytest.skip("lumpability is not installed, only importable")
    named = [line.split(";")[0].rstrip(" ,<>=.0123456789") for line in required]
    needed = {n for n, line in zip(named, required, strict=True) if "extra ==" not in line}
    assert needed == set(lumpability.cli.doctor._NEEDED)
    for package, (extra, _) in lumpability.cli.doctor._OPTIONAL.items():
        assert any(
            line.startswith(package) and f"extra == '{extra}'" in line.replace('"', "'")
            for line in required
        ), package


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("lumpability lu", {"lump"}),
        ("lumpability check --k", {"--kind"}),
        ("lumpability lump --kind e", {"exact"}),
        ("lumpability exercise --format ", {"markdown", "latex", "html"}),
    ],
)
def test_the_shell_completes_commands_options_and_choices(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: str, completions: set[str]
) -> None:
    monkeypatch.setenv("_LUMPABILITY_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert {line.partition(",")[2] for line in run().stdout.splitlines()} == completions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("click asks bash for its version")
    monkeypatch.setenv("_LUMPABILITY_COMPLETE", f"{shell}_source")
    assert f"_LUMPABILITY_COMPLETE={shell}_complete" in run().stdout


@pytest.mark.parametrize("name", list(cli.commands))
def test_every_command_has_help_with_an_example(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"lumpability {name}" in result.stdout.partition("Options:")[2]


def test_a_word_that_is_no_command_is_answered_with_one_that_is(run: Run) -> None:
    assert "try: lumpability lump\n" in run("lumpp").stderr
    assert "try: lumpability lump chain.drn" in run("chain.drn").stderr
    assert "try: lumpability --help" in run("frobnicate").stderr


def test_a_refused_partition_comes_with_the_command_that_repairs_it(run: Run) -> None:
    chain = CTMC([[0, 1, 0], [1, 0, 2], [1, 1, 0]])
    formats.write(chain, "c.json")
    Path("p.txt").write_text("x\nx\ny\n")
    result = run("check", "c.json", "p.txt")
    assert result.exit_code == 1
    command = result.stderr.partition("inside this partition: lumpability ")[2].split()
    assert run(*command).exit_code == 0


def test_messages_name_options_rather_than_arguments(run: Run) -> None:
    Path("c.tra").write_text("2 2\n0 0 0.4999\n0 1 0.5\n")
    message = run("info", "c.tra", "--type", "dtmc").stderr
    assert "--normalize" in message
    assert "normalize=True" not in message
    formats.write(CTMC([[0, 1], [2, 0]]), "one.json")
    warning = run("lump", "one.json", "-o", "small.json").stderr
    assert "--within FILE" in warning


def test_doctor_removes_what_killed_runs_left_here_and_among_temporary_folders(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(Path("temporary").absolute()))
    names = [".small.drn.0123abcd.tmp", ".other.tmp", ".young.drn.0123abcd.tmp"]
    folders = [Path("temporary") / name for name in ("lumpability-a", "lumpability-b", "other-c")]
    locks = [folder / "lock" for folder in folders]
    for folder in folders:
        folder.mkdir(parents=True)
    for file in (*names, *locks):
        Path(file).write_text("half")
    for file in (*names[:2], *locks):
        os.utime(file, (0, 0))
    with locks[1].open("rb") as handle:
        assert hold(handle)
        left = run("doctor", "--json").document["leftovers"]
    assert left == [names[0], str(folders[0].absolute())]
    assert not Path(names[0]).exists()
    assert Path(names[1]).exists()
    assert Path(names[2]).exists()
    assert [folder.exists() for folder in folders] == [False, True, True]
