"""Every way to multiply against exact fractions: values, low parts, bounds, scales, digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import plain, products, whole
from shapes import wild

Array: TypeAlias = np.ndarray[Any, Any]

EXTREME = st.sampled_from([0.0, 5e-324, -3e-310, 2.0**-1022, 1e-160, -1.0, 3.0, 1 / 3, 2.0**53 + 2, -1e160, 1.7e308])
ANY = st.floats(allow_nan=False, allow_infinity=False) | EXTREME


def exact_product(a: Array, b: Array) -> Array:
    """``(M, K), (K, L)`` of numbers, in fractions."""
    rows = [[Fraction(v) for v in row] for row in a.tolist()]
    columns = [[Fraction(v) for v in column] for column in b.T.tolist()]
    found = np.empty((len(rows), len(columns)), object)
    for at in np.ndindex(found.shape):
        found[at] = sum((p * q for p, q in zip(rows[at[0]], columns[at[1]], strict=True)), Fraction(0))
    return found


def times(product: Any, a: Array, b: Array) -> list[Array]:
    return [part[0] for part in product.times(product.left(a[None]), b[None])]


def check_exact(a: Array, b: Array, goal: float | None = products.GOAL) -> None:
    value, low, own, scale = times(products.EXACT, a, b)
    exact, absolute = exact_product(a, b), exact_product(np.abs(a), np.abs(b))
    for at in np.ndindex(exact.shape):
        if not np.isfinite(own[at]):
            assert absolute[at] >= 2**1023, "only overflow is without a bound"
            continue
        found = Fraction(value[at].item()) + Fraction(low[at].item())
        assert abs(found - exact[at]) <= Fraction(own[at].item())
        if goal is not None and np.isfinite(scale[at]):
            assert own[at] <= (goal * scale[at]) * (1 + 2.0**-30) + a.shape[1] * 2.0**-1073
        assert abs(low[at]) <= 2.0**-53 * abs(value[at]) + 5e-324


@settings(max_examples=300, deadline=None)
@given(data=st.data(), m=st.integers(1, 3), k=st.integers(1, 6), n=st.integers(1, 3))
def test_an_error_free_product_contains_the_exact_one_whatever_the_numbers(
    data: st.DataObject, m: int, k: int, n: int
) -> None:
    a = np.array(data.draw(st.lists(ANY, min_size=m * k, max_size=m * k))).reshape(m, k)
    b = np.array(data.draw(st.lists(ANY, min_size=k * n, max_size=k * n))).reshape(k, n)
    check_exact(a, b)


@pytest.mark.parametrize("decades", [0.0, 8.0, 40.0, 140.0])
@pytest.mark.parametrize("terms", [1, 2, 9, 100, 1025])
def test_an_error_free_product_is_good_to_a_thirtieth_of_a_rounding_at_every_range(decades: float, terms: int) -> None:
    rng = np.random.default_rng(terms)
    check_exact(wild(rng, (3, terms), decades), wild(rng, (terms, 2), decades))


def test_total_cancellation_leaves_what_is_really_there() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 40)), rng.standard_normal((40, 3))
    tiny = 2.0**-90
    a = np.concatenate([x, -x, np.full((2, 1), tiny)], axis=1)
    b = np.concatenate([y, y, np.ones((1, 3))])
    value, low, own, scale = times(products.EXACT, a, b)
    # the bound is relative to S: what is left lies below it, and may not be believed
    assert (np.abs(value + low - tiny) <= own).all()
    assert (own <= products.GOAL * scale).all()
    check_exact(a, b)


def test_one_slice_has_no_error_at_all() -> None:
    rng = np.random.default_rng(4)
    a, b = (rng.integers(-1000, 1000, shape).astype(float) for shape in ((4, 300), (300, 5)))
    value, low, own, _ = times(products.EXACT, a, b)
    assert not own.any()
    assert not low.any()
    np.testing.assert_array_equal(value, a.astype(int) @ b.astype(int))


def test_long_sums_are_cut_in_pieces_and_added_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_PIECE", 7)
    rng = np.random.default_rng(9)
    for decades in (0.0, 8.0, 60.0):
        a, b = wild(rng, (2, 30), decades), wild(rng, (30, 3), decades)
        check_exact(np.concatenate([a, -a], axis=1), np.concatenate([b, b]))


def test_too_many_poor_elements_keep_a_sound_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_PATIENCE", 0)
    rng = np.random.default_rng(5)
    check_exact(wild(rng, (3, 6), 150.0), wild(rng, (6, 3), 150.0), goal=None)
    check_exact(wild(rng, (3, 6), 60.0), wild(rng, (6, 3), 60.0), goal=None)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), terms=st.integers(1, 600), spread=st.sampled_from([0.0, 5.0, 18.0]))
def test_a_scale_by_float32_is_never_below_the_sum_that_it_bounds(seed: int, terms: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = (wild(rng, shape, spread).astype(np.float32) for shape in ((2, terms), (terms, 2)))
    _, scale = times(plain.MIXED, a, b)
    if plain.MIXED.holds(scale, terms):
        absolute = exact_product(np.abs(a), np.abs(b))
        for at in np.ndindex(absolute.shape):
            assert absolute[at] <= Fraction(scale[at].item()) <= absolute[at] * (1 + Fraction(terms + 9, 2**22))


def test_a_scale_that_underflowed_or_overflowed_in_float32_does_not_hold() -> None:
    small, large = np.full((1, 4), 1e-30, np.float32), np.full((4, 1), 1e30, np.float32)
    with np.errstate(over="ignore"):
        assert not plain.MIXED.holds(times(plain.MIXED, small, small.T)[1], 4)
        assert not plain.MIXED.holds(times(plain.MIXED, large.T, large)[1], 4)
    assert plain.MIXED.holds(times(plain.MIXED, small, large)[1], 4)
    partly = np.full((1, 101), 0.9 * 2.0**-75, np.float32)
    partly[0, 0] = 2.0**-72  # squared 2**-144; the other hundred squares, less than 2**-150 each, round to zero
    scale = times(plain.MIXED, partly, partly.T)[1]
    assert 0 < float(scale[0, 0]) < 2.0**-144 + 80 * 2.0**-150
    assert not plain.MIXED.holds(scale, 101)
    assert not plain.MIXED.holds(np.ones(1), 2**17)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint32", "uint64"])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), terms=st.integers(1, 70))
def test_integers_wrap_and_saturate_as_exact_sums_do(dtype: str, data: st.DataObject, terms: int) -> None:
    info = np.iinfo(dtype)
    number = st.integers(int(info.min), int(info.max)) | st.sampled_from([int(info.min), int(info.max), 0, 1])
    rows, columns = ([data.draw(number) for _ in range(terms)] for _ in range(2))
    bias = data.draw(number)
    kind = np.uint64 if info.min == 0 else np.int64
    product = plain.Digits(terms)
    *planes, scale = times(product, np.array([rows], kind), np.array(columns, kind).reshape(-1, 1))
    found = whole.large(planes, np.array([[bias]], kind), product.bits, dtype)
    exact = sum(p * q for p, q in zip(rows, columns, strict=True)) + bias
    period = 1 << info.bits
    wrapped = (exact - int(info.min)) % period + int(info.min)
    assert found.fits == (info.min <= exact <= info.max)
    assert number_of(found.wrapped) == wrapped
    assert number_of(found.saturated) == min(max(exact, int(info.min)), int(info.max))
    assert float(scale[0, 0]) >= sum(abs(p * q) for p, q in zip(rows, columns, strict=True)) * (1 - 2.0**-51)


def number_of(parts: tuple[Array, Array | None]) -> int:
    value, low = parts
    return int(Fraction(value.item()) + (0 if low is None else Fraction(low.item())))


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_two_sum_is_exact(a: float, b: float) -> None:
    total, error = products.two_sum(np.array(a), np.array(b))
    assert Fraction(float(total)) + Fraction(float(error)) == Fraction(a) + Fraction(b)
