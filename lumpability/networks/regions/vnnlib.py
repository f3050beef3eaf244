"""The boxes of a ``.vnnlib`` file: the bounds of the inputs X_0, X_1, ... that it asserts.

VNN-LIB is SMT-LIB with variables X_i for inputs and Y_j for outputs.  Every assertion of the forms

    (<= X_i c)   (>= X_i c)   (= X_i c)   (and ...)   (or ...)   and those with the sides exchanged

gives bounds; the region is a union of boxes, one for each choice of disjuncts that leaves any input.  Assertions
about outputs alone are not part of the region.  Anything else that names an input is refused, such as a bound that
depends on another variable, and so is every command that is not known.  Numbers are decimals, ``(- c)`` and
``(/ a b)``, and are taken exactly.  The reader keeps its own stack and refuses deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from lumpability.errors import InvalidInput
from lumpability.numbers.rationals import read_number

_TOKEN = re.compile(r"\s+|;[^\n]*|([()])|(\|[^|]*\||\"[^\"]*\"|[^\s();|\"]+)")
_INPUT = re.compile(r"X_(0|[1-9][0-9]{0,7})\Z")
_DEEPEST = 64
_MOST_BOXES = 1 << 10
_SILENT = frozenset(
    [
        "check-sat",
        "echo",
        "get-info",
        "get-model",
        "get-option",
        "get-value",
        "set-info",
        "set-logic",
        "set-option",
    ]
)
_CHANGES = ("push", "pop", "reset", "reset-assertions")
_ORDER = {"<=": "<=", ">=": ">=", "<": "<=", ">": ">=", "=": "="}
_EXCHANGED = {"<=": ">=", ">=": "<=", "=": "="}

Bounds = dict[int, Fraction]
Ends = tuple[list[Fraction], list[Fraction]]


def boxes_of_text(text: str) -> list[Ends]:
    """Return the lowest and the highest value of every input, for each box of the union.

    Raises `InvalidInput` if the text is not well formed, or holds no box; one sentence that says why.

    >>> boxes_of_text("(declare-const X_0 Real) (assert (<= X_0 0.5)) (assert (>= X_0 (- 1)))")
    [([Fraction(-1, 1)], [Fraction(1, 2)])]
    """
    inputs: set[int] = set()
    boxes: list[tuple[Bounds, Bounds]] = [({}, {})]
    for line, expression in _expressions(text):
        match expression:
            case [str() as head, *_] if head in _CHANGES:
                raise _refused(line, expression, "changes what was asserted")
            case ["exit"]:
                break
            case ["declare-const" | "declare-fun", str() as name, *_]:
                found = _input(name)
                inputs |= set() if found is None else {found}
            case ["assert", asserted]:
                boxes = _asserted(asserted, boxes, line)
            case [str() as head, *_] if head in _SILENT:
                continue
            case _:
                raise _refused(line, expression, "is not a command")
    if not inputs:
        raise InvalidInput("is no box: it declares no input X_0")
    ends: dict[tuple[tuple[Fraction, ...], tuple[Fraction, ...]], None] = {}
    for low, high in boxes:
        _bounded(inputs, low, high)
        order = range(len(inputs))
        ends[tuple(low[k] for k in order), tuple(high[k] for k in order)] = None
    every = [(list(low), list(high)) for low, high in ends]
    fulfilled = [one for one in every if all(a <= b for a, b in zip(*one, strict=True))]
    return fulfilled or every[:1]


def _bounded(inputs: set[int], low: Bounds, high: Bounds) -> None:
    """Refuse a box in which an input lacks a bound, or a bound lacks an input."""
    for number in range(max(inputs) + 1):
        missing = [name for name, ends in (("lower", low), ("upper", high)) if number not in ends]
        if number not in inputs or missing:
            told = f"has no {missing[0]} bound" if number in inputs else "is not declared"
            raise InvalidInput(f"is no box: input X_{number} {told}", input=number)
    extra = sorted((low.keys() | high.keys()) - inputs)
    if extra:
        raise InvalidInput(f"is no box: input X_{extra[0]} is bounded but not declared")


def _refused(line: int, expression: Any, told: str) -> InvalidInput:
    return InvalidInput(f"is no box: line {line}: {_shown(expression)} {told}", line=line)


def _expressions(text: str) -> Iterator[tuple[int, Any]]:
    """Yield the expressions of a text, nested lists of words, with the lines on which they begin."""
    stack: list[list[Any]] = []
    position, line, counted = 0, 1, 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise InvalidInput(f"is not VNN-LIB: character {position} begins a name without an end")
        bracket, word = found.groups()
        if not stack:
            line, counted = line + text.count("\n", counted, position), position
        position = found.end()
        if bracket == "(":
            if len(stack) >= _DEEPEST:
                raise InvalidInput(f"is no box: expressions are nested more than {_DEEPEST} deep")
            stack.append([])
            continue
        if bracket == ")":
            if not stack:
                raise InvalidInput(f"is not VNN-LIB: character {position - 1} closes nothing")
            item: Any = stack.pop()
        elif word is not None:
            item = word
        else:
            continue
        if stack:
            stack[-1].append(item)
        else:
            yield line, item
    if stack:
        raise InvalidInput("is not VNN-LIB: the text ends inside an expression")


def _asserted(
    expression: Any, boxes: list[tuple[Bounds, Bounds]], line: int
) -> list[tuple[Bounds, Bounds]]:
    """Return the boxes within an assertion; bounds are added in place."""
    if not any(_input(word) is not None for word in _words(expression)):
        return boxes
    match expression:
        case ["and", *rest]:
            for one in rest:
                boxes = _asserted(one, boxes, line)
            return boxes
        case ["or", *rest]:
            found: list[tuple[Bounds, Bounds]] = []
            for one in rest:
                if len(found) + len(boxes) > _MOST_BOXES:
                    raise InvalidInput(f"holds more than {_MOST_BOXES:,} boxes")
                found += _asserted(one, [(low.copy(), high.copy()) for low, high in boxes], line)
            return found
        case [str() as head, left, right] if head in _ORDER:
            relation = _ORDER[head]
            if _input(left) is None:
                relation, left, right = _EXCHANGED[relation], right, left
            number, value = _input(left), _number(right)
            if number is not None and value is not None:
                for low, high in boxes:
                    if relation in ("<=", "="):
                        high[number] = min(value, high.get(number, value))
                    if relation in (">=", "="):
                        low[number] = max(value, low.get(number, value))
                return boxes
    raise _refused(line, expression, "is not a bound of one input by a number")


def _words(expression: Any) -> Iterator[str]:
    waiting = [expression]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        else:
            yield item


def _input(word: Any) -> int | None:
    found = _INPUT.match(word) if isinstance(word, str) else None
    return None if found is None else int(found[1])


def _number(expression: Any) -> Fraction | None:
    if isinstance(expression, str):
        try:
            return read_number(expression, float_tolerance=0)
        except InvalidInput:
            return None
    parts = [_number(part) for part in expression[1:]]
    match expression[:1], parts:
        case ["-"], [Fraction() as value]:
            return -value
        case ["/"], [Fraction() as above, Fraction() as below] if below:
            return above / below
    return None


def _shown(expression: Any) -> str:
    text = f"({' '.join(map(_shown, expression))})" if isinstance(expression, list) else expression
    return text if len(text) <= 60 else f"{text[:57]}..."
