"""Testing an implementation against all laws of a sort: in one call, or one by one under pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import settings
from hypothesis.strategies import SearchStrategy

from lumpability.errors import InvalidInput
from lumpability.testing.laws.certifying import CERTIFIER_LAWS, NETWORK_CERTIFIER_LAWS
from lumpability.testing.laws.law import Law, LawBroken, try_laws
from lumpability.testing.laws.lumping import LUMPER_LAWS
from lumpability.testing.laws.merging import NETWORK_LAWS
from lumpability.testing.laws.refining import REFINER_LAWS, Refiner

_LEAST = 10

LAWS: Mapping[str, Mapping[str, Law]] = {
    "refiner": REFINER_LAWS,
    "lumper": LUMPER_LAWS,
    "network lumper": NETWORK_LAWS,
    "certifier": CERTIFIER_LAWS,
    "network certifier": NETWORK_CERTIFIER_LAWS,
}
"""All laws, by sort of implementation and by name."""


def check_refiner(
    refine: Refiner,
    *,
    inputs: SearchStrategy[Any] | None = None,
    max_examples: int | None = None,
) -> None:
    """Test an implementation of refinement against every law of refinement.

    Parameters
    ----------
    refine : callable
        ``refine(structure, within)`` takes a `WeightedStructure` and the `Partition` to refine, and returns
        the coarsest stable partition as anything that `Partition.of` takes.
    inputs : strategy of WeightedStructure, optional
        In place of `lumpability.testing.strategies`: for implementations that do not take every weight.
    max_examples : int, optional
        For each law; by default what the current Hypothesis profile says.

    Raises
    ------
    LawBroken
        With all laws that do not hold, each with the smallest input that shows it.

    Examples
    --------
    >>> from lumpability.refinement import refine
    >>> check_refiner(lambda structure, within: refine(structure, within).partition, max_examples=1)
    """
    broken = list(try_laws(REFINER_LAWS, refine, inputs=inputs, max_examples=max_examples))
    if broken:
        reports = "\n\n".join(f"{number}. {one}" for number, one in enumerate(broken, start=1))
        raise LawBroken(f"{len(broken)} of {len(REFINER_LAWS)} laws do not hold:\n\n{reports}")


def parametrize_with_laws(
    implementation: Callable[..., Any],
    *,
    of: str = "refiner",
    inputs: SearchStrategy[Any] | None = None,
    max_examples: int | None = None,
) -> Any:
    """Make a pytest test for every law: a decorator for a test with the argument ``law``, which it calls.

    Parameters
    ----------
    implementation : callable
    of : {"refiner", "lumper", "network lumper", "certifier", "network certifier"}
        The sort of implementation; see `LAWS`.
    inputs : strategy, optional
        As for `check_refiner`.
    max_examples : int, optional
        For each law, by default the number of the current Hypothesis profile.  The variants of a law divide
        it, with at least ten for each.

    Raises
    ------
    InvalidInput
        If there are no laws of this sort.

    Examples
    --------
    In a test file:

    >>> from lumpability.refinement import refine
    >>> @parametrize_with_laws(lambda structure, within: refine(structure, within).partition)
    ... def test_my_refinement(law):
    ...     law()
    """
    import pytest

    if of not in LAWS:
        raise InvalidInput(f"no laws of a {of!r}: choose one of {', '.join(LAWS)}")

    examples = settings().max_examples if max_examples is None else max_examples

    def bound(one: Law, variant: str) -> Callable[[], None]:
        # Divided, so that a law with many variants does not take many times as long.
        share = max(min(examples, _LEAST), -(-examples // len(one.variants)))
        return lambda: one.check(implementation, variant=variant, inputs=inputs, max_examples=share)

    return pytest.mark.parametrize(
        "law",
        [
            pytest.param(bound(one, variant), id=f"{name} ({variant})" if variant else name)
            for name, one in LAWS[of].items()
            for variant in one.variants
        ],
    )


def laws_as_table(of: str) -> str:
    """Return the laws of a sort as Markdown.

    Examples
    --------
    >>> print(laws_as_table("refiner").splitlines()[2])
    | refines the given partition | No block has states of two blocks of the given partition. |
    """
    rows = [f"| {one.name} | {one.statement} |" for one in LAWS[of].values()]
    return "\n".join(["| law | what holds |", "|---|---|", *rows])
