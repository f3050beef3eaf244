"""Assertions whose failures say what is wrong, with the names of the model.

Each raises `AssertionError`, as pytest expects, and nothing else for a wrong answer.  They decide in exact
arithmetic, mostly by the definitions (`lumpability.testing.definitions`), never with a tolerance.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.dispatch import check
from lumpability.errors import InvalidInput, InvalidNetwork
from lumpability.markov.attributes import block_name
from lumpability.markov.chains import MarkovChain
from lumpability.networks.network import Network
from lumpability.numbers.exact_array import Exact
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.testing.definitions import Matrix, block_sums, dense, generator_rows, transposed
from lumpability.vocabulary import count

_LISTED = 5
_UNITS, _DRAWN = 4, 6


def assert_lumpable(model: Any, partition: Any, *, kind: str | None = None) -> None:
    """Assert that a partition is a lumping of a model.

    Parameters
    ----------
    model : CTMC, DTMC or Network
    partition : anything `Partition.of` takes
    kind : str, optional
        As for `lumpability.check`.

    Raises
    ------
    AssertionError
        With two states of one block and the sums in which they differ.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 3}, states=["a", "b", "c"])
    >>> assert_lumpable(chain, [{"a", "b"}, {"c"}])
    Traceback (most recent call last):
        ...
    AssertionError: CTMC(3 states, 2 transitions) is not lumpable on this partition into 2 blocks:
      not ordinary: states 'a' and 'b' share a block, but their rates into {c} sum to 1 and to 3
    """
    verdict = check(model, partition, kind=kind)
    if not verdict:
        blocks = (
            f" into {len(Partition.of(partition, states=model.states))} blocks"
            if isinstance(model, MarkovChain)
            else ""
        )
        raise AssertionError(f"{model!r} is not lumpable on this partition{blocks}:\n  {verdict}")


def assert_same_partition(
    found: Any, expected: Any, *, states: int | Sequence[Hashable] | None = None
) -> None:
    """Assert that two descriptions are of the same partition.

    Parameters
    ----------
    found, expected : anything `Partition.of` takes
    states : int or sequence of hashable, optional
        The number of states, or their names in order.

    Raises
    ------
    AssertionError
        With pairs of states that one of them separates and the other does not.

    Examples
    --------
    >>> assert_same_partition([0, 0, 1], [{0, 2}, {1}])
    Traceback (most recent call last):
        ...
    AssertionError: the partitions differ, 2 blocks found and 2 expected:
      0 and 1 share a block, and should not
      0 and 2 should share a block, and do not
    """
    one, other = Partition.of(found, states=states), Partition.of(expected, states=states)
    if one.n != other.n:
        raise AssertionError(f"the partitions are of {one.n} and of {other.n} states")
    if one == other:
        return
    names = range(one.n) if states is None or isinstance(states, int) else states
    lines = [
        *(f"{names[s]!r} and {names[t]!r} share a block, and should not"
          for s, t in _torn_apart(one, other)),
        *(f"{names[s]!r} and {names[t]!r} should share a block, and do not"
          for s, t in _torn_apart(other, one)),
    ]  # fmt: skip
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    text = "\n  ".join([*lines[:_LISTED], *more])
    raise AssertionError(
        f"the partitions differ, {count(len(one), 'block')} found and {len(other)} expected:\n  {text}"
    )


def _torn_apart(partition: Partition, other: Partition) -> list[tuple[int, int]]:
    """Return pairs of a state and its block's first member that the other partition separates."""
    first = partition.representatives[partition.labels]
    wrong = np.flatnonzero(other.labels[first] != other.labels)
    return [(int(first[state]), state) for state in wrong.tolist()]


