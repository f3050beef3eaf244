"""README and the pages of docs/ tell the truth: their examples run and print what they show.

Three sorts of examples: Python sessions in ```python blocks, the cells of the tutorials, and sessions of a
shell in ```console blocks.  Sphinx executes the cells as well; here they run without Jupyter.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import lumpability
from lumpability import CTMC, Network, formats
from lumpability.cli import cli
from lumpability.markov.examples import machine_repair
from lumpability.teaching.exercises import exercise, model_answer, read_task, sheet

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in [CHECKOUT / "README.md", *CHECKOUT.glob("docs/**/*.md")]
    if path.is_file() and "_build" not in path.parts
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NEEDS = {
    "docs/tutorials/4-prism.md": ["stormpy"],
    "docs/tutorials/6-onnx.md": ["onnx", "onnxruntime"],
    "docs/tutorials/10-graphs.md": ["onnx", "onnxruntime"],
    "docs/tutorials/11-measured.md": ["matplotlib"],
    "docs/tutorials/12-tables.md": ["duckdb", "pyarrow"],
}
SECONDS = re.compile(r"\d+\.\d\d s")


def blocks(text):
    """Yield (language, content) of the fenced blocks of a page, and with the content its first line number."""
    fence, language, content, start = None, "", [], 0
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(`{3,}|~{3,})\s*(.*)", line)
        if fence is None and mark:
            fence, language, content, start = mark[1], mark[2].strip(), [], number
        elif fence is not None and mark and mark[1] == fence and not mark[2]:
            yield language, "\n".join(content) + "\n", start
            fence = None
        elif fence is not None:
            content.append(line)


def python_only(text):
    """Blank out everything but the lines of ```python blocks, so that line numbers stay."""
    kept = [""] * len(text.splitlines())
    for language, content, start in blocks(text):
        if language == "python":
            lines = content.splitlines()
            kept[start : start + len(lines)] = lines
    return "\n".join(kept) + "\n"


def read(page):
    return (CHECKOUT / page).read_text(encoding="utf-8")


def cells(page):
    """Return the cells of a tutorial, each with its tags."""
    found = []
    for language, content, _ in blocks(read(page)):
        if language.startswith("{code-cell}"):
            tags = re.match(r":tags: \[(.*)\]\n", content)
            code = content[tags.end() :] if tags else content
            found.append((code, tags[1] if tags else ""))
    return found


def sessions(page):
    """Return the ```console blocks that show output: lists of (command, output)."""
    for language, content, start in blocks(read(page)):
        steps = []
        for line in content.splitlines():
            if line.startswith("$ "):
                steps.append([line[2:], []])
            elif steps:
                steps[-1][1].append(line)
        if language == "console" and any(output for _, output in steps):
            yield start, [(command, "\n".join(output)) for command, output in steps]


def scripts(page):
    """Return the ```sh blocks that use the command line; .ci/run executes those that install."""
    for language, content, start in blocks(read(page)):
        if language == "sh" and "lumpability " in content and "venv" not in content:
            yield start, content


SCRIPTS = [(page, start, text) for page in PAGES for start, text in scripts(page)]
TUTORIALS = [
    page
    for page in PAGES
    if any("{code-cell}" in language for language, _, _ in blocks(read(page)))
]
SESSIONS = [(page, start, steps) for page in PAGES for start, steps in sessions(page)]


def test_only_python_blocks_are_taken_and_keep_their_lines():
    text = "text\n```python\n>>> 1 + 1\n2\n```\n```sh\nrm x\n```\n\n```python\n>>> 3\n3\n```\n"
    assert python_only(text) == "\n\n>>> 1 + 1\n2\n\n\n\n\n\n\n>>> 3\n3\n\n"


def test_the_documents_are_here(checkout):
    assert "README.md" in PAGES
    assert "docs/index.md" in PAGES
    assert len(TUTORIALS) == 12


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_sort_that_is_tested_or_no_code(page):
    """A language that nobody executes would be a hole in these tests."""
    known = {"python", "console", "sh", "json", "text", "latex", "html", "coq", ""}
    for language, content, start in blocks(read(page)):
        if language.startswith("{"):
            assert "code-block" not in language, f"line {start}: use ```python with a prompt"
            continue
        assert language in known, f"line {start}: nobody executes {language}"
        if language == "python":
            assert content.startswith(">>> "), f"line {start}: an example begins without a prompt"


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_print_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = python_only(read(page))
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, page, page, 0)
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failed, _ = runner.run(test, out=report.append)
    assert not failed, "".join(report)


