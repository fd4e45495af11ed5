"""The bound of each declared arithmetic is never broken by that arithmetic, in any geometry, and means something."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import emulations as em
from crosscorrect import bounds, contracts, fast, oracle
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]
ONE = ((0, 0), (0, 0))


def drawn(rng: np.random.Generator, shape: tuple[int, ...], wild: bool = False) -> Array:
    """Random float32 numbers: normal, or of many magnitudes."""
    values = rng.standard_normal(shape) * (2.0 ** rng.integers(-12, 13, shape) if wild else 1.0)
    return np.asarray(values.astype(np.float32))


def within(
    y: Array, reference: oracle.Reference, arithmetic: str, operands: bounds.Operands | None, **how: Any
) -> bool:
    bound = bounds.tier_a(reference, how.get("dtype", "float32"), arithmetic, operands)
    assert np.isfinite(bound).all()
    error = y - reference.value
    return bool((np.maximum(np.abs(error.real), np.abs(error.imag)) <= bound).all())


@st.composite
def layers(draw: st.DrawFn, taps: int | None = None) -> tuple[Array, Array, em.Pads]:
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    channels, out, images = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kernel = (taps, taps) if taps else (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    size = [draw(st.integers(4, 14)) for _ in "hw"]
    pads = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in "hw")
    wild = draw(st.booleans())
    return drawn(rng, (images, channels, *size), wild), drawn(rng, (out, channels, *kernel), wild), pads


@pytest.mark.parametrize("name", sorted(fast.POINTS))
def test_the_transforms_compute_the_correlation_exactly(name: str) -> None:
    at, g, bt = fast.transforms(name)
    rng = np.random.default_rng(0)
    d, k = (np.array([Fraction(int(v)) for v in rng.integers(-99, 100, n)]) for n in (len(bt), 3))
    assert list(at @ ((g @ k) * (bt @ d))) == [sum(d[i + j] * k[j] for j in range(3)) for i in range(len(at))]


def test_lavins_matrices_come_out_up_to_factors_moved_between_them() -> None:
    at, g, bt = fast.transforms("F(2,3)")
    assert at.tolist() == [[1, 1, 1, 0], [0, 1, -1, 1]]
    assert np.abs(bt).tolist() == [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
    assert np.abs(g).tolist() == [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]]


@settings(max_examples=60, deadline=None)
@given(layer=layers(taps=3), name=st.sampled_from(sorted(fast.POINTS)))
def test_no_winograd_ever_breaks_the_winograd_bound(layer: Any, name: str) -> None:
    x, w, pads = layer
    geometry = Geometry((1, 1), pads)
    operands = bounds.Operands(x, w, None, geometry)
    reference = oracle.forward(x, w, None, geometry)
    assert within(em.winograd(x, w, pads, name), reference, "winograd", operands)
    dy = drawn(np.random.default_rng(x.size), reference.value.shape)
    gradients = oracle.gradients(x, w, None, dy, geometry)
    behind = bounds.Operands(x, w, None, geometry, Direction.GRAD_WEIGHT, dy)
    found = em.winograd_gradient(x, dy, pads, name)
    assert within(found, gradients[Direction.GRAD_WEIGHT], "winograd", behind)
    # the input gradient is the correlation of dy with the kernel turned, whose padding is what is left of the taps
    turned = np.ascontiguousarray(w[:, :, ::-1, ::-1].swapaxes(0, 1))
    left = tuple((2 - begin, 2 - end) for begin, end in pads)
    found = em.winograd(dy, turned, left, name)
    behind = bounds.Operands(x, w, None, geometry, Direction.GRAD_INPUT, dy)
    assert within(found, gradients[Direction.GRAD_INPUT], "winograd", behind)
    # and the transposed correlation computes just that
    transposed = Geometry((1, 1), pads, transposed=True)
    assert within(found, oracle.forward(dy, w, None, transposed), "winograd", bounds.Operands(dy, w, None, transposed))


def test_winograd_on_one_axis_and_in_groups_is_the_sum_over_the_others() -> None:
    """On stride (1, 2) only the rows are tiled; a 1-D layer per column tap, summed, is the whole."""
    rng = np.random.default_rng(1)
    x, w = drawn(rng, (1, 4, 9, 8)), drawn(rng, (2, 2, 3, 2))
    geometry = Geometry((1, 2), ((1, 1), (0, 0)), groups=2)
    reference = oracle.forward(x, w, None, geometry)
    bound = bounds.tier_a(reference, "float32", "winograd", bounds.Operands(x, w, None, geometry))
    at, g, bt = (m.astype(np.float64).astype(np.float32) for m in fast.transforms("F(4,3)"))
    y = np.zeros(reference.value.shape, np.float32)
    frame = np.pad(x, ((0, 0), (0, 0), (1, 5), (0, 0)))
    for group in (0, 1):
        for top in range(0, 9, 4):
            tile = np.einsum("ia,caw->icw", bt, frame[0, 2 * group : 2 * group + 2, top : top + 6])
            kernel = np.einsum("ia,cab->icb", g, w[group])
            sums = np.stack([(kernel * tile[:, :, 2 * j : 2 * j + 2]).sum(axis=(1, 2)) for j in range(4)], axis=1)
            y[0, group, top : top + 4] = (at @ sums)[: 9 - top]
    assert (np.abs(y - reference.value) <= bound).all()
    assert (bound > bounds.tier_a(reference, "float32")).all()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_running_bound_is_never_below_the_scale_and_covers_every_direction(rank: int, transposed: bool) -> None:
    rng = np.random.default_rng(2)
    stride, pads = (2, 1, 1)[-rank:], ((1, 0), (0, 2), (1, 1))[-rank:]
    geometry = Geometry(stride, pads, (1,) * rank, 2, transposed, (0,) * rank)
    x, w = drawn(rng, (2, 4, 7, 8, 9)[: 2 + rank]), drawn(rng, (4, 2, *(2, 3, 3)[-rank:]))
    y = oracle.forward(x, w, None, geometry)
    dy = drawn(rng, y.value.shape)
    references = {Direction.FORWARD: y, **oracle.gradients(x, w, None, dy, geometry)}
    for direction, reference in references.items():
        tiled = fast._Tiled.of(bounds.Operands(x, w, None, geometry, direction, dy), reference.value.shape)
        assert tiled is not None
        for name in fast.POINTS:
            assert (tiled.bound(name, "float64") >= reference.scale * 2.0**-53).all(), (direction, name)


@pytest.mark.parametrize(
    ("taps", "stride", "dilation"), [((2, 2), (1, 1), (1, 1)), ((3, 3), (2, 2), (1, 1)), ((3, 3), (1, 1), (2, 2))]
)
def test_winograd_is_strict_where_no_axis_is_made_for_it(taps: Any, stride: Any, dilation: Any) -> None:
    rng = np.random.default_rng(3)
    x, w, geometry = drawn(rng, (1, 2, 9, 9)), drawn(rng, (3, 2, *taps)), Geometry(stride, ONE, dilation)
    reference = oracle.forward(x, w, None, geometry)
    strict = bounds.tier_a(reference, "float32")
    assert (bounds.tier_a(reference, "float32", "winograd", bounds.Operands(x, w, None, geometry)) == strict).all()
    assert (bounds.tier_a(reference, "float32", "winograd") == strict).all()


@settings(max_examples=80, deadline=None)
@given(layer=layers())
def test_no_fourier_transform_ever_breaks_the_fft_bound(layer: Any) -> None:
    x, w, pads = layer
    geometry = Geometry((1, 1), pads)
    if min(geometry.output_size(x.shape[2:], w.shape[2:])) < 1:
        return
    reference = oracle.forward(x, w, None, geometry)
    assert within(em.fourier(x, w, pads), reference, "fft", bounds.Operands(x, w, None, geometry))
    dy = drawn(np.random.default_rng(x.size), reference.value.shape)
    right = oracle.gradients(x, w, None, dy, geometry)[Direction.GRAD_WEIGHT]
    found = em.fourier(x.swapaxes(0, 1), dy.swapaxes(0, 1), pads).swapaxes(0, 1)[:, :, : w.shape[2], : w.shape[3]]
    operands = bounds.Operands(x, w, None, geometry, Direction.GRAD_WEIGHT, dy)
    assert within(found, right, "fft", operands)


REDUCED: dict[str, list[tuple[Callable[..., Array], Callable[..., Array]]]] = {
    "tf32": [(em.tf32, em.sequential), (em.tf32_cut, em.truncated), (em.tf32, em.fused)],
    "bf16": [(em.bfloat16, em.sequential), (em.bfloat16, em.truncated), (em.tf32, em.pairwise)],
    "fp16": [(em.float16, lambda a, b: em.rounded(a.astype(np.float64) * b, em.float16)), (em.float16, em.sequential)],
}


@pytest.mark.parametrize("name", sorted(REDUCED))
@settings(max_examples=60, deadline=None)
@given(layer=layers())
def test_no_reduced_arithmetic_ever_breaks_its_bound(name: str, layer: Any) -> None:
    x, w, pads = layer
    geometry = Geometry((1, 1), pads)
    if min(geometry.output_size(x.shape[2:], w.shape[2:])) < 1:
        return
    if name == "fp16":
        x, w = (np.clip(a, -16, 16) for a in (x, w))
    reference = oracle.forward(x, w, None, geometry)
    for inputs, add in REDUCED[name]:
        seen, kernels = em.factors(inputs(x), inputs(w), pads)
        sums = np.stack([add(seen, np.broadcast_to(kernel, seen.shape)) for kernel in kernels], axis=1)
        assert within(em.shaped(sums, x, w, pads), reference, name, bounds.Operands(x, w, None, geometry))


def test_float16_inputs_below_the_normal_range_are_allowed_to_lose_what_they_lose() -> None:
    x, w = np.full((1, 1, 1, 2), 2.0**-25 * 1.4, np.float32), np.ones((1, 1, 1, 2), np.float32)
    geometry = Geometry((1, 1), ONE)
    reference = oracle.forward(x, w, None, geometry)
    rounded = em.float16(x).sum()
    operands = bounds.Operands(x, w, None, geometry)
    assert abs(rounded - reference.value.item()) > 0.2 * reference.value.item()
    assert within(np.full((1, 1, 1, 1), rounded), reference, "fp16", operands)
    assert np.isinf(bounds.tier_a(reference, "float32", "fp16", bounds.Operands(x, 1e5 * w, None, geometry))).all()


def test_bounds_are_as_tight_as_the_contract_says() -> None:
    rng = np.random.default_rng(4)
    x, w, geometry = drawn(rng, (1, 3, 6, 6)), drawn(rng, (2, 3, 3, 3)), Geometry((1, 1), ONE)
    reference = oracle.forward(x, w, None, geometry)
    for name, u in (("tf32", 2.0**-10), ("bf16", 2.0**-8)):
        over = bounds.tier_a(reference, "float32", name) / reference.scale
        assert (over >= 2 * u).all()
        assert (over <= 2.02 * u + 1e-5).all()
    for name in ("strict", "default"):
        assert (bounds.tier_a(reference, "float32", name) <= 28.01 * 2.0**-24 * reference.scale).all()


def test_a_contract_leaves_the_dtypes_alone_that_it_does_not_touch() -> None:
    rng = np.random.default_rng(5)
    x, w, geometry = drawn(rng, (1, 3, 6, 6)), drawn(rng, (2, 3, 3, 3)), Geometry((1, 1), ONE)
    reference = oracle.forward(x, w, None, geometry)
    for dtype, names in (("float64", ("tf32", "bf16", "fp16")), ("float16", ("tf32", "bf16")), ("bfloat16", ("tf32",))):
        for name in names:
            assert (bounds.tier_a(reference, dtype, name) == bounds.tier_a(reference, dtype)).all()
    short = bounds.tier_a(reference, "bfloat16", "bf16")
    assert (short < bounds.tier_a(reference, "bfloat16") / 10).all()
    with pytest.raises(ValueError, match=r"unknown arithmetic 'fp8'; known: strict, tf32"):
        bounds.tier_a(reference, "float32", "fp8")


@pytest.mark.parametrize("separate", [False, True])
def test_declared_bf16_bounds_bfloat16_results_of_float32_sums_of_any_length(separate: bool) -> None:
    rng = np.random.default_rng(6)
    x, w = em.bfloat16(drawn(rng, (1, 64, 5, 5))), em.bfloat16(drawn(rng, (3, 64, 3, 3)))
    b = em.bfloat16(drawn(rng, (3,)))
    reference = oracle.forward(x, w, b, Geometry((1, 1), ONE))
    seen, kernels = em.factors(x, w, ONE)
    y = em.shaped(np.stack([em.truncated(seen, np.broadcast_to(k, seen.shape)) for k in kernels], axis=1), x, w, ONE)
    y = (em.bfloat16(y) if separate else y) + b.reshape(-1, 1, 1)
    assert np.isinf(bounds.tier_a(reference, "bfloat16")).all()
    assert within(em.bfloat16(y), reference, "bf16", None, dtype="bfloat16")


@pytest.mark.parametrize("arithmetic", ["strict", "tf32", "bf16", "winograd", "fft"])
@pytest.mark.parametrize("direction", list(Direction)[:4])
def test_every_contract_answers_for_complex_data_and_every_direction(arithmetic: str, direction: Direction) -> None:
    rng = np.random.default_rng(7)
    x, w, dy = (drawn(rng, shape) + 1j * drawn(rng, shape) for shape in ((2, 3, 6, 7), (4, 3, 3, 3), (2, 4, 6, 7)))
    pads = ((1, 1), (1, 1))
    b, geometry = w[:, 0, 0, 0], Geometry((1, 1), pads)
    if direction is Direction.FORWARD:
        reference = oracle.forward(x, w, b, geometry)
    else:
        reference = oracle.gradients(x, w, b, dy, geometry)[direction]
    bound = bounds.tier_a(reference, "complex64", arithmetic, bounds.Operands(x, w, b, geometry, direction, dy))
    assert bound.shape == reference.value.shape
    assert (bound >= bounds.tier_a(reference, "complex64")).all()
    assert np.isfinite(bound).all()
    if direction is Direction.FORWARD and arithmetic == "winograd":
        parts = [em.winograd(a, c, pads, "F(4,3)") for a, c in ((x.real, w.real), (x.imag, w.imag))]
        third = em.winograd(x.real + x.imag, w.real + w.imag, pads, "F(4,3)")
        y = (parts[0] - parts[1]) + 1j * (third - parts[0] - parts[1]) + b.reshape(-1, 1, 1)
        error = y - reference.value
        assert (np.maximum(np.abs(error.real), np.abs(error.imag)) <= bound).all()


def test_operands_refuse_a_gradient_without_dy() -> None:
    x = np.ones((1, 1, 3, 3))
    operands = contracts.Operands(x, x, None, Geometry((1, 1), ONE), Direction.GRAD_WEIGHT)
    with pytest.raises(ValueError, match="no two factors to bound grad_weight by"):
        operands.factors()


def test_empty_problems_have_empty_bounds() -> None:
    x, w, geometry = np.zeros((0, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32), Geometry((1, 1), ONE)
    reference = oracle.forward(x, w, None, geometry)
    for name in contracts.NAMES:
        assert bounds.tier_a(reference, "float32", name, bounds.Operands(x, w, None, geometry)).shape == (0, 3, 3, 3)
