from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy
from hypothesis import example, given
from hypothesis import strategies as st

from lumpability.errors import InvalidValue
from lumpability.numbers import exact_array
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import prime
from lumpability.numbers.parameters import read_elements

huge_fractions = st.one_of(
    st.fractions(),
    st.builds(Fraction, st.integers(-(10**50), 10**50), st.integers(1, 10**12)),
    st.builds(
        lambda k, e: Fraction(k) * Fraction(2) ** e, st.integers(-5, 5), st.integers(-90, 90)
    ),
)
# Few distinct values in long arrays, as in a matrix.
arrays = st.lists(huge_fractions, min_size=1, max_size=4).flatmap(
    lambda values: st.lists(st.sampled_from(values), max_size=40)
)


def exact(numbers):
    return ExactArray.read(numbers)[0]


# Reading


@given(arrays)
def test_an_array_holds_what_was_given(numbers):
    array = exact(numbers)
    assert list(array) == numbers
    assert [array[i] for i in range(len(array))] == numbers
    assert len(array) == len(numbers)
    assert len(set(array.values)) == len(array.values)
    assert array.codes.dtype.kind == "u"
    assert not array.codes.flags.writeable


def test_numbers_of_every_type_are_read_each_in_its_way():
    numbers = [1, 1.0, "1", True, 0.1, "0.1", Decimal("0.1"), np.float64(0.1), np.int8(-3)]
    numbers += [Fraction(1, 3), "1/3", sympy.Rational(1, 3), 1 / 3, sympy.Integer(7), np.float32(2)]
    tenth, third = Fraction(1, 10), Fraction(1, 3)
    assert list(exact(numbers)) == [1] * 4 + [tenth] * 4 + [-3] + [third] * 4 + [7, 2]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8, np.uint64, np.int64, bool])
def test_numpy_arrays_are_read_without_objects(dtype):
    assert list(exact(np.array([0, 1, 1], dtype=dtype))) == [0, 1, 1]


def test_unsigned_integers_beyond_int64_stay_exact():
    assert list(exact(np.array([2**64 - 1, 2**53 + 1], dtype=np.uint64))) == [2**64 - 1, 2**53 + 1]


def test_the_reading_says_how_many_distinct_floats_changed():
    array, reading = ExactArray.read(np.array([0.1, 1 - 0.9, 0.5, 0.1]))
    assert list(array) == [Fraction(1, 10), Fraction(1, 10), Fraction(1, 2), Fraction(1, 10)]
    assert len(array.values) == 2
    assert (reading.distinct, reading.nearest, reading.neighbours) == (3, 1, 1)
    literal, reading = ExactArray.read(np.array([0.1, 0.5]), float_tolerance=0)
    assert list(literal) == [Fraction(0.1), Fraction(0.5)]
    assert reading.largest_change == 0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_lists_and_arrays_of_floats_are_read_alike(floats):
    from_list, from_array = ExactArray.read(floats), ExactArray.read(np.array(floats))
    assert from_list[0].equals(from_array[0])
    assert from_list[1].largest_change == from_array[1].largest_change


sparse_numbers = st.one_of(
    st.sampled_from([0, 0.0, -0.0, "0", 1, 1.0, 0.1, "1/3", True, "x", "x y", None, float("nan")]),
    st.fractions(),
)


@given(st.dictionaries(st.integers(0, 5), sparse_numbers), st.sampled_from([0, 1e-12]))
@example({}, 0)
@example(dict.fromkeys(range(6), 1), 0)
@example({0: 0, 3: 0.0, 5: 2}, 0)
def test_an_array_with_gaps_is_read_as_if_zeros_were_written_there(numbers, tolerance):
    def outcome(read):
        try:
            array, reading = read()
        except InvalidValue as error:
            return str(error), error.index
        return array.codes.tolist(), array.codes.dtype, array.values, reading

    dense = [numbers.get(i, 0) for i in range(6)]
    assert outcome(
        lambda: ExactArray.read_sparse(6, numbers, float_tolerance=tolerance)
    ) == outcome(lambda: ExactArray.read(dense, float_tolerance=tolerance))


def test_an_array_of_no_numbers_has_no_gaps():
    assert ExactArray.read_sparse(0, {})[0].values == ()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ">f8", np.longdouble])
def test_long_arrays_of_floats_are_read_as_their_entries_are(dtype):
    entries = np.array([0.5, 0.1, 1 - 0.9, 0.0, -0.0, 3.0, 1 / 3], dtype=dtype)
    array, reading = ExactArray.read(np.tile(entries, 1_000))
    assert list(array)[-7:] == list(exact(list(entries)))
    assert len(set(array.values)) == len(array.values)
    assert reading.distinct == len(np.unique(entries))


