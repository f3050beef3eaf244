"""The command line: exit codes, what goes to stdout and what to stderr, files left whole."""

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
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lumpability.cli.lump
from lumpability import CTMC, DTMC, Partition, __version__, check, formats, lump
from lumpability.cli import cli
from lumpability.cli.partition_file import read_partition, write_partition
from lumpability.errors import FormatError, LumpabilityError
from lumpability.markov.attributes import States
from lumpability.markov.examples import machine_repair

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command inside this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), prog_name="lumpability")

    return invoke


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    """Three machines and two repairers, as a file: 8 states, 4 blocks."""
    formats.write(machine_repair(3), tmp_path / "machines.json")
    return tmp_path / "machines.json"


@pytest.fixture
def subprocess_run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command as its own process, in an empty folder."""

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lumpability", *arguments],
            cwd=tmp_path,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return start


def _environment() -> dict[str, str]:
    root = str(Path(lumpability.__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "default"}


def _document(result: Result) -> dict[str, object]:
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def _one_sentence(result: Result, *words: str) -> None:
    """Invalid input: exit code 3, nothing on stdout, one line on stderr with the given words."""
    assert result.exit_code == 3
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]


# lump


def test_lump_prints_sizes_proof_blocks_and_nothing_but_a_hint_on_stderr(
    run: Run, machines: Path
) -> None:
    result = run("lump", "machines.json")
    assert result.exit_code == 0
    assert "states       8 -> 4  (2 times smaller)" in result.stdout
    assert "Q V = V Q^ holds exactly; coarsest by construction" in result.stdout
    assert "{uud, udu, duu}" in result.stdout
    assert result.stderr == "Hint: write the lumped model with -o, for example -o small.drn\n"


def test_lump_json_is_one_document_with_documented_keys(run: Run, machines: Path) -> None:
    result = run("lump", "machines.json", "-o", "small.json", "--partition", "p.json", "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    document = _document(result)
    assert list(document) == [
        *("lumpability", "command", "path", "model", "lumping", "written", "seconds", "warnings")
    ]
    assert document["lumpability"] == __version__
    assert document["written"] == {"quotient": "small.json", "partition": "p.json"}
    lumping = document["lumping"]
    assert isinstance(lumping, dict)
    assert lumping["blocks"] == 4
    assert lumping["largest_blocks"][0] == {
        "block": 1,
        "size": 3,
        "first_members": ["uud", "udu", "duu"],
    }


def test_the_files_lump_writes_are_the_quotient_and_a_partition_that_check_accepts(
    run: Run, machines: Path
) -> None:
    assert run("lump", "machines.json", "-o", "small.json", "--partition", "p.json").exit_code == 0
    expected = lump(machine_repair(3))
    assert formats.read("small.json").equals(expected.quotient)
    chain = formats.read(machines)
    assert read_partition(Path("p.json"), chain.states) == expected.partition
    assert run("check", "machines.json", "p.json").exit_code == 0


def test_respect_ignore_and_initial_decide_what_stays_apart(run: Run, tmp_path: Path) -> None:
    chain = CTMC(
        [[0, 1, 1], [1, 0, 1], [1, 1, 0]],
        labels={"a": [0], "b": [1]},
        rewards={"r": [0, 0, 5]},
    )
    formats.write(chain, tmp_path / "c.json")
    (tmp_path / "start.txt").write_text("x\ny\nx\n")

    def blocks(*options: str) -> int:
        document = json.loads(run("lump", "c.json", "--json", *options).stdout)
        number: int = document["lumping"]["blocks"]
        return number

    assert blocks() == 3
    assert blocks("--respect", "a,reward:r") == 3
    assert blocks("--respect", "label:a") == 2
    assert blocks("--ignore", "a,b") == 2
    assert blocks("--ignore", "label:a", "--ignore", "r") == 2
    assert blocks("--respect", "labels", "--ignore", "a") == 2
    assert blocks("--respect", "") == 1
    assert blocks("--respect", "", "--initial", "start.txt") == 2
    assert blocks("--respect", "", "--kind", "bisimulation") == 1


def test_the_trivial_answer_comes_with_a_warning_in_both_forms(run: Run, tmp_path: Path) -> None:
    formats.write(CTMC([[0, 1], [2, 0]]), tmp_path / "c.json")
    result = run("lump", "c.json", "-o", "o.json")
    assert result.exit_code == 0
    assert re.fullmatch(r"Warning: nothing .*one block.*\n", result.stderr)
    document = _document(run("lump", "c.json", "-o", "o.json", "--json"))
    assert len(document["warnings"]) == 1  # type: ignore[arg-type]


def test_how_floats_were_read_is_said_openly(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.drn").write_text(
        "@type: DTMC\n@parameters\n\n@reward_models\n\n@nr_states\n2\n@nr_choices\n2\n@model\n"
        "state 0 init\n\taction 0\n\t\t0 : 0.95\n\t\t1 : 0.050000000000000044\n"
        "state 1\n\taction 0\n\t\t0 : 1\n"
    )
    result = run("lump", "c.drn", "--respect", "initial")
    assert result.exit_code == 0
    assert "1 as a neighbour; largest relative change 8.9e-16" in result.stdout
    literal = run("lump", "c.drn", "--tolerance", "0")
    _one_sentence(literal, "c.drn", "sums to", "normalize")
    assert "rescaled" in run("info", "c.drn", "--tolerance", "0", "--normalize").stdout


def test_labels_that_were_not_respected_and_are_mixed_are_named(run: Run, machines: Path) -> None:
    result = run("lump", "machines.json", "--respect", "")
    assert "dropped" in result.stdout
    assert "label:operational: not constant on blocks" in result.stdout


# check


def test_check_says_no_with_exit_code_1_and_two_states_with_two_exact_sums(
    run: Run, machines: Path, tmp_path: Path
) -> None:
    by_first = {state: state[0] for state in machine_repair(3).states}
    (tmp_path / "p.json").write_text(json.dumps(by_first))
    result = run("check", "machines.json", "p.json")
    assert result.exit_code == 1
    assert result.stderr == ""
    assert "states 'duu' and 'ddd' share a block" in result.stdout
    assert "sum to 1 and to 2/3" in result.stdout
    verdict = _document(run("check", "machines.json", "p.json", "--json"))["verdict"]
    assert isinstance(verdict, dict)
    assert verdict["lumpable"] is False
    assert verdict["witness"]["states"] == ["duu", "ddd"]
    assert verdict["witness"]["sums"] == ["1", "2/3"]
    assert verdict["mixed"] == ["label:operational"]


def test_check_says_yes_with_exit_code_0_and_the_identity(
    run: Run, machines: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("".join(f"{s.count('d')}\n" for s in machine_repair(3).states))
    result = run("check", "machines.json", "p.txt")
    assert result.exit_code == 0
    assert "Q V = V Q^ holds exactly" in result.stdout


@pytest.mark.parametrize("suffix", ["p.json", "p.txt", "p.json.gz"])
@pytest.mark.parametrize(
    "states",
    [
        States(4),
        States(4, ["a", "b", "ü", "0"]),
        States(4, [(0, 1), (1, 0), (1, 1), (0, 0)]),
        States(4, [1, "1", 2, 3]),
    ],
    ids=["numbers", "texts", "tuples", "ambiguous"],
)
def test_a_partition_read_back_is_the_partition_written(
    tmp_path: Path, suffix: str, states: States
) -> None:
    partition = Partition([0, 1, 0, 2])
    write_partition(partition, tmp_path / suffix, states)
    assert read_partition(tmp_path / suffix, states) == partition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[0, 2], [1]]", [0, 1, 0]),
        ('[["0", "2"], ["1"]]', [0, 1, 0]),
        ('{"0": "x", "1": "y", "2": "x"}', [0, 1, 0]),
        ('["x", "y", "x"]', [0, 1, 0]),
        ("[7, 3, 7]", [0, 1, 0]),
    ],
)
def test_every_form_of_a_partition_is_read(tmp_path: Path, text: str, expected: list[int]) -> None:
    (tmp_path / "p.json").write_text(text)
    assert read_partition(tmp_path / "p.json", States(3)) == Partition(expected)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", "[[0], [1]]", "state 2 is in no block"),
        ("p.json", "[[0, 2], [1, 2]]", "state 2 is in two blocks"),
        ("p.json", "[[0, 2, 2], [1]]", "state 2 is listed twice"),
        ("p.json", "[[0, 2], [1, 3]]", "there is no state 3"),
        ("p.json", "[[0, -1], [1]]", "there is no state -1"),
        ("p.json", "[[0, 2], [1.0]]", "holds the number 1.0"),
        ("p.json", "[[0, 2], 1]", "holds 1, which is no list"),
        ("p.json", '{"0": 1, "1": 1}', "state 2 is in no block"),
        ("p.json", '{"0": 1, "1": 1, "2": 1, "0": 2}', "the key '0' twice"),
        ("p.json", '{"0": 1, "1": 1, "2": [1]}', "[1] is no block label"),
        ("p.json", '{"0": 1, "1": 1, "9999999999999999999999": 1}', "there is no state"),
        ("p.json", "[0, 1]", "2 labels for 3 states"),
        ("p.json", "[0, 1, null]", "None is no block label"),
        ("p.json", "3", "a list or a mapping"),
        ("p.json", "[0, 1,", "line 1: is not JSON"),
        ("p.json", "[" * 100_000, "nests brackets too deeply"),
        ("p.json", "", "is not JSON"),
        ("p.json", "[" + "1" * 5000 + "]", "too many digits"),
        ("p.txt", "a\nb\n", "2 labels for 3 states"),
        ("p.txt", "a\n\nb\n", "line 2: an empty line"),
        ("p.txt", "[[0, 2], [1]]", "needs the suffix .json"),
    ],
)
def test_a_partition_that_is_none_is_refused_with_the_reason(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(FormatError, match=re.escape(message)) as caught:
        read_partition(tmp_path / name, States(3))
    assert name in str(caught.value)


def test_a_partition_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_bytes(b"\xff\xfe\n")
    with pytest.raises(FormatError, match="UTF-8"):
        read_partition(tmp_path / "p.txt", States(1))


# info, convert, demo


def test_info_describes_the_model(run: Run, machines: Path) -> None:
    result = run("info", "machines.json")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "CTMC"
    assert "operational (4 states)" in result.stdout
    model = _document(run("info", "machines.json", "--json"))["model"]
    assert isinstance(model, dict)
    assert (model["class"], model["states"], model["transitions"]) == ("CTMC", 8, 24)
    assert model["labels"] == {"operational": 4}


@pytest.mark.parametrize("suffix", [".json", ".npz", ".drn", ".drn.gz"])
def test_convert_keeps_the_chain(run: Run, machines: Path, suffix: str) -> None:
    assert run("convert", "machines.json", f"c{suffix}").exit_code == 0
    assert run("convert", f"c{suffix}", "back.json", "--json").exit_code == 0
    original, back = formats.read(machines), formats.read("back.json")
    assert back.matrix.equals(original.matrix)
    assert back.labels.keys() == original.labels.keys()


@pytest.mark.parametrize("machines", [2, 7])
def test_demo_finds_that_only_the_number_of_machines_down_matters(run: Run, machines: int) -> None:
    chain = machine_repair(machines, repairers=2)
    by_weight = Partition.of(lambda state: state.count("d"), states=chain.states)
    assert lump(chain).partition == by_weight
    assert check(chain, by_weight)
    result = run("demo", "--machines", str(machines), "--json")
    document = _document(result)
    assert document["lumping"]["blocks"] == machines + 1  # type: ignore[index]
    verdict = document["verdict"]
    assert isinstance(verdict, dict)
    assert verdict["lumpable"] is (machines <= 2)


def test_the_python_lines_that_demo_prints_do_the_same(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run("demo", "--machines", "5")
    assert result.exit_code == 0
    assert "32 -> 6" in result.stdout
    lines = result.stdout.split("the same in Python\n")[1]
    exec("\n".join(line.strip() for line in lines.splitlines()), {})
    assert "32 states -> 6 blocks" in capsys.readouterr().out


# bad input


@pytest.mark.parametrize(
    "arguments",
    [
        ["lump", "absent.drn"],
        ["lump", "absent.npz"],
        ["check", "absent.json", "p.json"],
        ["check", "machines.json", "absent.json"],
        ["lump", "machines.json", "--initial", "absent.txt"],
        ["info", "absent.tra"],
        ["convert", "absent.tra", "x.drn"],
    ],
)
def test_a_missing_file_is_named(run: Run, machines: Path, arguments: list[str]) -> None:
    _one_sentence(run(*arguments), "absent.", "No such file")


@pytest.mark.parametrize("name", ["c.drn", "c.json", "c.npz", "c.drn.gz", "c.tra", "c.umb"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01garbage", b"@type: CTMC\nstate 0\n", b"{"])
def test_a_file_that_is_no_model_is_refused_without_a_traceback(
    run: Run, tmp_path: Path, name: str, content: bytes
) -> None:
    if name.endswith(".umb"):
        pytest.importorskip("umbi")
    (tmp_path / name).write_bytes(content)
    _one_sentence(run("lump", name), name)


def test_an_unknown_suffix_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.xyz").write_text("")
    _one_sentence(run("lump", "c.xyz"), "c.xyz")


def test_an_unknown_name_is_refused_with_the_names_there_are(run: Run, machines: Path) -> None:
    _one_sentence(run("lump", "machines.json", "--respect", "up"), "'up'", "label:operational")
    _one_sentence(run("lump", "machines.json", "--ignore", "up"), "'up'", "label:operational")


@pytest.mark.parametrize(
    "arguments",
    [
        ["lump"],
        ["lump", "machines.json", "--kind", "strong"],
        ["lump", "machines.json", "--engine", "gpu"],
        ["lump", "machines.json", "--tolerance", "-1"],
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
    _one_sentence(run("lump", "machines.json", option, "no/such/folder.json"), "no/such/folder")
    (tmp_path / "folder.json").mkdir()
    _one_sentence(run("lump", "machines.json", option, "folder.json"), "folder.json")


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


# bugs, warnings, interruptions


def test_a_bug_is_one_line_and_a_traceback_only_with_debug(
    run: Run, machines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("list index\nout of range")

    monkeypatch.setattr(lumpability.cli.lump, "lump", broken)
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

    monkeypatch.setattr(lumpability.cli.lump, "lump", fail)
    result = run("lump", "machines.json", "-o", "out.drn")
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.splitlines()) == (0 if code == 141 else 1)
    assert not Path("out.drn").exists()


def test_warnings_of_the_library_are_single_lines_on_stderr(
    run: Run, machines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warns(*_: object, **__: object) -> object:
        warnings.warn("a warning\nof two lines", UserWarning, stacklevel=1)
        return lump(machine_repair(2))

    monkeypatch.setattr(lumpability.cli.lump, "lump", warns)
    result = run("lump", "machines.json", "-o", "out.json")
    assert (result.exit_code, result.stderr) == (0, "Warning: a warning\\nof two lines\n")


def test_a_subprocess_separates_stdout_and_stderr(
    subprocess_run: Callable[..., subprocess.CompletedProcess[str]], machines: Path
) -> None:
    done = subprocess_run("lump", "machines.json", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["lumping"]["blocks"] == 4
    done = subprocess_run("lump", "absent.drn")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    done = subprocess_run("--version")
    assert (done.returncode, done.stdout) == (0, f"lumpability, version {__version__}\n")


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['lumpability', 'lump', '--help']\n"
        "from lumpability.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'sympy', 'numba', 'rich', 'stormpy', 'umbi', 'networkx', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == "[]\n"


def test_a_reader_that_goes_away_ends_the_run_quietly(machines: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lumpability", "info", str(machines)],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 141


def test_interrupting_shows_one_line_and_leaves_no_partial_file(tmp_path: Path) -> None:
    # A path of 3,000 states takes the reference engine, which works by definition, minutes.
    n = 3000
    path = CTMC.from_rates([(i, i + 1, 1) for i in range(n - 1)], labels={"end": [n - 1]})
    formats.write(path, tmp_path / "path.json")
    (tmp_path / "out.drn").write_text("old")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "lumpability", "lump", "path.json"),
            *("--engine", "reference", "-o", "out.drn"),
        ],
        cwd=tmp_path,
        env={**_environment(), "TERM": "xterm", "COLUMNS": "80"},
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


# real chains


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("embedded8.drn.gz", 1900), ("embedded8.npz", 1900), ("herman11.npz", 63)],
)
def test_lump_of_a_real_chain_writes_the_quotient_that_model_checkers_find(
    run: Run, shared_file: Callable[[str], Path], name: str, blocks: int
) -> None:
    model = shared_file(f"chains/{name}")
    options = ["--respect", "labels", "--kind", "bisimulation", "-o", "small.drn", "--json"]
    result = run("lump", str(model), *options)
    assert result.exit_code == 0
    assert _document(result)["lumping"]["blocks"] == blocks  # type: ignore[index]
    again = _document(run("lump", "small.drn", *options[:4], "--json"))
    assert again["lumping"]["blocks"] == blocks  # type: ignore[index]
