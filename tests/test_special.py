"""NaN, infinity and subnormal inputs: what they determine, against plain IEEE products taken one by one."""

from __future__ import annotations

from itertools import product as every
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import witness
from crosscorrect import oracle, special
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from shapes import geometries

if TYPE_CHECKING:
    from collections.abc import Iterator

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
NAN, INF = float("nan"), float("inf")


def mixed_in(rng: np.random.Generator, shape: Shape, share: float) -> Array:
    """Small integers, zeros among them, with a share of NaN and both infinities."""
    values = rng.integers(-2, 3, shape).astype(np.float64)
    odd = rng.random(shape) < share
    values[odd] = rng.choice([NAN, INF, -INF], int(odd.sum()))
    return values


def determined(shape: Shape, products: Iterator[tuple[Shape, float]]) -> tuple[Array, Array]:
    """The non-finite value of every element that its products determine (zero elsewhere), and the finite sums."""
    there: dict[Shape, list[float]] = {}
    for at, value in products:
        there.setdefault(at, []).append(value)
    special_values, sums = np.zeros(shape), np.zeros(shape)
    for at, values in there.items():
        odd = {str(v) for v in values if not np.isfinite(v)}
        special_values[at] = NAN if len(odd) > 1 or "nan" in odd else float(odd.pop()) if odd else 0.0
        sums[at] = sum(v for v in values if np.isfinite(v))
    return special_values, sums


def check(reference: oracle.Reference, expected: tuple[Array, Array]) -> None:
    values, sums = expected
    odd = values != 0
    assert reference.special is not None or not odd.any()
    if reference.special is not None:
        np.testing.assert_array_equal(reference.special, odd)
    np.testing.assert_array_equal(reference.value, np.where(odd, values, sums))
    assert np.isfinite(reference.scale[~odd]).all()


def cases(seed: int, case: Any) -> tuple[Geometry, Array, Array, Array, list[tuple[Shape, Shape, Shape]]]:
    geometry, x_shape, w_shape = case
    rng = np.random.default_rng(seed)
    shares = rng.choice([0.0, 0.03, 0.2], 3)
    shapes = x_shape, w_shape, geometry.output_shape(x_shape, w_shape)
    x, w, dy = (mixed_in(rng, shape, share) for shape, share in zip(shapes, shares, strict=True))
    return geometry, x, w, dy, list(witness.connections(x_shape, w_shape, geometry))


@settings(max_examples=150, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "float64"]))
def test_where_padding_is_skipped_only_real_products_determine_an_element(case: Any, seed: int, dtype: str) -> None:
    geometry, x, w, dy, triples = cases(seed, case)
    b = mixed_in(np.random.default_rng(seed + 1), dy.shape[1:2], 0.2)
    biases = [(at, float(b[at[1]])) for at in np.ndindex(dy.shape)]
    found = oracle.gradients(x, w, b, dy, geometry, dtype)
    with np.errstate(invalid="ignore"):
        terms = [(o, float(x[i] * w[a])) for i, a, o in triples]
        check(oracle.forward(x, w, b, geometry, dtype), determined(dy.shape, iter(terms + biases)))
        check(found[Direction.GRAD_INPUT], determined(x.shape, ((i, float(dy[o] * w[a])) for i, a, o in triples)))
        check(found[Direction.GRAD_WEIGHT], determined(w.shape, ((a, float(x[i] * dy[o])) for i, a, o in triples)))
    check(found[Direction.GRAD_BIAS], determined(b.shape, (((at[1],), float(dy[at])) for at in np.ndindex(dy.shape))))


def padded(x: Array, geometry: Geometry, kernel: Shape) -> tuple[Array, Geometry]:
    """The input with its zeros, and the geometry without."""
    pads = geometry.pads(x.shape[2:], kernel)
    framed = np.pad(x, ((0, 0), (0, 0), *((max(b, 0), max(e, 0)) for b, e in pads)))
    cut = tuple(slice(max(-b, 0), size - max(-e, 0)) for (b, e), size in zip(pads, framed.shape[2:], strict=True))
    none = ((0, 0),) * geometry.rank
    return framed[(..., *cut)], Geometry(geometry.stride, none, geometry.dilation, geometry.groups)


