"""The box of a ``.vnnlib`` file: the bounds of the inputs X_0, X_1, ... that it asserts.

VNN-LIB is SMT-LIB with variables X_i for inputs and Y_j for outputs.  Every assertion of the forms

    (<= X_i c)   (>= X_i c)   (= X_i c)   (and ...)   and those with the sides exchanged

gives a bound; assertions about outputs alone are not part of the region.  Anything else that names an input is
refused: a disjunction of boxes, or a bound that depends on another variable, is no box.  Numbers are decimals,
``(- c)`` and ``(/ a b)``, and are taken exactly.  The reader keeps its own stack and refuses deep nesting.
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
_CHANGES = ("push", "pop", "reset", "reset-assertions")
_ORDER = {"<=": "<=", ">=": ">=", "<": "<=", ">": ">=", "=": "="}
_EXCHANGED = {"<=": ">=", ">=": "<=", "=": "="}

Bounds = dict[int, Fraction]


def box_of_text(text: str) -> tuple[list[Fraction], list[Fraction]]:
    """Return the lowest and the highest value of every input.

    Raises `InvalidInput` if the text is not well formed, or holds no box; one sentence that says why.

    >>> box_of_text("(declare-const X_0 Real) (assert (<= X_0 0.5)) (assert (>= X_0 (- 1)))")
    ([Fraction(-1, 1)], [Fraction(1, 2)])
    """
    inputs: set[int] = set()
    low: Bounds = {}
    high: Bounds = {}
    for expression in _expressions(text):
        if not isinstance(expression, list) or not expression or isinstance(expression[0], list):
            raise InvalidInput(f"is no box: {_shown(expression)} is not a command")
        if expression[0] in _CHANGES:
            raise InvalidInput(f"is no box: {_shown(expression)} changes what was asserted")
        if expression[0] == "exit":
            break
        if expression[0] in ("declare-const", "declare-fun") and len(expression) > 1:
            found = _input(expression[1])
            inputs |= set() if found is None else {found}
        elif expression[0] == "assert" and len(expression) == 2:
            _assert(expression[1], low, high)
    if not inputs:
        raise InvalidInput("is no box: it declares no input X_0")
    for number in range(max(inputs) + 1):
        missing = [name for name, ends in (("lower", low), ("upper", high)) if number not in ends]
        if number not in inputs or missing:
            told = f"has no {missing[0]} bound" if number in inputs else "is not declared"
            raise InvalidInput(f"is no box: input X_{number} {told}", input=number)
    extra = sorted((low.keys() | high.keys()) - inputs)
    if extra:
        raise InvalidInput(f"is no box: input X_{extra[0]} is bounded but not declared")
    count = len(inputs)
    return [low[number] for number in range(count)], [high[number] for number in range(count)]


def _expressions(text: str) -> Iterator[Any]:
    """Yield the expressions of a text, nested lists of words."""
    stack: list[list[Any]] = []
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise InvalidInput(f"is not VNN-LIB: character {position} begins a name without an end")
        position = found.end()
        bracket, word = found.groups()
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
            yield item
    if stack:
        raise InvalidInput("is not VNN-LIB: the text ends inside an expression")


def _assert(expression: Any, low: Bounds, high: Bounds) -> None:
    """Add the bounds of an assertion."""
    if not any(_input(word) is not None for word in _words(expression)):
        return
    if isinstance(expression, list) and expression:
        head, *rest = expression
        if head == "and" or (head == "or" and len(rest) == 1):
            for one in rest:
                _assert(one, low, high)
            return
        if isinstance(head, str) and head in _ORDER and len(rest) == 2:
            relation, (left, right) = _ORDER[head], rest
            if _input(left) is None:
                relation, left, right = _EXCHANGED[relation], right, left
            number, value = _input(left), _number(right)
            if number is not None and value is not None:
                if relation in ("<=", "="):
                    high[number] = min(value, high.get(number, value))
                if relation in (">=", "="):
                    low[number] = max(value, low.get(number, value))
                return
    raise InvalidInput(f"is no box: {_shown(expression)} is not a bound of one input by a number")


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
