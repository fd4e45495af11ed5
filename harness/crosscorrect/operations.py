"""What each operation asks of an adapter, and the right answers to it: one problem becomes calls and references.

The arrays of a call are exactly what crosses to the worker; each name in ``answers`` is an array of the reply and the
direction it is judged as.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from crosscorrect import matrix, oracle
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.trajectory import Trajectory, trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from crosscorrect.oracle import Reference
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]
    References = dict[Direction, Reference]

GRADIENTS = {"dx": Direction.GRAD_INPUT, "dw": Direction.GRAD_WEIGHT, "db": Direction.GRAD_BIAS}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a worker: the verb, its arrays and settings, and the direction each returned array answers."""

    verb: str
    arrays: dict[str, Array]
    settings: dict[str, Any]
    answers: dict[str, Direction]


def calls(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    """The calls that a problem makes, in order. ``inputs`` is ``problem.inputs()``."""
    return _CALLS[problem.operation](problem, inputs)


def references(problem: Problem, inputs: dict[str, Array]) -> References:
    """The reference of every direction of a problem but training, whose start may be known only from the answer."""
    return {} if problem.operation == "train" else _REFERENCES[problem.operation](problem, inputs)


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
    return reference.value.astype(x.dtype)


def _loop_calls(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    return [Call(problem.operation, inputs, {}, {"output": Direction.FORWARD})]


def _conv2d_calls(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    settings = {"geometry": _geometry(problem).to_json()}
    made = []
    if Direction.FORWARD in problem.directions:
        forward = {name: array for name, array in inputs.items() if name != "dy"}
        made.append(Call("conv2d", forward, settings, {"output": Direction.FORWARD}))
    answers = {name: d for name, d in GRADIENTS.items() if d in problem.directions}
    if answers:
        made.append(Call("grads", inputs, settings, answers))
    return made


def _matrix_calls(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    a, b = _matrices(problem, inputs)
    return [Call("matmul", {"a": a, "b": b}, {}, {"output": Direction.FORWARD})]


def _train_calls(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    given = {"x": inputs["x"], "y": target(inputs)}
    if "start" in inputs:
        given["w0"] = inputs["start"]
    if "bias" in inputs:
        given["b0"] = inputs["bias"]
    names = ("lr", "steps", "layer")
    settings = {**{n: problem.settings[n] for n in names}, "kernel_size": list(inputs["w"].shape[-2:])}
    return [Call("train", given, settings, {"losses": Direction.TRAIN})]


def _differentiate_calls(problem: Problem, inputs: dict[str, Array]) -> list[Call]:
    answers = {name: GRADIENTS[name] for name in ("dx", "dw")}
    return [Call("differentiate", inputs, {"loop": problem.settings["loop"]}, answers)]


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
    return {
        Direction.FORWARD: oracle.Reference(
            flat.value.reshape(-1, 1), flat.scale.reshape(-1, 1), flat.terms.reshape(-1, 1)
        )
    }


def _differentiate_references(problem: Problem, inputs: dict[str, Array]) -> References:
    x, w, dy = (inputs[n][None, None] for n in ("x", "w", "dy"))
    lifted = oracle.gradients(x, w, None, dy, Geometry())
    return {
        d: oracle.Reference(r.value[0, 0], r.scale[0, 0], r.terms[0, 0])
        for d, r in lifted.items()
        if d in problem.directions
    }


_CALLS: Mapping[str, Callable[[Problem, dict[str, Array]], list[Call]]] = {
    "corr2d": _loop_calls,
    "layer": _loop_calls,
    "conv2d": _conv2d_calls,
    "matrix": _matrix_calls,
    "train": _train_calls,
    "differentiate": _differentiate_calls,
}

_REFERENCES: Mapping[str, Callable[[Problem, dict[str, Array]], References]] = {
    "corr2d": _loop_references,
    "layer": _loop_references,
    "conv2d": _conv2d_references,
    "matrix": _matrix_references,
    "differentiate": _differentiate_references,
}
