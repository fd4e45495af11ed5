"""What a run is asked to do, and each problem made ready once for all frameworks: inputs, calls, references."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosscorrect import operations
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework

    Array = np.ndarray[Any, Any]

CACHED_PROBLEMS = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is asked to do. ``modes`` empty means every mode that each framework offers.

    ``limit`` in seconds replaces every problem's own when given.
    """

    problems: Sequence[Problem]
    frameworks: Sequence[Framework]
    modes: tuple[str, ...] = ("eager",)
    devices: tuple[str, ...] = ("cpu",)
    arithmetic: str = "strict"
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Greeting:
    """A framework has started, or failed to: then ``hello`` is None and ``message`` says why."""

    framework: str
    hello: dict[str, Any] | None
    message: str = ""


@dataclass(slots=True)
class Prepared:
    """A problem with everything that is the same for all frameworks: inputs, calls, their digests, references."""

    problem: Problem
    inputs: dict[str, Array]
    calls: list[operations.Call]
    sent: list[dict[str, str]]
    references: operations.References


class Preparation:
    """Prepares each problem once and shares it between the lanes; keeps the most recent ones only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[threading.Lock, list[Prepared]]] = OrderedDict()

    def get(self, problem: Problem) -> Prepared:
        with self._lock:
            entry = self._entries.setdefault(problem.id, (threading.Lock(), []))
            self._entries.move_to_end(problem.id)
            while len(self._entries) > CACHED_PROBLEMS:
                self._entries.popitem(last=False)
        lock, made = entry
        with lock:
            if not made:
                made.append(_prepare(problem))
        return made[0]


def _prepare(problem: Problem) -> Prepared:
    inputs = problem.inputs()
    calls = operations.calls(problem, inputs)
    sent = [{name: digest(array) for name, array in call.arrays.items()} for call in calls]
    return Prepared(problem, inputs, calls, sent, operations.references(problem, inputs))