@settings(max_examples=80, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_multiplied_padding_is_what_zeros_written_around_the_input_give(case: Any, seed: int) -> None:
    geometry, x, w, dy, _ = cases(seed, case)
    if geometry.transposed:
        return
    framed, bare = padded(x, geometry, w.shape[2:])
    triples = list(witness.connections(framed.shape, w.shape, bare))
    with np.errstate(invalid="ignore"):
        forward = determined(dy.shape, ((o, float(framed[i] * w[a])) for i, a, o in triples))
        weight = determined(w.shape, ((a, float(framed[i] * dy[o])) for i, a, o in triples))
    check(multiplied(oracle.forward(x, w, None, geometry)), forward)
    check(multiplied(oracle.gradients(x, w, None, dy, geometry)[Direction.GRAD_WEIGHT]), weight)


@settings(max_examples=80, deadline=None)
@given(case=geometries(), seed=st.integers(0, 2**32 - 1))
def test_multiplied_padding_of_an_adjoint_is_what_zeros_between_and_around_give(case: Any, seed: int) -> None:
    geometry, x, w, dy, _ = cases(seed, case)
    coarse, fine = (x, dy) if geometry.transposed else (dy, x)
    first = [b for b, _ in geometry.pads(x.shape[2:], w.shape[2:])]
    wide, narrow = coarse.shape[1] // geometry.groups, fine.shape[1] // geometry.groups

    def products() -> Iterator[tuple[Shape, float]]:
        for n, c, *j in np.ndindex(fine.shape):
            group, channel = divmod(c, narrow)
            for o, a in every(range(group * wide, (group + 1) * wide), np.ndindex(w.shape[2:])):
                places = [p + b - q * d for p, b, q, d in zip(j, first, a, geometry.dilation, strict=True)]
                inside = all(
                    p % s == 0 and 0 <= p < s * size
                    for p, s, size in zip(places, geometry.stride, coarse.shape[2:], strict=True)
                )
                at = tuple(p // s for p, s in zip(places, geometry.stride, strict=True))
                yield (n, c, *j), float((coarse[(n, o, *at)] if inside else 0.0) * w[(o, channel, *a)])

    if geometry.transposed:
        found = oracle.forward(x, w, None, geometry)
    else:
        found = oracle.gradients(x, w, None, dy, geometry)[Direction.GRAD_INPUT]
    with np.errstate(invalid="ignore"):
        check(multiplied(found), determined(fine.shape, products()))


def multiplied(reference: oracle.Reference) -> oracle.Reference:
    """The answer of that property, or the only one where padding meets nothing special."""
    assert reference.property in {special.SKIPPED, ""}
    names = [other.property for other in reference.others]
    assert names == ([special.MULTIPLIED, special.MIXED] if reference.property else [])
    return reference.others[0] if names else reference


def test_the_three_answers_where_padding_meets_infinity() -> None:
    x, w = np.array([[[1.0, 2.0, 3.0]]], np.float32), np.array([[[INF, 1.0, 1.0]]], np.float32)
    base = oracle.forward(x, w, None, Geometry((1,), ((1, 1),), (1,)))
    assert base.value.tolist() == [[[3.0, INF, INF]]]
    assert base.special is not None
    assert base.special.tolist() == [[[False, True, True]]]
    loud, either = base.others
    np.testing.assert_array_equal(loud.value, [[[NAN, INF, INF]]])
    assert either.special is not None
    assert either.own is not None
    assert either.special.tolist() == [[[False, True, True]]]
    assert either.own[0, 0, 0] == INF, "nothing is claimed where implementations differ"


def test_padding_that_meets_nan_where_the_element_is_nan_already_asks_no_question() -> None:
    x, w = np.array([[[NAN, 2.0]]], np.float32), np.array([[[NAN, 1.0]]], np.float32)
    found = oracle.forward(x, w, None, Geometry((2,), ((1, 1),), (1,)))
    assert np.isnan(found.value).tolist() == [[[True, True]]]
    assert (found.property, found.others) == ("", ())


def test_finite_elements_keep_value_and_bound_beside_special_ones() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))
    clean = oracle.forward(x, w, None, Geometry())
    x[0, 1, 0, 0] = NAN
    marked = oracle.forward(x, w, None, Geometry())
    assert marked.special is not None
    assert marked.special.sum() == 3
    assert marked.special[:, :, 0, 0].all()
    for name in ("value", "low", "own", "scale"):
        np.testing.assert_array_equal(getattr(marked, name)[~marked.special], getattr(clean, name)[~marked.special])


