"""What is particular to MXNet: asynchronous errors, the narrowing of float64, Problem 2, its own start, its defects."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

mx = pytest.importorskip("mxnet")

from crosscorrect import dtypes  # noqa: E402  likewise
from crosscorrect.adapter import Unsupported  # noqa: E402  after the guard: the adapter imports MXNet
from crosscorrect.geometry import Geometry  # noqa: E402  likewise
from crosscorrect_adapters import _mxnet_engine as engine  # noqa: E402  likewise
from crosscorrect_adapters.mxnet import MxnetAdapter  # noqa: E402  likewise

Array = np.ndarray[Any, Any]

EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
KERNEL = np.array([[1, -1]], np.float32)
LOSSES = ["4.949", "0.831", "0.140", "0.024", "0.004"]  # the chapter's Out [8]
WEIGHT = "[[ 0.9895    -0.9873705]]"  # the chapter's Out [9]


@pytest.fixture(params=["eager", "compiled"])
def adapter(request: pytest.FixtureRequest) -> MxnetAdapter:
    return MxnetAdapter("cpu", request.param)


def integers(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-4, 5, size=shape).astype(dtype)


def correlate(x: Array, k: Array) -> Array:
    """The definition, in float64."""
    h, w = k.shape
    rows, columns = x.shape[0] - h + 1, x.shape[1] - w + 1
    return np.array([[(x[i : i + h, j : j + w] * k).sum() for j in range(columns)] for i in range(rows)], np.float64)


def adjoint(y: Array, k: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of ``correlate`` in its image, by the definition."""
    x = np.zeros(shape)
    for (i, j), value in np.ndenumerate(y):
        x[i : i + k.shape[0], j : j + k.shape[1]] += value * k
    return x


def assert_computes(adapter: MxnetAdapter, times: int = 8) -> None:
    """A correct forward and backward, several times: MXNet rotates its temporary spaces, where errors can stay."""
    x, w = integers(2, 3, 7, 6), integers(4, 3, 3, 2, seed=1)
    expected = sum(correlate(x[1, c], w[2, c]) for c in range(3))
    for _ in range(times):
        px, pw = adapter.put(x), adapter.put(w)
        y = adapter.conv2d(px, pw, None, Geometry())
        assert np.array_equal(adapter.get(y)[1, 2], expected)
        grads = adapter.grads(px, pw, None, adapter.put(np.ones(y.shape, np.float32)), Geometry())
        assert np.array_equal(adapter.get(grads.dw)[0, 1], correlate(x.sum(axis=0)[1], np.ones(y.shape[2:])))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int8", "uint8"])
def test_put_keeps_the_dtype_and_copies(adapter: MxnetAdapter, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = adapter.put(array)
    array[:] = 9
    assert adapter.get(tensor).dtype == dtype
    assert adapter.get(tensor).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3)), seed=st.integers(0, 99)
)
def test_corr2d_layer_and_gradients_of_the_stacked_loop_are_exact_on_integers(
    dtype: str, sizes: tuple[int, int, int, int], seed: int
) -> None:
    h, w = sizes[2:]
    x, k = (
        integers(sizes[0] + h - 1, sizes[1] + w - 1, dtype=dtype, seed=seed),
        integers(h, w, dtype=dtype, seed=seed + 1),
    )
    y = correlate(x, k)
    dy = integers(*y.shape, dtype=dtype, seed=seed + 2)
    for mode in ("eager", "compiled"):
        adapter = MxnetAdapter("cpu", mode)
        px, pk, pdy = adapter.put(x), adapter.put(k), adapter.put(dy)
        results = [adapter.corr2d(px, pk), adapter.layer(px, pk, adapter.put(np.array([3], dtype)))]
        results += adapter.differentiate_corr2d(px, pk, pdy, "stacked")
        for result, expected in zip(results, (y, y + 3, adjoint(dy, k, x.shape), correlate(x, dy)), strict=True):
            assert adapter.get(result).dtype == dtype
            assert np.array_equal(adapter.get(result), expected)


def test_the_layers_parameters_are_trainable_gluon_parameters(adapter: MxnetAdapter) -> None:
    image, net = integers(6, 8), adapter.Conv2D((1, 2))
    net.initialize(mx.init.One())
    assert isinstance(net, mx.gluon.nn.Block)
    assert {name.rsplit("_", 1)[1]: (p.shape, p.grad_req) for name, p in net.collect_params().items()} == {
        "weight": ((1, 2), "write"),
        "bias": ((1,), "write"),
    }
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    with mx.autograd.record():
        loss = net(adapter.put(image)).sum()
    loss.backward()
    trainer.step(1)
    assert net.weight.data().asnumpy().tolist() == [[1 - image[:, :-1].sum(), 1 - image[:, 1:].sum()]]
    assert net.bias.data().asnumpy().tolist() == [1 - 6 * 7]


