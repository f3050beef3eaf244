"""What differs between the dialects of SQL: how sums stay exact, pseudo-random values, and a few words.

A *value* r(b) of a block b is a pseudo-random integer of at most 60 bits.  Sums of weights times changes of
values must not wrap.  DuckDB has integers of 128 bits, and residues modulo primes of 61.  Spark has decimals of 38
digits, which are slow; so a change is cut into two halves of 30 bits, each with a sum of 64 bits, the pair is
compared, and primes have 31 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

BITS = 60
"""Bits of the value of a block."""
_HALVES = ("shiftright(delta, 30)", f"(delta & {(1 << 30) - 1})")


@dataclass(frozen=True)
class Dialect:
    """The expressions in which engines differ."""

    value: Callable[[str, int, int], str]
    """``value(name, seed, bits)``: the pseudo-random value of the block with a name."""
    products: Callable[[str, int], Sequence[str]]
    """``products(weight, p)``: exact sums that are functions of those of weight x delta for each change, modulo p
    unless that is 0."""
    total: Callable[[str, int], str]
    """``total(weight, p)``: the exact sum of weights, or the sum of residues modulo p."""
    anti: str
    """The join that keeps rows without a partner, and `semi` those with one."""
    semi: str
    listed: Callable[[str], str]
    """``listed(columns)``: a group's rows of some columns as one sorted list, which can be a key."""
    divided: str
    """The operator of the quotient of integers that are not negative, without a remainder."""
    power: Callable[[str], str]
    """``power(exponent)``: a power of two, of 64 bits."""
    most_weight: int
    """Sums of the rates out of a state are below this number, or residues are taken; those of a diagonal add as
    much."""
    prime_bits: int
    """Bits of the primes, modulo which residues are taken."""


DUCKDB = Dialect(
    # The seed argument of other hashes is no re-seeding here: equal hashes stay equal.
    value=lambda name, seed, bits: (
        f"(hash(xor(hash({name}), {seed}::UBIGINT)) >> {64 - bits})::BIGINT"
    ),
    products=lambda weight, p: (
        [f"((sum({weight} * delta::HUGEINT % {p}) % {p} + {p}) % {p})"]
        if p
        else [f"sum({weight} * delta::HUGEINT)"]
    ),
    total=lambda weight, p: f"(sum({weight}::HUGEINT) % {p})" if p else f"sum({weight}::HUGEINT)",
    anti="ANTI JOIN",
    semi="SEMI JOIN",
    listed=lambda columns: f"list_sort(list(({columns})))",
    divided="//",
    power=lambda exponent: f"(1::BIGINT << CAST({exponent} AS INTEGER))",
    most_weight=1 << 63,
    prime_bits=61,
)

SPARK = Dialect(
    value=lambda name, seed, bits: f"shiftrightunsigned(xxhash64({name}, {seed}), {64 - bits})",
    products=lambda weight, p: [
        f"pmod(sum({weight} * {half} % {p}), {p})" if p else f"sum({weight} * {half})"
        for half in _HALVES
    ],
    total=lambda weight, p: f"(sum({weight}) % {p})" if p else f"sum({weight})",
    anti="LEFT ANTI JOIN",
    semi="LEFT SEMI JOIN",
    listed=lambda columns: f"sort_array(collect_list(struct({columns})))",
    divided="div",
    power=lambda exponent: f"shiftleft(CAST(1 AS BIGINT), CAST({exponent} AS INT))",
    most_weight=1 << 31,
    prime_bits=31,
)
