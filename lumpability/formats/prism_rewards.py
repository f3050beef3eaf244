"""Rewards beside a ``.tra`` file.

``.srew`` holds a reward for each unit of time spent in a state, ``.trew`` one for each transition
taken.  Lumping respects what a state earns, so transition rewards become the expected reward on
leaving the state, exactly:  action(s) = sum over u of  w(s, u) / w(s)  r(s, u),  where w are the
rates or probabilities and w(s) is their sum.  Written back, every transition of s carries action(s).
Both kinds of file begin with the numbers of states and of entries; a comment may name the reward.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import opened
from lumpability.formats.assembly import warn_of_loss
from lumpability.formats.numbers import NumberTable
from lumpability.formats.tokens import Array, chunks, shown
from lumpability.markov.attributes import Reward
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import Reading
from lumpability.structure import WeightedStructure

_NAME = re.compile(r'#\s*Reward structure:?\s*"([^"]*)"\s*')
_MAX_LINE = 1 << 16


def reward_files(path: Path) -> list[Path]:
    """Return the possible names of the reward files of a ``.tra`` file, for the numbers that exist."""
    stems = [path.stem]
    while any(path.with_name(f"{path.stem}{len(stems)}{s}").exists() for s in (".srew", ".trew")):
        if path.with_name(f"{path.stem}{len(stems)}.tra").exists():
            break  # they belong to a model of that name
        stems.append(f"{path.stem}{len(stems)}")
    return [path.with_name(stem + suffix) for stem in stems for suffix in (".srew", ".trew")]


def read_rewards(
    path: Path, structure: WeightedStructure, float_tolerance: float, *, counted: bool
) -> tuple[dict[str, Reward], Reading]:
    """Read all reward files beside a ``.tra`` file.

    Raises `FormatError` for a state out of range, a reward on a transition that does not exist, a name used
    twice.

    - path: the ``.tra`` file
    - structure: its transitions
    - counted: whether the files begin with the numbers of states and entries (PRISM) or not (Storm)
    """
    rewards: dict[str, Reward] = {}
    total = Reading()
    files = reward_files(path)
    for k, (srew, trew) in enumerate(zip(files[0::2], files[1::2], strict=True)):
        names: list[str | None] = []
        state = action = None
        if srew.exists():
            name, (states,), values, reading = _read_entries(
                srew, 1, structure.n, float_tolerance, counted
            )
            state, total = _one_each(srew, states, values, structure.n), total + reading
            names.append(name)
        if trew.exists():
            name, (sources, targets), values, reading = _read_entries(
                trew, 2, structure.n, float_tolerance, counted
            )
            action = _expected(trew, structure, sources, targets, values)
            names.append(name)
            total = total + reading
        if not names:
            continue
        given = list(dict.fromkeys(name for name in names if name is not None))
        if len(given) > 1:
            raise FormatError(
                f"names the reward {given[1]!r}, but {srew.name} names it {given[0]!r}", path=trew
            )
        name = given[0] if given else f"reward{k or ''}"
        if name in rewards:
            raise FormatError(f"the reward {name!r} is given twice", path=srew)
        rewards[name] = Reward(state, action)
    return rewards, total


def _read_entries(
    path: Path, indices: int, n: int, float_tolerance: float, counted: bool
) -> tuple[str | None, list[Array], ExactArray, Reading]:
    """Return the reward's name, the index columns and the numbers."""
    numbers = NumberTable(path, what="reward", float_tolerance=float_tolerance)
    form = "'state reward'" if indices == 1 else "'source target reward'"
    collected: list[list[Array]] = [[np.empty(0, dtype=np.int64)] for _ in range(indices + 1)]
    with opened(path, text=True) as stream:
        name, lines, entries = _read_header(stream, path, n) if counted else (None, 0, None)
        for chunk in chunks(stream, path=path, first_line=lines + 1):
            columns = chunk.table(indices + 1, indices + 1, form)
            for column, array in zip(columns[:-1], collected[:-1], strict=True):
                array.append(chunk.states(column, n))
            collected[-1].append(numbers.codes(chunk, columns[-1]))
    *places, codes = [np.concatenate(arrays) for arrays in collected]
    if entries is not None and len(codes) != entries:
        raise FormatError(
            f"announces {entries} rewards but holds {len(codes)}: the file is cut off or changed",
            path=path,
        )
    return name, places, numbers.array(codes), numbers.reading


def _read_header(stream: BinaryIO, path: Path, n: int) -> tuple[str | None, int, int]:
    """Return the reward's name, the lines read and the number of entries announced."""
    name, lines = None, 0
    while line := stream.readline(_MAX_LINE):
        lines += 1
        text = line.decode(errors="replace").strip()
        comment = _NAME.fullmatch(text)
        if comment:
            name = comment[1]
        if not text or text.startswith("#"):
            continue
        words = text.split()
        if len(words) != 2 or not all(w.isascii() and w.isdigit() and len(w) < 19 for w in words):
            raise FormatError(
                f"{shown(text)!r} is not the numbers of states and rewards", path=path, line=lines
            )
        if int(words[0]) != n:
            raise FormatError(
                f"is for {words[0]} states, but the model has {n}", path=path, line=lines
            )
        return name, lines, int(words[1])
    raise FormatError("is empty: the numbers of states and rewards are missing", path=path)


