"""Whatever happens to a file, reading it gives a chain or one clear error that names it."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, DTMC, Reward, formats
from lumpability.errors import FormatError, LumpabilityError, SizeLimit
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray

ACTION = Reward(ExactArray.read([1, "1/3", 0])[0], ExactArray.read([2, 0, 0])[0])
CHAINS: dict[str, MarkovChain] = {
    "ctmc": CTMC.from_rates(
        {("a", "b"): "1/3", ("b", "b"): "0.25", ("b", "c"): 10**20},
        labels={"ok": ["a"], "two words": ["b", "c"]},
        rewards={"cost": ACTION},
        initial="a",
    ),
    "dtmc": DTMC(
        [["1/3", "2/3", 0], [0, 0, 1], ["1/7", 0, "6/7"]],
        labels={"end": [2]},
        rewards={"cost": ACTION},
        initial={0: "1/2", 2: "1/2"},
    ),
}
UMB = [".umb"] if find_spec("umbi") else []
SUFFIXES = [
    *(".drn", ".drn.gz", ".tra", ".lab", ".sta", ".srew", ".trew", ".json", ".json.gz", ".npz"),
    *UMB,
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """For each chain the bytes of all files that hold it, by suffix."""
    result = {}
    for name, chain in CHAINS.items():
        folder = tmp_path_factory.mktemp(name)
        for suffix in (".drn", ".drn.gz", ".tra", ".json", ".json.gz", ".npz", *UMB):
            formats.write(chain, folder / f"chain{suffix}")
        result[name] = {p.name.removeprefix("chain"): p.read_bytes() for p in folder.iterdir()}
    return result


def outcome(folder: Path, files: dict[str, bytes], suffix: str, damaged: bytes) -> str:
    """Read a chain of which one file is damaged; return the error's text, or nothing."""
    beside = (".tra", ".lab", ".sta", ".srew", ".trew")
    for other in beside if suffix in beside else ():
        (folder / f"chain{other}").unlink(missing_ok=True)
        if other in files:
            (folder / f"chain{other}").write_bytes(files[other])
    (folder / f"chain{suffix}").write_bytes(damaged)
    path = folder / ("chain.tra" if suffix in beside else f"chain{suffix}")
    result = read_or_error(path)
    if isinstance(result, MarkovChain):
        return ""
    said = str(result)
    assert isinstance(result, FormatError | SizeLimit)
    assert said.startswith(str(folder))
    assert "\n" not in said
    return said


def read_or_error(path: Path) -> MarkovChain | LumpabilityError:
    """Read a file; any other exception than ours, and any warning, fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chain: MarkovChain = formats.read(path)
    except LumpabilityError as error:
        return error
    return chain


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(which=st.sampled_from(sorted(CHAINS)), share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_off_anywhere(originals, tmp_path_factory, suffix, which, share):
    files = originals[which]
    if suffix not in files:
        return
    folder = tmp_path_factory.mktemp("cut")
    whole = files[suffix]
    assert outcome(folder, files, suffix, whole) == ""
    said = outcome(folder, files, suffix, whole[: int(share * len(whole))])
    # Text without a count at its head can end anywhere; everything else notices.
    assert said or suffix in (".lab", ".drn", ".tra", ".srew", ".trew", ".sta", ".json")


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(
    which=st.sampled_from(sorted(CHAINS)),
    share=st.floats(0, 1, exclude_max=True),
    byte=st.integers(0, 255) | st.sampled_from(b'0123456789 \n\t":/-.,[]{}#eE!'),
    insert=st.booleans(),
)
def test_a_file_with_one_byte_changed_or_added(
    *, originals, tmp_path_factory, suffix, which, share, byte, insert
):
    files = originals[which]
    if suffix not in files:
        return
    whole = files[suffix]
    at = int(share * len(whole))
    damaged = whole[:at] + bytes([byte]) + whole[at + (not insert) :]
    outcome(tmp_path_factory.mktemp("changed"), files, suffix, damaged)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(data=st.binary(max_size=300))
def test_a_file_of_arbitrary_bytes(originals, tmp_path_factory, suffix, data):
    outcome(tmp_path_factory.mktemp("bytes"), originals["ctmc"], suffix, data)
