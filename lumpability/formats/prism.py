"""PRISM's explicit files: transitions in ``.tra``; labels, names and rewards in files beside it.

``model.tra`` begins with the numbers of states and transitions, then holds "source target value" in
any order; ``#`` begins a comment.  With the same stem there may be ``.lab`` (labels), ``.sta`` (state
names), ``.srew`` and ``.trew`` (rewards; several structures as ``model1.srew``, ``model2.srew``, ...).
Storm's older dialect begins with ``dtmc`` or ``ctmc`` instead of numbers and is read too.

The files do not say whether values are rates or probabilities, except in the comment ``# Transitions (CTMC)`` of
recent PRISM.  Without it, the chain is a DTMC if every row sums to one, and else a CTMC.  But if every row with
transitions sums to nearly one, the file may be a rounded DTMC, and the reader asks for ``type=``.
Format: PRISM manual, "Explicit model files".  Cost: 0.3 microseconds a transition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import opened, reading, replacing
from lumpability.formats.assembly import (
    INITIAL,
    assemble,
    chain_class,
    inferred_class,
    initial_marks,
    looks_stochastic,
    parameter_names,
    state_lines,
)
from lumpability.formats.numbers import NumberTable, double_text
from lumpability.formats.prism_rewards import read_rewards, reward_files, reward_texts
from lumpability.formats.prism_states import labels_text, read_labels, read_names, states_text
from lumpability.formats.tokens import Array, Chunk, Spans, chunks, shown
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.numbers.exact_array import Exact
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, Reading, exact_text
from lumpability.structure import WeightedStructure

_TYPE_COMMENT = re.compile(r"#\s*Transitions\s*\((\w+)\)\s*")
_MAX_STATES = 2**31 - 1
_MAX_HEADER = 1 << 16
_MOST_STATES_EACH = 1000  # a header of ten bytes must not take gigabytes
_LINES_AT_ONCE = 1 << 17


@dataclass
class _Header:
    kind: type[MarkovChain] | None = None
    states: int | None = None
    transitions: int | None = None
    choices: bool = False  # whether lines name choices, as those of an MDP do
    lines: int = 0


def read_prism_files(
    path: str | Path,
    *,
    float_tolerance: float = DEFAULT_TOLERANCE,
    digits: int | None = None,
    normalize: bool = False,
    absorbing: bool = False,
    type: str | None = None,  # noqa: A002  # the word users of these files know
) -> MarkovChain:
    """Read a chain from a ``.tra`` file and the files beside it; options as for `lumpability.read`.

    `type` is "dtmc" or "ctmc", if the file does not say.  Without a ``.lab`` file, or without ``init`` in it, the
    chain has no initial distribution.  A `FormatError` carries ``path``, ``line`` and ``value``.
    """
    path = Path(path)
    wanted = None if type is None else chain_class(type)
    if type is not None and wanted is None:
        raise FormatError(f"type is 'dtmc' or 'ctmc', not {type!r}", path=path)
    with opened(path, text=True) as stream:
        header = _read_header(stream, path)
        structure, number_reading = _read_body(stream, path, header, float_tolerance, digits)
    with reading(path):
        kind = wanted or header.kind or inferred_class(structure, path, normalize)
        counted = header.states is not None
        rewards, reward_reading = read_rewards(path, structure, float_tolerance, counted=counted)
        return assemble(
            kind,
            structure,
            labels=read_labels(path.with_suffix(".lab"), structure.n),
            rewards=rewards,
            states=read_names(path.with_suffix(".sta"), structure.n),
            reading=number_reading + reward_reading,
            normalize=normalize,
            absorbing=absorbing,
            decimals=True,
        )


def _read_header(stream: BinaryIO, path: Path) -> _Header:
    header = _Header()
    words: list[str] = []
    while not words:
        line = stream.readline(_MAX_HEADER)
        if not line:
            raise FormatError(
                "is empty: the numbers of states and transitions are missing", path=path
            )
        header.lines += 1
        text = line.decode(errors="replace").strip()
        comment = _TYPE_COMMENT.fullmatch(text)
        if comment:
            _set_kind(header, comment[1], path)
        words = [] if text.startswith("#") else text.split()
    if len(words) == 1 and words[0].isalpha():
        _set_kind(header, words[0], path)
    elif len(words) == 2 and all(_is_count(word) for word in words):
        header.states, header.transitions = int(words[0]), int(words[1])
    elif len(words) == 3 and all(_is_count(word) for word in words):
        header.states, _, header.transitions = map(int, words)
        header.kind, header.choices = DTMC, True
    elif len(words) == 4 and all(_is_count(word) for word in words):
        raise FormatError(
            f"{text!r} announces observations: a POMDP is not a Markov chain",
            path=path,
            line=header.lines,
        )
    elif words[0] == "STATES":
        raise FormatError(
            "begins like a file of MRMC, which numbers states from 1: write PRISM's form, from 0",
            path=path,
            line=header.lines,
        )
    else:
        raise FormatError(
            f"{shown(text)!r} is not the numbers of states and transitions",
            path=path,
            line=header.lines,
            value=text[:1000],
        )
    return header


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 19


def _set_kind(header: _Header, word: str, path: Path) -> None:
    """Read the type of the model; an MDP is a chain if it has one choice in every state."""
    header.choices = word.upper() == "MDP"
    header.kind = DTMC if header.choices else chain_class(word)
    if header.kind is None:
        raise FormatError(
            f"holds a model of type {shown(word)}: only CTMC and DTMC can be read",
            path=path,
            line=header.lines,
        )


def _read_body(
    stream: BinaryIO, path: Path, header: _Header, float_tolerance: float, digits: int | None
) -> tuple[WeightedStructure, Reading]:
    numbers = NumberTable(
        path, what="value", float_tolerance=float_tolerance, digits=digits, non_negative=True
    )
    sources: list[Array] = [np.empty(0, dtype=np.int32)]
    targets: list[Array] = [np.empty(0, dtype=np.int32)]
    codes: list[Array] = [np.empty(0, dtype=np.int32)]
    limit = _MAX_STATES if header.states is None else min(header.states, _MAX_STATES)
    for chunk in chunks(stream, path=path, first_line=header.lines + 1):
        if not header.choices:
            columns = chunk.table(3, 4, "'source target value'")
        else:
            columns = _without_choices(chunk)
        for column, collected in zip(columns, (sources, targets), strict=False):
            collected.append(chunk.states(column, limit).astype(np.int32))
        codes.append(numbers.codes(chunk, columns[2]).astype(np.int32))
    source, target = np.concatenate(sources), np.concatenate(targets)
    if header.transitions is not None and len(source) != header.transitions:
        raise FormatError(
            f"announces {header.transitions} transitions but holds {len(source)}: the file is cut "
            "off or changed",
            path=path,
        )
    n = header.states
    if n is not None and n > _MOST_STATES_EACH * (len(source) + 10_000):
        raise FormatError(
            f"announces {n} states for {len(source)} transitions: no model has so few", path=path
        )
    if n is None:
        n = int(max(source.max(initial=-1), target.max(initial=-1))) + 1
    weights = numbers.array(np.concatenate(codes))
    if np.all(source[1:] >= source[:-1]):
        indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n))])
        return WeightedStructure.from_rows(indptr, target, weights), numbers.reading
    return WeightedStructure.from_edges(n, source, target, weights), numbers.reading


def _without_choices(chunk: Chunk) -> list[Spans]:
    """Return the columns source, target and value of a model with choices that has one in every state."""
    source, choice, target, value = chunk.table(4, 5, "'source choice target value'")
    other = np.flatnonzero(~chunk.equal(choice, b"0"))
    if len(other):
        at = int(source.starts[other[0]])
        state = chunk.text(source, int(other[0]))
        chunk.fail(at, f"state {shown(state)} has a second choice: only models with one are chains")
    return [source, target, value]


def write_prism_files(
    chain: MarkovChain, path: str | Path, *, value_type: str = "rational"
) -> None:
    """Write a chain to a ``.tra`` file, and its labels, names and rewards to files beside it.

    ``.lab``, ``.sta``, ``.srew`` and ``.trew`` are written if needed; all files are put in place together.
    `value_type` is "rational" (exact) or "double" (the nearest doubles with 17 digits).

    Raises `FormatError` if a file cannot be written, the format cannot hold a name, parameters occur, or a file of
    another model would be read together with this one.  Warns `LossyWrite` if the initial distribution is not
    uniform, or a state without transitions has an action reward.

    >>> import tempfile
    >>> chain = DTMC.from_rates({("a", "a"): "1/3", ("a", "b"): "2/3", ("b", "b"): 1}, initial="a")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_prism_files(chain, f"{folder}/chain.tra")
    ...     print(Path(f"{folder}/chain.tra").read_text())
    ...     read_prism_files(f"{folder}/chain.tra").equals(chain)
    2 3
    0 0 1/3
    0 1 2/3
    1 1 1
    <BLANKLINE>
    True
    """
    path = Path(path)
    if value_type not in ("rational", "double"):
        raise FormatError(f"value_type is 'rational' or 'double', not {value_type!r}", path=path)
    if parameter_names(chain):
        raise FormatError("PRISM files hold no parameters: write DRN or JSON", path=path)
    number = double_text if value_type == "double" else exact_text
    masks = dict(chain.labels)
    marks = initial_marks(chain, path)
    if marks is not None:
        masks = {INITIAL: marks, **masks}
    texts: dict[Path, Iterable[str]] = {path: _transition_lines(chain, number)}
    if masks:
        lab = path.with_suffix(".lab")
        texts[lab] = labels_text(masks, lab)
    names = state_lines(chain, path)
    if names is not None:
        texts[path.with_suffix(".sta")] = states_text(names)
    texts |= reward_texts(chain, path, number)
    _refuse_leftovers(path, set(texts))
    with replacing(list(texts)) as handles:
        for handle, pieces in zip(handles, texts.values(), strict=True):
            for piece in pieces:
                handle.write(piece.encode())


def _transition_lines(chain: MarkovChain, number: Callable[[Exact], str]) -> Iterator[str]:
    matrix = chain.matrix
    if isinstance(chain, CTMC) and looks_stochastic(matrix):
        yield "# Transitions (CTMC)\n"
    yield f"{matrix.n} {matrix.m}\n"
    values = [number(value) for value in matrix.weights.values]
    sources = matrix.sources()
    for low in range(0, matrix.m, _LINES_AT_ONCE):
        part = slice(low, low + _LINES_AT_ONCE)
        triples = zip(
            sources[part].tolist(),
            matrix.indices[part].tolist(),
            matrix.weights.codes[part].tolist(),
            strict=True,
        )
        yield "".join([f"{source} {target} {values[code]}\n" for source, target, code in triples])


def _refuse_leftovers(path: Path, written: set[Path]) -> None:
    """Raise `FormatError` if an existing file beside this one would be read as part of it."""
    beside = [path.with_suffix(suffix) for suffix in (".lab", ".sta")] + reward_files(path)
    for other in beside:
        if other.exists() and other not in written:
            raise FormatError(
                f"{other.name} beside it belongs to another model and would be read with this one: "
                "remove it or choose another name",
                path=path,
                other=str(other),
            )
