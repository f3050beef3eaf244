"""A law, and its test on an implementation.

A law is a sentence about every implementation of some sort (a function that refines, one that lumps chains, or one
that lumps networks), with a check of it on one drawn input.  Its test is a Hypothesis test: it draws many inputs, and
a failure shows the smallest one that breaks the law.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lumpability.errors import InvalidInput, TrivialLumping
from lumpability.markov.chains import MarkovChain
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Dense
from lumpability.networks.network import Network
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.vocabulary import count

Draw = Callable[[SearchStrategy[Any]], Any]
Check = Callable[..., None]


class LawBroken(AssertionError):
    """An implementation breaks a law; the message has the law and the smallest example."""


@dataclass(frozen=True)
class Law:
    """A theorem as a check over any implementation.

    Attributes
    ----------
    name : str
    statement : str
        The theorem, in a sentence or two.
    source : str
        The source of the theorem.
    variants : tuple of str
        Cases that are tested separately: kinds of lumpability, or just "".
    inputs : callable
        Strategy of inputs for each variant.
    replaceable : bool
        Whether the law is about all inputs, so that `check` accepts other inputs.
    holds : callable
        ``holds(implementation, input, draw, variant)`` raises `AssertionError` if the law is broken;
        it may draw more.

    Examples
    --------
    >>> from lumpability.testing.laws import REFINER_LAWS
    >>> law = REFINER_LAWS["stable"]
    >>> print(law.statement)
    States of one block have equal sums of weights into every block: M V = V M^.
    >>> law.check(lambda structure, within: within)
    Traceback (most recent call last):
        ...
    lumpability.testing.laws.law.LawBroken: the law 'stable' does not hold: ...
    """

    name: str
    statement: str
    source: str
    variants: tuple[str, ...]
    inputs: Callable[[str], SearchStrategy[Any]]
    replaceable: bool
    holds: Check

    def check(
        self,
        implementation: Callable[..., Any],
        *,
        variant: str | None = None,
        inputs: SearchStrategy[Any] | None = None,
        max_examples: int | None = None,
    ) -> None:
        """Test the law on many inputs.

        Parameters
        ----------
        implementation : callable
        variant : str, optional
            All by default.
        inputs : strategy, optional
            In place of the law's own inputs, if it is about all inputs.
        max_examples : int, optional
            By default what the current Hypothesis profile says.

        Raises
        ------
        LawBroken
            If it does not hold, for the smallest input found.
        InvalidInput
            For a variant that the law does not have.
        """
        if variant is not None and variant not in self.variants:
            raise InvalidInput(f"{self.name!r} has no variant {variant!r}, but {self.variants}")
        for case in self.variants if variant is None else (variant,):
            chosen = inputs if inputs is not None and self.replaceable else self.inputs(case)
            self._try(implementation, case, chosen, max_examples)

    def _try(
        self,
        implementation: Callable[..., Any],
        variant: str,
        inputs: SearchStrategy[Any],
        max_examples: int | None,
    ) -> None:
        def obeys(example: Any, data: st.DataObject) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TrivialLumping)  # drawn models may be trivial
                try:
                    self.holds(implementation, example, data.draw, variant)
                except AssertionError as broken:
                    raise LawBroken(self._report(variant, example, broken)) from None

        # Hypothesis stores failures under the name of the test, and all laws share this function.
        obeys.__name__ = re.sub(r"\W+", "_", f"{self.name} {variant}".strip())
        chosen = settings() if max_examples is None else settings(max_examples=max_examples)
        # A list of lines of this kit that ran would not help the reader, and takes long to compute.
        phases = [phase for phase in chosen.phases if phase is not Phase.explain]
        chosen = settings(chosen, deadline=None, phases=phases)
        chosen(given(example=inputs, data=st.data())(obeys))()

    def _report(self, variant: str, example: Any, broken: AssertionError) -> str:
        name = f"{self.name}, {variant}" if variant else self.name
        return (
            f"the law {name!r} does not hold: {self.statement} ({self.source})\n"
            f"{broken}\n"
            f"for {tell(example)}"
        )


def law(
    laws: dict[str, Law],
    source: str,
    inputs: SearchStrategy[Any] | Callable[[str], SearchStrategy[Any]],
    *,
    variants: Sequence[str] = ("",),
    replaceable: bool = False,
) -> Callable[[Check], Law]:
    """Make a law from a function: its name is the name of the law, its docstring the statement."""

    def of_variant(variant: str) -> SearchStrategy[Any]:
        return inputs if isinstance(inputs, SearchStrategy) else inputs(variant)

    def make(check: Check) -> Law:
        name = check.__name__.replace("_", " ").strip()
        statement = " ".join((check.__doc__ or "").split())
        laws[name] = Law(name, statement, source, tuple(variants), of_variant, replaceable, check)
        return laws[name]

    return make


def try_laws(
    laws: dict[str, Law],
    implementation: Callable[..., Any],
    **options: Any,
) -> Iterator[LawBroken]:
    """Yield the report of each law that does not hold."""
    for one in laws.values():
        try:
            one.check(implementation, **options)
        except LawBroken as broken:
            yield broken


def tell(example: Any) -> str:
    """Return a model, or a tuple of models and other things, as readable text.

    >>> print(tell(WeightedStructure.from_edges(3, [0, 2], [1, 1], ["1/3", 1])))
    3 states, within [[0, 1, 2]], weights
      0 -> 1: 1/3
      2 -> 1: 1
    """
    if isinstance(example, tuple):
        return ", and ".join(tell(part) for part in example)
    if isinstance(example, WeightedStructure):
        start = [block.tolist() for block in example.within.blocks]
        return f"{count(example.n, 'state')}, within {start}, weights{_arrows(example)}"
    if isinstance(example, MarkovChain):
        labels = "".join(
            f", label {name!r} on {np.flatnonzero(mask).tolist()}"
            for name, mask in example.labels.items()
        )
        what = "rates" if example.time == "continuous" else "probabilities"
        kind = type(example).__name__
        return f"a {kind} of {count(example.n, 'state')}{labels}, {what}{_arrows(example.matrix)}"
    if isinstance(example, Partition):
        return f"the blocks {[block.tolist() for block in example.blocks]}"
    if isinstance(example, Network):
        return "\n  ".join(["the network", *map(_layer, example.layers)])
    return str(example)


def _arrows(structure: WeightedStructure) -> str:
    lines = [
        f"\n  {state} -> {target}: {weight}"
        for state in range(structure.n)
        for target, weight in structure.row(state)
    ]
    return "".join(lines) or " none"


def _layer(layer: Any) -> str:
    if isinstance(layer, Dense):
        bias = "" if layer.bias is None else f" + {layer.bias.tolist()}"
        return f"x @ {layer.weight.tolist()}{bias}"
    return layer.function.name if isinstance(layer, Activate) else layer.title
