"""Numbers of array specifications: rounded once to every dtype, refused where it cannot hold them, put one by one."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect import dtypes
from crosscorrect.values import MAX_PUTS, WORDS, ArrayError, cast, check_puts, element, put

FLOATS = (*dtypes.REAL, *dtypes.COMPLEX)


@given(st.lists(st.integers(0, 127), min_size=1, max_size=4), st.sampled_from(dtypes.NAMES))
def test_small_integers_are_exact_in_every_dtype(row: list[int], dtype: str) -> None:
    for values in (np.array(row), np.array(row, dtype=float), np.array(row, dtype=complex)):
        got = cast(values, dtype)
        assert dtypes.name_of(got.dtype) == dtype
        assert dtypes.widen(got).tolist() == row


@given(st.floats(-(2.0**127), 2.0**127))
def test_a_bfloat16_is_the_nearest(value: float) -> None:
    got = cast(np.array([value]), "bfloat16")
    near = Fraction(float(dtypes.widen(got)[0]))
    bits = int(got["bfloat16"][0])
    for other in (bits - 1, bits + 1):
        if bits not in (0, 0x8000) and other & 0x7F80 != 0x7F80:
            neighbour = np.array([other], np.uint16).view(dtypes.BFLOAT16)
            assert abs(Fraction(value) - near) <= abs(Fraction(value) - Fraction(float(dtypes.widen(neighbour)[0])))


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_both_parts_of_a_complex_number_are_rounded(real: float, imag: float) -> None:
    got = cast(np.array([complex(real, imag)]), "complex64")[0]
    assert (got.real, got.imag) == (np.float32(real), np.float32(imag))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1 + 1j]), "float64"),
        (np.array([1e39 + 0j]), "complex64"),
        (np.array([1e39j]), "complex64"),
        (np.array([3.4e38 * 1.01]), "bfloat16"),
        (np.array([-1]), "uint64"),
        (np.array([2**63], np.uint64), "int64"),
        (np.array([math.inf]), "int64"),
        (np.array([math.nan]), "int8"),
        (np.array([2.0**64]), "uint64"),
        (np.array([65536]), "uint16"),
        (np.array([-0.5]), "uint32"),
    ],
    ids=str,
)
def test_a_value_that_the_dtype_cannot_hold_is_refused(values: Any, dtype: str) -> None:
    with pytest.raises(ArrayError, match="cannot hold"):
        cast(values, dtype)


@pytest.mark.parametrize("name", dtypes.INTEGER)
def test_the_limits_of_every_integer_dtype_are_exact(name: str) -> None:
    limits = np.iinfo(name)
    ends = np.array([limits.min, limits.max], name)
    assert cast(ends, name).tolist() == [limits.min, limits.max]
    assert element("largest", name).tolist() == [limits.max]


def test_no_elements_are_cast_to_no_elements() -> None:
    for dtype in dtypes.NAMES:
        for source in (np.int64, np.float64):
            assert cast(np.zeros((0, 2), source), dtype).shape == (0, 2)


# ---------------------------------------------------------------- put


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_word_is_what_it_says_in_every_floating_dtype(dtype: str) -> None:
    value = {word: dtypes.widen(element(word, dtype))[0].real for word in WORDS}
    assert math.isnan(value["nan"])
    assert (value["inf"], value["-inf"]) == (math.inf, -math.inf)
    assert value["-0"] == 0
    assert math.copysign(1, value["-0"]) == -1
    if dtype == "bfloat16":
        assert element("smallest", dtype)["bfloat16"].tolist() == [1]
        assert element("largest", dtype)["bfloat16"].tolist() == [0x7F7F]
    else:
        part = np.zeros(1, dtype).real.dtype
        assert value["smallest"] == np.nextafter(np.zeros(1, part), np.ones(1, part))[0]
        assert value["largest"] == np.finfo(part).max


@pytest.mark.parametrize("word", [word for word in WORDS if word != "largest"])
def test_an_integer_dtype_has_none_of_the_words_but_largest(word: str) -> None:
    with pytest.raises(ArrayError, match="uint8 has no such value") as caught:
        element(word, "uint8")
    assert "largest" in caught.value.remedy


def test_what_is_put_last_stands_and_the_array_given_is_left_alone() -> None:
    array = np.zeros((2, 2, 3), np.float32)
    entries = [{"at": [1, 2], "value": 5}, {"at": [0, 1, 2], "value": 7}, {"at": [0], "value": -1}]
    got = put(array, entries, "float32")
    assert got.tolist() == [[[-1, 0, 0], [-1, 0, 7]], [[-1, 0, 0], [-1, 0, 5]]]
    assert not array.any()


def test_a_bfloat16_is_put_whole() -> None:
    array = cast(np.zeros((2, 2)), "bfloat16")
    assert dtypes.widen(put(array, [{"at": [1, 0], "value": 2.5}], "bfloat16")).tolist() == [[0, 0], [2.5, 0]]


@pytest.mark.parametrize(
    ("entries", "key", "words"),
    [
        ({}, ("put",), "a list of 1 to 1000"),
        ([], ("put",), "a list of 1 to 1000"),
        ([{"at": [0], "value": 1}] * (MAX_PUTS + 1), ("put",), "a list of 1 to 1000"),
        ([3], ("put", 0), "has at and value"),
        ([{"at": [0], "value": 1, "to": 2}], ("put", 0), "has at and value"),
        ([{"at": [], "value": 1}], ("put", 0, "at"), "a list of 1 to 2 positions"),
        ([{"at": [0, 0, 0], "value": 1}], ("put", 0, "at"), "a list of 1 to 2 positions"),
        ([{"at": [True], "value": 1}], ("put", 0, "at"), "a list of 1 to 2 positions"),
        ([{"at": [0], "value": 1}, {"at": [3], "value": 1}], ("put", 1, "at"), "inside the shape [2, 3]"),
        ([{"at": [-1], "value": 1}], ("put", 0, "at"), "inside the shape [2, 3]"),
        ([{"at": [0], "value": "Nan"}], ("put", 0, "value"), "a finite number or a word"),
        ([{"at": [0], "value": math.nan}], ("put", 0, "value"), "a finite number or a word"),
        ([{"at": [0], "value": 10**400}], ("put", 0, "value"), "a finite number or a word"),
        ([{"at": [0], "value": True}], ("put", 0, "value"), "a finite number or a word"),
        ([{"at": [0], "value": None}], ("put", 0, "value"), "a finite number or a word"),
    ],
    ids=str,
)
def test_a_defect_of_put_is_told_with_its_place(entries: Any, key: tuple[str | int, ...], words: str) -> None:
    with pytest.raises(ArrayError) as caught:
        check_puts(entries, (2, 3))
    assert caught.value.key == key
    assert words in str(caught.value)


def test_an_integer_that_no_double_holds_is_not_put() -> None:
    with pytest.raises(ArrayError, match="beyond 2\\*\\*53") as caught:
        put(np.zeros(2), [{"at": [0], "value": 2**53 + 1}], "float64")
    assert caught.value.key == ("put", 0, "value")
