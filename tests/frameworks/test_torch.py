"""What is particular to PyTorch: paddings it has no word for, aliasing, torch.compile, Problem 2, its refusals."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect.adapter import Unsupported
from crosscorrect.geometry import Geometry

pytest.importorskip("torch")
adapter_module = importlib.import_module("crosscorrect_adapters.torch")
conv_module = importlib.import_module("crosscorrect_adapters._torch_conv")
compile_module = importlib.import_module("crosscorrect_adapters._torch_compile")
torch: Any = adapter_module.torch
F: Any = torch.nn.functional
Adapter: Any = adapter_module.TorchAdapter

X = np.arange(9, dtype=np.float32).reshape(3, 3)
K = np.arange(4, dtype=np.float32).reshape(2, 2)
DY = np.array([[1, -2], [3, 5]], dtype=np.float32)
EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
EDGES = EDGE[:, :-1] - EDGE[:, 1:]
START = np.array([[0.0068339, 0.01299825]], np.float32)
CORRELATION = np.array([[19, 25], [37, 43]], np.float32)

# what torch.compile's own modules warn about is not this project's
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]
MODES = Adapter.identity().modes


@pytest.fixture(params=["eager", "compiled"])
def adapter(request: pytest.FixtureRequest) -> Any:
    if request.param not in MODES:
        pytest.skip(compile_module.obstacle())
    made = Adapter("cpu", request.param)
    made.arithmetic("strict")
    return made


@pytest.fixture
def eager() -> Any:
    return Adapter("cpu", "eager")


def integers(seed: int, shape: Any, dtype: str = "float32") -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def by_definition(x: Any, w: Any, dy: Any, geometry: Geometry) -> tuple[Any, Any, Any]:
    """Add up every product of the definition; a transposed correlation has the plain one's, x and y exchanged."""
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    fine, coarse = (dy.shape, x.shape) if geometry.transposed else (x.shape, dy.shape)
    pads, per_group = geometry.pads(x.shape[2:], w.shape[2:]), w.shape[0] // geometry.groups
    for n, first, second, *rest in itertools.product(*map(range, (len(x), *w.shape, *coarse[2:]))):
        tap, at = rest[: geometry.rank], rest[geometry.rank :]
        moves = zip(at, geometry.stride, tap, geometry.dilation, pads, strict=True)
        source = [p * s + t * d - begin for p, s, t, d, (begin, _) in moves]
        if all(0 <= i < size for i, size in zip(source, fine[2:], strict=True)):
            ends = (n, first // per_group * w.shape[1] + second, *source), (n, first, *at)
            of_x, of_y = reversed(ends) if geometry.transposed else ends
            of_w = (first, second, *tap)
            y[of_y] += x[of_x] * w[of_w]
            dx[of_x] += dy[of_y] * w[of_w]
            dw[of_w] += dy[of_y] * x[of_x]
    return y, dx, dw


def assert_exact(made: Any, problem: Any, dtype: str, seed: int) -> None:
    """Forward and all gradients equal the definition on small integers, in this dtype."""
    geometry, x_shape, w_shape = problem
    shape = geometry.output_shape(x_shape, w_shape)
    arrays = [integers(seed + i, s, dtype) for i, s in enumerate((x_shape, w_shape, shape[1:2], shape))]
    x, w, b, dy = (made.put(a) for a in arrays)
    y, dx, dw = by_definition(arrays[0], arrays[1], arrays[3], geometry)
    grads = made.grads(x, w, b, dy, geometry)
    got = [made.get(t) for t in (made.conv2d(x, w, b, geometry), grads.dx, grads.dw, grads.db)]
    space = range(2, geometry.rank + 2)
    want = [y + arrays[2].reshape(-1, *(1 for _ in space)), dx, dw, arrays[3].sum((0, *space))]
    assert [(g.dtype, g.shape) for g in got] == [(np.dtype(dtype), e.shape) for e in want]
    assert all(np.array_equal(g, e) for g, e in zip(got, want, strict=True))


@st.composite
def wordless(draw: st.DrawFn) -> tuple[Geometry, tuple[int, ...], tuple[int, ...]]:
    """Geometries that PyTorch's arguments cannot say: uneven counts, strided or lower "same", large output padding."""
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    axes = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))  # noqa: E731  drawn many times
    groups, transposed = draw(st.sampled_from([1, 2, 3])), draw(st.booleans())
    padding: Any = tuple(zip(axes(0, 2), axes(0, 2), strict=True))
    if not transposed:
        padding = draw(st.sampled_from(["same_upper", "same_lower", padding]))
    extra = axes(0, 3) if transposed else (0,) * rank
    geometry = Geometry(axes(1, 3), padding, axes(1, 2), groups, transposed, extra)
    ins, outs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    x = (draw(st.integers(1, 2)), ins * groups, *axes(5, 6))
    w = (ins * groups, outs, *axes(1, 3)) if transposed else (outs * groups, ins, *axes(1, 3))
    return geometry, x, w


