"""What each operation asks of an adapter, and the right answers to it: one problem becomes questions and references.

The arrays of a call are exactly what crosses to the worker; each name in ``answers`` is an array of the reply and the
direction it is judged as.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from crosscorrect import checksum, matrix, oracle, relations
from crosscorrect.ask import GRADIENTS, Call, Question, conv2d_call, grads_call
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.trajectory import Trajectory, trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crosscorrect.oracle import Reference
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]
    References = dict[Direction, Reference]


def questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    """The questions that a problem asks, in order. ``inputs`` is ``problem.inputs()``."""
    return _QUESTIONS[problem.operation](problem, inputs)


def references(problem: Problem, inputs: dict[str, Array]) -> References:
    """The reference of every direction of a problem, as far as there is one before the answer.

    Training may start where only the answer tells, and invalid arguments have no right answer.
    """
    if problem.operation == "train" or problem.invalid:
        return {}
    return _REFERENCES[problem.operation](problem, inputs)


def training_reference(problem: Problem, inputs: dict[str, Array], start: Array, bias: Array | None) -> Trajectory:
    """The float64 trajectory of a training problem from this start, with its rounding envelope."""
    settings = problem.settings
    return trajectory(inputs["x"], target(inputs), start, bias, settings["lr"], settings["steps"], problem.dtype)


def target(inputs: dict[str, Array]) -> Array:
    """What a training problem learns to produce: the given ``y``, else the exact correlation with the true kernel.

    Rounded once to the problem's dtype. A bias problem's target is given explicitly or made with ``b``.
    """
    if "y" in inputs:
        return inputs["y"]
    x, w, b = inputs["x"], inputs["w"], inputs.get("b")
    reference = oracle.corr2d(x, w, b) if x.ndim == 2 else oracle.forward(x, w, b, Geometry())
    with np.errstate(over="ignore"):  # what overflows is infinite for every framework
        return reference.value.astype(x.dtype)


def _alone(verb: str, arrays: dict[str, Array], settings: dict[str, Any], answers: dict[str, Direction]) -> Question:
    return Question((Call(verb, arrays, settings, answers),), tuple(answers.values()))


def _loop_questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    return [_alone(problem.operation, inputs, {}, {"output": Direction.FORWARD})]


def _conv2d_questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    asked = []
    if Direction.FORWARD in problem.directions:
        asked.append(Question((conv2d_call(problem, inputs),), (Direction.FORWARD,)))
    directions = tuple(d for d in GRADIENTS.values() if d in problem.directions)
    if directions:
        asked.append(Question((grads_call(problem, inputs, directions),), directions))
    return asked


def _relation_questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    return [Question(tuple(relations.calls(problem, inputs)), problem.directions)]


def _matrix_questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    a, b = _matrices(problem, inputs)
    return [_alone("matmul", {"a": a, "b": b}, {}, {"output": Direction.FORWARD})]


def _train_questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    given = {"x": inputs["x"], "y": target(inputs)}
    if "start" in inputs:
        given["w0"] = inputs["start"]
    if "bias" in inputs:
        given["b0"] = inputs["bias"]
    names = ("lr", "steps", "layer")
    settings = {**{n: problem.settings[n] for n in names}, "kernel_size": list(inputs["w"].shape[-2:])}
    return [_alone("train", given, settings, {"losses": Direction.TRAIN})]


def _differentiate_questions(problem: Problem, inputs: dict[str, Array]) -> list[Question]:
    answers = {name: GRADIENTS[name] for name in ("dx", "dw")}
    return [_alone("differentiate", inputs, {"loop": problem.settings["loop"]}, answers)]


def _geometry(problem: Problem) -> Geometry:
    return cast("Geometry", problem.geometry)  # the suite gives every conv2d problem one, and asks no other for it


def _matrices(problem: Problem, inputs: dict[str, Array]) -> tuple[Array, Array]:
    form = matrix.unrolled if problem.settings["form"] == "unrolled" else matrix.toeplitz
    return form(inputs["x"], inputs["w"])


def _loop_references(_: Problem, inputs: dict[str, Array]) -> References:
    return {Direction.FORWARD: oracle.corr2d(inputs["x"], inputs["w"], inputs.get("b"))}


def _conv2d_references(problem: Problem, inputs: dict[str, Array]) -> References:
    geometry = _geometry(problem)
    x, w, b = inputs["x"], inputs["w"], inputs.get("b")
    if problem.verify == "checksum":
        return {Direction.FORWARD: checksum.reference(x, w, b, geometry)}
    found: References = {}
    if Direction.FORWARD in problem.directions:
        found[Direction.FORWARD] = oracle.forward(x, w, b, geometry)
    if "dy" in inputs:
        gradients = oracle.gradients(x, w, b, inputs["dy"], geometry)
        found.update({d: r for d, r in gradients.items() if d in problem.directions})
    return found


def _matrix_references(_: Problem, inputs: dict[str, Array]) -> References:
    # the answer is the chapter's correlation, not the product of whatever matrices were made of it
    flat = oracle.corr2d(inputs["x"], inputs["w"])
    return {Direction.FORWARD: flat.reshaped(lambda array: array.reshape(-1, 1))}


def _differentiate_references(problem: Problem, inputs: dict[str, Array]) -> References:
    x, w, dy = (inputs[n][None, None] for n in ("x", "w", "dy"))
    lifted = oracle.gradients(x, w, None, dy, Geometry())
    return {d: r.reshaped(lambda array: array[0, 0]) for d, r in lifted.items() if d in problem.directions}


_QUESTIONS: Mapping[str, Callable[[Problem, dict[str, Array]], list[Question]]] = {
    "corr2d": _loop_questions,
    "layer": _loop_questions,
    "conv2d": _conv2d_questions,
    "relation": _relation_questions,
    "matrix": _matrix_questions,
    "train": _train_questions,
    "differentiate": _differentiate_questions,
}

_REFERENCES: Mapping[str, Callable[[Problem, dict[str, Array]], References]] = {
    "corr2d": _loop_references,
    "layer": _loop_references,
    "conv2d": _conv2d_references,
    "relation": relations.references,
    "matrix": _matrix_references,
    "differentiate": _differentiate_references,
}
