"""The float64 references against integer and fraction loops written from the definition, over every geometry."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import bounds, oracle
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Triple: TypeAlias = tuple[Shape, Shape, Shape]
Summed: TypeAlias = tuple[Array, Array, Array]


def connections(x_shape: Shape, w_shape: Shape, geometry: Geometry) -> Iterator[Triple]:
    """Every (input, kernel, output) index triple whose product enters the sum: the definition, nothing else."""
    groups, transposed = geometry.groups, geometry.transposed
    begins = [begin for begin, _ in geometry.pads(x_shape[2:], w_shape[2:])]
    out = geometry.output_shape(x_shape, w_shape)
    coarse, fine = (x_shape, out) if transposed else (out, x_shape)
    wide, narrow = coarse[1] // groups, fine[1] // groups
    for n, g, o, c in product(range(x_shape[0]), range(groups), range(wide), range(narrow)):
        for i, a in product(product(*map(range, coarse[2:])), product(*map(range, w_shape[2:]))):
            axes = zip(i, a, geometry.stride, geometry.dilation, begins, strict=True)
            j = tuple(p * s + q * d - b for p, q, s, d, b in axes)
            if all(0 <= p < size for p, size in zip(j, fine[2:], strict=True)):
                low, high = (n, g * wide + o, *i), (n, g * narrow + c, *j)
                yield (low if transposed else high), (g * wide + o, c, *a), (high if transposed else low)


def summed(first: Array, second: Array, shape: Shape, triples: list[Triple], roles: Shape) -> Summed:
    """Value, absolute sum and count of ``first[...] * second[...]`` over the triples; roles index a triple."""
    value, scale, terms = (np.full(shape, 0, dtype=object) for _ in range(3))
    a, b, target = roles
    for triple in triples:
        term = first[triple[a]] * second[triple[b]]
        value[triple[target]] += term
        scale[triple[target]] += abs(term)
        terms[triple[target]] += 1
    return value, scale, terms


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Geometry, Shape, Shape]:
    """A geometry of any kind with shapes that fit it: (geometry, x shape, w shape)."""
    rank = draw(st.integers(1, 3))
    top = {1: 9, 2: 5, 3: 3}[rank]

    def axes(low: int, high: int) -> Shape:
        return draw(st.tuples(*[st.integers(low, high)] * rank))

    groups, transposed = draw(st.integers(1, 3)), draw(st.booleans())
    ins, outs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = axes(1, 3 if rank < 3 else 2)
    words = ["valid"] if transposed else ["valid", "same_upper", "same_lower"]
    counts = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * rank)
    stride, dilation = axes(1, 3), axes(1, 3)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    geometry = Geometry(
        stride,
        draw(st.sampled_from(words) | counts),
        dilation,
        groups,
        transposed,
        extra if transposed else (0,) * rank,
    )
    x = (draw(st.integers(1, 2)), groups * ins, *axes(1, top))
    w = (groups * ins, outs, *kernel) if transposed else (groups * outs, ins, *kernel)
    if min(geometry.output_size(x[2:], kernel)) < 1:  # enlarge until the kernel fits
        x = (*x[:2], *(size + 7 for size in x[2:])) if rank < 3 else (1, groups * ins, *(size + 5 for size in x[2:]))
    return geometry, x, w


def integers(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.integers(-4, 5, shape)


def objects(array: Array) -> Array:
    return array.astype(object)


def check(reference: oracle.Reference, brute: Summed) -> None:
    value, scale, terms = brute
    assert reference.value.dtype == np.float64
    assert reference.terms.dtype == np.int64
    np.testing.assert_array_equal(reference.value, value.astype(np.float64))
    np.testing.assert_array_equal(reference.scale, scale.astype(np.float64))
    np.testing.assert_array_equal(reference.terms, terms.astype(np.int64))


@settings(max_examples=120, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_value_scale_and_terms_equal_the_definition_in_every_direction_and_geometry(case: Any, seed: int) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    x, w = integers(rng, x_shape), integers(rng, w_shape)
    dy = integers(rng, geometry.output_shape(x_shape, w_shape))
    triples = list(connections(x_shape, w_shape, geometry))
    check(oracle.forward(x, w, None, geometry), summed(objects(x), objects(w), dy.shape, triples, (0, 1, 2)))
    found = oracle.gradients(x, w, None, dy, geometry)
    assert set(found) == {Direction.GRAD_INPUT, Direction.GRAD_WEIGHT}
    check(found[Direction.GRAD_INPUT], summed(objects(dy), objects(w), x_shape, triples, (2, 1, 0)))
    check(found[Direction.GRAD_WEIGHT], summed(objects(x), objects(dy), w_shape, triples, (0, 2, 1)))


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


@settings(max_examples=30, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_the_reference_of_real_data_is_within_its_claimed_error_of_exact_fractions(case: Any, seed: int) -> None:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    reference = oracle.forward(x, w, None, geometry)
    claimed = bounds.reference_error(reference)
    exact = np.full(reference.value.shape, Fraction(0), dtype=object)
    for i, a, o in connections(x_shape, w_shape, geometry):
        exact[o] += Fraction(x[i]) * Fraction(w[a])
    for o in np.ndindex(exact.shape):
        assert abs(Fraction(float(reference.value[o])) - exact[o]) <= Fraction(float(claimed[o]))


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
    monkeypatch.setattr(oracle, "_COLUMNS", 8)
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


def test_complex_data_are_refused() -> None:
    with pytest.raises(TypeError, match="real data"):
        oracle.corr2d(np.ones((2, 2), complex), np.ones((1, 1)))
