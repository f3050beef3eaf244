"""What the commands do and print: lump, check, info, convert, demo."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumpability import CTMC, Partition, __version__, check, formats, lump
from lumpability.cli.partition_file import read_partition
from lumpability.markov.examples import machine_repair

Run = Callable[..., Any]


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
    document = result.document
    assert list(document) == [
        *("lumpability", "command", "path", "model", "lumping", "written", "seconds", "warnings")
    ]
    assert document["lumpability"] == __version__
    assert document["written"] == {
        "quotient": "small.json",
        "partition": "p.json",
        "html": None,
        "certificate": None,
        "interval": None,
        "report": None,
    }
    lumping = document["lumping"]
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
    assert blocks("--respect", "", "--within", "start.txt") == 2
    assert blocks("--respect", "", "--kind", "bisimulation") == 1


def test_the_trivial_answer_comes_with_a_warning_in_both_forms(run: Run, tmp_path: Path) -> None:
    formats.write(CTMC([[0, 1], [2, 0]]), tmp_path / "c.json")
    result = run("lump", "c.json", "-o", "o.json")
    assert result.exit_code == 0
    assert re.fullmatch(
        r"Warning: all states fall into one block.*--within FILE.*\n", result.stderr
    )
    document = run("lump", "c.json", "-o", "o.json", "--json").document
    assert len(document["warnings"]) == 1


def test_how_floats_were_read_is_said_openly(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.drn").write_text(
        "@type: DTMC\n@parameters\n\n@reward_models\n\n@nr_states\n2\n@nr_choices\n2\n@model\n"
        "state 0 init\n\taction 0\n\t\t0 : 0.95\n\t\t1 : 0.050000000000000044\n"
        "state 1\n\taction 0\n\t\t0 : 1\n"
    )
    result = run("lump", "c.drn", "--respect", "initial")
    assert result.exit_code == 0
    assert "1 as a neighbour; largest relative change 8.9e-16" in result.stdout
    literal = run("lump", "c.drn", "--float-tolerance", "0")
    literal.assert_refused("c.drn", "sums to", "normalize")
    assert "rescaled" in run("info", "c.drn", "--float-tolerance", "0", "--normalize").stdout


def test_labels_that_were_not_respected_and_are_mixed_are_named(run: Run, machines: Path) -> None:
    result = run("lump", "machines.json", "--respect", "")
    assert "dropped" in result.stdout
    assert "label:operational: not constant on blocks" in result.stdout


def test_check_says_no_with_exit_code_1_and_two_states_with_two_exact_sums(
    run: Run, machines: Path, tmp_path: Path
) -> None:
    by_first = {state: state[0] for state in machine_repair(3).states}
    (tmp_path / "p.json").write_text(json.dumps(by_first))
    result = run("check", "machines.json", "p.json")
    assert result.exit_code == 1
    assert re.fullmatch(
        r"Hint: .*: lumpability lump machines.json --within p.json\n", result.stderr
    )
    assert "states 'duu' and 'ddd' share a block" in result.stdout
    assert "sum to 1 and to 2/3" in result.stdout
    verdict = run("check", "machines.json", "p.json", "--json").document["verdict"]
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


def test_a_kind_with_another_sort_of_witness_is_reported_too(
    run: Run, machines: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("".join(f"{s[0]}\n" for s in machine_repair(3).states))
    result = run("check", "machines.json", "p.txt", "--kind", "weak")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "follows with probability" in result.stdout
    verdict = run("check", "machines.json", "p.txt", "--kind", "weak", "--json").document["verdict"]
    assert "after block 1 alone" in verdict["witness"]["text"]
    run("lump", "machines.json", "--kind", "weak").assert_refused("no coarsest")


def test_info_describes_the_model(run: Run, machines: Path) -> None:
    result = run("info", "machines.json")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "CTMC"
    assert "operational (4 states)" in result.stdout
    model = run("info", "machines.json", "--json").document["model"]
    assert (model["class"], model["states"], model["transitions"]) == ("CTMC", 8, 24)
    assert model["labels"] == {"operational": 4}


@pytest.mark.parametrize("suffix", [".json", ".npz", ".drn", ".drn.gz"])
def test_convert_keeps_the_chain(run: Run, machines: Path, suffix: str) -> None:
    assert run("convert", "machines.json", f"c{suffix}").exit_code == 0
    assert run("convert", f"c{suffix}", "back.json", "--json").exit_code == 0
    original, back = formats.read(machines), formats.read("back.json")
    assert back.matrix.equals(original.matrix)
    assert back.labels.keys() == original.labels.keys()


def test_options_of_a_format_are_passed_on_or_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.tra").write_text("2 2\n0 1 1\n1 0 1\n")
    for kind in ("ctmc", "dtmc"):
        model = run("info", "c.tra", "--type", kind, "--json").document["model"]
        assert model["class"] == kind.upper()
    run("info", "c.tra", "--constants", "N=3").assert_refused("c.tra", "'constants'")
    formats.write(CTMC([[0, "1/3"], [1, 0]]), tmp_path / "c.json")
    assert run("convert", "c.json", "exact.drn").exit_code == 0
    assert run("convert", "c.json", "double.drn", "--value-type", "double").exit_code == 0
    assert "1/3" in (tmp_path / "exact.drn").read_text()
    assert "0.3333333333333333" in (tmp_path / "double.drn").read_text()
    assert (
        run("lump", "c.json", "--respect", "", "-o", "one.drn", "--value-type", "double").exit_code
        == 0
    )
    run("convert", "c.json", "c.npz", "--value-type", "double").assert_refused(
        "c.npz", "'value_type'"
    )


@pytest.mark.parametrize("machines", [3, 7])
def test_demo_finds_that_only_the_number_of_machines_down_matters(run: Run, machines: int) -> None:
    chain = machine_repair(machines, repairers=2)
    by_weight = Partition.of(lambda state: state.count("d"), states=chain.states)
    assert lump(chain).partition == by_weight
    assert check(chain, by_weight)
    result = run("demo", "--machines", str(machines), "--json")
    document = result.document
    assert document["lumping"]["blocks"] == machines + 1
    verdict = document["verdict"]
    assert verdict["lumpable"] is False
    before, after = document["network"]["before"], document["network"]["after"]
    assert (before["hidden_neurons"], after["hidden_neurons"]) == (56, 14)


def test_the_python_lines_that_demo_prints_do_the_same(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run("demo", "--machines", "5")
    assert result.exit_code == 0
    assert "32 -> 6" in result.stdout
    lines = result.stdout.split("the same in Python\n")[1]
    exec("\n".join(line.strip() for line in lines.splitlines()), {})
    printed = capsys.readouterr().out
    assert "32 states -> 6 blocks" in printed
    assert "56 -> 14 hidden neurons" in printed


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
    assert result.document["lumping"]["blocks"] == blocks
    again = run("lump", "small.drn", *options[:4], "--json").document
    assert again["lumping"]["blocks"] == blocks


def test_two_outputs_with_one_path_are_refused_before_anything_is_read(run: Run) -> None:
    result = run("lump", "no-such-model.drn", "--certificate", "a.json", "--report", "./a.json")
    assert result.exit_code == 2
    assert "--certificate and --report name the same file" in result.stderr


def test_outputs_appear_together_or_not_at_all(run: Run, machines: Path, tmp_path: Path) -> None:
    assert run("lump", "machines.json", "-o", "small.drn", "--html", "no/page.html").exit_code == 3
    assert list(tmp_path.glob("*small*")) == []


def test_constants_that_are_given_apart_are_put_together(run: Run) -> None:
    pytest.importorskip("stormpy")
    Path("m.sm").write_text(
        "ctmc\nconst int N;\nconst double r;\nmodule m\n x : [0..N];\n [] x<N -> r : (x'=x+1);\nendmodule\n"
    )
    outcome = run("info", "m.sm", "--constants", "N=2", "--constants", "r=1/3", "--json")
    assert outcome.document["model"]["states"] == 3
