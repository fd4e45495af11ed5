"""Relations and wanted errors in a case file: what each needs, told before anything runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect.errors import CaseError
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.needs import RELATIONS
from crosscorrect.suite import lint, load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.problem import Problem

BASE: dict[str, Any] = {
    "id": "c",
    "operation": "relation",
    "relation": "repeat",
    "x": {"fill": "integers", "shape": [2, 4, 9, 8]},
    "w": {"fill": "integers", "shape": [4, 2, 3, 2]},
    "geometry": {"groups": 2, "stride": 2, "dilation": [1, 2], "padding": "same_lower"},
}
POINT = {"x": {"fill": "integers", "shape": [2, 4, 9, 8]}, "w": {"fill": "integers", "shape": [4, 4, 1, 1]}}


def written(folder: Path, *cases: dict[str, Any]) -> Path:
    path = folder / "s.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": list(cases)}, indent=1), encoding="utf-8")
    return path


def problems(folder: Path, *cases: dict[str, Any]) -> list[Problem]:
    return list(load_suite(written(folder, *cases)).problems())


def refused(folder: Path, case: dict[str, Any]) -> CaseError:
    (error,) = lint(written(folder, case))
    return error


# ---------------------------------------------------------------- relations


def test_a_case_sweeps_over_relations(tmp_path: Path) -> None:
    names = [name for name in RELATIONS if name not in ("pointwise", "matrix")]
    made = problems(tmp_path, {**BASE, "b": {"fill": "normal"}, "sweep": {"relation": names, "spelling": ["apart"]}})
    assert [problem.settings for problem in made] == [{"relation": name} for name in names]
    assert {problem.spelling for problem in made} == {"apart"}
    assert {problem.shapes["output"] for problem in made} == {(2, 4, 5, 4)}
    assert all(problem.geometry == Geometry((2, 2), "same_lower", (1, 2), 2) for problem in made)
    for problem in made:
        adjoint = problem.settings["relation"] == "adjoint"
        gradients = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT)
        assert problem.directions == (gradients if adjoint else (Direction.FORWARD,))
        assert set(problem.inputs()) == {"x", "w", "b", *(["dy"] if adjoint else [])}


def test_a_pointwise_and_a_matrix_relation_take_what_they_need(tmp_path: Path) -> None:
    flat = {"x": [[1, 2, 3], [4, 5, 6]], "w": [[1, 2]], "geometry": {"dilation": 2}}
    point, same, matrix = problems(
        tmp_path,
        {**BASE, **POINT, "relation": "pointwise", "geometry": {}},
        {**BASE, **POINT, "id": "d", "relation": "pointwise", "geometry": {"padding": "same_upper"}},
        {**BASE, **flat, "id": "e", "relation": "matrix"},
    )
    assert point.shapes["output"] == same.shapes["output"] == (2, 4, 9, 8)
    assert (matrix.shapes["x"], matrix.shapes["output"]) == ((1, 1, 2, 3), (1, 1, 2, 1))


def test_the_adjoint_takes_the_output_gradient_that_is_given(tmp_path: Path) -> None:
    case = {**BASE, "relation": "adjoint", "dy": {"fill": "normal", "seed": 3}}
    (problem,) = problems(tmp_path, case)
    assert problem.arrays["dy"] == {"fill": "normal", "seed": 3, "shape": [2, 4, 5, 4]}


GROUPED = {"groups": 2}
TRANSPOSED = {"groups": 2, "transposed": True}
NEEDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "scale": ({"dtype": "int32"}, "c.dtype", "a floating dtype"),
    "negate": ({"dtype": "uint8"}, "c.dtype", "a signed dtype"),
    "batch_permute": ({"x": {"fill": "integers", "shape": [1, 4, 9, 8]}}, "c.x", "two examples"),
    "batch_split": ({"x": {"fill": "integers", "shape": [1, 4, 9, 8]}}, "c.x", "two examples"),
    "out_channel_permute": ({"w": {"fill": "integers", "shape": [2, 2, 3, 2]}}, "c.w", "two output channels"),
    "in_channel_permute": (
        {"x": {"fill": "integers", "shape": [2, 2, 9, 8]}, "w": {"fill": "integers", "shape": [4, 1, 3, 2]}},
        "c.x",
        "two input channels",
    ),
    "groups": (
        {"geometry": {"groups": 1}, "w": {"fill": "integers", "shape": [4, 4, 3, 2]}},
        "c.geometry.groups",
        "2 or more",
    ),
    "dilation": ({"geometry": GROUPED}, "c.geometry.dilation", "a dilation above 1"),
    "stride": ({"geometry": GROUPED}, "c.geometry.stride", "a stride above 1"),
    "same": ({"geometry": {"groups": 2, "padding": 1}}, "c.geometry.padding", "same_upper or same_lower"),
    "flip": ({"geometry": TRANSPOSED}, "c.geometry.transposed", "not transposed"),
    "transpose": (
        {
            "x": {"fill": "integers", "shape": [2, 4, 9]},
            "w": {"fill": "integers", "shape": [4, 2, 3]},
            "geometry": GROUPED,
        },
        "c.x",
        "two image axes",
    ),
    "pointwise": ({**POINT, "geometry": {"stride": 2}}, "c.geometry.stride", "stride 1"),
    "matrix": ({"geometry": GROUPED}, "c.geometry.groups", "one group"),
    "adjoint": ({"dtype": "complex64"}, "c.dtype", "a real floating dtype"),
}


TURNABLE = ("scale", "negate", "batch_permute", "batch_split", "linearity", "groups", "dilation", "adjoint")


@pytest.mark.parametrize("name", RELATIONS)
def test_some_relations_may_be_transposed(tmp_path: Path, name: str) -> None:
    geometry = {"groups": 2, "transposed": True, "stride": 2, "dilation": 3}
    case = {**BASE, "geometry": geometry, "relation": name, "w": {"fill": "integers", "shape": [4, 2, 3, 2]}}
    turned = not lint(written(tmp_path, case))
    assert turned == (name in (*TURNABLE, "repeat", "process", "threads"))


@pytest.mark.parametrize("name", NEEDS)
def test_what_a_relation_needs_is_told(tmp_path: Path, name: str) -> None:
    more, key, words = NEEDS[name]
    error = refused(tmp_path, {**BASE, **more, "relation": name})
    assert error.key == key
    assert f"the relation {name} needs " in str(error)
    assert words in str(error)
    assert "choose another relation" in error.remedy


def test_every_relation_that_needs_anything_is_tested() -> None:
    assert set(RELATIONS) - set(NEEDS) == {"linearity", "repeat", "process", "threads"}


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"relation": "scael"}, "c.relation", "did you mean scale?"),
        ({"relation": "pointwise"}, "c.geometry.groups", "one group"),
        ({**POINT, "relation": "pointwise", "geometry": {"padding": 1}}, "c.geometry.padding", "no padding"),
        (
            {**POINT, "relation": "pointwise", "geometry": {}, "w": {"fill": "integers", "shape": [4, 4, 1, 2]}},
            "c.w",
            "a kernel of one tap",
        ),
        (
            {"relation": "dilation", "w": {"fill": "integers", "shape": [4, 2, 3, 1]}},
            "c.geometry.dilation",
            "where the kernel has two taps",
        ),
        (
            {
                "relation": "dilation",
                "geometry": {"groups": 2, "dilation": 3, "stride": 2, "transposed": True, "output_padding": [1, 2]},
            },
            "c.geometry.output_padding",
            "output_padding below the stride",
        ),
        ({"expect": "error"}, "c.expect", "expects nothing but itself"),
        ({"expect": {"shape": [1, 1]}}, "c.expect", "expects nothing but itself"),
        ({"dy": {"fill": "normal"}}, "c.dy", "dy is for adjoint"),
        ({"directions": ["forward"]}, "c.directions", "relation does not take directions"),
        ({"verify": "checksum"}, "c.verify", "relation does not take verify"),
        ({"geometry": {"groups": 2, "stride": 0}}, "c.geometry.stride", "below 1"),
        ({"geometry": {"groups": 3}}, "c.geometry.groups", "do not divide"),
    ],
    ids=str,
)
def test_a_defect_of_a_relation_is_one_error(tmp_path: Path, more: dict[str, Any], key: str, words: str) -> None:
    error = refused(tmp_path, {**BASE, **more})
    assert error.key == key
    assert words in str(error)
    assert "expect: error" not in str(error)


def test_a_relation_without_a_name_is_refused(tmp_path: Path) -> None:
    case = {key: value for key, value in BASE.items() if key != "relation"}
    assert "a relation needs its name" in str(refused(tmp_path, case))


# ---------------------------------------------------------------- arguments that a framework must refuse

IMAGE: dict[str, Any] = {
    "id": "c",
    "operation": "conv2d",
    "x": {"fill": "integers", "shape": [2, 4, 5, 6]},
    "w": {"fill": "integers", "shape": [4, 2, 3, 2]},
    "geometry": {"groups": 2},
}


def kernel(*shape: int) -> dict[str, Any]:
    return {"w": {"fill": "integers", "shape": list(shape)}}


INVALID: dict[str, tuple[dict[str, Any], str, str, tuple[int, ...]]] = {
    "stride 0": ({"geometry": {"groups": 2, "stride": 0}}, "geometry.stride", "write one positive", ()),
    "stride below 0": ({"geometry": {"groups": 2, "stride": [1, -1]}}, "geometry.stride", "write one positive", ()),
    "dilation 0": ({"geometry": {"groups": 2, "dilation": [0, 1]}}, "geometry.dilation", "write one positive", ()),
    "padding below 0": ({"geometry": {"groups": 2, "padding": -1}}, "geometry.padding", "counts zeros", (2, 4, 1, 3)),
    "padding below 0 at an end": (
        {"geometry": {"groups": 2, "padding": [[0, 0], [0, -2]]}},
        "geometry.padding",
        "counts zeros",
        (2, 4, 3, 3),
    ),
    "no groups": ({"geometry": {"groups": 0}}, "geometry.groups", "at least one group", (2, 4, 3, 5)),
    "groups that do not divide": (
        {**kernel(3, 2, 3, 2)},
        "geometry.groups",
        "do not divide into groups",
        (2, 3, 3, 5),
    ),
    "channels": (kernel(4, 3, 3, 2), "w", "the image has 4 channels, the kernel expects 6", (2, 4, 3, 5)),
    "bias": ({"b": [1, 2, 3]}, "b", "the shape must be [4]", (2, 4, 3, 5)),
    "kernel of fewer axes": (kernel(4, 2, 3), "w", "must have 4 axes", ()),
    "kernel of more axes": (kernel(4, 2, 3, 2, 2), "w", "must have 4 axes", ()),
    "kernel without taps": (kernel(4, 2, 0, 2), "w", "one tap at least", ()),
    "kernel larger than the image": (kernel(4, 2, 7, 2), "w", "does not fit", (2, 4, 0, 5)),
    "output_padding": (
        {"geometry": {"groups": 2, "transposed": True, "output_padding": [0, 1]}},
        "geometry.output_padding",
        "too large",
        (2, 4, 7, 8),
    ),
    "output_padding below 0": (
        {"geometry": {"groups": 2, "transposed": True, "stride": 2, "output_padding": -1}},
        "geometry.output_padding",
        "below 0",
        (2, 4, 10, 11),
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_arguments_are_refused_unless_an_error_is_expected(tmp_path: Path, name: str) -> None:
    more, key, words, output = INVALID[name]
    error = refused(tmp_path, {**IMAGE, **more})
    assert error.key == f"c.{key}"
    assert words in str(error)
    assert "if a framework must refuse this, write expect: error" in error.remedy

    (problem,) = problems(tmp_path, {**IMAGE, **more, "expect": "error"})
    assert (problem.invalid, problem.expect, problem.directions) == (True, None, (Direction.FORWARD,))
    assert problem.shapes["output"] == output
    assert {name: array.shape for name, array in problem.inputs().items()} == {
        name: shape for name, shape in problem.shapes.items() if name != "output"
    }


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({}, "c.expect", "these arguments are valid"),
        ({"expect": "eror"}, "c.expect", "error where the arguments are invalid"),
        (
            {"geometry": {"stride": 0}, "directions": ["forward", "grad_input"]},
            "c.directions",
            "no formula tells the shape",
        ),
        ({"geometry": {"stride": 0}, "verify": "checksum"}, "c.verify", "no output to verify"),
        ({"operation": "corr2d", "x": [[1]], "w": [[1, 2]], "geometry": None}, "c.expect", "only conv2d can"),
        ({"geometry": {"stride": [1, 1, 1]}}, "c.geometry.stride", "or 2"),
        ({"geometry": {"padding": [1]}}, "c.geometry.padding", "or 2"),
        ({"geometry": {"stride": 0.5}}, "c.geometry.stride", "not an integer"),
    ],
    ids=str,
)
def test_an_error_that_cannot_be_expected_is_refused(
    tmp_path: Path, more: dict[str, Any], key: str, words: str
) -> None:
    case = {name: value for name, value in {**IMAGE, "expect": "error", **more}.items() if value is not None}
    error = refused(tmp_path, case)
    assert error.key == key
    assert words in str(error)


def test_an_expected_error_is_swept_beside_an_output(tmp_path: Path) -> None:
    sweep = {"expect": ["error"], "geometry.stride": [0, [1, -3]], "dtype": ["float32", "bfloat16"]}
    made = problems(tmp_path, {**IMAGE, "sweep": sweep})
    assert made[0].id == "s/c@expect=error,geometry.stride=0,dtype=float32"
    assert all(problem.invalid for problem in made)


numbers = st.integers(-2, 3)


@settings(max_examples=200)
@given(
    x=st.lists(st.integers(0, 5), min_size=3, max_size=5),
    w=st.lists(st.integers(0, 4), min_size=2, max_size=5),
    stride=numbers,
    padding=numbers,
    dilation=numbers,
    groups=numbers,
    transposed=st.booleans(),
    bias=st.integers(1, 4) | st.none(),
)
def test_any_arguments_are_a_problem_or_an_expected_error_and_never_both(
    tmp_path_factory: pytest.TempPathFactory, bias: int | None, x: list[int], w: list[int], **numbers: int
) -> None:
    case = {**IMAGE, "geometry": numbers, "x": {"fill": "codes", "shape": x}, "w": {"fill": "codes", "shape": w}}
    if bias is not None:
        case["b"] = [1] * bias
    folder, found = tmp_path_factory.getbasetemp(), []
    for more in ({}, {"expect": "error"}):
        try:
            found.append(problems(folder, {**case, **more})[0])
        except CaseError:
            found.append(None)
    plain, invalid = found
    assert (plain is None) != (invalid is None)
    problem = plain or invalid
    assert problem.invalid == (plain is None)
    assert min(problem.shapes["output"], default=0) >= 0
    assert {name: array.shape for name, array in problem.inputs().items()} == {
        name: shape for name, shape in problem.shapes.items() if name != "output"
    }
