"""Mutation testing: change one token of a source file, run the tests that should notice.

    pip install cosmic-ray
    python tests/benchmarks/mutants.py refinement/worklist.py quotient.py --sample 60 --seed 7

Cosmic Ray says what can be changed and changes it.  Starting an interpreter for every mutant would cost
more than the tests do, so each is tried in a fork of a process that has numpy and the others loaded, on
a copy of the checkout, compilation switched off.  Changes inside annotations are left out: nothing runs
them.  One line of JSON is appended to `--results` for every mutant; those that are there already are not
tried again.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINES = ["tests/refinement/test_engines.py"]
LAWS = ["tests/laws/test_refining_laws.py"]
KERNEL = [
    f"tests/refinement/kernel/test_kernel{part}.py"
    for part in ("_parts", "_settle", "_follow", "_sweep", "_quotient", "_paths", "")
]
HISTORIES = ["tests/refinement/test_histories.py"]
SHARES = ["tests/refinement/test_proportional_worklist.py"]
CERTIFICATES = [
    f"tests/certificate/test_{name}.py"
    for name in (
        *("checker", "soundness", "respected", "replay", "chain_file"),
        *("json_stream", "chain_digest", "certificates"),
        *("bad_certificates", "round_trip", "attacks"),
    )
]
TESTS = {
    "refinement/histories.py": [*SHARES, *HISTORIES],
    "refinement/exact_rounds.py": [
        "tests/refinement/test_exact_rounds.py",
        "tests/markov/test_explanation.py",
    ],
    "refinement/refinable.py": [*SHARES, *HISTORIES, *ENGINES],
    "refinement/choose.py": ["tests/refinement/test_choose.py", *ENGINES],
    "refinement/fingerprint_rounds.py": [
        "tests/refinement/test_fingerprint_rounds.py",
        *SHARES,
        *ENGINES,
    ],
    "refinement/proportional_worklist.py": [*SHARES, *HISTORIES],
    "refinement/stability.py": [
        "tests/refinement/test_stability.py",
        "tests/test_quotient.py",
        *ENGINES,
    ],
    "refinement/witness.py": ["tests/test_quotient.py"],
    "refinement/worklist.py": [*HISTORIES, *ENGINES],
    "refinement/kernel/compiling.py": ["tests/refinement/kernel/test_kernel_compiling.py"],
    "refinement/kernel/history.py": HISTORIES,
    "refinement/kernel": ["tests/refinement/kernel/test_kernel_costs.py", *KERNEL],
    "refinement": ["tests/test_quotient.py", *ENGINES, *LAWS],
    "quotient.py": ["tests/test_quotient.py", "tests/markov/test_lumping.py"],
    "certificate/export": [
        f"tests/certificate/export/test_{name}.py"
        for name in ("statement", "chain_statements", "coq")
    ],
    "certificate": CERTIFICATES,
    "networks/merging.py": [
        "tests/networks/test_merging.py",
        "tests/networks/test_antiparallel.py",
    ],
}
"""The tests of a file, or of all whose name begins so, quick ones first."""

LEFT_OUT = (
    "not real_chain and not a_line_ and not takes_no_quadratic and not published"
    " and not number_of_threads and not large_blocks and not progress_reports and not bombs"
)
"""Tests of the compiled loops on structures too large for them when interpreted, and other slow ones."""


def tests_of(file: str) -> list[str]:
    prefix = max((name for name in TESTS if file.startswith(name)), key=len)
    return [f"lumpability/{file}", *TESTS[prefix]]


def mutants(source: str) -> list[tuple[str, int, int]]:
    """All mutants of a source: the operator, which of its occurrences, the line."""
    unexecuted = list(annotations(source))
    tree = get_ast(source)
    found = []
    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if kind.arguments():
            continue
        places = (start for node in ast_nodes(tree) for start, _ in kind().mutation_positions(node))
        found += [
            (name, occurrence, start[0])
            for occurrence, start in enumerate(places)
            if not any(low <= start < high for low, high in unexecuted)
        ]
    return found


def annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end."""
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            note = getattr(node, name, None)
            if note is not None:
                yield (note.lineno, note.col_offset), (note.end_lineno, note.end_col_offset)


