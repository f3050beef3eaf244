"""What is written for Coq: true statements compile, changed ones do not, and nothing is assumed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lumpability import CTMC, DTMC, Network, formats, lump
from lumpability.certificate.export.coq import write_coq
from lumpability.certificate.export.statement import (
    ChainStatement,
    IntegerStatement,
    NetworkStatement,
)
from lumpability.markov.examples import (
    exact_not_ordinary,
    hypercube_walk,
    machine_repair,
    planted,
    polling,
    proportional_not_ordinary,
    queue_at_changing_speed,
)
from lumpability.networks.examples import planted as planted_network
from lumpability.symbolic import export, statement_of

Compile = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compile_coq(tmp_path: Path) -> Compile:
    """Compile a text with coqc and return how that ended."""
    coqc = shutil.which("coqc")
    if coqc is None:
        pytest.skip("there is no coqc: apt-get install --no-install-recommends coq")

    def run(text: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "export.v"
        path.write_text(text, encoding="ascii")
        return subprocess.run(
            [coqc, "-q", path.name], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def fractional() -> DTMC:
    """A discrete chain with awkward fractions."""
    rows = [["1/7", "2/7", "4/7"], ["1/3", "1/6", "1/2"], ["1/3", "5/12", "1/4"]]
    return DTMC(rows, labels={"start": [0]})


def small_network() -> Network:
    """Twins, a constant unit and one that nothing reads."""
    first = ([[1, 2, 0, 5, 1, 3]], [1, 2, 3, 7, -0.25, -0.75], "relu")
    second = ([[3, 1], [4, 1], [1, 2], [0, 0], [1, 1], [1, 1]], None, "relu")
    return Network.dense([first, second, ([[1], [2]], [0.5], None)])


CHAINS = {
    "machine repair, ordinary": (machine_repair(3), "ordinary", ["lumpable"]),
    "machine repair, bisimulation": (machine_repair(3), "bisimulation", ["lumpable"]),
    "polling, ordinary": (polling(3), "ordinary", ["lumpable"]),
    "fractions, ordinary": (fractional(), "ordinary", ["lumpable"]),
    "three states, exact": (exact_not_ordinary(), "exact", ["exactly_lumpable"]),
    "cube, strict": (hypercube_walk(4), "strict", ["lumpable", "exactly_lumpable"]),
    "queue, proportional": (
        queue_at_changing_speed(2, speeds=(1, "2/3", 5)),
        "proportional",
        ["proportionally_lumpable"],
    ),
}


def chain_example(name: str) -> ChainStatement:
    chain, kind, _ = CHAINS[name]
    statement = statement_of(lump(chain, kind=kind))
    assert isinstance(statement, ChainStatement)
    return statement


def network_example() -> NetworkStatement:
    statement = statement_of(lump(small_network()))
    assert isinstance(statement, NetworkStatement)
    return statement


@pytest.mark.parametrize("name", CHAINS)
def test_coq_accepts_lumpings_of_chains_and_nothing_is_assumed(
    name: str, compile_coq: Compile
) -> None:
    theorems = CHAINS[name][2]
    asked = "".join(f"Print Assumptions {theorem}.\n" for theorem in theorems)
    result = compile_coq(write_coq(chain_example(name)) + asked)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Closed under the global context\n" * len(theorems)


@pytest.mark.parametrize("function", ["relu", "tanh"])
def test_coq_accepts_lumpings_of_networks(function: str, compile_coq: Compile) -> None:
    wide, _ = planted_network([2, 4, 3, 2], 2, function=function)
    result = compile_coq(export(lump(wide), "coq") + "Print Assumptions layer_2.\n")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Closed under the global context\n"


def test_coq_accepts_constant_and_unused_units(compile_coq: Compile) -> None:
    result = compile_coq(
        write_coq(network_example()) + "Print Assumptions unused_feed_nothing_2.\n"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "Closed under the global context\n"


def changed(rows: tuple[tuple[int, ...], ...], i: int, j: int) -> tuple[tuple[int, ...], ...]:
    """The matrix with one entry larger by one."""
    return tuple(
        tuple(x + ((k, column) == (i, j)) for column, x in enumerate(row))
        for k, row in enumerate(rows)
    )


def moved(labels: tuple[int, ...], state: int) -> tuple[int, ...]:
    """The labels with one state in the next block."""
    other = (labels[state] + 1) % (max(labels) + 1)
    return (*labels[:state], other, *labels[state + 1 :])


def chain_mutants() -> dict[str, IntegerStatement]:
    ordinary, exact = chain_example("fractions, ordinary"), chain_example("three states, exact")
    strict, scaled = chain_example("cube, strict"), chain_example("queue, proportional")
    bisimulation = chain_example("machine repair, bisimulation")
    return {
        "ordinary: rate": replace(ordinary, matrix=changed(ordinary.matrix, 2, 1)),
        "ordinary: quotient": replace(ordinary, quotient=changed(ordinary.quotient, 1, 0)),
        "ordinary: partition": replace(ordinary, labels=moved(ordinary.labels, 2)),
        "bisimulation: self-loop": replace(bisimulation, matrix=changed(bisimulation.matrix, 1, 1)),
        "exact: rate": replace(exact, matrix=changed(exact.matrix, 0, 1)),
        "exact: quotient": replace(exact, quotient=changed(exact.quotient, 1, 1)),
        "exact: ordinary instead": replace(exact, identity="row sums"),
        "strict: rate": replace(strict, matrix=changed(strict.matrix, 5, 3)),
        "strict: partition": replace(strict, labels=moved(strict.labels, 5)),
        "proportional: kappa": replace(scaled, kappa=(*scaled.kappa[:-1], scaled.kappa[-1] + 1)),
        "proportional: sign": replace(scaled, kappa=tuple(-x for x in scaled.kappa)),
        "proportional: unit": replace(scaled, kappa_denominator=scaled.kappa_denominator + 1),
        "an empty block": ChainStatement("", "row sums", ((0,),), ((0, 0), (0, 0)), (0,)),
    }


def network_mutants() -> dict[str, IntegerStatement]:
    statement = network_example()
    first, second, third = statement.layers

    def with_second(**fields: object) -> NetworkStatement:
        return replace(statement, layers=(first, replace(second, **fields), third))  # type: ignore[arg-type]

    return {
        "network: weight": with_second(matrix=changed(second.matrix, 2, 0)),
        "network: bias": with_second(matrix=changed(second.matrix, 0, 1)),
        "network: new weight": with_second(quotient=changed(second.quotient, 1, 1)),
        "network: factor below": with_second(row_factors=(1, 1, 3, *second.row_factors[3:])),
        "network: class below": with_second(row_labels=moved(second.row_labels, 2)),
        "network: class": with_second(labels=moved(second.labels, 0)),
        "network: denominator": with_second(row_denominator=2),
        "network: a class is used": with_second(unused_rows=(1,)),
    }


MUTANTS = chain_mutants() | network_mutants()
ALWAYS = {"proportional: kappa", "network: factor below"}


@pytest.mark.parametrize(
    "name", [n if n in ALWAYS else pytest.param(n, marks=pytest.mark.slow) for n in MUTANTS]
)
def test_coq_refuses_changed_statements(name: str, compile_coq: Compile) -> None:
    result = compile_coq(write_coq(MUTANTS[name]))
    assert result.returncode != 0
    assert "Unable to unify" in result.stderr, result.stderr  # and no error of syntax or type


def test_names_of_states_cannot_leave_their_comment(compile_coq: Compile) -> None:
    names = ["*) Axiom cheat : False. (*", 'a "string', "(* open", "back\\slash", "Zürich\n雪"]
    rates = {(name, names[0]): 1 for name in names[1:]} | {(names[0], names[1]): 2}
    text = export(lump(CTMC.from_rates(rates, labels={"first": [names[0]]})), "coq")
    assert text.isascii()
    assert "*) Axiom" not in text
    result = compile_coq(text + "Print Assumptions lumpable.\nFail Check cheat.\n")
    assert result.returncode == 0, result.stderr
    assert "Closed under the global context" in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict", "proportional"])
def test_coq_accepts_the_largest_chains(kind: str, compile_coq: Compile) -> None:
    chain, partition = planted(kind, [8] * 25, seed=1)
    result = compile_coq(export(lump(chain, kind=kind, within=partition), "coq"))
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_coq_accepts_a_published_network(
    compile_coq: Compile, shared_file: Callable[[str], Path]
) -> None:
    network = formats.read(shared_file("networks/tll/tllBench_n=2_N=M=8_m=1_instance_0_0.onnx"))
    result = compile_coq(export(lump(network), "coq"))
    assert result.returncode == 0, result.stderr


def test_the_theorem_says_what_is_meant() -> None:
    text = export(lump(proportional_not_ordinary(2), kind="proportional"), "coq")
    assert (
        "Theorem Q_V_is_K_V_Qhat : forall s C, (s < n)%nat -> (C < m)%nat ->\n"
        "  kappa_denominator * sum_in C labels (row Q s) = kappa s * entry Qhat (block s) C."
    ) in text
    assert "Admitted" not in text
    assert "Axiom" not in text
