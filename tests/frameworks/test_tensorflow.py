"""What is particular to TensorFlow: its kernels' gaps, Problem 2's silent None, the Keras layer, its refusals."""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect.adapter import Unsupported
from crosscorrect.geometry import Geometry

pytest.importorskip("tensorflow")
adapter_module = importlib.import_module("crosscorrect_adapters.tensorflow")
tf: Any = adapter_module.tf
keras: Any = adapter_module.keras
Adapter: Any = adapter_module.TensorflowAdapter

X = np.arange(9, dtype=np.float32).reshape(3, 3)
K = np.arange(4, dtype=np.float32).reshape(2, 2)
DY = np.array([[1, -2], [3, 5]], dtype=np.float32)
EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
EDGES = EDGE[:, :-1] - EDGE[:, 1:]
START = np.array([[0.0068339, 0.01299825]], np.float32)
CORRELATION = np.array([[19, 25], [37, 43]], np.float32)


@pytest.fixture(params=["eager", "compiled"])
def adapter(request: pytest.FixtureRequest) -> Any:
    made = Adapter("cpu", request.param)
    made.arithmetic("strict")
    return made


def integers(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def taps(x_shape: Any, w_shape: Any, y_shape: Any, geometry: Geometry) -> Any:
    """Every term of the definition, as the indices (of x, of w, of y) that it multiplies and adds to.

    A transposed correlation has the terms of the correlation with x and y exchanged, so ``fine`` is its y.
    """
    fine, coarse = (y_shape, x_shape) if geometry.transposed else (x_shape, y_shape)
    pads = geometry.pads(x_shape[2:], w_shape[2:])
    per_group = w_shape[0] // geometry.groups
    indices = itertools.product(*map(range, (x_shape[0], *w_shape, *coarse[2:])))
    for n, first, second, *rest in indices:
        tap, at = rest[: geometry.rank], rest[geometry.rank :]
        moves = zip(at, geometry.stride, tap, geometry.dilation, pads, strict=True)
        source = [p * s + t * d - pad[0] for p, s, t, d, pad in moves]
        if all(0 <= i < size for i, size in zip(source, fine[2:], strict=True)):
            of_fine, of_coarse = (n, first // per_group * w_shape[1] + second, *source), (n, first, *at)
            of_x, of_y = (of_coarse, of_fine) if geometry.transposed else (of_fine, of_coarse)
            yield of_x, (first, second, *tap), of_y


def by_definition(x: Any, w: Any, dy: Any, geometry: Geometry) -> tuple[Any, Any, Any]:
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    for at_x, at_w, at_y in taps(x.shape, w.shape, dy.shape, geometry):
        y[at_y] += float(x[at_x]) * float(w[at_w])
        dx[at_x] += float(dy[at_y]) * float(w[at_w])
        dw[at_w] += float(dy[at_y]) * float(x[at_x])
    return y, dx, dw


@st.composite
def gaps(draw: st.DrawFn) -> tuple[Geometry, tuple[int, ...], tuple[int, ...], str]:
    """Geometries, shapes and dtypes for which TensorFlow's native CPU kernels have gaps: dilated or grouped."""
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    axes = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731  drawn many times
    groups, dilation = draw(st.sampled_from([(1, 2), (2, 1), (3, 2)]))
    transposed = draw(st.booleans())
    padding: Any = tuple(zip(axes(0, 2), axes(0, 2), strict=True))
    if not transposed:
        padding = draw(st.sampled_from(["valid", "same_upper", "same_lower", padding]))
    extra = axes(0, 2) if transposed else (0,) * rank
    geometry = Geometry(axes(1, 3), padding, (dilation,) * rank, groups, transposed, extra)
    kernel, image = axes(1, 2), axes(5, 6)
    channels, others = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    x = (2, channels * groups, *image)
    w = (channels * groups, others, *kernel) if transposed else (others * groups, channels, *kernel)
    return geometry, x, w, draw(st.sampled_from(["float32", "float64", "float16"]))


@settings(max_examples=25, deadline=None)
@given(gaps(), st.sampled_from(["eager", "compiled"]), st.integers(0, 999))
def test_dilated_and_grouped_are_exact_on_integers_in_every_direction(problem: Any, mode: str, seed: int) -> None:
    geometry, x_shape, w_shape, dtype = problem
    made = Adapter("cpu", mode)
    x, w = integers(seed, x_shape, dtype), integers(seed + 1, w_shape, dtype)
    shape = geometry.output_shape(x_shape, w_shape)
    if dtype == "float16":  # integers above 2048 are not exact there
        x, w = np.sign(x), np.sign(w)
    b, dy = integers(seed + 2, shape[1:2], dtype), np.sign(integers(seed + 3, shape, dtype))
    y, dx, dw = by_definition(x, w, dy, geometry)
    put = [made.put(array) for array in (x, w, b, dy)]
    grads = made.grads(*put, geometry)
    got = [made.get(t) for t in (made.conv2d(*put[:3], geometry), grads.dx, grads.dw, grads.db)]
    space = range(2, geometry.rank + 2)
    want = [y + b.reshape(-1, *(1 for _ in space)), dx, dw, dy.sum((0, *space))]
    assert [(g.dtype, g.shape) for g in got] == [(np.dtype(dtype), e.shape) for e in want]
    assert all(np.array_equal(g, e) for g, e in zip(got, want, strict=True))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("word", "want"), [("same_upper", [21, 32, 3]), ("same_lower", [10, 21, 32])])
def test_each_same_puts_the_odd_zero_on_its_own_side(adapter: Any, rank: int, word: str, want: list[int]) -> None:
    ones = (1,) * (rank + 1)
    x, w = (np.array(a, np.float32).reshape(*ones, len(a)) for a in ([1, 2, 3], [1, 10]))
    y = adapter.conv2d(adapter.put(x), adapter.put(w), None, Geometry(ones[1:], word, ones[1:]))
    assert np.array_equal(adapter.get(y), np.reshape(want, x.shape))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
def test_unequal_dilations_in_3d_are_exact_although_the_shape_function_swaps_them(
    adapter: Any, dtype: str, transposed: bool
) -> None:
    geometry = Geometry((1, 1, 1), ((1, 0), (0, 0), (0, 2)), (2, 1, 4), 1, transposed, (0, 0, 0))
    x_shape, w_shape = (1, 2, 4, 3, 4), (2, 2, 2, 3, 2)  # the height fits its dilation 1 and not 4
    shape = geometry.output_shape(x_shape, w_shape)
    x, w, dy = (integers(i, size, dtype) for i, size in enumerate((x_shape, w_shape, shape)))
    put = [adapter.put(array) for array in (x, w, dy)]
    grads = adapter.grads(*put[:2], None, put[2], geometry)
    got = [adapter.conv2d(*put[:2], None, geometry), grads.dx, grads.dw]
    assert all(np.array_equal(adapter.get(g), e) for g, e in zip(got, by_definition(x, w, dy, geometry), strict=True))


def test_a_padding_list_loses_the_gradient_that_padding_first_keeps() -> None:
    x, w = tf.ones((1, 5, 6, 1)), tf.ones((2, 2, 1, 1))
    counts = [(0, 0), (1, 0), (0, 2), (0, 0)]

    def gradient(pad_first: bool) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(w)
            image, padding = (tf.pad(x, counts), "VALID") if pad_first else (x, counts)
            y = tf.nn.conv2d(image, w, 1, padding, dilations=2)
        return tape.gradient(y, w)

    with pytest.raises(tf.errors.InvalidArgumentError, match="dilation rates larger than 1"):
        gradient(pad_first=False)
    assert gradient(pad_first=True).shape == w.shape


def test_the_loop_the_layer_and_the_operator_agree_on_the_chapter(adapter: Any) -> None:
    x, k = adapter.put(X), adapter.put(K)
    four = adapter.conv2d(adapter.put(X[None, None]), adapter.put(K[None, None]), None, Geometry())
    assert np.array_equal(adapter.get(adapter.corr2d(x, k)), CORRELATION)
    assert np.array_equal(adapter.get(adapter.layer(x, k, adapter.put(np.float32([7])))), CORRELATION + 7)
    assert np.array_equal(adapter.get(adapter.layer(x, k, adapter.put(np.float32([-1])))), CORRELATION - 1)
    assert np.array_equal(adapter.get(four)[0, 0], CORRELATION)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "int64"])
