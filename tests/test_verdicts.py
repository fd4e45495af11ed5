"""From replies to verdicts: wrong arguments, several legitimate answers, standards, levels and seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect import plan
from crosscorrect.model import Outcome, Reason
from crosscorrect.plan import Preparation
from crosscorrect.suite import load_suite
from crosscorrect_adapters.numpy import NumpyAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crosscorrect.model import Check

    Solve = Callable[..., list[Check]]

TOO_LARGE = "x: {fill: normal, shape: [2, 3, 5, 4]}, w: {fill: normal, shape: [4, 3, 6, 5]}, expect: error"
CROPPED = "x: {fill: normal, shape: [2, 3, 7, 6]}, w: {fill: normal, shape: [4, 3, 3, 2]}, expect: error, geometry: {padding: [[-1, 0], [0, -1]]}"  # noqa: E501  one case
PLAIN = "x: {fill: integers, shape: [2, 3, 7, 6]}, w: {fill: integers, shape: [4, 3, 3, 2]}"


def suite(tmp_path: Path, *cases: str) -> Path:
    path = tmp_path / "made.yaml"
    lines = [f"  - {{id: case{i}, operation: conv2d, {keys}}}\n" for i, keys in enumerate(cases)]
    path.write_text("crosscorrect: 1\nsuite: made\ncases:\n" + "".join(lines), encoding="utf-8")
    return path


def returning(make: Callable[..., Any]) -> type:
    class Returns(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            return make(x, w, b, geometry)

    return Returns


def test_an_error_is_the_right_answer_to_wrong_arguments_and_its_words_are_kept(solve: Solve, tmp_path: Path) -> None:
    (row,) = solve(NumpyAdapter, [suite(tmp_path, TOO_LARGE)])
    assert (row.outcome, row.tier) == (Outcome.PASS, "invalid")
    assert row.message.startswith("ValueError: ")


def test_an_empty_result_is_right_where_there_is_no_window(solve: Solve, tmp_path: Path) -> None:
    empty = returning(lambda x, *_: np.empty((2, 4, 0, 0), x.dtype))
    (row,) = solve(empty, [suite(tmp_path, TOO_LARGE)])
    assert (row.outcome, row.property) == (Outcome.PASS, "an empty result instead of an error")


def test_a_result_in_the_image_s_own_shape_is_a_defect(solve: Solve, tmp_path: Path) -> None:
    (row,) = solve(returning(lambda x, *_: x), [suite(tmp_path, TOO_LARGE)])
    assert (row.outcome, row.reason) == (Outcome.FAIL, Reason.SHAPE)
    assert "(2, 3, 5, 4)" in row.message


def test_negative_padding_may_crop_but_then_the_crop_must_be_right(solve: Solve, tmp_path: Path) -> None:
    adapter = NumpyAdapter("cpu", "eager")

    def crop(x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return adapter.conv2d(x[:, :, 1:, :-1], w, b, replace(geometry, padding=((0, 0), (0, 0))))

    (right,) = solve(returning(crop), [suite(tmp_path, CROPPED)])
    assert (right.outcome, right.property) == (Outcome.PASS, "computed by the formula instead of an error")
    (wrong,) = solve(returning(lambda *a: crop(*a) + np.float32(1)), [suite(tmp_path, CROPPED)])
    assert (wrong.outcome, wrong.reason) == (Outcome.FAIL, Reason.VALUE)


@pytest.mark.parametrize(
    ("change", "property_"),
    [
        (lambda wide: wide.astype(np.int8), "integer overflow wraps"),
        (lambda wide: np.clip(wide, -128, 127).astype(np.int8), "integer overflow saturates"),
    ],
)
def test_integers_may_wrap_or_saturate_and_which_is_told(
    solve: Solve, tmp_path: Path, change: Callable[[Any], Any], property_: str
) -> None:
    adapter = NumpyAdapter("cpu", "eager")

    def narrowed(x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return change(adapter.conv2d(x.astype(np.int64), w.astype(np.int64), b, geometry))

    keys = "dtype: int8, x: {fill: integers, shape: [2, 3, 7, 6], low: -99, high: 99}, w: {fill: integers, shape: [4, 3, 3, 2], low: -99, high: 99}"  # noqa: E501  one case
    (row,) = solve(returning(narrowed), [suite(tmp_path, keys)])
    assert (row.outcome, row.property) == (Outcome.PASS, property_)


def test_integers_that_do_neither_fail(solve: Solve, tmp_path: Path) -> None:
    keys = "dtype: int8, x: {fill: integers, shape: [2, 3, 7, 6], low: -99, high: 99}, w: {fill: integers, shape: [4, 3, 3, 2], low: -99, high: 99}"  # noqa: E501  one case
    adapter = NumpyAdapter("cpu", "eager")
    (row,) = solve(returning(lambda *a: adapter.conv2d(*a) ^ np.int8(1)), [suite(tmp_path, keys)])
    assert (row.outcome, row.reason) == (Outcome.FAIL, Reason.EXACTNESS)


def test_subnormal_inputs_may_be_read_as_zero_and_that_is_told(solve: Solve, tmp_path: Path) -> None:
    adapter = NumpyAdapter("cpu", "eager")
    keys = "x: {fill: constant, value: 1, shape: [1, 1, 3, 3], put: [{at: [1, 1], value: smallest}]}, w: {fill: constant, value: 1048576, shape: [1, 1, 1, 1]}"  # noqa: E501  one case

    def flushing(x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return adapter.conv2d(np.where(np.abs(x) < 2.0**-126, 0, x).astype(x.dtype), w, b, geometry)

    (kept,) = solve(NumpyAdapter, [suite(tmp_path, keys)])
    (flushed,) = solve(returning(flushing), [suite(tmp_path, keys)])
    assert "subnormal inputs kept" in kept.property
    assert "subnormal inputs flushed" in flushed.property
    assert {kept.outcome, flushed.outcome} == {Outcome.PASS}


def test_a_failure_is_diagnosed_once_for_each_case_and_direction(solve: Solve, tmp_path: Path) -> None:
    adapter = NumpyAdapter("cpu", "eager")
    keys = "sweep: {x: [{label: one, fill: integers, shape: [2, 3, 7, 6]}, {label: two, fill: integers, shape: [2, 3, 8, 6]}]}, w: {fill: integers, shape: [4, 3, 3, 2]}"  # noqa: E501  one case
    flipped = returning(lambda x, w, b, g: adapter.conv2d(x, w[..., ::-1, ::-1], b, g))
    first, second = solve(flipped, [suite(tmp_path, keys)])
    assert "flipped" in first.diagnosis
    assert (second.outcome, second.diagnosis) == (Outcome.FAIL, "")


def test_another_seed_gives_other_data_and_the_same_seed_the_same(tmp_path: Path) -> None:
    (problem,) = load_suite(suite(tmp_path, PLAIN)).problems()
    first, again, other = (Preparation(seed).get(problem).inputs["x"] for seed in (0, 0, 7))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first, problem.inputs()["x"])


def test_problems_made_ready_are_let_go_of_when_they_take_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = list(load_suite(suite(tmp_path, PLAIN, PLAIN, PLAIN)).problems())
    preparation = Preparation()
    size = preparation.get(problems[0]).nbytes
    monkeypatch.setattr(plan, "KEPT_BYTES", 2 * size)
    made = [preparation.get(p) for p in problems]
    assert preparation.get(problems[2]) is made[2]
    assert preparation.get(problems[1]) is made[1]
    assert preparation.get(problems[0]) is not made[0]
