"""How Sphinx builds these pages: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import re
from importlib import import_module
from types import GenericAlias

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.ext.autosummary import autosummary_toc
from sphinx.util.nodes import make_refnode

import lumpability

project = "lumpability"
author = "The lumpability authors"
copyright = "2026, the lumpability authors"
release = lumpability.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"lumpability {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"  # browsers show it themselves: no script, nothing from elsewhere

myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3

# Tutorials are notebooks as text: executed whenever the pages are built, outputs not kept.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True  # what a tutorial writes does not stay
nb_execution_timeout = 600  # for one cell, on a busy machine
nb_merge_streams = True

# A name in single backticks is a Python object; a short name is looked up by `resolve_short_names`.
default_role = "py:obj"
nitpicky = True
ELSEWHERE = {
    "abc",
    "click",
    "collections",
    "enum",
    "fractions",
    "hypothesis",
    "json",
    "networkx",
    "numba",
    "numpy",
}
ELSEWHERE |= {"onnx", "safetensors", "scipy", "sympy", "torch", "Fraction", "Sequential"}
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's parameter lists say the types, with shapes
numpydoc_show_class_members = False
numpydoc_use_plots = False

# Prompts and output stay where they are when an example is copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True


def escape_formulas(app, what, name, obj, options, lines):
    """Keep |x| an absolute value and a lone * a product: reStructuredText takes them for markup."""
    in_example = False
    for i, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            parts = line.split("``")
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            if sum(part.count("*") for part in parts[::2]) == 1:
                parts[::2] = [part.replace("*", r"\*") for part in parts[::2]]
            lines[i] = "``".join(parts)


def skip_aliases(app, what, name, obj, skip, options):
    """Leave out names of types such as ``tuple[int, ...]``, which autodoc takes for classes."""
    return skip or isinstance(obj, GenericAlias)


def leave_modules_out_of_navigation(app, doctree):
    """Keep the modules of packages out of every page's list of pages: they are found through their package.

    With all 261 of them in it, more than half the time to build went into that list.
    """
    page = app.env.docname.removeprefix("reference/generated/")
    if page.startswith("lumpability."):
        for listed in list(doctree.findall(autosummary_toc)):
            listed.parent.remove(listed)
        if page.count(".") > 1:
            app.env.metadata[app.env.docname]["orphan"] = True


def resolve_short_names(app, env, node, contnode):
    """Link `lump`, `Partition.of` or `lumpability.read` to what the library calls so; an attribute to its class.

    A word in one case that names nothing is a parameter or a constant, and with a space it is a command: these
    stay as they are.  Anything else that names nothing here or in another package is reported.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].partition("(")[0]
    found = documented(env, target, node) or documented(env, target.rpartition(".")[0], node)
    if found is not None:
        return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode)
    left_alone = (
        target.partition(".")[0] in ELSEWHERE
        or target.rpartition(".")[2].startswith("_")
        or " " in target
        or re.fullmatch(r"[a-z_\d]+|[A-Z_\d]+", target)
    )
    return contnode if left_alone else None


def documented(env, target, node):
    """Return the object with this name or the end of one, in the module at hand if there are several."""
    objects, module = env.domains.python_domain.objects, node.get("py:module") or ""
    named = sorted(
        (name for name in objects if target and f".{name}".endswith(f".{target}")),
        key=lambda name: (not name.startswith(module), name.count("."), name),
    )
    named = named or [name for name in (defined_as(target),) if name in objects]
    return objects[named[0]] if named else None


def defined_as(target):
    """Return where an object that a package offers is defined: lumpability.dispatch.lump for lumpability.lump."""
    package, _, name = target.rpartition(".")
    try:
        value = getattr(import_module(package), name)
    except (AttributeError, ImportError, ValueError):
        return None
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


def formula(display):
    """Return the visitor that writes a formula as MathML."""

    def visit(translator, node):
        inside = convert(node.astext(), display=display)
        before, after = ('<div class="math">', "</div>") if display == "block" else ("", "")
        translator.body.append(f"{before}{inside}{after}")
        raise SkipNode

    return visit


def setup(app):
    app.add_html_math_renderer("mathml", (formula("inline"), None), (formula("block"), None))
    # before Sphinx looks for lists of pages
    app.connect("doctree-read", leave_modules_out_of_navigation, priority=400)
    app.connect("missing-reference", resolve_short_names)
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("autodoc-process-docstring", escape_formulas, priority=400)  # before numpydoc's
