"""Each way an output can be wrong has its own reason, with where, expected and got; rounding alone is never wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import bounds, operations
from crosscorrect.geometry import Geometry
from crosscorrect.judge import REFUSED_GRADIENT, judge, no_gradient
from crosscorrect.model import Direction, Outcome, Reason, Verdict
from crosscorrect.oracle import Reference
from crosscorrect.problem import Problem
from crosscorrect.trained import judge as judge_training, same_digits
from crosscorrect.trajectory import trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = np.ndarray[Any, Any]
FORWARD = Direction.FORWARD
unhurried = settings(deadline=None)

X = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
W = [[0, 1], [2, 3]]
Y = [[19, 25], [37, 43]]
REAL = {"fill": "normal", "shape": [5, 6]}
KERNEL = {"fill": "normal", "shape": [2, 3]}


def problem(x: Any = X, w: Any = W, expect: Mapping[str, Any] | None = None, **changed: Any) -> Problem:
    """A ``corr2d`` problem of these arrays."""

    def shape(spec: Any) -> tuple[int, ...]:
        return tuple(spec["shape"]) if isinstance(spec, dict) else np.shape(spec)

    image, kernel = shape(x), shape(w)
    output = tuple(n - k + 1 for n, k in zip(image, kernel, strict=True))
    made = Problem(
        id="s/c", suite="s", case="c", source="", title="", note="", operation="corr2d", dtype="float32",
        directions=(FORWARD,), arrays={"x": x, "w": w}, expect=expect,
        shapes={"x": image, "w": kernel, "output": output},
    )  # fmt: skip
    return replace(made, **changed)


def judged(asked: Problem, change: Any = lambda y: y) -> Verdict:
    """The verdict on the right answer, rounded to the dtype and then changed."""
    inputs = asked.inputs()
    reference = operations.references(asked, inputs)[FORWARD]
    return judge(asked, FORWARD, inputs, change(reference.value.astype(asked.dtype)), reference)


def put(where: tuple[int, ...], value: float) -> Any:
    def change(y: Array) -> Array:
        y[where] = value
        return y

    return change


def test_the_worked_example_passes_with_zero_tolerance() -> None:
    assert judged(problem()) == Verdict(Outcome.PASS, tier="C", error=0.0, ratio=0.0)


@pytest.mark.parametrize("x", [X, REAL])
def test_a_correctly_rounded_answer_passes(x: Any) -> None:
    verdict = judged(problem(x, W if x is X else KERNEL))
    assert verdict.outcome is Outcome.PASS
    assert verdict.ratio is not None
    assert verdict.ratio <= 1


@pytest.mark.parametrize(
    "change", [lambda y: y[:1], lambda y: y[None], lambda y: y.ravel(), lambda y: y[:0], lambda y: y[0, 0]]
)
def test_another_shape_is_told_before_any_value(change: Any) -> None:
    verdict = judged(problem(), change)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, Reason.SHAPE)
    assert "(2, 2) is right" in verdict.message


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32", "complex64", "bool"])
def test_another_dtype_is_told_even_with_the_right_values(dtype: str) -> None:
    verdict = judged(problem(), lambda y: y.astype(dtype))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, Reason.DTYPE)
    assert verdict.message == f"dtype {dtype} where float32 was asked for"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_element_that_is_not_finite_is_told_with_the_right_value(value: float) -> None:
    verdict = judged(problem(), lambda y: put((1, 1), value)(put((1, 0), value)(y)))
    assert (verdict.outcome, verdict.reason, verdict.where) == (Outcome.FAIL, Reason.NONFINITE, (1, 0))
    assert verdict.expected == 37
    assert str(verdict.got) == str(value)
    assert "2 of 4 elements" in verdict.message


def test_integers_are_judged_exactly_and_the_worst_element_is_told() -> None:
    """One unit in the last place of float32 beside the right integer is wrong."""
    beside = float(np.nextafter(np.float32(43), np.float32(0)))
    verdict = judged(problem(), put((1, 1), beside))
    assert (verdict.outcome, verdict.reason, verdict.tier) == (Outcome.FAIL, Reason.EXACTNESS, "C")
    assert (verdict.where, verdict.expected, verdict.got) == ((1, 1), 43.0, beside)
    assert verdict.error == 43.0 - beside
    assert verdict.ratio == float("inf")
    assert "1 of 4 elements are wrong" in verdict.message


@unhurried
@given(st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_real_data_are_judged_by_the_bound_just_inside_passes_and_just_outside_fails(
    i: int, j: int, over: bool
) -> None:
    asked = problem(REAL, KERNEL)
    inputs = asked.inputs()
    reference = operations.references(asked, inputs)[FORWARD]
    bound = float(bounds.tier_a(reference, "float32")[i, j])
    right = float(reference.value[i, j])
    # the nearest float32 on the far side of the bound, and the one before it
    outside = np.float32(right + bound)
    while float(outside) - right <= bound:
        outside = np.nextafter(outside, np.float32(np.inf))
    value = outside if over else np.nextafter(outside, np.float32(-np.inf))
    verdict = judged(asked, put((i, j), float(value)))
    if not over:
        assert verdict.outcome is Outcome.PASS
        return
    assert (verdict.outcome, verdict.reason, verdict.tier) == (Outcome.FAIL, Reason.BOUND_A, "A")
    assert (verdict.where, verdict.expected, verdict.got) == ((i, j), right, float(value))
    assert verdict.ratio is not None
    assert verdict.ratio > 1
    assert "times the bound away" in verdict.message


def test_a_literal_expectation_is_judged_first_and_is_itself_put_to_the_test() -> None:
    wrong_by_hand = [[19, 25], [37, 44]]
    verdict = judged(problem(expect={"output": wrong_by_hand}))
    assert (verdict.outcome, verdict.reason, verdict.tier) == (Outcome.FAIL, Reason.VALUE, "literal")
    assert (verdict.where, verdict.expected, verdict.got) == ((1, 1), 44.0, 43.0)
    verdict = judged(problem(expect={"output": wrong_by_hand}), put((1, 1), 44.0))
    assert (verdict.reason, verdict.expected, verdict.got) == (Reason.EXACTNESS, 43.0, 44.0)
    assert judged(problem(expect={"output": Y})).outcome is Outcome.PASS


def test_generated_data_that_prove_nothing_are_mistrusted_and_not_passed() -> None:
    constant = {"fill": "constant", "value": 1, "shape": [5, 6]}
    verdict = judged(problem(constant, W))
    assert (verdict.outcome, verdict.reason) == (Outcome.MISTRUSTED, Reason.NONE)
    assert "all 20 output elements are 6" in verdict.message


@pytest.mark.parametrize("written", [True, False])
def test_written_data_are_trusted_whatever_they_give(written: bool) -> None:
    """The chapter's own examples have outputs of zeros: a person wrote them and may look at them."""
    flat = np.ones((3, 3)).tolist()
    expect = {"output": [[0, 0, 0]] * 3} if written else None
    assert judged(problem(flat if not written else np.ones((3, 4)).tolist(), [[1, -1]], expect)).outcome is Outcome.PASS