@pytest.mark.parametrize("stranger", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_found_in_long_arrays(stranger):
    array = np.full(100_000, 0.25)
    array[77_777] = stranger
    with pytest.raises(InvalidValue, match="position 77777 is not a finite number") as caught:
        ExactArray.read(array)
    assert caught.value.index == 77_777


def test_an_exact_array_is_taken_as_it_is():
    array = exact(["1/3"])
    assert ExactArray.read(array)[0] is array


@pytest.mark.parametrize(
    ("numbers", "index"),
    [
        ([1, 2, float("nan")], 2),
        ([float("inf"), 1], 0),
        (np.array([0.0, 1.0, -np.inf]), 2),
        (np.array([1.0, np.nan]), 1),
        ([1, "x y"], 1),
        ([1, None], 1),
        ([1, 2j], 1),
        ([1, Decimal("nan")], 1),
        (np.array([1, 2j]), 0),
        ([1, 1, "mu", "mu +"], 3),
        ([1, 1, "mu", sympy.Symbol("x", real=True), 1], 3),
        ([1, 1, "mu", sympy.sqrt(2)], 3),
        ([1, 1, "mu", sympy.sqrt(sympy.Symbol("y", positive=True))], 3),
        ([1, "nan"], 1),
        ([1, sympy.nan], 1),
        ([1, {}], 1),
        ([1, "1/0"], 1),
    ],
)
def test_what_is_no_number_is_refused_with_its_position(numbers, index):
    with pytest.raises(InvalidValue, match=f"position {index}") as caught:
        ExactArray.read(numbers)
    assert caught.value.index == index


def test_a_single_number_is_not_an_array():
    with pytest.raises(InvalidValue, match="5 is not an array or a list of numbers"):
        ExactArray.read(5)


# Taking, mapping, joining


@given(arrays, st.data())
def test_taking_by_index_or_mask(numbers, data):
    index = data.draw(st.lists(st.sampled_from(range(len(numbers)))) if numbers else st.just([]))
    taken = exact(numbers).take(np.array(index, dtype=np.int64))
    assert list(taken) == [numbers[i] for i in index]
    assert set(taken.values) == set(taken)  # nothing unused is kept
    mask = np.array([number > 0 for number in numbers], dtype=bool)
    assert list(exact(numbers).take(mask)) == [number for number in numbers if number > 0]


@given(arrays)
def test_mapping_merges_numbers_that_become_equal(numbers):
    squares = exact(numbers).map(lambda x: x * x)
    assert list(squares) == [x * x for x in numbers]
    assert len(set(squares.values)) == len(squares.values)


@given(arrays, arrays)
def test_concatenation(first, second):
    assert list(exact(first).concatenate(exact(second))) == first + second


@pytest.mark.parametrize("count", [255, 256, 257, 2**16])
def test_concatenation_where_the_codes_outgrow_their_bytes(count):
    numbers = list(range(count))
    for other in ([], [0], [-1], list(range(-300, 0))):
        assert list(exact(numbers).concatenate(exact(other))) == numbers + other
        assert list(exact(other).concatenate(exact(numbers))) == other + numbers


@given(arrays, arrays)
def test_equality_is_equality_of_numbers(first, second):
    one, other = exact(first), exact(second)
    assert one.equals(other) == (first == second)
    assert one.equals(ExactArray.of_values(one.codes, one.values))
    assert one.concatenate(other).take(np.arange(len(first))).equals(one)


def test_values_need_be_neither_distinct_nor_used():
    array = ExactArray.of_values([2, 0, 2], [Fraction(1), Fraction(5), Fraction(1)])
    assert (array.codes.tolist(), array.values) == ([0, 0, 0], (1,))


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=9).flatmap(
        lambda numerators: st.tuples(
            st.just(numerators), st.lists(st.integers(0, len(numerators) - 1), max_size=9)
        )
    ),
    st.sampled_from([1, 300]),
)
def test_rationals_over_one_denominator_are_told_apart_by_integers(drawn, copies):
    numerators, codes = drawn[0] * copies, drawn[1]
    values = [Fraction(numerator, 6) for numerator in numerators]
    expected = ExactArray.of_values(codes, values)
    array = ExactArray.of_values(codes, values, integers=numerators)
    assert list(array) == [values[code] for code in codes]
    assert array.values == expected.values
    assert array.codes.tolist() == expected.codes.tolist()
    assert set(array.codes.tolist()) == set(range(len(array.values)))


@given(st.lists(st.sampled_from([0, 1]), max_size=6), st.sampled_from([0, 1, 500]))
def test_the_support_is_where_entries_are_not_zero(numbers, zeros):
    array = exact(numbers + [0] * zeros)
    expected = [place for place, number in enumerate(numbers) if number]
    assert array.support().tolist() == array.support().tolist() == expected


def test_constants():
    assert list(ExactArray.constant(Fraction(1, 3), 4)) == [Fraction(1, 3)] * 4
    assert ExactArray.constant(Fraction(1, 3), 0).values == ()


def test_floats_come_back_as_the_nearest():
    assert exact(["1/3", "-2", "1e-400"]).to_floats().tolist() == [1 / 3, -2.0, 0.0]


def test_what_has_no_float_is_refused():
    with pytest.raises(InvalidValue, match=r"beyond 1\.8e308"):
        exact(["1e400"]).to_floats()
    with pytest.raises(InvalidValue, match="substitute numbers first"):
        exact(["mu"]).to_floats()


