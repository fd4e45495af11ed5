"""What a problem is estimated to cost: whole microseconds from shapes alone, more for more work, alike everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import cost
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.problem import Problem

DIRECTIONS = ("forward", "grad_input", "grad_weight", "grad_bias")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cost")


def problem(place: Path, **keys: Any) -> Problem:
    plain = {"id": "c", "operation": "conv2d", "x": fill(2, 4, 9, 8), "w": fill(6, 4, 3, 2)}
    path = place / "cost.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": [plain | keys]}), encoding="utf-8")
    (made,) = load_suite(path).problems()
    return made


def fill(*shape: int, kind: str = "integers", **more: Any) -> dict[str, Any]:
    return {"fill": kind, "shape": list(shape), **more}


def test_every_shipped_problem_has_a_cost_of_whole_microseconds_below_a_minute() -> None:
    for path in shipped_suites().values():
        for made in load_suite(path).problems():
            found = cost.microseconds(made)
            assert type(found) is int
            assert 1 <= found < 60e6, made.id


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 6),
    axis=st.integers(0, 5),
    more=st.integers(1, 30),
    dtype=st.sampled_from(["float32", "float64", "int32", "complex64"]),
    transposed=st.booleans(),
)
@settings(max_examples=30)
def test_more_of_anything_costs_no_less(
    place: Path, shape: tuple[int, ...], axis: int, more: int, dtype: str, transposed: bool
) -> None:
    def made(n: int, c: int, o: int, h: int, w: int, k: int) -> Problem:
        kernel = fill(c, o, k, k) if transposed else fill(o, c, k, k)
        geometry = {"transposed": transposed, "padding": 0 if transposed else 20}
        return problem(place, x=fill(n, c, h, w), w=kernel, dtype=dtype, geometry=geometry)

    larger = [size + more * (place == axis) for place, size in enumerate(shape)]
    small, large = made(*shape), made(*larger)
    if small.shapes["output"] <= large.shapes["output"]:
        assert cost.seconds(small) < cost.seconds(large)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"directions": list(DIRECTIONS[:3])}),
        ({"directions": ["grad_input"]}, {"directions": ["grad_input", "grad_weight"]}),
        ({}, {"dtype": "float64"}),
        ({}, {"dtype": "int64"}),
        ({}, {"x": fill(2, 4, 9, 8, kind="normal")}),
        ({}, {"isolate": True}),
        ({"operation": "relation", "relation": "repeat"}, {"operation": "relation", "relation": "process"}),
        ({}, {"operation": "relation", "relation": "repeat"}),
        ({"verify": "checksum", "x": fill(1, 64, 99, 99), "w": fill(64, 64, 3, 3)},
         {"x": fill(1, 64, 99, 99), "w": fill(64, 64, 3, 3)}),
        ({"geometry": {"stride": 3}}, {}),
        ({"geometry": {"groups": 2}, "w": fill(6, 2, 3, 2)}, {}),
    ],
)  # fmt: skip
def test_what_takes_more_work_costs_more(place: Path, less: dict[str, Any], more: dict[str, Any]) -> None:
    assert cost.seconds(problem(place, **less)) < cost.seconds(problem(place, **more))


def test_the_double_loop_costs_more_than_the_operator_and_a_training_by_its_steps(place: Path) -> None:
    pair = {"x": fill(40, 30), "w": fill(3, 2)}
    loop = cost.seconds(problem(place, operation="corr2d", **pair))
    assert loop > 5 * cost.seconds(problem(place, **pair))
    assert cost.seconds(problem(place, operation="differentiate", **pair)) > 2 * loop

    def training(steps: int, layer: str) -> float:
        settings = {"lr": 0.1, "steps": steps, "start": fill(3, 2), "layer": layer}
        return cost.seconds(problem(place, operation="train", train=settings, **pair))

    assert training(200, "builtin") > 10 * training(10, "builtin")
    assert training(10, "custom") > 10 * loop > 5 * training(10, "builtin")


def test_other_data_of_the_same_kind_cost_the_same(place: Path) -> None:
    found = {cost.microseconds(problem(place, x=fill(2, 4, 9, 8, seed=seed), note=str(seed))) for seed in range(3)}
    assert len(found) == 1
    made = problem(place)
    assert cost.seconds(made) == cost.seconds(replace(made, id="s/other", only=("torch",), modes=("eager",)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"geometry": {"stride": 0}},
        {"geometry": {"groups": -1}},
        {"w": fill(6, 4, 30, 30)},
        {"w": fill(6, 4, 3)},
        {"w": fill(6, 5, 3, 2)},
    ],
)
def test_arguments_that_are_wrong_on_purpose_have_a_cost_too(place: Path, wrong: dict[str, Any]) -> None:
    assert 0 < cost.seconds(problem(place, expect="error", **wrong)) < 0.1
