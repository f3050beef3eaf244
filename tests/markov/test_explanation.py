"""Explanations are true by the definition, as short as can be, and the same as text, JSON and HTML."""

from __future__ import annotations

import json
from fractions import Fraction
from html.parser import HTMLParser
from importlib import resources

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Reward, check, lump, read
from lumpability.errors import InvalidInput
from lumpability.markov import explanation
from lumpability.markov.earned_rewards import with_held_rewards
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement.definition import rounds
from lumpability.structure import WeightedStructure

pytestmark = pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")

KINDS = ("ordinary", "exact", "strict", "bisimulation", "proportional")
RATES = [Fraction(1), Fraction(2), Fraction(1, 2), Fraction(3)]
SCHEMA = json.loads(
    resources.files("lumpability").joinpath("schemas/explanation.schema.json").read_text()
)


@st.composite
def chains(draw: st.DrawFn) -> CTMC | DTMC:
    n = draw(st.integers(2, 8))
    state = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(state, state, st.sampled_from(RATES)), max_size=22))
    said = {
        "states": [f"s{i}" for i in range(n)],
        "labels": {"goal": np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))},
    }
    if draw(st.booleans()):
        amounts = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
        said["rewards"] = {"cost": Reward(action=ExactArray.read(amounts)[0])}
    if draw(st.booleans()):
        said["initial"] = f"s{draw(state)}"
    if draw(st.booleans()):
        matrix = WeightedStructure.from_edges(
            n, [s for s, _, _ in edges], [t for _, t, _ in edges], [w for *_, w in edges]
        ) if edges else WeightedStructure.from_edges(n, [0], [1], [1])  # fmt: skip
        return CTMC(matrix, **said)
    sources = {s for s, _, _ in edges}
    edges += [(s, s, Fraction(1)) for s in range(n) if s not in sources]
    rows = np.full((n, n), Fraction(0), dtype=object)
    for s, t, w in edges:
        rows[s, t] += w
    return DTMC(rows.tolist(), normalize=True, **said)


def rounds_of(lumping):
    """All rounds on the states, by the definition."""
    chain, kind = lumping.chain, lumping.notion
    matrices = [condition.matrix for condition in kind.conditions(chain)]
    return list(rounds(matrices, lumping.respected, kind.normal))


def members(group) -> set[int]:
    assert group.size == len(group.first)
    return {int(name[1:]) for name in group.first}


def assert_true(step, lumping, level):
    """A step by the definition: blocks of the level, exact sums, all transitions, and a difference."""
    block, splitter = members(step.block), members(step.splitter)
    blocks = [set(b.tolist()) for b in level]
    assert block in blocks
    assert splitter in blocks
    condition = next(
        c for c in lumping.notion.conditions(lumping.chain) if c.direction == step.direction
    )
    totals = []
    for flow in step.flows:
        state = int(flow.state[1:])
        assert state in block
        row = dict(condition.matrix.explicit().row(state))
        total = sum((w for u, w in row.items() if u in splitter), start=Fraction(0))
        if lumping.kind == "proportional":
            leaving = sum((w for u, w in row.items() if u not in block), start=Fraction(0))
            assert flow.leaving == leaving
            total = total / leaving if leaving else Fraction(0)
        assert flow.total == total
        ends = {u: w for u, w in row.items() if u in splitter}
        out = step.direction == "out"
        shown = {int((t if out else s)[1:]): w for s, t, w in flow.transitions}
        assert {s if out else t for s, t, _ in flow.transitions} <= {flow.state}
        assert shown == ends
        totals.append(total)
    assert totals[0] != totals[1]


@given(chain=chains(), kind=st.sampled_from(KINDS), data=st.data())
@settings(max_examples=150)
def test_an_explanation_is_true_and_as_short_as_can_be(chain, kind, data):
    if kind == "proportional" and isinstance(chain, DTMC):
        return
    lumping = lump(chain, kind=kind)
    rounds = rounds_of(lumping)
    s, t = (data.draw(st.integers(0, chain.n - 1)) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explanation, "_MEMBERS", 100)
        told = lumping.explain(f"s{s}", f"s{t}")
    assert told.together == (lumping.partition.labels[s] == lumping.partition.labels[t])
    assert members(told.block) == set(
        lumping.partition.blocks[lumping.partition.labels[s]].tolist()
    )
    if told.together:
        assert (told.steps, told.ending, told.formula) == ((), None, None)
        assert_table(told, lumping, s, t)
        return
    depth = next(i for i, p in enumerate(rounds) if p.labels[s] != p.labels[t])
    assert len(told.steps) == depth
    pair = (s, t)
    for i, step in enumerate(told.steps):
        assert tuple(int(flow.state[1:]) for flow in step.flows) == pair
        assert_true(step, lumping, rounds[depth - 1 - i])
        splitter = members(step.splitter)
        following = (
            told.steps[i + 1].states if i + 1 < depth else told.ending and told.ending.states
        )
        if following is None:
            assert splitter == set(range(chain.n))
            break
        pair = tuple(int(name[1:]) for name in following)
        assert pair[0] in splitter
        assert pair[1] not in splitter
    if told.ending is not None:
        assert lumping.respected.labels[pair[0]] != lumping.respected.labels[pair[1]]
        assert_ending(told.ending, lumping, pair)


