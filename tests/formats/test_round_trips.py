"""Writing a chain and reading it gives the same chain, up to what each format says it cannot hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Reward, formats, lump
from lumpability.errors import FormatError, InvalidInput, TrivialLumping
from lumpability.formats.assembly import LossyWrite, uniform_over
from lumpability.formats.networkx_format import from_networkx, to_networkx
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.testing import ctmcs, labelled

# Names with everything that has a meaning in some format.
names = st.text(
    st.sampled_from("ab1_ \t\n\"'!#$:;,()[]{}=/\\@%éΩ𝔸")
    | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=6,
).filter(lambda name: name != "init")
numbers = st.integers(10, 10**6) | st.integers(-(10**30), 10**30)
positive = st.fractions(Fraction(1, 50), 50, max_denominator=60) | st.fractions(
    Fraction(1, 10**30), 10**30
).filter(lambda x: x > 0)
amounts = positive | st.just(Fraction(0)) | positive.map(lambda x: -x)


@st.composite
def chains(draw: st.DrawFn) -> MarkovChain:
    n = draw(st.integers(0, 5))
    states = range(n)
    pairs = [(s, u) for s in states for u in states]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=8)) if pairs else []
    weights = {pair: draw(positive) for pair in chosen}
    kind: type[MarkovChain] = draw(st.sampled_from([CTMC, DTMC]))
    if kind is DTMC:
        for s in states:
            weights.setdefault((s, (s + 1) % n), draw(positive))
        totals = [sum(w for (s, _), w in weights.items() if s == row) for row in states]
        weights = {(s, u): w / totals[s] for (s, u), w in weights.items()}
    matrix = [[weights.get((s, u), Fraction(0)) for u in states] for s in states]
    vectors = st.lists(amounts, min_size=n, max_size=n).map(lambda x: ExactArray.read(x)[0])
    rewards = st.tuples(vectors | st.none(), vectors | st.none()).filter(
        lambda p: p != (None, None)
    )
    name = draw(st.sampled_from([None, names, numbers, names | numbers])) if n else None
    initial = None
    if n and draw(st.booleans()):
        shares = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
        initial = [Fraction(share, sum(shares)) for share in shares]
    return kind(
        matrix,
        states=None if name is None else draw(st.lists(name, min_size=n, max_size=n, unique=True)),
        labels=draw(
            st.dictionaries(
                names, st.sets(st.sampled_from(states)) if n else st.just(set()), max_size=3
            ).map(lambda d: {k: np.isin(np.arange(n), list(v)) for k, v in d.items()})
        ),
        rewards={
            k: Reward(*p) for k, p in draw(st.dictionaries(names, rewards, max_size=3)).items()
        },
        initial=initial,
    )


def changed(chain: MarkovChain, **changes: Any) -> MarkovChain:
    attributes = {
        "states": list(chain.states) if chain.states.named else None,
        "labels": chain.labels,
        "rewards": chain.rewards,
        "initial": chain.initial,
        **changes,
    }
    return type(chain)(chain.matrix, **attributes)


def with_marks_only(chain: MarkovChain) -> dict[str, Any]:
    """What is left of the initial distribution in formats that mark states."""
    if chain.initial is None:
        return {}
    return {"initial": uniform_over(np.array([x != 0 for x in chain.initial], dtype=bool))}


def texts_of(chain: MarkovChain) -> list[str] | None:
    if not chain.states.named:
        return None
    texts = [str(name) for name in chain.states]
    return texts if len(set(texts)) == len(texts) else None


def with_text_names(chain: MarkovChain) -> dict[str, Any]:
    texts = texts_of(chain)
    return {"states": None if any("\n" in name for name in texts or ()) else texts}


def in_json(chain: MarkovChain) -> MarkovChain:
    return chain


def in_umb(chain: MarkovChain) -> MarkovChain:
    return changed(chain, states=texts_of(chain))


def in_drn(chain: MarkovChain) -> MarkovChain:
    def kept(reward: Reward) -> Reward:
        zero = ExactArray.constant(Fraction(0), chain.n)
        state, action = (
            None if part is None or part.equals(zero) else part
            for part in (reward.state, reward.action)
        )
        return Reward(zero if state is None and action is None else state, action)

    rewards = {name: kept(reward) for name, reward in chain.rewards.items()}
    return changed(chain, rewards=rewards, **with_text_names(chain), **with_marks_only(chain))


def in_tra(chain: MarkovChain) -> MarkovChain:
    leaving = np.diff(chain.matrix.indptr) > 0

    def kept(reward: Reward) -> Reward:
        if reward.action is None:
            return reward
        earned = [
            x if leaves else Fraction(0) for x, leaves in zip(reward.action, leaving, strict=True)
        ]
        return Reward(reward.state, ExactArray.read(earned)[0])

    rewards = {name: kept(reward) for name, reward in chain.rewards.items()}
    return changed(chain, rewards=rewards, **with_text_names(chain), **with_marks_only(chain))


FORMATS: dict[str, Callable[[MarkovChain], MarkovChain]] = {
    ".json": in_json,
    ".json.gz": in_json,
    ".npz": in_json,
    ".drn": in_drn,
    ".drn.gz": in_drn,
    ".tra": in_tra,
    ".umb": in_umb,
}


def contents(chain: MarkovChain) -> dict[str, Any]:
    """All of a chain in plain Python, so that a failing comparison shows the difference."""

    def plain(numbers: ExactArray | None) -> list[str] | None:
        return None if numbers is None else [str(x) for x in numbers]

    return {
        "type": type(chain).__name__,
        "states": list(chain.states) if chain.states.named else chain.n,
        "rows": [[(u, str(w)) for u, w in chain.matrix.row(s)] for s in range(chain.n)],
        "labels": {name: mask.tolist() for name, mask in chain.labels.items()},
        "rewards": {k: (plain(r.state), plain(r.action)) for k, r in chain.rewards.items()},
        "initial": plain(chain.initial),
    }


def refused(chain: MarkovChain, path: Path) -> str:
    """Write a chain; return why the format refuses it, if it does."""
    try:
        formats.write(chain, path)
    except FormatError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("suffix", FORMATS)
@given(chain=chains())
def test_reading_what_was_written_gives_the_same_chain(
    suffix: str, chain: MarkovChain, tmp_path_factory: pytest.TempPathFactory
):
    if suffix == ".umb":
        pytest.importorskip("umbi")
    path = tmp_path_factory.mktemp("chain") / f"chain{suffix}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LossyWrite)
        refusal = refused(chain, path)
    if refusal:
        assert suffix not in (".json", ".json.gz", ".npz")
        assert "cannot be written" in refusal or "without states" in refusal
        assert list(path.parent.iterdir()) == []
        return
    read = formats.read(path, **({"type": type(chain).__name__} if suffix == ".tra" else {}))
    expected = FORMATS[suffix](chain)
    assert contents(read) == contents(expected)
    assert read.equals(expected)
    assert read.reading.distinct == 0  # everything was written exactly
    if not caught:
        assert contents(read)["initial"] == contents(chain)["initial"]


@pytest.mark.parametrize("suffix", [s for s in FORMATS if s != ".umb" or find_spec("umbi")])
@given(chain=labelled(ctmcs(min_states=2, max_states=5), max_labels=1))
def test_the_quotient_of_a_chain_named_by_integers_is_read_as_it_was_written(
    suffix: str, chain: CTMC, tmp_path_factory: pytest.TempPathFactory
):
    # Blocks of one keep their integer, others are texts.
    numbered = changed(chain, states=range(chain.n), initial=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrivialLumping)
        quotient = lump(numbered).quotient
    path = tmp_path_factory.mktemp("chain") / f"chain{suffix}"
    formats.write(quotient, path)
    read = formats.read(path, **({"type": "ctmc"} if suffix == ".tra" else {}))
    assert contents(read) == contents(FORMATS[suffix](quotient))
    assert read.equals(FORMATS[suffix](quotient))


@pytest.mark.parametrize("suffix", [s for s in FORMATS if s != ".umb" or find_spec("umbi")])
@pytest.mark.parametrize("names", [(1, "1"), ((0, 1), "(0, 1)")])
def test_names_that_are_the_same_as_text_are_left_out_where_they_become_text(
    suffix: str, names: tuple[Any, Any], tmp_path: Path
):
    chain = CTMC([[0, 1], [2, 0]], states=names)
    path = tmp_path / f"chain{suffix}"
    if suffix in (".json", ".json.gz", ".npz") and names[0] == 1:
        formats.write(chain, path)
        assert formats.read(path).equals(chain)
    else:
        with pytest.warns(LossyWrite, match="two state names are the same as text"):
            formats.write(chain, path)
        read = formats.read(path, **({"type": "ctmc"} if suffix == ".tra" else {}))
        assert read.equals(changed(chain, states=None))


@given(chain=chains())
def test_networkx_graphs_hold_the_same_chain(chain: MarkovChain):
    pytest.importorskip("networkx")
    assert from_networkx(to_networkx(chain)).equals(chain)


@pytest.mark.parametrize("suffix", [s for s in FORMATS if s != ".umb" or find_spec("umbi")])
def test_what_a_format_cannot_hold_is_said_in_a_warning(suffix: str, tmp_path: Path):
    chain = CTMC.from_rates({("a", "b"): 1}, initial={"a": "1/4", "b": "3/4"})
    path = tmp_path / f"chain{suffix}"
    if suffix in (".tra", ".drn", ".drn.gz"):
        with pytest.warns(LossyWrite, match="2 initial states but cannot hold their probabilities"):
            formats.write(chain, path)
        assert (
            list(formats.read(path, **({"type": "ctmc"} if suffix == ".tra" else {})).initial)
            == [Fraction(1, 2)] * 2
        )
    else:
        formats.write(chain, path)
        assert formats.read(path).equals(chain)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_label_called_init_is_not_mistaken_for_initial_states(suffix: str, tmp_path: Path):
    chain = CTMC.from_rates({("a", "b"): 1}, labels={"init": ["b"]}, initial="a")
    path = tmp_path / f"chain{suffix}"
    if suffix in (".json", ".json.gz"):
        formats.write(chain, path)
        assert formats.read(path).equals(chain)
    else:
        with pytest.raises(FormatError, match="the label 'init' marks the initial states"):
            formats.write(chain, path)


@pytest.mark.parametrize("suffix", [".drn", ".json", ".npz"])
def test_parameters_are_kept(suffix: str, tmp_path: Path):
    chain = CTMC.from_rates(
        {("a", "b"): "lam/3 + 1/7", ("b", "a"): "2*mu**2", ("b", "b"): "1/2"},
        labels={"ok": ["a"]},
        rewards={"cost": {"a": "lam"}, "time": {"a": 1, "b": 1}},
        initial="a",
    )
    formats.write(chain, tmp_path / f"chain{suffix}")
    assert formats.read(tmp_path / f"chain{suffix}").equals(chain)


@pytest.mark.parametrize("suffix", [".tra", ".umb"])
def test_parameters_are_refused_where_the_format_has_none(suffix: str, tmp_path: Path):
    chain = CTMC.from_rates({("a", "b"): "lam"})
    with pytest.raises(FormatError, match="no parameters"):
        formats.write(chain, tmp_path / f"chain{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
def test_numbers_beyond_every_double_are_kept_where_numbers_are_exact(suffix: str, tmp_path: Path):
    if suffix == ".umb":
        pytest.importorskip("umbi")
    chain = CTMC([[0, Fraction(10**400)], [Fraction(1, 10**400), 0]], rewards={"r": [10**350, 1]})
    path = tmp_path / f"chain{suffix}"
    formats.write(chain, path)
    assert formats.read(path).equals(chain)
    if suffix in (".drn", ".tra", ".umb"):
        before = path.read_bytes()
        with pytest.raises(FormatError, match=r"cannot be written: .* beyond"):
            formats.write(chain, path, value_type="double")
        assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".drn", ".tra", ".json", ".umb"])
def test_names_that_are_no_text_are_refused(suffix: str, tmp_path: Path):
    if suffix == ".umb":
        pytest.importorskip("umbi")
    chain = CTMC([[0, 1], [2, 0]], states=["a", "\ud800"])
    path = tmp_path / f"chain{suffix}"
    with pytest.raises(FormatError, match=r"'\\ud800', which is not a character"):
        formats.write(chain, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".drn", ".tra", ".json", ".npz", ".umb"])
def test_long_numbers_are_read_back(suffix: str, tmp_path: Path):
    if suffix == ".umb":
        pytest.importorskip("umbi")
    primes = [p for p in range(2, 2400) if all(p % q for q in range(2, 50) if q < p)]
    long = sum((Fraction(1, p) for p in primes), start=Fraction(0))
    chain = CTMC([[0, long], [Fraction(10**6000 + 1, 7), 0]])
    formats.write(chain, tmp_path / f"chain{suffix}")
    assert formats.read(tmp_path / f"chain{suffix}").equals(chain)


@pytest.mark.parametrize("name", ["a\0", "\ud800"])
def test_npz_refuses_names_that_it_would_change(name: str, tmp_path: Path):
    for chain in (
        CTMC([[0, 1], [2, 0]], states=["a", name]),
        CTMC([[0, 1], [2, 0]], labels={name: [0]}),
    ):
        with pytest.raises(InvalidInput, match=r"zero character|half a character"):
            formats.write(chain, tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", [r'{"format": "\ud800"}', r'{"go\udc00al": 1}', r'{"a": ["\ud83d\ud83d\ude00"]}']
)
def test_halves_of_characters_in_json_are_refused(text: str, tmp_path: Path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError, match="half a character"):
        formats.read(tmp_path / "a.json")
