from __future__ import annotations

import io
import subprocess
import sys
import tarfile

import pytest

from lumpability import formats
from lumpability.errors import FormatError, InvalidInput, MissingDependency


def test_every_registered_function_exists():
    for suffix, known in formats.FORMATS.items():
        assert suffix == suffix.lower()
        for name in (known.reader, known.writer):
            if name is not None:
                assert callable(known.function(name))


def test_suffixes_are_found_in_any_case_and_the_longest_wins(tmp_path, walk):
    formats.write(walk, tmp_path / "Chain.DRN.GZ")
    assert (tmp_path / "Chain.DRN.GZ").read_bytes()[:2] == b"\x1f\x8b"
    assert formats.read(tmp_path / "Chain.DRN.GZ").equals(walk)


@pytest.mark.parametrize("name", ["chain", "chain.txt", "drn", "chain.drn.bz2", ".gz"])
def test_an_unknown_suffix_lists_the_known_ones(tmp_path, walk, name):
    for act in (
        lambda: formats.read(tmp_path / name),
        lambda: formats.write(walk, tmp_path / name),
    ):
        with pytest.raises(FormatError, match=r"does not say the format; known to .* are .*\.drn"):
            act()


def test_a_source_format_cannot_be_written(tmp_path, walk):
    with pytest.raises(FormatError, match="can be read, but not written; known to write are"):
        formats.write(walk, tmp_path / "a.prism")


def test_an_option_the_format_does_not_have_is_named(tmp_path, walk):
    formats.write(walk, tmp_path / "a.drn")
    with pytest.raises(
        FormatError, match="has no option 'constants'; it has float_tolerance, digits"
    ):
        formats.read(tmp_path / "a.drn", constants="N=3")
    with pytest.raises(InvalidInput, match="write has no option 'level': it has value_type"):
        formats.write(walk, tmp_path / "a.drn", level=9)


def test_a_model_of_the_wrong_sort_is_refused(tmp_path, walk):
    with pytest.raises(FormatError, match="hold a chain, not a int"):
        formats.write(3, tmp_path / "a.drn")
    with pytest.raises(FormatError, match="hold a network, not a DTMC"):
        formats.write(walk, tmp_path / "a.nnet")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_package_imports_no_format():
    code = (
        "import sys, lumpability.formats;"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('umbi', 'stormpy', 'networkx', 'onnx', 'json', 'tarfile', 'sympy')"
        " or m.startswith('lumpability.formats.')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "lumpability.formats" not in result.stdout
    assert not {"umbi", "stormpy", "networkx", "onnx"} & set(result.stdout.split("'"))


@pytest.mark.parametrize(
    ("package", "module", "suffix", "extra"),
    [
        ("umbi", "umbi.umb.index", ".umb", "umb"),
        ("stormpy", "stormpy", ".prism", "storm"),
        ("stormpy", "stormpy", ".jani", "storm"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    *, tmp_path, monkeypatch, package, module, suffix, extra
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / f"a{suffix}"
    with tarfile.open(path, "w") as archive:
        index = tarfile.TarInfo("index.json")
        index.size = len(b'{"format-version": 1}')
        archive.addfile(index, io.BytesIO(b'{"format-version": 1}'))
    with pytest.raises(MissingDependency, match=rf"pip install 'lumpability\[{extra}\]'"):
        formats.read(path)
