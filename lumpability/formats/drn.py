"""Reading Storm's DRN format: a header, then states in order, each with its transitions.

For example::

    @type: CTMC
    @value_type: double
    @parameters

    @reward_models
    waiting
    @nr_states
    2
    @nr_choices
    2
    @model
    state 0 !0.5 [1] init "a label"
            action 0 [0]
                    1 : 0.5

After a state's number come the exit rate (CTMC), rewards per unit of time and labels; after the action's name come
rewards per transition; then one line for each transition.  A comment ``//[...]`` below a state holds its name.
The header is read line by line, the body as arrays, some megabytes at a time; each distinct text after ``state``
and ``action`` is parsed once.  Parallel transitions are summed.

The dialect is that of Storm 2 (Hensel, Junges, Katoen, Quatmann, Volk: The probabilistic model
checker Storm, STTT 24, 2022).  Cost: about 0.4 microseconds for each transition.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from lumpability.errors import FormatError
from lumpability.files import opened
from lumpability.formats.assembly import assemble, refuse_absurd
from lumpability.formats.drn_header import Header, read_header, split_labels
from lumpability.formats.drn_writer import write_drn
from lumpability.formats.numbers import NumberTable
from lumpability.formats.tokens import Array, Chunk, Spans, chunks, shown
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.numbers.rationals import shown as exactly_shown
from lumpability.structure import WeightedStructure

__all__ = ["read_drn", "write_drn"]

_STATE_REST = re.compile(
    r"(?:!(?P<exit>\S+)\s*)?(?:\[(?P<rewards>[^\]]*)\]\s*)?(?P<labels>.*)", re.DOTALL
)
_ROUNDING = Fraction(1, 10**6)
_ACTION_REST = re.compile(r"\s*(?:\[(?P<rewards>[^\]]*)\])?\s*")


def read_drn(
    path: str | Path,
    *,
    float_tolerance: float = DEFAULT_TOLERANCE,
    digits: int | None = None,
    normalize: bool = False,
    absorbing: bool = False,
    max_bytes: int | None = None,
) -> MarkovChain:
    """Read a CTMC or DTMC from a ``.drn`` or ``.drn.gz`` file; options as for `lumpability.read`.

    Parameters become symbolic weights; a reward that is zero in all states or on all actions has no such part.
    A `FormatError` carries ``path``, ``line`` and ``value``.
    """
    with opened(path, max_bytes=max_bytes, text=True) as stream:
        header = read_header(stream, path)
        body = _Body(header, path, float_tolerance, digits)
        for chunk in chunks(stream, path=path, first_line=header.lines + 1):
            body.add(chunk)
        return body.chain(normalize, absorbing)


class _Body:
    """The states and transitions of a file, collected chunk by chunk."""

    def __init__(
        self, header: Header, path: str | Path, float_tolerance: float, digits: int | None
    ) -> None:
        self._header, self._path = header, path

        def table(what: str, non_negative: bool) -> NumberTable:
            return NumberTable(
                path,
                what=what,
                float_tolerance=float_tolerance,
                digits=digits,
                parameters=header.parameters,
                placeholders=header.placeholders,
                non_negative=non_negative,
            )

        self._weights = table("rate" if header.kind is CTMC else "probability", True)
        self._exits, self._rewards = table("exit rate", True), table("reward", False)
        self._zero = self._rewards.code("0", line=lambda: None)
        self._states = Attributes(self._parse_state)
        self._actions = Attributes(self._parse_action)
        self._sources: list[Array] = []
        self._targets: list[Array] = []
        self._codes: list[Array] = []
        self._last_action = -1
        self._after_state = False
        self._names: list[str] = []

    def add(self, chunk: Chunk) -> None:
        """Read one chunk, every kind of line at once."""
        spans, _ = chunk.tokens
        first, last = chunk.line_tokens
        if not len(first):
            return
        heads = spans[first]
        byte = chunk.data[heads.starts]
        transition = (byte >= ord("0")) & (byte <= ord("9"))
        comment = byte == ord("/")
        state, action = chunk.equal(heads, b"state"), chunk.equal(heads, b"action")
        unknown = ~(transition | comment | state | action)
        if unknown.any():
            at = int(heads.starts[np.argmax(unknown)])
            chunk.fail(
                at,
                f"{chunk.line_text(at)!r} is neither 'state', 'action' nor 'target : value'",
                value=chunk.line_text(at),
            )
        current = self._states.count - 1 + np.cumsum(state)
        homeless = (current < 0) & ~comment
        if homeless.any():
            at = int(heads.starts[np.argmax(homeless)])
            chunk.fail(at, f"{chunk.line_text(at)!r} comes before the first 'state'")
        below_state = np.concatenate([[self._after_state], state[:-1]])
        self._after_state = bool(state[-1])
        self._add_states(chunk, first[state], last[state])
        self._add_actions(chunk, first[action], last[action], current[action])
        self._add_names(chunk, chunk.between(first, last)[comment & below_state])
        self._add_transitions(chunk, first[transition], last[transition], current[transition])

    def _add_states(self, chunk: Chunk, first: Array, last: Array) -> None:
        if not len(first):
            return
        spans = chunk.tokens[0]
        bare = np.flatnonzero(first == last)
        if len(bare):
            chunk.fail(int(spans.starts[first[bare[0]]]), "'state' has no number")
        numbers = chunk.integers(spans[first + 1], "state number")
        wrong = np.flatnonzero(numbers != self._states.count + np.arange(len(numbers)))
        if len(wrong):
            i = int(wrong[0])
            expected, found = self._states.count + i, int(numbers[i])
            chunk.fail(
                int(spans.starts[first[i]]),
                f"state {found} comes where state {expected} should: states are listed in order, from 0 on",
                value=found,
            )
        self._states.add(chunk, chunk.between(first + 2, last))

    def _add_actions(self, chunk: Chunk, first: Array, last: Array, current: Array) -> None:
        if not len(first):
            return
        spans = chunk.tokens[0]
        before = np.concatenate([[self._last_action], current[:-1]])
        again = np.flatnonzero(current == before)
        if len(again):
            state = int(current[again[0]])
            chunk.fail(
                int(spans.starts[first[again[0]]]),
                f"state {state} has a second action: a model with choices is not a Markov chain",
                state=state,
            )
        self._last_action = int(current[-1])
        self._actions.add(chunk, chunk.between(first + 2, last), current)

    def _add_names(self, chunk: Chunk, spans: Spans) -> None:
        for i in range(len(spans)):
            text = chunk.text(spans, i)
            if text.startswith("//[") and text.endswith("]"):
                self._names.append(text[3:-1])

    def _add_transitions(self, chunk: Chunk, first: Array, last: Array, current: Array) -> None:
        spans = chunk.tokens[0]
        well_formed = last >= first + 2
        well_formed[well_formed] = chunk.equal(spans[first[well_formed] + 1], b":")
        if not well_formed.all():
            at = int(spans.starts[first[np.argmin(well_formed)]])
            chunk.fail(at, f"{chunk.line_text(at)!r} is not 'target : value'")
        targets = chunk.integers(spans[first], "target state")
        beyond = np.flatnonzero(targets >= (self._header.states or 0))
        if len(beyond):
            target = int(targets[beyond[0]])
            chunk.fail(
                int(spans.starts[first[beyond[0]]]),
                f"target {target} is out of range: there are {self._header.states} states, numbered from 0",
                value=target,
            )
        self._sources.append(current.astype(np.int32))
        self._targets.append(targets.astype(np.int32))
        codes = self._weights.codes(chunk, chunk.between(first + 2, last))
        self._codes.append(codes.astype(np.int32))

    def _parse_state(self, text: str, line: Callable[[], int]) -> Parsed:
        match = _STATE_REST.fullmatch(text)
        assert match is not None  # every part of the pattern may be empty
        if (match["exit"] is None) == (self._header.kind is CTMC):
            expected = "has no exit rate '!rate'" if match["exit"] is None else "has an exit rate"
            raise FormatError(
                f"the state of this {getattr(self._header.kind, '__name__', '')} {expected}",
                path=self._path,
                line=line(),
            )
        try:
            labels = tuple(split_labels(match["labels"]))
        except ValueError as error:
            raise FormatError(str(error), path=self._path, line=line()) from error
        exit_code = -1 if match["exit"] is None else self._exits.code(match["exit"], line=line)
        return Parsed(exit_code, self._parse_rewards(match["rewards"], line), labels)

    def _parse_action(self, text: str, line: Callable[[], int]) -> Parsed:
        match = _ACTION_REST.fullmatch(text)
        if match is None:
            raise FormatError(
                f"{shown(text)!r} after the action is not a list of rewards '[1, 2]'",
                path=self._path,
                line=line(),
                value=text,
            )
        return Parsed(-1, self._parse_rewards(match["rewards"], line), ())

    def _parse_rewards(self, text: str | None, line: Callable[[], int]) -> tuple[int, ...]:
        texts = [] if text is None else [t.strip() for t in text.split(",")]
        announced = len(self._header.rewards)
        if text is not None and len(texts) != announced:
            raise FormatError(
                f"[{shown(text)}] holds {len(texts)} rewards, the header names {announced}",
                path=self._path,
                line=line(),
                value=text,
            )
        if text is None:
            return (self._zero,) * announced
        return tuple(self._rewards.code(t, line=line) for t in texts)

    def chain(self, normalize: bool, absorbing: bool) -> MarkovChain:
        """Build the chain from the collected states and transitions."""
        header, n = self._header, self._states.count
        assert header.kind is not None
        if n != header.states:
            raise FormatError(
                f"announces {header.states} states but holds {n}: the file is cut off or changed",
                path=self._path,
            )
        refuse_absurd(len(header.rewards), n, "rewards")
        sources = joined(self._sources)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=n))])
        if header.choices is not None and header.choices != n:
            raise FormatError(
                f"announces {header.choices} choices for {n} states: a chain has one each",
                path=self._path,
            )
        weights = self._weights.array(joined(self._codes))
        if header.automaton:
            weights = self._automaton_rates(weights, sources)
        structure = WeightedStructure.from_rows(indptr, joined(self._targets), weights)
        unused = {name: np.zeros(n, dtype=bool) for name in header.unused_labels}
        chain = assemble(
            header.kind,
            structure,
            labels={**unused, **self._states.labels()},
            rewards=self._reward_models(n),
            states=self._names if n and len(self._names) == n else None,
            reading=self._weights.reading + self._rewards.reading,
            normalize=normalize,
            absorbing=absorbing,
            decimals=True,
        )
        if header.kind is CTMC and not header.automaton:
            self._check_exits(structure)
        return chain

    def _automaton_rates(self, probabilities: ExactArray, sources: Array) -> ExactArray:
        """Multiply the probabilities of a Markov automaton by the exit rates, which all states must have."""
        exits = self._exits.array(self._states.exits())
        immediate = [i for i, value in enumerate(exits.values) if value == 0]
        if immediate:
            state = int(np.flatnonzero(exits.codes == immediate[0])[0])
            raise FormatError(
                f"state {state} of this Markov automaton has no rate: it is left immediately, which is not "
                "possible in a Markov chain",
                path=self._path,
                state=state,
            )
        return probabilities.combine(exits.take(sources), operator.mul)

    def _reward_models(self, n: int) -> dict[str, Reward]:
        rewards = {}
        for j, name in enumerate(self._header.rewards):
            state = self._rewards.array(self._states.rewards(j, n, self._zero))
            action = self._rewards.array(self._actions.rewards(j, n, self._zero))
            earns_state, earns_action = (any(part.values) for part in (state, action))
            # A part that is zero everywhere is left out, but a reward keeps at least one part.
            rewards[name] = Reward(
                state if earns_state or not earns_action else None, action if earns_action else None
            )
        return rewards

    def _check_exits(self, structure: WeightedStructure) -> None:
        """Compare announced exit rates with the sums of rates."""
        announced, sums = self._exits.array(self._states.exits()), structure.row_sums()
        if announced.equals(sums):
            return
        # Doubles are rounded in the sum, but not as much as this.
        slack = Fraction(0) if self._header.value_type == "rational" else _ROUNDING
        differ = announced.combine(sums, lambda own, total: _differ(own, total, slack))
        wrong = np.flatnonzero(np.array(differ.values, dtype=bool)[differ.codes])
        if len(wrong):
            state = int(wrong[0])
            raise FormatError(
                f"the exit rate of state {state} is {exactly_shown(announced[state])}, but its rates sum "
                f"to {exactly_shown(sums[state])}",
                path=self._path,
                state=state,
            )


@dataclass(frozen=True)
class Parsed:
    """A parsed text after ``state`` or ``action``: codes of numbers, and labels."""

    exit: int
    rewards: tuple[int, ...]
    labels: tuple[str, ...]


class Attributes:
    """The texts after ``state`` or ``action``: each distinct one parsed once, a code for each line."""

    def __init__(self, parse: Callable[[str, Callable[[], int]], Parsed]) -> None:
        self._parse = parse
        self._number: dict[str, int] = {}
        self._parsed: list[Parsed] = []
        self._codes: list[Array] = []
        self._owners: list[Array] = []
        self.count = 0

    def add(self, chunk: Chunk, spans: Spans, owners: Array | None = None) -> None:
        """Add lines; `owners` are the states they belong to, by default the next ones."""
        local, distinct = chunk.distinct(spans)
        table = np.empty(len(distinct), dtype=np.int64)
        for i in range(len(distinct)):
            text = chunk.text(distinct, i)
            table[i] = self._number.setdefault(text, len(self._parsed))
            if table[i] == len(self._parsed):
                line = partial(chunk.line_number, int(distinct.starts[i]))
                self._parsed.append(self._parse(text, line))
        self._codes.append(table[local].astype(np.int32))
        new = np.arange(self.count, self.count + len(spans)) if owners is None else owners
        self._owners.append(new.astype(np.int32))
        self.count += len(spans)

    def exits(self) -> Array:
        """Codes of the exit rates, shape (count,)."""
        return np.array([p.exit for p in self._parsed], dtype=np.int64)[joined(self._codes)]

    def rewards(self, j: int, n: int, absent: int) -> Array:
        """Codes of reward j for each of n states; the code `absent` for states without a line."""
        result = np.full(n, absent, dtype=np.int64)
        table = np.array([p.rewards[j] for p in self._parsed], dtype=np.int64)
        result[joined(self._owners)] = table[joined(self._codes)]
        return result

    def labels(self) -> dict[str, Mask]:
        """The states that carry each label; labels in order of first mention."""
        carriers: dict[str, list[int]] = {}
        for code, parsed in enumerate(self._parsed):
            for label in parsed.labels:
                carriers.setdefault(label, []).append(code)
        codes = joined(self._codes)
        result = {}
        for label, carrying in carriers.items():
            table = np.zeros(len(self._parsed), dtype=bool)
            table[carrying] = True
            result[label] = table[codes]
        return result


def joined(arrays: list[Array]) -> Array:
    """Concatenate arrays; no arrays give an empty array of integers."""
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int32)


def _differ(announced: Exact, total: Exact, slack: Fraction) -> Fraction:
    """Return 1 if two exit rates differ by more than rounding explains, else 0."""
    difference = announced - total
    if not slack or not isinstance(difference, Fraction):
        return Fraction(difference != 0)
    return Fraction(abs(difference) > slack * max(announced, total))
