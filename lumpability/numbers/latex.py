r"""LaTeX of names, numbers, expressions and the formulas of this package.

Names come from files that anybody may have written: `escaped` makes them text, never commands.
"""

from __future__ import annotations

import re
from typing import Any

from lumpability.errors import InvalidValue
from lumpability.numbers.parameters import parse

_SPECIAL = {c: rf"\{c}" for c in "#$%&_{}"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
_FACTOR = r"[A-Z](?:\^(?:-1)?)?"
_FORMULA = re.compile(rf"{_FACTOR}(?: {_FACTOR})* = {_FACTOR}(?: {_FACTOR})*|\b[A-Z]\^")


_NAMES = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega
Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
"""
_GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", _NAMES.split(), strict=True))


def escaped(text: str) -> str:
    r"""Return a text without the characters that are commands; Greek letters stand between dollars.

    >>> print(escaped("50% of β_1"))
    50\% of $\beta$\_1
    """
    return "".join(_SPECIAL.get(c) or (rf"$\{_GREEK[c]}$" if c in _GREEK else c) for c in text)


def sentence(text: str) -> str:
    r"""Return a text with the formulas of this package in it, which stand between dollars.

    >>> print(sentence("Q V = V Q^ holds for 3 of 4 states & more"))
    $Q V = V \hat{Q}$ holds for 3 of 4 states \& more
    """
    parts, last = [], 0
    for found in _FORMULA.finditer(text):
        parts += [escaped(text[last : found.start()]), f"${formula(found[0])}$"]
        last = found.end()
    return "".join([*parts, escaped(text[last:])])


def value(text: str) -> str:
    r"""Return a number or an expression between dollars; any other text escaped.

    >>> print(value("-1/2"), value("2*λ_1"), value("a few"))
    $-\frac{1}{2}$ $2 \lambda_{1}$ a few
    """
    number = re.fullmatch(r"(-?)(\d+)(?:/([1-9]\d*)|(\.\d+))?", text)
    if number:
        sign, whole, below, decimals = number.groups(default="")
        return f"${sign}" + (rf"\frac{{{whole}}}{{{below}}}$" if below else f"{whole}{decimals}$")
    try:
        return f"${latex_of(parse(text))}$"
    except InvalidValue:
        return escaped(text)


def latex_of(value: Any) -> str:
    r"""Print an expression or a matrix; names of several letters are upright.

    >>> import sympy
    >>> print(latex_of(sympy.sympify("x*repair_rate + mu_1")))
    \mu_{1} + \mathrm{repair}_{\mathrm{rate}} x
    """
    import sympy

    names = {}
    for symbol in getattr(value, "free_symbols", ()):
        base, *indices = str(symbol).split("_")
        if not all((base, *indices)):  # no index could be set
            names[symbol] = rf"\mathrm{{{escaped(str(symbol))}}}"
            continue
        base = _GREEK.get(base, base)
        usual = sympy.latex(sympy.Symbol("_".join([base, *indices])))
        if str(symbol).startswith(tuple(_GREEK)):
            names[symbol] = usual
        elif len(base.rstrip("0123456789")) > 1 and "\\" not in usual:
            shown = [rf"\mathrm{{{part}}}" for part in (base, *indices)]
            names[symbol] = "_{".join(shown) + "}" * len(indices)
    text: str = sympy.latex(value, symbol_names=names)
    return text


def formula(text: str) -> str:
    """Turn a formula of this package into LaTeX: Q^ gets a hat, W_2 an index, K^-1 an inverse."""
    return " ".join(_word(word) for word in text.split(" "))


def _word(word: str) -> str:
    opened = len(word) - len(word.lstrip("("))
    body = word[opened:]
    closing = len(body) - len(body.rstrip(")',"))
    core, tail = (
        (body[: len(body) - closing], body[len(body) - closing :]) if closing else (body, "")
    )
    return "(" * opened + _symbol(core) + tail


def _symbol(core: str) -> str:
    if core.endswith("^-1"):
        return f"{_symbol(core[:-3])}^{{-1}}"
    name, _, index = core.partition("_")
    if not name.rstrip("^").isalpha():
        return core
    hat = name.endswith("^")
    letter = name.rstrip("^")
    shown = letter if len(letter) == 1 else rf"\{letter}"
    shown = rf"\hat{{{shown}}}" if hat else shown
    return f"{shown}_{{{index}}}" if index else shown
