"""Sequences of operations: lump, write, read, restrict, compose, renumber, lump again.

A machine applies them in any order to one chain and knows all the while how many blocks its coarsest ordinary
lumping has to have: neither files nor numbering nor lumping itself may change that.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lumpability import CTMC, Partition, lump, read, write
from lumpability.errors import TrivialLumping
from lumpability.formats.assembly import LossyWrite
from lumpability.markov import compose
from lumpability.testing import (
    assert_quotient_correct,
    assert_same_partition,
    ctmcs,
    labelled,
    permutations_of,
)
from lumpability.testing.definitions import find_witness

SUFFIXES = {".json": {}, ".npz": {}, ".drn": {}, ".tra": {"type": "ctmc"}}
EXACT = (".json", ".npz")
MOST_STATES = 24
chains = labelled(ctmcs(max_states=4), max_labels=1, max_rewards=1, initial=True)


def coarsest(chain: CTMC, kind: str = "ordinary") -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrivialLumping)
        return lump(chain, kind=kind)


def reachable(chain: CTMC, state: int) -> list[int]:
    """States that a state leads to, itself included: a closed set."""
    found, waiting = {state}, [state]
    while waiting:
        for target, _ in chain.matrix.row(waiting.pop()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return sorted(found)


def restricted(chain: CTMC, kept: list[int]) -> CTMC:
    """The chain on a closed set of states, with its labels."""
    place = {state: i for i, state in enumerate(kept)}
    rates = [
        (place[s], place[t], rate) for s in kept for t, rate in chain.matrix.row(s) if t in place
    ]
    labels = {name: mask[kept] for name, mask in chain.labels.items()}
    return CTMC.from_rates(rates, states=range(len(kept)), labels=labels)


def with_names_as_text(chain: CTMC) -> CTMC:
    """Tuples, as composed states have for names, become text in files."""
    return chain.rebuilt(
        chain.matrix,
        states=[str(name) for name in chain.states],
        labels=chain.labels,
        initial=chain.initial,
    )


class Sequences(RuleBasedStateMachine):
    """One chain, and how many blocks it has."""

    @initialize(chain=chains)
    def start(self, chain: CTMC) -> None:
        self.become(chain)

    def become(self, chain: CTMC) -> None:
        self.chain, self.blocks = chain, len(coarsest(chain).partition)

    @invariant()
    def the_coarsest_lumping_has_as_many_blocks_as_before_and_is_one(self) -> None:
        lumping = coarsest(self.chain)
        assert len(lumping.partition) == self.blocks
        assert find_witness(self.chain, lumping.partition, "ordinary") is None

    @rule()
    def lump(self) -> None:
        lumping = coarsest(self.chain)
        assert_quotient_correct(self.chain, lumping.partition, lumping.quotient)
        self.chain = lumping.quotient

    @rule(kind=st.sampled_from(["bisimulation", "strict", "exact"]))
    def lump_by_another_kind(self, kind: str) -> None:
        lumping = coarsest(self.chain, kind)
        assert_quotient_correct(self.chain, lumping.partition, lumping.quotient, kind=kind)
        if kind != "exact":  # these are ordinary too, so that nothing is lost
            ordinary = coarsest(self.chain)
            assert lumping.partition.refines(ordinary.partition)
            again = coarsest(lumping.quotient).partition
            whole = Partition(again.labels[lumping.partition.labels])
            assert_same_partition(whole, ordinary.partition)
            self.chain = lumping.quotient

    @rule(suffix=st.sampled_from(sorted(SUFFIXES)))
    def write_and_read(self, suffix: str) -> None:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", LossyWrite)
            path = Path(folder) / f"chain{suffix}"
            write(self.chain, path)
            found = read(path, **SUFFIXES[suffix])
        assert found.matrix.equals(self.chain.matrix)
        if suffix in EXACT:
            assert found.equals(self.chain)
            self.chain = found
        else:  # these keep no probabilities of the start and not every reward
            self.become(found.rebuilt(found.matrix, labels=found.labels))

    @rule(data=st.data())
    def renumber(self, data: st.DataObject) -> None:
        before = coarsest(self.chain).partition
        self.chain, order = data.draw(permutations_of(self.chain))
        assert_same_partition(coarsest(self.chain).partition, before.restrict(order))

    @rule(data=st.data())
    def restrict_to_a_closed_set(self, data: st.DataObject) -> None:
        before = coarsest(self.chain).partition
        kept = reachable(self.chain, data.draw(st.integers(0, self.chain.n - 1)))
        self.become(restricted(self.chain, kept))
        # What is left of blocks is a lumping still.
        assert before.restrict(kept).refines(coarsest(self.chain).partition)

    @precondition(lambda self: 2 * self.chain.n <= MOST_STATES)
    @rule(other=labelled(ctmcs(min_states=2, max_states=2), max_labels=1))
    def compose(self, other: CTMC) -> None:
        mine, theirs = coarsest(self.chain).partition, coarsest(other).partition
        self.become(with_names_as_text(compose([self.chain, other])))
        both = [(a, b) for a in mine.labels.tolist() for b in theirs.labels.tolist()]
        side_by_side = Partition.of(dict(enumerate(both)), states=self.chain.n)
        # Lumpings side by side lump the whole; labels in common are counted, which may merge more.
        assert side_by_side.refines(coarsest(self.chain).partition)


Sequences.TestCase.settings = settings(
    max_examples=max(10, settings().max_examples // 4), stateful_step_count=8, deadline=None
)
TestSequences = Sequences.TestCase
