"""UMB, the unified Markov binary format: a tar archive of an index and of arrays.

``index.json`` describes the kind of transition system and the storage of numbers.  Arrays hold the branches of every
choice in compressed rows, with probabilities as doubles or as rationals (a signed numerator and an unsigned
denominator of 64 bits or a multiple).  A Markov chain has one choice in each state.  The rates of a CTMC are
exit rate of the state x probability of the branch.  This is exact for rationals; for doubles the product is
rounded like any computed rate, and `rationals` reads it as the rate that was meant.

The package ``umbi`` checks the index; NumPy reads the arrays, because a Python object for each number would take a
hundred times the memory.  UMB has no place for state names or for an initial distribution that is not uniform;
they are annotations of the group "lumpability".
"""

from __future__ import annotations

import itertools
import operator
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lumpability.errors import FormatError, InvalidInput
from lumpability.files import opened, reading
from lumpability.formats.assembly import assemble, uniform_over
from lumpability.formats.tokens import Array, shown
from lumpability.formats.umb_parts import bits, load_index, rationals
from lumpability.formats.umb_valuations import valuation_names
from lumpability.formats.umb_writer import GROUP, write_umb
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, Reading
from lumpability.structure import WeightedStructure

__all__ = ["read_umb", "write_umb"]


def read_umb(
    path: str | Path,
    *,
    float_tolerance: float = DEFAULT_TOLERANCE,
    normalize: bool = False,
    state_names: bool = True,
    max_bytes: int | None = None,
) -> MarkovChain:
    """Read a CTMC or DTMC from a ``.umb`` file; options as for `lumpability.read`.

    With float_tolerance 0 doubles are read literally, and rates as exact products of them.  Rewards on branches become
    the expected reward on leaving the state.  States without names are named by their variables, if these tell them
    apart.
    """
    path = Path(path)
    with opened(path, max_bytes=max_bytes, by_content=True) as stream:
        members = dict(_members(stream, path))
    if "index.json" not in members:
        raise FormatError("lacks the member 'index.json'", path=path)
    index = load_index(members["index.json"], path)
    with reading(path):
        return _Model(index, members, path, float_tolerance).chain(normalize, state_names)