@pytest.mark.parametrize("loop", ["literal", "idiomatic"])
def test_problem_2_the_loop_is_refused_in_mxnets_words_and_nothing_leaks(loop: str) -> None:
    adapter = MxnetAdapter("cpu", "eager")
    arguments = [adapter.put(a) for a in (EDGE, KERNEL, np.ones((6, 7), np.float32))]
    with pytest.raises(mx.base.MXNetError, match=r"Inplace operations \(\+=, -=, x\[:\]=, etc\) are not supported"):
        adapter.differentiate_corr2d(*arguments, loop)
    assert not mx.autograd.is_recording()
    assert_computes(adapter)


def test_problem_2_hybridized_the_loop_fails_on_the_shape_of_a_symbol() -> None:
    adapter = MxnetAdapter("cpu", "compiled")
    arguments = [adapter.put(a) for a in (EDGE, KERNEL, np.ones((6, 7), np.float32))]
    with pytest.raises(AttributeError, match="'Symbol' object has no attribute 'shape'"):
        adapter.differentiate_corr2d(*arguments, "literal")
    assert_computes(adapter)


def test_an_asynchronous_error_is_raised_by_its_own_call_and_by_no_later_one(adapter: MxnetAdapter) -> None:
    x, w = (adapter.put(integers(*shape, dtype="float16")) for shape in ((1, 2, 5, 6), (2, 2, 2, 2)))
    dy = adapter.put(integers(1, 2, 4, 5, dtype="float16"))
    for _ in range(3):
        with pytest.raises(Unsupported, match=r"^FP16 gemm on cpu not implemented!$"):
            adapter.conv2d(x, w, None, Geometry())
        assert_computes(adapter, times=2)
        with pytest.raises(Unsupported, match="FP16 gemm on cpu not implemented!"):
            adapter.grads(x, w, None, dy, Geometry())
        assert_computes(adapter)


def broken_gradient() -> Any:
    """A gradient that oneDNN fails to execute in MXNet 1.9.1: a Deconvolution whose weight is computed."""
    x, w = mx.nd.ones((2, 2, 5, 4)), mx.nd.ones((2, 3, 2, 2))
    w.attach_grad()
    with mx.autograd.record():
        y = mx.nd.Deconvolution(x, w * 1, kernel=(2, 2), num_filter=3, no_bias=True)
    y.backward()
    return w.grad


def test_a_onednn_primitive_that_fails_does_not_break_the_calls_after_it(adapter: MxnetAdapter) -> None:
    for _ in range(2):
        with pytest.raises(mx.base.MXNetError, match="could not execute a primitive"):
            engine.settled(broken_gradient)()
        assert_computes(adapter)


