"""Histories of splits, forged and true: what the replay refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, Certificate, lump
from lumpability.certificate import replay, soundness
from lumpability.certificate.verification import Rejection, Verification
from lumpability.numbers.exact_array import ExactArray

LINE = {(s, s + 1): 1 for s in range(5)}


@pytest.fixture
def line() -> CTMC:
    return CTMC.from_rates(LINE, states=range(6), labels={"end": [5]})


@pytest.fixture
def why(line: CTMC) -> Callable[..., str]:
    """Change columns of the history of the line's lumping; return why it is refused."""
    certificate = lump(line).certificate()

    def refused(**columns: Any) -> str:
        history = replace(certificate.history, **columns)
        found = replace(certificate, history=history).verify(line)
        assert found.sound
        assert not found.coarsest
        assert found.rejection.field == "history"
        return found.rejection.reason

    return refused


def test_every_column_has_to_have_its_length(line: CTMC, why: Callable[..., str]) -> None:
    history = lump(line).certificate().history
    for name in ("starts", "ends", "first_part", "splitter", "condition", "split_node"):
        column = getattr(history, name)
        for other in (column[:-1], np.append(column, column[-1])):
            assert "inconsistent lengths" in why(**{name: other})
    assert "inconsistent lengths" in why(roots=history.roots + 1)
    assert "does not hold each of 6 blocks once" in why(order=history.order[:-1])


def test_what_a_split_refers_to_has_to_be_there(line: CTMC, why: Callable[..., str]) -> None:
    history = lump(line).certificate().history
    for condition in (-1, 1, 2):
        changed = np.where(np.arange(history.splits) == 1, condition, 0)
        assert why(condition=changed) == (
            "a split refers to a condition that the kind does not have"
        )
    for number in (-1, len(history.starts)):
        last = np.arange(history.splits) == history.splits - 1
        assert why(split_node=np.where(last, number, history.split_node)) == (
            "a node is split before it exists"
        )
        assert why(splitter=np.where(last, number, history.splitter)) == (
            "a splitter does not exist before the parts of its split"
        )


@pytest.mark.parametrize(("starts", "ends"), [([0, 0], [0, 1]), ([0, 1], [1, 1])])
def test_a_node_without_blocks_is_refused(starts: list[int], ends: list[int]) -> None:
    """It would tile well with the others."""
    chain = CTMC([[0]], labels={"up": [0]})
    certificate = lump(chain).certificate()
    assert certificate.verify(chain).coarsest
    empty = replace(
        certificate.history,
        starts=np.array(starts),
        ends=np.array(ends),
        roots=2,
        first_part=np.array([2]),
    )
    found = replace(certificate, history=empty).verify(chain)
    assert found.rejection.reason == "a node is not a range of blocks"


def test_a_split_that_leaves_a_block_out_is_refused() -> None:
    """The block left out has the sum zero, so that nothing that enters the splitter shows it."""
    rates = {("a", "g"): 1, ("b", "g"): 2, ("g", "a"): 1}
    chain = CTMC.from_rates(rates, states="abcg", labels={"goal": ["g"]})
    certificate = lump(chain).certificate()
    true = replace(
        certificate.history,
        order=np.arange(4),
        starts=np.array([0, 3, 0, 1, 2]),
        ends=np.array([3, 4, 1, 2, 3]),
        roots=2,
        split_node=np.array([0]),
        splitter=np.array([1]),
        condition=np.array([0]),
        first_part=np.array([2, 5]),
        sums=ExactArray.read([1, 2, 0])[0],
    )
    assert replace(certificate, history=true).verify(chain).coarsest
    short = replace(
        true,
        starts=true.starts[:-1],
        ends=true.ends[:-1],
        first_part=np.array([2, 4]),
        sums=true.sums.take(np.arange(2)),
    )
    found = replace(certificate, history=short).verify(chain)
    assert found.rejection.reason == "the parts of a split do not tile its node"


def test_a_node_left_whole_is_told_with_its_size() -> None:
    """Two blocks of one root, never split."""
    chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2, ("c", "a"): 1}, labels={"goal": ["c"]})
    certificate = lump(chain).certificate()
    history = certificate.history
    whole = replace(
        history,
        starts=history.starts[:2],
        ends=history.ends[:2],
        split_node=history.split_node[:0],
        splitter=history.splitter[:0],
        condition=history.condition[:0],
        first_part=history.first_part[:1],
        sums=history.sums.take(np.arange(0)),
    )
    reason = replace(certificate, history=whole).verify(chain).rejection.reason
    assert reason == "node 0 stays together, although it holds 2 blocks"


def test_a_member_with_the_sum_zero_is_told() -> None:
    """One part is said to have the sum 1, and nothing of it enters the splitter."""
    chain = CTMC.from_rates({("a", "c"): 1, ("c", "a"): 1}, states="abc", labels={"goal": ["c"]})
    certificate = lump(chain).certificate()
    history = certificate.history
    sums = ExactArray.read([x or 5 for x in history.sums])[0]
    found = replace(certificate, history=replace(history, sums=sums)).verify(chain)
    part = history.roots + [x == 0 for x in history.sums].index(True)
    assert found.rejection.reason == (
        f"node {part} has members whose sum into the splitter is zero, not the recorded sum"
    )


