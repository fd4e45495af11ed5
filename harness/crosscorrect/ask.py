"""The words in which a worker is asked: one call, and a question of one or several calls that are judged together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from crosscorrect.geometry import Geometry
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

GRADIENTS = {"dx": Direction.GRAD_INPUT, "dw": Direction.GRAD_WEIGHT, "db": Direction.GRAD_BIAS}


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a worker: the verb, its arrays and settings, and the direction each returned array answers.

    ``fresh`` asks for a worker process that was just started, ``threads`` for one that may use so many threads.
    """

    verb: str
    arrays: dict[str, Array]
    settings: dict[str, Any]
    answers: dict[str, Direction]
    fresh: bool = False
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Calls whose answers are judged together, and the directions that get a verdict."""

    calls: tuple[Call, ...]
    directions: tuple[Direction, ...]

    def up_to(self, count: int) -> Question:
        """The question with its first calls only, those that were answered."""
        return self if count == len(self.calls) else Question(self.calls[:count], self.directions)


def conv2d_call(problem: Problem, inputs: dict[str, Array], geometry: Geometry | None = None, **where: Any) -> Call:
    """The forward call of a problem, on other arrays or another geometry where given."""
    arrays = {name: array for name, array in inputs.items() if name in ("x", "w", "b")}
    return Call("conv2d", arrays, _settings(problem, geometry), {"output": Direction.FORWARD}, **where)


def grads_call(problem: Problem, inputs: dict[str, Array], directions: Iterable[Direction]) -> Call:
    """The gradients of a problem."""
    answers = {name: d for name, d in GRADIENTS.items() if d in tuple(directions)}
    return Call("grads", inputs, _settings(problem, None), answers)


def _settings(problem: Problem, geometry: Geometry | None) -> dict[str, Any]:
    geometry = geometry or cast("Geometry", problem.geometry)  # every problem that convolves has one
    settings: dict[str, Any] = {"geometry": geometry.to_json()}
    if problem.spelling != "native":
        settings["spelling"] = problem.spelling
    if problem.dirty:
        settings["dirty"] = list(problem.shapes["output"])
    return settings