@settings(max_examples=40, deadline=None)
@given(wordless(), st.sampled_from(["float32", "float64", "float16"]), st.integers(0, 999))
def test_what_pytorch_has_no_words_for_is_exact_in_every_direction(problem: Any, dtype: str, seed: int) -> None:
    geometry, x, w = problem
    if dtype == "float16":  # integers beyond 2048 are not exact there: few terms only
        x, w = (1, geometry.groups, *(5 for _ in x[2:])), (geometry.groups, 1, *(2 for _ in w[2:]))
        geometry = Geometry(geometry.stride, "same_lower", geometry.dilation, geometry.groups)
    assert_exact(Adapter("cpu", "eager"), (geometry, x, w), dtype, seed)


@pytest.mark.skipif("compiled" not in MODES, reason=compile_module.obstacle() or "compiles")
@pytest.mark.parametrize(
    ("problem", "dtype"),
    [
        ((Geometry((1, 1), "same_upper", (1, 2)), (2, 3, 5, 6), (4, 3, 2, 3)), "float32"),
        ((Geometry((2, 3), ((0, 2), (1, 0)), (2, 1), 2), (2, 4, 7, 8), (6, 2, 3, 2)), "float64"),
        ((Geometry((2,), ((1, 0),), (2,), 2, transposed=True, output_padding=(3,)), (2, 4, 5), (4, 3, 3)), "float32"),
    ],
    ids=["a word", "a separate pad", "a cropped adjoint"],
)
def test_compiled_operators_and_gradients_are_exact(problem: Any, dtype: str) -> None:
    assert_exact(Adapter("cpu", "compiled"), problem, dtype, seed=5)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("word", "want"), [("same_upper", [21, 32, 3]), ("same_lower", [10, 21, 32])])
def test_each_same_puts_the_odd_zero_on_its_own_side(eager: Any, rank: int, word: str, want: list[int]) -> None:
    ones = (1,) * (rank + 1)
    x, w = (np.array(a, np.float32).reshape(*ones, len(a)) for a in ([1, 2, 3], [1, 10]))
    y = eager.conv2d(eager.put(x), eager.put(w), None, Geometry(ones[1:], word, ones[1:]))
    assert np.array_equal(eager.get(y), np.reshape(want, x.shape))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: F.conv2d(x, x, padding="same", stride=2), "not supported for strided"),
        (lambda x: F.conv2d(x, x, padding=-1), "negative padding is not supported"),
        (lambda x: F.conv_transpose2d(x, x, stride=2, output_padding=2), "output padding must be smaller"),
    ],
    ids=["strided same", "negative padding", "large output padding"],
)
def test_the_detours_are_still_needed(call: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        call(torch.ones(1, 1, 3, 3))


def test_the_loop_the_layer_and_the_operator_agree_on_the_chapter(adapter: Any) -> None:
    x, k = adapter.put(X), adapter.put(K)
    four = adapter.conv2d(adapter.put(X[None, None]), adapter.put(K[None, None]), None, Geometry())
    assert np.array_equal(adapter.get(adapter.corr2d(x, k)), CORRELATION)
    assert np.array_equal(adapter.get(adapter.layer(x, k, adapter.put(np.float32([7])))), CORRELATION + 7)
    assert np.array_equal(adapter.get(adapter.layer(x, k, adapter.put(np.float32([-1])))), CORRELATION - 1)
    assert np.array_equal(adapter.get(four)[0, 0], CORRELATION)
    assert np.array_equal(adapter.get(adapter.matmul(x, x)), X @ X)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "int64"])
