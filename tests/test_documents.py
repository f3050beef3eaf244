"""README and the pages of docs/ tell the truth: their Python examples run and print what they show."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for path in [CHECKOUT / "README.md", *CHECKOUT.glob("docs/**/*.md")]
    if path.is_file() and "_build" not in path.parts
)
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE


def python_only(text):
    """Blank out everything but the lines of ```python blocks, so that line numbers stay."""
    kept, fence = [], None
    for line in text.splitlines():
        mark = re.match(r"\s*(`{3,}|~{3,})\s*(\S*)", line)
        if fence is None and mark:
            fence = mark[2]
            kept.append("")
        elif mark and not mark[2]:
            fence = None
            kept.append("")
        else:
            kept.append(line if fence == "python" else "")
    return "\n".join(kept) + "\n"


def test_only_python_blocks_are_taken_and_keep_their_lines():
    text = "text\n```python\n>>> 1 + 1\n2\n```\n```sh\nrm x\n```\n\n```python\n>>> 3\n3\n```\n"
    assert python_only(text) == "\n\n>>> 1 + 1\n2\n\n\n\n\n\n\n>>> 3\n3\n\n"


def test_the_documents_are_here(checkout):
    assert "README.md" in PAGES
    assert "docs/index.md" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_print_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = python_only((CHECKOUT / page).read_text(encoding="utf-8"))
    assert not re.search(r"\n\n(?!>>> )(?=\S)", "\n" + text), "an example begins without a prompt"
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, page, page, 0)
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    failed, _ = runner.run(test, out=report.append)
    assert not failed, "".join(report)
