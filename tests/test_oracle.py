"""The references against the second witness, over every geometry, direction and dtype."""

from __future__ import annotations

from fractions import Fraction
from itertools import product as every
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import witness
from crosscorrect import bounds, dtypes, oracle, slides, sums
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from shapes import geometries, integers, wild

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]


def check(reference: oracle.Reference, expected: witness.Answer) -> None:
    assert reference.value.dtype == reference.scale.dtype == np.float64
    assert reference.terms.dtype == np.int64
    np.testing.assert_array_equal(reference.value, expected.value.astype(np.float64))
    np.testing.assert_array_equal(reference.scale, expected.scale.astype(np.float64))
    np.testing.assert_array_equal(reference.terms, expected.terms.astype(np.int64))


def contained(reference: oracle.Reference, expected: witness.Answer) -> None:
    """Value and low part are within the claimed bound of the exact sum, and the scale is no smaller than S."""
    claimed = bounds.reference_error(reference) if reference.own is None else reference.own
    low = np.zeros(reference.value.shape) if reference.low is None else reference.low
    for at in np.ndindex(expected.value.shape):
        found = Fraction(reference.value[at].item()) + Fraction(low[at].item())
        assert abs(found - expected.value[at]) <= Fraction(claimed[at].item())
        assert Fraction(reference.scale[at].item()) * (1 + Fraction(1, 2**40)) >= expected.scale[at]
    np.testing.assert_array_equal(reference.terms, expected.terms.astype(np.int64))


@settings(max_examples=120, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "float64", "int32"]))
def test_value_scale_and_terms_equal_the_definition_in_every_direction_and_geometry(
    case: Any, seed: int, dtype: str
) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    x, w = integers(rng, x_shape), integers(rng, w_shape)
    dy = integers(rng, geometry.output_shape(x_shape, w_shape))
    b = integers(rng, dy.shape[1:2])
    check(oracle.forward(x, w, b, geometry, dtype), witness.forward(x, w, b, geometry))
    found = oracle.gradients(x, w, b, dy, geometry, dtype)
    assert set(found) == {Direction.GRAD_INPUT, Direction.GRAD_WEIGHT, Direction.GRAD_BIAS}
    check(found[Direction.GRAD_INPUT], witness.grad_input(x, w, dy, geometry))
    check(found[Direction.GRAD_WEIGHT], witness.grad_weight(x, w, dy, geometry))
    check(found[Direction.GRAD_BIAS], witness.grad_bias(dy))


@settings(max_examples=80, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_the_adjoint_identity_holds_exactly_on_integers(case: Any, seed: int) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    x, w = integers(rng, x_shape), integers(rng, w_shape)
    dy = integers(rng, geometry.output_shape(x_shape, w_shape))
    found = oracle.gradients(x, w, None, dy, geometry)
    through = np.sum(oracle.forward(x, w, None, geometry).value * dy)
    assert np.sum(found[Direction.GRAD_INPUT].value * x) == through
    assert np.sum(found[Direction.GRAD_WEIGHT].value * w) == through


@settings(max_examples=40, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1), decades=st.sampled_from([0.0, 8.0, 90.0]))
def test_float64_answers_are_within_their_bound_of_exact_fractions_and_far_better_than_float64(
    case: Any, seed: int, decades: float
) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    x, w = wild(rng, x_shape, decades), wild(rng, w_shape, decades)
    dy = wild(rng, geometry.output_shape(x_shape, w_shape), decades)
    b = wild(rng, dy.shape[1:2], decades)
    found = {Direction.FORWARD: oracle.forward(x, w, b, geometry), **oracle.gradients(x, w, b, dy, geometry)}
    contained(found[Direction.FORWARD], witness.forward(x, w, b, geometry))
    contained(found[Direction.GRAD_INPUT], witness.grad_input(x, w, dy, geometry))
    contained(found[Direction.GRAD_WEIGHT], witness.grad_weight(x, w, dy, geometry))
    contained(found[Direction.GRAD_BIAS], witness.grad_bias(dy))
    for reference in found.values():
        assert (reference.own <= 2.0**-57 * reference.scale + 2.0**-1060).all()


