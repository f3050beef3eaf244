"""Certificates and chains changed in every field: rejected, or still true by definition."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
from certificate_attacks import TOLD, Arena, Mutant, certified, mutants, random_chain
from certificate_judge import KINDS, Judge
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, lump
from lumpability.markov import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.split_history import History
from lumpability.testing import lumpable_chains

EXAMPLES: dict[str, MarkovChain] = {
    "ordinary": CTMC(
        [[0, 1, 1, 0], [2, 0, 0, 1], [2, 0, 0, 1], [0, "1/3", "1/3", 0]], labels={"a": [3]}
    ),
    "bisimulation": CTMC([[0, 1, 1], [2, 0, 0], [2, 0, 0]], labels={"a": [0]}, initial=0),
    "exact": CTMC([[0, 1, 1], ["1/2", 0, 0], ["1/2", 0, 0]], initial=0),
    "strict": CTMC([[0, 1, 1], [1, 0, 0], [1, 0, 0]], labels={"a": [0]}),
    "proportional": CTMC(
        [[0, 1, 2], [3, 0, 0], [6, 0, 0]], labels={"a": [0]}, rewards={"cost": [1, 0, 0]}
    ),
}


def judged(mutant: Mutant, arena: Arena) -> str:
    outcome = arena.outcome(mutant)
    assert outcome.verdict != "WRONG", f"accepted: {outcome}\n{mutant.text!r}"
    return outcome.verdict


@pytest.mark.parametrize("kind", KINDS)
def test_every_mutant_of_a_small_certificate_is_rejected_or_true(kind: str, tmp_path: Path) -> None:
    chain, arena = EXAMPLES[kind], Arena(tmp_path)
    document = certified(chain, kind)
    assert judged(Mutant("nothing", document, chain), arena) == "true"
    verdicts = [(m, judged(m, arena)) for m in mutants(document, chain, Random(1))]
    assert len(verdicts) > 400
    assert all(v != "told" or m.attack.startswith(TOLD) for m, v in verdicts)
    assert sum(v == "rejected" for _, v in verdicts) > 0.8 * len(verdicts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)  # each makes some thousand mutants
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_mutants_of_certificates_of_drawn_chains_are_rejected_or_true(
    kind: str, data: st.DataObject, random: Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    planted = lumpable_chains(kind=kind, max_block_size=2).map(lambda pair: pair[0])
    drawn = st.integers(0, 2**20).map(lambda seed: random_chain(Random(seed), kind, 4))
    chain = data.draw(st.one_of(planted, drawn))
    document = certified(chain, kind)
    arena = Arena(tmp_path_factory.getbasetemp())
    assert judged(Mutant("nothing", document, chain), arena) == "true"
    for mutant in random.sample(list(mutants(document, chain, random)), 20):
        judged(mutant, arena)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_every_mutant_of_certificates_of_random_chains_is_rejected_or_true(
    kind: str, seed: int, tmp_path: Path
) -> None:
    random, arena = Random(seed), Arena(tmp_path)
    chain = random_chain(random, kind, 5)
    for mutant in mutants(certified(chain, kind), chain, random):
        judged(mutant, arena)


def test_the_judge_itself_tells_true_from_false(tmp_path: Path) -> None:
    chain = EXAMPLES["ordinary"]
    document, judge = certified(chain, "ordinary"), Judge(chain)
    assert judge.is_right(document)
    assert not judge.is_right({**document, "partition": [0, 1, 1, 1]})
    assert not judge.is_right({**document, "partition": [0, 1, 2, 3]})
    assert not judge.is_right({**document, "respected": []})
    finer = certified(chain, "ordinary", within=[0, 1, 2, 3])
    assert judge.is_right(finer)
    assert not judge.is_right({**finer, "initial": None})
    assert judge.is_right({**finer, "initial": None, "history": None})


def arrays_of(history: History) -> dict[str, np.ndarray]:
    names = ("order", "starts", "ends", "split_node", "splitter", "condition", "first_part")
    return {name: getattr(history, name) for name in names}


@pytest.mark.parametrize("kind", KINDS)
def test_histories_that_no_file_could_hold_are_rejected_too(kind: str) -> None:
    chain = random_chain(Random(3), kind, 6)
    certificate = lump(chain, kind=kind).certificate()
    history = certificate.history
    assert certificate.verify(chain).coarsest
    for name, array in arrays_of(history).items():
        for i in range(len(array)):
            for value in {-1, 0, int(array[i]) - 1, int(array[i]) + 1, 99} - {int(array[i])}:
                changed = array.copy()
                changed[i] = value
                other = replace(certificate, history=replace(history, **{name: changed}))
                accepted = bool(other.verify(chain))
                # Only another splitter can do as well.
                assert not accepted or name == "splitter"
        shorter = replace(certificate, history=replace(history, **{name: array[:-1]}))
        assert not len(array) or not shorter.verify(chain)


def test_a_sum_that_is_off_by_less_than_any_float_can_tell_is_rejected() -> None:
    big = 2**200
    chain = CTMC.from_rates({("a", "c"): big, ("b", "c"): 1, ("c", "a"): 1}, labels={"goal": ["c"]})
    certificate = lump(chain).certificate()
    history = certificate.history
    sums = ExactArray.read([x + 1 if abs(x) == big else x for x in history.sums])[0]
    assert certificate.verify(chain).coarsest
    assert not replace(certificate, history=replace(history, sums=sums)).verify(chain)


def test_a_rate_that_is_off_by_less_than_any_float_can_tell_is_rejected() -> None:
    rates = {("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}
    chain = CTMC.from_rates(rates, labels={"goal": ["c"]})
    tiny = Fraction(1, 10**100)
    other = CTMC.from_rates({**rates, ("b", "c"): 1 + tiny}, labels={"goal": ["c"]})
    certificate = lump(chain).certificate()
    assert not certificate.verify(other)
    forged = replace(certificate, model=lump(other).certificate().model, denominator=10**100)
    verification = forged.verify(other)
    assert verification.rejection.field == "partition"
