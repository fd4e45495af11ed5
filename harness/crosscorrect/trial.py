"""A callable on trial: problems asked in this process within a budget, judged and explained as in a run."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import rows, verdicts
from crosscorrect.checked import NUMBERS, Failure
from crosscorrect.diagnosis import phrase
from crosscorrect.fitting import work
from crosscorrect.handmade import PLAIN
from crosscorrect.hearing import Answer, Judged
from crosscorrect.model import Direction, Outcome, Reason, Verdict
from crosscorrect.store import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from crosscorrect.ask import Question
    from crosscorrect.checked import Checked
    from crosscorrect.diagnosis import Cause
    from crosscorrect.handmade import Here
    from crosscorrect.model import Check
    from crosscorrect.plan import Preparation, Prepared
    from crosscorrect.problem import Problem
    from crosscorrect.store import Segment
    from crosscorrect.verdicts import Reply

    Array = np.ndarray[Any, Any]

DIAGNOSING = 0.5
"""The part of the budget that may be spent on the causes of failures."""


@dataclass(slots=True)
class Trial:
    """Asks ``here`` and gathers the verdicts in ``result``; with a segment they are written down, too."""

    result: Checked
    here: Here
    preparation: Preparation
    device: str = "cpu"
    arithmetic: str = "strict"
    segment: Segment | None = None
    _diagnosing: float = field(default=0.0, init=False)
    _diagnosed: set[tuple[str, str, Direction]] = field(default_factory=set, init=False)

    def ask(self, problems: Iterable[Problem]) -> None:
        """Ask problems, one of each case first and small ones before large ones, the first always.

        One that is likely to end beyond the budget is left out; how long it takes is told by the fastest until then.
        """
        start, pace = time.perf_counter(), 0.0
        for problem in _broad(problems):
            used = time.perf_counter() - start
            if self.result.rows and used + pace * work(problem) > self.result.budget:
                self.result.left_out.append(problem.id)
                continue
            own = self._solve(problem) / max(1, work(problem))
            pace = min(pace, own) if pace else own
        self.result.seconds = time.perf_counter() - start

    def _solve(self, problem: Problem) -> float:
        """Ask one problem, judge and write down; the seconds that its calls took."""
        prepared = self.preparation.get(problem)
        unit = Unit(problem, self.result.name, "eager", self.device)
        if self.segment is not None:
            self.segment.begin([unit])
        spent = 0.0
        for index, question in enumerate(prepared.questions):
            begin = time.perf_counter()
            replies = self.here.ask(question)
            spent += time.perf_counter() - begin
            answered = question.up_to(len(replies))
            found, _ = verdicts.of(prepared, answered, prepared.sent[index], replies, self.arithmetic)
            found = self._steady(question, replies, found)
            for direction, verdict in found.items():
                self._note(unit, prepared, Answer(index, spent, replies), direction, verdict)
        if self.segment is not None:
            self.segment.commit(unit)
        return spent

    def _steady(
        self, question: Question, replies: list[Reply], found: dict[Direction, Verdict]
    ) -> dict[Direction, Verdict]:
        """The verdicts on a question; where one failed, it is asked once more, for only what lasts has a cause."""
        if all(verdict.outcome is not Outcome.FAIL for verdict in found.values()):
            return found
        again = self.here.ask(question)
        if _bits(again) == _bits(replies):
            return found
        said = "asked twice with the same arrays, it gave two answers"
        return {
            d: replace(v, reason=Reason.DETERMINISM, message=f"{said}; of the first: {v.message}")
            if v.outcome is Outcome.FAIL
            else v
            for d, v in found.items()
        }

    def _note(self, unit: Unit, prepared: Prepared, answer: Answer, direction: Direction, verdict: Verdict) -> None:
        """Write one verdict down, with its cause where it failed."""
        question = prepared.questions[answer.index]
        name = next((n for n, d in question.calls[0].answers.items() if d is direction), "output")
        output = answer.replies[0][1].get(name)
        causes = self._causes(prepared, direction, output, verdict)
        if causes:
            verdict = replace(verdict, diagnosis=phrase(causes))
        before = len(unit.checks)
        rows.add(unit, prepared, direction, Judged(answer, verdict, output), self.arithmetic, self._keep(unit, verdict))
        (check,) = unit.checks[before:]
        self.result.rows.append(check)
        if verdict.outcome is not Outcome.PASS:
            self.result.failures.append(self._failure(prepared, check, verdict, output, causes))

    def _keep(self, unit: Unit, verdict: Verdict) -> Callable[[Array, str], str]:
        """How the arrays of a verdict are kept: in the run folder, if there is one."""
        segment = self.segment
        if segment is None:
            return lambda _array, _known: ""
        limit = segment.limit(show=unit.problem.show or verdict.outcome is not Outcome.PASS)
        return lambda array, known: segment.keep(array, known, unit) if array.nbytes <= limit else ""

    def _causes(self, prepared: Prepared, direction: Direction, output: Array | None, verdict: Verdict) -> list[Cause]:
        """What explains a failure: asked once per case, since its problems fail alike, as long as the budget lasts."""
        case = (prepared.problem.suite, prepared.problem.case, direction)
        spent = self._diagnosing > DIAGNOSING * self.result.budget
        if verdict.reason not in NUMBERS or output is None or case in self._diagnosed or spent:
            return []
        self._diagnosed.add(case)
        begin = time.perf_counter()
        found = verdicts.causes(prepared, direction, output, self.arithmetic)
        self._diagnosing += time.perf_counter() - begin
        return found

    def _failure(
        self, prepared: Prepared, check: Check, verdict: Verdict, output: Array | None, causes: list[Cause]
    ) -> Failure:
        """The failure as its callable sees it: everything in its layout."""
        handmade, inputs = self.here.handmade, dict(prepared.inputs)
        geometry = prepared.problem.geometry or PLAIN
        if check.direction is Direction.FORWARD:
            inputs.pop("dy", None)
        reference = prepared.references.get(check.direction)
        right = None if reference is None else reference.value
        way = handmade.way(check.direction)
        return Failure(
            check=check,
            geometry=geometry,
            inputs=handmade.laid(inputs),
            arguments=handmade.arguments(inputs, geometry, backward=check.direction is not Direction.FORWARD),
            output=None if output is None else handmade.own(output, right, way),
            reference=None if right is None else way(right),
            where=None if verdict.where is None or right is None else _moved(verdict.where, right.shape, way),
            causes=causes,
            handmade=handmade,
        )


def _broad(problems: Iterable[Problem]) -> list[Problem]:
    """The smallest problem of each case, the next of each, and so on."""
    met: Counter[tuple[str, str]] = Counter()
    turns: list[tuple[int, int, int, Problem]] = []
    for problem in sorted(problems, key=work):
        case = problem.suite, problem.case
        turns.append((met[case], work(problem), len(turns), problem))
        met[case] += 1
    return [problem for *_, problem in sorted(turns, key=lambda turn: turn[:3])]


def _moved(where: tuple[int, ...], shape: tuple[int, ...], way: Callable[[Array], Array]) -> tuple[int, ...]:
    """The index of an element after its array went some way."""
    mark = np.zeros(shape, bool)
    mark[where] = True
    return tuple(int(i) for i in np.argwhere(way(mark))[0])


def _bits(replies: Sequence[Reply]) -> list[tuple[str, list[tuple[str, bytes]]]]:
    """What tells answers from each other."""
    return [
        (reply["outcome"], [(name, np.ascontiguousarray(array).tobytes()) for name, array in sorted(results.items())])
        for reply, results in replies
    ]
