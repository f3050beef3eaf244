"""The words of the library's options: errors for unknown words, with the present name of a former one.

Options have the same names in Python and on the command line, and only this table has their former names.
A former name is refused, and the error gives the present one; nothing accepts both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from lumpability.errors import InvalidInput

FORMER: dict[str, dict[str, str]] = {
    "lump": {"initial": "within", "strict": "exact_weights"},
    "check": {"kappa": "factors"},
    "read": {"normalise": "fold_scaling", "tolerance": "float_tolerance"},
    "lump_table": {"tolerance": "float_tolerance"},
    "MarkovChain": {"tolerance": "float_tolerance"},
    "write": {"doubles": "value_type"},
    "engine": {"reference": "definition", "structure": "definition"},
    "Lumping": {"kappa": "factors", "trace": "history"},
    "NetworkLumping": {"seconds": "stats.seconds", "proof": "stats.proof", "verdict": "result"},
    "Stats": {"initial_blocks": "respected_blocks"},
}
"""For each verb, set of words and class: the former name and the present one."""


Verb = TypeVar("Verb", bound=Callable[..., Any])


def keywords(function: Callable[..., Any]) -> list[str]:
    """Return the names of the options of a function.

    >>> keywords(sorted)
    ['key', 'reverse']
    """
    return [p.name for p in signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]


def refuses_unknown_options(verb: Verb) -> Verb:
    """Decorate a function so that an unknown option raises `InvalidInput`, which lists the options.

    >>> refuses_unknown_options(sorted)([1, 2], reversed=True)
    Traceback (most recent call last):
        ...
    lumpability.errors.InvalidInput: sorted has no option 'reversed': did you mean 'reverse'?
    """
    known = keywords(verb)
    owner = verb.__qualname__.split(".")[0]  # of a constructor the class

    @wraps(verb)
    def checked(*arguments: Any, **options: Any) -> Any:
        for name in options:
            if name not in known:
                raise unknown_option(owner, name, known)
        return verb(*arguments, **options)

    return cast("Verb", checked)


def unknown_option(
    verb: str, name: str, known: Sequence[str], *, of: str = "", elsewhere: str = ""
) -> InvalidInput:
    """Return the error for an option that a verb does not have.

    - known: the options that it has
    - of: the class of the model, if the options depend on it
    - elsewhere: the models with this option, such as "networks"

    >>> print(unknown_option("lump", "initial", ["kind", "within"]))
    lump has no option 'initial': it is called 'within' now
    >>> print(unknown_option("lump", "dtype", ["kind", "within"], of="CTMC", elsewhere="networks"))
    lump of a CTMC has no option 'dtype', which is for networks: it has kind, within
    """
    what = f"{verb} of a {of}" if of else verb
    start = f"{what} has no option {name!r}"
    present = FORMER.get(verb, {}).get(name)
    if present in known:
        return InvalidInput(f"{start}: it is called {present!r} now", option=name, known=known)
    if meant := did_you_mean(name, known):
        return InvalidInput(f"{start}: {meant}", option=name, known=known)
    if elsewhere:
        start += f", which is for {elsewhere}"
    return InvalidInput(f"{start}: it has {', '.join(known)}", option=name, known=known)


def unknown_word(what: str, word: object, known: Iterable[str]) -> InvalidInput:
    """Return the error for a word that an option does not accept.

    - what: the option, such as "engine"

    >>> print(unknown_word("engine", "reference", ["auto", "definition"]))
    unknown engine 'reference': it is called 'definition' now
    >>> print(unknown_word("kind", "ordinari", ["ordinary", "exact"]))
    unknown kind 'ordinari': did you mean 'ordinary'? choose one of ordinary, exact
    """
    known = list(known)
    present = FORMER.get(what, {}).get(str(word))
    if present in known:
        return InvalidInput(f"unknown {what} {word!r}: it is called {present!r} now", word=word)
    return InvalidInput(
        f"unknown {what} {word!r}: {did_you_mean(word, known, end=' ')}choose one of {', '.join(known)}",
        word=word,
    )


def did_you_mean(word: object, known: Iterable[object], *, end: str = "") -> str:
    """Return a question with the most similar of the first ten thousand known words, or nothing.

    >>> did_you_mean("dwon", ["up", "down"]), did_you_mean(3, ["up"])
    ("did you mean 'down'?", '')
    """
    import difflib

    names = [name for name in itertools.islice(known, 10_000) if isinstance(name, str)]
    close = difflib.get_close_matches(word, names, n=1) if isinstance(word, str) else []
    return f"did you mean {close[0]!r}?{end}" if close else ""


def missing_attribute(value: object, name: str) -> AttributeError:
    """Return the error for a missing attribute; for a former name it gives the present one.

    >>> print(missing_attribute(0, "real_part"))
    'int' object has no attribute 'real_part'
    """
    owner = type(value).__name__
    present = FORMER.get(owner, {}).get(name)
    now = "" if present is None else f": it is called {present!r} now"
    return AttributeError(f"{owner!r} object has no attribute {name!r}{now}", name=name, obj=value)


def count(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "state"), count(8548, "block")
    ('1 state', '8,548 blocks')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