def test_the_loop_keeps_the_dtype(adapter: Any, dtype: str) -> None:
    y = adapter.get(adapter.corr2d(adapter.put(X.astype(dtype)), adapter.put(K.astype(dtype))))
    assert y.dtype == dtype
    assert np.array_equal(y, CORRELATION)


def test_the_literal_loop_is_refused_with_a_type_error(adapter: Any) -> None:
    x, k, dy = (adapter.put(a) for a in (X, K, DY))
    with pytest.raises(TypeError, match="object does not support item assignment"):
        adapter.differentiate_corr2d(x, k, dy, "literal")


def test_assigned_elements_have_silently_no_gradient() -> None:
    made = Adapter("cpu", "eager")
    assert made.differentiate_corr2d(*(made.put(a) for a in (X, K, DY)), "idiomatic") is None


def test_assigned_elements_cannot_be_compiled() -> None:
    made = Adapter("cpu", "compiled")
    with pytest.raises(ValueError, match=r"singleton tf\.Variable"):
        made.differentiate_corr2d(*(made.put(a) for a in (X, K, DY)), "idiomatic")


def test_stacked_elements_are_differentiable(adapter: Any) -> None:
    _, dx, dk = by_definition(X[None, None], K[None, None], DY[None, None], Geometry())
    got = adapter.differentiate_corr2d(*(adapter.put(a) for a in (X, K, DY)), "stacked")
    assert np.array_equal(adapter.get(got[0]), dx[0, 0])
    assert np.array_equal(adapter.get(got[1]), dk[0, 0])


