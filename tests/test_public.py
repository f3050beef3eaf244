"""The face of the package: what it exports, what importing it costs, what it needs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module, metadata, resources
from pkgutil import walk_packages

import pytest

import lumpability

OPTIONAL = [
    "matplotlib",
    "networkx",
    "onnx",
    "onnxruntime",
    "pandas",
    "safetensors",
    "stormpy",
    "torch",
    "umbi",
]
HEAVY = ["click", "hypothesis", "numba", "rich", "sympy", *OPTIONAL]

MODULES = [
    name
    for _, name, _ in walk_packages(lumpability.__path__, "lumpability.")
    if not name.endswith("__main__")
]


def run(script):
    """Run a script in a fresh process and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


def public(module):
    """Return what a module offers: the names of `__all__` that it defines itself."""
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if getattr(value, "__module__", None) == module.__name__:
            yield name, value


def is_own_method(member):
    function = member.fget if isinstance(member, property) else member
    return (
        inspect.isfunction(function)
        and function.__module__.startswith("lumpability.")
        # Functions from elsewhere and lambdas are defaults of fields.
        and "." in function.__qualname__
        and function.__name__ != "<lambda>"
    )


def test_every_exported_name_is_there_once():
    assert len(set(lumpability.__all__)) == len(lumpability.__all__)
    for name in lumpability.__all__:
        assert getattr(lumpability, name) is not None


@pytest.mark.parametrize("name", lumpability.__all__)
def test_the_public_names_are_documented_with_examples(name):
    documentation = inspect.getdoc(getattr(lumpability, name))
    assert documentation
    assert ">>> " in documentation or issubclass(getattr(lumpability, name), Exception)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_offers_and_documents_it(name):
    module = import_module(name)
    assert module.__doc__, "a module begins with its idea"
    for own, value in public(module):
        assert inspect.getdoc(value), own
        for member, method in (
            inspect.getmembers(value, is_own_method) if inspect.isclass(value) else ()
        ):
            assert member.startswith("_") or inspect.getdoc(method), f"{own}.{member}"


def test_importing_the_package_loads_nothing_heavy():
    loaded = run("import sys, lumpability; print(*sys.modules)").split()
    assert [name for name in HEAVY if name in loaded] == []


def test_every_module_imports_without_any_optional_package():
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in OPTIONAL)
    imports = "".join(f"import {name}\n" for name in MODULES)
    assert run(f"import sys\n{blocked}{imports}print('all')") == "all\n"


def test_types_are_shipped():
    assert resources.files("lumpability").joinpath("py.typed").is_file()


def test_the_installed_version_is_this_one():
    try:
        installed = metadata.version("lumpability")
    except metadata.PackageNotFoundError:
        pytest.skip("lumpability is not installed, only importable")
    assert installed == lumpability.__version__
