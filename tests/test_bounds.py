"""Rounding bounds are never broken by a correct evaluation, and are broken by defects."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import emulations as em
from crosscorrect import bounds, dtypes, oracle

Array: TypeAlias = np.ndarray[Any, Any]

TYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64}


def flushed(number: Any, *, flush: bool) -> Any:
    """The number, or zero where it is subnormal and results are flushed."""
    return number.dtype.type(0) if flush and abs(number) < np.finfo(number.dtype).tiny else number


def sequential(a: Array, b: Array, *, flush: bool = False) -> Any:
    total = a.dtype.type(0)
    for p, q in zip(a, b, strict=True):
        total = flushed(total + flushed(p * q, flush=flush), flush=flush)
    return total


def pairwise(a: Array, b: Array, *, flush: bool = False) -> Any:
    if len(a) == 1:
        return flushed(a[0] * b[0], flush=flush)
    half = len(a) // 2
    return flushed(pairwise(a[:half], b[:half], flush=flush) + pairwise(a[half:], b[half:], flush=flush), flush=flush)


def fused(a: Array, b: Array, *, flush: bool = False) -> Any:
    """Fused multiply-add: each product exact, one rounding per step (the sum by way of an exact fraction)."""
    total = a.dtype.type(0)
    for p, q in zip(a, b, strict=True):
        total = flushed(
            a.dtype.type(float(Fraction(float(p)) * Fraction(float(q)) + Fraction(float(total)))), flush=flush
        )
    return total


def wide(a: Array, b: Array, *, flush: bool = False) -> Any:
    """A float64 accumulator, rounded once when stored."""
    return flushed(a.dtype.type(np.dot(a.astype(np.float64), b.astype(np.float64))), flush=flush)


ORDERS = [sequential, pairwise, fused, wide]


def dot(a: Array, b: Array) -> oracle.Reference:
    """The reference of one sum of products: a row under a kernel that is as long, ``(1, 1)``."""
    return oracle.corr2d(a.reshape(1, -1), b.reshape(1, -1))


@st.composite
def dot_products(draw: st.DrawFn) -> tuple[str, Array, Array, Array]:
    """Two vectors of one dtype with wild exponents and cancellations, but normal inputs and no overflow."""
    dtype = draw(st.sampled_from(["float16", "float32", "float64"]))
    n = draw(st.integers(1, 40 if dtype != "float16" else 12))
    low, high = {"float16": (-10, 5), "float32": (-100, 20), "float64": (-600, 100)}[dtype]
    spread = draw(st.integers(0, high - low))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a, b = (rng.uniform(1, 2, n) * rng.choice([-1, 1], n) * 2.0 ** rng.integers(low, low + spread + 1, n) for _ in "ab")
    if draw(st.booleans()):  # cancel: the second half undoes the first, up to rounding
        a[n // 2 : n // 2 * 2] = -a[: n // 2]
        b[n // 2 : n // 2 * 2] = b[: n // 2] * (1 + rng.integers(0, 2, n // 2) * 2.0**-9)
    return dtype, a.astype(dtype), b.astype(dtype), rng.permutation(n)


@settings(max_examples=400, deadline=None)
@given(case=dot_products(), order=st.sampled_from(ORDERS), flush=st.booleans())
def test_no_order_of_evaluation_fused_wide_or_flushing_ever_breaks_tier_a(case: Any, order: Any, flush: bool) -> None:
    dtype, a, b, permutation = case
    flush = flush and bounds.FORMATS[dtype].flushes
    reference = dot(a, b)
    got = order(a[permutation], b[permutation], flush=flush)
    assert abs(float(got) - reference.value.item()) <= bounds.tier_a(reference, dtype).item()


@settings(max_examples=200, deadline=None)
@given(case=dot_products())
def test_the_bound_contains_the_distance_from_the_exact_rational_result_too(case: Any) -> None:
    dtype, a, b, permutation = case
    reference = dot(a, b)
    exact = sum(Fraction(float(p)) * Fraction(float(q)) for p, q in zip(a, b, strict=True))
    claimed = Fraction(bounds.reference_error(reference).item())
    low = Fraction(0 if reference.low is None else reference.low.item())
    assert abs(Fraction(reference.value.item()) + low - exact) <= claimed
    got = Fraction(float(sequential(a[permutation], b[permutation])))
    assert abs(got - exact) <= Fraction(bounds.tier_a(reference, dtype).item())


def image_and_kernel(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((6, 8)).astype(np.float32), rng.standard_normal((2, 3)).astype(np.float32)


@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_kernel_a_lost_tap_and_reduced_inputs_are_caught_at_small_n(seed: int) -> None:
    x, k = image_and_kernel(seed)
    reference = oracle.corr2d(x, k)
    bound = bounds.tier_a(reference, "float32")
    lost = k.copy()
    lost[1, 2] = 0
    shortened = (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)  # TF32: 10 bits after the point
    for defect in (oracle.corr2d(x, k[::-1, ::-1]), oracle.corr2d(x, lost), oracle.corr2d(shortened, k)):
        assert (np.abs(defect.value - reference.value) > bound).any()


def test_one_lost_tap_in_one_element_is_caught() -> None:
    x, k = image_and_kernel(3)
    reference = oracle.corr2d(x, k)
    got = reference.value.astype(np.float32)
    assert (np.abs(got - reference.value) <= bounds.tier_a(reference, "float32")).all()
    got[2, 4] -= x[3, 6] * k[1, 2]
    assert np.argwhere(np.abs(got - reference.value) > bounds.tier_a(reference, "float32")).tolist() == [[2, 4]]


def test_the_bound_is_a_few_units_of_roundoff_of_the_scale() -> None:
    x, k = image_and_kernel(0)
    reference = oracle.corr2d(x, k)
    bound = bounds.tier_a(reference, "float32")
    assert (bound >= 6 * 2.0**-24 * reference.scale).all()
    assert (bound <= 7.001 * 2.0**-24 * reference.scale).all()


def test_unit_roundoffs_are_half_the_spacing_above_one() -> None:
    for name, kind in TYPES.items():
        assert bounds.floating(name).u == float(np.finfo(kind).eps) / 2
        assert bounds.floating(name).largest == float(np.finfo(kind).max)
        assert 2.0 ** bounds.floating(name).lowest == float(np.finfo(kind).tiny)
    assert bounds.floating("bfloat16").u == 2.0**-8
    assert bounds.floating("float16").eta == float(np.finfo(np.float16).smallest_subnormal) / 2
    assert bounds.floating("float32").eta == float(np.finfo(np.float32).tiny)


def test_gamma_is_its_formula_and_infinite_from_nu_equal_one_on() -> None:
    assert bounds.gamma(3, 0.125).item() == 0.375 / 0.625
    assert bounds.gamma(np.array([255, 256, 257]), 2.0**-8).tolist() == [255.0, np.inf, np.inf]
    assert bounds.gamma(0, 0.5).item() == 0


def test_there_is_no_bound_where_a_partial_sum_may_overflow_or_too_many_terms_add_up() -> None:
    near = dot(np.array([[60000.0, 6000.0]]), np.array([[1.0], [-1.0]]))
    assert np.isinf(bounds.tier_a(near, "float16")).all()
    assert np.isfinite(bounds.tier_a(near, "float32")).all()
    many = dot(np.ones((1, 256)), np.ones((256, 1)))
    assert np.isinf(bounds.tier_a(many, "bfloat16")).all()
    lost = dot(np.array([[np.inf, 1.0]]), np.array([[0.0], [1.0]]))
    assert np.isinf(bounds.tier_a(lost, "float32")).all()
    assert np.isinf(bounds.tier_a(near, "int8")).all()


def test_an_unknown_dtype_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"int7.*float16, bfloat16, float32, float64, complex64"):
        bounds.floating("int7")


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        ("float16", 2**11),
        ("bfloat16", 2**8),
        ("float32", 2**24),
        ("float64", 2**53 - 1),
        ("int8", 127),
        ("int32", 2**31 - 1),
        ("uint8", 255),
    ],
)
def test_tier_c_applies_up_to_the_largest_scale_that_is_exact_and_not_beyond(dtype: str, largest: int) -> None:
    one = np.array([[1], [1]])
    for total, expected in ((largest, True), (largest + 1, False)):
        a = np.array([[total - 1, -1]])
        assert bounds.exact([a, one], dot(a, one), dtype) is expected


@pytest.mark.parametrize("bad", [0.5, np.inf, np.nan, 2.0**-30])
def test_tier_c_needs_whole_numbers_in_every_input(bad: float) -> None:
    a, b = np.array([[1.0, 2.0]]), np.array([[1.0], [0.0]])
    assert bounds.exact([a, b], dot(a, b), "float32")
    with np.errstate(invalid="ignore"):
        assert not bounds.exact([a, np.array([[1.0], [bad]])], dot(a, b), "float32")


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 30),
    high=st.integers(1, 1500),
    dtype=st.sampled_from(["float16", "float32"]),
    order=st.sampled_from(ORDERS),
    seed=st.integers(0, 2**32 - 1),
)
def test_where_tier_c_applies_every_order_gives_the_reference_exactly(
    n: int, high: int, dtype: str, order: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    limit = 2 ** bounds.FORMATS[dtype].digits
    high = min(high, int((limit / n) ** 0.5))
    a, b = (rng.integers(-high, high + 1, n).astype(dtype) for _ in "ab")
    reference = dot(a, b)
    assert bounds.exact([a, b], reference, dtype)
    permutation = rng.permutation(n)
    assert float(order(a[permutation], b[permutation])) == reference.value.item()


def test_outputs_that_prove_nothing_are_named() -> None:
    assert bounds.trusted(np.array([1.0, 2.0, 0.0, 0.0])) is None
    assert bounds.trusted(np.array([1.0, 0.0, 0.0])) == "2 of 3 output elements are zero"
    assert bounds.trusted(np.full((2, 2), 9.0)) == "all 4 output elements are 9"
    assert bounds.trusted(np.zeros(1)) is None
    assert bounds.trusted(np.zeros(0)) is None


def test_zeros_where_no_tap_reaches_are_not_held_against_an_output() -> None:
    value = np.array([1.0, 0.0, 0.0, 2.0, 0.0])
    reached = oracle.Reference(value, np.abs(value), np.array([1, 0, 0, 1, 0]))
    assert bounds.trusted(value) == "3 of 5 output elements are zero"
    assert bounds.trusted(reached) is None
    nowhere = oracle.Reference(value, value, np.zeros(5, np.int64))
    assert bounds.trusted(nowhere) == "no tap of any output element falls inside the image"


COMPLEX = {"four products": em.schoolbook, "three products": em.gauss}


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 40),
    way=st.sampled_from(sorted(COMPLEX)),
    dtype=st.sampled_from(["complex64", "complex128"]),
    spread=st.integers(0, 20),
    cancel=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_complex_sum_by_three_or_four_products_breaks_tier_a_in_either_component(
    n: int, way: str, dtype: str, spread: int, cancel: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def drawn() -> Array:
        parts = [rng.standard_normal(n) * 2.0 ** rng.integers(-spread, spread + 1, n) for _ in "ri"]
        return (parts[0] + 1j * parts[1]).astype(dtype)

    a, b = drawn(), drawn()
    if cancel and n > 1:
        a[n // 2 : n // 2 * 2], b[n // 2 : n // 2 * 2] = -a[: n // 2], b[: n // 2]
    reference = dot(a, b)
    bound = Fraction(bounds.tier_a(reference, dtype).item())
    exact = [Fraction(0), Fraction(0)]
    for p, q in zip(a, b, strict=True):
        parts = [Fraction(float(v)) for v in (p.real, p.imag, q.real, q.imag)]
        exact[0] += parts[0] * parts[2] - parts[1] * parts[3]
        exact[1] += parts[0] * parts[3] + parts[1] * parts[2]
    for add in (em.sequential, em.pairwise):
        got = COMPLEX[way](a, b, add)
        assert abs(Fraction(float(got.real)) - exact[0]) <= bound
        assert abs(Fraction(float(got.imag)) - exact[1]) <= bound


def test_four_products_have_the_larger_bound_where_very_many_terms_add_up() -> None:
    form, scale = bounds.FORMATS["float32"], np.ones(1)
    few, many = (bounds.complex_rounding(scale, n, form).item() for n in (100, 100_000))
    assert few == pytest.approx(2 * bounds.gamma(104, form.u).item(), rel=1e-9)
    assert many == pytest.approx(bounds.gamma(200_000, form.u).item(), rel=1e-9)
    assert many > 2 * bounds.gamma(100_004, form.u).item()


def test_a_bfloat16_result_is_bounded_like_any_other() -> None:
    rng = np.random.default_rng(0)
    a, b = (dtypes.narrow(rng.standard_normal(20), "bfloat16") for _ in "ab")
    reference, wide = dot(a, b), [dtypes.widen(v) for v in (a, b)]
    got = em.rounded(wide[0].astype(np.float64) * wide[1], em.bfloat16).item()
    bound = bounds.tier_a(reference, "bfloat16").item()
    assert abs(got - reference.value.item()) <= bound
    assert abs(got * (1 + 2.0**-3) + reference.scale.item() / 8 - reference.value.item()) > bound


def test_the_references_own_error_is_what_it_says_where_it_says_so() -> None:
    value, scale, terms = np.array([1.0]), np.array([2.0]), np.array([10])
    silent = oracle.Reference(value, scale, terms)
    assert bounds.reference_error(silent).item() == pytest.approx(20 * 2.0**-53, rel=1e-9)
    sure = oracle.Reference(value, scale, terms, low=np.array([2.0**-60]), own=np.array([2.0**-100]))
    assert bounds.reference_error(sure).item() == 2.0**-100
    assert bounds.tier_a(sure, "float64") < bounds.tier_a(silent, "float64")
    unknown = oracle.Reference(value, scale, terms, own=np.array([np.inf]))
    assert np.isinf(bounds.tier_a(unknown, "float32")).all()
    undetermined = oracle.Reference(np.array([np.inf]), np.array([np.inf]), terms)
    assert np.isinf(bounds.tier_a(undetermined, "float32")).all()


@pytest.mark.parametrize(("dtype", "largest"), [("complex64", 2**23), ("complex128", 2**52 - 1)])
def test_tier_c_of_complex_data_leaves_room_for_the_sums_of_three_products(dtype: str, largest: int) -> None:
    one = np.array([[1 + 0j], [1 + 0j]])
    for total, expected in ((largest, True), (largest + 1, False)):
        a = np.array([[total - 1, -1j]])
        assert bounds.exact([a, one], dot(a, one), dtype) is expected
    assert not bounds.exact([np.array([[0.5j, 1]]), one], dot(np.array([[0.5j, 1]]), one), dtype)


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 30), way=st.sampled_from(sorted(COMPLEX)), seed=st.integers(0, 2**32 - 1))
def test_where_tier_c_applies_complex_sums_are_exact(n: int, way: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    high = int((2**23 / n / 4) ** 0.5)
    parts = [rng.integers(-high, high + 1, n) for _ in range(4)]
    a, b = ((p + 1j * q).astype(np.complex64) for p, q in (parts[:2], parts[2:]))
    reference = dot(a, b)
    assert bounds.exact([a, b], reference, "complex64")
    assert COMPLEX[way](a, b) == reference.value.item()


def test_tier_c_reads_bfloat16_and_empty_arrays() -> None:
    a, b = (dtypes.narrow(np.array(v), "bfloat16") for v in ([[100.0, -28.0]], [[2.0], [2.0]]))
    assert bounds.exact([a, b], dot(a, b), "bfloat16")
    half = dtypes.narrow(np.array([[0.5], [2.0]]), "bfloat16")
    assert not bounds.exact([a, half], dot(a, half), "bfloat16")
    empty = np.zeros((0, 1, 3, 3), np.float32)
    reference = oracle.forward(empty, np.ones((1, 1, 2, 2), np.float32), None, oracle.Geometry())
    assert bounds.exact([empty], reference, "float32")


def test_a_reference_that_is_exact_beyond_float64_lets_tier_c_go_beyond() -> None:
    value, scale, terms = np.array([2.0**60]), np.array([2.0**60]), np.array([2])
    ones = [np.ones((1, 2), np.int64)]
    assert not bounds.exact(ones, oracle.Reference(value, scale, terms), "int64")
    assert not bounds.exact(ones, oracle.Reference(value, scale, terms, np.zeros(1), np.ones(1)), "int64")
    assert bounds.exact(ones, oracle.Reference(value, scale, terms, np.zeros(1), np.zeros(1)), "int64")
    assert not bounds.exact(ones, oracle.Reference(value, 8 * scale, terms, np.zeros(1), np.zeros(1)), "int64")
    assert not bounds.exact(ones, oracle.Reference(value, scale, terms, np.zeros(1), np.zeros(1)), "float64")


def test_outputs_with_values_that_are_not_finite_are_trusted_by_the_others() -> None:
    value = np.array([np.nan, np.inf, 0.0, 0.0, 3.0])
    assert bounds.trusted(value) == "2 of 3 output elements are zero"
    assert bounds.trusted(np.array([np.nan, np.inf, 2.0])) is None
    assert bounds.trusted(np.array([1 + 1j, 1 + 1j])) == "all 2 output elements are 1+1j"
    assert bounds.trusted(dtypes.narrow(np.array([1.0, 0.0, 0.0]), "bfloat16")) == "2 of 3 output elements are zero"
    none = oracle.Reference(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    assert bounds.trusted(none) is None
