"""Writing UMB files: exact rationals, in as many words of 64 bits as the longest needs.

The rates of a CTMC become exit rates (self-loops included) and probabilities, both exact, so that their
product is the rate again.
"""

from __future__ import annotations

import io
import operator
import re
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import writing
from lumpability.formats.assembly import (
    parameter_names,
    refuse_initial_label,
    state_names,
    uniform_over,
)
from lumpability.formats.umb_parts import dump_index, packed_bits, packed_rationals
from lumpability.markov.attributes import Mask
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray

GROUP = "lumpability"
"""The group of annotations for data without a place in UMB: "names" and "initial"."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")


def write_umb(chain: MarkovChain, path: str | Path, *, value_type: str = "rational") -> None:
    """Write a chain without parameters to a ``.umb`` file.

    `value_type` is "rational" (exact) or "double" (the nearest doubles).  State names become texts, with a
    `LossyWrite` if two are then the same.  Raises `FormatError` if the file cannot be written, or the format
    cannot hold the chain.

    >>> import tempfile
    >>> from lumpability.formats.umb import read_umb
    >>> chain = CTMC.from_rates({("a", "b"): "1/3", ("b", "b"): 2}, initial={"a": "1/4", "b": "3/4"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_umb(chain, f"{folder}/chain.umb")
    ...     read_umb(f"{folder}/chain.umb").equals(chain)
    True
    """
    if value_type not in ("rational", "double"):
        raise FormatError(f"value_type is 'rational' or 'double', not {value_type!r}", path=path)
    if parameter_names(chain):
        raise FormatError("UMB holds no parameters: write DRN or JSON", path=path)
    if chain.n == 0:
        raise FormatError("UMB holds no chain without states: write JSON or NPZ", path=path)
    refuse_initial_label(chain, path)
    with writing(path, packed=True) as handle:
        archive = _Archive(chain, value_type, state_names(chain, path))
        members = {"index.json": dump_index(archive.index, path), **archive.members}
        with tarfile.open(fileobj=handle, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for name, data in members.items():
                member = tarfile.TarInfo(name)  # its time stays 0: equal chains give equal files
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


class _Archive:
    """The index and the members of the archive for a chain."""

    def __init__(self, chain: MarkovChain, value_type: str, names: list[str] | None) -> None:
        self._chain, self._double = chain, value_type == "double"
        self.members: dict[str, bytes] = {}
        self._annotations: dict[str, dict[str, Any]] = {}
        marks = self._add_initial()
        system = self._add_transitions()
        self._add_labels()
        self._add_rewards()
        self._add_names(names)
        self.index = {
            "file-data": {"tool": "lumpability"},
            "transition-system": {"#initial-states": marks, **system},
            "annotations": self._annotations,
        }

    def _numbers(self, array: ExactArray, member: str) -> dict[str, Any]:
        """Add a vector of numbers and return the description of its type."""
        if self._double:
            self.members[member] = array.to_floats().astype("<f8").tobytes()
            return {"type": "double", "size": 64}
        data, size = packed_rationals(array)
        self.members[member] = data
        return {"type": "rational", "size": 8 * size}

    def _add_initial(self) -> int:
        initial, n = self._chain.initial, self._chain.n
        if initial is None:
            self.members["state-is-initial.bin"] = packed_bits(np.zeros(n, dtype=bool))
            return 0
        marks: Mask = initial.where(bool)
        self.members["state-is-initial.bin"] = packed_bits(marks)
        uniform = uniform_over(marks)
        if uniform is None or not uniform.equals(initial):
            folder = f"annotations/{GROUP}/initial/states"
            sized = self._numbers(initial, f"{folder}/values.bin")
            self._describe(GROUP, "initial", None, {"states": sized})
        return int(marks.sum())

    def _add_transitions(self) -> dict[str, Any]:
        chain, matrix = self._chain, self._chain.matrix
        system: dict[str, Any] = {
            "time": "discrete",
            "#players": 0,
            "#states": chain.n,
            "#choices": chain.n,
            "#choice-actions": 0,
            "#branches": matrix.m,
            "#branch-actions": 0,
            "#observations": 0,
        }
        probabilities = matrix.weights
        if isinstance(chain, CTMC):
            exits = matrix.row_sums()
            system["time"] = "stochastic"
            system["exit-rate-type"] = self._numbers(exits, "state-to-exit-rate.bin")
            probabilities = matrix.weights.combine(exits.take(matrix.sources()), operator.truediv)
        self.members["choice-to-branches.bin"] = matrix.indptr.astype("<u8").tobytes()
        self.members["branch-to-target.bin"] = matrix.indices.astype("<u8").tobytes()
        if matrix.m:
            sized = self._numbers(probabilities, "branch-to-probability.bin")
            system["branch-probability-type"] = sized
        return system

    def _describe(
        self, group: str, key: str, alias: str | None, types: dict[str, dict[str, Any]]
    ) -> None:
        """Describe an annotation; the parts it applies to share one type."""
        described: dict[str, Any] = {"applies-to": list(types), "type": next(iter(types.values()))}
        if alias is not None:
            described["alias"] = alias
        self._annotations.setdefault(group, {})[key] = described

    def _keys(self, names: list[str], prefix: str) -> dict[str, str]:
        """Return a folder name for each name; the name itself if it is safe."""
        plain = all(_PLAIN_KEY.fullmatch(name) for name in names)
        return {name: name if plain else f"{prefix}{k}" for k, name in enumerate(names)}

    def _add_labels(self) -> None:
        keys = self._keys(list(self._chain.labels), "label")
        for name, mask in self._chain.labels.items():
            self.members[f"annotations/aps/{keys[name]}/states/values.bin"] = packed_bits(mask)
            self._describe("aps", keys[name], name, {"states": {"type": "bool", "size": 1}})

    def _add_rewards(self) -> None:
        keys = self._keys(list(self._chain.rewards), "reward")
        for name, reward in self._chain.rewards.items():
            state, action = reward.state, reward.action
            parts = {"states": state, "choices": action}
            given = {what: part for what, part in parts.items() if part is not None}
            # Both parts have one type, so both take the size of the longer.
            joined = (
                state if action is None else action if state is None else state.concatenate(action)
            )
            if joined is None:
                continue
            folder = f"annotations/rewards/{keys[name]}"
            sized = self._numbers(joined, "both")
            data = self.members.pop("both")
            each = len(data) // len(given)
            for k, what in enumerate(given):
                self.members[f"{folder}/{what}/values.bin"] = data[k * each : (k + 1) * each]
            self._describe("rewards", keys[name], name, dict.fromkeys(given, sized))

    def _add_names(self, names: list[str] | None) -> None:
        if names is None:
            return
        texts = [name.encode() for name in names]
        folder = f"annotations/{GROUP}/names/states"
        self.members[f"{folder}/strings.bin"] = b"".join(texts)
        bounds = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
        self.members[f"{folder}/string-mapping.bin"] = bounds.astype("<u8").tobytes()
        self._describe(GROUP, "names", None, {"states": {"type": "string", "size": 64}})
