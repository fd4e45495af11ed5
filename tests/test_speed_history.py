"""A series of timed runs: a step is found where it is, and noise is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crosscorrect.errors import UsageError
from crosscorrect.speed import history
from crosscorrect.speed.against import Names
from crosscorrect.speed.model import Speed

if TYPE_CHECKING:
    from pathlib import Path

NAMES = Names("p", "forward", "jax", "eager", "cpu")


def points(levels: list[tuple[int, float]], noise: float = 0.01, seed: int = 0) -> list[history.Point]:
    draw = np.random.default_rng(seed)
    ratios = [level * np.exp(draw.normal(0, noise)) for count, level in levels for _ in range(count)]
    return [history.Point(f"run-{number:03}", float(ratio)) for number, ratio in enumerate(ratios)]


def found(levels: list[tuple[int, float]], **options: float) -> list[history.Step]:
    return history.steps({NAMES: points(levels, **options)})  # type: ignore[arg-type]


@pytest.mark.parametrize(("after", "speed"), [(0.92, Speed.SLOWER), (0.70, Speed.FASTER)])
def test_a_step_is_found_at_its_first_run_with_its_size(after: float, speed: Speed) -> None:
    (step,) = found([(12, 0.81), (9, after)])
    assert (step.run, step.speed) == ("run-012", speed)
    assert step.change == pytest.approx(after / 0.81, rel=0.03)


def test_each_of_several_steps_is_found() -> None:
    told = found([(10, 1.0), (8, 1.3), (10, 1.0)])
    assert [(step.run, step.speed) for step in told] == [("run-010", Speed.SLOWER), ("run-018", Speed.FASTER)]


def test_noise_alone_is_no_step_nor_is_a_change_within_the_margin() -> None:
    assert not [step for seed in range(40) for step in found([(30, 1.0)], seed=seed)]
    assert not [step for seed in range(40) for step in found([(15, 1.0), (15, 1.03)], seed=seed)]


def test_one_timed_run_that_is_off_is_no_step() -> None:
    assert found([(10, 1.0), (1, 1.6), (10, 1.0)]) == []


def test_of_few_timed_runs_nothing_is_said() -> None:
    assert found([(2, 1.0), (2, 2.0)]) == []


def test_a_folder_without_timed_runs_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="holds no finished timed run"):
        history.series(tmp_path)
