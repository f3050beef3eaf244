"""Symbolic weights: rational functions of positive parameters, as elements of one field.

A weight may be a sympy expression, or a text such as "2*mu + 1/3", in parameters that stand for
positive numbers.  A parameter is its name.  It is given back as it came in: a name in a text as the plain
symbol without assumptions, which sympy's functions find by its name too, and a symbol of the user as itself.
All weights of an array become elements of the field Q(a, b, ...) of rational
functions.  There every element has one normal form, so equality is decided by comparison, sums are
exact, and no simplification heuristics are involved.  Text is parsed with Python's grammar, never
evaluated: only numbers, names, + - * / and whole powers are accepted, and only while the expression
stays of moderate size when multiplied out, so that no short text can exhaust time or memory.
"""

from __future__ import annotations

import ast
import heapq
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import count
from typing import Any

from lumpability.errors import InvalidValue, SizeLimit
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, read_number, read_text

_MAX_LENGTH = 2000
_MAX_POWER = 64
_MAX_TERMS = 10_000
_MAX_PAIRS = (
    200_000  # of terms of a numerator and a denominator: as many are compared to cancel factors
)
_NOT_NUMBERS = {"nan", "inf", "infinity"}
_MAX_DENOMINATORS = 64
_MAX_MONOMIALS = 256
_LAMBDA = "lambda_as_a_name"  # lambda is a common name of rates, and a keyword of Python


def is_symbolic(item: Any) -> bool:
    """Whether a number given by the user mentions a parameter."""
    if isinstance(item, str):
        try:
            read_text(item)
        except InvalidValue:
            return any(character.isalpha() for character in item)
        return False
    # A sympy number has no symbols; a field element has no such attribute, but an expression.
    return bool(getattr(item, "free_symbols", hasattr(item, "as_expr")))


def parse(text: str) -> Any:
    """Parse an arithmetic expression; names become sympy symbols without assumptions.

    Raises `InvalidValue` if it is not arithmetic on numbers and names.

    >>> parse("2*mu + 0.5"), parse("lambda/2")
    (2*mu + 1/2, lambda/2)
    >>> parse("__import__('os')")
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidValue: "__import__('os')" is not an arithmetic expression of numbers and names
    """
    refused = InvalidValue(
        f"{text[:80]!r} is not an arithmetic expression of numbers and names", value=text[:80]
    )
    if len(text) > _MAX_LENGTH or "#" in text or "\n" in text:  # Python's grammar has comments
        raise refused
    source = re.sub(r"\blambda\b", _LAMBDA, text.strip())
    try:
        tree = ast.parse(source, mode="eval")
        _refuse_large(tree.body, text)
        return _build(tree.body, source)
    except InvalidValue:
        raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, ZeroDivisionError):
        raise refused from None


def _build(node: ast.expr, text: str) -> Any:
    """Turn the nodes of plain arithmetic into sympy; anything else is a ValueError."""
    import sympy

    if isinstance(node, ast.Name) and node.id.lower() not in _NOT_NUMBERS:
        # Python would take the micro sign for a Greek mu: a name is what is written.
        name = ast.get_source_segment(text, node) or node.id
        return sympy.Symbol("lambda" if name == _LAMBDA else name)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        value = read_text(ast.get_source_segment(text, node) or "")
        return sympy.Rational(value.numerator, value.denominator)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        operand = _build(node.operand, text)
        return -operand if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        base, exponent = _build(node.left, text), _exponent(node.right)
        if base == 0 and exponent < 0:
            raise ZeroDivisionError
        return base**exponent
    if isinstance(node, ast.BinOp):
        left, right = _build(node.left, text), _build(node.right, text)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div) and right != 0:
            return left / right
    raise ValueError("not plain arithmetic")


