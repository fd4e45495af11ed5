"""The training reference: the chapter's digits, an envelope no correct run leaves, and mistakes that do leave it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import oracle, trajectory as module
from crosscorrect.bounds import Format
from crosscorrect.geometry import Geometry
from crosscorrect.trajectory import Trajectory, contractions, gram, trajectory

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Run: TypeAlias = tuple[Array, Array, Array]

EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
KERNEL = np.array([[1, -1]], np.float32)
START = np.array([[0.0068339, 0.01299825]], np.float32)
TARGET = oracle.corr2d(EDGE, KERNEL).value.astype(np.float32)
EXACT = Format(2000, -1022, np.inf, flushes=False)  # u = eta = 0: what is left is the float64 run's own error


def chapter(dtype: str = "float32", lr: float = 0.03, steps: int = 10) -> Trajectory:
    return trajectory(EDGE, TARGET, START, None, lr, steps, dtype)


def added(terms: Array, order: str) -> Array:
    """The sum along axis 0 in the terms' own dtype: one after the other, or pairwise."""
    if order == "sequential":
        return np.add.accumulate(terms, axis=0)[-1]
    while len(terms) > 1:
        odd = terms[len(terms) // 2 * 2 :]
        terms = np.concatenate([terms[: len(terms) // 2 * 2 : 2] + terms[1::2], odd])
    return terms[0]


def simulate(
    x: Array,
    y: Array,
    w0: Array,
    b0: Array | None,
    lr: float,
    steps: int,
    dtype: str,
    *,
    order: str = "sequential",
    seed: int = 0,
    wrong: str = "",
) -> Run:
    """A run in one dtype, every operation rounded to it, sums in a shuffled order; ``wrong`` names a mistake."""
    kind, rng = np.dtype(dtype).type, np.random.default_rng(seed)
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(dtype), w0.shape[-2:]).reshape(-1, w0.size)
    y, w, b = y.astype(dtype).ravel(), w0.astype(dtype).ravel(), None if b0 is None else b0.astype(dtype)
    losses, weights, biases = [], [w], [b]
    for _ in range(steps):
        taps, rows = rng.permutation(len(w)), rng.permutation(len(y))
        out = added((windows * w).T[taps], order)
        r = (out if b is None else out + b) - y
        losses.append(added((r * r)[rows], order))
        twice = r if wrong == "no factor 2" else kind(2) * r
        g = added((windows * twice[:, None])[rows], order)
        w = w - kind(lr) * g
        b = None if b is None else b - kind(lr) * added(twice[rows], order)
        weights.append(w)
        biases.append(b)
    if wrong == "lost step":
        losses, weights = [losses[0], *losses[:-1]], [weights[0], *weights[:-1]]
    weights = np.array(weights).reshape(-1, *w0.shape)
    return np.array(losses), weights, np.empty(0) if b0 is None else np.array(biases)


def inside(found: Trajectory, run: Run) -> list[bool]:
    losses, weights, biases = run
    compared = [(losses, found.losses, found.loss_bounds), (weights, found.weights, found.weight_bounds)]
    compared.append((biases, found.biases, found.bias_bounds))
    return [bool((np.abs(got.astype(np.float64) - ref) <= bound).all()) for got, ref, bound in compared]


def test_the_chapters_losses_and_weight_come_out_digit_for_digit() -> None:
    found = chapter()
    printed = "12.080 4.949 2.028 0.831 0.341 0.140 0.057 0.024 0.010 0.004"
    assert " ".join(f"{loss:.3f}" for loss in found.losses) == printed
    assert [f"{w:.4f}" for w in found.weights[-1].ravel()] == ["0.9895", "-0.9874"]
    assert found.weights.shape == (11, 1, 2)
    assert found.biases.size == found.bias_bounds.size == 0


def test_the_chapters_envelope_is_narrow_enough_to_mean_something() -> None:
    found = chapter()
    assert (found.weight_bounds[0] == 0).all()
    assert (found.weight_bounds[1:] > 0).all()
    assert (found.weight_bounds < 5e-6).all()
    assert (found.loss_bounds < 5e-5).all()
    assert (chapter("float64").weight_bounds < 1e-14).all()


def test_the_chapters_gram_matrix_and_contraction_factors() -> None:
    assert gram(EDGE, (1, 2)).tolist() == [[18, 12], [12, 18]]
    assert gram(EDGE[None, None], (1, 2)).tolist() == [[18, 12], [12, 18]]
    assert [f"{factor:.12f}" for factor in contractions(EDGE, (1, 2), 0.03)] == ["0.800000000000", "0.640000000000"]


@st.composite
def trainings(draw: st.DrawFn) -> tuple[Any, ...]:
    """Small images, kernels, starts and rates, also rates that diverge, with and without a bias."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    size = tuple(k + draw(st.integers(0, 5)) for k in kernel)
    whole = draw(st.booleans())
    x = rng.integers(0, 2, size) if whole else rng.standard_normal(size)
    y = rng.standard_normal(tuple(s - k + 1 for s, k in zip(size, kernel, strict=True)))
    bias = rng.standard_normal(1) if draw(st.booleans()) else None
    lr = draw(st.sampled_from([0.001, 0.01, 0.03, 0.1]))
    dtype = draw(st.sampled_from(["float32", "float32", "float64", "float16"]))
    return x, y, rng.standard_normal(kernel), bias, lr, draw(st.integers(1, 8)), dtype


@settings(max_examples=250, deadline=None)
@given(case=trainings(), order=st.sampled_from(["sequential", "pairwise"]), seed=st.integers(0, 2**32 - 1))
def test_no_correctly_rounded_run_in_any_order_leaves_the_envelope(case: Any, order: Any, seed: int) -> None:
    *_, dtype = case
    with np.errstate(over="ignore", invalid="ignore"):
        run = simulate(*case, order=order, seed=seed)
        reference = trajectory(*case)
    if all(np.isfinite(part).all() for part in run):
        assert inside(reference, run) == [True, True, True]
    else:  # what overflowed in float16 had no finite bound
        assert dtype == "float16"
        assert np.isinf(reference.loss_bounds).any() or np.isinf(reference.weight_bounds).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.sampled_from(["sequential", "pairwise"]))
def test_correct_runs_of_the_chapter_stay_inside_in_every_order(seed: int, order: Any) -> None:
    for dtype in ("float32", "float64"):
        run = simulate(EDGE, TARGET, START, None, 0.03, 10, dtype, order=order, seed=seed)
        assert inside(chapter(dtype), run) == [True, True, True]


@pytest.mark.parametrize("wrong", ["no factor 2", "lost step", "rate"])
def test_a_forgotten_factor_a_lost_step_and_a_wrong_rate_leave_the_envelope(wrong: str) -> None:
    lr = 0.03001 if wrong == "rate" else 0.03
    run = simulate(EDGE, TARGET, START, None, lr, 10, "float32", wrong=wrong)
    assert inside(chapter(), run)[:2] == [False, False]


def test_a_float32_rate_or_run_leaves_the_float64_envelope() -> None:
    start = START.astype(np.float64)
    rounded = simulate(EDGE, TARGET, start, None, float(np.float32(0.03)), 10, "float64")
    assert inside(chapter("float64"), rounded)[:2] == [False, False]
    run = simulate(EDGE, TARGET, START, None, 0.03, 10, "float32")
    assert inside(chapter("float64"), run)[:2] == [False, False]


def test_a_bias_that_is_never_updated_leaves_the_envelope() -> None:
    losses, weights, biases = simulate(EDGE, TARGET + 1, START, np.zeros(1), 0.01, 5, "float32")
    found = trajectory(EDGE, TARGET + 1, START, np.zeros(1), 0.01, 5, "float32")
    assert inside(found, (losses, weights, biases)) == [True, True, True]
    assert found.biases.shape == found.bias_bounds.shape == (6, 1)
    assert inside(found, (losses, weights, np.zeros_like(biases)))[2] is False


@settings(max_examples=25, deadline=None)
@given(case=trainings())
def test_the_float64_run_is_within_its_own_claimed_error_of_exact_fractions(case: Any) -> None:
    x, y, w0, b0, lr, steps, _ = case
    steps = min(steps, 4)
    problem = module._regression(x.astype(np.float64), y, w0, Geometry(), lr, biased=b0 is not None)
    start = w0.ravel() if b0 is None else np.concatenate([w0.ravel(), b0])
    thetas, errors, losses, loss_bounds = module._run(problem, start, steps, EXACT)
    rows = [[Fraction(v) for v in row] for row in problem.a.tolist()]
    target, theta = [Fraction(v) for v in problem.y.tolist()], [Fraction(v) for v in start.tolist()]
    for t in range(steps):
        r = [sum(p * q for p, q in zip(row, theta, strict=True)) - s for row, s in zip(rows, target, strict=True)]
        assert abs(Fraction(losses[t]) - sum(v * v for v in r)) <= Fraction(loss_bounds[t])
        g = [2 * sum(row[i] * v for row, v in zip(rows, r, strict=True)) for i in range(len(theta))]
        theta = [p - Fraction(lr) * q for p, q in zip(theta, g, strict=True)]
        for got, claimed, exact in zip(thetas[t + 1], errors[t + 1], theta, strict=True):
            assert abs(Fraction(got) - exact) <= Fraction(claimed)


def test_four_dimensional_arrays_and_a_padded_geometry_train_alike() -> None:
    lifted = trajectory(EDGE[None, None], TARGET[None, None], START[None, None], None, 0.03, 10, "float32")
    assert lifted.weights.shape == (11, 1, 1, 1, 2)
    np.testing.assert_array_equal(lifted.weights.ravel(), chapter().weights.ravel())
    np.testing.assert_array_equal(lifted.losses, chapter().losses)
    padded = Geometry(padding=((1, 0), (0, 2)))
    framed = np.pad(EDGE, ((1, 0), (0, 2)))
    y = oracle.corr2d(framed, KERNEL).value
    a = trajectory(EDGE, y, START, None, 0.02, 3, "float32", padded)
    b = trajectory(framed, y, START, None, 0.02, 3, "float32")
    np.testing.assert_array_equal(a.weights, b.weights)
    assert (a.weight_bounds <= b.weight_bounds).all()


def test_inputs_are_rounded_to_the_dtype_before_training() -> None:
    found = trajectory(EDGE, TARGET, np.array([[0.1, 0.2]]), None, 0.03, 1, "float32")
    assert found.weights[0].tolist() == [[float(np.float32(0.1)), float(np.float32(0.2))]]


def test_a_run_with_no_sound_bound_says_so() -> None:
    found = trajectory(np.ones((40, 40)), np.zeros((40, 40)), np.ones((1, 1)), None, 0.001, 2, "bfloat16")
    assert np.isinf(found.weight_bounds[1:]).all()
    assert np.isinf(found.loss_bounds).all()


@pytest.mark.parametrize(
    ("x", "y", "w", "geometry", "words"),
    [
        ((3, 3), (3, 3), (1, 2), Geometry(), "target of shape"),
        ((1, 2, 3, 3), (1, 1, 3, 2), (1, 1, 1, 2), Geometry(), "is needed"),
        ((1, 1, 3, 3), (1, 2, 3, 2), (2, 1, 1, 2), Geometry(), "one channel"),
        ((3, 3), (3, 4), (1, 2), Geometry(transposed=True), "not transposed"),
    ],
)
def test_what_the_reference_does_not_cover_is_refused(
    x: Shape, y: Shape, w: Shape, geometry: Geometry, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        trajectory(np.ones(x), np.ones(y), np.ones(w), None, 0.01, 1, "float32", geometry)
