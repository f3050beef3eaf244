"""Interval chains in DRN files: what is written, and what Storm makes of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lumpability import CTMC, DTMC, lump
from lumpability.formats.interval_drn import write_interval_drn
from lumpability.markov.approximate import ApproximateLumping, Hull

STEPS = 6


def measured() -> DTMC:
    """A gambler who is a little luckier in some places than in others."""
    rows: dict[tuple[object, object], str] = {("ruined", "ruined"): "1", ("rich", "rich"): "1"}
    for copy, chance in (("x", "0.40"), ("y", "0.41"), ("z", "0.42")):
        rows[copy + "1", copy + "2"], rows[copy + "1", "ruined"] = chance, str(1 - Fraction(chance))
        rows[copy + "2", "rich"], rows[copy + "2", copy + "1"] = chance, str(1 - Fraction(chance))
    return DTMC.from_rates(rows, labels={"rich": ["rich"], "ruined": ["ruined"]}, initial="x1")


def lumped() -> ApproximateLumping:
    small = lump(measured(), tolerance="5%")
    assert len(small.partition) == 4
    return small


def best(hull: Hull, goal: int, sign: int) -> list[Fraction]:
    """The largest (1) or least (-1) probabilities to be in `goal` within some steps, over the interval chain."""
    values = [Fraction(block == goal) for block in range(hull.k)]
    for _ in range(STEPS):
        new = list(values)
        for block in range(hull.k):
            row = sorted(hull.row(block), key=lambda entry: -sign * values[entry[0]])
            rest = 1 - sum(low for _, low, _ in row)
            total = sum(values[c] * low for c, low, _ in row)
            for c, low, high in row:
                more = min(rest, high - low)
                rest -= more
                total += more * values[c]
            new[block] = Fraction(1) if block == goal else total
        values = new
    return values


def test_storm_bounds_the_same_probabilities(tmp_path: Path) -> None:
    stormpy = pytest.importorskip("stormpy", reason="stormpy is not installed")
    small, path = lumped(), str(tmp_path / "small.drn")
    write_interval_drn(small.interval, path, nominal=small.quotient)
    model = stormpy.build_model_from_drn[stormpy.Interval](path)
    assert (model.nr_states, model.nr_transitions) == (4, len(small.interval.indices))
    goal = small.quotient.states.index("rich")
    question = stormpy.parse_properties(f'P=? [F<={STEPS} "rich"]')[0]
    ways = stormpy.UncertaintyResolutionMode
    for sign, resolve in ((1, ways.MAXIMIZE), (-1, ways.MINIMIZE)):
        found = stormpy.model_checking(model, question, uncertainty_resolution_mode=resolve)
        expected = [float(value) for value in best(small.interval, goal, sign)]
        assert [found.get_value(b) for b in range(4)] == pytest.approx(expected, rel=1e-6)


def planted(seed: int, blocks: int = 5, size: int = 4) -> DTMC:
    """Blocks of states whose probabilities differ by a few per cent."""
    rng = np.random.default_rng(seed)
    rows: dict[tuple[object, object], Fraction] = {}
    for block in range(blocks):
        targets, weights = rng.choice(blocks, 3, replace=False), rng.integers(1, 6, 3)
        for x in range(block * size, (block + 1) * size):
            near = (weights * (1000 + rng.integers(-20, 21, 3))).tolist()
            for target, weight in zip(targets.tolist(), near, strict=True):
                u = target * size + int(rng.integers(0, size))
                rows[x, u] = rows.get((x, u), 0) + Fraction(weight, sum(near))
    labels = {"goal": range(size)}
    return DTMC.from_rates(
        rows, states=range(blocks * size), labels=labels, initial=blocks * size - 1
    )


@pytest.mark.parametrize("chain", [measured(), *map(planted, range(3))], ids=str)
def test_storm_finds_the_intervals_that_are_proved_over_the_hull(
    chain: DTMC, tmp_path: Path
) -> None:
    stormpy = pytest.importorskip("stormpy", reason="stormpy is not installed")
    goal = "goal" if "goal" in chain.labels else "rich"
    small, path = lump(chain, tolerance="10%"), str(tmp_path / "small.drn")
    assert len(small.partition) < chain.n
    write_interval_drn(small.interval, path, nominal=small.quotient)
    model = stormpy.build_model_from_drn[stormpy.Interval](path)
    (start,) = model.initial_states
    ways = stormpy.UncertaintyResolutionMode

    def storm(text: str) -> list[float]:
        question = stormpy.parse_properties(text)[0]
        found = (
            stormpy.model_checking(model, question, uncertainty_resolution_mode=way)
            for way in (ways.MINIMIZE, ways.MAXIMIZE)
        )
        return [result.get_value(start) for result in found]

    for steps in (1, 3, 20):
        ours = small.bounds.time_bounded(goal, steps, over="hull")
        assert ours.holds_in_hull
        ends = [float(ours.lower), float(ours.upper)]
        assert storm(f'P=? [F<={steps} "{goal}"]') == pytest.approx(ends, rel=1e-6)
    least, most = storm(f'P=? [F "{goal}"]')
    ours = small.bounds.hitting(goal)  # over the members, which the hull contains
    assert least <= ours.lower * (1 + 1e-6)
    assert ours.upper <= most * (1 + 1e-6)


def test_storm_reads_interval_chains_in_continuous_time(tmp_path: Path) -> None:
    stormpy = pytest.importorskip("stormpy", reason="stormpy is not installed")
    rates = {("a", "c"): "100/3", ("b", "c"): 34, ("c", "a"): 2, ("c", "b"): 2}
    chain = CTMC.from_rates(rates, states="abc", labels={"goal": ["c"]}, initial="a")
    small, path = lump(chain, tolerance="5%"), str(tmp_path / "small.drn")
    write_interval_drn(small.interval, path, nominal=small.quotient)
    model = stormpy.build_model_from_drn[stormpy.RationalInterval](path)
    assert (model.nr_states, model.nr_transitions) == (2, 2)
    assert set(model.labeling.get_labels()) == {"init", "goal"}
    text = Path(path).read_text()
    assert "@type: CTMC\n@value_type: rational-interval\n" in text
    assert "state 0 ![100/3,34] init\n//[{a, b}]\n\taction 0\n\t\t1 : [100/3,34]\n" in text


def test_equal_lumpings_write_equal_bytes(tmp_path: Path) -> None:
    for name in ("one.drn", "other.drn"):
        small = lumped()
        write_interval_drn(small.interval, tmp_path / name, nominal=small.quotient)
    assert (tmp_path / "one.drn").read_bytes() == (tmp_path / "other.drn").read_bytes()