def assert_quotient_correct(
    chain: MarkovChain,
    partition: Any,
    quotient: MarkovChain,
    *,
    kind: str = "ordinary",
    factors: Iterable[Exact] | None = None,
) -> None:
    """Assert the matrix identity of a quotient on a partition.

    Computed on dense matrices: Q V = V Q^ for "ordinary", R V = V R^ for "bisimulation",
    V^T Q = (V^T V) Q^ (V^T V)^-1 V^T for "exact" (that is D Q = Q^ D), both for "strict", and
    Q V = K V Q^ outside blocks for "proportional".

    Parameters
    ----------
    chain, quotient : CTMC or DTMC
        State B of the quotient is block B of the partition.
    partition : anything `Partition.of` takes
    kind : str
    factors : iterable of numbers, shape (n,), optional
        For "proportional", kappa of every state; 1 by default.

    Raises
    ------
    AssertionError
        With the wrong entry, its value and the right value.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2})
    >>> assert_quotient_correct(chain, [0, 1, 0], CTMC([[0, 1], [3, 0]]))
    Traceback (most recent call last):
        ...
    AssertionError: not the ordinary quotient: from 'c' into {a, b} the chain has 2, the quotient 3
    """
    blocks = Partition.of(partition, states=chain.states)
    if quotient.n != len(blocks) or type(quotient) is not type(chain):
        raise AssertionError(
            f"{quotient!r} cannot be the quotient of {chain!r} on {count(len(blocks), 'block')}"
        )
    jumps = kind == "bisimulation"
    rows = dense(chain.matrix) if jumps else generator_rows(chain)
    small = dense(quotient.matrix) if jumps else generator_rows(quotient)
    scales = [Fraction(1)] * chain.n if factors is None else list(factors)
    if kind != "exact":
        _compare(chain, blocks, block_sums(rows, blocks), small, scales, kind=kind)
    if kind in ("exact", "strict"):
        # Column sums: from block C into state s goes |C| Q^[C, B] / |B|.
        sizes = [Fraction(size) for size in blocks.blocks.sizes.tolist()]
        scaled = [
            [size * weight / other for weight, other in zip(row, sizes, strict=True)]
            for size, row in zip(sizes, small, strict=True)
        ]
        sums = block_sums(transposed(rows), blocks)
        _compare(chain, blocks, sums, transposed(scaled), scales, kind=kind, way="from")


def _compare(
    chain: MarkovChain,
    blocks: Partition,
    sums: Matrix,
    small: Matrix,
    factors: Sequence[Exact],
    *,
    kind: str,
    way: str = "into",
) -> None:
    for state, own in enumerate(blocks.labels.tolist()):
        others = [block for block in range(len(blocks)) if block != own]
        # Prefer another block to the own one, whose sum may hold a diagonal.
        for block in others if kind == "proportional" else [*others, own]:
            found, claimed = sums[state][block], factors[state] * small[own][block]
            if found != claimed:
                where = block_name(chain.states, blocks, block)
                path = f"from {chain.states[state]!r} {way} {where}" if way == "into" else (
                    f"from {where} into {chain.states[state]!r}"
                )  # fmt: skip
                raise AssertionError(
                    f"not the {kind} quotient: {path} the chain has {shown(found)}, the quotient "
                    f"{shown(claimed)}"
                )


def assert_same_function(
    network: Network, other: Network, *, points: Iterable[Any] | None = None
) -> None:
    """Assert that two networks have the same values at some points, in rational arithmetic.

    Parameters
    ----------
    network, other : Network
        Activations must have rational values; for tanh and others see
        `lumpability.symbolic.prove`.
    points : iterable of array_like, optional
        Inputs; by default zero, the first unit vectors and their opposites, and some random points.

    Raises
    ------
    AssertionError
        With the first input at which they differ, and both values.
    InvalidInput
        If an activation has no rational values, or the points do not fit.

    Examples
    --------
    >>> twins = Network.dense([([[1, 2]], [0, 0], "relu"), ([[1], [1]], None, None)])
    >>> assert_same_function(twins, Network.dense([([[1]], None, "relu"), ([[2]], None, None)]))
    Traceback (most recent call last):
        ...
    AssertionError: the functions differ: at x = [1] output 0 is 3 against 2
    """
    if network.input_shape != other.input_shape or network.output_shape != other.output_shape:
        raise AssertionError(
            f"{network!r} and {other!r} have other inputs or outputs: {network.input_shape} -> "
            f"{network.output_shape} against {other.input_shape} -> {other.output_shape}"
        )
    for point in _points(network) if points is None else points:
        try:
            first, second = network.exact(point).ravel(), other.exact(point).ravel()
        except InvalidNetwork as error:
            raise InvalidInput(
                f"no exact values to compare ({error}): lumpability.symbolic.prove shows that "
                "a network and its quotient are the same expression"
            ) from None
        for place, (one, two) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
            if one != two:
                x = ", ".join(shown(number) for number in np.ravel(np.asarray(point, object)))
                raise AssertionError(
                    f"the functions differ: at x = [{x}] output {place} is {shown(one)} against "
                    f"{shown(two)}"
                )


def _points(network: Network) -> Iterable[Any]:
    """Return points on both sides of most kinks of a small network."""
    shape = [1 if size is None else size for size in network.input_shape]
    size = int(np.prod(shape))
    random = np.random.default_rng(0)
    units = [row for unit in np.eye(size, dtype=int)[:_UNITS] for row in (unit, -unit)]
    drawn = [random.integers(-20, 21, size) for _ in range(_DRAWN)]
    whole = [row.astype(object) for row in (np.zeros(size, dtype=int), *units, *drawn)]
    thirds = [row * Fraction(1, 3) for row in whole[-2:]]
    inputs = [np.asarray(row, dtype=object).reshape(shape) for row in [*whole, *thirds]]
    return [point[0] for point in inputs] if network.input_shape[0] is None else inputs
