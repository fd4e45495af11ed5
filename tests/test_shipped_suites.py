"""The shipped suites: complete, right where they write numbers out, and strong enough to catch what they are for."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect import bounds, operations
from crosscorrect.geometry import Geometry
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import find_suites, lint, load_suite
from crosscorrect.trained import same_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]
    Rows = list[list[Fraction]]

SUITES = ("chapter", "problems", "kernels", "recovery")
LOOPS = ("corr2d", "layer", "differentiate")
SMALL = 100  # output elements: element assignment is slow in every framework

PRINTED = [f"In [{n}]" for n in range(1, 10)] + [f"Out [{n}]" for n in (2, 4, 6, 7, 9)]
PRINTED += ["output size", "Cross-correlation and Convolution"]
ASKED = ["Problem 1: apply K", "Problem 1: transpose X", "Problem 1: transpose K", "Problem 2", "Problem 3"]
ASKED += ["Problem 4: second derivative", "Problem 4: Laplace operator", "Problem 4: integral"]
ASKED += ["Problem 4: derivative of degree d"]


@cache
def problems(suite: str) -> tuple[Problem, ...]:
    (path,) = find_suites([suite])
    return tuple(load_suite(path).problems())


@cache
def everything() -> tuple[Problem, ...]:
    return tuple(problem for suite in SUITES for problem in problems(suite))


@cache
def inputs(problem_id: str) -> dict[str, Array]:
    (problem,) = (p for p in everything() if p.id == problem_id)
    return problem.inputs()


def plane(array: Array) -> Rows:
    """The only image of an array, as exact fractions."""
    return [[Fraction(float(value)) for value in row] for row in array.reshape(array.shape[-2:])]


def corr2d(x: Rows, k: Rows, bias: Fraction = Fraction(0)) -> Rows:
    """The chapter's In [1], element by element; an empty list where the kernel does not fit."""
    h, w = len(k), len(k[0])
    return [
        [sum((x[i + a][j + c] * k[a][c] for a in range(h) for c in range(w)), bias) for j in range(len(x[0]) - w + 1)]
        for i in range(len(x) - h + 1)
    ]


def answer(problem: Problem) -> Rows:
    arrays = inputs(problem.id)
    return corr2d(plane(arrays["x"]), plane(arrays["w"]), bias_of(problem))


def bias_of(problem: Problem) -> Fraction:
    return Fraction(float(inputs(problem.id)["b"][0])) if "b" in inputs(problem.id) else Fraction(0)


def written_out() -> Iterator[Problem]:
    return (p for p in everything() if p.expect and "output" in p.expect)


def trained() -> Iterator[Problem]:
    return (p for p in everything() if p.operation == "train")


def generated(problem: Problem) -> bool:
    """Whether the image or the kernel, not only an output gradient, comes from a seed."""
    return any("fill" in problem.arrays[name] for name in ("x", "w") if isinstance(problem.arrays[name], dict))


@pytest.mark.parametrize("suite", SUITES)
def test_a_shipped_suite_lints_clean(suite: str) -> None:
    (path,) = find_suites([suite])
    assert lint(path) == []
    assert load_suite(path).name == suite


@pytest.mark.parametrize("suite", SUITES)
def test_every_problem_of_a_shipped_suite_builds_its_inputs(suite: str) -> None:
    assert problems(suite)
    for problem in problems(suite):
        for name, array in inputs(problem.id).items():
            assert array.shape == problem.shapes[name], problem.id
            assert array.dtype.name == problem.dtype, problem.id


def test_the_four_suites_of_the_chapter_are_shipped() -> None:
    assert set(SUITES) <= set(shipped_suites())


def test_every_case_says_where_it_comes_from_and_what_to_see() -> None:
    assert [p.id for p in everything() if not (p.source and p.title and p.note)] == []


@pytest.mark.parametrize(("suite", "sources"), [("chapter", PRINTED), ("problems", ASKED)])
def test_every_printed_cell_and_every_question_of_the_chapter_has_a_case(suite: str, sources: list[str]) -> None:
    named = " | ".join({problem.source for problem in problems(suite)})
    assert [source for source in sources if source not in named] == []


def test_every_output_written_out_equals_an_exact_double_loop() -> None:
    checked = 0
    for problem in written_out():
        assert problem.geometry in (None, Geometry()), f"{problem.id}: the double loop here knows no geometry"
        literal = np.asarray(problem.expect["output"] if problem.expect else [], dtype=np.float64)
        exact = answer(problem)
        assert literal.size == len(exact) * len(exact[0]), problem.id
        assert [Fraction(float(v)) for v in literal.ravel()] == [v for row in exact for v in row], problem.id
        checked += 1
    assert checked > len(everything()) // 3


