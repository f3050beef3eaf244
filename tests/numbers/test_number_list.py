"""Lists of distinct numbers: arrays are read back from their codes, and no number is listed twice."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.number_list import NumberList, array_of_codes

numbers = st.lists(st.fractions(-4, 4, max_denominator=5), max_size=8)


@given(st.lists(numbers, max_size=3))
def test_arrays_are_read_back_from_their_codes(lists: list[list[Fraction]]) -> None:
    arrays = [ExactArray.read(items)[0] for items in lists]
    listed = NumberList()
    codes = [listed.codes(array) for array in arrays]
    assert len(set(listed.values)) == len(listed.values) == len(listed.texts)
    assert set(listed.values) == {x for items in lists for x in items}
    for array, found in zip(arrays, codes, strict=True):
        assert array_of_codes(found, listed.values).equals(array)
