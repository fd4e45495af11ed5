"""Each operation asks for what its problem says and is judged by the chapter's own correlation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect import operations
from crosscorrect.adapter import LOOPS
from crosscorrect.model import Direction
from crosscorrect.problem import OPERATIONS, Problem
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import load_suite
from crosscorrect.worker.verbs import VERBS

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.ask import Call

Array = np.ndarray[Any, Any]
SMALL = 2**14


def made(tmp_path: Path, keys: str) -> Problem:
    path = tmp_path / "made.yaml"
    path.write_text(f"crosscorrect: 1\nsuite: made\ncases:\n  - {{id: one, {keys}}}\n", encoding="utf-8")
    (found,) = load_suite(path).problems()
    return found


def loop(x: Array, w: Array) -> Array:
    """The definition, element by element."""
    h, v = w.shape
    rows, columns = x.shape[0] - h + 1, x.shape[1] - v + 1
    return np.array([[np.sum(x[i : i + h, j : j + v] * w) for j in range(columns)] for i in range(rows)])


PAIR = "x: {fill: integers, shape: [4, 6]}, w: {fill: integers, shape: [2, 3]}"
BATCH = "x: {fill: integers, shape: [2, 3, 5, 4]}, w: {fill: integers, shape: [4, 3, 2, 3]}, b: [1, 2, 3, 4]"


def asked(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    return [call for question in operations.questions(problem, inputs) for call in question.calls]


def test_every_operation_has_questions_and_every_verb_a_worker_that_knows_it() -> None:
    assert set(operations._QUESTIONS) == set(OPERATIONS)
    assert set(operations._REFERENCES) | {"train"} == set(OPERATIONS)


@pytest.mark.parametrize("name", shipped_suites())
def test_every_shipped_problem_asks_only_what_a_worker_answers_and_answers_each_direction_once(name: str) -> None:
    for problem in load_suite(shipped_suites()[name]).problems():
        if sum(map(math.prod, problem.shapes.values())) > SMALL:
            continue  # a layer of a real network asks what a small one asks
        inputs = problem.inputs()
        questions = operations.questions(problem, inputs)
        assert {call.verb for question in questions for call in question.calls} <= set(VERBS)
        assert sorted(d for question in questions for d in question.directions) == sorted(problem.directions)
        references = operations.references(problem, inputs)
        without = problem.operation == "train" or problem.invalid
        assert set(references) >= (set() if without else set(problem.directions))


@pytest.mark.parametrize("operation", ["corr2d", "layer"])
def test_the_loop_and_the_layer_are_judged_by_the_double_loop(tmp_path: Path, operation: str) -> None:
    problem = made(tmp_path, f"operation: {operation}, {PAIR}" + (", b: 2" if operation == "layer" else ""))
    inputs = problem.inputs()
    (call,) = asked(problem, inputs)
    assert call.verb == operation
    assert sorted(call.arrays) == (["b", "w", "x"] if operation == "layer" else ["w", "x"])
    expected = loop(inputs["x"], inputs["w"]) + (2 if operation == "layer" else 0)
    assert np.array_equal(operations.references(problem, inputs)[Direction.FORWARD].value, expected)


@pytest.mark.parametrize("form", ["unrolled", "toeplitz"])
def test_both_matrix_forms_are_judged_by_the_double_loop_and_their_product_is_right(tmp_path: Path, form: str) -> None:
    problem = made(tmp_path, f"operation: matrix, form: {form}, {PAIR}")
    inputs = problem.inputs()
    (call,) = asked(problem, inputs)
    expected = loop(inputs["x"], inputs["w"]).reshape(-1, 1)
    assert call.verb == "matmul"
    assert np.array_equal(call.arrays["a"] @ call.arrays["b"], expected)
    assert np.array_equal(operations.references(problem, inputs)[Direction.FORWARD].value, expected)


def test_the_built_in_operator_is_asked_for_its_output_and_for_gradients_apart(tmp_path: Path) -> None:
    directions = "directions: [forward, grad_weight, grad_bias]"
    problem = made(tmp_path, f"operation: conv2d, {BATCH}, {directions}")
    forward, grads = asked(problem, problem.inputs())
    assert (forward.verb, sorted(forward.arrays), forward.answers) == ("conv2d", ["b", "w", "x"], {"output": "forward"})
    assert (grads.verb, sorted(grads.arrays)) == ("grads", ["b", "dy", "w", "x"])
    assert grads.answers == {"dw": "grad_weight", "db": "grad_bias"}
    assert problem.geometry is not None
    assert forward.settings == grads.settings == {"geometry": problem.geometry.to_json()}


def test_a_case_about_one_gradient_asks_for_nothing_else(tmp_path: Path) -> None:
    problem = made(tmp_path, f"operation: conv2d, {BATCH}, directions: [grad_input]")
    (call,) = asked(problem, problem.inputs())
    assert (call.verb, call.answers) == ("grads", {"dx": Direction.GRAD_INPUT})
    assert set(operations.references(problem, problem.inputs())) == {Direction.GRAD_INPUT}


def test_the_gradient_references_are_the_adjoint_of_the_forward_reference(tmp_path: Path) -> None:
    """<conv(x, w), dy> = <x, dx> = <w, dw>, exactly, on small integers without a bias."""
    keys = BATCH.partition(", b:")[0]
    problem = made(tmp_path, f"operation: conv2d, {keys}, directions: [forward, grad_input, grad_weight]")
    inputs = problem.inputs()
    found = {d: r.value for d, r in operations.references(problem, inputs).items()}
    product = np.sum(found[Direction.FORWARD] * inputs["dy"])
    assert np.sum(found[Direction.GRAD_INPUT] * inputs["x"]) == product
    assert np.sum(found[Direction.GRAD_WEIGHT] * inputs["w"]) == product


@pytest.mark.parametrize("spelling", LOOPS)
def test_differentiating_the_loop_asks_for_both_gradients_in_the_image_s_own_axes(
    tmp_path: Path, spelling: str
) -> None:
    problem = made(tmp_path, f"operation: differentiate, loop: {spelling}, {PAIR}")
    inputs = problem.inputs()
    (call,) = asked(problem, inputs)
    assert (call.verb, call.settings) == ("differentiate", {"loop": spelling})
    found = operations.references(problem, inputs)
    product = np.sum(loop(inputs["x"], inputs["w"]) * inputs["dy"])
    assert found[Direction.GRAD_INPUT].value.shape == inputs["x"].shape
    assert np.sum(found[Direction.GRAD_INPUT].value * inputs["x"]) == product
    assert np.sum(found[Direction.GRAD_WEIGHT].value * inputs["w"]) == product


TRAIN = "operation: train, x: {picture: edge, size: [6, 8]}, w: [[1, -1]]"


@pytest.mark.parametrize("layer", ["builtin", "custom"])
def test_training_learns_the_exact_output_of_the_true_kernel(tmp_path: Path, layer: str) -> None:
    problem = made(tmp_path, f"{TRAIN}, train: {{lr: 0.03, steps: 2, layer: {layer}, start: [[0, 0]]}}")
    inputs = problem.inputs()
    (call,) = asked(problem, inputs)
    assert call.settings == {"lr": 0.03, "steps": 2, "layer": layer, "kernel_size": [1, 2]}
    assert sorted(call.arrays) == ["w0", "x", "y"]
    expected = loop(inputs["x"].reshape(6, 8), inputs["w"].reshape(1, 2))
    assert np.array_equal(call.arrays["y"].reshape(6, 7), expected)
    assert call.arrays["y"].ndim == (4 if layer == "builtin" else 2)
    assert call.arrays["y"].dtype == inputs["x"].dtype


def test_a_bias_in_the_truth_moves_the_target_and_a_bias_to_train_is_sent(tmp_path: Path) -> None:
    keys = f"{TRAIN}, b: 3, train: {{lr: 0.03, steps: 2, layer: custom, start: [[0, 0]], bias: 0.5}}"
    problem = made(tmp_path, keys)
    inputs = problem.inputs()
    (call,) = asked(problem, inputs)
    assert np.array_equal(call.arrays["y"], loop(inputs["x"], inputs["w"]) + 3)
    assert call.arrays["b0"].tolist() == [0.5]


def test_where_the_framework_starts_no_start_is_sent(tmp_path: Path) -> None:
    problem = made(tmp_path, f"{TRAIN}, train: {{lr: 0.03, steps: 2, start: own}}")
    (call,) = asked(problem, problem.inputs())
    assert sorted(call.arrays) == ["x", "y"]


def test_a_target_that_is_given_is_what_is_learnt(tmp_path: Path) -> None:
    keys = (
        f"{TRAIN}, train: {{lr: 0.03, steps: 2, layer: custom, start: [[0, 0]], target: {{fill: constant, value: 5}}}}"
    )
    problem = made(tmp_path, keys)
    (call,) = asked(problem, problem.inputs())
    assert np.array_equal(call.arrays["y"], np.full((6, 7), 5))
