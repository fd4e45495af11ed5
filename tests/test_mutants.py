"""The shipped suites have teeth: each wrong adapter fails, for the right reason, in at least two cases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import mutants
from crosscorrect.model import Check, Direction, Outcome, Reason
from crosscorrect_adapters.numpy import NumpyAdapter

Solve = Callable[..., list[Check]]


def failing(rows: list[Check], reason: Reason | None = None) -> list[Check]:
    return [r for r in rows if r.outcome is Outcome.FAIL and (reason is None or r.reason is reason)]


def test_the_correct_adapter_passes_every_check_of_the_chapter(solve: Solve) -> None:
    rows = solve(NumpyAdapter)
    assert len(rows) > 90
    assert {r.outcome for r in rows} == {Outcome.PASS}


WRONG_VALUES = (mutants.FlippedKernel, mutants.DroppedBias, mutants.TransposedImage, mutants.TransposedKernel)
"""What an error or a wrong shape alone does not tell from a port that cannot run: the numbers must be caught too."""


@pytest.mark.parametrize(
    ("mutant", "operations"),
    [
        (mutants.FlippedKernel, {"corr2d", "layer", "conv2d"}),
        (mutants.DroppedBias, {"layer", "conv2d"}),
        (mutants.TransposedImage, {"corr2d", "layer", "conv2d"}),
        (mutants.TransposedKernel, {"corr2d", "layer", "conv2d"}),
        (mutants.LostLastTap, {"corr2d", "layer", "conv2d"}),
        (mutants.Narrowed, {"corr2d", "layer", "conv2d"}),
    ],
)
def test_a_wrong_forward_pass_is_caught_by_two_chapter_cases_per_operation(
    solve: Solve, mutant: type, operations: set[str]
) -> None:
    rows = solve(mutant)
    for operation in operations:
        caught = [r for r in rows if r.operation == operation and r.outcome in (Outcome.FAIL, Outcome.ERROR)]
        assert len({r.case for r in caught}) >= 2, f"{operation}: only {caught}"
        if mutant in WRONG_VALUES:
            assert any(r.reason in (Reason.VALUE, Reason.EXACTNESS) for r in failing(caught)), operation


def test_tf32_inputs_are_caught_on_real_data(solve: Solve) -> None:
    rows = solve(mutants.ReducedPrecision, ("kernels", "chapter"))
    assert len({r.case for r in failing(rows, Reason.BOUND_A)}) >= 2


def test_a_silent_change_of_dtype_is_named(solve: Solve) -> None:
    wrong = [r for r in failing(solve(mutants.Narrowed)) if r.operation in ("corr2d", "layer", "conv2d")]
    assert {(r.dtype, r.reason) for r in wrong} == {("float64", Reason.DTYPE)}


def test_a_value_that_is_not_finite_is_named(solve: Solve) -> None:
    rows = [r for r in solve(mutants.NotFinite) if r.operation == "corr2d"]
    assert {r.reason for r in rows} == {Reason.NONFINITE}


def test_one_unwritten_element_is_told_with_its_place_and_both_values(solve: Solve) -> None:
    rows = solve(mutants.Unwritten, only=("chapter/worked-example@*corr2d*",))
    assert rows
    for row in rows:
        assert (row.outcome, row.where, row.expected, row.got) == (Outcome.FAIL, "1,1", 43.0, 0.0)


def test_a_wrong_shape_is_named_before_any_value(solve: Solve) -> None:
    rows = [r for r in solve(mutants.ExtraRow) if r.operation == "corr2d"]
    assert {r.reason for r in rows} == {Reason.SHAPE}


def test_a_wrong_kernel_gradient_fails_and_leaves_the_other_directions_alone(solve: Solve) -> None:
    rows = [r for r in solve(mutants.SwappedGradients) if r.operation == "conv2d"]
    assert len({r.case for r in failing(rows)}) >= 2
    assert {r.direction for r in failing(rows)} == {Direction.GRAD_WEIGHT}


@pytest.mark.parametrize("mutant", [mutants.ForgottenTwo, mutants.LostStep])
def test_a_wrong_training_loop_leaves_its_envelope_and_the_step_is_named(solve: Solve, mutant: type) -> None:
    rows = [r for r in solve(mutant, ("chapter", "recovery")) if r.direction is Direction.TRAIN]
    assert {r.reason for r in rows} == {Reason.TRAJECTORY}
    assert all("at step" in r.message for r in rows)


def test_an_input_that_a_call_writes_into_is_an_error(solve: Solve) -> None:
    rows = [r for r in solve(mutants.WritesItsInput) if r.operation == "corr2d"]
    assert {r.outcome for r in rows} == {Outcome.ERROR}
    assert all("input x was changed" in r.message for r in rows)
