from __future__ import annotations

import gzip
import io
import json
import lzma
import struct
import tarfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lumpability import CTMC, DTMC, Reward, read
from lumpability.errors import FormatError
from lumpability.formats.umb import read_umb, write_umb
from lumpability.formats.umb_parts import packed_bits, packed_rationals, rationals
from lumpability.numbers.exact_array import ExactArray

umbi = pytest.importorskip("umbi.umb")


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}


def repacked(
    path: Path, change: Callable[[dict[str, bytes]], None], pack: Callable[[bytes], bytes] = bytes
) -> None:
    """Unpack an archive, change its members, and pack it again."""
    parts = members(path)
    change(parts)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    path.write_bytes(pack(buffer.getvalue()))


def edited(parts: dict[str, bytes], *keys: str, value: object) -> None:
    index = json.loads(parts["index.json"])
    place = index
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    parts["index.json"] = json.dumps(index).encode()


def test_umbi_reads_what_is_written_and_finds_the_same_numbers(tmp_path, repair):
    path = tmp_path / "chain.umb"
    write_umb(repair, path)
    umb = umbi.read(path, strict=True)
    assert umb.index.transition_system.time == "stochastic"
    assert umb.state_is_initial == [True, False, False]
    assert umb.branch_to_target == repair.matrix.indices.tolist()
    assert umb.state_to_exit_rate == list(repair.matrix.row_sums())
    rates = [
        p * umb.state_to_exit_rate[s]
        for p, s in zip(umb.branch_to_probability, repair.matrix.sources().tolist(), strict=True)
    ]
    assert rates == list(repair.matrix.weights)
    assert umb.annotations["aps"]["label1"]["states"] == [False, True, False]
    assert umb.annotations["rewards"]["cost"]["states"] == list(repair.rewards["cost"].state)
    assert umb.annotations["rewards"]["cost"]["choices"] == list(repair.rewards["cost"].action)
    assert umb.annotations["lumpability"]["names"]["states"] == ["up", "worn", "broken"]


@pytest.mark.parametrize("value_type", ["rational", "double"])
def test_storm_reads_what_is_written(tmp_path, chain, value_type):
    stormpy = pytest.importorskip("stormpy")
    # Storm reads a chain only if every state has a transition, and rationals of 64 bits
    looped = CTMC if isinstance(chain, CTMC) else DTMC
    matrix = [[Fraction(1, 3), Fraction(2, 3)], [Fraction(1, 7), Fraction(6, 7)]]
    small = looped(matrix, labels={"a b": [0], "none": []}, rewards={"r": [1, 2]}, initial=0)
    path = tmp_path / "chain.umb"
    write_umb(small, path, value_type=value_type)
    options = stormpy.io.UmbImportOptions()
    options.build_state_valuations = False
    model = stormpy.build_model_from_umb(str(path), options=options)
    assert model.is_exact == (value_type == "rational")
    assert set(model.labeling.get_labels()) >= {"a b", "none", "init"}
    assert list(model.reward_models) == ["r"]
    found = [[entry.value for entry in model.transition_matrix.get_row(s)] for s in range(2)]
    if value_type == "rational":
        assert [[Fraction(str(x)) for x in row] for row in found] == matrix
    else:
        assert np.allclose(np.array(found, dtype=float), np.array(matrix, dtype=float))


def test_numbers_of_any_length_are_written_exactly(tmp_path):
    big = Fraction(3**100, 7**80)
    chain = CTMC([[0, big], ["1/3", 0]], rewards={"r": [-big, 2**63]})
    write_umb(chain, tmp_path / "a.umb")
    assert read_umb(tmp_path / "a.umb").equals(chain)
    for numbers in ([Fraction(-(2**63))], [Fraction(2**63)], [Fraction(1, 2**64)], [-big, big]):
        array, _ = ExactArray.read(numbers)
        data, size = packed_rationals(array)
        assert rationals(data, size, "a.umb").equals(array)


def test_doubles_give_the_rates_that_were_meant(tmp_path):
    chain = CTMC([[0, "0.1", "1/3"], ["1/864000", 0, 7], ["0.7", "0.2", 0]])
    write_umb(chain, tmp_path / "a.umb", value_type="double")
    again = read_umb(tmp_path / "a.umb")
    assert again.matrix.equals(chain.matrix)
    literal = read_umb(tmp_path / "a.umb", float_tolerance=0)
    assert not literal.matrix.equals(chain.matrix)
    assert np.allclose(literal.matrix.weights.to_floats(), chain.matrix.weights.to_floats())


