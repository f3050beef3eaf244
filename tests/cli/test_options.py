"""Options: the same names in Python and on the command line, defaults in --help, former names refused."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from lumpability import Network, check, formats, lump, read, write
from lumpability.cli import cli
from lumpability.cli.failures import dashed
from lumpability.markov.examples import proportional_not_ordinary

Run = Callable[..., Any]


TOLERANCES = {"--tolerance", "--absolute", "--reward-tolerance"}
IN_PYTHON = {"--progress", "--error", "--question"}


def options_of(command: str) -> dict[str, click.Option]:
    found = cli.commands[command].params
    return {name: one for one in found if isinstance(one, click.Option) for name in one.opts}


def names_of(verb: Callable[..., object]) -> set[str]:
    parameters = inspect.signature(verb).parameters.values()
    return {dashed(one.name) for one in parameters if one.kind is one.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("verb", "commands", "in_python_alone"),
    [
        (lump, ["lump", "shrink"], IN_PYTHON),
        (lump, ["explain", "prove"], IN_PYTHON | TOLERANCES | {"--horizon"}),
        (check, ["check"], {"--progress"}),
        (
            read,
            ["info", "lump", "check", "explain", "verify", "convert", "prove"],
            {"--tolerance"},  # which is called --float-tolerance there
        ),
        (write, ["lump", "convert"], set()),
    ],
    ids=["lump", "lumping", "check", "read", "write"],
)
def test_commands_have_the_options_of_python(
    verb: Callable[..., object], commands: list[str], in_python_alone: set[str]
) -> None:
    for command in commands:
        assert names_of(verb) - in_python_alone <= {*options_of(command)}, command


@pytest.mark.parametrize("command", cli.commands)
def test_help_shows_every_option_with_its_default(command: str) -> None:
    context = click.Context(cli.commands[command])
    for name, option in options_of(command).items():
        assert option.help, name
        shown = option.get_help_record(context)
        assert shown is not None, f"{name} is hidden"
        assert option.is_flag or "[default: " in shown[1], f"{name} shows no default"


@pytest.mark.parametrize(
    ("former", "present"),
    [
        (["--initial", "p.json"], "--within"),
        (["--strict"], "--exact-weights"),
        (["--doubles"], "--value-type"),
        (["--engine", "reference"], "'definition'"),
    ],
)
def test_a_former_option_is_wrong_usage_and_the_present_one_is_named(
    run: Run, machines: Path, former: list[str], present: str
) -> None:
    result = run("lump", "machines.json", *former)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"it is called {present} now" in result.stderr


def test_factors_come_from_a_file(run: Run, tmp_path: Path) -> None:
    formats.write(proportional_not_ordinary(2), tmp_path / "c.json")
    (tmp_path / "p.json").write_text('[["a", "b"], ["c"], ["d"]]')
    asked = ("check", "c.json", "p.json", "--kind", "proportional", "--factors", "f.json")
    for factors, code in (
        ([1, 2, 1, 1], 0),
        ({"a": "1/3", "b": "2/3", "c": 7, "d": 1}, 0),
        ([1, 1, 1, 1], 1),
        ({"e": 1}, 3),
        ([1, 2], 3),
        ([0, 2, 1, 1], 3),
        ("one", 3),
    ):
        (tmp_path / "f.json").write_text(json.dumps(factors))
        assert run(*asked).exit_code == code, factors
    run(*asked[:3], "--factors", "f.json").assert_refused()


def test_a_network_is_lumped_within_a_partition_file(run: Run, tmp_path: Path) -> None:
    layers = [([[1, 2, 1]], [1, 2, 1], "relu"), ([[1], [1], [1]], [0], None)]
    formats.write(Network.dense(layers), tmp_path / "n.nnet")
    (tmp_path / "p.json").write_text('[["0:0", "0:2"], ["0:1"], ["2:0"]]')
    found = run("lump", "n.nnet", "--within", "p.json", "--engine", "worklist", "--json")
    assert found.document["lumping"]["origin"] == [[[0, 2], [1]], [[0]]]
    said = run("explain", "n.nnet", "0:0", "0:1", "--within", "p.json")
    assert "within which the network was lumped" in said.stdout
    assert run("check", "n.nnet", "p.json", "--antiparallel").exit_code == 0
    asked = ("--within", "p.json", "-o", "small.nnet", "--certificate", "proof.json")
    run("lump", "n.nnet", *asked).assert_refused("--within FILE may keep classes apart")
    assert not (tmp_path / "small.nnet").exists()


def test_the_limit_of_a_packed_file_is_raised_by_an_option(run: Run, tmp_path: Path) -> None:
    formats.write(proportional_not_ordinary(2), tmp_path / "c.drn.gz")
    run("info", "c.drn.gz", "--max-bytes", "100").assert_refused("raise --max-bytes")
    assert run("info", "c.drn.gz", "--max-bytes", "100000").exit_code == 0


def test_help_lists_at_most_fifteen_commands_each_with_one_sentence(run: Run) -> None:
    text = run("--help").stdout
    listed = re.findall(
        r"^  (\S+)  +(\S.*)$", text.split("Commands:\n")[1].split("\n\n")[0], re.MULTILINE
    )
    assert len(listed) <= 15
    shown = [name for name, command in cli.commands.items() if not command.hidden]
    assert sorted(name for name, _ in listed) == sorted(shown)
    for name, sentence in listed:
        assert re.fullmatch(r"[A-Z][^.]*\.", sentence), (name, sentence)
