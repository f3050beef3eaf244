from __future__ import annotations

import gzip
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lumpability
from lumpability import Network, formats, lump
from lumpability.certificate import Certificate, file
from lumpability.cli.partition_file import read_partition
from lumpability.errors import FormatError, SizeLimit
from lumpability.files import opened, remove_leftovers, replacing, together, writing
from lumpability.formats.umb_parts import load_index
from lumpability.markov.attributes import States


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_only_when_complete(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def interrupted() -> None:
        with writing(target) as handle:
            handle.write(b"half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert left_behind(tmp_path) == ["a.txt"]
    with writing(target) as handle:
        handle.write(b"new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert left_behind(tmp_path) == ["a.txt"]


def test_several_files_are_replaced_together_or_not_at_all(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_text("old")
    with pytest.raises(FormatError, match="not a regular file"), replacing([*paths, tmp_path]):
        pass
    assert paths[0].read_text() == "old"
    assert left_behind(tmp_path) == ["a"]


@pytest.mark.parametrize("target", ["missing/a.drn", "folder.drn"])
def test_an_unwritable_target_is_one_clear_error(tmp_path, walk, target):
    (tmp_path / "folder.drn").mkdir()
    with pytest.raises(FormatError, match="cannot be written") as failure:
        formats.write(walk, tmp_path / target)
    assert failure.value.path == str(tmp_path / target)
    assert left_behind(tmp_path) == ["folder.drn"]


FULL_DISK = """
import resource, signal, sys
from lumpability import CTMC, formats
chain = CTMC.from_rates({(k, k + 1): k + 1 for k in range(30000)}, initial=0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    formats.write(chain, sys.argv[1])
except formats.FormatError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are those of POSIX")
@pytest.mark.parametrize("suffix", [".tra", ".npz", *([".umb"] if find_spec("umbi") else [])])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, suffix):
    path = tmp_path / f"chain{suffix}"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(lumpability.__file__).parents[1])},
    )
    assert done.stdout == f"{path}: cannot be written: File too large\n"
    assert done.stderr == ""
    assert path.read_bytes() == b"old"
    assert left_behind(tmp_path) == [path.name]


def test_writing_keeps_the_mode_of_the_old_file_and_follows_links(tmp_path):
    target, link = tmp_path / "a", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with writing(link) as handle:
        handle.write(b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_mode_the_umask_allows(tmp_path):
    with writing(tmp_path / "a"):
        pass
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~umask


def test_packed_files_depend_on_their_contents_only(tmp_path, chain):
    for suffix in (".drn.gz", ".json.gz", ".npz"):
        first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
        formats.write(chain, first)
        formats.write(chain, second)
        assert first.read_bytes() == second.read_bytes()


def test_a_gzip_bomb_stops_at_the_ratio(tmp_path):
    path = tmp_path / "bomb.drn.gz"
    header = b"@type: CTMC\n@nr_states\n1\n@model\n"
    for start, refused in (
        (header, "more than 32 MiB and 100 times its size"),
        (b"", "has no '@model' after"),
    ):
        with gzip.open(path, "wb", 9) as handle:
            handle.write(start)
            for _ in range(160):
                handle.write(b"\n" * (1 << 20))
        with pytest.raises((SizeLimit, FormatError), match=refused) as failure:
            formats.read(path)
        assert failure.value.path == str(path)


def test_a_packed_file_stops_at_max_bytes(tmp_path, chain):
    packed = [".drn.gz", ".json.gz", ".npz", *([".umb"] if find_spec("umbi") else [])]
    for suffix in packed:
        path = tmp_path / f"chain{suffix}"
        formats.write(chain, path)
        with pytest.raises(SizeLimit, match="raise max_bytes"):
            formats.read(path, max_bytes=100)
        assert formats.read(path, max_bytes=10**6).n == chain.n


def test_a_damaged_packed_file_is_one_clear_error(tmp_path, chain):
    path = tmp_path / "chain.drn.gz"
    formats.write(chain, path)
    whole = path.read_bytes()
    for damaged in (
        whole[: len(whole) // 2],
        whole[:4],
        b"",
        b"not packed",
        whole[:-4] + b"\0\0\0\0",
    ):
        path.write_bytes(damaged)
        with pytest.raises(FormatError) as failure:
            formats.read(path)
        assert str(failure.value).startswith(str(path))


def test_what_cannot_be_opened_is_one_clear_error(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"), opened(tmp_path):
        pass
    with pytest.raises(FormatError, match="No such file"), opened(tmp_path / "none.drn"):
        pass


def test_a_budget_that_is_given_replaces_the_ratio(tmp_path):
    path = tmp_path / "a.drn.gz"
    path.write_bytes(gzip.compress(b"//" + b"0" * (40 << 20)))
    with pytest.raises(SizeLimit, match="give max_bytes"), opened(path) as stream:
        stream.read()
    with opened(path, max_bytes=1 << 30) as stream:
        assert len(stream.read()) == (40 << 20) + 2


def test_a_pruned_network_of_zeros_is_no_bomb(tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "a.onnx.gz"
    zeros = np.zeros((1 << 20, 10), dtype=np.float32)  # 40 MiB, packed a thousand times
    formats.write(Network.dense([(zeros, None, "relu"), (zeros[:10, :1], None, None)]), path)
    assert path.stat().st_size < 1 << 17
    assert formats.read(path).parameter_count == zeros.size + 10


def packed(path: Path, start: bytes, filling: bytes, size: int) -> Path:
    """Write a packed file of some bytes and very many copies of others."""
    block = gzip.compress(filling * ((1 << 20) // len(filling)))
    path.write_bytes(gzip.compress(start) + block * (size >> 20))
    return path


def test_small_packed_json_cannot_fill_the_memory(tmp_path):
    """A list in JSON takes three bytes, and 64 in Python."""
    path = packed(tmp_path / "a.json.gz", b'{"format": [[]', b",[]", 20 << 20)
    with pytest.raises(SizeLimit, match="more than 16 MiB and 30 times its size"):
        formats.read(path)
    with pytest.raises(SizeLimit, match="more than 1000 bytes"):
        formats.read(path, max_bytes=1000)
    with pytest.raises(SizeLimit, match="more than 16 MiB and 30 times its size"):
        read_partition(path, States(2))
    with pytest.raises(SizeLimit, match="holds JSON of more than 16777216 bytes"):
        load_index(b" " * (17 << 20), "a.umb")


def test_small_packed_tables_cannot_fill_the_memory(tmp_path):
    pytest.importorskip("duckdb")
    path = packed(tmp_path / "a.csv.gz", b"source,target,weight\n", b"0,1,1\n", 40 << 20)
    with pytest.raises(SizeLimit, match="more than 32 MiB and 100 times its size"):
        formats.read(path)
    path.write_bytes(gzip.compress(b"source,target,weight\n0,1,1\n0,1,1\n"))
    assert formats.read(path, max_bytes=1000).matrix.row(0) == [(1, 2)]


def test_small_packed_certificates_cannot_fill_the_memory(tmp_path, chain, monkeypatch):
    path = tmp_path / "a.json.gz"
    lump(chain).certificate().write(path)
    large = packed(tmp_path / "b.json.gz", b"", b" ", 3 << 20)
    monkeypatch.setattr(file, "_REGULAR", (2 << 20, 100))
    with pytest.raises(SizeLimit, match="more than 2 MiB and 100 times its size"):
        Certificate.read(large)
    with pytest.raises(FormatError, match="is cut off"):
        Certificate.read(large, max_bytes=1 << 30)
    with pytest.raises(SizeLimit, match="raise max_bytes"):
        Certificate.read(path, max_bytes=100)
    assert Certificate.read(path, max_bytes=100_000).verify(chain)


def written_together(*paths: Path, error: type[Exception] | None = None) -> None:
    with together():
        for path in paths:
            with writing(path) as handle:
                handle.write(b"new")
        if error is not None:
            raise error


def test_files_written_together_appear_together_or_not_at_all(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("old")
    with pytest.raises(ZeroDivisionError):
        written_together(first, second, error=ZeroDivisionError)
    with pytest.raises(FormatError, match="written twice"):
        written_together(first, tmp_path / "." / "a.txt")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old"}
    written_together(first, second)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("a.txt", "b.txt"), "new"
    )


def test_what_killed_runs_left_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "a[1].txt"
    left, young, other = (
        tmp_path / f".{name}.tmp"
        for name in ("a[1].txt.0123abcd", "a[1].txt.89abcdef", "b.txt.0123abcd")
    )
    for leftover in (left, young, other):
        leftover.write_text("x")
    for old in (left, other):
        os.utime(old, (0, 0))
    with left.open("rb") as held:
        fcntl = pytest.importorskip("fcntl")
        fcntl.flock(held.fileno(), fcntl.LOCK_EX)
        assert remove_leftovers(path) == []
    with writing(path) as handle:
        handle.write(b"y")
    assert {p.name for p in tmp_path.iterdir()} == {path.name, young.name, other.name}


def test_a_loop_of_symbolic_links_gets_a_sentence(tmp_path):
    loop = tmp_path / "a.txt"
    loop.symlink_to(loop)
    with pytest.raises(FormatError, match=r"loop|not a regular file"), writing(loop):
        pass
    with pytest.raises(FormatError, match=r"cannot be read: .*symbolic links"), opened(loop):
        pass