def _exponent(node: ast.expr) -> int:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_exponent(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    raise ValueError("not a whole power")


def _refuse_large(node: ast.expr, text: str) -> None:
    above, below = _terms(node)
    if max(above, below) > _MAX_TERMS or above * below > _MAX_PAIRS or _power(node) > _MAX_POWER:
        raise InvalidValue(
            f"{text[:80]!r} has more than {_MAX_TERMS} terms, {_MAX_PAIRS} pairs of terms above and below, "
            f"or powers beyond {_MAX_POWER} when multiplied out",
            value=text[:80],
        )


def _power(node: ast.expr) -> int:
    """Return the largest product of exponents above one number or name."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _power(node.left) * max(1, abs(_exponent(node.right)))
    parts = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return max((_power(part) for part in parts), default=1)


def _terms(node: ast.expr) -> tuple[int, int]:
    """Bound the numbers of terms of numerator and denominator, multiplied out."""
    if isinstance(node, ast.UnaryOp):
        return _terms(node.operand)
    if not isinstance(node, ast.BinOp):
        return 1, 1
    above, below = _terms(node.left)
    if isinstance(node.op, ast.Pow):
        k = _exponent(node.right)
        above, below = (above, below) if k >= 0 else (below, above)
        # The number of monomials of degree k in so many terms.
        return math.comb(above + abs(k) - 1, abs(k)), math.comb(below + abs(k) - 1, abs(k))
    other_above, other_below = _terms(node.right)
    if isinstance(node.op, ast.Div):
        return above * other_below, below * other_above
    if isinstance(node.op, ast.Mult):
        return above * other_above, below * other_below
    return above * other_below + other_above * below, below * other_below


def read_elements(items: Sequence[Any], *, float_tolerance: float = DEFAULT_TOLERANCE) -> list[Any]:
    """Read numbers and expressions as elements of the field of rational functions they span.

    Raises `InvalidValue` if an expression is not a rational function, or a symbol has assumptions and is not
    known to be positive; carries ``index``.

    - float_tolerance: for floats, also those inside expressions
    """
    import sympy

    expressions = []
    for index, item in enumerate(items):
        try:
            expressions.append(_expression(item, float_tolerance))
        except InvalidValue as error:
            raise InvalidValue(str(error), **{**error.evidence, "index": index}) from None
        for symbol in sorted(expressions[index].free_symbols, key=str):
            if not _is_plain(symbol) and (symbol.is_Dummy or not symbol.is_positive):
                raise InvalidValue(
                    f"the sign of parameter {symbol} is unknown or negative: "
                    f"use Symbol('{symbol}') or Symbol('{symbol}', positive=True)",
                    parameter=symbol,
                    index=index,
                )
    mentioned = set().union(*(e.free_symbols for e in expressions))
    symbols = one_for_each_name(mentioned)
    if len(symbols) < len(mentioned):
        expressions = [in_symbols(expression, symbols) for expression in expressions]
    if not symbols:  # every parameter cancelled
        return [Fraction(int(e.p), int(e.q)) for e in expressions]
    domain = sympy.QQ.frac_field(*symbols)
    elements = []
    for index, (item, expression) in enumerate(zip(items, expressions, strict=True)):
        try:
            element = domain.from_sympy(expression)
        except (sympy.CoercionFailed, ValueError, ZeroDivisionError):
            raise InvalidValue(
                f"{item} is not a rational function of its parameters with rational coefficients",
                value=item,
                index=index,
            ) from None
        if element.denom.LC < 0:  # sympy leaves 1/(2 - b) so, which is -1/(b - 2)
            element = element.raw_new(-element.numer, -element.denom)
        elements.append(element)
    return elements


def _expression(item: Any, float_tolerance: float) -> Any:
    import sympy

    if isinstance(item, str) and is_symbolic(item):
        return parse(item)
    if hasattr(item, "as_expr"):
        item = item.as_expr()
    if isinstance(item, sympy.Expr) and item.free_symbols:
        meant = {
            f: _rational(read_number(f, float_tolerance=float_tolerance))
            for f in item.atoms(sympy.Float)
        }
        symbols = one_for_each_name(item.free_symbols)
        return in_symbols(positive(item.xreplace(meant)), symbols)  # sqrt(x**2) is x
    return _rational(read_number(item, float_tolerance=float_tolerance))


def _is_plain(symbol: Any) -> bool:
    import sympy

    return bool(symbol == sympy.Symbol(symbol.name))


def one_for_each_name(symbols: Iterable[Any]) -> list[Any]:
    """Return one symbol for each name, by name: where some have assumptions, one of these.

    >>> import sympy
    >>> one_for_each_name([sympy.Symbol("b"), sympy.Symbol("a"), sympy.Symbol("a", positive=True)])[0].is_positive
    True
    """
    ordered = sorted(symbols, key=lambda s: (not _is_plain(s), str(sorted(s.assumptions0))))
    chosen = {symbol.name: symbol for symbol in ordered}
    return [chosen[name] for name in sorted(chosen)]


def in_symbols(expression: Any, symbols: Iterable[Any]) -> Any:
    """Return an expression with these symbols in place of those of the same names."""
    meant = {symbol.name: symbol for symbol in symbols}
    return expression.xreplace({s: meant.get(s.name, s) for s in expression.free_symbols})


def positive(expression: Any) -> Any:
    """Return an expression in symbols of which sympy knows that they are positive.

    >>> import sympy
    >>> positive(sympy.Symbol("a") + 1).is_positive
    True
    """
    import sympy

    return in_symbols(
        expression, [sympy.Symbol(s.name, positive=True) for s in expression.free_symbols]
    )


def _rational(value: Fraction) -> Any:
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def to_expression(value: Any) -> Any:
    """Return a weight as a sympy expression (a `sympy.Rational` for a `Fraction`)."""
    return _rational(value) if isinstance(value, Fraction) else value.as_expr()


def parameters_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return the parameters of elements of one field, as sympy symbols; none for fractions.

    >>> parameters_of(read_elements(["a*b", "1"]))
    (a, b)
    """
    fields = [value.field for value in values if not isinstance(value, Fraction)]
    return tuple(fields[0].symbols) if fields else ()


def is_positive(value: Any) -> bool:
    """Whether a number is positive, or a function evidently is for all positive parameters.

    A rational function is evidently positive if, in lowest terms, all its coefficients have one sign.

    >>> [is_positive(value) for value in read_elements(["x + y/2", "x - y", "-1", "x"])]
    [True, False, False, True]
    >>> is_positive(Fraction(1, 2)), is_positive(Fraction(0))
    (True, False)
    """
    if isinstance(value, Fraction):
        return value > 0
    signs = [{c > 0 for c in part.coeffs()} for part in (value.numer, value.denom)]
    return signs[0] == signs[1] and len(signs[0]) == 1


def add(values: Iterable[Any]) -> Any:
    """Add up elements of one field, or refuse sums whose terms would exhaust time and memory.

    Raises `SizeLimit` if the common denominator or the numerators over it get too many terms.

    The two shortest are added first, and so on, because every sum is brought into lowest terms.

    >>> add(read_elements(["x", "1/x", "2"]))
    (x**2 + 2*x + 1)/x
    """
    order = count()
    left = [(_length(value), next(order), value) for value in values]
    heapq.heapify(left)
    while len(left) > 1:
        first, _, value = heapq.heappop(left)
        second, _, other = heapq.heappop(left)
        if first * second > _MAX_PAIRS and value.denom != other.denom:
            raise SizeLimit(
                f"a sum of weights with {len(value.denom)} and {len(other.denom)} terms in their denominators "
                f"needs more than {_MAX_PAIRS} products: give weights with fewer terms, or numbers for some "
                "parameters",
                limit=_MAX_PAIRS,
            )
        total = _sum(value, other)
        heapq.heappush(left, (_length(total), next(order), total))
    return left[0][2]


def _sum(first: Any, second: Any) -> Any:
    """Add as Henrici (1956) does: common divisors of denominators are short, those of whole sums are not looked for.

    In normal form all coefficients are integers without a common divisor, and that of the denominator's leading term
    is positive; so is what this returns.
    """
    import sympy

    if isinstance(first, Fraction) or isinstance(second, Fraction):
        return first + second
    ring = first.field.ring
    integral = ring.clone(domain=sympy.ZZ)
    a, b, c, d = (
        part.set_ring(integral) for part in (first.numer, first.denom, second.numer, second.denom)
    )
    shared, b, d = b.cofactors(d)
    total = a * d + c * b
    if not total:
        return first - first
    _, total, shared = total.cofactors(shared)
    return first.raw_new(total.set_ring(ring), (b * d * shared).set_ring(ring))


def _length(value: Any) -> int:
    """Return the number of terms of a numerator or a denominator, whichever has more."""
    return 1 if isinstance(value, Fraction) else max(len(value.numer), len(value.denom))


def in_one_field(*groups: Sequence[Any]) -> list[Sequence[Any]]:
    """Return groups of numbers in which all numbers can be added and multiplied.

    Fractions mix with anything; elements of different fields are read again into a common field.

    >>> (a,), (b,) = in_one_field(read_elements(["a"]), read_elements(["b"]))
    >>> a * b
    a*b
    """
    fields = {value.field for group in groups for value in group if not isinstance(value, Fraction)}
    if len(fields) < 2:
        return list(groups)
    elements = iter(read_elements([value for group in groups for value in group]))
    return [[next(elements) for _ in group] for group in groups]


def coefficients(values: Sequence[Any]) -> list[list[Fraction]] | None:
    """Write rational functions over one common denominator; return the coefficients of the numerators.

    A sum of the functions is zero exactly when the sums of the coefficients of every monomial are zero.  So
    equality of sums of rational functions reduces to equality of rational sums.

    - returns list of lists, length k each, or None: A list for every monomial that occurs; None if there are
      too many monomials

    >>> [[str(c) for c in column] for column in coefficients(read_elements(["x/2", "1/x", "3"]))]
    [['1/2', '0', '0'], ['0', '1', '0'], ['0', '0', '3']]
    """
    functions = [value for value in values if not isinstance(value, Fraction)]
    if not functions:
        return [list(values)]
    ring = functions[0].numer.ring
    below = dict.fromkeys(value.denom for value in functions)
    if len(below) > _MAX_DENOMINATORS:
        return None
    common = ring.one
    for polynomial in below:
        if len(common) * len(polynomial) > _MAX_PAIRS:
            return None
        common = common.lcm(polynomial)
        if len(common) > _MAX_MONOMIALS:
            return None
    times = {polynomial: common.exquo(polynomial) for polynomial in below}
    columns: dict[tuple[int, ...], list[Fraction]] = {}
    for position, value in enumerate(values):
        number = isinstance(value, Fraction)
        numerator = common if number else value.numer * times[value.denom]
        for monomial, coefficient in numerator.terms():
            column = columns.setdefault(monomial, [Fraction(0)] * len(values))
            column[position] = Fraction(int(coefficient.numerator), int(coefficient.denominator))
            if number:
                column[position] *= value
        if len(columns) > _MAX_MONOMIALS:
            return None
    return list(columns.values())


def evaluate_modulo(values: Sequence[Any], p: int, *, seed: int) -> list[int]:
    """Evaluate elements of one field of rational functions at a random point modulo a prime.

    Evaluation preserves sums, products and quotients, so equal expressions have equal residues.
    Two different expressions of degree d agree with probability about d/p (Schwartz and Zippel).

    - p: A prime
    - seed: determines the point; if a denominator vanishes there, another point is taken

    >>> x, square, total = evaluate_modulo(read_elements(["x", "x**2", "x + x**2"]), 101, seed=0)
    >>> square == x**2 % 101, total == (x + square) % 101
    (True, True)
    """
    from random import Random

    random = Random(f"{p} {seed}")  # noqa: S311  # no secret: the result is proved afterwards
    count = len(parameters_of(values))
    while True:
        point = [random.randrange(1, p) for _ in range(count)]
        below = [_polynomial_modulo(value.denom, point, p) for value in values]
        if all(below):
            return [
                _polynomial_modulo(value.numer, point, p) * pow(d, -1, p) % p
                for value, d in zip(values, below, strict=True)
            ]


def _polynomial_modulo(polynomial: Any, point: Sequence[int], p: int) -> int:
    total = 0
    for exponents, coefficient in polynomial.terms():
        term = int(coefficient.numerator) * pow(int(coefficient.denominator), -1, p)
        for x, exponent in zip(point, exponents, strict=True):
            if exponent:
                term = term * pow(x, exponent, p) % p
        total += term
    return total % p


def substitute(values: Sequence[Any], point: Mapping[Any, Any]) -> list[Any]:
    """Substitute numbers or expressions for parameters, exactly.

    Raises `InvalidValue` if a denominator becomes zero.

    - point (mapping from names to numbers or sympy expressions): other parameters stay

    >>> substitute(read_elements(["a / b", "a"]), {"a": 3, "b": 2})
    [Fraction(3, 2), Fraction(3, 1)]
    """
    import sympy

    meant = {name: _expression(number, DEFAULT_TOLERANCE) for name, number in point.items()}
    expressions = []
    for value in values:
        above, below = to_expression(value).as_numer_denom()
        named = {
            s: meant[s.name] for s in above.free_symbols | below.free_symbols if s.name in meant
        }
        replaced = [part.xreplace(named) for part in (above, below)]
        if sympy.expand(replaced[1]) == 0:
            raise InvalidValue(f"{value} divides by zero for these parameters", value=value)
        expressions.append(replaced[0] / replaced[1])
    return read_elements(expressions)
