"""Plots show what the lumping says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lumpability import CTMC, lump
from lumpability.markov import ask
from lumpability.markov.examples import machine_repair
from lumpability.networks.examples import planted

pytest.importorskip("matplotlib", reason="plots need matplotlib")

import matplotlib.pyplot as plt

from lumpability.show.plots import (
    answer_values,
    class_sizes,
    layer_widths,
    stationary_masses,
    transient_masses,
)


@pytest.fixture(autouse=True)
def _without_a_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_the_stationary_masses_of_chain_and_quotient_agree():
    axes = stationary_masses(lump(machine_repair(5, repairers=2)))
    for whole, small in axes.collections[0].get_offsets().data.tolist():
        assert whole == pytest.approx(small, abs=1e-12)


def test_the_block_probabilities_of_chain_and_quotient_agree_over_time():
    axes = transient_masses(lump(machine_repair(4, repairers=2)), [0, 1, 5], largest=3)
    assert len(axes.lines) == 6
    for whole, small in zip(axes.lines[::2], axes.lines[1::2], strict=True):
        assert whole.get_ydata() == pytest.approx(small.get_ydata(), abs=1e-9)


def test_long_names_leave_the_axes_room_and_stay_apart():
    names = [f"{'x' * 50}{i}" for i in range(3)]
    line = CTMC.from_rates(
        {(names[0], names[1]): "a", (names[1], names[2]): 1, (names[2], names[0]): 1},
        labels={"end": [names[2]], "start": [names[0]]},
    )
    drawn = answer_values(ask(line, sweep={"a": [1, 2]}))
    assert len(drawn.lines) == 3
    assert {len(line.get_label()) for line in drawn.lines} == {36}
    drawn = answer_values(ask(line.subs({"a": 1})))
    assert len(drawn.patches) == 3
    assert {len(label.get_text()) for label in drawn.get_yticklabels()} == {36}


def test_plots_go_into_the_axes_they_are_given():
    _, axes = plt.subplots()
    lumping = lump(planted([3, 4, 2], copies=3)[0])
    assert layer_widths(lumping, axes=axes) is axes
    assert class_sizes(lumping).get_xlabel() == "members"


def test_without_matplotlib_the_error_says_what_to_install():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from lumpability import lump\n"
        "from lumpability.errors import MissingDependency\n"
        "from lumpability.markov.examples import land_of_oz\n"
        "from lumpability.show.plots import class_sizes\n"
        "try:\n    class_sizes(lump(land_of_oz()))\n"
        "except MissingDependency as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'lumpability[plot]'" in run.stdout
