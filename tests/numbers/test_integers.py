from __future__ import annotations

from fractions import Fraction
from math import lcm, prod

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lumpability.numbers import integers
from lumpability.numbers.integers import (
    Limbs,
    common_denominator,
    gather,
    intern,
    prime,
    primes_beyond,
    residues,
    scale_to_integers,
    smallest_unsigned,
)

huge_integers = st.one_of(
    st.integers(-(10**6), 10**6),
    st.integers(-(2**63), 2**63),
    st.integers(-(10**60), 10**60),
    st.builds(lambda k, e: k << e, st.integers(-3, 3), st.integers(0, 300)),
)


@given(st.lists(st.fractions()))
def test_scaling_is_exact_and_by_the_least_denominator(values):
    integers, denominator = scale_to_integers(values)
    assert [Fraction(w, denominator) for w in integers] == values
    assert denominator == lcm(*(v.denominator for v in values)) == common_denominator(values)


def test_no_numbers_have_denominator_one():
    assert scale_to_integers([]) == ([], 1)


def test_primes_are_all_the_primes_below_two_to_the_61_in_descending_order():
    import sympy

    assert prime(0) == 2**61 - 1
    for index in range(1, 25):
        assert prime(index) == sympy.prevprime(prime(index - 1))


@given(st.integers(0, 2**1000))
@example(0)
@example(2**61 - 2)
@example(2**61 - 1)
def test_the_product_of_the_primes_exceeds_the_bound_and_none_is_wasted(bound):
    chosen = list(primes_beyond(bound))
    assert len(set(chosen)) == len(chosen)
    assert prod(chosen) > bound
    assert not chosen or prod(chosen[:-1]) <= bound


@given(huge_integers, huge_integers)
def test_equal_residues_modulo_enough_primes_prove_equality(a, b):
    agree = all(x == y for x, y in (residues([a, b], p) for p in primes_beyond(abs(a - b))))
    assert agree == (a == b)


def test_residues_of_numbers_that_share_a_power_of_two_do_not_vanish():
    # Modulo 2^64 all of these would be zero.
    weights = [k << 64 for k in range(1, 6)]
    assert len(set(residues(weights, prime(0)).tolist())) == 5


@given(st.lists(huge_integers), st.integers(0, 20))
def test_residues_lie_below_the_prime(integers, index):
    p = prime(index)
    found = residues(integers, p)
    assert found.dtype == np.uint64
    assert found.tolist() == [w % p for w in integers]


@pytest.mark.parametrize(
    ("count", "dtype"),
    [
        (0, np.uint8),
        (256, np.uint8),
        (257, np.uint16),
        (2**16, np.uint16),
        (2**16 + 1, np.uint32),
        (2**32, np.uint32),
        (2**32 + 1, np.int64),
    ],
)
def test_the_smallest_dtype_holds_the_last_code_and_no_smaller_one_does(count, dtype):
    assert smallest_unsigned(count) == dtype
    assert count <= np.iinfo(dtype).max + 1


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1))))
def test_interning_restores_the_array_and_sorts_the_distinct_values(items):
    array = np.array(items, dtype=np.int64)
    codes, distinct = intern(array)
    assert np.array_equal(distinct[codes], array)
    assert distinct.tolist() == sorted(set(items))
    assert codes.dtype == smallest_unsigned(len(distinct))


def test_interning_in_chunks_is_interning_at_once(monkeypatch):
    array = np.arange(100) % 7 - 3
    at_once = intern(array)
    monkeypatch.setattr("lumpability.numbers.integers._CHUNK", 11)
    for whole, chunked in zip(at_once, intern(array), strict=True):
        assert np.array_equal(whole, chunked)


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "f2", ">f8", "g", "i8", "u8", ">i4", "i2", "u1", "?"]
)
@pytest.mark.parametrize("count", [1, 2, 100, 300, 5_000])
@pytest.mark.parametrize("late", [False, True])
def test_long_arrays_are_interned_by_hashing_as_they_are_by_sorting(dtype, count, late):
    random = np.random.default_rng(count)
    numbers = np.concatenate([[0.0, -0.0, 1.0], random.integers(0, 120, count) / 4])
    if np.dtype(dtype).kind == "f":
        other_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
        numbers = np.concatenate([numbers, [np.nan, -np.nan, np.inf, -np.inf], other_nan])
        numbers = np.concatenate([numbers, random.random(count)])
    array = numbers.astype(dtype)[random.integers(0, len(numbers), 60_000)]
    if late:
        array[:50_000] = array[0]
    array = np.repeat(array, 2)[::2]  # not contiguous
    codes, distinct = intern(array)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integers, "_LONG", len(array) + 1)
        plain_codes, plain_distinct = intern(array)
    assert np.array_equal(codes, plain_codes)
    assert codes.dtype == plain_codes.dtype
    assert np.array_equal(distinct, plain_distinct, equal_nan=distinct.dtype.kind == "f")
    assert distinct.dtype == plain_distinct.dtype == array.dtype


@given(st.lists(st.integers(0, 4)), st.sampled_from([1, 3, 100]))
def test_gathering_is_indexing(codes, chunk):
    table = np.array([0.5, -1.0, 3.0, 7.0, np.inf])
    for dtype in (np.uint8, np.uint16, np.int64):
        array = np.array(codes, dtype=dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(integers, "_CHUNK", chunk)
            assert np.array_equal(gather(table, array), table[array])
            out = np.empty(len(array))
            assert gather(table, array, out=out) is out
            assert np.array_equal(out, table[array])


@given(st.lists(st.lists(huge_integers, max_size=6), min_size=1, max_size=6))
@example([[]])
@example([[2**61, 2**61]])
@example([[2**62 - 1], [-(2**62)]])
@example([[10**40, -(10**40)], []])
@example([[(1 << 60) - 1, 1], [1 << 60]])  # a carry between limbs
@example([[-1], [-(2**30)], [-(2**60)], [2**30 - 1, 1]])
def test_sums_by_limbs_are_the_sums_of_the_integers(groups):
    integers = sorted({w for group in groups for w in group})
    limbs = Limbs(integers, terms=max(map(len, groups)))
    sums = [
        np.array([sum(int(table[integers.index(w)]) for w in group) for group in groups])
        for table in limbs.tables
    ]
    codes, distinct = Limbs.recombine(sums)
    assert [distinct[code] for code in codes.tolist()] == [sum(group) for group in groups]
    assert len(set(distinct)) == len(distinct)


@given(st.lists(huge_integers, min_size=1), st.integers(1, 2**32))
def test_no_sum_of_limbs_overflows_int64(integers, terms):
    for table in Limbs(integers, terms=terms).tables:
        assert max(abs(int(x)) for x in table) * terms < 2**63


def test_small_numbers_need_one_limb():
    assert len(Limbs([2**31, -5], terms=2**29).tables) == 1
    assert len(Limbs([2**31, -5], terms=2**30).tables) == 2
