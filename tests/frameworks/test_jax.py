"""What is particular to JAX: its dtypes, its buffers, its pytree layer, its padding and its answers to Problem 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import dtypes
from crosscorrect.adapter import MODES, Unsupported
from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Iterator

jax = pytest.importorskip("jax")
module = pytest.importorskip("crosscorrect_adapters.jax")

EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
DIFFERENCE = np.array([[1, -1]], np.float32)
START = np.array([[0.0068339, 0.01299825]], np.float32)
compiling = settings(max_examples=5, deadline=None)  # every new shape is a compilation


@pytest.fixture(params=MODES)
def adapter(request: pytest.FixtureRequest) -> Any:
    return module.JaxAdapter("cpu", request.param)


@pytest.fixture
def users_precision() -> Iterator[None]:
    yield
    module.JaxAdapter("cpu", "eager").arithmetic("default")


def integers(seed: int, *shape: int, dtype: str = "float64") -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [name for name in dtypes.NAMES if name != "bfloat16"])
def test_every_claimed_dtype_is_kept_from_put_to_get_in_every_operation(adapter: Any, dtype: str) -> None:
    x, k = np.arange(9).reshape(3, 3).astype(dtype), np.arange(4).reshape(2, 2).astype(dtype)
    worked = np.array([[19, 25], [37, 43]], dtype)
    results = [
        adapter.corr2d(adapter.put(x), adapter.put(k)),
        adapter.layer(adapter.put(x), adapter.put(k), adapter.put(np.zeros(1, dtype))),
        adapter.conv2d(adapter.put(x[None, None]), adapter.put(k[None, None]), None, Geometry())[0, 0],
    ]
    for result in map(adapter.get, results):
        assert result.dtype == dtype
        assert np.array_equal(result, worked)
    assert adapter.get(adapter.matmul(adapter.put(x), adapter.put(x))).dtype == dtype


def test_put_shares_no_memory_even_with_an_aligned_buffer() -> None:
    adapter = module.JaxAdapter("cpu", "eager")
    raw = np.zeros(4096 + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    aligned = raw[offset : offset + 4096].view(np.float32)
    shared, tensor = jax.device_put(aligned), adapter.put(aligned)
    aligned[:] = 100
    assert np.asarray(shared)[0] == 100, "JAX no longer aliases: the copy in put has lost its reason"
    assert not adapter.get(tensor).any()


def test_get_returns_a_writable_copy() -> None:
    adapter = module.JaxAdapter("cpu", "eager")
    tensor = adapter.put(EDGE)
    adapter.get(tensor)[:] = 7
    assert np.array_equal(adapter.get(tensor), EDGE)


def test_the_custom_layer_is_a_pytree_whose_leaves_are_weight_and_bias(adapter: Any) -> None:
    layer = adapter.Conv2D((2, 3))
    assert [leaf.shape for leaf in jax.tree_util.tree_leaves(layer)] == [(2, 3), (1,)]
    assert {leaf.dtype.name for leaf in jax.tree_util.tree_leaves(layer)} == {"float32"}
    slope = jax.grad(lambda layer: layer(adapter.put(EDGE)).sum())(layer)
    windows = [[EDGE[i : i + 5, j : j + 6].sum() for j in range(3)] for i in range(2)]
    assert np.array_equal(adapter.get(slope.weight), windows)
    assert adapter.get(slope.bias).tolist() == [30]


@compiling
@given(
    seed=st.integers(0, 2**32 - 1),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    more=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_every_loop_that_runs_has_the_gradient_of_the_builtin_operator(
    seed: int, kernel: tuple[int, int], more: tuple[int, int]
) -> None:
    h, w = kernel
    x, k, dy = (
        integers(seed, h + more[0], w + more[1]),
        integers(seed + 1, h, w),
        integers(seed + 2, more[0] + 1, more[1] + 1),
    )
    for mode in MODES:
        adapter = module.JaxAdapter("cpu", mode)
        x4, k4, dy4 = (adapter.put(array[None, None]) for array in (x, k, dy))
        expected = adapter.grads(x4, k4, None, dy4, Geometry())
        forward = adapter.get(adapter.conv2d(x4, k4, None, Geometry()))[0, 0]
        assert np.array_equal(adapter.get(adapter.corr2d(adapter.put(x), adapter.put(k))), forward)
        for loop in ("idiomatic", "stacked"):
            dx, dk = adapter.differentiate_corr2d(adapter.put(x), adapter.put(k), adapter.put(dy), loop)
            assert np.array_equal(adapter.get(dx), adapter.get(expected.dx)[0, 0])
            assert np.array_equal(adapter.get(dk), adapter.get(expected.dw)[0, 0])


def test_the_literal_loop_raises_that_arrays_are_immutable(adapter: Any) -> None:
    operands = [adapter.put(array) for array in (EDGE, DIFFERENCE, np.ones((6, 7), np.float32))]
    with pytest.raises(TypeError, match=r"JAX arrays are immutable and do not support in-place item assignment\."):
        adapter.differentiate_corr2d(*operands, "literal")


def test_integers_have_no_gradient(adapter: Any) -> None:
    x, k, dy = (adapter.put(np.ones(shape, np.int32)) for shape in ((3, 3), (2, 2), (2, 2)))
    assert adapter.differentiate_corr2d(x, k, dy, "stacked") is None
    with pytest.raises(Unsupported, match="int32 has dtype float0"):
        adapter.grads(x[None, None], k[None, None], None, dy[None, None], Geometry())


@compiling
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), word=st.sampled_from(["same_upper", "same_lower", "valid"]))
def test_jax_means_by_its_padding_words_what_the_geometry_counts(data: st.DataObject, seed: int, word: str) -> None:
    steps = st.tuples(st.integers(1, 3), st.integers(1, 3))
    adapter = module.JaxAdapter("cpu", "eager")
    geometry = Geometry(data.draw(steps), word, data.draw(steps))
    x, w = adapter.put(integers(seed, 2, 2, 8, 7)), adapter.put(integers(seed + 1, 3, 2, *data.draw(steps)))
    explicit = geometry.explicit(x.shape[2:], w.shape[2:])
    assert np.array_equal(
        adapter.get(adapter.conv2d(x, w, None, geometry)), adapter.get(adapter.conv2d(x, w, None, explicit))
    )


@compiling
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), groups=st.integers(1, 3))
def test_transposed_is_the_adjoint_of_the_correlation(data: st.DataObject, seed: int, groups: int) -> None:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride, dilation, kernel = data.draw(pair), data.draw(pair), data.draw(pair)
    pads = tuple(data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2))
    forward = Geometry(stride, pads, dilation, groups)
    x, w = integers(seed, 2, 2 * groups, 7, 8), integers(seed + 1, 3 * groups, 2, *kernel)
    shape = forward.output_shape(x.shape, w.shape)
    back = Geometry(stride, pads, dilation, groups, transposed=True)
    rest = tuple(n - m for n, m in zip(x.shape[2:], back.output_size(shape[2:], kernel), strict=True))
    back = Geometry(stride, pads, dilation, groups, transposed=True, output_padding=rest)
    y = integers(seed + 2, *shape)
    adapter = module.JaxAdapter("cpu", "eager")
    ahead = adapter.get(adapter.conv2d(adapter.put(x), adapter.put(w), None, forward))
    behind = adapter.get(adapter.conv2d(adapter.put(y), adapter.put(w), None, back))
    assert behind.shape == x.shape
    assert (ahead * y).sum() == (x * behind).sum()


@pytest.mark.parametrize(
    "dtype",
    [
        pytest.param("float32", marks=pytest.mark.xfail(reason="https://github.com/openxla/xla/issues/48713")),
        "float64",
    ],
)
def test_an_image_that_is_cropped_at_its_begin_and_padded_at_its_end_ends_in_zeros(adapter: Any, dtype: str) -> None:
    # Two rows are cropped and two padded. XLA's float32 code on a CPU reads on after the end of the image instead.
    geometry = Geometry(padding=((4, 0), (2, 2)), transposed=True)
    x, w = np.arange(1, 43, dtype=dtype).reshape(1, 1, 6, 7), np.ones((1, 1, 3, 3), dtype)
    last_row = adapter.get(adapter.conv2d(adapter.put(x), adapter.put(w), None, geometry))[0, 0, -1]
    sums = np.convolve(x[0, 0, -1], np.ones(3), "valid")
    assert np.array_equal(last_row, sums)


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_training_prints_the_digits_of_the_chapter(adapter: Any, layer: str) -> None:
    x, y, w0 = EDGE, adapter.get(adapter.corr2d(adapter.put(EDGE), adapter.put(DIFFERENCE))), START
    if layer == "builtin":
        x, y, w0 = x[None, None], y[None, None], w0[None, None]
    trained = adapter.train(adapter.put(x), adapter.put(y), adapter.put(w0), None, 3e-2, 10, layer, (1, 2))
    assert [f"{float(loss):.3f}" for loss in trained.losses[1::2]] == ["4.949", "0.831", "0.140", "0.024", "0.004"]
    assert len(trained.weights) == 11
    assert trained.biases == []
    assert np.array_equal(adapter.get(trained.weights[0]), w0)
    assert str(adapter.get(trained.weights[-1]).ravel()) == "[ 0.9895    -0.9873705]"


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_training_from_the_own_start_updates_a_bias_only_where_one_is_given(adapter: Any, layer: str) -> None:
    x = EDGE[None, None] if layer == "builtin" else EDGE
    y = np.ones((1, 1, 6, 7), np.float32)[(0, 0) if layer == "custom" else ...]
    without, given_one = (
        adapter.train(adapter.put(x), adapter.put(y), None, b0, 0.01, 1, layer, (1, 2))
        for b0 in (None, adapter.put(np.zeros(1, np.float32)))
    )
    assert adapter.get(without.weights[0]).all()
    assert without.biases == []
    assert np.array_equal(adapter.get(without.weights[1]), adapter.get(given_one.weights[1]))
    assert [adapter.get(bias).any() for bias in given_one.biases] == [False, True]


@pytest.mark.usefixtures("users_precision")
def test_strict_sets_the_highest_precision_and_default_leaves_it_to_the_user(adapter: Any) -> None:
    adapter.arithmetic("strict")
    assert jax.config.jax_default_matmul_precision == "highest"
    adapter.arithmetic("default")
    assert jax.config.jax_default_matmul_precision == module._USERS_PRECISION


@pytest.mark.parametrize("kind", ["tf32", "bf16"])
def test_reduced_operands_are_refused_on_a_cpu(adapter: Any, kind: str) -> None:
    with pytest.raises(Unsupported, match="no effect on XLA's CPU backend"):
        adapter.arithmetic(kind)


def test_put_lets_compiled_programs_go_when_there_are_too_many(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = adapter.put(np.ones((1, 1, 9, 4), np.float32)), adapter.put(np.ones((1, 1, 2, 2), np.float32))
    first = adapter.get(adapter.conv2d(x, w, None, Geometry()))
    module._events.clear()
    adapter.conv2d(x, w, None, Geometry())
    assert module._events[module._COMPILED] == 0, "a second call compiles nothing"
    monkeypatch.setattr(module, "_PROGRAMS_KEPT", -1)
    adapter.put(EDGE)
    assert np.array_equal(adapter.get(adapter.conv2d(x, w, None, Geometry())), first)
    assert module._events[module._COMPILED] > 0, "the programs are gone, so they are compiled again"


def test_a_mode_a_layer_or_an_arithmetic_of_another_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="mode 'lazy'"):
        module.JaxAdapter("cpu", "lazy")
    adapter = module.JaxAdapter("cpu", "eager")
    x = adapter.put(EDGE)
    with pytest.raises(ValueError, match="layer 'dense'"):
        adapter.train(x, x, None, None, 0.1, 1, "dense", (1, 1))


def test_identity_names_the_installed_versions() -> None:
    identity = module.JaxAdapter.identity()
    assert identity.name == "jax"
    assert identity.versions["jax"] == jax.__version__
    assert "jaxlib" in identity.versions
    assert "cpu" in identity.devices


def test_the_gradient_of_complex_numbers_is_not_conjugated() -> None:
    adapter = module.JaxAdapter("cpu", "eager")
    x, w, dy = (adapter.put(np.full((1, 1, 1, 1), value, np.complex64)) for value in (2 + 1j, 3 - 1j, 1j))
    grads = adapter.grads(x, w, None, dy, Geometry())
    assert adapter.get(grads.dx).item() == 1j * (3 - 1j)
    assert adapter.get(grads.dw).item() == 1j * (2 + 1j)


def test_with_the_channels_last_the_operator_is_given_arrays_that_lie_so() -> None:
    x, w = integers(0, 2, 3, 5, 4), integers(1, 6, 3, 2, 2)
    image, kernel, _ = module.conv.laid(x, w, None, Geometry(), "channels_last")
    assert (image.shape, kernel.shape) == ((2, 5, 4, 3), (2, 2, 3, 6))
    text = str(
        jax.make_jaxpr(lambda x, w: module.conv.correlate(x, w, None, Geometry(), "channels_last"))(image, kernel)
    )
    assert "transpose" not in text
    assert "lhs_spec=(0, 3, 1, 2)" in text


WRONG: dict[str, tuple[Any, Any, int, Geometry, str]] = {
    "stride 0": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry((0, 1)), "positive stride"),
    "dilation 0": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry(dilation=(0, 1)), "dilations must be positive"),
    "groups 0": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry(groups=0), "must be a positive integer"),
    "groups 0, transposed": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry(groups=0, transposed=True), "positive integer"),
    "channels": ((1, 3, 5, 6), (2, 2, 2, 2), 2, Geometry(), "feature dimension size"),
    "bias": ((1, 2, 5, 6), (2, 2, 2, 2), 1, Geometry(), "cannot reshape"),
    "rank": ((2, 5, 6), (2, 2, 2, 2), 2, Geometry(), "ndim to be equal"),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_answered_by_jax(adapter: Any, what: str) -> None:
    x, w, b, geometry, words = WRONG[what]
    with pytest.raises((ValueError, TypeError), match=words):
        adapter.conv2d(
            adapter.put(integers(0, *x)), adapter.put(integers(1, *w)), adapter.put(integers(2, b)), geometry
        )