def test_rewards_on_branches_become_expected_rewards(tmp_path):
    chain = DTMC([["1/4", "3/4"], [0, 1]], rewards={"r": Reward(action=ExactArray.read([1, 2])[0])})
    path = tmp_path / "a.umb"
    write_umb(chain, path)

    def change(parts: dict[str, bytes]) -> None:
        annotation = {
            "applies-to": ["choices", "branches"],
            "type": {"type": "rational", "size": 128},
        }
        edited(parts, "annotations", "rewards", "r", value=annotation)
        data, _ = packed_rationals(ExactArray.read([4, "1/3", 5])[0])
        parts["annotations/rewards/r/branches/values.bin"] = data

    repacked(path, change)
    assert list(read_umb(path).rewards["r"].action) == [
        1 + Fraction(1, 4) * 4 + Fraction(3, 4) * Fraction(1, 3),
        2 + 5,
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_every_packing_is_recognised_by_content(tmp_path, walk, pack):
    path = tmp_path / "a.umb"
    write_umb(walk, path)
    repacked(path, lambda parts: None, pack)
    assert read_umb(path).equals(walk)


def dropped(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.pop(name)


def changed(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.update({name: data})


def index(*keys: str, value: object) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: edited(parts, *keys, value=value)


def two_choices(parts: dict[str, bytes]) -> None:
    """Make the model an MDP whose state 1 has two choices."""
    edited(parts, "transition-system", "#choices", value=4)
    edited(parts, "transition-system", "#players", value=1)
    parts["state-to-choices.bin"] = np.array([0, 1, 3, 4], dtype="<u8").tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dropped("index.json"), "lacks the member 'index.json'"),
        (changed("index.json", b"[]"), "is a JSON list, not an object"),
        (changed("index.json", b"{"), "is not JSON"),
        (changed("index.json", b'{"format-version": 9}'), "is of UMB version 9"),
        (changed("index.json", b'{"format-version": 1}'), "is not a UMB index"),
        (index("transition-system", "time", value="urgent-stochastic"), "only CTMC and DTMC"),
        (index("transition-system", "#choices", value=4), "has 4 choices for 3 states"),
        (two_choices, "state 1 has 2 choices: only a model with one in every state"),
        (index("transition-system", "#states", value=-1), "is not a UMB index"),
        (index("transition-system", "#states", value="x"), "is not a UMB index"),
        (index("transition-system", "#states", value=None), "is not a UMB index"),
        (
            index("transition-system", "#branches", value=10**15),
            "has 40 bytes, not 8000000000000000",
        ),
        (
            index("transition-system", "#initial-states", value=1),
            "announces 1 initial states, marks 2",
        ),
        (
            index(
                "transition-system", "branch-probability-type", value={"type": "double-interval"}
            ),
            "double-interval",
        ),
        (dropped("branch-to-target.bin"), "lacks the member 'branch-to-target.bin'"),
        (changed("branch-to-target.bin", b"12345"), "has 5 bytes, not 40"),
        (
            changed("branch-to-target.bin", b"\xff" * 40),
            "a branch leads to state 18446744073709551615",
        ),
        (changed("choice-to-branches.bin", b"\0" * 32), "does not ascend from 0 to 5"),
        (changed("branch-to-probability.bin", b"\0" * 80), "the denominator 0"),
        (changed("state-is-initial.bin", b""), "has 0 bytes"),
        (
            index("annotations", "aps", "end", "type", value={"type": "double", "size": 64}),
            "the label 'end' is given twice or not for states",
        ),
        (dropped("annotations/rewards/steps/choices/values.bin"), "lacks the member"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, walk, change, message):
    path = tmp_path / "a.umb"
    write_umb(walk, path)
    repacked(path, change)
    with pytest.raises(FormatError) as failure:
        read_umb(path)
    assert message in str(failure.value)
    assert str(failure.value).startswith(str(path))


def test_a_huge_number_of_states_takes_no_memory(tmp_path, walk):
    path = tmp_path / "a.umb"
    write_umb(walk, path)

    def change(parts: dict[str, bytes]) -> None:
        for key in ("#states", "#choices", "#branches"):
            edited(parts, "transition-system", key, value=10**11)
        del parts["choice-to-branches.bin"]

    repacked(path, change)
    with pytest.raises(FormatError, match="has 40 bytes, not 800000000000"):
        read_umb(path)


def test_rows_that_do_not_sum_to_one_are_refused(tmp_path, walk):
    path = tmp_path / "a.umb"
    write_umb(walk, path)
    data, _ = packed_rationals(ExactArray.read(["1/3", "1/3", 1, 1, 1])[0])
    repacked(path, changed("branch-to-probability.bin", data))
    with pytest.raises(FormatError, match="row 0 sums to 2/3"):
        read_umb(path)


def test_a_sparse_member_cannot_stand_for_a_huge_one(tmp_path, walk):
    path = tmp_path / "a.umb"
    write_umb(walk, path)

    def change(parts: dict[str, bytes]) -> None:
        parts["GNUSparseFile.0/state-is-initial.bin"] = b"1\n0\n"

    repacked(path, change)
    assert read_umb(path).equals(walk)  # an unknown member is ignored
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("index.json")
        info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**40)}
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(FormatError, match="twice or with holes"):
        read_umb(path)