def _members(stream: BinaryIO, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the regular files of an archive; nothing is extracted to disk."""
    seen = set()
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if not member.isreg():
                    continue
                if member.sparse is not None or member.name in seen:
                    raise FormatError(
                        f"holds the member {shown(member.name)!r} twice or with holes", path=path
                    )
                seen.add(member.name)
                content = archive.extractfile(member)
                assert content is not None  # regular files have contents
                yield member.name, content.read()
    except InvalidInput:
        raise
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise FormatError(f"is not a sound tar archive ({error})", path=path) from error


class _Model:
    """The arrays of a file; each is checked against the index when it is read."""

    def __init__(
        self, index: Any, members: dict[str, bytes], path: Path, float_tolerance: float
    ) -> None:
        self._system, self._annotations = index.transition_system, index.annotations or {}
        self._valuations = (index.valuations or {}).get("states")
        self._members, self._path, self._tolerance = members, path, float_tolerance
        self._n, self._m = int(self._system.num_states), int(self._system.num_branches)
        self._reading = Reading()

    def _error(self, message: str) -> FormatError:
        return FormatError(message, path=self._path)

    def _bytes(self, name: str, size: int) -> bytes:
        data = self._members.get(name)
        if data is None:
            raise self._error(f"lacks the member {name!r}")
        if len(data) != size:
            raise self._error(
                f"{name!r} has {len(data)} bytes, not {size}: the file is cut off or changed"
            )
        return data

    def _row_starts(self, name: str, rows: int, entries: int) -> Array:
        """Read a vector of row starts; one entry for each row if the member is absent."""
        if name not in self._members and rows == entries:
            return np.arange(rows + 1)
        starts = np.frombuffer(self._bytes(name, 8 * (rows + 1)), dtype="<u8")
        if starts[0] != 0 or starts[-1] != entries or np.any(starts[1:] < starts[:-1]):
            raise self._error(f"{name!r} does not ascend from 0 to {entries}")
        return starts.astype(np.int64)

    def _bits(self, name: str, count: int) -> Mask:
        size = (count + 63) // 64 * 8
        if name in self._members and len(self._members[name]) != size:
            size = (count + 7) // 8  # some writers do not pad the last word
        return bits(self._bytes(name, size), count)

    def _numbers(self, name: str, sized: Any, count: int) -> ExactArray | Array:
        """Read numbers: rationals and integers exactly, doubles unchanged."""
        kind, size = getattr(sized.type, "value", str(sized.type)), int(sized.size_bits)
        if kind == "rational" and size % 128 == 0:
            return rationals(self._bytes(name, count * size // 8), size // 8, self._path)
        if (kind, size) in _NUMPY_TYPES:
            dtype = np.dtype(_NUMPY_TYPES[kind, size])
            values = np.frombuffer(self._bytes(name, count * dtype.itemsize), dtype=dtype)
            return values if kind == "double" else ExactArray.read(values)[0]
        raise self._error(f"stores {name!r} as {kind} of {size} bits, which cannot be read")

    def _exact(self, numbers: ExactArray | Array) -> ExactArray:
        array, new = ExactArray.read(numbers, float_tolerance=self._tolerance)
        self._reading = self._reading + new
        return array

    def chain(self, normalize: bool, state_names: bool) -> MarkovChain:
        """Build the chain."""
        system = self._system
        self._refuse_other_models()
        targets = np.frombuffer(self._bytes("branch-to-target.bin", 8 * self._m), dtype="<u8")
        indptr = self._row_starts("choice-to-branches.bin", self._n, self._m)
        if len(targets) and targets.max() >= self._n:
            raise self._error(
                f"a branch leads to state {targets.max()}, there are {self._n} states"
            )
        probabilities: ExactArray | Array = np.empty(0)
        if self._m:
            sized = system.branch_probability_type
            probabilities = self._numbers("branch-to-probability.bin", sized, self._m)
        if system.time == "stochastic":
            exits = self._numbers("state-to-exit-rate.bin", system.exit_rate_type, self._n)
            weights = self._rates(probabilities, exits, np.diff(indptr))
        else:
            weights = self._exact(probabilities)
        negative = [value for value in weights.values if value < 0]
        if negative:
            raise self._error(f"holds the negative rate or probability {negative[0]}")
        structure = WeightedStructure.from_rows(indptr, targets.astype(np.int64), weights)
        rewards = self._rewards(indptr, probabilities)
        return assemble(
            CTMC if system.time == "stochastic" else DTMC,
            structure,
            labels=self._labels(),
            rewards=rewards,
            states=self._names() if state_names else None,
            initial=self._initial(),
            reading=self._reading,
            normalize=normalize,
        )

    def _rates(
        self, probabilities: ExactArray | Array, exits: ExactArray | Array, degrees: Array
    ) -> ExactArray:
        """Multiply probabilities by exit rates; two doubles give a rounded rate."""
        sources = np.repeat(np.arange(self._n), degrees)
        doubles = isinstance(probabilities, np.ndarray) and isinstance(exits, np.ndarray)
        if doubles and self._tolerance:
            with np.errstate(all="ignore"):  # numbers that are not finite are refused when read
                return self._exact(probabilities * np.asarray(exits)[sources])
        left, right = self._exact(probabilities), self._exact(exits)
        return left.combine(right.take(sources), operator.mul)

    def _refuse_other_models(self) -> None:
        system = self._system
        self._refuse_choices()
        # With one choice in every state players decide nothing.
        if system.time not in ("discrete", "stochastic") or system.num_players > 1:
            raise self._error(
                f"holds a model with time {system.time!r} and {system.num_players} players: only CTMC "
                "and DTMC, which have none, can be read"
            )
        if system.num_observations:
            raise self._error("holds observations, which a Markov chain does not have")
        if self._m and system.branch_probability_type is None:
            raise self._error("has no probabilities")
        if system.time == "stochastic" and system.exit_rate_type is None:
            raise self._error("has no exit rates")

    def _refuse_choices(self) -> None:
        """Refuse a model with a state that has no choice or several; name the state."""
        count = self._system.num_choices
        if "state-to-choices.bin" in self._members:
            starts = self._row_starts("state-to-choices.bin", self._n, count)
            wrong = np.flatnonzero(np.diff(starts) != 1)
            if len(wrong):
                state = int(wrong[0])
                choices = int(starts[state + 1] - starts[state])
                raise self._error(
                    f"state {state} has {choices} choices: only a model with one in every state is a Markov chain"
                )
        if count != self._n:
            raise self._error(f"has {count} choices for {self._n} states: a chain has one each")

    def _described(self, group: str) -> Iterator[tuple[str, Any, str, dict[str, str]]]:
        """Yield (name, type, kind of type, folders by what it applies to) of annotations."""
        for key, description in self._annotations.get(group, {}).items():
            if description.probability_type is not None:
                raise self._error(f"the annotation {shown(key)!r} is random, which cannot be read")
            folders = {
                what: f"annotations/{group}/{key}/{what}" for what in description.applies_to or ()
            }
            name = key if description.alias is None else description.alias
            kind = getattr(description.type.type, "value", str(description.type.type))
            yield name, description.type, kind, folders

    def _labels(self) -> dict[str, Mask]:
        labels = {}
        for name, _, kind, folders in self._described("aps"):
            if kind != "bool" or "states" not in folders or name in labels:
                raise self._error(f"the label {shown(name)!r} is given twice or not for states")
            labels[name] = self._bits(f"{folders['states']}/values.bin", self._n)
        return labels

    def _rewards(self, indptr: Array, probabilities: ExactArray | Array) -> dict[str, Reward]:
        rewards = {}
        for name, sized, _, folders in self._described("rewards"):
            if name in rewards:
                raise self._error(f"the reward {shown(name)!r} is given twice")
            counts = {"states": self._n, "choices": self._n, "branches": self._m}
            parts = {
                what: self._exact(self._numbers(f"{folder}/values.bin", sized, counts[what]))
                for what, folder in folders.items()
            }
            action = parts.get("choices")
            if "branches" in parts and self._m:
                chances, _ = ExactArray.read(probabilities, float_tolerance=self._tolerance)
                weighted = chances.combine(parts["branches"], operator.mul)
                expected = weighted.segment_sums(indptr)
                action = expected if action is None else expected.combine(action, operator.add)
            rewards[name] = Reward(parts.get("states"), action)
        return rewards

    def _initial(self) -> ExactArray | None:
        for name, sized, _, folders in self._described(GROUP):
            if name == "initial" and "states" in folders:
                numbers = self._numbers(f"{folders['states']}/values.bin", sized, self._n)
                return self._exact(numbers)
        if self._system.num_initial_states == 0:
            return None
        marks = self._bits("state-is-initial.bin", self._n)
        if np.count_nonzero(marks) != self._system.num_initial_states:
            raise self._error(
                f"announces {self._system.num_initial_states} initial states, marks "
                f"{np.count_nonzero(marks)}"
            )
        return uniform_over(marks)

    def _names(self) -> list[str] | None:
        for name, _, kind, folders in self._described(GROUP):
            if name == "names" and kind == "string" and "states" in folders:
                folder = folders["states"]
                text = self._members.get(f"{folder}/strings.bin", b"")
                starts = self._row_starts(f"{folder}/string-mapping.bin", self._n, len(text))
                return [text[a:b].decode() for a, b in itertools.pairwise(starts.tolist())]
        described = self._valuations
        if described is None or described.num_strings is not None or len(described.classes) != 1:
            return None
        data = self._members.get("valuations/states/valuations.bin", b"")
        return valuation_names(data, described.classes[0].fields, self._n)


_NUMPY_TYPES = {
    ("double", 64): "<f8",
    **{("int", size): f"<i{size // 8}" for size in (8, 16, 32, 64)},
    **{("uint", size): f"<u{size // 8}" for size in (8, 16, 32, 64)},
}