@pytest.mark.slow  # sphinx runs them as well
@pytest.mark.parametrize("page", TUTORIALS)
def test_the_cells_of_a_tutorial_run_in_order(page, tmp_path, monkeypatch):
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(lumpability.__file__).parent.parent))
    names = {"__name__": "__main__"}
    for code, tags in cells(page):
        compiled = compile(code, page, "exec")
        if "raises-exception" in tags:
            with pytest.raises((lumpability.LumpabilityError, AssertionError)):
                exec(compiled, names)
        else:
            exec(compiled, names)


def rows_of(text):
    """Return the rows of the tables of a page that begin with a name and a size, by name."""
    cells = (re.split(r"\s*\|\s*", line.strip("| \n")) for line in text.splitlines() if "|" in line)
    return {row[0]: row for row in cells if len(row) > 5 and row[1].replace(",", "").isdigit()}


@pytest.mark.usefixtures("checkout")
def test_the_benchmarks_of_readme_are_those_that_were_measured_last():
    first, _ = read("docs/guides/performance-table.txt").split("\n- Storm double / ours:")
    measured = rows_of(first)
    ours, storm, ratio = 4, 6, 10  # columns there
    shown = rows_of(read("README.md"))
    assert shown
    for name, row in shown.items():
        found = measured[name]
        expected = [*found[:4], found[storm], found[ours], found[ratio]]
        assert row == expected, "copy the line from docs/guides/performance-table.txt"


@pytest.mark.usefixtures("checkout")
def test_what_is_said_of_sorts_of_models_is_what_was_measured():
    """The lines below the table give the extremes of its rows; the text of the page gives no ratios of its own."""
    text = read("docs/guides/performance-table.txt")
    first, rest = text.split("\n- Storm double / ours:")
    measured = [row for row in rows_of(first).values() if int(row[2].replace(",", "")) >= 100_000]
    lines = re.findall(r"- Storm double / ours where .* \((.*)\): ([\d.]+) to ([\d.]+)", rest)
    assert len(lines) == 4
    for names, least, most in lines:
        ratios = [row[10] for row in measured if row[0].startswith(tuple(names.split(", ")))]
        assert [least, most] == [min(ratios, key=float), max(ratios, key=float)]
    page = read("docs/guides/performance.md")
    section = page[page.index("How to read it") : page.index("## How it grows")]
    assert not re.search(r"\d\.\d|\d times| to \d", section)


@pytest.mark.parametrize("name", ["overview", "network"])
def test_the_pictures_of_readme_are_those_that_the_library_draws(name, checkout):
    drawn = runpy.run_path(str(checkout / "docs/pictures.py"))["PICTURES"][name]().svg

    def told(svg):
        return re.findall(r"<(title|desc|text)\b[^>]*>(.*?)</", svg)

    kept = read(f"docs/_static/{name}.svg")
    assert sorted(told(kept)) == sorted(told(drawn)), "run: python docs/pictures.py"


LONGEST_LINE = 120


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_prose_are_wrapped(page):
    """Tables, formulas, links on a line of their own and what lies in a fence may be longer."""
    inside = False
    for number, line in enumerate(read(page).splitlines(), 1):
        inside ^= line.lstrip().startswith("```")
        exempt = inside or re.match(r"\s*(\||!\[|<!--|\$\$|    )", line) or "\\begin{" in line
        assert exempt or len(line) <= LONGEST_LINE, f"line {number} has {len(line)} characters"