def test_a_generated_image_with_a_written_answer_is_trusted() -> None:
    constant = {"fill": "constant", "value": 1, "shape": [3, 3]}
    assert judged(problem(constant, W, {"output": [[6, 6], [6, 6]]})).outcome is Outcome.PASS


def test_a_wrong_answer_on_data_that_prove_nothing_is_a_failure_all_the_same() -> None:
    constant = {"fill": "constant", "value": 1, "shape": [5, 6]}
    assert judged(problem(constant, W), put((0, 0), 7.0)).outcome is Outcome.FAIL


def test_gradient_elements_that_no_tap_reaches_are_no_reason_for_mistrust() -> None:
    """A stride longer than the kernel leaves most of an input gradient zero by definition."""
    x, w = {"fill": "normal", "shape": [1, 1, 9, 9]}, {"fill": "normal", "shape": [1, 1, 1, 1]}
    dy = {"fill": "normal", "shape": [1, 1, 3, 3]}
    asked = problem(
        x, w, arrays={"x": x, "w": w, "dy": dy}, operation="conv2d", geometry=Geometry(stride=(4, 4)),
        directions=(Direction.GRAD_INPUT,),
        shapes={"x": (1, 1, 9, 9), "w": (1, 1, 1, 1), "dy": (1, 1, 3, 3), "output": (1, 1, 3, 3)},
    )  # fmt: skip
    inputs = asked.inputs()
    reference = operations.references(asked, inputs)[Direction.GRAD_INPUT]
    assert 2 * np.count_nonzero(reference.value) < reference.value.size
    output = reference.value.astype(np.float32)
    assert judge(asked, Direction.GRAD_INPUT, inputs, output, reference).outcome is Outcome.PASS