def test_the_layer_is_a_keras_layer_whose_parameters_train(adapter: Any) -> None:
    layer = adapter.Conv2D((2, 3))
    assert isinstance(layer, keras.layers.Layer)
    assert [tuple(v.shape) for v in layer.trainable_variables] == [(2, 3), (1,)]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(tf.ones((4, 5)), training=True))
    weight, bias = tape.gradient(total, [layer.weight, layer.bias])
    assert np.array_equal(weight, np.full((2, 3), 9))
    assert np.array_equal(bias, [9])


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_training_prints_the_chapters_digits(adapter: Any, layer: str) -> None:
    x, y, w0 = (a[None, None] if layer == "builtin" else a for a in (EDGE, EDGES, START))
    trained = adapter.train(adapter.put(x), adapter.put(y), adapter.put(w0), None, 3e-2, 10, layer, (1, 2))
    weights = [adapter.get(w) for w in trained.weights]
    assert [f"{float(adapter.get(loss)):.3f}" for loss in trained.losses[1::2]] == [
        "4.949",
        "0.831",
        "0.140",
        "0.024",
        "0.004",
    ]
    assert [f"{v:.7f}" for v in weights[-1].ravel()] == ["0.9895000", "-0.9873705"]
    assert np.array_equal(weights[0], w0)
    assert len({w.tobytes() for w in weights}) == 11  # the history is not eleven views of one variable
    assert {w.shape for w in weights} == {w0.shape}


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_a_given_bias_is_trained_in_the_dtype_of_the_image(adapter: Any, layer: str) -> None:
    lift = (lambda a: a[None, None]) if layer == "builtin" else (lambda a: a)
    x, y, w0 = (adapter.put(lift(a.astype(np.float64))) for a in (EDGE, EDGES, np.zeros((1, 2))))
    trained = adapter.train(x, y, w0, adapter.put(np.array([1.0])), 0.125, 1, layer, (1, 2))
    # at w = 0, b = 1 the residual is 1 - y: 42 elements of which six are +1 and six are -1, which sum to zero
    assert float(adapter.get(trained.losses[0])) == np.sum((1 - EDGES) ** 2)
    assert [adapter.get(b).tolist() for b in trained.biases] == [[1.0], [1 - 0.125 * 2 * 42]]
    assert adapter.get(trained.weights[-1]).dtype == np.float64


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_training_without_a_start_uses_keras_own_initialisation_and_starts_the_same_again(
    adapter: Any, layer: str
) -> None:
    lift = (lambda a: a[None, None]) if layer == "builtin" else (lambda a: a)
    x, y = adapter.put(lift(EDGE)), adapter.put(lift(EDGES))
    starts = []
    for _ in "ab":
        starts.append(adapter.get(adapter.train(x, y, None, None, 3e-2, 1, layer, (1, 2)).weights[0]))
        keras.layers.Conv2D(1, (1, 2)).build((1, 6, 8, 1))  # another layer's draw, which must not move the second start
    assert np.array_equal(*starts)
    assert len(np.unique(starts[0])) == 2


