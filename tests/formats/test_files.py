from __future__ import annotations

import gzip
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import lumpability
from lumpability import formats
from lumpability.errors import FormatError, SizeLimit
from lumpability.files import opened, replacing, writing


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
        (header, "more than 1000 times its size"),
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