def test_an_empty_output_of_the_right_shape_has_nothing_wrong() -> None:
    nothing = np.zeros((0, 3))
    reference = Reference(nothing, nothing, nothing.astype(np.int64))
    assert judge(problem(), FORWARD, {}, nothing.astype(np.float32), reference).outcome is Outcome.PASS


def test_without_a_sound_bound_nothing_is_claimed() -> None:
    value = np.full((1, 1), 0.5)
    reference = Reference(value, value, np.full((1, 1), 2**24, np.int64))
    inputs = {"x": value}
    verdict = judge(problem(), FORWARD, inputs, value.astype(np.float32), reference)
    assert verdict.outcome is Outcome.UNBOUNDED


def test_an_answer_that_may_overflow_is_unbounded_and_not_a_failure() -> None:
    asked = problem([[300.0, 1.0]], [[300.0]], dtype="float16")
    with np.errstate(over="ignore"):  # 90000 has no float16: infinity is the right answer
        assert judged(asked).outcome is Outcome.UNBOUNDED


def test_beside_an_element_without_a_bound_a_wrong_one_still_fails() -> None:
    value = np.array([[0.5, 0.5]])
    reference = Reference(value, value, np.array([[2**24, 2]], np.int64))
    verdict = judge(problem(), FORWARD, {"x": value}, np.array([[np.inf, 0.75]], np.float32), reference)
    assert (verdict.outcome, verdict.reason, verdict.where) == (Outcome.FAIL, Reason.BOUND_A, (0, 1))


def test_a_training_without_a_sound_envelope_is_unbounded_whatever_it_returns() -> None:
    asked = training()
    inputs = asked.inputs()
    own = operations.training_reference(asked, inputs, inputs["start"], None)
    loose = replace(own, loss_bounds=np.full_like(own.loss_bounds, np.inf))
    garbage = np.ones(STEPS, np.float32)
    verdict = judge_training(asked, garbage, own.weights.astype(np.float32), np.zeros(0), loose)
    assert verdict.outcome is Outcome.UNBOUNDED
    assert "loss history" in verdict.message


def test_a_gradient_of_none_is_a_refusal_in_so_many_words() -> None:
    assert no_gradient() == Verdict(Outcome.UNSUPPORTED, message=REFUSED_GRADIENT)


STEPS = 4


def training(expect: Mapping[str, Any] | None = None) -> Problem:
    edge = {"picture": "edge", "size": [6, 8]}
    settings = {"lr": 0.03, "steps": STEPS, "layer": "custom", "start_own": False}
    return problem(
        np.ones((6, 8)).tolist(), [[1, -1]], expect,
        operation="train", directions=(Direction.TRAIN,), settings=settings,
        arrays={"x": edge, "w": [[1, -1]], "start": [[0.0068339, 0.01299825]]},
        shapes={"x": (6, 8), "w": (1, 2), "start": (1, 2), "output": (6, 7)},
    )  # fmt: skip


def trained(asked: Problem, losses: Any = lambda v: v, weights: Any = lambda v: v) -> Verdict:
    """The verdict on the reference's own histories, rounded to float32 and then changed."""
    inputs = asked.inputs()
    reference = operations.training_reference(asked, inputs, inputs["start"], None)
    own = reference.losses.astype(np.float32), reference.weights.astype(np.float32)
    return judge_training(asked, losses(own[0]), weights(own[1]), np.zeros(0), reference)