def test_the_picture_of_the_house_is_that_of_the_code(checkout):
    drawn = runpy.run_path(str(checkout / "docs/house.py"))["draw"]()
    assert read("docs/_static/house.svg") == drawn, "run: python docs/house.py"


@pytest.mark.usefixtures("checkout")
def test_relative_links_of_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", read("README.md")):
        assert (CHECKOUT / target).is_file(), target


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A folder with the files that the pages speak of, and `lumpability` on the path."""
    monkeypatch.chdir(tmp_path)
    chain = machine_repair(3)
    formats.write(chain, "machines.drn")
    Path("by-first-machine.json").write_text(json.dumps({s: s[0] for s in chain.states}))
    first = np.array([[1.0, 2.0, 3.0]])
    net = Network.dense([(first, [1, 1, 0], "relu"), (np.ones((3, 1)), [0], None)], dtype="float32")
    formats.write(net, "net.nnet")
    Path("twins.json").write_text('[["0:0", "0:1"], ["0:2"], ["2:0"]]\n')
    page = read("docs/guides/exercises.md")
    (answer,) = [text for language, text, _ in blocks(page) if language == "json"]
    Path("answer.json").write_text(answer)
    rates = {("both", "left"): "1/10", ("both", "right"): "1/10", ("left", "both"): 2}
    labels = {"running": ["both", "left", "right"]}
    chain = CTMC.from_rates(rates | {("right", "both"): 2}, initial="both", labels=labels)
    formats.write(chain, "chain.drn")
    command = tmp_path / "bin" / "lumpability"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lumpability "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(lumpability.__file__).resolve().parent.parent),
    }

    def step(line, status=0):
        """Run a line; a command of this library alone on its line runs inside this process, which is faster."""
        name, *arguments = shlex.split(line, comments=True) or [""]
        if name == "lumpability" and not re.search(r"[|<>;&$*]", line.partition("#")[0]):
            done = CliRunner().invoke(cli, arguments, prog_name=name)
            return done.stdout, done.exit_code
        done = subprocess.run(
            ["bash", "-c", f"(exit {status})\n{line}"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout, done.returncode

    Path("sheet.md").write_text(sheet(exercise(seed=7)))  # a page shows the command that makes it
    Path("answers").mkdir()
    right = model_answer(read_task("sheet.md"))
    Path("answers/ada.json").write_text(json.dumps(right))
    return step


@pytest.mark.parametrize(
    ("page", "start", "script"), SCRIPTS, ids=[f"{page}:{start}" for page, start, _ in SCRIPTS]
)
def test_the_scripts_of_a_page_run(page, start, script, shell):
    alone = not re.search(r"^\s", script, re.MULTILINE)  # a loop goes to the shell as a whole
    for command in script.splitlines() if alone else [f"set -e\n{script}"]:
        output, status = shell(command)
        assert status == 0, f"{page}, line {start}: $ {command}\n{output}"


@pytest.mark.parametrize(
    ("page", "start", "steps"), SESSIONS, ids=[f"{page}:{start}" for page, start, _ in SESSIONS]
)
def test_a_session_of_the_shell_prints_what_the_page_shows(page, start, steps, shell, request):
    commands = [command for command, _ in steps]
    for name in re.findall(r"tllBench\S+", " ".join(commands)):
        found = request.getfixturevalue("shared_file")(f"networks/tll/{name}")
        pytest.importorskip("onnxruntime")
        Path(name).symlink_to(found)
    status = 0
    for command, expected in steps:
        got, status = shell(command, status)
        wanted, found = (SECONDS.sub("0.00 s", text).strip() for text in (expected, got))
        # Lines of dots stand for lines left out.
        same = doctest.OutputChecker().check_output(f"{wanted}\n", f"{found}\n", FLAGS)
        assert same, f"{page}, line {start}: $ {command}\n{got}"
