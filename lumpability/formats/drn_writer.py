"""Writing Storm's DRN format, exactly.

Numbers are written as fractions (``@value_type: rational``), as expressions when parameters occur
(``parametric``), or on request as the nearest doubles with 17 digits.  Comments, which Storm skips and this library
reads, hold what the format cannot: state names in ``//[...]`` below the state, where Storm writes state
valuations, and labels that no state carries in the header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lumpability.errors import FormatError
from lumpability.files import writing
from lumpability.formats.assembly import (
    INITIAL,
    distinct_rows,
    initial_marks,
    parameter_names,
    state_lines,
)
from lumpability.formats.drn_header import LABELS_OF_NO_STATE
from lumpability.formats.numbers import double_text
from lumpability.formats.tokens import Array, shown
from lumpability.markov.attributes import Mask
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import exact_text

_STATES_AT_ONCE = 1 << 14
_PLAIN_LABEL = re.compile(r"[\w.=<>:;,&|+*/^-][^\s\"\x00-\x20]*")


def write_drn(chain: MarkovChain, path: str | Path, *, value_type: str | None = None) -> None:
    """Write a chain to a ``.drn`` or ``.drn.gz`` file.

    `value_type` is "rational" (default: exact), "parametric" (default when parameters occur: exact) or "double" (the
    nearest doubles).  Raises `FormatError` if the file cannot be written, or a name cannot be held by the format.
    Warns `LossyWrite` if the initial distribution is not uniform, a state name holds a line break, or two are the
    same as text.

    >>> import tempfile
    >>> from lumpability.formats.drn import read_drn
    >>> chain = CTMC.from_rates({("up", "down"): "1/3"}, labels={"ok": ["up"]}, initial="up")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_drn(chain, f"{folder}/chain.drn")
    ...     print(Path(f"{folder}/chain.drn").read_text().partition("@model")[2])
    ...     read_drn(f"{folder}/chain.drn").equals(chain)
    <BLANKLINE>
    state 0 !1/3 init ok
    //[up]
        action 0
            1 : 1/3
    state 1 !0
    //[down]
        action 0
    <BLANKLINE>
    True
    """
    parameters = parameter_names(chain)
    value_type = value_type or ("parametric" if parameters else "rational")
    if value_type not in ("rational", "double", "parametric"):
        raise FormatError(
            f"value_type is 'rational', 'double' or 'parametric', not {value_type!r}", path=path
        )
    if value_type != "parametric" and parameters:
        raise FormatError(
            f"a chain with parameters cannot be written with value_type={value_type!r}", path=path
        )
    masks = dict(chain.labels)
    marks = initial_marks(chain, path)
    if marks is not None:
        masks = {INITIAL: marks, **masks}
    words = {name: label_word(name, path) for name in masks}
    text = _double if value_type == "double" else _exact
    with writing(path) as handle:
        handle.write(header_text(chain, path, value_type, masks, words).encode())
        for piece in _body(chain, masks, words, text, state_lines(chain, path)):
            handle.write(piece.encode())


def _exact(value: Exact) -> str:
    # Storm ends a number at the first space and writes powers with ^.
    return exact_text(value).replace(" ", "").replace("**", "^")


def _double(value: Exact) -> str:
    return double_text(value)


def label_word(name: str, path: str | Path) -> str:
    """Return a label as a word of the format, in quotes if need be."""
    if not name or any(c in name for c in '"\n\0'):
        raise FormatError(
            f"the label {shown(repr(name))} cannot be written: a DRN label is not empty and holds "
            "neither quotes nor line breaks",
            path=path,
            label=name,
        )
    return name if _PLAIN_LABEL.fullmatch(name) else f'"{name}"'


def header_text(
    chain: MarkovChain,
    path: str | Path,
    value_type: str,
    masks: dict[str, Mask],
    words: dict[str, str],
) -> str:
    """Return the lines before the states; `words` are the labels as words of the format."""
    for name in chain.rewards:
        if re.search(r"[\s\0]", name):
            raise FormatError(
                f"the reward {shown(repr(name))} cannot be written: a DRN reward name holds no spaces",
                path=path,
                reward=name,
            )
    unused = [words[name] for name, mask in masks.items() if not mask.any()]
    lines = [
        "// Exported by lumpability",
        *([f"{LABELS_OF_NO_STATE} {' '.join(unused)}"] if unused else []),
        f"@type: {type(chain).__name__}",
        f"@value_type: {value_type}",
        "@parameters",
        " ".join(parameter_names(chain)),
        "@reward_models",
        "".join(f"{name} " for name in chain.rewards),
        "@nr_states",
        str(chain.n),
        "@nr_choices",
        str(chain.n),
        "@model",
    ]
    return "\n".join(lines) + "\n"


def _body(
    chain: MarkovChain,
    masks: dict[str, Mask],
    words: dict[str, str],
    text: Any,
    names: Sequence[str] | None,
) -> Iterator[str]:
    matrix = chain.matrix
    weights = [text(value) for value in matrix.weights.values]
    rewards = list(chain.rewards.values())
    state_rewards = _bracketed([reward.state for reward in rewards], chain.n, text)
    action_rewards = _bracketed([reward.action for reward in rewards], chain.n, text)
    labels = label_texts([(words[name], mask) for name, mask in masks.items()], chain.n)
    exits = None
    if isinstance(chain, CTMC):
        sums = matrix.row_sums()  # Storm's exit rates count self-loops
        exits = _Texts(sums.codes, [f" !{text(value)}" for value in sums.values])
    for low in range(0, chain.n, _STATES_AT_ONCE):
        high = min(low + _STATES_AT_ONCE, chain.n)
        first, last = int(matrix.indptr[low]), int(matrix.indptr[high])
        transitions = [
            f"\t\t{target} : {weights[code]}\n"
            for target, code in zip(
                matrix.indices[first:last].tolist(),
                matrix.weights.codes[first:last].tolist(),
                strict=True,
            )
        ]
        bounds = (matrix.indptr[low : high + 1] - first).tolist()
        parts = [t.slice(low, high) for t in (exits, state_rewards, labels) if t is not None]
        heads = map("".join, zip(*parts, strict=True)) if parts else [""] * (high - low)
        actions = [""] * (high - low) if action_rewards is None else action_rewards.slice(low, high)
        pieces: list[str] = []
        for i, (head, action) in enumerate(zip(heads, actions, strict=True)):
            name = "" if names is None else f"//[{names[low + i]}]\n"
            pieces.append(f"state {low + i}{head}\n{name}\taction 0{action}\n")
            pieces += transitions[bounds[i] : bounds[i + 1]]
        yield "".join(pieces)


class _Texts:
    """A text for each state: a code for each, and every distinct text once."""

    def __init__(self, codes: Array, texts: list[str]) -> None:
        self._codes, self._texts = codes, texts

    def slice(self, low: int, high: int) -> list[str]:
        return [self._texts[code] for code in self._codes[low:high].tolist()]


def _bracketed(parts: list[ExactArray | None], n: int, text: Any) -> _Texts | None:
    """The texts " [a, b]" of several rewards; an absent part is zero."""
    if not parts or not n:
        return None
    zero = ExactArray.constant(0, n)
    arrays = [zero if part is None else part for part in parts]
    codes, first = distinct_rows([array.codes for array in arrays])
    tables = [[text(value) for value in array.values] for array in arrays]
    columns = [
        [table[code] for code in array.codes[first].tolist()]
        for table, array in zip(tables, arrays, strict=True)
    ]
    return _Texts(codes, [f" [{', '.join(row)}]" for row in zip(*columns, strict=True)])


def label_texts(labels: list[tuple[str, Mask]], n: int) -> _Texts | None:
    """The labels of every state, each after a space."""
    if not labels or not n:
        return None
    codes, first = distinct_rows([mask for _, mask in labels])
    texts = [
        "".join(f" {word}" for word, mask in labels if mask[state]) for state in first.tolist()
    ]
    return _Texts(codes, texts)
