"""The library's own JSON for chains: everything a chain has, exactly, for people and programs.

Distinct numbers are listed once, as integers, texts "p/q", or expressions in parameters; transitions
and rewards refer to them by position.  Row s of the matrix occupies positions row_starts[s] to
row_starts[s+1] of "targets" and "weights".  ``lumpability/schemas/chain.schema.json`` describes the
format for other programs.  State names are kept if they are texts or integers; others are written as their
``str``.  Use it for chains of up to a few million transitions; DRN and NPZ hold larger ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidValue
from lumpability.files import reading, writing
from lumpability.formats.assembly import (
    chain_class,
    parameter_names,
    refuse_absurd,
    refuse_negative,
    state_names,
)
from lumpability.formats.numbers import read_exact
from lumpability.formats.strict_json import check_version, read_document, write_pieces
from lumpability.formats.tokens import Array, shown
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.number_list import NumberList, array_of_codes
from lumpability.numbers.rationals import exact_text
from lumpability.structure import WeightedStructure

FORMAT, VERSION = "lumpability/chain", 1
_LARGEST_PLAIN = 2**53  # other programs read integers up to here exactly


def write_json(chain: MarkovChain, path: str | Path) -> None:
    """Write a chain to a ``.json`` or ``.json.gz`` file.

    Warns `LossyWrite` if two state names are the same as text.

    >>> import tempfile
    >>> from lumpability.markov import DTMC
    >>> chain = DTMC.from_rates({("a", "a"): "1/3", ("a", "b"): "2/3", ("b", "b"): 1}, initial="a")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(chain, f"{folder}/chain.json")
    ...     print(Path(f"{folder}/chain.json").read_text())
    ...     read_json(f"{folder}/chain.json").equals(chain)
    {
    "format": "lumpability/chain",
    "version": 1,
    "type": "DTMC",
    "state_count": 2,
    "states": ["a", "b"],
    "parameters": [],
    "numbers": ["1/3", "2/3", 1, 0],
    "row_starts": [0, 2, 3],
    "targets": [0, 1, 1],
    "weights": [0, 1, 2],
    "labels": {},
    "rewards": {},
    "initial": [2, 3]
    }
    <BLANKLINE>
    True
    """
    with writing(path) as handle:
        for piece in write_pieces(_items(chain, path)):
            handle.write(piece.encode())


def _items(chain: MarkovChain, path: str | Path) -> Iterator[tuple[str, Any]]:
    numbers = NumberList()

    def codes(array: ExactArray | None) -> list[int] | None:
        return None if array is None else numbers.codes(array).tolist()

    weights = codes(chain.matrix.weights)
    rewards = {
        name: {"state": codes(reward.state), "action": codes(reward.action)}
        for name, reward in chain.rewards.items()
    }
    initial = codes(chain.initial)
    yield "format", FORMAT
    yield "version", VERSION
    yield "type", type(chain).__name__
    yield "state_count", chain.n
    yield "states", state_names(chain, path, integers=True)
    yield "parameters", parameter_names(chain)
    yield "numbers", [_plain(value) for value in numbers.values]
    yield "row_starts", chain.matrix.indptr.tolist()
    yield "targets", chain.matrix.indices.tolist()
    yield "weights", weights
    yield "labels", {name: np.flatnonzero(mask).tolist() for name, mask in chain.labels.items()}
    yield "rewards", rewards
    yield "initial", initial


def _plain(value: Exact) -> str | int:
    whole = getattr(value, "denominator", 0) == 1 and abs(value) <= _LARGEST_PLAIN
    return int(value) if whole else exact_text(value)


def read_json(
    path: str | Path, *, normalize: bool = False, max_bytes: int | None = None
) -> MarkovChain:
    """Read a chain from a ``.json`` or ``.json.gz`` file of this library; options as for `lumpability.read`.

    A `FormatError` names the key.
    """
    document = read_document(path, max_bytes=max_bytes)
    check_version(document, path, FORMAT, VERSION)
    with reading(path):
        return _Reader(document, path).chain(normalize)


class _Reader:
    """Reads the parts of a document, and checks each against the format."""

    def __init__(self, document: dict[str, Any], path: str | Path) -> None:
        self._document, self._path = document, path
        expected = {key for key, _ in _KEYS}
        for key in document:
            if key not in expected:
                raise self._error(f"holds the unknown key {shown(key)!r}")
        for key, kinds in _KEYS:
            if key not in document:
                raise self._error(f"lacks the key {key!r}")
            if not isinstance(document[key], kinds) or isinstance(document[key], bool):
                raise self._error(f"has a {type(document[key]).__name__} at {key!r}")
        self._n: int = document["state_count"]
        self._parameters = [self._text(item, "parameters") for item in document["parameters"]]
        self._numbers = [self._number(item) for item in document["numbers"]]

    def _error(self, message: str) -> FormatError:
        return FormatError(message, path=self._path)

    def _text(self, item: Any, what: str) -> str:
        if not isinstance(item, str):
            raise self._error(f"{what!r} holds {shown(repr(item))}, not a text")
        return item

    def _number(self, item: Any) -> Any:
        if type(item) is int:
            return Fraction(item)
        try:
            return read_exact(self._text(item, "numbers"), self._parameters)
        except InvalidValue as error:
            raise self._error(f"'numbers': {error}") from error

    def chain(self, normalize: bool) -> MarkovChain:
        """Build the chain."""
        document = self._document
        kind = chain_class(document["type"])
        if kind is None or kind.__name__ != document["type"]:
            raise self._error(f"has the type {shown(repr(document['type']))}, not 'CTMC' or 'DTMC'")
        starts = self._integers(document["row_starts"], "row_starts", 0, 2**62)
        if len(starts) != self._n + 1:
            raise self._error(f"has {len(starts)} 'row_starts' for {self._n} states, not one more")
        targets = self._integers(document["targets"], "targets", 0, self._n - 1)
        weights = self._array(document["weights"], "weights", len(targets))
        refuse_negative(weights, self._path)
        structure = WeightedStructure.from_rows(starts, targets, weights)
        initial = document["initial"]
        return kind(
            structure,
            states=self._states(),
            labels=self._labels(),
            rewards=self._rewards(),
            initial=None if initial is None else self._array(initial, "initial", self._n),
            normalize=normalize,
        )

    def _integers(self, items: Any, what: str, least: int, most: int) -> Array:
        if not isinstance(items, list):
            raise self._error(f"has a {type(items).__name__} at {what!r}, not a list")
        for item in items:
            if type(item) is not int or not least <= item <= most:
                raise self._error(
                    f"{what!r} holds {shown(repr(item))}, not a whole number from {least} to {most}"
                )
        return np.array(items, dtype=np.int64)

    def _array(self, items: Any, what: str, length: int) -> ExactArray:
        codes = self._integers(items, what, 0, len(self._numbers) - 1)
        if len(codes) != length:
            raise self._error(f"{what!r} has {len(codes)} entries, not {length}")
        return array_of_codes(codes, self._numbers)

    def _states(self) -> list[str | int] | None:
        names: list[Any] | None = self._document["states"]
        for name in names or ():
            if isinstance(name, bool) or not isinstance(name, str | int):
                raise self._error(f"'states' holds {shown(repr(name))}, not a text or an integer")
        return names

    def _labels(self) -> dict[str, Mask]:
        refuse_absurd(len(self._document["labels"]), self._n, "labels")
        labels = {}
        for name, carriers in self._document["labels"].items():
            mask = np.zeros(self._n, dtype=bool)
            mask[self._integers(carriers, f"labels.{shown(name)}", 0, self._n - 1)] = True
            labels[name] = mask
        return labels

    def _rewards(self) -> dict[str, Reward]:
        rewards = {}
        for name, parts in self._document["rewards"].items():
            what = f"rewards.{shown(name)}"
            if not isinstance(parts, dict) or set(parts) != {"state", "action"}:
                raise self._error(f"{what!r} is not an object with the keys 'state' and 'action'")
            state, action = (
                None if parts[part] is None else self._array(parts[part], f"{what}.{part}", self._n)
                for part in ("state", "action")
            )
            rewards[name] = Reward(state, action)
        return rewards


_KEYS: tuple[tuple[str, Any], ...] = (
    ("format", str),
    ("version", int),
    ("type", str),
    ("state_count", int),
    ("states", list | None),
    ("parameters", list),
    ("numbers", list),
    ("row_starts", list),
    ("targets", list),
    ("weights", list),
    ("labels", dict),
    ("rewards", dict),
    ("initial", list | None),
)
