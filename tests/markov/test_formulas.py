"""A distinguishing formula holds in one state, not in the other, and alike throughout every block."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_explanation import KINDS, chains

from lumpability import CTMC, DTMC, Reward, lump
from lumpability.errors import InvalidInput
from lumpability.markov.formulas import (
    And,
    Formula,
    Given,
    HasLabel,
    HasReward,
    Not,
    Share,
    Starts,
    Sum,
)
from lumpability.numbers.exact_array import ExactArray

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")


@given(chain=chains(), kind=st.sampled_from(KINDS))
@settings(max_examples=150)
def test_formulas_tell_states_apart_and_blocks_never(chain, kind):
    """In all pairs; and states of a block agree on every formula, so it proves that they are apart."""
    if kind == "proportional" and isinstance(chain, DTMC):
        return
    lumping = lump(chain, kind=kind)
    labels = lumping.partition.labels
    for s in lumping.partition.representatives.tolist():
        for t in lumping.partition.representatives.tolist():
            if s == t:
                continue
            formula = lumping.explain(s, t).formula
            mask = formula.holds_in(chain)
            assert mask[s]
            assert not mask[t]
            assert np.array_equal(mask, mask[lumping.partition.representatives][labels])
            assert all(child < i for i, node in enumerate(formula.nodes) for child in below(node))


def below(node):
    names = {"node", "nodes", "leaving"}
    found = [value for name, value in vars(node).items() if name in names]
    return [x for value in found for x in (value if isinstance(value, tuple) else (value,))]


def test_each_operator_by_hand():
    cost = Reward(ExactArray.read([3, 3, 0])[0])
    chain = CTMC(
        [[0, 2, 1], [4, 0, 0], [0, 0, 0]], labels={"up": [0, 1]}, rewards={"cost": cost}, initial=1
    )
    cases = {
        (HasLabel("up"),): [1, 1, 0],
        (HasReward("cost", (Fraction(3),)),): [1, 1, 0],
        (Starts(Fraction(1)),): [0, 1, 0],
        (Given((0, 2)),): [1, 0, 1],
        (HasLabel("up"), Not(0)): [0, 0, 1],
        (And(()),): [1, 1, 1],
        (Given((0, 2)), HasLabel("up"), And((0, 1))): [1, 0, 0],
        (HasLabel("up"), Sum("out", 0, "=", Fraction(-1))): [1, 0, 0],  # -3 + 2
        (HasLabel("up"), Sum("out", 0, ">=", Fraction(0))): [0, 1, 1],
        (Given((0,)), HasLabel("up"), Share(0, 1, "=", Fraction(0))): [1, 1, 1],
    }
    for nodes, expected in cases.items():
        assert Formula("ordinary", nodes).holds_in(chain).tolist() == [bool(x) for x in expected]
    shares = (Given((2,)), Given((0,)), Share(0, 1, ">=", Fraction(1, 3)))
    assert Formula("proportional", shares).holds_in(chain).tolist() == [True, False, False]
    incoming = (Given((0,)), Sum("in", 0, "=", Fraction(1)))
    assert Formula("exact", incoming).holds_in(chain).tolist() == [False, False, True]


def test_text_names_what_is_used_twice_or_long():
    formula = Formula(
        "ordinary",
        (
            HasLabel("not a word"),
            Sum("out", 0, "=", Fraction(1, 3)),
            Not(1),
            Sum("out", 1, ">=", Fraction(2)),
            And((2, 3)),
        ),
    )
    assert str(formula).splitlines() == [
        "(¬φ₁ ∧ out(φ₁) ≥ 2), where",
        "  φ₁ := out('not a word') = 1/3",
    ]
    assert formula.to_json()["nodes"][1] == {
        "type": "sum", "direction": "out", "node": 0, "comparison": "=", "value": "1/3",
    }  # fmt: skip


def test_a_formula_about_what_a_chain_lacks_is_refused():
    chain = CTMC([[0, 1], [1, 0]])
    for node, what in [
        (HasLabel("up"), "no label 'up'"),
        (HasReward("cost", ()), "no reward 'cost'"),
        (Starts(Fraction(1)), "no initial distribution"),
    ]:
        with pytest.raises(InvalidInput, match=what):
            Formula("ordinary", (node,)).holds_in(chain)


def test_formulas_grow_with_the_depth_and_not_exponentially():
    """Two transitions for each state into the level below: 2^40 paths, 40 levels."""
    depth = 40
    rates = {}
    for i in range(depth):
        for side in "ab":
            for other in "ab":
                rates[f"{side}{i + 1}", f"{other}{i}"] = 1 if side == other else 2
    chain = CTMC.from_rates(
        rates,
        labels={"goal": ["a0"], **{f"level{i}": [f"a{i}", f"b{i}"] for i in range(depth + 1)}},
    )
    formula = lump(chain).explain(f"a{depth}", f"b{depth}").formula
    assert len(formula.nodes) < 4 * depth
    mask = formula.holds_in(chain)
    assert mask[chain.states.index(f"a{depth}")]
    assert not mask[chain.states.index(f"b{depth}")]
