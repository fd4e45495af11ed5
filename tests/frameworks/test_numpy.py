"""What is particular to NumPy: gradients written by hand, no autodiff, no compiler, one device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import dtypes
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
@given(problems(), st.sampled_from(dtypes.COMPLEX), st.integers(0, 999))
def test_of_complex_numbers_the_adjoints_conjugate(problem: Any, dtype: str, seed: int) -> None:
    geometry, x_shape, w_shape = problem
    shape = geometry.output_shape(x_shape, w_shape)
    turned = (
        integers(seed + i, s, dtype) + 1j * integers(seed + 9 + i, s, dtype)
        for i, s in enumerate((x_shape, w_shape, shape))
    )
    x, w, dy = (array.astype(dtype) for array in turned)
    y, grads = ADAPTER.conv2d(x, w, None, geometry), ADAPTER.grads(x, w, None, dy, geometry)
    # the inner product that conjugates its first factor: <dy, y> is the same through either adjoint
    products = [np.vdot(dy, y), np.vdot(grads.dx, x), np.vdot(grads.dw, w)]
    assert {a.dtype.name for a in (y, grads.dx, grads.dw)} == {dtype}
    assert len(set(products)) == 1


@settings(deadline=None)
@given(problems(), st.sampled_from(["float16", "bfloat16"]), st.integers(0, 999))
def test_16_bit_numbers_are_computed_in_float32_and_rounded_once(problem: Any, dtype: str, seed: int) -> None:
    geometry, x_shape, w_shape = problem
    rng = np.random.default_rng(seed)
    shape = geometry.output_shape(x_shape, w_shape)
    narrow = [dtypes.narrow(rng.standard_normal(s), dtype) for s in (x_shape, w_shape, shape[1:2], shape)]
    wide = [np.asarray(dtypes.widen(a), np.float32) for a in narrow]
    grads, standard = ADAPTER.grads(*narrow, geometry), ADAPTER.grads(*wide, geometry)
    pairs = [(ADAPTER.conv2d(*narrow[:3], geometry), ADAPTER.conv2d(*wide[:3], geometry)), (grads.dx, standard.dx)]
    for got, expected in [*pairs, (grads.dw, standard.dw), (grads.db, standard.db)]:
        assert dtypes.name_of(got.dtype) == dtype
        assert got.tobytes() == dtypes.narrow(expected, dtype).tobytes()


@settings(deadline=None)
@given(problems(), st.sampled_from(dtypes.INTEGER), st.integers(0, 999))
def test_integers_wrap(problem: Any, dtype: str, seed: int) -> None:
    geometry, x_shape, w_shape = problem
    rng, limits = np.random.default_rng(seed), np.iinfo(dtype)
    x, w = (rng.integers(limits.min, limits.max, s, dtype, endpoint=True) for s in (x_shape, w_shape))
    b = rng.integers(limits.min, limits.max, geometry.output_shape(x_shape, w_shape)[1:2], dtype, endpoint=True)
    residues = ADAPTER.conv2d(*(a.astype(np.uint64) for a in (x, w, b)), geometry)  # all of them, modulo 2**64
    np.testing.assert_array_equal(ADAPTER.conv2d(x, w, b, geometry), residues.astype(dtype))


@pytest.mark.parametrize("dtype", dtypes.INTEGER)
def test_a_product_that_wraps_by_hand(dtype: str) -> None:
    most = int(np.iinfo(dtype).max)
    x, w = np.full((1, 1, 1, 2), most, dtype), np.array([[[[2, 1]]]], dtype)
    ring = 2 ** np.iinfo(dtype).bits
    wrapped = 3 * most % ring
    assert ADAPTER.conv2d(x, w, None, Geometry()).item() == wrapped - (ring if wrapped > most else 0)


EMPTY: dict[str, tuple[Any, Any, Geometry, Any]] = {
    "batch": ((0, 3, 5, 6), (4, 3, 2, 2), Geometry(), (0, 4, 4, 5)),
    "channels": ((2, 0, 5, 6), (4, 0, 2, 2), Geometry(), (2, 4, 4, 5)),
    "image": ((2, 3, 0, 6), (4, 3, 1, 2), Geometry(), (2, 4, 0, 5)),
    "image between padding": ((2, 3, 0, 6), (4, 3, 2, 2), Geometry(padding=((1, 1), (0, 0))), (2, 4, 1, 5)),
    "outputs": ((2, 3, 5, 6), (0, 3, 2, 2), Geometry(), (2, 0, 4, 5)),
    "batch, transposed": ((0, 3, 4, 6), (3, 4, 2, 2), Geometry(transposed=True), (0, 4, 5, 7)),
    "image, transposed": ((2, 3, 0, 6), (3, 4, 2, 2), Geometry(transposed=True), (2, 4, 1, 7)),
    "all taken off": ((2, 3, 2, 6), (3, 4, 1, 2), Geometry(padding=((1, 1), (0, 0)), transposed=True), (2, 4, 0, 7)),
}


@pytest.mark.parametrize("what", EMPTY)
def test_what_is_empty_has_the_bias_everywhere_and_gradients_of_zero(what: str) -> None:
    x, w, geometry, shape = EMPTY[what]
    b, dy = np.arange(1, shape[1] + 1, dtype=np.float32), np.ones(shape, np.float32)
    arrays = np.ones(x, np.float32), np.ones(w, np.float32), b
    y, grads = ADAPTER.conv2d(*arrays, geometry), ADAPTER.grads(*arrays, dy, geometry)
    assert y.shape == shape == geometry.output_shape(x, w)
    if "outputs" not in what:
        np.testing.assert_array_equal(y, np.broadcast_to(b.reshape(-1, 1, 1), shape))
    assert (grads.dx.shape, grads.dw.shape) == (x, w)
    assert not grads.dx.any()
    assert not grads.dw.any()
    np.testing.assert_array_equal(grads.db, dy.sum((0, 2, 3)))


WRONG: dict[str, tuple[Any, Any, int, Geometry, str]] = {
    "stride 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry((0, 1)), "must be positive"),
    "a word at stride 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry((0, 1), "same_upper"), "must be positive"),
    "dilation 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(dilation=(0, 1)), "must be positive"),
    "groups 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(groups=0), "must be positive"),
    "negative padding": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(padding=((-1, 0), (0, 0))), "not be negative"),
    "groups": ((1, 2, 5, 6), (3, 1, 2, 2), 3, Geometry(groups=2), "do not divide"),
    "channels": ((1, 4, 5, 6), (4, 2, 2, 2), 4, Geometry(), "x has 4 channels"),
    "bias": ((1, 2, 5, 6), (4, 2, 2, 2), 1, Geometry(), "a bias of shape"),
    "rank": ((2, 5, 6), (4, 2, 2, 2), 4, Geometry(), "of 4 axes"),
    "no kernel": ((1, 2, 5, 6), (4, 2, 0, 2), 4, Geometry(), "has no elements"),
    "too much taken off": (
        (1, 2, 5, 6),
        (2, 4, 2, 2),
        4,
        Geometry(padding=((4, 3), (0, 0)), transposed=True),
        "not fit",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_arguments_that_do_not_fit_are_an_error_forward_and_backward(what: str) -> None:
    x, w, b, geometry, words = WRONG[what]
    arrays = [np.ones(shape, np.float32) for shape in (x, w, (b,))]
    with pytest.raises(ValueError, match=words):
        ADAPTER.conv2d(*arrays, geometry)
    with pytest.raises(ValueError, match=words):
        ADAPTER.grads(*arrays, np.ones((1, 4, 4, 5), np.float32), geometry)


def test_an_output_gradient_of_another_shape_is_an_error() -> None:
    x, w = np.ones((1, 2, 5, 6), np.float32), np.ones((4, 2, 2, 2), np.float32)
    with pytest.raises(ValueError, match="dy has shape"):
        ADAPTER.grads(x, w, None, np.ones((1, 4, 4, 1), np.float32), Geometry())


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


def test_tf32_and_bf16_are_refused_and_strict_is_what_numpy_does() -> None:
    ADAPTER.arithmetic("strict")
    ADAPTER.arithmetic("default")
    for kind in ("tf32", "bf16"):
        with pytest.raises(Unsupported, match=kind.upper()):
            ADAPTER.arithmetic(kind)


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
