"""`lumpability solve`: tables, CSV, JSON and plots of one question."""

from __future__ import annotations

import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lumpability import CTMC, DTMC, formats
from lumpability.cli.solve import read_numbers
from lumpability.errors import InvalidInput
from lumpability.networks.examples import planted

Run = Callable[..., Any]


@pytest.fixture
def line(tmp_path: Path) -> None:
    """A line that fails at rate lam and is repaired at rate mu, as line.json."""
    rates = {("up", "down"): "lam", ("down", "up"): "mu"}
    power = {"power": {"up": 9}}
    chain = CTMC.from_rates(rates, labels={"ok": ["up"]}, rewards=power, initial="up")
    formats.write(chain, tmp_path / "line.json")


def test_a_table_tells_the_numbers_and_how_they_were_found(run: Run, machines: Path) -> None:
    outcome = run("solve", "machines.json", "hitting-time", "--target", "ddd")
    assert outcome.exit_code == 0
    assert "8 -> 4 blocks" in outcome.stdout
    assert "exact" in outcome.stdout


def test_a_sweep_is_written_as_csv_and_as_a_plot(run: Run, line: None) -> None:
    pytest.importorskip("matplotlib")
    common = ("solve", "line.json", "reward", "--reward", "power", "--values", "lam=1/10")
    outcome = run(
        *common, "--sweep", "mu=1:2:0.5", "--csv", "a.csv", "--plot", "a.svg", "--log", "xy"
    )
    assert outcome.exit_code == 0, outcome.stderr
    rows = list(csv.DictReader(Path("a.csv").read_text().splitlines()))
    assert [(row["mu"], row["value"]) for row in rows] == [
        ("1", "8.181818181818182"),
        ("1.5", "8.4375"),
        ("2", "8.571428571428571"),
    ]
    assert [row["exact"] for row in rows] == ["90/11", "135/16", "60/7"]
    assert [float(row["error"]) < 1e-15 for row in rows] == [True, True, True]
    picture = Path("a.svg").read_bytes()
    assert picture.startswith(b"<?xml")
    run(*common, "--sweep", "mu=1:2:0.5", "--plot", "b.svg", "--log", "xy")
    assert Path("b.svg").read_bytes() == picture
    for suffix, start in ((".pdf", b"%PDF"), (".png", b"\x89PNG")):
        assert run(*common, "--sweep", "mu=1:2", "--plot", f"c{suffix}").exit_code == 0
        assert Path(f"c{suffix}").read_bytes().startswith(start)


def test_wrong_usage_is_told_before_anything_is_written(run: Run, line: None) -> None:
    for words, told in (
        (("transient",), "needs --times"),
        (("--times", "1"), "--times is not for stationary"),
        (("transient", "--times", "-1"), "-1 is negative"),
        (("hitting-time", "--target", "up", "--label", "ok"), "--label is for"),
        (("--kind", "exact"), "--kind exact is not for this question"),
        (("transient", "--times", "1"), "needs numbers for lam, mu: give --values or --sweep"),
    ):
        outcome = run("solve", "line.json", *words)
        assert (outcome.exit_code, told in outcome.stderr) == (2, True), outcome.stderr
    assert "--log is for --plot" in run("solve", "line.json", "--log", "x").stderr
    assert "use --sweep" in run("solve", "line.json", "--values", "mu=1:3").stderr
    assert "assigns nothing" in run("solve", "line.json", "--sweep", "mu").stderr
    outcome = run("solve", "line.json", "--csv", "a.csv", "--plot", "a.jpeg")
    outcome.assert_refused("expressions of parameters")
    pytest.importorskip("matplotlib")
    fixed = ("--values", "lam=1,mu=2")
    run("solve", "line.json", *fixed, "--csv", "a.csv", "--plot", "a.jpeg").assert_refused(".svg")
    assert not Path("a.csv").exists()


