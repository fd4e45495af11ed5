"""The diagnosis: every mutant is named, ties are told, the honest is left alone, local damage is described."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from commandline import invoke
from crosscorrect import catalogue, diagnosis, mutants, oracle, store
from crosscorrect.diagnosis import Cause, Diagnostician, phrase, summary
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect_adapters.numpy import NumpyAdapter
from test_catalogue import STRONG, problem

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]
RIGHT = NumpyAdapter("cpu", "eager")


def causes(
    geometry: Geometry, arrays: dict[str, Array], output: Array, direction: Direction = Direction.FORWARD
) -> list[Cause]:
    x, w, b = arrays["x"], arrays["w"], arrays["b"]
    reference = (
        oracle.forward(x, w, b, geometry)
        if direction is Direction.FORWARD
        else oracle.gradients(x, w, b, arrays["dy"], geometry)[direction]
    )
    return diagnosis.diagnose(geometry, "conv2d", direction, arrays, output, reference, str(x.dtype))


def named(name: str, case: str, *, whole: bool = True, dtype: str = "float32") -> list[Cause]:
    geometry, arrays = problem(case, dtype, whole=whole)
    adapter = mutants.mutants(NumpyAdapter, (name,))[name]("cpu", "eager")
    return causes(geometry, arrays, adapter.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("case", ["plane", "same", "back", "solid", "line"])
def test_every_semantic_and_gradient_mutant_is_named_or_its_twin_on_that_problem(case: str, whole: bool) -> None:
    geometry, arrays = problem(case, whole=whole)
    x, w, b, dy = (arrays[n] for n in ("x", "w", "b", "dy"))
    asked = Diagnostician(geometry, "conv2d", arrays, "float32")
    references = {Direction.FORWARD: oracle.forward(x, w, b, geometry), **oracle.gradients(x, w, b, dy, geometry)}
    failures, wrong = 0, []
    for entry in catalogue.entries(("semantic", "gradient")):
        adapter = mutants.make(entry, NumpyAdapter)("cpu", "eager")
        grads = adapter.grads(x, w, b, dy, geometry)
        outputs = {Direction.FORWARD: adapter.conv2d(x, w, b, geometry)}
        outputs |= {d: getattr(grads, field) for d, field in mutants.FIELDS.items()}
        for direction, output in outputs.items():
            reference = references[direction]
            same = output.shape == reference.value.shape
            if same and np.allclose(output, reference.value, rtol=0, atol=1e-4 * reference.scale.max()):
                continue
            failures += 1
            found = asked.explain(direction, output, reference)
            if not found or entry.name not in found[0].names:
                wrong.append((entry.name, str(direction), [c.name for c in found]))
    assert failures > 200
    assert len(wrong) <= failures // 100, wrong


@given(st.sampled_from(sorted(STRONG)), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_a_right_output_is_not_explained_away(case: str, whole: bool, dtype: str) -> None:
    geometry, arrays = problem(case, dtype, whole=whole)
    output = RIGHT.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry)
    assert not [c for c in causes(geometry, arrays, output) if c.kind in ("semantic", "damage")]


def test_an_exact_explanation_says_so_and_has_ratio_zero() -> None:
    best = named("flipped-kernel", "plane")[0]
    assert (best.name, best.ratio, best.share) == ("flipped-kernel", 0.0, 1.0)
    assert "equal this prediction exactly" in best.evidence
    assert "convolution instead of cross-correlation" in phrase([best])


def test_an_explanation_within_rounding_says_how_near() -> None:
    best = named("flipped-kernel", "plane", whole=False)[0]
    assert best.name == "flipped-kernel"
    assert 0 < best.ratio < 1
    assert "within the rounding bound" in best.evidence


def test_the_wrong_side_of_same_is_told_in_the_words_of_the_case() -> None:
    assert "equals the reference with same_lower padding" in named("swapped-padding-sides", "same")[0].sentence


def test_predictions_that_are_identical_here_are_all_told() -> None:
    best = named("last-tap-lost", "plane")[0]
    assert {"last-tap-lost", "one-tap-lost"} <= set(best.names)
    assert " or " in best.sentence


def test_another_shape_is_explained_too() -> None:
    best = named("padding-ignored", "plane")[0]
    assert best.name == "padding-ignored"


def test_a_permuted_shape_without_an_entry_is_described() -> None:
    geometry, arrays = problem("solid")
    right = RIGHT.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry)
    found = causes(geometry, arrays, right.transpose(4, 3, 2, 1, 0))
    assert found[0].name == "axes-permuted"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tf32-inputs", "11."),
        ("bf16-inputs", "8."),
        ("fp16-inputs", "effective bits"),
        ("bf16-output", "every element is such a number"),
        ("bf16-accumulator", "number of that format"),
        ("fp8-inputs", "effective bits"),
        ("winograd-f4", "effective bits"),
        ("winograd-f6", "effective bits"),
    ],
)
def test_an_arithmetic_is_named_with_its_effective_bits(name: str, words: str) -> None:
    best = named(name, "square", whole=False)[0]
    assert name in best.names
    assert words in best.evidence


def test_float64_computed_in_float32_is_named() -> None:
    assert named("float32-computation", "plane", whole=False, dtype="float64")[0].name == "float32-computation"


def test_a_truncating_accumulator_is_named_by_the_side_of_its_errors() -> None:
    draw = np.random.default_rng(1)
    arrays = {"x": draw.uniform(0.5, 1, (1, 64, 6, 6)), "w": draw.uniform(0.5, 1, (4, 64, 3, 3)), "b": np.zeros(4)}
    arrays = {name: a.astype(np.float32) for name, a in arrays.items()}
    adapter = mutants.mutants(NumpyAdapter, ("truncating-accumulator",))["truncating-accumulator"]("cpu", "eager")
    output = adapter.conv2d(arrays["x"], arrays["w"], arrays["b"], Geometry())
    best = causes(Geometry(), arrays, output)[0]
    assert best.name == "truncating-accumulator"
    assert "point toward zero" in best.evidence


def test_one_lost_tap_is_traced_to_its_tap_and_channel() -> None:
    geometry, arrays = problem("square")
    output = RIGHT.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry)
    arrays["x"][1, 3, 4, 5], arrays["w"][2, 3, 1, 0] = 7, 101  # a product like no other
    output = RIGHT.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry)
    output[1, 2, 4, 6] -= 7 * 101
    best = causes(geometry, arrays, output)[0]
    assert best.name == "one-lost-tap"
    assert "(1, 2, 4, 6)" in best.sentence
    assert "tap (1, 0) of input channel 3: the tap is lost there" in best.sentence


def test_something_added_to_one_element_is_not_called_a_lost_tap() -> None:
    best = named("one-element-wrong", "square", whole=False)
    assert "one-element-wrong" in [c.name for c in best]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ((slice(None), 2), 5, "in channel 2, and there everywhere"),
        ((slice(None), slice(None), slice(6, None)), 0, "not written"),
        ((0, 1, 3, 4), np.nan, "not finite"),
    ],
)
def test_local_damage_is_described_where_it_is(place: Any, value: float, words: str) -> None:
    geometry, arrays = problem("square")
    output = RIGHT.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry)
    output[place] = value
    assert any(words in c.sentence for c in causes(geometry, arrays, output))


def test_a_lost_weight_is_found_by_solving_for_the_kernel() -> None:
    geometry, arrays = problem("square")
    w = arrays["w"].copy()
    arrays["w"][2, 1, 0, 2] = 6
    w[2, 1, 0, 2] = 0
    best = causes(geometry, arrays, RIGHT.conv2d(arrays["x"], w, arrays["b"], geometry))[0]
    assert best.name == "kernel-taps-lost"


def test_channels_in_another_order_are_numbered() -> None:
    geometry, arrays = problem("square")
    output = RIGHT.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry)[:, [1, 0, 2, 3]]
    best = causes(geometry, arrays, output)[0]
    assert best.name == "channels-in-another-order"
    assert "1, 0, 2, 3" in best.sentence


def test_a_large_output_is_explained_by_a_sample() -> None:
    draw = np.random.default_rng(0)
    geometry = Geometry(stride=(1, 2), padding="same_upper")
    arrays = {"x": draw.standard_normal((1, 32, 40, 41)), "w": draw.standard_normal((48, 32, 4, 3)), "b": np.zeros(48)}
    arrays = {name: a.astype(np.float32) for name, a in arrays.items()}
    adapter = mutants.mutants(NumpyAdapter, ("swapped-padding-sides",))["swapped-padding-sides"]("cpu", "eager")
    best = causes(geometry, arrays, adapter.conv2d(arrays["x"], arrays["w"], arrays["b"], geometry))[0]
    assert best.name == "swapped-padding-sides"
    assert "were looked at" in best.evidence


def test_operations_of_the_chapter_are_lifted() -> None:
    x, w = np.arange(20.0, dtype=np.float32).reshape(4, 5) ** 2 % 7, np.array([[1, -2], [3, 5]], np.float32)
    wrong = RIGHT.corr2d(x, w[::-1, ::-1])
    reference = oracle.corr2d(x, w)
    for operation, output in (("corr2d", wrong), ("matrix", wrong.reshape(-1, 1))):
        shaped = reference if operation == "corr2d" else reference.reshaped(lambda a: a.reshape(-1, 1))
        found = diagnosis.diagnose(None, operation, Direction.FORWARD, {"x": x, "w": w}, output, shaped, "float32")
        assert found[0].name == "flipped-kernel", operation


def test_over_many_failures_the_name_that_fits_most_comes_first() -> None:
    found = [named("last-tap-lost", case) for case in ("plane", "same", "line")]
    assert summary([*found, []])[0][1] == 3
    assert ("last-tap-lost", 3) in summary(found)


def test_nothing_is_said_where_there_is_nothing_to_compare() -> None:
    assert phrase([]) == ""
    nothing = diagnosis.diagnose(
        None, "train", Direction.TRAIN, {}, np.zeros(1), oracle.corr2d(np.ones((2, 2)), np.ones((1, 1))), "float32"
    )
    assert nothing == []


SWEPT = """crosscorrect: 1
suite: swept
cases:
  - id: bias
    sweep: {operation: [layer, conv2d], dtype: [float32, float64], x.seed: [1, 2, 3]}
    x: {fill: integers, shape: [4, 5]}
    w: [[0, 1], [2, 3]]
    b: [7]
"""


def test_a_run_names_the_cause_once_for_each_operation_and_dtype_of_a_sweep(tmp_path: Path) -> None:
    suite = tmp_path / "swept.yaml"
    suite.write_text(SWEPT, encoding="utf-8")
    asked = ("run", suite, "-f", "numpy", "--adapter", "numpy=mutants:DroppedBias", "--no-report", "-q")
    invoke(*asked, "--results", tmp_path / "results")
    checks = store.load(tmp_path / "results" / "latest").checks
    assert set(checks["outcome"]) == {"fail"}
    named = checks[checks["diagnosis"].str.contains("bias")]["problem"]
    assert len(checks) == 12
    pairs = [re.findall("(?:operation|dtype)=[a-z0-9]+", problem) for problem in named]
    assert sorted(map(tuple, pairs)) == [
        (f"operation={operation}", f"dtype={dtype}")
        for operation in ("conv2d", "layer")
        for dtype in ("float32", "float64")
    ]
