"""Splitting of a box: the parts cover it, whenever the splitting ends."""

from __future__ import annotations

import numpy as np
import pytest

from lumpability.networks.difference.splitting import Bounded, split

ENDS = np.array([0.0, -1.0]), np.array([1.0, 3.0])


def _bounded(low: np.ndarray, high: np.ndarray) -> Bounded:
    width = high - low
    return Bounded(-width[:1], width[1:], ["d*"], int(np.argmax(width)))


@pytest.mark.parametrize("last", range(1, 12))
def test_an_interrupt_loses_no_part_of_the_box(last: int) -> None:
    calls = 0

    def bound(low: np.ndarray, high: np.ndarray) -> Bounded:
        nonlocal calls
        calls += 1
        if calls == last:
            raise KeyboardInterrupt
        return _bounded(low, high)

    found = split(bound, ENDS, _bounded(*ENDS), boxes=99, enough=0.0)
    assert found.interrupted
    covered = sum(np.prod(high - low) for _, _, low, high, _ in found.parts)
    assert covered == 4.0
    assert found.boxes == 2 * len(found.parts) - 1
    assert found.high[0] == max(part.high[0] for *_, part in found.parts)


def test_parts_that_are_good_enough_are_not_cut() -> None:
    found = split(_bounded, ENDS, _bounded(*ENDS), boxes=999, enough=0.5)
    assert found.boxes == 31
    assert max(part.largest for *_, part in found.parts) == 0.5


def test_a_box_that_is_one_point_is_not_cut() -> None:
    point = ENDS[0], ENDS[0]
    found = split(_bounded, point, _bounded(*point), boxes=99, enough=-1.0)
    assert found.boxes == 1
