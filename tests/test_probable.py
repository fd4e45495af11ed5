"""Tier B never objects to sums rounded to nearest, in any order, and always to what rounds more or misses a little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import emulations as em
from crosscorrect import dtypes, oracle, probable
from crosscorrect.model import Direction
from crosscorrect.oracle import Reference
from crosscorrect.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]

ORDERS = {"sequential": em.sequential, "pairwise": em.pairwise, "lanes": em.lanes, "blas": em.blas, "fused": em.fused}
KINDS = ("normal", "uniform", "mixed")


def rows(kind: str, count: int, n: int, seed: int, dtype: str = "float32") -> tuple[Array, Array]:
    """``count`` pairs of vectors of n random numbers: normal, uniform, or one of each."""
    rng = np.random.default_rng([seed, count, n, KINDS.index(kind)])

    def drawn(uniform: bool) -> Array:
        draw = rng.random if uniform else rng.standard_normal
        values = draw((count, n)) + (1j * draw((count, n)) if dtype in dtypes.COMPLEX else 0.0)
        wide = np.complex64 if dtype in dtypes.COMPLEX else np.float32
        return np.asarray(dtypes.widen(dtypes.narrow(values, dtype))).astype(wide)

    return drawn(kind == "uniform"), drawn(kind != "normal")


def dots(a: Array, b: Array) -> Reference:
    """The reference of the sums of products of each row."""
    wide = np.complex128 if np.iscomplexobj(a) else np.float64
    products = a.astype(wide) * b
    scale = np.abs(a.real) + np.abs(a.imag) if np.iscomplexobj(a) else np.abs(a)
    other = np.abs(b.real) + np.abs(b.imag) if np.iscomplexobj(b) else np.abs(b)
    sums = (scale.astype(np.float64) * other).sum(axis=1)
    return Reference(products.sum(axis=1), sums, np.full(len(a), a.shape[1], np.int64))


def finding(y: Array, reference: Reference, dtype: str = "float32", **how: Any) -> probable.Finding | None:
    wide = np.complex128 if np.iscomplexobj(y) else np.float64
    return probable.judge(y.astype(wide) - reference.value, reference, dtype, **{"bias": 0.0, **how})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("count", "n"), [(1, 1), (4000, 1), (3, 2), (1, 9), (3000, 9), (500, 144), (40, 4608)])
def test_no_order_of_summation_is_objected_to(kind: str, count: int, n: int) -> None:
    for seed in range(5):
        a, b = rows(kind, count, n, seed)
        reference = dots(a, b)
        for name, order in ORDERS.items():
            for bias in (0.0, None):
                assert finding(order(a, b), reference, bias=bias) is None, (name, bias, seed)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    count=st.integers(1, 300),
    n=st.integers(1, 300),
    order=st.sampled_from(sorted(ORDERS)),
    seed=st.integers(0, 2**31),
)
def test_nor_at_any_size(kind: str, count: int, n: int, order: str, seed: int) -> None:
    a, b = rows(kind, count, n, seed)
    assert finding(ORDERS[order](a, b), dots(a, b)) is None


@pytest.mark.parametrize("n", [50_000, 300_000, 1_000_000])
def test_long_sequential_sums_of_same_signed_data_stall_and_are_not_objected_to(n: int) -> None:
    a, b = rows("uniform", 4, n, 1)
    reference = dots(a, b)
    assert finding(em.sequential(a, b), reference) is None
    a, b = rows("normal", 4, n, 2)
    assert finding(em.sequential(a, b), dots(a, b)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [em.gauss, em.schoolbook])
def test_complex_sums_by_three_or_four_products_are_not_objected_to(kind: str, order: Callable[..., Array]) -> None:
    for count, n in ((2000, 1), (1, 9), (1000, 27), (60, 576), (5, 20_000)):
        a, b = rows(kind, count, n, 3, "complex64")
        reference = dots(a, b)
        for add in (em.sequential, em.pairwise):
            for bias in (0.0, None):
                assert finding(order(a, b, add), reference, "complex64", bias=bias) is None, (count, n, bias)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_16_bit_results_of_float32_sums_are_right_truncating_or_not(dtype: str, kind: str) -> None:
    short = getattr(em, dtype)
    for count, n in ((2000, 1), (1, 9), (1000, 27), (60, 576), (5, 4000)):
        a, b = rows(kind, count, n, 4, dtype)
        reference = dots(a, b)
        for sums in (em.sequential(a, b), em.truncated(a, b), em.truncated(a, b, 8)):
            assert finding(short(sums), reference, dtype) is None, (count, n)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("size", [0.3, 1.0, 40.0, 1e4])
def test_a_bias_shared_by_many_elements_is_not_taken_for_a_lean(dtype: str, first: bool, size: float) -> None:
    short = em.float32 if dtype == "float32" else getattr(em, dtype)
    for seed in range(10):
        a, b = rows("mixed", 5000, 18, seed, dtype)
        plain = dots(a, b)
        bias = short(np.array(size * np.random.default_rng(seed).standard_normal()))
        terms = plain.terms + 1
        reference = Reference(plain.value + np.float64(bias), plain.scale + abs(np.float64(bias)), terms)
        if first:
            column = np.full((len(a), 1), bias, np.float32)
            y = short(em.sequential(np.concatenate([column, a], axis=1), np.concatenate([0 * column + 1, b], axis=1)))
        else:
            y = short(short(em.sequential(a, b)) + bias)
        assert finding(y, reference, dtype, bias=bias) is None
        assert finding(y, reference, dtype, bias=None) is None


REDUCED: dict[str, Callable[[Array, Array], Array]] = {
    "TF32 inputs": lambda a, b: em.fused(em.tf32(a), em.tf32(b)),
    "bfloat16 inputs": lambda a, b: em.fused(em.bfloat16(a), em.bfloat16(b)),
    "float16 inputs": lambda a, b: em.fused(em.float16(a), em.float16(b)),
    "bfloat16 result": lambda a, b: em.bfloat16(em.fused(a, b)),
    "float16 result": lambda a, b: em.float16(em.fused(a, b)),
}


@pytest.mark.parametrize("name", sorted(REDUCED))
@pytest.mark.parametrize(("count", "n"), [(2304, 1), (2304, 9), (300, 144), (80, 1500)])
def test_reduced_inputs_and_results_are_objected_to_on_all_random_data(name: str, count: int, n: int) -> None:
    for seed in range(20):
        for kind in KINDS:
            a, b = rows(kind, count, n, seed)
            assert finding(REDUCED[name](a, b), dots(a, b)) is not None, (kind, seed)


@pytest.mark.parametrize("name", ["TF32 inputs", "bfloat16 result"])
def test_on_normal_data_they_are_objected_to_at_any_length(name: str) -> None:
    a, b = rows("normal", 30, 100_000, 5)
    y = REDUCED[name](a, b) if name != "bfloat16 result" else em.bfloat16(dots(a, b).value)
    assert finding(y, dots(a, b)) is not None


@pytest.mark.parametrize("block", [1, 8])
def test_float32_sums_toward_zero_are_objected_to(block: int) -> None:
    for seed in range(20):
        for kind in KINDS:
            a, b = rows(kind, 400, 500, seed)
            assert finding(em.truncated(a, b, block), dots(a, b)) is not None, (kind, seed)
    for n, count, test in ((576, 1, "element"), (16, 40, "variance"), (1, 2304, "bias")):
        a, b = rows("uniform", count, n, 0)
        found = finding(em.truncated(a, b), dots(a, b))
        assert found is not None
        assert found.test == test, (n, count)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_sums_are_objected_to(dtype: str) -> None:
    short = getattr(em, dtype)
    for seed in range(20):
        a, b = rows("uniform", 30, 200, seed, dtype)
        y = em.rounded(a.astype(np.float64) * b, short)
        assert finding(y, dots(a, b), dtype) is not None
        assert finding(y, dots(a, b), dtype, bias=None) is not None


@pytest.mark.parametrize("n", [1, 9, 500, 20_000])
def test_one_element_off_by_a_little_of_its_scale_is_found_and_pointed_at(n: int) -> None:
    for seed in range(20):
        for kind in KINDS:
            a, b = rows(kind, 12, n, seed)
            reference = dots(a, b)
            y = em.pairwise(a, b).astype(np.float64)
            y[7] += 3e-4 * reference.scale[7]
            found = finding(y, reference)
            assert found is not None
            assert (found.test, found.where) == ("element", (7,))
            assert found.ratio > 1
            assert "(7,)" in found.message


@pytest.mark.parametrize(("n", "kind"), [(27, "normal"), (576, "normal"), (576, "uniform"), (1152, "mixed")])
def test_one_lost_tap_of_average_size_is_found(n: int, kind: str) -> None:
    for seed in range(20):
        a, b = rows(kind, 12, n, seed)
        tap = int(np.argmin(np.abs(np.abs(a[4] * b[4]) - np.mean(np.abs(a[4] * b[4])))))
        y = em.pairwise(a, b)
        y[4] -= a[4, tap] * b[4, tap]
        found = finding(y, dots(a, b))
        assert found is not None
        assert found.where == (4,)


@pytest.mark.parametrize("taps", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_few_complex_weights_whose_parts_add_up_wrongly_for_all_elements_are_no_lean(kind: str, taps: int) -> None:
    for seed in range(10):
        a, b = rows(kind, 50_000, taps, seed, "complex64")
        b = np.broadcast_to(b[:1], b.shape)
        assert finding(em.gauss(a, b), dots(a, b), "complex64") is None


def test_a_result_in_one_component_only_is_found_there() -> None:
    a, b = rows("normal", 50, 27, 0, "complex64")
    y = em.gauss(a, b)
    y[11] += 1e-4j * dots(a, b).scale[11]
    found = finding(y, dots(a, b), "complex64")
    assert found is not None
    assert found.where == (11,)


@pytest.mark.parametrize("inputs", [em.tf32, em.tf32_cut])
@pytest.mark.parametrize("add", [em.sequential, em.truncated])
def test_declared_tf32_may_round_or_cut_and_truncate_but_not_be_bfloat16(inputs: Any, add: Any) -> None:
    for kind in KINDS:
        for count, n in ((500, 1), (300, 9), (300, 144), (20, 2000)):
            a, b = rows(kind, count, n, 6)
            y = add(inputs(a), inputs(b))
            assert finding(y, dots(a, b), arithmetic="tf32") is None, (kind, count, n)
            assert finding(y, dots(a, b), arithmetic="bf16") is None, (kind, count, n)
    a, b = rows("normal", 300, 144, 7)
    assert finding(REDUCED["bfloat16 inputs"](a, b), dots(a, b), arithmetic="tf32") is not None
    assert finding(REDUCED["bfloat16 inputs"](a, b), dots(a, b), arithmetic="bf16") is None


def test_default_is_strict_and_nothing_is_claimed_of_algorithms_and_integers() -> None:
    a, b = rows("normal", 300, 144, 8)
    wrong, reference = em.bfloat16(em.fused(a, b)), dots(a, b)
    strict = finding(wrong, reference)
    assert strict is not None
    assert finding(wrong, reference, arithmetic="default") == strict
    assert [finding(wrong, reference, arithmetic=name) for name in ("winograd", "fft", "fp16")] == [None] * 3
    assert finding(wrong, reference, "int32") is None


def test_what_is_not_finite_is_determined_or_is_empty_is_not_judged() -> None:
    a, b = rows("normal", 30, 9, 9)
    reference, y = dots(a, b), em.sequential(a, b).astype(np.float64)
    y[3] = np.nan
    y[4] += 1.0
    special = np.zeros(30, np.bool_)
    special[4] = True
    assert finding(y, replace(reference, special=special)) is None
    assert finding(y, reference) is not None
    empty = Reference(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2), np.int64))
    assert probable.judge(np.zeros((0, 2)), empty, "float32") is None
    zeros = Reference(np.zeros(5), np.zeros(5), np.zeros(5, np.int64))
    assert probable.judge(np.zeros(5), zeros, "float32") is None


def test_the_error_of_the_reference_is_not_held_against_an_output() -> None:
    a, b = rows("normal", 200, 27, 10)
    reference = dots(a, b)
    y = em.sequential(a, b).astype(np.float64) + 1e-5
    assert finding(y, reference) is not None
    assert finding(y, replace(reference, own=np.full(200, 1e-5))) is None


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("TF32 inputs", 11.5, 12.0), ("float16 inputs", 11.5, 12.0), ("bfloat16 inputs", 8.5, 9.0)],
)
@pytest.mark.parametrize("n", [9, 576, 4608])
def test_effective_bits_tell_the_inputs_whatever_the_length(name: str, low: float, high: float, n: int) -> None:
    a, b = rows("normal", 200, n, 11)
    squares = (a.astype(np.float64) ** 2 * b.astype(np.float64) ** 2).sum(axis=1)
    bits = probable.effective_bits(REDUCED[name](a, b) - dots(a, b).value, squares)
    assert low < bits < high
    assert probable.effective_bits(em.sequential(a, b) - dots(a, b).value, squares) > 19


def test_effective_bits_without_error_or_without_anything_to_compare_are_infinite() -> None:
    assert probable.effective_bits(np.zeros(3), np.ones(3)) == np.inf
    assert probable.effective_bits(np.array([np.nan, 1.0]), np.array([1.0, 0.0])) == np.inf
    assert probable.effective_bits(np.array([2.0**-12, np.nan]), np.array([4.0, 1.0])) == 13


def problem(operation: str = "conv2d", **arrays: Any) -> Problem:
    return Problem(
        id="p",
        suite="s",
        case="c",
        source="",
        title="",
        note="",
        operation=operation,
        dtype="float32",
        directions=(Direction.FORWARD,),
        arrays=arrays,
        shapes={},
        file=Path(),
    )


def test_tier_b_is_for_random_data_only() -> None:
    normal, uniform = {"fill": "normal", "shape": [2]}, {"fill": "uniform", "shape": [2]}
    assert probable.applies(problem(x=normal, w=uniform))
    assert probable.applies(problem(x=normal, w=uniform, dy=normal, b=[1, 2]))
    assert not probable.applies(problem(x=normal, w=[[1, 2]]))
    assert not probable.applies(problem(x=normal, w=uniform, dy={"fill": "integers"}))
    assert not probable.applies(problem(x={**normal, "put": [[0, "nan"]]}, w=uniform))
    assert not probable.applies(problem(x=normal, w={"fill": "impulse", "at": [0, 0]}))
    assert not probable.applies(problem(x=normal))
    assert not probable.applies(problem("train", x=normal, w=normal))


def test_it_judges_a_convolution_with_a_bias_per_channel() -> None:
    rng = np.random.default_rng(12)
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in ((2, 3, 9, 8), (4, 3, 3, 3), (4,)))
    pads = ((1, 1), (0, 2))
    seen, kernels = em.factors(x, w, pads)
    sums = np.stack([em.sequential(seen, np.broadcast_to(k, seen.shape)) for k in kernels], axis=1)
    y = em.shaped(sums, x, w, pads) + b.reshape(-1, 1, 1)
    reference = oracle.forward(x, w, b, oracle.Geometry((1, 1), pads))
    bias = probable.bias_of({"x": x, "w": w, "b": b}, Direction.FORWARD, 4)
    assert np.shape(bias) == (4, 1, 1)
    assert probable.bias_of({"b": b[:1]}, Direction.FORWARD, 2) == b[0]
    assert probable.bias_of({"b": b}, Direction.GRAD_WEIGHT, 4) == probable.bias_of({}, Direction.FORWARD, 4) == 0.0
    assert probable.judge(y - reference.value, reference, "float32", bias=bias) is None
    y[1, 2, 3, 4] *= np.float32(1 + 2.0**-16)
    found = probable.judge(y - reference.value, reference, "float32", bias=bias)
    assert found is not None
    assert found.where == (1, 2, 3, 4)
