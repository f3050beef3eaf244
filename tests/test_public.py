"""The face of the package: what it exports, what importing it costs, what it needs."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module, metadata, resources
from pathlib import Path
from pkgutil import walk_packages

import pytest

import lumpability

CHECKOUT = Path(__file__).resolve().parent.parent

OPTIONAL = [
    "duckdb",
    "matplotlib",
    "networkx",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "pyspark",
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
    """Return what a module offers: what it defines without an underscore."""
    for name, value in vars(module).items():
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
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


def packages():
    """Return the packages whose `__all__` is meant for users; the command line is used otherwise."""
    yield "lumpability"
    for _, name, is_package in walk_packages(lumpability.__path__, "lumpability."):
        if is_package and not name.startswith("lumpability.cli"):
            yield name


def named_on_pages():
    """Return what README and the pages of docs/ import: (module, name)."""
    for page in [CHECKOUT / "README.md", *CHECKOUT.glob("docs/**/*.md")]:
        if "_build" in page.parts or not page.is_file():
            continue
        text = re.sub(r"^(>>>|\.\.\.) ?", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for module, one, several in re.findall(
            r"^from (lumpability[\w.]*) import (?:([\w, ]+)$|\(([\w,\s]+)\))",
            text,
            flags=re.MULTILINE,
        ):
            yield from ((module, name) for name in re.findall(r"\w+", one or several))


PUBLIC = sorted(
    {(p, name) for p in packages() for name in getattr(import_module(p), "__all__", ())}
    | set(named_on_pages())
)


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda part: part)
def test_the_public_names_are_documented_with_examples(module, name):
    value = getattr(import_module(module), name)
    if inspect.isclass(value) and issubclass(value, Exception):
        assert inspect.getdoc(value)
    elif inspect.isclass(value) or inspect.isfunction(value):
        assert ">>> " in (inspect.getdoc(value) or ""), "a public name has an example"


@pytest.mark.parametrize("name", lumpability.__all__)
def test_what_the_main_classes_offer_is_documented_with_examples(name):
    value = getattr(lumpability, name)
    if not inspect.isclass(value) or issubclass(value, Exception):
        return
    for member, found in inspect.getmembers(value):
        function = found.fget if isinstance(found, property) else getattr(found, "func", found)
        if member.startswith("_") or not (
            inspect.isfunction(function) or inspect.ismethod(function)
        ):
            continue
        assert ">>> " in (inspect.getdoc(function) or ""), f"{name}.{member} has no example"


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


def test_the_reference_lists_what_the_package_exports(checkout):
    page = (checkout / "docs/reference/index.md").read_text(encoding="utf-8")
    listed = {
        line.strip().rpartition(".")[2] for line in page.splitlines() if "~lumpability" in line
    }
    assert listed == {name for name in lumpability.__all__ if not name.startswith("_")}


OFFERED = [
    "lumpability",
    "lumpability.certificate",
    "lumpability.markov",
    "lumpability.markov.approximate",
    "lumpability.markov.approximate.bounds",
    "lumpability.markov.examples",
    "lumpability.markov.solve",
    "lumpability.networks",
    "lumpability.networks.examples",
    "lumpability.networks.regions",
    "lumpability.symbolic",
    "lumpability.tables",
    "lumpability.teaching.exercises",
    "lumpability.testing",
]


@pytest.mark.parametrize("name", OFFERED)
def test_every_public_name_stands_on_a_page(name, checkout):
    pages = "".join(path.read_text(encoding="utf-8") for path in checkout.glob("docs/*/*.md"))
    words = set(re.findall(r"\w+", pages))
    offered = {own for own in import_module(name).__all__ if not own.startswith("_")}
    assert offered <= words, f"{sorted(offered - words)}: say on a page what they are for"


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
