"""What is particular to NumPy: gradients written by hand, no autodiff, no compiler, one device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect.adapter import Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect_adapters.numpy import NumpyAdapter

EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
EDGES = EDGE[:, :-1] - EDGE[:, 1:]
START = np.array([[0.0068339, 0.01299825]], np.float32)
ADAPTER = NumpyAdapter("cpu", "eager")


def integers(seed: int, shape: Any, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def inner(a: Any, b: Any) -> float:
    return float((a * b).sum(dtype=np.float64))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Geometry, tuple[int, ...], tuple[int, ...]]:
    """Any geometry, transposed or not, whose kernel fits, with the shapes of x and w."""
    rank = draw(st.integers(1, 3))
    axes = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731  drawn many times
    transposed, groups = draw(st.booleans()), draw(st.integers(1, 3))
    padding: Any = tuple(zip(axes(0, 2), axes(0, 2), strict=True))
    if not transposed:
        padding = draw(st.sampled_from(["valid", "same_upper", "same_lower", padding]))
    extra = axes(0, 2) if transposed else (0,) * rank
    geometry = Geometry(axes(1, 3), padding, axes(1, 2), groups, transposed, extra)
    ins, outs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = (draw(st.integers(1, 3)), ins * groups, *axes(5, 7))
    w = (ins * groups, outs, *axes(1, 3)) if transposed else (outs * groups, ins, *axes(1, 3))
    return geometry, x, w


@settings(deadline=None)
@given(problems(), st.sampled_from(["float32", "float64", "int64"]), st.integers(0, 999))
def test_the_three_adjoints_are_adjoint_to_the_forward_pass(problem: Any, dtype: str, seed: int) -> None:
    geometry, x_shape, w_shape = problem
    x, w = integers(seed, x_shape, dtype), integers(seed + 1, w_shape, dtype)
    shape = geometry.output_shape(x_shape, w_shape)
    dy, b = integers(seed + 2, shape, dtype), integers(seed + 3, shape[1:2], dtype)
    y, biased = ADAPTER.conv2d(x, w, None, geometry), ADAPTER.conv2d(x, w, b, geometry)
    grads = ADAPTER.grads(x, w, b, dy, geometry)
    assert y.shape == shape
    assert {a.dtype.name for a in (y, biased, grads.dx, grads.dw, grads.db)} == {dtype}
    # small integers: every product is exact, and so is its sum in float64
    assert inner(y, dy) == inner(grads.dx, x) == inner(grads.dw, w)
    assert inner(biased - y, dy) == inner(grads.db, b)


@settings(deadline=None)
@given(problems(), st.integers(0, 999))
def test_a_transposed_correlation_is_the_input_gradient_of_the_plain_one(problem: Any, seed: int) -> None:
    geometry, x_shape, w_shape = problem
    plain = Geometry(geometry.stride, geometry.padding, geometry.dilation, geometry.groups, transposed=False)
    channels = w_shape[1] * plain.groups
    image = (x_shape[0], channels, *x_shape[2:])
    shape = plain.output_shape(image, w_shape)
    dy, w = integers(seed, shape), integers(seed + 1, w_shape)
    dx = ADAPTER.grads(np.zeros(image, np.float32), w, None, dy, plain).dx
    pads, spans = plain.pads(image[2:], w_shape[2:]), plain.spans(w_shape[2:])
    rests = [(n + sum(p) - span) % s for n, p, span, s in zip(image[2:], pads, spans, plain.stride, strict=True)]
    back = Geometry(plain.stride, pads, plain.dilation, plain.groups, transposed=True, output_padding=tuple(rests))
    np.testing.assert_array_equal(ADAPTER.conv2d(dy, w, None, back), dx)


def test_an_impulse_shows_the_kernel_unflipped_in_its_gradient_and_flipped_in_the_output() -> None:
    x, w = np.zeros((1, 1, 3, 5), np.float32), integers(0, (1, 1, 2, 3))
    x[0, 0, 1, 2] = 1
    y = ADAPTER.conv2d(x, w, None, Geometry())
    np.testing.assert_array_equal(y[0, 0], w[0, 0, ::-1, ::-1])
    dy = np.zeros_like(y)
    dy[0, 0, 0, 1] = 1
    dx = ADAPTER.grads(x, w, None, dy, Geometry()).dx
    np.testing.assert_array_equal(dx[0, 0, 0:2, 1:4], w[0, 0])
    assert np.count_nonzero(dx) == np.count_nonzero(w)


def test_a_kernel_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ADAPTER.conv2d(np.ones((1, 1, 2, 3)), np.ones((1, 1, 3, 1)), None, Geometry())


@pytest.mark.parametrize("layer", ["builtin", "custom"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_prints_the_chapters_digits(layer: str, dtype: str) -> None:
    x, y, w0 = (a.astype(dtype)[None, None] if layer == "builtin" else a.astype(dtype) for a in (EDGE, EDGES, START))
    trained = ADAPTER.train(x, y, w0, None, 3e-2, 10, layer, (1, 2))
    assert [f"{loss:.3f}" for loss in trained.losses[1::2]] == ["4.949", "0.831", "0.140", "0.024", "0.004"]
    assert [f"{v:.7f}" for v in trained.weights[-1].ravel()] == ["0.9895000", "-0.9873705"]
    assert len({w.tobytes() for w in trained.weights}) == 11
    assert {a.dtype.name for a in (*trained.losses, *trained.weights)} == {dtype}


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_a_given_bias_is_trained(layer: str) -> None:
    lift = (lambda a: a[None, None]) if layer == "builtin" else (lambda a: a)
    zeros = np.zeros((1, 2), np.float32)
    trained = ADAPTER.train(lift(EDGE), lift(EDGES), lift(zeros), np.ones(1, np.float32), 0.125, 1, layer, (1, 2))
    # at w = 0, b = 1 the residual is 1 - y, whose 42 elements sum to 42
    assert [b.tolist() for b in trained.biases] == [[1.0], [1 - 0.125 * 2 * 42]]


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_an_own_start_is_small_repeatable_and_not_zero(layer: str) -> None:
    x, y = (a[None, None] if layer == "builtin" else a for a in (EDGE, EDGES))
    first, again = (ADAPTER.train(x, y, None, None, 3e-2, 1, layer, (1, 2)).weights[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.all(np.abs(first) < 0.07)
    assert np.all(first != 0)


def test_the_custom_layers_hand_written_gradients_are_adjoint_to_it() -> None:
    layer, x, dy = ADAPTER.Conv2D((2, 3)), integers(0, (5, 7)), integers(1, (4, 5))
    layer.weight, layer.bias = integers(2, (2, 3)), integers(3, (1,))
    grads = layer.backward(x, dy)
    without = layer(x) - layer.bias
    assert inner(without, dy) == inner(grads.dx, x) == inner(grads.dw, layer.weight)
    assert inner(layer.bias, dy) == inner(grads.db, layer.bias)


@pytest.mark.parametrize("loop", ["literal", "idiomatic", "stacked"])
def test_problem_two_has_no_answer_without_autodiff(loop: str) -> None:
    with pytest.raises(Unsupported, match="NumPy has no automatic differentiation"):
        ADAPTER.differentiate_corr2d(EDGE, START, EDGES, loop)


@pytest.mark.parametrize(("device", "mode"), [("cuda:0", "eager"), ("cpu", "compiled")])
def test_other_devices_and_modes_are_refused(device: str, mode: str) -> None:
    with pytest.raises(Unsupported, match="NumPy"):
        NumpyAdapter(device, mode)


def test_tf32_is_refused_and_strict_is_what_numpy_does() -> None:
    ADAPTER.arithmetic("strict")
    ADAPTER.arithmetic("default")
    with pytest.raises(Unsupported, match="TF32"):
        ADAPTER.arithmetic("tf32")


def test_put_and_get_share_no_memory() -> None:
    array = np.zeros(8)
    tensor = ADAPTER.put(array)
    array[:] = 1
    ADAPTER.get(tensor)[:] = 2
    np.testing.assert_array_equal(tensor, np.zeros(8))


def test_identity_names_the_blas_and_offers_eager_on_the_cpu_only() -> None:
    identity = NumpyAdapter.identity()
    assert identity.versions["numpy"] == np.__version__
    assert (identity.devices, identity.modes) == (("cpu",), ("eager",))
