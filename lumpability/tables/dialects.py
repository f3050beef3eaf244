"""What differs between the dialects of SQL: how sums stay exact, pseudo-random values, and a few words.

A *value* r(b) of a block b is a pseudo-random integer of at most 60 bits.  Sums of weights times changes of
values must not wrap.  DuckDB has integers of 128 bits.  Spark has decimals of 38 digits, which are slow; so
a change is cut into two halves of 30 bits, each with a sum of 64 bits, and the pair is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

BITS = 60
"""Bits of the value of a block."""


@dataclass(frozen=True)
class Dialect:
    """The expressions in which engines differ.

    Attributes
    ----------
    name : str
    value : callable
        ``value(name, seed, bits)``: the pseudo-random value of the block with a name.
    products : callable
        ``products(weight, p)``: exact sums, all of which are zero exactly if that of weight x delta is; modulo p,
        unless that is 0.
    total : callable
        ``total(weight, p)``: the exact sum of weights, or the sum of residues modulo p.
    anti, semi : str
        The joins that keep rows without, and rows with, a partner.
    listed : callable
        ``listed(columns)``: a group's rows of some columns as one sorted list, which can be a key.
    divided : callable
        ``divided(number, by)``: the quotient of integers that are not negative, without a remainder.
    power : callable
        ``power(exponent)``: a power of two, of 64 bits.
    most_weight : int
        Sums of the rates out of a state are below this number, or residues are taken; those of a diagonal add as
        much.
    residues : bool
        Whether there are products modulo primes of 61 bits.
    """

    name: str
    value: Callable[[str, int, int], str]
    products: Callable[[str, int], Sequence[str]]
    total: Callable[[str, int], str]
    anti: str
    semi: str
    listed: Callable[[str], str]
    divided: Callable[[str, int], str]
    power: Callable[[str], str]
    most_weight: int
    residues: bool


DUCKDB = Dialect(
    name="duckdb",
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
    divided=lambda number, by: f"{number} // {by}",
    power=lambda exponent: f"(1::BIGINT << CAST({exponent} AS INTEGER))",
    most_weight=1 << 63,
    residues=True,
)

SPARK = Dialect(
    name="spark",
    value=lambda name, seed, bits: f"shiftrightunsigned(xxhash64({name}, {seed}), {64 - bits})",
    products=lambda weight, _: [
        f"sum({weight} * shiftright(delta, 30))",
        f"sum({weight} * (delta & 1073741823))",
    ],
    total=lambda weight, _: f"sum({weight})",
    anti="LEFT ANTI JOIN",
    semi="LEFT SEMI JOIN",
    listed=lambda columns: f"sort_array(collect_list(struct({columns})))",
    divided=lambda number, by: f"{number} div {by}",
    power=lambda exponent: f"shiftleft(CAST(1 AS BIGINT), CAST({exponent} AS INT))",
    most_weight=1 << 31,
    residues=False,
)