def test_every_shape_written_out_follows_the_output_size_rule() -> None:
    for problem in (p for p in everything() if p.expect and "shape" in p.expect):
        (height, width), (h, w) = (problem.shapes[name][-2:] for name in ("x", "w"))
        rule = [height - h + 1, width - w + 1]
        if problem.geometry not in (None, Geometry()):
            assert problem.geometry is not None
            assert str(problem.geometry.padding).startswith("same"), f"{problem.id}: no rule is known here"
            rule = [-(-size // step) for size, step in zip((height, width), problem.geometry.stride, strict=True)]
        assert problem.expect is not None
        assert list(problem.expect["shape"])[-2:] == rule, problem.id


def descend(problem: Problem) -> tuple[list[float], list[float]]:
    """The chapter's loop (In [8]) in plain floats: the loss before each step, the last weight."""
    arrays = inputs(problem.id)
    x, target = plane(arrays["x"]), answer(problem)
    weight = [[float(v) for v in row] for row in plane(arrays["start"])]
    losses = []
    for _ in range(problem.settings["steps"]):
        made = corr2d(x, [[Fraction(v) for v in row] for row in weight])
        residual = [[float(a - b) for a, b in zip(*rows, strict=True)] for rows in zip(made, target, strict=True)]
        losses.append(sum(r * r for row in residual for r in row))
        gradient = corr2d(x, [[Fraction(2 * r) for r in row] for row in residual])
        for row, slopes in zip(weight, gradient, strict=True):
            row[:] = [v - problem.settings["lr"] * float(s) for v, s in zip(row, slopes, strict=True)]
    return losses, [v for row in weight for v in row]


def test_every_printed_digit_of_a_training_comes_out_of_a_plain_loop() -> None:
    checked = 0
    for problem in (p for p in trained() if p.expect and "start" in p.arrays):
        losses, weight = descend(problem)
        assert problem.expect is not None
        said = [(printed, losses[int(step) - 1]) for step, printed in problem.expect.get("losses", {}).items()]
        said += list(zip(problem.expect["weight"], weight, strict=True)) if "weight" in problem.expect else []
        for printed, value in said:
            assert f"{value:.{len(printed.partition('.')[2])}f}" == printed, problem.id
            checked += 1
    assert checked > 0


def test_the_chapters_printed_numbers_are_asked_of_both_layers_and_of_mxnets_own_start() -> None:
    digits = {"2": "4.949", "4": "0.831", "6": "0.140", "8": "0.024", "10": "0.004"}
    asked = [p for p in problems("chapter") if p.expect and "losses" in p.expect]
    for problem in asked:
        assert problem.expect is not None
        assert {str(step): printed for step, printed in problem.expect["losses"].items()} == digits
        assert list(problem.expect["weight"]) == ["0.9895000", "-0.9873705"]
    assert {p.settings["layer"] for p in asked} == {"builtin", "custom"}
    own = [p for p in asked if p.settings["start_own"]]
    assert [(p.only, p.isolate) for p in own] == [(("mxnet",), True)]


def gram(problem: Problem) -> list[list[int]]:
    """The Gram matrix of the image's windows, with a column of ones where a bias is trained, in exact integers."""
    x, (h, w) = plane(inputs(problem.id)["x"]), problem.shapes["w"][-2:]
    windows = [
        [x[i + a][j + c] for a in range(h) for c in range(w)] + [Fraction(1)] * ("bias" in problem.arrays)
        for i in range(len(x) - h + 1)
        for j in range(len(x[0]) - w + 1)
    ]
    assert all(v.denominator == 1 for row in windows for v in row)
    return [[sum(int(r[i] * r[j]) for r in windows) for j in range(len(windows[0]))] for i in range(len(windows[0]))]


def rates(problem: Problem) -> list[float]:
    """How much of the kernel's error is left after a step, ``|1 - 2 * lr * eigenvalue|``, slowest first."""
    eigenvalues = np.linalg.eigvalsh(np.array(gram(problem), dtype=np.float64))
    return sorted(np.abs(1 - 2 * problem.settings["lr"] * eigenvalues).tolist(), reverse=True)


def test_every_training_converges_unless_its_image_is_said_not_to_identify_the_kernel() -> None:
    for problem in trained():
        if problem.case.startswith("not-identifiable"):
            assert gram(problem) == [[20, 20], [20, 20]]
            assert rates(problem)[1] < 0.97
        else:
            assert rates(problem)[0] < 0.97, problem.id


def test_every_note_on_a_recovery_states_its_slowest_rate() -> None:
    for problem in problems("recovery"):
        slowest = f"{rates(problem)[0]:.2f}".rstrip("0").rstrip(".")
        assert re.search(rf"(?<![\d.]){re.escape(slowest)}(?![\d])", problem.note), (problem.id, slowest)


def test_the_note_on_the_chapters_training_states_its_gram_matrix() -> None:
    (note,) = {p.note for p in problems("chapter") if p.case == "learn-kernel"}
    (matrix,) = {str(gram(p)) for p in problems("chapter") if p.case == "learn-kernel"}
    assert matrix == "[[18, 12], [12, 18]]"
    assert matrix in note


def transposed(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


MUTANTS: dict[str, Callable[[Rows, Rows, Fraction], Rows]] = {
    "flipped kernel": lambda x, k, b: corr2d(x, [row[::-1] for row in k[::-1]], b),
    "dropped bias": lambda x, k, _: corr2d(x, k),
    "transposed image": lambda x, k, b: corr2d(transposed(x), k, b),
    "transposed kernel": lambda x, k, b: corr2d(x, transposed(k), b),
}


@pytest.mark.parametrize(
    ("operation", "mutant"),
    [(o, m) for o in ("corr2d", "layer", "conv2d") for m in MUTANTS if (o, m) != ("corr2d", "dropped bias")],
)
def test_a_wrong_adapter_is_caught_by_at_least_two_cases_of_the_chapter(operation: str, mutant: str) -> None:
    asked = [p for p in problems("chapter") if p.operation == operation]
    single = [p for p in asked if all(n == 1 for name in ("x", "w") for n in p.shapes[name][:-2])]
    caught = {
        p.case
        for p in single
        if MUTANTS[mutant](plane(inputs(p.id)["x"]), plane(inputs(p.id)["w"]), bias_of(p)) != answer(p)
    }
    assert len(caught) >= 2


def test_generated_images_and_kernels_are_rectangular_and_without_symmetry() -> None:
    worked = {problem.id for problem in written_out()}
    for problem in (p for p in everything() if p.operation != "train" and generated(p) and p.id not in worked):
        x, w = (inputs(problem.id)[name] for name in ("x", "w"))
        assert x.shape[-2] != x.shape[-1], problem.id
        assert w.shape[-2] != w.shape[-1], problem.id
        flips = [np.flip(w, (-2, -1)), *(np.flip(w, axis) for axis in (-2, -1) if w.shape[axis] > 1)]
        assert not any(np.array_equal(flip, w) for flip in flips), problem.id


def test_generated_four_dimensional_cases_follow_the_rules_that_make_a_case_strong() -> None:
    cases = [p for p in everything() if p.operation == "conv2d" and "fill" in str(p.arrays["x"])]
    full = [p for p in cases if len(p.arrays["x"]["shape"]) == 4]
    assert full
    for problem in full:
        (n, c, *_), (o, per_group, *_) = problem.shapes["x"], problem.shapes["w"]
        geometry, bias = problem.geometry, inputs(problem.id)["b"]
        assert geometry is not None
        assert n >= 2, problem.id
        assert per_group >= 2, problem.id
        assert per_group != o // geometry.groups, problem.id
        assert c == per_group * geometry.groups, problem.id
        assert len(set(bias.tolist())) == o, problem.id
        assert set(map(str, problem.directions)) == {"forward", "grad_input", "grad_weight", "grad_bias"}, problem.id


def test_one_generated_case_has_every_hyper_parameter_different_by_axis_and_side() -> None:
    (geometry,) = {p.geometry for p in problems("kernels") if p.case == "generated-geometry"}
    assert geometry is not None
    assert geometry.groups > 1
    assert geometry.stride[0] != geometry.stride[1]
    assert geometry.dilation[0] != geometry.dilation[1]
    assert not isinstance(geometry.padding, str)
    assert len(set(geometry.padding)) == 2
    assert all(begin != end for begin, end in geometry.padding)
    (x,), (w,) = ({p.shapes[name][2:] for p in problems("kernels") if p.case == "generated-geometry"} for name in "xw")
    room = [n + sum(p) - s for n, p, s in zip(x, geometry.padding, geometry.spans(w), strict=True)]
    assert all(left % step for left, step in zip(room, geometry.stride, strict=True))


def test_data_without_a_worked_answer_are_never_of_the_kind_that_proves_nothing() -> None:
    worked = {problem.id for problem in written_out()}
    for problem in (p for p in everything() if p.operation != "train" and p.id not in worked):
        for direction, reference in operations.references(problem, inputs(problem.id)).items():
            assert bounds.trusted(reference) is None, (problem.id, direction)


def test_double_loops_are_asked_only_of_small_outputs() -> None:
    for problem in everything():
        if problem.operation in LOOPS or problem.settings.get("layer") == "custom":
            (height, width), (h, w) = (problem.shapes[name][-2:] for name in ("x", "w"))
            assert (height - h + 1) * (width - w + 1) <= SMALL, problem.id


def test_digits_that_the_chapter_does_not_print_are_guaranteed_by_the_rounding_envelope() -> None:
    """Every value inside the envelope prints so; the chapter's own digits are facts and may be finer."""
    suite = load_suite(find_suites(["recovery"])[0])
    checked = 0
    for problem in suite.problems():
        expect = problem.expect or {}
        if not expect:
            continue
        inputs = problem.inputs()
        right = operations.training_reference(problem, inputs, inputs["start"], inputs.get("bias"))
        steps = [int(step) - 1 for step in expect.get("losses", {})]
        printed = list(
            zip(expect.get("losses", {}).values(), right.losses[steps], right.loss_bounds[steps], strict=True)
        )
        final = right.weights[-1].ravel(), right.weight_bounds[-1].ravel()
        printed += list(zip(expect.get("weight", ()), *final, strict=True)) if "weight" in expect else []
        for digits, value, bound in printed:
            assert same_digits(digits, value - bound), (problem.id, digits)
            assert same_digits(digits, value + bound), (problem.id, digits)
            checked += 1
    assert checked > 20
