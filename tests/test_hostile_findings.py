"""What fuzzing found in the harness: each input that once ended in a traceback, a warning or a wrong verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect.related import RELATIONS
from crosscorrect.suite import lint, load_suite
from crosscorrect_adapters.numpy import NumpyAdapter
from fuzz.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crosscorrect.model import Check

INF, BIG = {"at": [0, 0], "value": "-inf"}, {"at": [0], "value": "largest"}


def fill(kind: str, *shape: int, **keys: Any) -> dict[str, Any]:
    return {"fill": kind, "shape": list(shape), **keys}


def case(operation: str, dtype: str, x: Any, w: Any, **keys: Any) -> dict[str, Any]:
    return {"id": "c", "operation": operation, "dtype": dtype, "x": x, "w": w, **keys}


FOUND = {
    "a target of training beyond float16": case(
        "train", "float16", fill("codes", 8, 5), fill("integers", 8, 5, high=255),
        train={"lr": 1e300, "steps": 1, "start": {"fill": "normal"}, "layer": "custom"},
    ),
    "a scale at the end of float64": case(
        "differentiate", "float64", fill("wide", 5, 3, powers=5), fill("wide", 2, 3, powers=1000, put=[BIG]),
    ),
    "complex integers at the end of float64": case(
        "corr2d", "complex128", fill("impulse", 8, 3, at=[0, 0]), fill("integers", 1, 3, put=[BIG]),
    ),
    "an infinity times -1 in complex numbers": case(
        "relation", "complex128", fill("impulse", 1, 1, 5, 5, at=[0, 0], put=[INF]), fill("integers", 2, 1, 3, 3),
        relation="negate",
    ),
    "a power of two beyond float64": case(
        "relation", "float64", fill("normal", 1, 1, 5, 5, put=[BIG]), fill("normal", 2, 1, 3, 3), relation="scale",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_numbers_at_the_end_of_a_format_make_no_warning(name: str) -> None:
    assert TARGETS["suite"](json.dumps({"crosscorrect": 1, "suite": "s", "cases": [FOUND[name]]}).encode())


MATRIX = {
    "complex64": (fill("normal", 2, 2, 5, 4), fill("normal", 3, 2, 2, 2)),
    "complex128": (fill("normal", 1, 1, 5, 4), fill("normal", 1, 1, 2, 2)),
    "uint64": (fill("integers", 1, 1, 5, 4, low=0, put=[BIG]), fill("constant", 1, 1, 2, 2, value=1)),
    "bfloat16": (fill("normal", 1, 2, 5, 4), fill("normal", 1, 2, 2, 2)),
}


@pytest.mark.parametrize("dtype", MATRIX)
def test_the_windows_of_a_matrix_hold_the_numbers_of_the_image_in_every_dtype(tmp_path: Path, dtype: str) -> None:
    """They once lost imaginary parts, and the last digits of 64-bit integers, and so blamed the framework."""
    path = tmp_path / "s.yaml"
    text = {"crosscorrect": 1, "suite": "s", "cases": [case("relation", dtype, *MATRIX[dtype], relation="matrix")]}
    path.write_text(json.dumps(text), encoding="utf-8")
    (problem,) = load_suite(path).problems()
    inputs = problem.inputs()
    (call,) = RELATIONS["matrix"].calls(problem, inputs)
    assert call.arrays["a"].dtype == inputs["x"].dtype
    assert set(call.arrays["a"].ravel().tolist()) == set(inputs["x"].ravel().tolist())


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "float32"])
def test_a_right_framework_keeps_the_matrix_relation(
    solve: Callable[..., list[Check]], tmp_path: Path, dtype: str
) -> None:
    path = tmp_path / "s.yaml"
    x, w = MATRIX["complex64"]
    text = {"crosscorrect": 1, "suite": "s", "cases": [case("relation", dtype, x, w, relation="matrix")]}
    path.write_text(json.dumps(text), encoding="utf-8")
    assert [row.outcome for row in solve(NumpyAdapter, [path])] == ["pass"]


def test_negation_of_complex_numbers_changes_signs_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = {"crosscorrect": 1, "suite": "s", "cases": [FOUND["an infinity times -1 in complex numbers"]]}
    path.write_text(json.dumps(text), encoding="utf-8")
    (problem,) = load_suite(path).problems()
    inputs = problem.inputs()
    (call,) = RELATIONS["negate"].calls(problem, inputs)
    for part in ("real", "imag"):
        assert np.array_equal(getattr(call.arrays["x"], part), -getattr(inputs["x"], part))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint32"])
def test_an_integer_output_has_no_checksum_because_its_sum_would_wrap_where_it_does_not(
    tmp_path: Path, dtype: str
) -> None:
    """The sum over the channels once wrapped like an output, and so every framework was wrong."""
    path = tmp_path / "s.yaml"
    x, w = fill("integers", 1, 2, 5, 5, high=100), fill("integers", 3, 2, 2, 2, high=100)
    text = {"crosscorrect": 1, "suite": "s", "cases": [case("conv2d", dtype, x, w, verify="checksum")]}
    path.write_text(json.dumps(text), encoding="utf-8")
    (error,) = lint(path)
    assert "an integer output, which may wrap or saturate, has no checksum" in str(error)