def test_a_start_gives_the_one_number_until_a_target(run: Run, line: None) -> None:
    common = ("solve", "line.json", "hitting-time", "--target", "down", "--values", "lam=1/4,mu=1")
    rows = run(*common, "--initial", "ok", "--json").document["rows"]
    assert [(row["name"], row["value"]) for row in rows] == [("start", "4")]
    assert run(*common, "--initial", "down", "--json").document["rows"][0]["value"] == "0"
    assert "leave out one" in run(*common, "--initial", "up", "--states").stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("hitting-time", "--target", "dwon"), "no label or state 'dwon': did you mean 'down'?"),
        (("hitting-time", "--target", "1e9"), "the labels are ok"),
        (("--label", "okay"), "unknown label 'okay': "),
        (("reward", "--reward", "powr"), "did you mean 'power'?"),
        (("transient", "--times", "1", "--initial", "upp"), "did you mean 'up'?"),
    ],
)
def test_a_name_that_the_chain_does_not_have_is_told_with_the_nearest(
    run: Run, line: None, words: tuple[str, ...], told: str
) -> None:
    run("solve", "line.json", *words).assert_refused(told)


def test_networks_are_refused(run: Run) -> None:
    formats.write(planted([3, 4, 2], copies=2)[0], "net.nnet")
    outcome = run("solve", "net.nnet")
    assert outcome.exit_code == 2
    assert "for Markov chains" in outcome.stderr


def test_the_constants_of_a_source_are_swept(run: Run) -> None:
    pytest.importorskip("stormpy")
    Path("m.sm").write_text(
        "ctmc\nconst double mu;\nmodule m\n x : [0..1] init 0;\n [] x=0 -> 1 : (x'=1);\n"
        ' [] x=1 -> mu : (x\'=0);\nendmodule\nlabel "up" = x=0;\n'
    )
    document = run("solve", "m.sm", "--label", "up", "--sweep", "mu=1:2", "--json").document
    assert [row["value"] for row in document["rows"]] == ["1/2", "2/3"]
    Path("valued.sm").write_text(Path("m.sm").read_text().replace("mu;", "mu = 7;", 1))
    again = run("solve", "valued.sm", "--label", "up", "--sweep", "mu=1:2", "--json").document
    assert again["rows"] == document["rows"]
    run("solve", "m.sm", "--sweep", "nu=1:2").assert_refused("its constants are mu")


def test_numbers_and_ranges() -> None:
    assert read_numbers("1:10:3") == [1, 4, 7, 10]
    assert read_numbers("0.1,1/3") == [Fraction(1, 10), Fraction(1, 3)]
    for text in ("a", "1:0", "1:2:0", "1:2:3:4", "0:1e9"):
        with pytest.raises(InvalidInput):
            read_numbers(text)


def test_formulas_are_told_with_the_values_that_they_hold_for(run: Run) -> None:
    chain = DTMC([[0, "x", "1 - x"], [0, 1, 0], [0, 0, 1]], labels={"won": [1]})
    formats.write(chain, "game.json")
    shown = run("solve", "game.json", "hitting-probability", "--target", "won").stdout
    assert "x > 0, 1 - x > 0" in shown
    assert "for all" not in run("solve", "game.json", "--values", "x=1/3").stdout


def test_states_are_avoided_on_the_way_to_the_target(run: Run) -> None:
    steps = {(i, j): "1/2" for i in range(1, 5) for j in (i - 1, i + 1)} | {(0, 0): 1, (5, 5): 1}
    chain = DTMC.from_rates(steps, labels={"rich": [5], "broke": [1], "none": []}, initial=3)
    formats.write(chain, "game.json")
    asked = ("solve", "game.json", "hitting-probability", "--target", "rich", "--initial", "3")
    for avoid, value in (("broke", "1/2"), ("0", "3/5"), ("none", "3/5"), ("2", "1/3")):
        (row,) = run(*asked, "--avoid", avoid, "--json").document["rows"]
        assert row["value"] == value
    refused = run("solve", "game.json", "hitting-time", "--target", "rich", "--avoid", "broke")
    assert refused.exit_code == 2
    assert "--avoid is for hitting-probability" in refused.stderr


def test_blocks_of_states_without_names_are_told_by_their_members(run: Run) -> None:
    chain = CTMC([[0, 1, 1, 0], [0, 0, 0, 2], [0, 0, 0, 2], [1, 0, 0, 0]])
    formats.write(chain, "m.json")
    rows = run("solve", "m.json", "hitting-time", "--target", "3", "--json").document["rows"]
    assert [(row["name"], row["value"]) for row in rows] == [(0, "1"), ("{1, 2}", "1/2"), (3, "0")]


def test_a_label_that_no_state_carries_is_never_reached(run: Run) -> None:
    formats.write(CTMC([[0, 1], [1, 0]], labels={"done": []}), "m.json")
    run("solve", "m.json", "hitting-time", "--target", "done").assert_refused("never reached")
