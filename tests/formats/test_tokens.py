from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumpability.errors import FormatError
from lumpability.formats import tokens
from lumpability.formats.tokens import Chunk, Spans, chunks

# All white space and printable ASCII, and letters of several bytes; no zero byte.
texts = st.text(st.sampled_from(" \t\n\r0123456789.:/ae#é€"), max_size=200)


def pieces(chunk: Chunk, spans: Spans) -> list[str]:
    return [chunk.text(spans, i) for i in range(len(spans))]


@given(texts)
def test_tokens_are_those_of_split_and_know_their_lines(text):
    chunk = Chunk(text.encode(), path="x", first_line=5)
    spans, lines = chunk.tokens
    expected = [(word, i) for i, line in enumerate(text.split("\n")) for word in line.split()]
    assert list(zip(pieces(chunk, spans), lines.tolist(), strict=True)) == expected
    for i, (_, line) in enumerate(expected):
        assert chunk.line_number(int(spans.starts[i])) == 5 + line


@given(texts, st.integers(1, 20))
def test_chunks_are_whole_lines_that_make_up_the_file(text, size):
    data = text.encode()
    parts = list(chunks(io.BytesIO(data), path="x", size=size))
    words, line = [], 1
    for part in parts:
        assert part.first_line == line
        line += int((part.data == ord("\n")).sum())
        words += pieces(part, part.tokens[0])
    assert words == data.decode().split()
    for part in parts[:-1]:
        assert part.line_text(0) is not None
        assert bytes(part.data).rstrip(b" ").endswith(b"\n") or part.data[-9] == ord("\n")


@given(st.lists(st.integers(0, 10**18 - 1), max_size=30), st.integers(0, 4))
def test_integers_are_read_exactly(numbers, zeros):
    text = " ".join("0" * min(zeros, 18 - len(str(x))) + str(x) for x in numbers)
    chunk = Chunk(text.encode(), path="x")
    assert chunk.integers(chunk.tokens[0], "state").tolist() == numbers


@pytest.mark.parametrize(
    "word", ["-1", "1.5", "x", "1e3", "12345678x", "9" * 19, "/", ":", "½", "1:2"]
)
def test_what_is_no_integer_is_refused_with_its_line(word):
    chunk = Chunk(f"1 2\n3 {word}\n".encode(), path="a.tra", first_line=10)
    with pytest.raises(FormatError, match="is not a state, a whole number") as failure:
        chunk.integers(chunk.tokens[0], "state")
    assert (failure.value.line, failure.value.value) == (11, word)


@given(st.lists(st.text(st.sampled_from("ab."), min_size=1, max_size=20) | st.just("x" * 300)))
def test_distinct_tokens_are_numbered_by_first_appearance(words):
    chunk = Chunk(" ".join(words).encode(), path="x")
    codes, first = chunk.distinct(chunk.tokens[0])
    expected = {word: k for k, word in enumerate(dict.fromkeys(words))}
    assert codes.tolist() == [expected[word] for word in words]
    assert pieces(chunk, first) == list(expected)


def test_long_tokens_that_differ_only_at_the_end_are_distinct():
    words = [prefix * 100 + end for prefix in ("a", "abc") for end in ("", "x", "y")]
    chunk = Chunk(" ".join(words * 2).encode(), path="x")
    assert chunk.distinct(chunk.tokens[0])[0].tolist() == [0, 1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize("line", ["1 2", "1 2 3 4", "# comment", ""])
def test_tables_have_lines_of_the_given_length(line):
    chunk = Chunk(f"0 1 2\n{line}\n3 4 5\n".encode(), path="a.tra")
    if line[:1] in ("#", ""):
        columns = chunk.table(3, 3, "three numbers")
        assert [pieces(chunk, column) for column in columns] == [["0", "3"], ["1", "4"], ["2", "5"]]
    else:
        with pytest.raises(FormatError, match=f"line 2: '{line}' is not three numbers"):
            chunk.table(3, 3, "three numbers")


def test_zero_bytes_and_endless_lines_are_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FormatError, match="line 2: holds a zero byte"):
        list(chunks(io.BytesIO(b"1\n\x00\n"), path="a.tra"))
    monkeypatch.setattr(tokens, "_MAX_LINE", 100)
    with pytest.raises(FormatError, match="longer than 100 bytes"):
        list(chunks(io.BytesIO(b"1\n" + b"x" * 200), path="a.tra", size=10))


def test_bytes_that_are_no_text_are_refused_where_they_are_needed():
    chunk = Chunk(b"0 1 \xff\n", path="a.tra")
    with pytest.raises(FormatError, match="is not UTF-8 text"):
        pieces(chunk, chunk.tokens[0])


def test_equal_compares_whole_words():
    chunk = Chunk(b"state states stat state", path="x")
    assert chunk.equal(chunk.tokens[0], b"state").tolist() == [True, False, False, True]


def test_memory_follows_the_chunk_not_the_file():
    # A stream that is never read as a whole: each read returns what was asked for, at most.
    asked: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    count: Callable[[Chunk], int] = lambda chunk: len(chunk.tokens[0])  # noqa: E731
    data = b"0 1 0.5\n" * 10_000
    assert sum(map(count, chunks(Counted(data), path="x", size=1000))) == 30_000
    assert set(asked) == {1000}
    assert np.all(np.array(asked) > 0)
