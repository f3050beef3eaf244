"""What is written for Lean 4: compiled where there is a Lean, reviewed for its form everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lumpability import CTMC, Lumping, Network, NetworkLumping, lump
from lumpability.certificate.export.coq import write_coq
from lumpability.certificate.export.lean import write_lean
from lumpability.certificate.export.statement import ChainStatement
from lumpability.markov.examples import (
    exact_not_ordinary,
    hypercube_walk,
    machine_repair,
    proportional_not_ordinary,
)
from lumpability.symbolic import export, statement_of

CORE = set(
    re.findall(
        r"\w+",
        """
        Int List Nat Bool Prop Type DecidablePred Or true false decide absurd cond map length inl inr rfl
        mul_left_comm eq_of_mul_eq_mul_left not_lt_zero eq_or_lt_of_le le_of_lt_succ of_decide_eq_true
        set_option maxRecDepth namespace end Lumping abbrev def theorem fun have match with by rw exact at
        calc if then else kernel
        """,
    )
)
"""What the files use of Lean: its words, and names of its core library."""


def lumpings() -> dict[str, Lumping | NetworkLumping]:
    first = ([[1, 2, 0, 5]], [1, 2, -3, 7], "relu")
    network = Network.dense([first, ([[3], [4], [1], [0]], [0.5], None)])
    return {
        "ordinary": lump(machine_repair(2)),
        "exact": lump(exact_not_ordinary(), kind="exact"),
        "strict": lump(hypercube_walk(2), kind="strict"),
        "proportional": lump(proportional_not_ordinary("3/2"), kind="proportional"),
        "network": lump(network),
    }


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", re.sub(r"/-.*?-/", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("name", list(lumpings()))
def test_lean_accepts_lumpings_and_refuses_changed_ones(name: str, tmp_path: Path) -> None:
    lean = shutil.which("lean")
    if lean is None:
        pytest.skip("there is no lean here, and none that Debian or PyPI could install")
    path = tmp_path / "Export.lean"

    def code(text: str) -> int:
        path.write_text(text, encoding="utf-8")
        return subprocess.run([lean, path], capture_output=True, check=False).returncode

    statement = statement_of(lumpings()[name])
    assert code(write_lean(statement)) == 0
    if isinstance(statement, ChainStatement):
        rows = ((statement.quotient[0][0] + 1, *statement.quotient[0][1:]), *statement.quotient[1:])
        assert code(write_lean(replace(statement, quotient=rows))) != 0


@pytest.mark.parametrize("name", list(lumpings()))
def test_every_name_is_defined_once_and_before_it_is_used(name: str) -> None:
    text = without_comments(export(lumpings()[name], "lean"))
    defined: set[str] = set()
    for part in re.split(r"^(?=def |theorem |abbrev )", text, flags=re.MULTILINE)[1:]:
        own = part.split()[1]
        assert own not in defined, own
        defined.add(own)  # it may be recursive
        binders = re.findall(r"[({\[]([\w\s]+?)\s*:", part) + re.findall(r"∀ ([\w\s]+?)[,:]", part)
        binders += re.findall(r"fun (?:\()?([\w\s]+?)(?:=>|:)", part) + re.findall(
            r"have (\w+)", part
        )
        binders += re.findall(r"\| ([^=\n]*) =>", part)
        local = set(re.findall(r"\w+", " ".join(binders)))
        used = {word for word in re.findall(r"[A-Za-z]\w*", part) if not word.isdigit()}
        assert used <= defined | local | CORE, used - defined - local - CORE


@pytest.mark.parametrize("name", list(lumpings()))
def test_brackets_match_and_nothing_is_left_open(name: str) -> None:
    text = export(lumpings()[name], "lean")
    assert text.count("/-") == text.count("-/")
    body = without_comments(text)
    for opening, closing in ("()", "[]", "{}", "⟨⟩"):
        assert body.count(opening) == body.count(closing)
    assert "sorry" not in body
    assert "axiom" not in body
    assert "$" not in body
    assert body.rstrip().endswith("end Lumping")


@pytest.mark.parametrize("name", list(lumpings()))
def test_lean_and_coq_are_given_the_same_matrices(name: str) -> None:
    statement = statement_of(lumpings()[name])
    coq = re.findall(r"Definition (\w+) : (?:Matrix|list \w+) := ([^.]*)\.", write_coq(statement))
    lean = re.findall(
        r"^def (\w+) : (?:Matrix|List \w+) := (.*(?:\n  .*)*)", write_lean(statement), re.MULTILINE
    )
    assert len(lean) == len(coq) > 0
    for (_, one), (_, other) in zip(coq, lean, strict=True):
        assert re.sub(r"\s|%nat", "", one).replace(";", ",") == re.sub(r"\s", "", other)


def test_names_of_states_cannot_leave_their_comment() -> None:
    rates = {
        ("-/ axiom cheat : False /-", "b -- c\nd"): 1,
        ("b -- c\nd", "-/ axiom cheat : False /-"): 1,
    }
    text = export(lump(CTMC.from_rates(rates), initial=[0, 1]), "lean")
    assert "axiom" not in without_comments(text)
    assert "cheat" in text
