"""The digest of a chain: the same for the same chain however it is stored, another for another."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Reward, read, write
from lumpability.certificate.digest import Digest
from lumpability.numbers.exact_array import ExactArray
from lumpability.structure import WeightedStructure
from lumpability.testing import ctmcs, dtmcs, labelled

SHARED = ["brp64_5", "embedded8", "herman11", "polling10", "tandem127"]


@given(chain=labelled(st.one_of(ctmcs(), dtmcs())))
def test_equal_content_has_an_equal_digest_whatever_the_order_of_numbers(chain) -> None:
    values = chain.matrix.weights.values
    order = np.arange(len(values))[::-1]
    weights = ExactArray(
        (len(values) - 1 - chain.matrix.weights.codes.astype(np.int64)).astype(np.uint8),
        tuple(values[i] for i in order),
    )
    matrix = WeightedStructure(
        chain.matrix.indptr, chain.matrix.indices, weights, chain.matrix.within
    )
    other = chain.rebuilt(
        matrix,
        labels=dict(reversed(chain.labels.items())),
        rewards=chain.rewards,
        initial=chain.initial,
    )
    assert Digest.of(other) == Digest.of(chain)
    assert Digest.of(other).overall == Digest.of(chain).overall
    assert Digest.of(chain).difference(Digest.of(other)) is None


@given(
    chain=labelled(ctmcs(min_states=2)),
    amount=st.sampled_from(["1", "1/1000000007"]),
    data=st.data(),
)
def test_any_change_of_a_rate_changes_the_digest(chain, amount, data) -> None:
    rows = [[dict(chain.matrix.row(s)).get(u, 0) for u in range(chain.n)] for s in range(chain.n)]
    s, u = data.draw(st.tuples(st.integers(0, chain.n - 1), st.integers(0, chain.n - 1)))
    rows[s][u] += Fraction(amount)
    other = CTMC(rows, labels=chain.labels, rewards=chain.rewards, initial=chain.initial)
    assert Digest.of(chain).matrix != Digest.of(other).matrix


def test_no_part_of_a_chain_passes_for_another() -> None:
    matrix = [[0, 1], [1, 0]]
    held, left = (ExactArray.read([0, 1])[0] for _ in range(2))
    chains = [
        CTMC(matrix),
        DTMC(matrix),
        CTMC([[0, 1], [1, 1]]),
        CTMC(matrix, labels={"a": [0]}),
        CTMC(matrix, labels={"a": [1]}),
        CTMC(matrix, labels={"b": [0]}),
        CTMC(matrix, labels={"a": [0], "b": [0]}),
        CTMC(matrix, labels={"a\nlabel b": [0]}),
        CTMC(matrix, rewards={"a": Reward(state=held)}),
        CTMC(matrix, rewards={"a": Reward(action=left)}),
        CTMC(matrix, rewards={"a": Reward(state=held, action=left)}),
        CTMC(matrix, initial=0),
        CTMC(matrix, initial=1),
    ]
    for one, other in combinations(map(Digest.of, chains), 2):
        assert one.overall != other.overall
        assert one.difference(other) is not None
        assert other.difference(one) is not None


def test_a_difference_is_told_by_the_first_part_that_differs() -> None:
    rewards = {"toll": Reward(action=ExactArray.read([0, 1])[0])}
    chain = CTMC([[0, 1], [1, 0]], labels={"up": [0]}, rewards=rewards, initial=0)
    cost = {"cost": rewards["toll"]}
    held = {"toll": Reward(state=ExactArray.read([0, 1])[0])}
    others = {
        "type: CTMC expected, DTMC found": DTMC(chain.matrix),
        "states: 2 expected, 1 found": CTMC([[0]]),
        "transitions: 2 expected, 1 found": CTMC([[0, 1], [0, 0]]),
        "among the labels 'up' is missing": CTMC(chain.matrix, rewards=rewards),
        "among the labels 'up' differs": CTMC(chain.matrix, labels={"up": [1]}),
        "among the labels 'on' is not expected": CTMC(chain.matrix, labels={"on": [0], "up": [0]}),
        "among the rewards 'toll' is missing": CTMC(chain.matrix, labels=chain.labels),
        "among the rewards 'toll' differs": CTMC(chain.matrix, labels=chain.labels, rewards=held),
        "among the rewards 'cost' is not expected": CTMC(
            chain.matrix, labels=chain.labels, rewards=rewards | cost
        ),
        "matrix differs": chain.rebuilt(
            CTMC([[0, 2], [1, 0]]).matrix, labels=chain.labels, rewards=rewards, initial=0
        ),
        "initial differs": CTMC(chain.matrix, labels=chain.labels, rewards=rewards, initial=1),
    }
    for reason, other in others.items():
        assert Digest.of(chain).difference(Digest.of(other)) == reason
    without_start = CTMC(chain.matrix, labels=chain.labels, rewards=rewards)
    assert Digest.of(without_start).difference(Digest.of(chain)) == "initial differs"
    assert Digest.of(chain).difference(Digest.of(without_start)) == "initial differs"


def sha(sort: str, *pieces: bytes) -> str:
    return hashlib.sha256(b"".join([f"lumpability {sort} 1\n".encode(), *pieces])).hexdigest()


def whole(size: int, *numbers: int) -> bytes:
    return b"".join(number.to_bytes(size, "little") for number in numbers)


def test_a_digest_is_the_one_that_the_format_describes() -> None:
    """Byte by byte: certificates that are kept must still be about their chains in later versions."""
    held, left = (ExactArray.read(list(v))[0] for v in ((1, 2, 1), ("31/2", 0, 0)))
    chain = CTMC.from_rates(
        {(0, 1): "1/3", (0, 2): 17, (1, 2): "1/3", (2, 0): 5},
        states=range(3),
        labels={"up": [0, 2], "é": [1]},
        rewards={"b": Reward(state=held, action=left), "a": Reward(action=left)},
        initial=1,
    )
    found = Digest.of(chain)
    # As texts in hexadecimal 11/1 < 1/3 < 5/1 are in another order: "1/3", "11/1", "5/1".
    matrix = [b"3 4\n", whole(8, 2, 1, 1), whole(4, 1, 2, 2, 0)]
    matrix += [b"4 3\n", b"1/3\n11/1\n5/1\n", whole(4, 0, 1, 0, 2)]
    assert found.matrix == sha("matrix", *matrix)
    assert found.labels == {"up": sha("label", b"3\n", b"\xa0"), "é": sha("label", b"3\n", b"\x40")}
    state = [b"state\n", b"3 2\n", b"1/1\n2/1\n", whole(4, 0, 1, 0)]
    action = [b"action\n", b"3 2\n", b"0/1\n1f/2\n", whole(4, 1, 0, 0)]
    assert found.rewards == {
        "a": sha("reward", b"-\n", *action),
        "b": sha("reward", *state, *action),
    }
    assert found.initial == sha("initial", b"3 2\n", b"0/1\n1/1\n", whole(4, 0, 1, 0))
    lines = ["CTMC 3 4", f"matrix {found.matrix}"]
    for sort, hashes in (("label", found.labels), ("reward", found.rewards)):
        lines += sorted(f"{sort} {sha('name', name.encode())} {h}" for name, h in hashes.items())
    lines.append(f"initial {found.initial}")
    assert found.overall == sha("chain", "\n".join(lines).encode())


def test_a_rational_function_is_hashed_as_two_sums_of_monomials() -> None:
    chain = CTMC.from_rates({(0, 1): "(2*x*y**2 + 3)/(4*x + 2*y)", (1, 0): "x/2"})
    above, below = "3/2+1/1*x^1*y^2", "2/1*x^1+1/1*y^1"
    texts = sorted([f"({above})/({below})", "(1/2*x^1)/(1/1)"])
    place = texts.index(f"({above})/({below})")
    numbers = [
        b"2 2\n",
        "".join(f"{text}\n" for text in texts).encode(),
        whole(4, place, 1 - place),
    ]
    matrix = [b"2 2\n", whole(8, 1, 1), whole(4, 1, 0), *numbers]
    assert Digest.of(chain).matrix == sha("matrix", *matrix)


def test_a_parameter_has_one_digest_in_every_field_that_holds_it() -> None:
    plain = CTMC.from_rates({(0, 1): "a", (1, 0): "2*a/3"})
    wider = CTMC.from_rates({(0, 1): "a*b/b", (1, 0): "2*a/3 + b - b"})
    scaled = CTMC.from_rates({(0, 1): "(2*a*c + 4*a)/(2*c + 4)", (1, 0): "2*a/3"})
    other = CTMC.from_rates({(0, 1): "a", (1, 0): "2*b/3"})
    assert Digest.of(plain) == Digest.of(wider) == Digest.of(scaled)
    assert Digest.of(plain) != Digest.of(other)
    field = ExactArray.read(["a", "b", "1/2"])[0]
    numbers = ExactArray.of_values(np.array([2, 2]), field.values)
    assert Digest.of(CTMC([[0, "1/2"], ["1/2", 0]])) == Digest.of(
        CTMC(WeightedStructure.from_edges(2, [0, 1], [1, 0], numbers))
    )


@pytest.mark.parametrize("suffix", ["drn", "drn.gz", "json", "npz", "tra", "umb"])
@given(chain=labelled(ctmcs(min_states=2)))
def test_a_digest_survives_every_format_that_holds_the_chain(
    suffix, chain, tmp_path_factory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"digest.{suffix}"
    if suffix == "umb":
        pytest.importorskip("umbi")
    chain = CTMC(chain.matrix, labels={"a": [0]}, initial=0)
    write(chain, path)
    back = read(path, **({"type": "ctmc"} if suffix == "tra" else {}))
    assert Digest.of(back) == Digest.of(chain)


@pytest.mark.parametrize("name", SHARED)
def test_files_of_one_real_model_agree_where_they_hold_the_same(shared_file, name: str) -> None:
    digests = []
    for suffix in ("npz", "drn.gz", "umb"):
        try:
            path = shared_file(f"chains/{name}.{suffix}")
        except pytest.skip.Exception:
            continue
        if suffix == "umb":
            pytest.importorskip("umbi")
        digests.append(Digest.of(read(path)))
    assert len(digests) > 1
    for one, other in combinations(digests, 2):
        assert (one.matrix, one.rewards, one.initial) == (
            other.matrix,
            other.rewards,
            other.initial,
        )
        for label in one.labels.keys() & other.labels.keys():
            assert one.labels[label] == other.labels[label]
        # Some writers leave the label `deadlock` out.
        assert one.labels.keys() ^ other.labels.keys() <= {"deadlock"}