def test_non_finite_inputs_that_no_element_reads_change_nothing() -> None:
    x, w = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 1, 1), np.float32)
    x[0, 0, 1, 1] = NAN
    found = oracle.forward(x, w, None, Geometry(stride=(2, 2)))
    assert found.value.tolist() == [[[[1, 1], [1, 1]]]]
    assert found.property == ""


@pytest.mark.parametrize(
    ("dtype", "tiny"),
    [("float32", 1e-40), ("float64", 1e-310), ("float16", 2.0**-20), ("bfloat16", 1e-40), ("complex64", 1e-40j)],
)
def test_subnormal_inputs_may_be_kept_or_read_as_zero(dtype: str, tiny: complex) -> None:
    kind = np.complex128 if dtype == "complex64" else np.float64
    x, w = np.array([[tiny, 1.0]], kind), np.array([[2.0, 2.0]], kind)
    found = oracle.corr2d(x, w, dtype=dtype)
    (other,) = found.others
    assert (found.property, other.property) == (special.KEPT, special.FLUSHED)
    assert other.scale.item() == 2.0
    assert found.value.item() == 2.0 + 2 * tiny
    assert oracle.corr2d(np.abs(x) + 1.0, w, dtype=dtype).property == ""


def test_both_questions_at_once_have_six_answers() -> None:
    x, w = np.array([[[1e-40, 2.0]]], np.float32), np.array([[[NAN, 1.0]]], np.float32)
    found = oracle.forward(x, w, None, Geometry((1,), ((1, 0),), (1,)))
    names = [found.property, *(other.property for other in found.others)]
    assert names == [f"{s}; {p}" for s in (special.KEPT, special.FLUSHED) for p in (SKIP, MULTIPLY, MIX)]


SKIP, MULTIPLY, MIX = special.SKIPPED, special.MULTIPLIED, special.MIXED


def test_infinity_times_a_subnormal_is_nan_only_where_it_reads_as_zero() -> None:
    found = oracle.corr2d(np.array([[INF, 1.0]], np.float32), np.array([[1e-40, 1.0]], np.float32))
    assert found.value.item() == INF
    assert np.isnan(found.others[0].value.item())


def test_overflow_of_finite_inputs_is_no_special_value() -> None:
    found = oracle.corr2d(np.full((1, 2), 1e300), np.full((1, 2), 1e300))
    assert found.special is None
    assert found.scale.item() == INF
    assert found.own is not None
    assert found.own.item() == INF


def test_nothing_is_claimed_where_complex_data_are_not_finite() -> None:
    x = np.array([[1.0, complex(INF, 0.0), 3.0]], np.complex64)
    found = oracle.corr2d(x, np.array([[1.0, 1j]], np.complex64))
    assert found.own is not None
    assert np.isinf(found.own).tolist() == [[True, True]]
    assert np.isfinite(oracle.corr2d(x[:, 2:], np.ones((1, 1), np.complex64)).own).all()