def test_states_are_needed(tmp_path):
    with pytest.raises(FormatError, match="no chain without states"):
        write_umb(CTMC([]), tmp_path / "a.umb")


def test_bits_fill_whole_words():
    assert packed_bits(np.ones(65, dtype=bool)) == b"\xff" * 8 + b"\x01" + b"\0" * 7


def test_states_are_named_by_their_variables(tmp_path):
    stormpy = pytest.importorskip("stormpy")
    source = tmp_path / "counter.sm"
    source.write_text(
        "ctmc module m x : [-2..5] init 0; up : bool init true; y : [0..200] init 7; [] x<5 & up & y<=180 -> 1 : "
        "(x'=x+1)&(y'=y+20); [] x>-2 -> 2 : (x'=x-1); [] true -> 3 : (up'=!up); [] y>100 -> 1 : (y'=7); endmodule"
    )
    options = stormpy.BuilderOptions()
    options.set_build_state_valuations()
    program = stormpy.parse_prism_program(str(source), prism_compatibility=True)
    model = stormpy.build_model[float](program, options=options)
    stormpy.io.export_to_umb(model, str(tmp_path / "counter.umb"))
    right, found = read(source), read(tmp_path / "counter.umb")
    assert found.n == right.n == 160
    assert [right.states.index(name) for name in found.states] == list(range(right.n))
    assert not read(tmp_path / "counter.umb", state_names=False).states.named


def test_the_fields_of_a_valuation_are_read_bit_by_bit(tmp_path):
    """They are x of 3 bits with a sign, an optional bool, padding, y less 100, and a double."""
    path = tmp_path / "walk.umb"
    write_umb(DTMC([[0, 1, 0], [0, 0, 1], [1, 0, 0]]), path)
    fields = [
        {"name": "x", "type": {"type": "int", "size": 3}},
        {"name": "up", "type": {"type": "bool", "size": 1}, "is-optional": True},
        {"padding": 2},
        {"name": "y", "type": {"type": "uint", "size": 8}, "offset": 100},
        {"name": "z", "type": {"type": "double", "size": 64}},
        {"padding": 1},
    ]

    def valued(parts):
        edited(
            parts,
            "valuations",
            value={"states": {"unique": True, "classes": [{"variables": fields}]}},
        )
        data = b""
        for x, up, y, z in ((-3, None, 107, 0.5), (2, True, 355, -1.0), (2, False, 355, -1.0)):
            bits = (x & 7) | (up is not None) << 3 | bool(up) << 4 | (y - 100) << 7
            bits |= int.from_bytes(struct.pack("<d", z), "little") << 15
            data += bits.to_bytes(10, "little")
        parts["valuations/states/valuations.bin"] = data

    repacked(path, valued)
    names = ["x=-3,y=107,z=0.5", "x=2,up=true,y=355,z=-1.0", "x=2,up=false,y=355,z=-1.0"]
    assert list(read_umb(path).states) == names
    for wrong in (b"", b"1", bytes(30)):  # missing, cut off, all states alike
        repacked(
            path,
            lambda parts, wrong=wrong: parts.update({"valuations/states/valuations.bin": wrong}),
        )
        assert not read_umb(path).states.named
