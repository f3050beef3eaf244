"""`lumpability bound`: intervals as tables and JSON, with certificates that `verify` accepts, and plots."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lumpability import CTMC, formats
from lumpability.networks.examples import planted

Run = Callable[..., Any]

BLOCKS = "0\n1\n1\n2\n1\n2\n2\n3\n"  # by the number of machines that are down


@pytest.fixture
def jittered(tmp_path: Path) -> None:
    """Three machines whose rates differ a little, as m.json, with blocks.txt."""
    rates = {}
    for x in range(8):
        for machine in range(3):
            down = x >> machine & 1
            rate = Fraction(1) if down else Fraction(1, 10)
            rates[x, x ^ 1 << machine] = rate * (1 + Fraction(7 * x + 3 * machine, 5000))
    labels = {"up": [0, 1, 2, 4], "dead": [7]}
    chain = CTMC.from_rates(
        rates, states=range(8), labels=labels, initial=0, rewards={"cost": range(8)}
    )
    formats.write(chain, tmp_path / "m.json")
    (tmp_path / "blocks.txt").write_text(BLOCKS)


@pytest.mark.parametrize(
    "question",
    [
        ["--stationary", "up"],
        ["--long-run", "cost"],
        ["--transient", "up", "--times", "2"],
        ["--transient", "up", "--times", "2", "--over", "hull"],
        ["--time-bounded", "dead", "--times", "5", "--initial", "3"],
        ["--hitting", "dead"],
        ["--until", "dead"],
        ["--expected", "cost", "--until", "7", "--accuracy", "1e-9"],
    ],
    ids=" ".join,
)
def test_every_question_gets_an_interval_whose_certificate_is_verified(
    run: Run, jittered: None, question: list[str]
) -> None:
    done = run("bound", "m.json", "blocks.txt", *question, "--json", "--certificate", "p.json.gz")
    assert done.exit_code == 0, done.stderr
    (interval,) = done.document["intervals"]
    assert Fraction(interval["lower"]) <= interval["estimate"] <= Fraction(interval["upper"])
    assert run("verify", "p.json.gz", "m.json").exit_code == 0
    table = run("verify", "p.json.gz", "m.json").stdout
    assert "lies in" in table
    assert "coarsest" not in table


def test_several_times_are_rows_and_a_band(run: Run, jittered: None) -> None:
    pytest.importorskip("matplotlib")
    arguments = ("bound", "m.json", "blocks.txt", "--transient", "up", "--times", "0:4")
    done = run(*arguments, "--plot", "a.svg")
    assert done.exit_code == 0, done.stderr
    assert "up at time 4" in done.stdout
    first = Path("a.svg").read_bytes()
    run(*arguments, "--plot", "b.svg")
    assert Path("b.svg").read_bytes() == first
    within = ("bound", "m.json", "blocks.txt", "--time-bounded", "dead", "--times", "1,2")
    assert run(*within, "--plot", "c.svg").exit_code == 0


def test_a_wrong_interval_is_rejected(run: Run, jittered: None) -> None:
    run("bound", "m.json", "blocks.txt", "--stationary", "up", "--certificate", "p.json")
    text = Path("p.json").read_text()
    end = text.split('"end": "')[1].split('"')[0]
    Path("p.json").write_text(text.replace(f'"end": "{end}"', '"end": "999/1000"', 1))
    done = run("verify", "p.json", "m.json")
    assert done.exit_code == 1
    assert "the evidence proves" in " ".join(done.stdout.split())


def test_what_makes_no_sense_is_refused(run: Run, jittered: None) -> None:
    formats.write(planted([3, 4, 2], copies=2)[0], "net.nnet")
    common = ("bound", "m.json", "blocks.txt")
    for arguments, words in (
        ((*common,), "ask one question"),
        ((*common, "--stationary", "up", "--hitting", "dead"), "ask one question"),
        ((*common, "--transient", "up"), "needs --times"),
        ((*common, "--stationary", "up", "--times", "1"), "--times is for"),
        ((*common, "--stationary", "up", "--expected", "cost"), "--expected is for --until"),
        ((*common, "--stationary", "up", "--plot", "a.svg"), "--plot is for --times"),
        ((*common, "--transient", "up", "--times", "1,2", "--certificate", "p"), "one interval"),
        ((*common, "--transient", "up", "--times", "1,2", "--accuracy", "1%"), "--accuracy is not"),
        (("bound", "net.nnet", "blocks.txt", "--stationary", "up"), "for Markov chains"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert words in " ".join(done.stderr.split())
    run(*common, "--stationary", "down").assert_refused("no label or reward")
    run(*common, "--stationary", "up", "--over", "hull").assert_refused("over='hull'")


def test_no_finite_bound_names_the_state_and_is_no_traceback(run: Run, jittered: None) -> None:
    Path("one.txt").write_text("0\n" * 7 + "1\n")
    done = run("bound", "m.json", "one.txt", "--until", "dead")
    assert done.exit_code not in (0, 70)
    assert "no finite bound" in done.stderr


@pytest.mark.parametrize("accuracy", ["0", "nan", "-1%", "much", "2"])
def test_what_is_no_accuracy_is_refused_before_a_file_is_read(run: Run, accuracy: str) -> None:
    done = run("bound", "no.json", "no.txt", "--stationary", "up", "--accuracy", accuracy)
    assert done.exit_code == 2
    assert "the accuracy" in done.stderr
    assert "no.json" not in done.stderr