def test_training_from_a_given_start_seeds_nothing(adapter: Any) -> None:
    tensors = [adapter.put(a[None, None]) for a in (EDGE, EDGES, START)]
    drawn = set()
    for seed in (1, 2):
        random.seed(seed)
        adapter.train(*tensors, None, 3e-2, 1, "builtin", (1, 2))
        drawn.add(random.random())  # noqa: S311  not a secret, but the state that Keras draws its seeds from
    assert len(drawn) == 2


def test_put_and_get_share_no_memory(adapter: Any) -> None:
    array = np.zeros(4096, np.float64)
    tensor = adapter.put(array)
    array[:] = 1
    adapter.get(tensor)[:] = 2
    assert np.array_equal(adapter.get(tensor), np.zeros(4096))


def test_many_shapes_are_compiled_without_retracing() -> None:
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    tf.get_logger().addHandler(handler)
    made = Adapter("cpu", "compiled")
    try:
        for size in range(2, 12):
            made.matmul(made.put(np.ones((size, 2), np.float32)), made.put(np.ones((2, 1), np.float32)))
            made.differentiate_corr2d(*(made.put(a) for a in (X, K, DY)), "stacked")
    finally:
        tf.get_logger().removeHandler(handler)
    assert [line for line in said if "retracing" in line] == []


def test_a_dtype_without_a_kernel_is_unsupported_in_tensorflows_words(adapter: Any) -> None:
    x, w = adapter.put(np.ones((1, 1, 3, 3), np.int64)), adapter.put(np.ones((1, 1, 2, 2), np.int64))
    with pytest.raises(Unsupported, match=r"list of allowed values"):
        adapter.conv2d(x, w, None, Geometry())


def test_integers_have_no_gradient_and_say_so(adapter: Any) -> None:
    x, w = adapter.put(np.ones((1, 1, 3, 3), np.int32)), adapter.put(np.ones((1, 1, 2, 2), np.int32))
    with pytest.raises(Unsupported, match="must be floating"):
        adapter.grads(x, w, None, adapter.put(np.ones((1, 1, 2, 2), np.int32)), Geometry())


def test_a_wrong_request_is_tensorflows_error_and_no_refusal(adapter: Any) -> None:
    x, w = adapter.put(np.ones((1, 3, 4, 4), np.float32)), adapter.put(np.ones((1, 2, 2, 2), np.float32))
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        adapter.conv2d(x, w, None, Geometry())


def test_a_device_that_is_not_there_is_refused_and_not_replaced_by_the_cpu() -> None:
    with pytest.raises(Unsupported, match="cuda:99"):
        Adapter("cuda:99", "eager")


