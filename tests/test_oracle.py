"""The float64 references against integer and fraction loops written from the definition, over every geometry."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import witness
from crosscorrect import bounds, dtypes, oracle, slides
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
        assert (reference.own <= 2.0**-58 * reference.scale).all()


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