def test_the_start_of_mxnet_itself_gives_the_chapters_digits_in_a_fresh_process_whatever_ran_before(
    adapter: MxnetAdapter,
) -> None:
    script = f"""
import numpy as np
from crosscorrect.geometry import Geometry
from crosscorrect_adapters.mxnet import MxnetAdapter
adapter = MxnetAdapter("cpu", {adapter._mode!r})
adapter.identity()
image, kernel = np.ones((6, 8), np.float32), np.array([[1, -1]], np.float32)
image[:, 2:6] = 0
x, k, b = adapter.put(image), adapter.put(kernel), adapter.put(np.zeros(1, np.float32))
y = adapter.corr2d(x, k)
adapter.layer(x, k, b)
x4, y4, k4 = x.reshape((1, 1, 6, 8)), y.reshape((1, 1, 6, 7)), k.reshape((1, 1, 1, 2))
adapter.grads(x4, k4, b, y4, Geometry())
adapter.train(x, y, k, b, 0.03, 2, "custom", (1, 2))
adapter.train(x4, y4, k4, None, 0.03, 2, "builtin", (1, 2))
run = adapter.train(x4, y4, None, None, 0.03, 10, "builtin", (1, 2))
print(" ".join("%.3f" % adapter.get(loss).item() for loss in run.losses[1::2]))
print(run.weights[0].asnumpy().reshape((1, 2)), run.weights[-1].asnumpy().reshape((1, 2)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [" ".join(LOSSES), f"[[0.0068339  0.01299825]] {WEIGHT}"]


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_both_layers_learn_the_kernel_with_the_chapters_digits(adapter: MxnetAdapter, layer: str) -> None:
    lift = (1, 1) if layer == "builtin" else ()
    x, w0 = EDGE.reshape((*lift, 6, 8)), np.array([[0.0068339, 0.01299825]], np.float32).reshape((*lift, 1, 2))
    y = correlate(EDGE, KERNEL).astype(np.float32).reshape((*lift, 6, 7))
    start = adapter.put(w0)
    run = adapter.train(adapter.put(x), adapter.put(y), start, None, 3e-2, 10, layer, (1, 2))
    assert [f"{adapter.get(loss).item():.3f}" for loss in run.losses[1::2]] == LOSSES
    assert str(adapter.get(run.weights[-1]).reshape((1, 2))) == WEIGHT
    assert (len(run.losses), len(run.weights), run.biases) == (10, 11, [])
    for untouched in (start, run.weights[0]):
        assert np.array_equal(adapter.get(untouched), w0)


@pytest.mark.parametrize("layer", ["builtin", "custom"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_updates_a_given_bias_by_its_exact_gradient(adapter: MxnetAdapter, layer: str, dtype: str) -> None:
    lift = (1, 1) if layer == "builtin" else ()
    x, w0 = integers(4, 5, dtype=dtype), integers(2, 3, dtype=dtype, seed=1)
    y, b0 = integers(3, 3, dtype=dtype, seed=2), np.array([2], dtype)
    arrays = [x.reshape((*lift, 4, 5)), y.reshape((*lift, 3, 3)), w0.reshape((*lift, 2, 3)), b0]
    run = adapter.train(*(adapter.put(a) for a in arrays), 0.5, 1, layer, (2, 3))
    residual = correlate(x, w0) + 2 - y
    assert adapter.get(run.losses[0]).item() == (residual**2).sum()
    assert np.array_equal(adapter.get(run.weights[1]).reshape((2, 3)), w0 - correlate(x, residual))
    assert adapter.get(run.biases[1]).tolist() == [2 - residual.sum()]
    assert adapter.get(run.weights[1]).dtype == adapter.get(run.biases[1]).dtype == dtype


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_without_a_start_the_weight_is_drawn_and_the_bias_is_zero(adapter: MxnetAdapter, layer: str) -> None:
    lift = (1, 1) if layer == "builtin" else ()
    y = integers(3, 4)
    arrays = adapter.put(np.zeros((*lift, 4, 5), np.float32)), adapter.put(y.reshape((*lift, 3, 4)))
    run = adapter.train(*arrays, None, None, 3e-2, 1, layer, (2, 2))
    assert adapter.get(run.losses[0]).item() == (y**2).sum()  # a black image gives the bias alone
    start = adapter.get(run.weights[0])
    assert len(set(start.ravel())) == start.size == 4


def test_grads_leave_the_callers_tensors_without_gradient_buffers(adapter: MxnetAdapter) -> None:
    x, w = adapter.put(integers(1, 1, 4, 5)), adapter.put(integers(1, 1, 2, 2))
    adapter.grads(x, w, None, adapter.put(np.ones((1, 1, 3, 4), np.float32)), Geometry())
    assert x.grad is None
    assert w.grad is None


def test_a_compiled_convolution_tells_apart_calls_with_and_without_bias() -> None:
    adapter = MxnetAdapter("cpu", "compiled")
    x, w = integers(1, 1, 4, 5), integers(1, 1, 2, 2)
    tensors, plain = (adapter.put(x), adapter.put(w)), correlate(x[0, 0], w[0, 0])
    for bias in (None, 3, None):
        b = None if bias is None else adapter.put(np.array([bias], np.float32))
        assert np.array_equal(adapter.get(adapter.conv2d(*tensors, b, Geometry()))[0, 0], plain + (bias or 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
def test_three_axes_with_dilation_and_uneven_padding_satisfy_the_adjoint_identity(
    adapter: MxnetAdapter, dtype: str, transposed: bool
) -> None:
    """<conv(x, w), dy> = <x, dx> = <w, dw>, exactly; transposed is a detour there, as Deconvolution refuses."""
    geometry = Geometry(
        (2, 1, 3), ((1, 0), (0, 2), (1, 2)), (1, 2, 3), 2, transposed=transposed, output_padding=(1, 1, 0)
    )
    x, w = integers(2, 4, 4, 6, 7, dtype=dtype), integers(4, 2, 2, 3, 2, dtype=dtype, seed=1)
    dy = integers(*geometry.output_shape(x.shape, w.shape), dtype=dtype, seed=2)
    tensors = adapter.put(x), adapter.put(w), None
    y = adapter.get(adapter.conv2d(*tensors, geometry))
    grads = adapter.grads(*tensors, adapter.put(dy), geometry)
    assert y.shape == dy.shape
    assert y.any()
    assert (y * dy).sum() == (x * adapter.get(grads.dx)).sum() == (w * adapter.get(grads.dw)).sum()


def test_dilated_deconvolution_is_wrong_in_float64_and_right_in_float32() -> None:
    """A defect of MXNet 1.9.1 outside oneDNN (apache/mxnet #11203, #13876), which the adapter must not hide."""
    adapter = MxnetAdapter("cpu", "eager")
    geometry = Geometry((2,), ((0, 0),), (3,), transposed=True, output_padding=(0,))
    outputs = {
        dtype: adapter.get(
            adapter.conv2d(
                adapter.put(np.array([[[1, 10]]], dtype)), adapter.put(np.array([[[1, 2]]], dtype)), None, geometry
            )
        ).tolist()
        for dtype in ("float32", "float64")
    }
    assert outputs == {"float32": [[[1, 0, 10, 2, 0, 20]]], "float64": [[[1, 0, 0, 2, 10, 20]]]}


def test_tf32_and_bf16_are_refused_and_strict_is_how_a_cpu_computes(adapter: MxnetAdapter) -> None:
    for kind in ("tf32", "bf16"):
        with pytest.raises(Unsupported, match=f"MXNet has no switch for {kind.upper()}"):
            adapter.arithmetic(kind)
    adapter.arithmetic("strict")
    adapter.arithmetic("default")


def test_identity_names_what_computes() -> None:
    identity = MxnetAdapter.identity()
    assert identity.name == "mxnet"
    assert identity.versions["mxnet"] == mx.__version__
    assert identity.devices[0] == "cpu"
    for dtype in dtypes.NAMES:
        array = np.zeros((2, 3), dtypes.of(dtype))
        if dtype in identity.dtypes:
            assert mx.nd.array(array, dtype=array.dtype).asnumpy().dtype == array.dtype
        else:
            with pytest.raises(KeyError):
                mx.nd.array(array, dtype=array.dtype)
    if mx.runtime.Features().is_enabled("MKLDNN"):
        assert identity.versions["oneDNN"].count(".") == 2


def test_int8_saturates_and_the_adapter_leaves_it_so(adapter: MxnetAdapter) -> None:
    x, w = (adapter.put(np.full(s, 20, np.int8)) for s in ((1, 1, 2, 3), (1, 1, 2, 2)))
    assert adapter.get(adapter.conv2d(x, w, None, Geometry())).tolist() == [[[[127, 127]]]]


WRONG: dict[str, tuple[Any, Any, Any, Geometry, str]] = {
    "stride 0": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry((0, 1)), "incorrect stride"),
    "a word at stride 0": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry((0, 1), "same_lower"), "incorrect stride"),
    "negative padding": ((1, 2, 5, 6), (2, 2, 2, 2), 2, Geometry(padding=((-1, -1), (0, 0))), "descriptor"),
    "channels": ((1, 3, 5, 6), (2, 2, 2, 2), 2, Geometry(), "Shape inconsistent"),
    "bias": ((1, 2, 5, 6), (2, 2, 2, 2), 1, Geometry(), "Shape inconsistent"),
    "bias of a crop": (
        (1, 2, 5, 6), (2, 2, 2, 2), 1, Geometry(padding=((1, 0), (0, 0)), transposed=True), "Shape inconsistent",
    ),
    "bias of a longer output": (
        (1, 2, 5, 6), (2, 2, 2, 2), 1, Geometry(padding=((1, 0), (0, 0)), transposed=True, output_padding=(2, 0)),
        "Incompatible attr",
    ),
    "rank": ((2, 5, 6), (2, 2, 2, 2), 2, Geometry(), "should be 4D"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_mxnets_error_and_nothing_leaks(adapter: MxnetAdapter, what: str) -> None:
    x, w, b, geometry, words = WRONG[what]
    with pytest.raises(mx.base.MXNetError, match=words):
        adapter.conv2d(adapter.put(integers(*x)), adapter.put(integers(*w)), adapter.put(integers(b)), geometry)
    assert_computes(adapter, times=1)


def test_transposing_bfloat16_is_left_out_because_it_writes_past_its_memory(adapter: MxnetAdapter) -> None:
    x, w = (adapter.put(dtypes.narrow(integers(*s), "bfloat16")) for s in ((1, 2, 5, 6), (2, 2, 2, 2)))
    with pytest.raises(Unsupported, match="writes past its memory"):
        adapter.conv2d(x, w, None, Geometry(), spelling="channels_last")
