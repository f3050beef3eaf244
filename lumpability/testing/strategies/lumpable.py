"""Chains with a built-in lumping, and chains in which one rate breaks it.

A quotient is drawn and unfolded by the code that also plants random lumpings
(`lumpability.markov.examples.planted`), with Hypothesis in place of the random numbers.  In discrete time the
chain is I + Q/L, which is lumpable of the same kinds as Q.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lumpability.errors import InvalidInput
from lumpability.markov.chains import CTMC, DTMC, MarkovChain
from lumpability.markov.examples.planted import unfold
from lumpability.markov.horizon_steps import uniformised
from lumpability.markov.kinds import find_kind
from lumpability.numbers.rationals import read_number
from lumpability.partition import Partition
from lumpability.refinement import Witness
from lumpability.testing.definitions import find_witness

KINDS = ("ordinary", "bisimulation", "exact", "strict", "proportional")
"""Kinds that can be built in."""


def _check(kind: str, time: str) -> None:
    if kind not in KINDS:
        raise InvalidInput(f"cannot plant a {kind!r} lumping: choose one of {', '.join(KINDS)}")
    if time not in ("continuous", "discrete") or (kind, time) == ("proportional", "discrete"):
        raise InvalidInput(f"no {kind} lumpings in {time!r} time")


def _shuffled(rates: Any, blocks: Any, numbers: DrawnNumbers) -> tuple[Any, Partition]:
    order = numbers.permutation(len(blocks))
    return rates[np.ix_(order, order)], Partition(blocks[order])


def _chain(rates: Any, time: str) -> MarkovChain:
    chain = CTMC(rates)
    if time == "continuous":
        return chain
    return DTMC(uniformised(chain, 1 + max(chain.exit_rates.values))[0])


@st.composite
def lumpable_chains(
    draw: st.DrawFn,
    *,
    kind: str = "ordinary",
    time: str = "continuous",
    min_blocks: int = 1,
    max_blocks: int = 3,
    max_block_size: int = 3,
    irreducible: bool = False,
) -> tuple[MarkovChain, Partition]:
    """Chains with a lumping of a kind, and that lumping: not always the coarsest one.

    Parameters
    ----------
    kind : {"ordinary", "bisimulation", "exact", "strict", "proportional"}
    time : {"continuous", "discrete"}
    min_blocks, max_blocks, max_block_size : int
        At least one.
    irreducible : bool
        Make every state reach every other one.

    Raises
    ------
    InvalidInput
        For another kind or time, when an example is drawn.

    Examples
    --------
    >>> from hypothesis import Phase, find, settings
    >>> from lumpability import check
    >>> few = lumpable_chains(kind="exact", max_blocks=2, max_block_size=2)
    >>> unshrunk = settings(phases=[Phase.generate], max_examples=1000, database=None)
    >>> chain, partition = find(few, lambda pair: not check(*pair), settings=unshrunk)
    >>> bool(check(chain, partition, kind="exact"))
    True
    """
    _check(kind, time)
    size = st.integers(1, max_block_size)
    sizes = draw(st.lists(size, min_size=min_blocks, max_size=max_blocks))
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    numbers = DrawnNumbers(draw)
    rates = unfold(kind, blocks, numbers, connected=irreducible)
    rates, partition = _shuffled(rates, blocks, numbers)
    return _chain(rates, time), partition


@st.composite
def not_lumpable_chains(
    draw: st.DrawFn,
    *,
    kind: str = "ordinary",
    time: str = "continuous",
    max_blocks: int = 3,
    max_block_size: int = 3,
) -> tuple[MarkovChain, Partition, Witness]:
    """Chains in which one rate breaks a lumping, the partition that fails, and the witness.

    Parameters
    ----------
    kind : {"ordinary", "bisimulation", "exact", "strict", "proportional"}
    time : {"continuous", "discrete"}
    max_blocks : int
        At least two, and at least three for "proportional": with one way out of a block, all states take it
        in the same proportion.
    max_block_size : int
        At least two.

    Returns
    -------
    strategy of (chain, partition, witness)
        The witness is the one that `lumpability.testing.definitions.find_witness` describes.

    Examples
    --------
    >>> from hypothesis import Phase, find, settings
    >>> from lumpability import check
    >>> few = not_lumpable_chains(max_blocks=2, max_block_size=2)
    >>> unshrunk = settings(phases=[Phase.generate], database=None)
    >>> chain, partition, witness = find(few, lambda triple: True, settings=unshrunk)
    >>> bool(check(chain, partition)), witness.total != witness.other_total
    (False, True)
    """
    _check(kind, time)
    difference = st.sampled_from([*map(Fraction, ("1", "2", "1/2", "1/3", "5"))])
    rates, partition = draw(_broken(kind, max_blocks, max_block_size, difference))
    chain = _chain(rates, time)
    witness = find_witness(chain, partition, kind)
    assert witness is not None
    return chain, partition, witness


@st.composite
def near_lumpable_chains(
    draw: st.DrawFn,
    *,
    epsilon: Any = "1/10000000000",
    kind: str = "ordinary",
    max_blocks: int = 3,
    max_block_size: int = 3,
) -> tuple[CTMC, Partition]:
    """Chains that miss a lumping by epsilon, and that partition.

    Parameters
    ----------
    epsilon : number
        The difference of one rate from that of a lumpable chain, in 1/time.
    kind, max_blocks, max_block_size
        As for `not_lumpable_chains`.

    Examples
    --------
    >>> from hypothesis import Phase, find, settings
    >>> from lumpability import check
    >>> few = near_lumpable_chains(epsilon="1/1000", max_blocks=2, max_block_size=2)
    >>> unshrunk = settings(phases=[Phase.generate], database=None)
    >>> chain, partition = find(few, lambda pair: True, settings=unshrunk)
    >>> bool(check(chain, partition))
    False
    """
    _check(kind, "continuous")
    difference = read_number(epsilon)
    rates, partition = draw(_broken(kind, max_blocks, max_block_size, st.just(difference)))
    return CTMC(rates), partition


@st.composite
def _broken(
    draw: st.DrawFn,
    kind: str,
    max_blocks: int,
    max_block_size: int,
    differences: st.SearchStrategy[Fraction],
) -> tuple[Any, Partition]:
    """Draw rates that are lumpable, and add to one rate between two blocks.

    The first block has two states.  For "proportional" its states have rates at least into the second block, and
    the changed rate goes into a third, so that the proportions change.
    """
    proportional = find_kind(kind).scaled
    least = 3 if proportional else 2
    count = draw(st.integers(least, max(least, max_blocks)))
    others = st.lists(st.integers(1, max_block_size), min_size=count - 1, max_size=count - 1)
    sizes = [draw(st.integers(2, max_block_size)), *draw(others)]
    blocks = np.repeat(np.arange(count), sizes)
    numbers = DrawnNumbers(draw)
    rates = unfold(kind, blocks, numbers, connected=proportional)
    inside = draw(st.integers(0, int(np.sum(blocks == 0)) - 1))
    outside = draw(st.integers(int(np.flatnonzero(blocks == least - 1)[0]), len(blocks) - 1))
    source, target = (outside, inside) if not find_kind(kind).outgoing else (inside, outside)
    rates[source, target] += draw(differences)
    return _shuffled(rates, blocks, numbers)


class DrawnNumbers:
    """The methods of `numpy.random.Generator` that unfolding a quotient uses, drawn by Hypothesis.

    - draw (callable): the first argument of a function decorated with `hypothesis.strategies.composite`
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any:
        """Draw integers from low (0 if only one bound is given) up to high, exclusive."""
        low, high = (0, int(low)) if high is None else (int(low), int(high))
        number = st.integers(low, high - 1)
        if size is None:
            return self._draw(number)
        count = math.prod(size) if isinstance(size, tuple) else int(size)
        drawn = self._draw(st.lists(number, min_size=count, max_size=count))
        return np.array(drawn, dtype=np.int64).reshape(size)

    def permutation(self, count: int) -> Any:
        """Draw an order of the numbers 0 .. count - 1."""
        return np.array(self._draw(st.permutations(range(count))), dtype=np.int64)

    def choice(self, count: int, size: int, *, replace: bool) -> Any:
        """Draw different numbers out of 0 .. count - 1."""
        assert not replace
        left = list(range(count))
        chosen = [left.pop(self._draw(st.integers(0, len(left) - 1))) for _ in range(size)]
        return np.array(chosen, dtype=np.int64)
