"""The variables of a PRISM or JANI source in the order of their declarations.

Storm numbers variables by type.  In PRISM a module that is another one renamed declares the new names where it
stands, in the order of the old ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["declared_variables"]

_NAME = r"[A-Za-z_]\w*"
_DECLARED = re.compile(rf"\b({_NAME})\s*:\s*(?:\[|bool\b|int\b|clock\b)")
_RENAMED = re.compile(rf"\bmodule\s+{_NAME}\s*=\s*({_NAME})\s*\[([^\]]*)\]")
_STRING_OR_COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*')


def declared_variables(text: str, *, jani: bool = False) -> list[str]:
    """Return the names of variables in order.

    Examples
    --------
    >>> declared_variables('''module a x : [0..2]; up : bool; endmodule // y : bool;
    ... module b = a [up=down, x=z] endmodule''')
    ['x', 'up', 'z', 'down']
    """
    if jani:
        return list(dict.fromkeys(_jani_variables(json.loads(text.removeprefix("\ufeff")))))
    text = _STRING_OR_COMMENT.sub(lambda found: " " * len(found[0]), text)
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


def _jani_variables(model: dict[str, Any]) -> Iterator[str]:
    for holder in (model, *model.get("automata", ())):
        for variable in holder.get("variables", ()):
            yield str(variable["name"])