def test_repr_is_one_line_and_short_when_large():
    assert repr(exact(["1/2", 3])) == "ExactArray([1/2, 3])"
    assert repr(exact([0] * 13)) == "ExactArray(13 numbers, 1 distinct)"


# Sums


def segments(numbers, bounds):
    return [sum(numbers[low:high], start=Fraction(0)) for low, high in pairwise(bounds)]


@st.composite
def segmented(draw):
    numbers = draw(arrays)
    cuts = st.lists(st.integers(0, len(numbers)), max_size=8)
    return numbers, [0, *sorted(draw(cuts)), len(numbers)]


@given(segmented(), st.sampled_from([1, 2, 3, 7, 1 << 22]))
@example(([], [0, 0, 0]), 1)
@example(([Fraction(10**40), Fraction(-(10**40)), Fraction(1)], [0, 2, 2, 3]), 1)
@example(([Fraction(2**61)] * 40, [0, 40]), 3)
@example(([Fraction(-(2**62)), Fraction(2**62)] * 20, [0, 1, 39, 40]), 2)
def test_segment_sums_are_the_sums_of_fractions_in_chunks_of_any_size(given_segments, chunk):
    numbers, bounds = given_segments
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumpability.numbers.exact_array._CHUNK", chunk)
        sums = exact(numbers).segment_sums(np.array(bounds))
    assert list(sums) == segments(numbers, bounds)
    assert len(set(sums.values)) == len(sums.values)


def test_sums_stay_apart_however_large_all_of_them_are_together(monkeypatch):
    # Every sum fits one limb, but the total of a chunk is beyond 2^63.
    big = 2**59
    numbers = [Fraction(big)] * 64
    bounds = np.arange(0, 65, 2)
    assert list(exact(numbers).segment_sums(bounds)) == [2 * big] * 32
    negative = exact([-x for x in numbers])
    assert list(negative.segment_sums(bounds)) == [-2 * big] * 32
    monkeypatch.setattr("lumpability.numbers.exact_array._CHUNK", 10)
    assert list(negative.segment_sums(bounds)) == [-2 * big] * 32


def test_three_thirds_and_the_sum_of_decimals():
    sums = exact([1 / 3, 1 / 3, 1 / 3, 0.1, 0.2, 0.3]).segment_sums(np.array([0, 3, 5, 6]))
    assert list(sums) == [1, Fraction(3, 10), Fraction(3, 10)]


def test_symbolic_segment_sums_decide_equality():
    array = exact(["a", "b", "1/2", "b", "a + 1/2", "a", "-a", 0])
    assert not array.is_rational
    sums = array.segment_sums(np.array([0, 3, 5, 7, 7, 8]))
    assert sums[0] == sums[1]
    assert sums[2] == sums[3] == sums[4] == 0
    assert len(sums.values) == 2
    assert str(sums[0]) == "(2*a + 2*b + 1)/2"


def test_symbolic_numbers_are_equal_when_their_functions_are():
    array = exact(["(x**2 - 1)/(x - 1)", "x + 1", "x"])
    assert array.codes.tolist() == [0, 0, 1]
    assert array.equals(exact(["1 + x", "1 + x", "x"]))
    assert list(array) == read_elements(["x + 1", "1 + x", "x"])


# Denominators that have nothing in common


@given(
    st.lists(st.fractions(max_denominator=50) | st.floats(-1, 1).map(Fraction), max_size=12),
    st.data(),
)
def test_sums_that_are_too_wide_to_scale_are_exact(numbers, data):
    cuts = data.draw(st.lists(st.integers(0, len(numbers)), max_size=5))
    bounds = np.array(sorted(cuts), dtype=np.int64)
    if not len(bounds):
        return
    array = ExactArray.read(numbers)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_array, "_NARROW_BITS", -1)
        wide = array.segment_sums(bounds)
    assert list(wide) == [sum(numbers[a:b]) for a, b in pairwise(bounds)]


@given(st.lists(st.fractions(max_denominator=50), min_size=1, max_size=9))
def test_residues_agree_up_to_one_common_factor_whether_scaled_or_not(numbers):
    array, p = ExactArray.read(numbers)[0], prime(3)
    scaled = [int(r) for r in array.residues(p)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_array, "_NARROW_BITS", -1)
        inverted = [int(r) for r in ExactArray.read(numbers)[0].residues(p)]
    assert scaled == [r * array.denominator % p for r in inverted]


def test_a_wide_common_denominator_is_told_without_computing_it(monkeypatch):
    below = [10**900 + k for k in range(1, 400)]
    array, _ = ExactArray.read([Fraction(1, x) for x in below])
    monkeypatch.setattr(ExactArray, "denominator", property(lambda _: pytest.fail("was computed")))
    assert not array.is_narrow
    assert not array.is_within(10_000)
    assert ExactArray.read(["1/6", "1/4"])[0].is_within(4)
    assert not ExactArray.read(["1/6", "1/4"])[0].is_within(3)
