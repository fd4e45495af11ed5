"""What a run is asked to do, and each problem made ready once for all frameworks: inputs, questions, standards."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect import judge, operations
from crosscorrect.errors import CrosscorrectError
from crosscorrect.registry import uninstalled
from crosscorrect.selection import Selection
from crosscorrect.sources import fingerprint
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np

    from crosscorrect.ask import Question
    from crosscorrect.model import Direction
    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework

    Array = np.ndarray[Any, Any]

KEPT_BYTES = 2**28
"""How much the problems made ready may take together; the newest one is kept whatever its size."""

KEPT_PROBLEMS = 1024
"""How many of them are kept; a lane that is further behind makes them again, which takes 0.2 ms for a small one."""
KEPT_FOR_ONE = 64
"""How many are kept for one lane, which only looks a little ahead: more would pass through the processor's caches."""

OWN_BYTES, REFERENCE_BYTES = 6 * 2**10, 2 * 2**10
"""What a problem, and each of its references with its standard, take beside the numbers of their arrays.

Measured with tracemalloc on CPython 3.11: 7.5 KiB for the smallest ``conv2d``, of which the numbers are 1 KiB.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is asked to do. ``modes`` empty means every mode that each framework offers.

    ``problems`` is iterated by every lane, and again for those that want a worker of their own.
    ``limit`` in seconds replaces every problem's own when given. ``seed`` other than 0 gives every fill other data.
    ``memory`` is how many bytes a worker may take, None without a limit. Without ``confirm`` a failure is not asked
    once more in a fresh process.
    """

    problems: Iterable[Problem]
    frameworks: Sequence[Framework]
    modes: tuple[str, ...] = ("eager",)
    devices: tuple[str, ...] = ("cpu",)
    arithmetic: str = "strict"
    limit: float | None = None
    seed: int = 0
    memory: int | None = None
    confirm: bool = True


def describe(plan: Plan) -> dict[str, Any]:
    """What ``run.json`` says of a plan; of problems that are no ``Selection``, whoever plans says the rest."""
    return {
        "frameworks": [framework.name for framework in plan.frameworks],
        "adapters": uninstalled(plan.frameworks),
        **(plan.problems.describe() if isinstance(plan.problems, Selection) else {}),
        "modes": list(plan.modes),
        "devices": list(plan.devices),
        "arithmetic": plan.arithmetic,
        "seed": plan.seed,
        "sources": {framework.name: fingerprint(framework.packages) for framework in plan.frameworks},
    }


@dataclass(frozen=True, slots=True)
class Greeting:
    """A framework has started, or failed to: then ``hello`` is None and ``message`` says why.

    ``done`` is how many of its checks the run had already, where it is resumed.
    """

    framework: str
    hello: dict[str, Any] | None
    message: str = ""
    done: int = 0


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
        """About how much memory this takes: every array, what each reference is judged by, and the objects around."""
        calls = [call.arrays for question in self.questions for call in question.calls]
        arrays = {id(array): array.nbytes for named in (self.inputs, *calls) for array in named.values()}
        references = sum(1 + len(r.others) for r in self.references.values())
        # value, scale, count and bound of each
        numbers = sum(32 * r.value.size * (1 + len(r.others)) for r in self.references.values())
        return OWN_BYTES + REFERENCE_BYTES * references + sum(arrays.values()) + numbers


class Preparation:
    """Prepares each problem once and shares it between the lanes; keeps the most recent ones only."""

    def __init__(self, seed: int = 0, lanes: int = 1) -> None:
        self._seed, self._most = seed, KEPT_PROBLEMS if lanes > 1 else KEPT_FOR_ONE
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._ready: OrderedDict[str, tuple[Prepared, int]] = OrderedDict()
        self._bytes = 0

    def get(self, problem: Problem) -> Prepared:
        """The problem made ready, by this call or an earlier one; a problem is made by one lane at a time."""
        with self._lock:
            found = self._find(problem.id)
            if found is not None:
                return found
            making = self._making.setdefault(problem.id, threading.Lock())
        with making:
            with self._lock:
                found = self._find(problem.id)  # another lane may have made it meanwhile
            if found is None:
                try:
                    found = _prepare(problem, self._seed)
                    self._keep(problem.id, found)
                finally:
                    with self._lock:
                        self._making.pop(problem.id, None)
        return found

    def ahead(self, problem: Problem) -> Prepared | None:
        """The same before its turn; None for a problem that makes no sense, which its own turn then tells."""
        with contextlib.suppress(CrosscorrectError):
            return self.get(problem)
        return None

    def _find(self, name: str) -> Prepared | None:
        entry = self._ready.get(name)
        if entry is None:
            return None
        self._ready.move_to_end(name)
        return entry[0]

    def _keep(self, name: str, made: Prepared) -> None:
        """Keep the newest problem, and let go of those that were asked for longest ago until the others fit."""
        size = made.nbytes
        with self._lock:
            self._bytes += size - self._ready.pop(name, (made, 0))[1]
            self._ready[name] = (made, size)
            while len(self._ready) > 1 and (self._bytes > KEPT_BYTES or len(self._ready) > self._most):
                _, (_, gone) = self._ready.popitem(last=False)
                self._bytes -= gone


def _prepare(problem: Problem, seed: int) -> Prepared:
    inputs = problem.inputs(seed)
    questions = operations.questions(problem, inputs)
    known = {id(array): digest(array) for array in inputs.values()}

    def seal(array: Array) -> str:
        return known.get(id(array)) or digest(array)

    sent = [[{name: seal(array) for name, array in call.arrays.items()} for call in q.calls] for q in questions]
    return Prepared(problem, inputs, questions, sent, operations.references(problem, inputs))
