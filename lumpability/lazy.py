"""Names of a package that are imported at their first use.

So a program that reads a model and checks a certificate does not load the engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any


def attributes(
    package: str, homes: Mapping[str, str], elsewhere: Mapping[str, str] = MappingProxyType({})
) -> Callable[[str], Any]:
    """Return the function `__getattr__` of a package.

    - package: its name
    - elsewhere: what to use in place of a name that people look for
    - homes: for each public name that is imported late, the module of the package that defines it. Modules of
      the package are found without being listed

    >>> attributes("lumpability", {"Partition": "partition"})("Partition").__module__
    'lumpability.partition'
    """

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(f"{package}.{homes[name]}"), name)
            setattr(sys.modules[package], name, value)  # the next time it is simply there
            return value
        if not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
        hint = f": use {elsewhere[name]}" if name in elsewhere else ""
        raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")

    return get