@pytest.mark.skipif(len(Adapter.identity().devices) > 1, reason="a GPU has TensorFloat-32")
def test_tf32_is_refused_without_a_gpu() -> None:
    with pytest.raises(Unsupported, match="GPU"):
        Adapter("cpu", "eager").arithmetic("tf32")


def test_strict_switches_tf32_off_and_default_restores_it() -> None:
    made = Adapter("cpu", "eager")
    made.arithmetic("strict")
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    made.arithmetic("default")
    assert tf.config.experimental.tensor_float_32_execution_enabled() == adapter_module.OWN_TF32


def test_identity_tells_that_onednn_is_off() -> None:
    code = "from crosscorrect_adapters.tensorflow import TensorflowAdapter as A; print(A.identity().notes[0])"
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith("oneDNN is off")


def test_bf16_is_refused() -> None:
    with pytest.raises(Unsupported, match="no switch that rounds float32 operands to bfloat16"):
        Adapter("cpu", "eager").arithmetic("bf16")


def test_groups_that_tensorflow_cannot_be_told_are_refused_and_not_guessed(adapter: Any) -> None:
    x, w = adapter.put(np.ones((1, 4, 5, 6), np.float32)), adapter.put(np.ones((6, 1, 2, 2), np.float32))
    with pytest.raises(Unsupported, match="not told of groups"):
        adapter.conv2d(x, w, None, Geometry(groups=3))


WRONG: dict[str, tuple[Any, Any, int, Geometry]] = {
    "stride 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry((0, 1))),
    "a word at stride 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry((0, 1), "same_lower")),
    "dilation 0, which asks for no detour": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(dilation=(0, 2))),
    "channels": ((1, 4, 5, 6), (4, 3, 2, 2), 4, Geometry()),
    "bias": ((1, 2, 5, 6), (4, 2, 2, 2), 1, Geometry()),
    "rank of the kernel": ((1, 2, 5, 6), (4, 2, 2), 4, Geometry()),
    "negative padding, transposed": (
        (1, 2, 5, 6),
        (2, 4, 2, 2),
        4,
        Geometry(padding=((-1, 0), (0, 0)), transposed=True),
    ),
    "more taken off than there is": (
        (1, 2, 5, 6),
        (2, 4, 2, 2),
        4,
        Geometry(padding=((4, 3), (0, 0)), transposed=True),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_answered_by_tensorflow(adapter: Any, what: str) -> None:
    x, w, b, geometry = WRONG[what]
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        adapter.conv2d(*(adapter.put(np.ones(s, np.float32)) for s in (x, w, (b,))), geometry)


def test_a_layer_takes_no_seed_from_pythons_generator(adapter: Any) -> None:
    x, w = adapter.put(np.ones((1, 2, 5, 6), np.float32)), adapter.put(np.ones((4, 2, 2, 2), np.float32))
    state = random.getstate()
    adapter.conv2d(x, w, None, Geometry(), spelling="module")
    assert random.getstate() == state


def test_a_kept_layer_is_given_the_parameters_of_each_call(adapter: Any) -> None:
    x = adapter.put(np.ones((1, 1, 2, 2), np.float32))
    for value in (1, 2):
        w, b = adapter.put(np.full((1, 1, 2, 2), value, np.float32)), adapter.put(np.array([value], np.float32))
        assert adapter.get(adapter.conv2d(x, w, b, Geometry(), spelling="module")).item() == 5 * value


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (Geometry((2, 2), dilation=(2, 2)), "not supported in conjunction with"),
        (Geometry(padding=((1, 0), (0, 0))), "has the paddings 'valid' and 'same'"),
        (Geometry(groups=2, transposed=True), "has no groups"),
    ],
)
def test_what_a_keras_layer_cannot_say_is_refused(adapter: Any, geometry: Geometry, words: str) -> None:
    x, w = adapter.put(np.ones((1, 4, 6, 7), np.float32)), adapter.put(np.ones((4, 4, 2, 2), np.float32))
    with pytest.raises(Unsupported, match=words):
        adapter.conv2d(x, w, None, geometry, spelling="module")
