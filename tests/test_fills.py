"""The generated data: the same bits on every NumPy, and what each fill promises."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect import fills

# sha256 of the little-endian bytes of 3 × 50001 elements (more than one piece), problem "suite/case@seed=1", tensor "x"
DIGESTS = {
    ("integers", "float32"): "c14d08ec9bec4ffcb73221ba173eff0d52bd71b2c6bfd34de7a51685ae08cdc3",
    ("integers", "int8"): "f077f3e6c95d4d1f7b95e5e899322224b0c50b41ba24047d096e40d13d56763f",
    ("normal", "float16"): "9bf4dc7550e9eedc307fe390242d6d0618f8a66fa1195215b09395268146c4fe",
    ("normal", "float32"): "604a7902c7b7715e410457ec8840c965089b71cd097d63a52c023daa9abfb2d7",
    ("normal", "float64"): "f2026a1412014ff27ba8746d75cf28cfabe0f88224f86ccc5e549dab096b09dd",
    ("uniform", "float32"): "1607fd49405c9696b93d008c5f1dfe9ec592b16b080e0b02ab803e5c20fa866e",
    ("uniform", "float64"): "a425c08d889eb39272996301d632d069c8c0a4a7213ddb0c3ddc7708866175e0",
    ("wide", "float32"): "048d47135ea66459c32e02e780acd9475988c56197e95812edf67bdffb64ad19",
    ("wide", "float64"): "88b80046c8e67ef7043bdcb7cf49f6d9bad39479a4b40b23aa9547560b50e34e",
}

WORDS = st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=60)


def made(spec: dict[str, Any], shape: tuple[int, ...], dtype: str = "float64") -> Any:
    fills.check(spec, shape)
    key = fills.stream_key("suite/case@seed=1", "x", spec.get("seed", 0))
    return fills.fill(spec, shape, key, dtype, lambda values: values.astype(dtype))


@pytest.mark.parametrize(("kind", "dtype"), DIGESTS)
def test_streams_have_the_same_bits_on_every_numpy(kind: str, dtype: str) -> None:
    array = made({"fill": kind}, (3, 50001), dtype)
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert hashlib.sha256(raw).hexdigest() == DIGESTS[kind, dtype]


def test_the_key_is_the_documented_hash() -> None:
    digest = hashlib.sha256(b"crosscorrect-inputs-v1|p|x|7").digest()
    words = [int.from_bytes(digest[i : i + 8], "little") for i in (0, 8)]
    assert fills.stream_key("p", "x", 7).tolist() == words


def test_problem_tensor_and_seed_each_choose_another_stream() -> None:
    keys = {tuple(fills.stream_key(*names)) for names in [("p", "x", 0), ("q", "x", 0), ("p", "w", 0), ("p", "x", 1)]}
    assert len(keys) == 4


def test_a_longer_array_begins_with_the_shorter_one() -> None:
    for kind in fills.RANDOM:
        assert np.array_equal(made({"fill": kind}, (70000,))[:100], made({"fill": kind}, (100,)))


@given(WORDS, st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**20))
def test_integers_are_the_multiply_shift_of_exact_arithmetic(words: list[int], low: int, span: int) -> None:
    high = min(low + span, 2**31 - 1)
    got = fills.integers(np.array(words, dtype=np.uint64), low, high)
    assert got.tolist() == [low + (word >> 32) * (high - low + 1) // 2**32 for word in words]
    assert low <= got.min() <= got.max() <= high


@given(WORDS)
def test_uniform_is_exact_and_below_one(words: list[int]) -> None:
    got = fills.uniform(np.array(words, dtype=np.uint64))
    assert [Fraction(value) for value in got.tolist()] == [Fraction(word >> 11, 2**53) for word in words]
    assert got.max() < 1


@given(WORDS)
def test_normal_is_the_exact_sum_of_twelve_uniforms_less_their_mean(words: list[int]) -> None:
    words = words[: len(words) // 6 * 6]
    got = fills.normal(np.array(words, dtype=np.uint64))
    for value, six in zip(got.tolist(), [words[i : i + 6] for i in range(0, len(words), 6)], strict=True):
        halves = [half for word in six for half in divmod(word, 2**32)]
        assert Fraction(value) == Fraction(sum(halves) - 6 * (2**32 - 1), 2**32)


def test_normal_has_the_moments_of_its_distribution() -> None:
    sample = made({"fill": "normal"}, (10**5,))
    # six standard errors: 1 / sqrt(n) of the mean; sqrt((kurtosis - 1) / n) of the variance, kurtosis 3 - 1.2 / 12
    assert abs(sample.mean()) < 6 / np.sqrt(1e5)
    assert abs(sample.var() - 1) < 6 * np.sqrt(1.9 / 1e5)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=7, max_size=70), st.integers(0, 1000))
def test_wide_is_the_exact_product_of_a_normal_number_and_a_power_of_two(words: list[int], powers: int) -> None:
    words = words[: len(words) // 7 * 7]
    got = fills.wide(np.array(words, dtype=np.uint64), powers)
    for value, seven in zip(got.tolist(), [words[i : i + 7] for i in range(0, len(words), 7)], strict=True):
        power = -powers + (seven[6] >> 32) * (2 * powers + 1) // 2**32
        normal = fills.normal(np.array(seven[:6], dtype=np.uint64))[0]
        assert Fraction(value) == Fraction(float(normal)) * Fraction(2) ** power
        assert -powers <= power <= powers


def test_wide_reaches_both_ends_of_its_powers() -> None:
    exponents = np.frexp(made({"fill": "wide", "powers": 30}, (20000,)))[1]
    assert exponents.min() < -25
    assert exponents.max() > 25


def test_a_salt_of_0_is_the_stream_without_one() -> None:
    keys = [fills.stream_key("suite/case", "x", 0, salt).tolist() for salt in (0, 1, -1)]
    assert keys[0] == fills.stream_key("suite/case", "x").tolist()
    assert len({tuple(key) for key in keys}) == 3


def test_codes_count_from_one_in_row_order() -> None:
    assert made({"fill": "codes"}, (2, 3)).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.array_equal(made({"fill": "codes"}, (70001,)), np.arange(1, 70002))


def test_an_impulse_stands_at_its_place_in_every_leading_slice() -> None:
    array = made({"fill": "impulse", "at": [1, 0]}, (3, 2, 2))
    assert array[:, 1, 0].tolist() == [1, 1, 1]
    assert array.sum() == 3


def test_constant_is_constant() -> None:
    assert made({"fill": "constant", "value": -2.5}, (2, 2)).tolist() == [[-2.5, -2.5], [-2.5, -2.5]]


@pytest.mark.parametrize(
    "spec",
    [
        {"fill": "integers", "low": 3, "high": 2},
        {"fill": "integers", "high": 2**31},
        {"fill": "integers", "low": True},
        {"fill": "normal", "seed": 1.5},
        {"fill": "wide", "powers": 1001},
        {"fill": "wide", "powers": 2.0},
        {"fill": "impulse"},
        {"fill": "impulse", "at": [2]},
        {"fill": "impulse", "at": [0, 0, 0]},
        {"fill": "impulse", "at": [-1]},
        {"fill": "constant"},
        {"fill": "constant", "value": float("inf")},
        {"fill": "constant", "value": 2**53 + 1},
    ],
)
def test_keys_that_mean_nothing_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        fills.check(spec, (2, 2))