def test_the_loop_and_the_layer_keep_the_dtype(eager: Any, dtype: str) -> None:
    x, k, b = (eager.put(a.astype(dtype)) for a in (X, K, np.ones(1)))
    assert eager.get(eager.corr2d(x, k)).dtype == dtype
    assert np.array_equal(eager.get(eager.layer(x, k, b)), (CORRELATION + 1).astype(dtype))
    assert eager.get(eager.layer(x, k, b)).dtype == dtype


@pytest.mark.parametrize("loop", ["literal", "idiomatic", "stacked"])
def test_problem_two_every_form_of_the_loop_is_differentiable(adapter: Any, loop: str) -> None:
    _, dx, dk = by_definition(X[None, None], K[None, None], DY[None, None], Geometry())
    got = adapter.differentiate_corr2d(*(adapter.put(a) for a in (X, K, DY)), loop)
    assert np.array_equal(adapter.get(got[0]), dx[0, 0])
    assert np.array_equal(adapter.get(got[1]), dk[0, 0])


def test_problem_two_assigning_into_a_leaf_is_the_error_that_the_loop_avoids() -> None:
    y = torch.zeros(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        y[0, 0] = torch.ones(())


def test_the_layer_is_a_module_whose_parameters_train(eager: Any) -> None:
    layer = eager.Conv2D((2, 3))
    assert isinstance(layer, torch.nn.Module)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {"weight": (2, 3), "bias": (1,)}
    layer(torch.ones(4, 5)).sum().backward()
    assert np.array_equal(layer.weight.grad, np.full((2, 3), 9))
    assert np.array_equal(layer.bias.grad, [9])


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_training_prints_the_chapters_digits(adapter: Any, layer: str) -> None:
    x, y, w0 = (a[None, None] if layer == "builtin" else a for a in (EDGE, EDGES, START))
    trained = adapter.train(adapter.put(x), adapter.put(y), adapter.put(w0), None, 3e-2, 10, layer, (1, 2))
    losses = [f"{float(adapter.get(loss)):.3f}" for loss in trained.losses[1::2]]
    weights = [adapter.get(w) for w in trained.weights]
    assert losses == ["4.949", "0.831", "0.140", "0.024", "0.004"]
    assert [f"{v:.7f}" for v in weights[-1].ravel()] == ["0.9895000", "-0.9873705"]
    assert np.array_equal(weights[0], w0)
    assert len({w.tobytes() for w in weights}) == 11  # the history is not eleven views of one parameter
    assert {w.shape for w in weights} == {w0.shape}
    assert trained.biases == []


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_a_given_bias_is_trained_in_the_dtype_of_the_image(eager: Any, layer: str) -> None:
    lift = (lambda a: a[None, None]) if layer == "builtin" else (lambda a: a)
    x, y, w0 = (eager.put(lift(a.astype(np.float64))) for a in (EDGE, EDGES, np.zeros((1, 2))))
    trained = eager.train(x, y, w0, eager.put(np.array([1.0])), 0.125, 1, layer, (1, 2))
    # at w = 0, b = 1 the residual is 1 - y, whose 42 elements sum to 42
    assert float(eager.get(trained.losses[0])) == np.sum((1 - EDGES) ** 2)
    assert [eager.get(b).tolist() for b in trained.biases] == [[1.0], [1 - 0.125 * 2 * 42]]
    assert eager.get(trained.weights[-1]).dtype == np.float64


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_an_own_start_is_the_same_whatever_ran_before(eager: Any, layer: str) -> None:
    x, y = (eager.put(a[None, None] if layer == "builtin" else a) for a in (EDGE, EDGES))
    starts = []
    for _ in range(2):
        torch.rand(3)
        starts.append(eager.get(eager.train(x, y, None, None, 3e-2, 1, layer, (1, 2)).weights[0]))
    assert np.array_equal(*starts)
    assert np.all(starts[0] != 0)


def test_put_and_get_share_no_memory_although_from_numpy_does(eager: Any) -> None:
    array = np.zeros(8)
    alias, tensor = torch.from_numpy(array), eager.put(array)
    array[:] = 1
    eager.get(tensor)[:] = 2
    assert np.array_equal(eager.get(tensor), np.zeros(8))
    assert np.array_equal(alias, np.ones(8))


@pytest.mark.parametrize("array", [X[::-1, ::-2], X.astype(">f4"), X.T, np.float32(3), np.zeros((0, 2))])
def test_every_numpy_view_can_be_put(eager: Any, array: Any) -> None:
    back = eager.get(eager.put(array))
    assert back.shape == array.shape
    assert np.array_equal(back, array)


@pytest.mark.skipif("compiled" not in MODES, reason=compile_module.obstacle() or "compiles")
def test_more_shapes_than_the_recompile_limit_are_compiled_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, compiled = Adapter("cpu", "compiled"), []
    whole = torch.compile
    count = lambda f, **options: compiled.append(f) or whole(f, backend="eager", **options)  # noqa: E731  a spy
    monkeypatch.setattr(torch, "compile", count)
    shapes = [(n, 3) for n in range(1, 21)]
    for shape in [*shapes, *shapes]:
        a = integers(0, shape)
        assert np.array_equal(made.get(made.matmul(made.put(a), made.put(a.T.copy()))), a @ a.T)
    assert len(compiled) == len(shapes)


def test_a_large_loop_is_stacked_before_it_is_compiled() -> None:
    loops = importlib.import_module("crosscorrect_adapters._torch_loops")
    assert loops.compilable(torch.ones(6, 8), torch.ones(1, 2)) is loops.corr2d
    assert loops.compilable(torch.ones(9, 9), torch.ones(1, 1)) is loops.stacked


def test_compiling_without_a_compiler_is_refused_and_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    identity = Adapter.identity()
    assert identity.modes == ("eager",)
    assert "no-such-compiler is not on the PATH" in identity.notes[0]
    with pytest.raises(Unsupported, match="needs a C\\+\\+ compiler"):
        Adapter("cpu", "compiled")


@pytest.mark.parametrize(
    "geometry",
    [Geometry(dilation=(2, 1)), Geometry(transposed=True)],
    ids=["dilated", "transposed"],
)
def test_small_integers_have_no_dilated_or_transposed_kernel(adapter: Any, geometry: Geometry) -> None:
    x, w = adapter.put(np.ones((1, 1, 4, 3), np.int32)), adapter.put(np.ones((1, 1, 2, 2), np.int32))
    with pytest.raises(Unsupported, match="not implemented for 'Int'"):
        adapter.conv2d(x, w, None, geometry)


def test_integers_have_no_gradient_and_say_so(eager: Any) -> None:
    x, w = eager.put(np.ones((1, 1, 3, 3), np.int32)), eager.put(np.ones((1, 1, 2, 2), np.int32))
    with pytest.raises(Unsupported, match="can require gradients"):
        eager.grads(x, w, None, eager.put(np.ones((1, 1, 2, 2), np.int32)), Geometry())


def test_a_wrong_request_is_pytorchs_error_and_no_refusal(eager: Any) -> None:
    x, w = eager.put(np.ones((1, 3, 4, 4), np.float32)), eager.put(np.ones((1, 2, 2, 2), np.float32))
    with pytest.raises(RuntimeError, match="expected input"):
        eager.conv2d(x, w, None, Geometry())


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(Unsupported, match="cuda:99"):
        Adapter("cuda:99", "eager")


def test_tf32_is_refused_on_the_cpu(eager: Any) -> None:
    with pytest.raises(Unsupported, match="TF32"):
        eager.arithmetic("tf32")


def test_strict_forbids_tf32_and_default_restores_what_was_imported(eager: Any) -> None:
    eager.arithmetic("strict")
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("highest", False)
    eager.arithmetic("default")
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == adapter_module.OWN[:2]
    assert getattr(adapter_module.ONEDNN, "fp32_precision", "") == adapter_module.OWN[2]


def test_bf16_rounds_the_inputs_of_a_convolution_and_default_does_not(eager: Any) -> None:
    if not adapter_module._rounds_to_bfloat16():
        with pytest.raises(Unsupported, match="only by oneDNN"):
            eager.arithmetic("bf16")
        return
    rng = np.random.default_rng(0)
    x, w = (eager.put(rng.standard_normal(s).astype(np.float32)) for s in ((2, 64, 9, 9), (64, 64, 3, 3)))
    exact, errors = F.conv2d(x.double(), w.double()).numpy(), {}
    for kind in ("bf16", "default"):
        eager.arithmetic(kind)
        errors[kind] = np.abs(eager.get(eager.conv2d(x, w, None, Geometry())) - exact).max()
    assert errors["default"] < 1e-3 < errors["bf16"]


def test_channels_last_is_how_the_operands_lie(eager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setitem(conv_module.CONV, 2, lambda x, w, *rest: seen.extend((x, w)) or F.conv2d(x, w, *rest))
    x, w = eager.put(integers(0, (2, 3, 5, 4))), eager.put(integers(1, (4, 3, 2, 2)))
    y = eager.conv2d(x, w, None, Geometry(), spelling="channels_last")
    assert all(t.is_contiguous(memory_format=torch.channels_last) and not t.is_contiguous() for t in seen)
    assert torch.equal(y, F.conv2d(x, w))


def test_recorded_has_a_history_and_native_has_none(eager: Any) -> None:
    x, w = eager.put(integers(0, (2, 3, 5, 4))), eager.put(integers(1, (4, 3, 2, 2)))
    assert eager.conv2d(x, w, None, Geometry()).grad_fn is None
    assert eager.conv2d(x, w, None, Geometry(), spelling="recorded").grad_fn is not None


def test_a_layer_draws_no_random_number(eager: Any) -> None:
    x, w = eager.put(integers(0, (2, 3, 5, 4))), eager.put(integers(1, (4, 3, 2, 2)))
    state = torch.get_rng_state()
    eager.conv2d(x, w, None, Geometry(), spelling="module")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif("compiled" not in MODES, reason=compile_module.obstacle() or "compiles")
def test_compiled_layers_that_differ_in_their_geometry_alone_are_told_apart() -> None:
    made = Adapter("cpu", "compiled")
    x, w = made.put(integers(0, (2, 2, 5, 6))), made.put(integers(1, (2, 2, 2, 2)))
    for geometry in (Geometry(), Geometry((2, 1))):
        y = made.get(made.conv2d(x, w, None, geometry, spelling="module"))
        assert np.array_equal(y, F.conv2d(x, w, stride=geometry.stride))


WRONG: dict[str, tuple[Any, Any, int, Geometry, str]] = {
    "stride 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry((0, 1)), "non-positive stride"),
    "a word at stride 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry((0, 2), "same_upper"), "non-positive stride"),
    "dilation 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(dilation=(0, 1)), "dilation"),
    "groups 0": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(groups=0), "non-positive groups"),
    "negative padding": ((1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(padding=((-1, -1), (0, 0))), "negative padding"),
    "bias": ((1, 2, 5, 6), (4, 2, 2, 2), 1, Geometry(), "expected bias"),
    "bias of a crop": (
        (1, 2, 5, 6),
        (2, 4, 2, 2),
        1,
        Geometry(padding=((1, 0), (0, 0)), transposed=True),
        "is invalid",
    ),
    "rank": ((1, 1, 2, 5, 6), (4, 2, 2, 2), 4, Geometry(), "Expected 3D"),
    "rank of the kernel": ((1, 2, 5, 6), (4, 2, 2), 4, Geometry(), "convolution dimensions"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_arguments_are_answered_by_pytorch(eager: Any, what: str) -> None:
    x, w, b, geometry, words = WRONG[what]
    with pytest.raises(RuntimeError, match=words):
        eager.conv2d(*(eager.put(np.ones(s, np.float32)) for s in (x, w, (b,))), geometry)
