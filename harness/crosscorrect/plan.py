"""What a run is asked to do, and each problem made ready once for all frameworks: inputs, questions, standards."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect import judge, operations
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from crosscorrect.ask import Question
    from crosscorrect.model import Direction
    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework

    Array = np.ndarray[Any, Any]

KEPT_BYTES = 2**28
"""How much the problems made ready may take together; the newest one is kept whatever its size."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is asked to do. ``modes`` empty means every mode that each framework offers.

    ``limit`` in seconds replaces every problem's own when given. ``seed`` other than 0 gives every fill other data.
    ``memory`` is how many bytes a worker may take, None without a limit. Without ``confirm`` a failure is not asked
    once more in a fresh process.
    """

    problems: Sequence[Problem]
    frameworks: Sequence[Framework]
    modes: tuple[str, ...] = ("eager",)
    devices: tuple[str, ...] = ("cpu",)
    arithmetic: str = "strict"
    limit: float | None = None
    seed: int = 0
    memory: int | None = None
    confirm: bool = True


@dataclass(frozen=True, slots=True)
class Greeting:
    """A framework has started, or failed to: then ``hello`` is None and ``message`` says why."""

    framework: str
    hello: dict[str, Any] | None
    message: str = ""


@dataclass(slots=True)
class Prepared:
    """A problem with everything that is the same for all frameworks: inputs, questions, digests, references.

    ``sent`` has, for each question, the digests of the arrays of each of its calls.
    """

    problem: Problem
    inputs: dict[str, Array]
    questions: list[Question]
    sent: list[list[dict[str, str]]]
    references: operations.References
    _standards: dict[tuple[Direction, str], list[judge.Standard]] = field(default_factory=dict)

    def standards(self, direction: Direction, arithmetic: str) -> list[judge.Standard]:
        """What outputs of a direction are held to, made when the first output is there."""
        key = (direction, arithmetic)
        if key not in self._standards:
            first = self.references[direction]
            made = [judge.standard(self.problem, direction, self.inputs, r, arithmetic) for r in (first, *first.others)]
            self._standards[key] = made
        return self._standards[key]

    @property
    def nbytes(self) -> int:
        """About how much memory this takes: inputs, and value, scale, count and bound of each reference."""
        arrays = sum(array.nbytes for array in self.inputs.values())
        return arrays + sum(32 * r.value.size * (1 + len(r.others)) for r in self.references.values())


class Preparation:
    """Prepares each problem once and shares it between the lanes; keeps the most recent ones only."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[threading.Lock, list[Prepared]]] = OrderedDict()

    def get(self, problem: Problem) -> Prepared:
        """The problem made ready, by this call or an earlier one; a problem is made by one lane at a time."""
        with self._lock:
            entry = self._entries.setdefault(problem.id, (threading.Lock(), []))
            self._entries.move_to_end(problem.id)
        lock, made = entry
        with lock:
            if not made:
                made.append(_prepare(problem, self._seed))
                self._forget()
        return made[0]

    def _forget(self) -> None:
        """Let go of the problems that were asked for longest ago, until the others fit."""
        with self._lock:
            sizes = {name: made[0].nbytes for name, (_, made) in self._entries.items() if made}
            total = sum(sizes.values())
            for name, size in list(sizes.items())[:-1]:
                if total <= KEPT_BYTES:
                    return
                del self._entries[name]
                total -= size


def _prepare(problem: Problem, seed: int) -> Prepared:
    inputs = problem.inputs(seed)
    questions = operations.questions(problem, inputs)
    known = {id(array): digest(array) for array in inputs.values()}

    def seal(array: Array) -> str:
        return known.get(id(array)) or digest(array)

    sent = [[{name: seal(array) for name, array in call.arrays.items()} for call in q.calls] for q in questions]
    return Prepared(problem, inputs, questions, sent, operations.references(problem, inputs))