def assert_ending(ending, lumping, pair):
    chain = lumping.chain
    seen = chain
    if isinstance(chain, CTMC) and lumping.kind != "bisimulation":
        seen = with_held_rewards(chain)
    expected = {
        "label:goal": [bool(chain.labels["goal"][s]) for s in pair],
        "initial": None if chain.initial is None else [chain.initial[s] for s in pair],
    }
    if "cost" in chain.rewards:
        expected["reward:cost"] = [tuple(p[s] for p in seen.rewards["cost"].parts) for s in pair]
    assert list(ending.values) == expected[ending.name]
    assert ending.values[0] != ending.values[1]


def assert_table(told, lumping, s, t):
    """Every block that is reached has its row, with the sums of both states."""
    own = set(lumping.partition.blocks[lumping.partition.labels[s]].tolist())
    found = {}
    for condition in lumping.notion.conditions(lumping.chain):
        for block in lumping.partition.blocks:
            inside = set(block.tolist())
            skip = condition.matrix.closed or lumping.kind == "proportional"
            if skip and inside == own:
                continue
            totals = tuple(
                sum((w for u, w in condition.matrix.row(x) if u in inside), start=Fraction(0))
                for x in (s, t)
            )
            if any(totals):
                found[condition.direction, frozenset(inside)] = totals
    assert {(r.direction, frozenset(members(r.block))): r.totals for r in told.table} == found
    for row in told.table:
        if lumping.kind == "proportional":
            sums = [sum(r.totals[i] for r in told.table) for i in (0, 1)]
            assert [row.totals[i] / sums[i] for i in (0, 1)] == [row.share] * 2
        else:
            assert row.totals[0] == row.totals[1]
            assert row.share is None


@given(chain=chains(), kind=st.sampled_from(KINDS), data=st.data())
@settings(max_examples=100)
def test_explanations_are_json_of_their_schema_and_well_formed_html(chain, kind, data):
    if kind == "proportional" and isinstance(chain, DTMC):
        return
    lumping = lump(chain, kind=kind)
    s, t = (data.draw(st.integers(0, chain.n - 1)) for _ in range(2))
    told = lumping.explain(s, t)
    jsonschema.validate(json.loads(json.dumps(told.to_json())), SCHEMA)
    assert told.text == str(told)
    Balanced().feed(told.to_html())
    Balanced().feed(told._repr_html_())