def _one_each(path: Path, states: Array, values: ExactArray, n: int) -> ExactArray:
    counts = np.bincount(states, minlength=n)
    if counts.max(initial=0) > 1:
        raise FormatError(f"state {int(np.argmax(counts > 1))} has two rewards", path=path)
    codes = np.zeros(n, dtype=np.int64)
    codes[states] = values.codes.astype(np.int64) + 1
    return ExactArray.of_values(codes, [Fraction(0), *values.values])


def _expected(
    path: Path, structure: WeightedStructure, sources: Array, targets: Array, rewards: ExactArray
) -> ExactArray:
    """Return the expected reward on leaving each state, from rewards on transitions."""
    keys = structure.sources().astype(np.int64) * structure.n + structure.indices
    wanted = sources * structure.n + targets
    missing = np.append(keys, -1)[np.searchsorted(keys, wanted)] != wanted
    if missing.any():
        i = int(np.argmax(missing))
        raise FormatError(
            f"gives a reward to {int(sources[i])} -> {int(targets[i])}, which is not a transition",
            path=path,
        )
    earned = WeightedStructure.from_edges(structure.n, sources, targets, rewards)
    return expected_on_leaving(structure, earned)


def expected_on_leaving(
    structure: WeightedStructure, earned: WeightedStructure, more: ExactArray | None = None
) -> ExactArray:
    """Return the expected reward on leaving each state.

    - structure: rates or probabilities
    - earned: rewards on transitions of `structure`; others earn nothing
    - more (ExactArray, optional, shape (n,)): an additional reward for every transition of a state

    >>> chain = WeightedStructure.from_edges(2, [0, 0], [0, 1], [1, 2])
    >>> expected_on_leaving(chain, WeightedStructure.from_edges(2, [0], [1], ["1/2"]))
    ExactArray([1/3, 0])
    """
    n = structure.n
    keys = structure.sources().astype(np.int64) * n + structure.indices
    places = np.searchsorted(keys, earned.sources().astype(np.int64) * n + earned.indices)
    products = structure.weights.take(places).combine(earned.weights, operator.mul)
    sums = products.segment_sums(earned.indptr)
    expected = sums.combine(structure.row_sums(), lambda sum_, total: sum_ / (total or 1))
    return expected if more is None else expected.combine(more, operator.add)


def reward_texts(
    chain: MarkovChain, path: Path, number: Callable[[Exact], str]
) -> dict[Path, Iterable[str]]:
    """Return the texts of the reward files of a chain.

    Warns `LossyWrite` if a state without transitions has an action reward, which no transition can carry.
    """
    texts: dict[Path, Iterable[str]] = {}
    for k, (name, reward) in enumerate(chain.rewards.items(), start=1):
        if any(c in name for c in '"\n\0'):
            raise FormatError(
                f"the reward {shown(repr(name))} cannot be written: it holds a quote or a line break",
                path=path,
                reward=name,
            )
        stem = path.stem if len(chain.rewards) == 1 else f"{path.stem}{k}"
        if stem != path.stem and path.with_name(stem + ".tra").exists():
            raise FormatError(
                f"its rewards would be {stem}.srew and {stem}.trew, but {stem}.tra beside it is another "
                "model: choose another name",
                path=path,
            )
        heading = f'# Reward structure "{name}"\n'
        if reward.state is not None or reward.action is None:
            state = reward.state or ExactArray.constant(Fraction(0), chain.n)
            texts[path.with_name(stem + ".srew")] = _state_lines(heading, state, number)
        if reward.action is not None:
            texts[path.with_name(stem + ".trew")] = _action_lines(
                heading, chain.matrix, reward.action, number
            )
            earning = reward.action.where(bool)
            if np.any(earning & (np.diff(chain.matrix.indptr) == 0)):
                warn_of_loss(
                    path, f"the reward {name!r} on leaving states without transitions is left out"
                )
    return texts


def _state_lines(
    heading: str, rewards: ExactArray, number: Callable[[Exact], str]
) -> Iterator[str]:
    values = [number(value) for value in rewards.values]
    states = np.flatnonzero(rewards.where(bool))
    yield f"{heading}# State rewards\n{len(rewards)} {len(states)}\n"
    codes = rewards.codes[states].tolist()
    yield "".join([f"{s} {values[c]}\n" for s, c in zip(states.tolist(), codes, strict=True)])


def _action_lines(
    heading: str, matrix: WeightedStructure, rewards: ExactArray, number: Callable[[Exact], str]
) -> Iterator[str]:
    values = [number(value) for value in rewards.values]
    sources = matrix.sources()
    places = np.flatnonzero(rewards.where(bool)[sources])
    yield f"{heading}# Transition rewards\n{matrix.n} {len(places)}\n"
    triples = zip(
        sources[places].tolist(),
        matrix.indices[places].tolist(),
        rewards.codes[sources[places]].tolist(),
        strict=True,
    )
    yield "".join([f"{source} {target} {values[code]}\n" for source, target, code in triples])
