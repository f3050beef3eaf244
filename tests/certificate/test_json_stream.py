"""The stream reader of certificates: what json writes it reads, what is not asked for it refuses."""

from __future__ import annotations

import io
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.certificate import json_stream as module
from lumpability.certificate.json_stream import LARGEST, Scanner
from lumpability.errors import FormatError, SizeLimit


def scanner(text: str | bytes, **options: int) -> Scanner:
    data = text.encode() if isinstance(text, str) else text
    return Scanner(io.BytesIO(data), "a.json", **options)


@pytest.fixture(params=[1 << 20, 7])
def chunk(request, monkeypatch) -> None:
    """Read in portions of the usual size, and of a few bytes."""
    monkeypatch.setattr(module, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@given(
    numbers=st.lists(st.integers(0, LARGEST)),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    indent=st.sampled_from([None, 1]),
)
def test_what_json_writes_is_read_back(numbers, text, indent) -> None:
    document = {
        "numbers": numbers,
        "text": text,
        "texts": ["a", text + "b"],
        "none": None,
        "one": 1,
    }
    read = scanner(json.dumps(document, indent=indent))
    read.expect("{")
    read.key("numbers")
    assert read.integers(most=len(numbers)).tolist() == numbers
    read.expect(",")
    read.key("text")
    assert read.text() == text
    read.expect(",")
    read.key("texts")
    assert read.texts(most=2) == ["a", text + "b"]
    read.expect(",")
    read.key("none")
    assert read.skip("null")
    read.expect(",")
    read.key("one")
    assert read.integer() == 1
    read.expect("}")
    read.end()


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    "text",
    [
        *(
            "[1,]",
            "[,1]",
            "[1,,2]",
            "[1 2]",
            "[01]",
            "[-1]",
            "[+1]",
            "[1.0]",
            "[1e3]",
            "[NaN]",
            "[1",
        ),
        *(
            "[1,2",
            "[",
            "",
            "1",
            "null",
            "[null]",
            "[true]",
            "[[1]]",
            '["1"]',
            "[1;2]",
            "[0x1]",
            "[1_0]",
        ),
        *("[4294967296]", "[99999999999]", "[" + "9" * 100_000 + "]", "[٣]", "[" * 100_000),
    ],
)
def test_what_is_no_list_of_numbers_of_moderate_size_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        scanner(text).integers(most=10)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    "text", ["", "-1", "01", "1.5", "99999999999", "2147483648", "x", "٣", '"1"']
)
def test_what_is_no_number_of_moderate_size_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        only_integer(scanner(text))


def only_integer(read: Scanner) -> None:
    read.integer()
    read.end()


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(
    "text", ["", "a", '"a', '"\\"', '"\\x"', '"\n"', b'"\xff"', '"' + "a" * 10**6]
)
def test_what_is_no_text_of_moderate_size_is_refused(text: str | bytes) -> None:
    with pytest.raises(FormatError):
        scanner(text).text()


def test_lists_longer_than_asked_for_are_refused_while_they_are_read() -> None:
    with pytest.raises(FormatError, match="more than 3 numbers"):
        scanner("[" + "1," * 10**6).integers(most=3)
    with pytest.raises(FormatError, match="more than 2 texts"):
        scanner('["a", "b", "c"').texts(most=2)
    with pytest.raises(FormatError, match="'a' twice"):
        scanner('["a", "a"]').texts(most=9)
    with pytest.raises(FormatError, match="holds 5, where at most 4 is possible"):
        scanner("[5]").integers(most=9, largest=4)


def test_no_more_is_read_than_what_is_asked_for_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused in memory bounded by what was asked for."""
    monkeypatch.setattr(module, "_CHUNK", 100)
    stream = io.BytesIO(b'{"key": 12, "next": "' + b"a" * 10**6)
    read = Scanner(stream, "a.json")
    read.expect("{")
    read.key("key")
    assert read.integer() == 12
    assert not read.skip("]")
    read.expect(",")
    read.key("next")
    assert stream.tell() == 100
    with pytest.raises(FormatError, match="too long"):
        read.text()
    assert stream.tell() < 70_000
    for junk in (b"9", b"[", b"x"):
        stream = io.BytesIO(b"[" + junk * 10**6)
        with pytest.raises(FormatError):
            Scanner(stream, "a.json").integers(most=10)
        assert stream.tell() < 70_000


def test_a_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(SizeLimit, match="more than 1000 bytes"):
        scanner("[" + "1," * 10**6 + "1]", max_bytes=1000).integers(most=10**7)


def test_a_million_numbers_take_a_fraction_of_a_second() -> None:
    text = json.dumps(list(range(10**6)))
    started = time.process_time()
    assert len(scanner(text).integers(most=10**6)) == 10**6
    assert time.process_time() - started < 2
