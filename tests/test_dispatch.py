"""The verbs: their options, which models have which, what mypy infers, and kinds and engines of others."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lumpability
from lumpability import CTMC, DTMC, Network, Partition, check, lump, read, write
from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov.kinds.exact import Exact
from lumpability.markov.kinds.kind import Condition, Kind
from lumpability.quotient import Stats, collapse
from lumpability.refinement import definition
from lumpability.symbolic import prove
from lumpability.tables import lump_table
from lumpability.testing import assert_same_function, lumpable_networks, networks, partitions
from lumpability.vocabulary import FORMER

CHAIN = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
TWINS = Network.dense([([[1, 2, 1]], [1, 2, 1], "relu"), ([[1], [1], [1]], None, None)])

USED = """
from lumpability import CTMC, Network, check, lump, read

chain = CTMC([[0, 1], [1, 0]])
network = Network.dense([([[1, 2]], None, "relu")])
reveal_type(lump(chain))
reveal_type(lump(network))
reveal_type(lump(chain, kind="exact", respect=["a"], within=[0, 1], engine="rounds"))
reveal_type(lump(network, kind="exact", exact_weights=True, antiparallel=True, engine="columns"))
reveal_type(check(chain, [0, 1], factors=[1, 2]))
reveal_type(lump(read("chain.drn", constants="N=3")))
lump(chain, dtype="float32")
lump(network, respect=())
lump(chain, initial=[0, 1])
check(network, [0, 1], factors=[1])
read("chain.drn", literal=True)
lump(chain, engine="reference")
"""
REVEALED = [
    "lumpability.markov.lumping.Lumping",
    "lumpability.networks.lumping.NetworkLumping | lumpability.networks.graph.reduce.GraphLumping",
    "lumpability.markov.lumping.Lumping",
    "lumpability.networks.lumping.NetworkLumping",
    "lumpability.quotient.Verdict",
    (
        "lumpability.markov.lumping.Lumping | lumpability.networks.lumping.NetworkLumping | "
        "lumpability.networks.graph.reduce.GraphLumping"
    ),
]


def _union(revealed: str) -> str:
    """Return a union as newer versions of mypy show it."""
    inside = re.fullmatch(r"Union\[(.*)\]", revealed)
    return revealed if inside is None else inside[1].replace(", ", " | ")


@pytest.mark.slow
def test_mypy_infers_the_lumping_of_each_wing_and_knows_the_options(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "used.py").write_text(USED)
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "used.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(Path(lumpability.__file__).parent.parent), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    revealed = re.findall(r'note: Revealed type is "(.*)"', result.stdout)
    assert [_union(one) for one in revealed] == REVEALED
    first = USED.splitlines().index('lump(chain, dtype="float32")') + 1
    wrong = {int(line) for line in re.findall(r"used.py:(\d+): error", result.stdout)}
    assert wrong == {*range(first, first + 6)}, result.stdout


def keywords(verb: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(verb).parameters
    return {name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}


@pytest.mark.parametrize("verb", [lump, check, read, write])
def test_a_verb_shows_and_documents_every_option_and_takes_no_others(verb: Any) -> None:
    parameters = inspect.signature(verb).parameters.values()
    assert not any(one.kind is one.VAR_KEYWORD for one in parameters)
    document = inspect.getdoc(verb) or ""
    for name in keywords(verb):
        assert re.search(rf"^{name} : ", document, flags=re.MULTILINE), f"{name} is not documented"


@pytest.mark.parametrize("verb", [lump, check])
def test_the_options_of_a_verb_are_those_of_its_overloads(verb: Any) -> None:
    from typing import get_overloads

    listed = [set(keywords(one)) for one in get_overloads(inspect.unwrap(verb))]
    assert set().union(*listed) == set(keywords(verb))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lump(CHAIN, dtype="float32"), "lump of a CTMC .*'dtype', which is for networks: "),
        (lambda: lump(TWINS, respect=()), "lump of a Network .*'respect', which is for chains: "),
        (lambda: lump(CHAIN, colour=1), "lump of a CTMC has no option 'colour': it has kind, "),
        (lambda: check(TWINS, [0, 0, 0, 1], factors=[1]), "'factors', which is for chains: "),
        (lambda: check(CHAIN, [0, 0, 1], antiparallel=True), "'antiparallel', which is for net"),
        (
            lambda: read("c.drn", literal=True),
            "read has no option 'literal': it has float_tolerance, ",
        ),
        (
            lambda: write(CHAIN, "c.drn", digits=3),
            "write has no option 'digits': it has value_type",
        ),
        (lambda: lump(CTMC), "cannot lump a ABCMeta: give a CTMC, a DTMC or a Network"),
        (lambda: lump(CHAIN, kind=["exact"]), "unknown kind"),
        (lambda: lump(CHAIN, kind=Exact), "give an object of the kind"),
        (lambda: lump("net.onnx"), r"or a torch module with an example; read\(path\) reads a file"),
        (lambda: lump([[0, 1]]), "cannot lump a list: give a CTMC, a DTMC or a Network"),
        (lambda: check({}, []), "cannot check a dict: give a CTMC, a DTMC or a Network"),
        (lambda: lump(CHAIN, kind="ordinari"), "did you mean 'ordinary'"),
        (lambda: lump(TWINS, kind="strict"), "unknown kind 'strict': choose one of proportional"),
        (lambda: lump(TWINS, engine="quick"), "unknown engine 'quick': choose one of auto, def"),
    ],
)
def test_what_a_verb_does_not_know_is_refused_with_what_it_knows(call: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "present"),
    [
        (lambda: lump(CHAIN, initial=[0, 0, 1]), "within"),
        (lambda: lump(TWINS, initial=[0, 0, 1]), "within"),
        (lambda: lump(TWINS, strict=True), "exact_weights"),
        (lambda: check(CHAIN, [0, 0, 1], kappa=[1, 1, 1]), "factors"),
        (lambda: read("net.nnet", normalise=False), "fold_scaling"),
        (lambda: read("net.drn", tolerance=0), "float_tolerance"),
        (lambda: lump_table("edges.parquet", tolerance=0), "float_tolerance"),
        (lambda: CTMC([[0, 1], [1, 0]], tolerance=0), "float_tolerance"),
        (lambda: CTMC.from_rates({(0, 1): 1}, tolerance=0), "float_tolerance"),
        (lambda: CTMC.from_function(lambda s: {s: 1}, 0, tolerance=0), "float_tolerance"),
        (lambda: write(CHAIN, "c.drn", doubles=True), "value_type"),
        (lambda: lump(CHAIN, engine="reference"), "definition"),
        (lambda: lump(TWINS, engine="structure"), "definition"),
    ],
)
def test_a_former_word_is_refused_with_the_present_one(call: Any, present: str) -> None:
    with pytest.raises(InvalidInput, match=f"it is called '{present}' now"):
        call()


@pytest.mark.parametrize("owner", ["Lumping", "NetworkLumping", "Stats"])
def test_a_former_attribute_is_missing_and_the_present_one_is_named(owner: str) -> None:
    for value in (lump(CHAIN), lump(TWINS), lump(CHAIN).stats):
        if type(value).__name__ == owner:
            for former, present in FORMER[owner].items():
                assert not hasattr(value, former)
                with pytest.raises(AttributeError, match=f"it is called '{present}' now"):
                    getattr(value, former)
            with pytest.raises(AttributeError, match=r"no attribute 'nothing'$"):
                _ = value.nothing


def test_lumpings_of_both_wings_have_the_same_words() -> None:
    for lumping in (lump(CHAIN), lump(TWINS)):
        assert isinstance(lumping.kind, str)
        assert isinstance(lumping.stats, Stats)
        assert lumping.stats.blocks == len(lumping.partition)
        assert lumping.stats.states == lumping.partition.n
        assert lumping.stats.respected_blocks == len(lumping.respected)
        assert lumping.stats.seconds > 0
        assert "exactly" in lumping.stats.proof
        assert lumping.partition.refines(lumping.respected)
        assert lump(lumping.quotient, kind=lumping.kind).stats.blocks == lumping.stats.blocks
    assert lump(TWINS).factors[0] == [1, 2, 1]


@pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
def test_names_of_labels_and_rewards_are_ignored() -> None:
    chain = CTMC(
        [[0, 1, 0], [1, 0, 0], [0, 1, 0]],
        labels={"up": [0], "x": [2]},
        rewards={"x": [1, 2, 1]},
        initial=0,
    )
    for kind in ("ordinary", "exact"):
        everything = {"labels", "rewards"} | ({"initial"} if kind == "exact" else set())
        for ignored, left in (
            ("up", {"label:x", "reward:x"}),
            (["label:x"], {"label:up", "reward:x"}),
            ("x", {"label:up"}),
            ("labels", {"reward:x"}),
            (["labels", "rewards"], set()),
        ):
            wanted = left | (everything & {"initial"})
            found = lump(chain, kind=kind, ignore=ignored)
            assert found.partition == lump(chain, kind=kind, respect=wanted).partition
    assert lump(chain, kind="exact", ignore="initial", respect=["initial"]).partition.n == 3
    with pytest.raises(
        InvalidInput, match="there is no 'y' to ignore; the chain has label:up, label:x"
    ):
        lump(chain, ignore="y")


class RowClasses(Kind):
    """Equal sums coming in from every block, written by somebody else."""

    name = "incoming"
    preserves = "nothing that is claimed here"

    def identity(self, chain: Any) -> str:
        return "D P = P^ D"

    def conditions(self, chain: Any) -> list[Condition]:
        return [Condition(chain.matrix.transposed, "in")]

    def quotient(self, chain: Any, conditions: Any, partition: Partition) -> Any:
        return collapse(chain.matrix, partition)


def test_a_kind_of_ones_own_lumps_checks_and_explains_but_has_no_certificate() -> None:
    chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
    lumping = lump(chain, kind=RowClasses())
    assert lumping.partition == lump(chain, kind="exact").partition == Partition([0, 1, 1])
    assert (lumping.kind, type(lumping.notion)) == ("incoming", RowClasses)
    assert check(chain, lumping.partition, kind=RowClasses())
    assert str(check(chain, [0, 0, 1], kind=RowClasses())).startswith(
        "not incoming: states 0 and 1"
    )
    assert lumping.explain(1, 2).together
    assert not lumping.explain(0, 1).together
    assert "incoming" in lumping.player().html
    for asked in (lumping.certificate, lambda: prove(lumping)):
        with pytest.raises(NotJustified, match="'incoming' is your own"):
            asked()
    assert lump(chain, kind=Exact()).certificate().verify(chain)


def test_an_engine_of_ones_own_is_asked_in_both_wings() -> None:
    asked = []

    def mine(structures: Any, within: Partition, normal: Any) -> Partition:
        asked.append(normal)
        return definition.refine(structures, within, normal)

    for model in (CHAIN, TWINS):
        found = lump(model, engine=mine)
        assert found.partition == lump(model).partition
        assert found.stats.engine == "mine"
    assert len(asked) == 2


def test_a_network_is_lumped_within_a_partition_of_its_neurons() -> None:
    lumping = lump(TWINS, within={0: [{0, 2}, {1}]})
    assert lumping.partition == Partition([0, 1, 0, 2])
    assert lumping.respected == Partition([0, 1, 0, 2])
    assert lump(TWINS, within=[0, 1, 0, 2]).partition == lumping.partition
    assert lump(TWINS, within=[0, 0, 0, 1]).partition == lump(TWINS).partition
    assert lump(TWINS, within={1: [{0}]}).partition == lump(TWINS).partition
    for point in ([1.0], [-2.0]):
        assert lumping.quotient.exact(point).tolist() == TWINS.exact(point).tolist()
    assert np.all(lumping.quotient([3]) == TWINS([3]))
    assert "within which the network was lumped" in str(lumping.explain("0:0", "0:1"))
    with pytest.raises(NotJustified, match="within="):
        lumping.certificate()
    with pytest.raises(InvalidInput, match="another layer"):
        lump(TWINS, within=[0, 0, 0, 0])


def test_progress_is_told_in_both_wings() -> None:
    told: list[tuple[int, int]] = []
    lump(TWINS, progress=lambda blocks, units: told.append((blocks, units)))
    assert told == [(1, 3), (2, 4)]
    told.clear()
    lump(CHAIN, engine="rounds", progress=lambda blocks, states: told.append((blocks, states)))
    assert {states for _, states in told} == {3}


@given(data=st.data(), kind=st.sampled_from(["proportional", "exact"]))
def test_a_network_lumped_within_a_partition_refines_it_and_computes_the_same_function(
    data: st.DataObject, kind: str
) -> None:
    network = data.draw(st.one_of(networks(), lumpable_networks().map(lambda drawn: drawn[0])))
    free = lump(network, kind=kind)
    within = data.draw(partitions(states=free.partition.n)).meet(free.respected)
    found = lump(network, kind=kind, within=within)
    assert found.respected == within
    assert found.partition.refines(within)
    assert found.partition.refines(free.partition)
    assert check(network, found.partition, kind=kind)
    assert_same_function(network, found.quotient)
    assert lump(network, kind=kind, within=found.partition).partition == found.partition
