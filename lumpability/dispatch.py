"""The two verbs, `lump` and `check`, over every model the library knows.

They dispatch on the class of the model; each wing registers its own (`lumpability.markov.lump`,
`lumpability.networks.lump`), at the latest when a verb is first used.  Same name, same meaning:
`lump` returns the coarsest lumping of a kind with its quotient, `check` says whether a given partition is
one and, if not, why.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from importlib import import_module
from typing import Any

from lumpability.errors import InvalidInput

__all__ = ["check", "lump", "provided_by"]


@singledispatch
def lump(model: Any, *, kind: str | None = None, **options: Any) -> Any:
    """Compute the coarsest lumping of a model and its quotient.

    Parameters
    ----------
    model : CTMC, DTMC or Network
    kind : str, optional
        For chains "ordinary" (default) or another of `lumpability.markov.kinds.KINDS`; for networks
        "proportional" (default) or "exact".
    **options
        See `lumpability.markov.lump.lump_chain` and `lumpability.networks.lump.lump_network`.

    Returns
    -------
    Lumping

    Raises
    ------
    InvalidInput
        If the model is of no class that can be lumped.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> lump(chain).partition
    Partition([[0, 2], [1]])
    """
    raise InvalidInput(f"cannot lump a {type(model).__name__}: give a CTMC, a DTMC or a Network")


@singledispatch
def check(model: Any, partition: Any, *, kind: str | None = None, **options: Any) -> Any:
    """Decide exactly whether a partition is a lumping of a model.

    Parameters
    ----------
    model : CTMC, DTMC or Network
    partition : anything `Partition.of` takes
    kind : str, optional
        As for `lump`.

    Returns
    -------
    Verdict
        Truthy or falsy; its ``witness`` says why not.

    Examples
    --------
    >>> from lumpability import CTMC, check
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): "3/2"})
    >>> verdict = check(chain, [{"a", "b"}, {"c"}])
    >>> bool(verdict)
    False
    >>> print(verdict)
    not ordinary: states 'a' and 'b' share a block, but their rates into {c} sum to 1 and to 3/2
    """
    raise InvalidInput(f"cannot check a {type(model).__name__}: give a CTMC, a DTMC or a Network")


def provided_by(module: str, model: type) -> None:
    """Have the verbs for a class of models registered by a module, imported when one is first used.

    A model can then be read, and a certificate of it checked, without loading what makes them.

    Parameters
    ----------
    module : str
        Registers the verbs for `model` when it is imported.
    model : type
    """
    for verb in (lump, check):
        verb.register(model, _late(verb, module))


def _late(verb: Any, module: str) -> Callable[..., Any]:
    def load(model: Any, *arguments: Any, **options: Any) -> Any:
        import_module(module)  # registers what takes the place of this function
        return verb.dispatch(type(model))(model, *arguments, **options)

    return load