class Balanced(HTMLParser):
    """Fails unless elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_whatever_a_model_calls_things_is_escaped():
    evil = "<script>alert('&')</script>"
    chain = CTMC.from_rates({(evil, "c"): 1, ("b", "c"): 2, ("c", evil): 1}, labels={evil: ["c"]})
    lumping = lump(chain)
    for told in (lumping.explain(evil, "b"), lumping.explain(evil, evil)):
        for text in (told.to_html(), told._repr_html_()):
            assert "<script" not in text
            assert "&lt;script&gt;" in text
    verdict = check(chain, [{evil, "b"}, {"c"}])
    assert "<script" not in verdict.explanation.to_html() + verdict.explanation._repr_html_()


def test_long_lists_are_cut_and_say_so():
    n = 40
    rates = {("a", i): 1 for i in range(n)} | {("b", i): 1 for i in range(n - 1)}
    chain = CTMC.from_rates(rates, labels={"leaf": range(n)})
    told = lump(chain).explain("a", "b")
    assert "a -> 5: 1; ... 34 more)" in str(told)
    assert "… 16 more" in told.to_html()
    assert len(told.to_json()["steps"][0]["flows"][0]["transitions"]) == n
    distinct = CTMC.from_rates(
        {(s, i): 1 for s in "ab" for i in range(n)}, labels={str(i): [i] for i in range(n)}
    )
    told = lump(distinct).explain("a", "b")
    assert str(told).endswith("  ... 16 more blocks")
    assert len(told.table) == n


def test_a_partition_that_was_given_ends_a_chain_of_reasons():
    chain = CTMC.from_rates({("a", "c"): 1, ("b", "d"): 1})
    lumping = lump(chain, within=[{"a", "b", "d"}, {"c"}])
    told = lumping.explain("a", "b")
    assert told.ending.name == "given"
    assert str(told.ending) == "the partition that was given has c and d in different blocks"
    assert told.formula.holds_in(chain).tolist() == [
        (lumping.partition.labels[s] == lumping.partition.labels[0]) for s in range(chain.n)
    ]


def test_sums_over_all_states_end_a_chain_of_reasons_too():
    chain = DTMC([[0, 1, 0], [0, 0, 1], [0, "1/2", "1/2"]])
    told = lump(chain, kind="exact").explain(0, 1)
    assert told.ending is None
    assert len(told.steps) == 1
    assert str(told).startswith(
        "0 and 1 are apart (exact), in 1 step:\n"
        "1. 0 and 1 share the block {0, 1, 2}, but their probabilities from {0, 1, 2} differ\n"
        "     0: 0  (no transitions)\n"
    )
    assert told.formula.holds_in(chain).tolist()[:2] == [True, False]


def test_symbolic_rates_are_explained_as_rational_functions():
    rates = {("a", "c"): "x", ("b", "c"): "y", ("d", "a"): 1, ("e", "b"): 1}
    lumping = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}))
    told = lumping.explain("d", "e")
    assert len(told.steps) == 2
    assert told.formula.holds_in(lumping.chain)[3:].tolist() != [True, True]
    assert told.formula.holds_in(lumping.chain).tolist() == [False, False, False, True, False]


def test_states_are_found_by_name_text_and_number():
    chain = CTMC.from_rates({((0, 1), "b"): 1, ("b", (0, 1)): 2}, labels={"x": ["b"]})
    lumping = lump(chain)
    expected = lumping.explain((0, 1), "b")
    assert lumping.explain("(0, 1)", 1) == expected
    assert lumping.explain(0, "1") == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [("dwon", "there is no state 'dwon'; did you mean down?"), (7, "there is no state '7'$"),
     (-1, "there is no state '-1'$"), ("9" * 30, "there is no state '9999")],
)  # fmt: skip
def test_unknown_states_are_refused_with_what_may_have_been_meant(asked, message):
    lumping = lump(CTMC.from_rates({("up", "down"): 1}, labels={"x": ["up"]}))
    with pytest.raises(InvalidInput, match=message):
        lumping.explain("up", asked)
    unnamed = lump(CTMC([[0, 1], [0, 0]], labels={"x": [0]}))
    with pytest.raises(InvalidInput, match=r"; states are 0 \.\. 1"):
        unnamed.explain(0, 2)


@given(chain=chains(), kind=st.sampled_from(KINDS), data=st.data())
@settings(max_examples=100)
def test_a_verdict_shows_the_transitions_behind_its_sums(chain, kind, data):
    if kind == "proportional" and isinstance(chain, DTMC):
        return
    labels = data.draw(st.lists(st.integers(0, 2), min_size=chain.n, max_size=chain.n))
    partition = Partition(np.array(labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explanation, "_MEMBERS", 100)
        verdict = check(chain, partition, kind=kind)
    if verdict:
        assert verdict.explanation is None
        return
    step, witness = verdict.explanation, verdict.witness
    assert [flow.total for flow in step.flows] == [witness.total, witness.other_total]
    lumping = lump(chain, kind=kind)
    assert_true(step, lumping, partition)
    assert json.loads(json.dumps(step.to_json()))["direction"] == witness.direction
    Balanced().feed(step.to_html())
    assert str(step).startswith(step.claim)


@pytest.mark.parametrize("name", ["embedded8", "polling10"])
def test_explanations_of_real_chains_hold(shared_file, name):
    chain = read(shared_file(f"chains/{name}.npz"))
    lumping = lump(chain)
    rng = np.random.default_rng(5)
    blocks = lumping.respected.blocks
    largest = blocks[int(np.argmax(blocks.sizes))]
    for s, t in rng.choice(largest, (10, 2)).tolist():
        told = lumping.explain(s, t)
        assert told.together == (lumping.partition.labels[s] == lumping.partition.labels[t])
        if not told.together:
            mask = told.formula.holds_in(chain)
            assert mask[s]
            assert not mask[t]
            first = lumping.partition.representatives[lumping.partition.labels]
            assert np.array_equal(mask, mask[first])


def test_a_number_is_no_state_among_names_that_are_numbers():
    chain = CTMC.from_rates({("00", "01"): 1, ("01", "10"): 1}, labels={"x": ["10"]})
    for text in ("0", "000", "1", "5"):
        with pytest.raises(InvalidInput, match="there is no state"):
            lump(chain).explain("00", text)
    letters = CTMC.from_rates({("a", "b"): 1, ("b", "c"): 1}, labels={"x": ["c"]})
    assert lump(letters).explain("a", "1") == lump(letters).explain("a", "b")
    with pytest.raises(InvalidInput, match="there is no state '01'"):
        lump(letters).explain("a", "01")


def test_a_block_has_one_name_in_the_lumping_and_in_explanations():
    names = [f"m1={a},m2={b}" for a in "01" for b in "01"]
    rates = {(s, t): 1 + (s < t) for s, t in [(0, 1), (0, 2), (1, 3), (2, 3), (3, 1), (3, 2)]}
    chain = CTMC.from_rates(
        {(names[s], names[t]): rate for (s, t), rate in rates.items()},
        labels={"none": [names[0]], "both": [names[3]]},
    )
    lumping = lump(chain)
    name = lumping.quotient.states[lumping.block_of(names[1])]
    told = lumping.explain(names[1], names[2])
    assert str(told.block) == f"{{{name}}}" == "{m1..m2: once 0, once 1}"
    assert told.block.to_json() == {"size": 2, "first": [names[1], names[2]]}