def test_a_training_inside_its_envelope_passes_with_the_chapter_s_digits() -> None:
    verdict = trained(training({"losses": {2: "4.949", 4: "0.831"}}))
    assert (verdict.outcome, verdict.tier) == (Outcome.PASS, "A")
    assert verdict.ratio is not None
    assert verdict.ratio <= 1


@pytest.mark.parametrize("step", range(STEPS))
def test_a_loss_outside_the_envelope_is_told_with_its_step_counted_from_one(step: int) -> None:
    verdict = trained(training(), losses=put((step,), 1e6))
    assert (verdict.outcome, verdict.reason, verdict.got) == (Outcome.FAIL, Reason.TRAJECTORY, 1e6)
    assert verdict.where == (step,)
    assert f"the loss leaves the rounding envelope at step {step + 1}: " in verdict.message


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_weight_outside_the_envelope_is_told_with_its_step(step: int) -> None:
    verdict = trained(training(), weights=put((step, 0, 1), -7.0))
    assert (verdict.outcome, verdict.reason, verdict.where) == (Outcome.FAIL, Reason.TRAJECTORY, (step, 0, 1))
    assert f"the weight leaves the rounding envelope at step {step}: " in verdict.message


def test_the_first_step_that_is_wrong_is_told_not_the_worst() -> None:
    verdict = trained(training(), losses=lambda v: put((3,), 1e30)(put((1,), 50.0)(v)))
    assert "at step 2: " in verdict.message


@pytest.mark.parametrize(
    ("losses", "weights", "reason", "words"),
    [
        (lambda v: v[:-1], lambda v: v, Reason.SHAPE, "loss history: shape (3,) where (4,) is right"),
        (lambda v: v, lambda v: v[1:], Reason.SHAPE, "weight history: shape (4, 1, 2)"),
        (lambda v: v, lambda v: v.astype(np.float64), Reason.DTYPE, "weight history: dtype float64"),
        (put((2,), np.nan), lambda v: v, Reason.NONFINITE, "loss history: 1 of 4 elements are not finite"),
    ],
)
def test_a_malformed_history_is_told_by_its_name(losses: Any, weights: Any, reason: Reason, words: str) -> None:
    verdict = trained(training(), losses, weights)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, reason)
    assert verdict.message.startswith(words)


@pytest.mark.parametrize(
    ("expect", "label"),
    [
        ({"losses": {2: "4.948"}}, "loss after step 2 prints as 4.949"),
        ({"weight": ["0.1", "9.9"]}, "weight 0 prints as 0.8"),
    ],
)
def test_a_printed_number_that_does_not_come_out_digit_for_digit_fails(expect: Any, label: str) -> None:
    verdict = trained(training(expect))
    assert (verdict.outcome, verdict.reason, verdict.tier) == (Outcome.FAIL, Reason.VALUE, "literal")
    assert label in verdict.message


@unhurried
@given(st.floats(-1e6, 1e6), st.integers(0, 9))
def test_a_number_has_the_digits_it_is_printed_with_and_no_other_last_digit(value: float, decimals: int) -> None:
    printed = f"{value:.{decimals}f}"
    assert same_digits(printed, value)
    assert same_digits(f" {printed} ", value)
    other = printed[:-1] + str((int(printed[-1]) + 1) % 10)
    assert not same_digits(other, value)


def test_the_reference_trajectory_of_these_tests_is_the_chapter_s() -> None:
    inputs = training().inputs()
    own = operations.training_reference(training(), inputs, inputs["start"], None)
    again = trajectory(inputs["x"], operations.target(inputs), inputs["start"], None, 0.03, STEPS, "float32")
    assert np.array_equal(own.losses, again.losses)
    assert [f"{own.losses[i]:.3f}" for i in (1, 3)] == ["4.949", "0.831"]