def attempt(tests: list[str], *, seconds: int, log: Path) -> str:
    """Run the tests in a fork; seconds are of processor time, as the machine may be busy."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        with log.open("w") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        import pytest

        options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", LEFT_OUT]
        for warning in ("overflow encountered:RuntimeWarning", "Module already imported"):
            options += ["-W", f"ignore:{warning}"]
        os._exit(pytest.main([*options, *tests]))
    deadline = time.monotonic() + 20 * seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return "timeout" if os.WTERMSIG(status) == signal.SIGXCPU else "killed"
            return {0: "survived", 5: "no tests"}.get(os.WEXITSTATUS(status), "killed")
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def earlier(file: str, results: Path) -> dict[tuple[str, int], str]:
    """What became of the mutants that were tried before; the last time counts."""
    if not results.exists():
        return {}
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    return {
        (line["operator"], line["occurrence"]): line["outcome"]
        for line in lines
        if line["file"] == file
    }


@cache
def time_of(tests: tuple[str, ...], log: Path) -> float | None:
    """How many seconds the tests take when nothing is changed; None if they fail.

    Also writes their bytecode; that of mutants is never kept.
    """
    sys.dont_write_bytecode = False
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    if attempt(list(tests), seconds=600, log=log) != "survived":
        return None
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def try_file(file: str, arguments: argparse.Namespace, results: Path) -> None:
    path = Path("lumpability") / file
    source, times = path.read_text(encoding="utf-8"), path.stat()
    everything = mutants(source)
    chosen = everything.copy()  # a larger sample holds the smaller ones
    random.Random(f"{arguments.seed} {file}").shuffle(chosen)
    del chosen[arguments.sample :]
    outcomes = earlier(file, results)
    if arguments.again:
        chosen = [one for one in chosen if outcomes.get(one[:2]) == "survived"]
    else:
        chosen = [one for one in chosen if one[:2] not in outcomes]
    if not chosen:
        return
    log = results.with_suffix(".log")
    tests = tests_of(file)
    usual = time_of(tuple(tests[1:]), log)
    if usual is None:
        print(f"{file}: the tests fail as it is, see {log}", flush=True)
        return
    sys.dont_write_bytecode = True
    print(
        f"{file}: {len(chosen)} of {len(everything)} mutants, tests take {usual:.1f} s", flush=True
    )
    for name, occurrence, line in sorted(chosen, key=lambda mutant: mutant[2]):
        changed = mutate_code(source, plugins.get_operator(name)(), occurrence)
        path.write_text(changed, encoding="utf-8")
        outcome = attempt(tests, seconds=int(4 + 1.5 * usual), log=log)
        path.write_text(source, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm="")
        diff = "\n".join(list(lines)[3:])
        if outcome == "survived":
            print(f"{file}:{line} survives:\n{diff}", flush=True)
        with results.open("a", encoding="utf-8") as stream:
            record = {"file": file, "operator": name, "occurrence": occurrence, "line": line}
            record |= {"outcome": outcome, "of": len(everything), "diff": diff}
            stream.write(json.dumps(record) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="relative to the package")
    parser.add_argument("--sample", type=int, default=10**9, help="how many mutants of each file")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--again", action="store_true", help="try those that survived again")
    parser.add_argument("--results", type=Path, default=Path("mutants.jsonl"))
    arguments = parser.parse_args()
    results = arguments.results.resolve()
    os.environ |= {"NUMBA_DISABLE_JIT": "1", "LUMPABILITY_PROFILE": "ci", "OMP_NUM_THREADS": "1"}
    # Our plugin would load what is to be changed before the forks.
    os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"
    os.environ.setdefault("LUMPABILITY_SHARED", str(CHECKOUT.parent / "shared"))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        copy.mkdir()
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("lumpability", "tests"):
            shutil.copytree(CHECKOUT / name, copy / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy2(CHECKOUT / name, copy / name)
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        sys.dont_write_bytecode = False
        os.environ["PYTHONPATH"] = str(copy)
        for module in ("pytest", "hypothesis.stateful", "numba", "scipy.sparse", "sympy"):
            __import__(module)
        for file in arguments.files:
            try_file(file, arguments, results)


if __name__ == "__main__":
    main()