@settings(max_examples=40, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float16", "bfloat16", "float32"]))
def test_the_reference_of_narrower_real_data_is_within_its_claimed_error_of_exact_fractions(
    case: Any, seed: int, dtype: str
) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    x, w = (dtypes.narrow(rng.standard_normal(shape), dtype) for shape in (x_shape, w_shape))
    contained(oracle.forward(x, w, None, geometry), witness.forward(x, w, None, geometry))


def test_the_chapters_worked_example() -> None:
    reference = oracle.corr2d(np.arange(9.0).reshape(3, 3), np.arange(4.0).reshape(2, 2))
    assert reference.value.tolist() == [[19, 25], [37, 43]]
    assert reference.terms.tolist() == [[4, 4], [4, 4]]


def test_a_bias_is_one_more_term_and_its_gradient_sums_the_output_gradient() -> None:
    x, w, b = np.ones((2, 1, 3, 4)), np.array([[[[2.0]]], [[[3.0]]]]), np.array([-5.0, 7.0])
    reference = oracle.forward(x, w, b, Geometry())
    assert reference.value[:, :, 0, 0].tolist() == [[-3, 10], [-3, 10]]
    assert reference.scale[0, :, 0, 0].tolist() == [7, 10]
    assert set(reference.terms.ravel().tolist()) == {2}
    dy = np.arange(48.0).reshape(2, 2, 3, 4) - 20
    found = oracle.gradients(x, w, b, dy, Geometry())[Direction.GRAD_BIAS]
    assert found.value.tolist() == [dy[:, 0].sum(), dy[:, 1].sum()]
    assert found.scale.tolist() == [np.abs(dy[:, 0]).sum(), np.abs(dy[:, 1]).sum()]
    assert found.terms.tolist() == [24, 24]


def test_the_odd_zero_of_same_padding_is_where_the_word_says() -> None:
    x, w = np.array([[[1.0, 2, 3, 4]]]), np.array([[[10.0, 1]]])
    upper = oracle.forward(x, w, None, Geometry((1,), "same_upper", (1,)))
    lower = oracle.forward(x, w, None, Geometry((1,), "same_lower", (1,)))
    assert upper.value.tolist() == [[[12, 23, 34, 40]]]
    assert upper.terms.tolist() == [[[2, 2, 2, 1]]]
    assert lower.value.tolist() == [[[1, 12, 23, 34]]]
    assert lower.terms.tolist() == [[[1, 2, 2, 2]]]


def test_padding_lists_are_read_as_tuples() -> None:
    geometry = Geometry((1,), [[0, 1]], (1,))
    assert oracle.forward(np.ones((1, 1, 2)), np.ones((1, 1, 2)), None, geometry).value.tolist() == [[[2, 1]]]


@pytest.mark.parametrize("transposed", [False, True])
def test_splitting_a_large_problem_changes_nothing(monkeypatch: pytest.MonkeyPatch, transposed: bool) -> None:
    rng = np.random.default_rng(1)
    geometry = Geometry((2, 3), ((1, 0), (2, 1)), (2, 1), 2, transposed=transposed)
    x, w = integers(rng, (2, 4, 9, 8)), integers(rng, (4, 2, 3, 2))
    dy = integers(rng, geometry.output_shape(x.shape, w.shape))
    whole = oracle.forward(x, w, None, geometry), oracle.gradients(x, w, None, dy, geometry)
    monkeypatch.setattr(slides, "_COLUMNS", 8)
    split = oracle.forward(x, w, None, geometry), oracle.gradients(x, w, None, dy, geometry)
    np.testing.assert_array_equal(whole[0].value, split[0].value)
    for direction, reference in whole[1].items():
        np.testing.assert_array_equal(reference.value, split[1][direction].value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint8", "int32", "bool"])
def test_every_real_dtype_is_read_exactly(dtype: str) -> None:
    x, k = np.array([[1, 0, 1]], dtype), np.array([[1, 1]], dtype)
    assert oracle.corr2d(x, k).value.tolist() == [[1, 1]]


def test_windows_times_the_kernel_is_the_correlation() -> None:
    rng = np.random.default_rng(2)
    geometry = Geometry((2, 1), ((1, 2), (0, 1)), (1, 2))
    x, w = integers(rng, (2, 3, 6, 7)), integers(rng, (1, 3, 2, 3))
    seen = oracle.windows(x, (2, 3), geometry)
    direct = oracle.forward(x, w, None, geometry).value[:, 0]
    assert seen.shape == (*direct.shape, 3, 2, 3)
    np.testing.assert_array_equal((seen * w[0]).sum((-3, -2, -1)), direct)


def test_a_sum_of_products_has_the_scale_of_its_absolute_values_and_a_term_for_each() -> None:
    reference = oracle.corr2d(np.array([[1, -2, 3]]), np.array([[1, 1, 1]]))
    assert (reference.value.item(), reference.scale.item(), reference.terms.item()) == (2, 6, 3)


@pytest.mark.parametrize(
    ("x", "w", "geometry", "words"),
    [
        ((1, 1, 2, 2), (1, 1, 3, 1), Geometry(), "does not fit image"),
        ((1, 3, 4, 4), (1, 2, 2, 2), Geometry(), "do not fit with 1 groups"),
        ((1, 4, 4, 4), (3, 2, 2, 2), Geometry(groups=2), "do not fit with 2 groups"),
        ((1, 1, 4), (1, 1, 2), Geometry(), "geometry of 2 axes"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_the_sizes(x: Shape, w: Shape, geometry: Geometry, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        oracle.forward(np.ones(x), np.ones(w), None, geometry)


def test_a_wrong_output_gradient_or_bias_is_refused() -> None:
    x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    with pytest.raises(ValueError, match="dy of shape"):
        oracle.gradients(x, w, None, np.ones((1, 1, 3, 3)), Geometry())
    with pytest.raises(ValueError, match="bias of shape"):
        oracle.forward(x, w, np.ones(2), Geometry())


def limits(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


@settings(max_examples=60, deadline=None)
@given(case=geometries(), data=st.data(), dtype=st.sampled_from(["int8", "uint8", "int32", "int64", "uint64"]))
def test_integer_sums_wrap_and_the_saturated_ones_are_the_other_answer(
    case: Any, data: st.DataObject, dtype: str
) -> None:
    geometry, x_shape, w_shape = case
    low, high = limits(dtype)
    reach = data.draw(st.sampled_from([2, 100, high]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shapes = x_shape, w_shape, geometry.output_shape(x_shape, w_shape)
    x, w, dy = (rng.integers(max(low, -reach), min(high, reach), shape, dtype, endpoint=True) for shape in shapes)
    b = rng.integers(low, high, dy.shape[1:2], dtype, endpoint=True)
    found = {Direction.FORWARD: oracle.forward(x, w, b, geometry), **oracle.gradients(x, w, b, dy, geometry)}
    for direction, expected in {
        Direction.FORWARD: witness.forward(x, w, b, geometry),
        Direction.GRAD_INPUT: witness.grad_input(x, w, dy, geometry),
        Direction.GRAD_WEIGHT: witness.grad_weight(x, w, dy, geometry),
        Direction.GRAD_BIAS: witness.grad_bias(dy),
    }.items():
        reference = found[direction]
        fits = all(low <= value <= high for value in expected.value.ravel())
        assert reference.own is not None
        assert not reference.own.any(), "integers are exact"
        assert reference.property == ("" if fits else "integer overflow wraps")
        assert [other.property for other in reference.others] == ([] if fits else ["integer overflow saturates"])
        for at in np.ndindex(expected.value.shape):
            exact = int(expected.value[at])
            assert whole_of(reference, at) == (exact - low) % (high - low + 1) + low
            for other in reference.others:
                assert whole_of(other, at) == min(max(exact, low), high)


def whole_of(reference: oracle.Reference, at: Shape) -> int:
    low = 0.0 if reference.low is None else reference.low[at].item()
    return int(reference.value[at].item()) + int(low)


@settings(max_examples=15, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["complex64", "complex128"]))
def test_complex_answers_and_both_conventions_of_their_gradients(case: Any, seed: int, dtype: str) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)

    def numbers(shape: Shape) -> Array:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)

    x, w, dy = numbers(x_shape), numbers(w_shape), numbers(geometry.output_shape(x_shape, w_shape))
    b = numbers(dy.shape[1:2])
    within(oracle.forward(x, w, b, geometry), lambda p, q: witness.forward(p, q, None, geometry), x, w, b)
    found = oracle.gradients(x, w, b, dy, geometry)
    for direction, expected in {
        Direction.GRAD_INPUT: lambda p, q: witness.grad_input(x.real, q, p, geometry),
        Direction.GRAD_WEIGHT: lambda p, q: witness.grad_weight(q, w.real, p, geometry),
    }.items():
        other = w if direction is Direction.GRAD_INPUT else x
        assert found[direction].property == "gradient conjugated"
        within(found[direction], expected, dy, other.conj())
        (plain,) = found[direction].others
        assert plain.property == "gradient not conjugated"
        within(plain, expected, dy, other)
    np.testing.assert_allclose(found[Direction.GRAD_BIAS].value, dy.sum((0, *range(2, dy.ndim))), rtol=1e-4)


def within(reference: oracle.Reference, expected: Any, p: Array, q: Array, b: Array | None = None) -> None:
    """The complex answer is within its bound of four exact real ones, and the scale bounds both components."""
    rr, ii, ri, ir = (expected(u, v).value for u, v in every((p.real, p.imag), (q.real, q.imag)))
    real, imaginary = rr - ir, ii + ri
    scale = expected(np.abs(p.real) + np.abs(p.imag), np.abs(q.real) + np.abs(q.imag)).value
    assert reference.own is not None
    for at in np.ndindex(reference.value.shape):
        bias = 0j if b is None else b[at[1]].item()
        found = [Fraction(part) for part in (reference.value[at].real.item(), reference.value[at].imag.item())]
        if reference.low is not None:
            found[0] += Fraction(reference.low[at].real.item())
            found[1] += Fraction(reference.low[at].imag.item())
        off = (found[0] - real[at] - Fraction(bias.real)) ** 2 + (found[1] - imaginary[at] - Fraction(bias.imag)) ** 2
        assert off <= Fraction(reference.own[at].item()) ** 2
        least = scale[at] + abs(Fraction(bias.real)) + abs(Fraction(bias.imag))
        assert Fraction(reference.scale[at].item()) * (1 + Fraction(1, 2**20)) >= least


def test_complex_gradients_agree_with_the_real_ones_of_their_components() -> None:
    # d/dx Re(conj(dy) w x) along re and im: the convention that makes gradient descent descend
    x, w, dy = (np.array([[[v]]]) for v in (2 + 3j, 5 - 1j, 1 + 1j))
    found = oracle.gradients(x, w, None, dy, Geometry((1,), "valid", (1,)))
    assert found[Direction.GRAD_INPUT].value.item() == (1 + 1j) * (5 + 1j)
    assert found[Direction.GRAD_WEIGHT].value.item() == (1 + 1j) * (2 - 3j)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("n", "c", "o", "space"),
    [(0, 2, 4, (5, 4)), (2, 0, 4, (5, 4)), (2, 2, 0, (5, 4)), (2, 2, 4, (0, 4)), (0, 0, 0, (0, 0))],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32", "int64", "bfloat16"])
def test_batches_channels_and_images_may_be_empty(
    transposed: bool, n: int, c: int, o: int, space: Shape, dtype: str
) -> None:
    geometry = Geometry(padding=((2, 2), (2, 2)), groups=2, transposed=transposed)
    if transposed:
        geometry = Geometry(stride=(2, 2), groups=2, transposed=True, output_padding=(1, 1))
    kernel = (3, 2)
    w = dtypes.narrow(np.ones((c, o // 2, *kernel) if transposed else (o, c // 2, *kernel)), dtype)
    x, b = dtypes.narrow(np.ones((n, c, *space)), dtype), dtypes.narrow(np.full(o, 3.0), dtype)
    shape = geometry.output_shape(x.shape, w.shape)
    reference = oracle.forward(x, w, b, geometry)
    assert reference.value.shape == reference.scale.shape == reference.terms.shape == shape
    if not x.size:
        assert (reference.value == 3).all()
        assert (reference.terms == 1).all()
    found = oracle.gradients(x, w, b, dtypes.narrow(np.ones(shape), dtype), geometry)
    for direction, like in zip(found, (x, w, b), strict=True):
        assert found[direction].value.shape == found[direction].terms.shape == like.shape
        if direction is not Direction.GRAD_BIAS:
            assert x.size or not found[direction].value.any()
    assert (found[Direction.GRAD_BIAS].value == n * np.prod(shape[2:])).all()


def test_an_empty_image_without_padding_has_an_empty_output_and_zero_gradients() -> None:
    x, w = np.ones((2, 1, 0, 3)), np.ones((1, 1, 1, 1))
    assert oracle.forward(x, w, None, Geometry()).value.shape == (2, 1, 0, 3)
    found = oracle.gradients(x, w, np.ones(1), np.ones((2, 1, 0, 3)), Geometry())
    assert found[Direction.GRAD_WEIGHT].value.tolist() == [[[[0]]]]
    assert found[Direction.GRAD_BIAS].value.tolist() == [0]
    with pytest.raises(ValueError, match="does not fit image"):
        oracle.forward(x, np.ones((1, 1, 3, 1)), None, Geometry())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("bias", [None, 0.0, 1.0])
def test_a_one_hot_kernel_marks_the_elements_that_must_be_copies(dtype: str, bias: float | None) -> None:
    rng = np.random.default_rng(6)
    x = dtypes.narrow(rng.standard_normal((1, 2, 5, 5)), dtype)
    w = np.zeros((2, 2, 3, 3))
    w[0, 1, 2, 0] = w[1, 0, 1, 1] = w[1, 1, 1, 1] = 1.0
    b = None if bias is None else np.full(2, bias)
    found = oracle.forward(x, dtypes.narrow(w, dtype), b, Geometry(), dtype)
    assert found.single is not None
    assert found.single[:, 0].all() == (bias != 1.0)
    assert not found.single[:, 1].any(), "two pixels are added here"
    if bias != 1.0:
        np.testing.assert_array_equal(found.value[:, 0], dtypes.widen(x)[:, 1, 2:, :3].astype(np.float64))


def test_products_that_round_are_not_copies_and_dense_kernels_are_not_looked_at() -> None:
    x = np.array([[1 + 2.0**-23, 1.0, 3.0]], np.float32)
    found = oracle.corr2d(x, np.array([[1 + 2.0**-23, 0.0]], np.float32))
    assert found.single is not None
    assert found.single.tolist() == [[False, True]]
    assert oracle.corr2d(x, np.ones((1, 2), np.float32)).single is None
    assert oracle.corr2d(x.astype(np.float64), np.array([[1 / 3, 0.0]])).single is None


@pytest.mark.parametrize("transposed", [False, True])
def test_squares_are_the_sums_of_the_squared_terms_in_every_direction(transposed: bool) -> None:
    rng = np.random.default_rng(7)
    geometry = Geometry((2, 1), ((1, 0), (0, 2)), (1, 2), 2, transposed=transposed)
    x, w = integers(rng, (2, 4, 6, 5)), integers(rng, (4, 2, 3, 2))
    dy = integers(rng, geometry.output_shape(x.shape, w.shape))
    found = {d: oracle.squares(d, x, w, geometry, dy) for d in Direction if d is not Direction.TRAIN}
    np.testing.assert_array_equal(
        found[Direction.FORWARD], witness.forward(x**2, w**2, None, geometry).value.astype(float)
    )
    expected = witness.grad_input(x, w**2, dy**2, geometry)
    np.testing.assert_array_equal(found[Direction.GRAD_INPUT], expected.value.astype(float))
    expected = witness.grad_weight(x**2, w, dy**2, geometry)
    np.testing.assert_array_equal(found[Direction.GRAD_WEIGHT], expected.value.astype(float))
    np.testing.assert_array_equal(found[Direction.GRAD_BIAS], (dy**2).sum((0, 2, 3)))
    assert oracle.squares(Direction.FORWARD, x * 1j, w, geometry).tolist() == found[Direction.FORWARD].tolist()
    with pytest.raises(ValueError, match="need dy"):
        oracle.squares(Direction.GRAD_INPUT, x, w, geometry)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("way", ["integers", "normal", "zeros among them", "range of float32"])
def test_the_cheap_ways_of_large_problems_say_the_same_as_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, way: str, dtype: str
) -> None:
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal((2, 6, 9, 8)), rng.standard_normal((8, 3, 3, 3))
    if way == "integers":
        x, w = integers(rng, x.shape).astype(float), integers(rng, w.shape).astype(float)
    if way == "zeros among them":
        x[1] = 0.0
    if way == "range of float32":
        x *= 1e30
        w *= 1e30
    x, w = x.astype(np.float32), w.astype(np.float32)
    geometry = Geometry((1, 1), ((1, 1), (2, 0)), groups=2)
    plain = oracle.forward(x, w, None, geometry, dtype)
    monkeypatch.setattr(sums, "_LARGE", 0)
    cheap = oracle.forward(x, w, None, geometry, dtype)
    claimed = bounds.reference_error(plain) + bounds.reference_error(cheap)
    assert (np.abs(plain.value - cheap.value) <= claimed).all()
    assert (cheap.scale >= plain.scale * (1 - 2.0**-45)).all()
    assert (cheap.scale <= plain.scale * (1 + 2.0**-16)).all()
    if way == "integers":
        np.testing.assert_array_equal(plain.value, cheap.value)
        np.testing.assert_array_equal(plain.scale, cheap.scale)


def test_a_reshaped_reference_keeps_everything() -> None:
    x = np.array([[1e-40, 2.0, 3.0]], np.float32)
    found = oracle.corr2d(x, np.array([[1.0, 0.0]], np.float32)).reshaped(lambda array: array.reshape(-1))
    assert found.value.shape == found.scale.shape == found.terms.shape == (2,)
    assert found.single is not None
    assert found.single.shape == (2,)
    assert found.others[0].value.tolist() == [0.0, 2.0]