@pytest.mark.parametrize("size", [2**59, 2**60, 2**61 - 1, 2**62, 2**63, 2**70])
def test_sums_beyond_a_machine_word_of_terms_that_fit_one_are_exact(size: int) -> None:
    """Eight terms of 2^60 are more than 64 bits hold; the targets are blocks, but one node at first."""
    targets = range(8)
    rates = {("a", t): size for t in targets} | {("b", t): size + (t == 0) for t in targets}
    rates |= {(t, "a"): t + 1 for t in targets}
    chain = CTMC.from_rates(rates, states=["a", "b", *targets], labels={"goal": list(targets)})
    certificate = lump(chain, kind="bisimulation").certificate()
    assert len(certificate.partition) == 10
    for wrong in (0, 2**64, -(2**64)):
        history = replace(
            certificate.history,
            order=np.arange(10),
            starts=np.array([0, 2, *range(10)]),
            ends=np.array([2, 10, *range(1, 11)]),
            roots=2,
            split_node=np.array([0, 1]),
            splitter=np.array([1, 2]),
            condition=np.array([0, 0]),
            first_part=np.array([2, 4, 12]),
            sums=ExactArray.read([8 * size + wrong, 8 * size + 1, *range(1, 9)])[0],
        )
        assert bool(replace(certificate, history=history).verify(chain)) == (wrong == 0)


@pytest.mark.parametrize("amount", [2**62, 2**63, 2**64, 2**64 + 1, 2**70, -(2**70), "1/3"])
def test_recorded_sums_that_no_sum_can_be_are_refused(amount: object, line: CTMC) -> None:
    certificate = lump(line).certificate()
    history = certificate.history
    for part in range(len(history.sums)):
        sums = list(history.sums)
        sums[part] = amount
        wrong = replace(history, sums=ExactArray.read(sums)[0])
        assert not replace(certificate, history=wrong).verify(line)


@pytest.mark.parametrize("kind", ["ordinary", "exact", "strict", "proportional", "bisimulation"])
def test_splits_are_checked_a_few_at_a_time_as_all_at_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    rates = random.integers(0, 3, (9, 9)) * (1 - np.eye(9, dtype=int))
    chain = CTMC(rates, labels={"a": [0]})
    certificate: Certificate = lump(chain, kind=kind).certificate()
    monkeypatch.setattr(soundness, "_CHUNK", 3)
    assert certificate.verify(chain).coarsest
    sums = ExactArray.read([x + 1 for x in certificate.history.sums])[0]
    wrong = replace(certificate, history=replace(certificate.history, sums=sums))
    assert not wrong.verify(chain)


def test_the_outcome_cannot_be_changed_afterwards() -> None:
    rejection = Rejection("kind", "wrong")
    for value, name in ((rejection, "reason"), (Verification(True, True, None, ""), "sound")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, "another")


works = st.lists(st.integers(0, 12), max_size=12)


@given(work=works, chunk=st.integers(1, 15))
def test_portions_are_as_large_as_allowed_and_no_larger(work: list[int], chunk: int) -> None:
    with mock.patch.object(soundness, "_CHUNK", chunk):
        found = list(soundness.portions(np.array(work, dtype=np.int64)))
    assert [i for low, high in found for i in range(low, high)] == list(range(len(work)))
    for low, high in found:
        assert high == low + 1 or sum(work[low:high]) <= chunk
    for (low, high), _ in pairwise(found):
        assert sum(work[low : high + 1]) > chunk


@given(pairs=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=8))
def test_ranges_are_python_ranges_one_behind_the_other(pairs: list[tuple[int, int]]) -> None:
    low = np.array([start for start, _ in pairs], dtype=np.int64)
    high = np.array([start + length for start, length in pairs], dtype=np.int64)
    owner, numbers = replay.ranges(low, high)
    expected = [(i, x) for i, (start, size) in enumerate(pairs) for x in range(start, start + size)]
    assert list(zip(owner.tolist(), numbers.tolist(), strict=True)) == expected


@given(places=st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))), data=st.data())
def test_compressed_rows_hold_the_codes_in_their_places(
    places: set[tuple[int, int]], data: st.DataObject
) -> None:
    given_places = data.draw(st.permutations(sorted(places)))
    rows, columns = (np.array([p[i] for p in given_places], dtype=np.int64) for i in (0, 1))
    codes = np.arange(len(places)) + 100
    starts, found, order = replay.compressed(7, rows, columns, codes)
    code = dict(zip(given_places, codes.tolist(), strict=True))
    for row in range(7):
        ascending = [p for p in sorted(places) if p[0] == row]
        span = slice(starts[row], starts[row + 1])
        assert found[span].tolist() == [column for _, column in ascending]
        assert order[span].tolist() == [code[place] for place in ascending]
