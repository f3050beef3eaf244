"""The declarations of a PRISM or JANI source: its variables in order, and constants whose values are left out.

Storm numbers variables by type.  In PRISM a module that is another one renamed declares the new names where it
stands, in the order of the old ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

_NAME = r"[A-Za-z_]\w*"
_DECLARED = re.compile(rf"\b({_NAME})\s*:\s*(?:\[|bool\b|int\b|clock\b)")
_RENAMED = re.compile(rf"\bmodule\s+{_NAME}\s*=\s*({_NAME})\s*\[([^\]]*)\]")
_DEFINED = re.compile(rf"\bconst\b(?:\s+(?:int|double|rate|prob|bool))?\s+({_NAME})(\s*=[^;]*);")
_STRING_OR_COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*')


def declared_variables(text: str, *, jani: bool = False) -> list[str]:
    """Return the names of variables in order.

    >>> declared_variables('''module a x : [0..2]; up : bool; endmodule // y : bool;
    ... module b = a [up=down, x=z] endmodule''')
    ['x', 'up', 'z', 'down']
    """
    if jani:
        return list(dict.fromkeys(str(variable["name"]) for variable in _jani_variables(text)))
    text = _blanked(text)
    places: list[tuple[int, int, str]] = [
        (found.start(), 0, found[1]) for found in _DECLARED.finditer(text)
    ]
    order = {name: i for i, (_, _, name) in enumerate(places)}
    for found in _RENAMED.finditer(text):
        pairs = (part.partition("=") for part in found[2].split(","))
        for old, _, new in pairs:
            if old.strip() in order:
                places.append((found.start(), order[old.strip()], new.strip()))
    return list(dict.fromkeys(name for _, _, name in sorted(places)))


def without_values(text: str, names: Collection[str], *, jani: bool = False) -> str:
    """Return the source with the values of some constants left out, for others to be given.

    >>> without_values("const double mu = 2; // const int N = 3;", ["mu", "N"])
    'const double mu; // const int N = 3;'
    """
    if jani:
        model = json.loads(text)
        for constant in model.get("constants", ()):
            if constant.get("name") in names:
                constant.pop("value", None)
        return json.dumps(model)
    for found in reversed([*_DEFINED.finditer(_blanked(text))]):
        if found[1] in names:
            text = text[: found.start(2)] + text[found.end(2) :]
    return text


def _blanked(text: str) -> str:
    """Return a PRISM source with spaces in place of strings and comments."""
    return _STRING_OR_COMMENT.sub(lambda found: " " * len(found[0]), text)


def has_transient_variables(text: str) -> bool:
    """Whether a JANI model has variables that are no part of its states, such as those of rewards."""
    return any(variable.get("transient") for variable in _jani_variables(text))


def _jani_variables(text: str) -> Iterator[dict[str, Any]]:
    model = json.loads(text)
    for holder in (model, *model.get("automata", ())):
        yield from holder.get("variables", ())
