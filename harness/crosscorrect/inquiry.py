"""Asking a unit's questions: in the lane's worker, again where it was lost, and alone in a fresh process."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from crosscorrect.adapter import SWITCHES
from crosscorrect.errors import IncompleteError
from crosscorrect.hearing import Answer, Hearing
from crosscorrect.model import Outcome, Verdict
from crosscorrect.process import Worker, WorkerLost
from crosscorrect.turns import Lost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.ask import Call, Question
    from crosscorrect.plan import Plan, Prepared
    from crosscorrect.problem import Problem
    from crosscorrect.process import Asked
    from crosscorrect.supply import Supply
    from crosscorrect.turns import Turn
    from crosscorrect.verdicts import Reply

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""The environment variables by which a worker is told how many threads it may use."""
PATIENCE = 1.0
"""Seconds that units which were asked in one go have to be answered after a stop."""
OUTSIDE_LOSSES = 30
"""A worker that is killed from outside is no fault of its problem, until this happens so often on one problem."""


@dataclass(slots=True)
class Inquiry:
    """How one framework is asked. ``tell`` writes down that a worker was lost, ``meanwhile`` is done while it works."""

    plan: Plan
    supply: Supply
    tell: Callable[..., None]
    meanwhile: Callable[[], None] | None = None

    def hear(
        self,
        prepared: Prepared,
        mode: str,
        device: str,
        standing: Verdict | None = None,
        lost: Lost | None = None,
    ) -> Hearing | None:
        """The answers to a unit's questions, or to each its ``standing`` verdict; None where the run is given up.

        ``lost`` has the first of them, and how the worker was lost then, where the unit was asked with others before.
        """
        answers = list(lost.answers) if lost else []
        asked, prefix = (lost.asked, lost.prefix) if lost else (self.supply.asked, tuple(self.supply.before))
        before = lost.how if lost else None
        for index in range(len(answers), len(prepared.questions)):
            answer = (
                Answer(index, standing=standing) if standing else self._answer(prepared, index, mode, device, before)
            )
            if answer is None:
                return None
            answers.append(answer)
            before = None
        self.supply.note(_unit(prepared.problem, mode, device))
        return Hearing(prepared, mode, device, answers, asked, prefix, worker=self.supply.worker)

    def hear_together(self, turns: Sequence[Turn]) -> tuple[list[Hearing], Lost | None]:
        """The answers to small units that are asked in one go, up to where the worker is lost, or no longer trusted.

        Where it is lost, the first that is left out was at hand: what is known of it is for ``hear``. After a
        stop no more answers are waited for than come within ``PATIENCE``; the worker must then not be asked again.
        """
        worker, heard = self.supply.worker, list[Hearing]()
        assert worker is not None  # noqa: S101  whoever calls this has made it ready
        start, answers = time.perf_counter(), list[Answer]()
        asked = [self._asked(c, self._header(t.problem, t.mode, t.device)) for t in turns for c in t.calls]
        replies = worker.ask_all(asked, self.meanwhile)
        place, prefix, names = self.supply.asked, tuple(self.supply.before), list[str]()
        try:
            for turn in turns:
                answers = []
                for index, _ in enumerate(turn.calls):
                    begin = time.perf_counter()
                    reply = next(replies)
                    printed = _among(turns, worker.printed()) if "traceback" in reply[0] else ""
                    answer = Answer(index, time.perf_counter() - begin, [reply], printed=printed)
                    # one that was there already, while others were judged, took at least the framework's time
                    answers.append(replace(answer, seconds=max(answer.seconds, answer.own_seconds)))
                prepared = cast("Prepared", turn.prepared)
                before = place + len(names)
                heard.append(Hearing(prepared, turn.mode, turn.device, answers, before, prefix, tuple(names), worker))
                answers = []
                names.append(_unit(turn.problem, turn.mode, turn.device))
                self.supply.note(names[-1])
                self.supply.answered()
                late = time.perf_counter() - start > PATIENCE
                if worker.suspicion() or (late and self.supply.stop.is_set()):
                    break
        except WorkerLost as lost:
            if not self.supply.stop.is_set():
                turn = turns[len(heard)]
                self.tell("lost", lost.message, problem=turn.problem.id, mode=turn.mode, device=turn.device)
            lost.stderr = _among(turns, lost.stderr)
            how = None if lost.outside and self.plan.confirm else lost
            told = Lost(tuple(answers), how, self.supply.asked, tuple(self.supply.before))
            self.supply.lost()
            return heard, told if answers or how else None
        return heard, None

    def hear_alone(self, heard: Hearing) -> Hearing | None:
        """The answers of fresh processes that are asked nothing else; None where the run is given up."""
        prepared = heard.prepared
        header = self._header(prepared.problem, heard.mode, heard.device)
        answers = []
        for index in range(len(prepared.questions)):
            try:
                replies = self._outlast(self._ask_alone, prepared.questions[index], header)
                answers.append(Answer(index, replies=replies))
            except WorkerLost as lost:
                if self.supply.stop.is_set():
                    return None
                answers.append(Answer(index, lost=lost))
        return Hearing(prepared, heard.mode, heard.device, answers)

    def _answer(
        self, prepared: Prepared, index: int, mode: str, device: str, before: WorkerLost | None
    ) -> Answer | None:
        """One question's answer; after the loss of its worker, maybe ``before``, it is asked once more, alone."""
        question, header = prepared.questions[index], self._header(prepared.problem, mode, device)
        if before is None and self.supply.ready() is None:
            return Answer(index, standing=Verdict(Outcome.MISSING, message=self.supply.missing))
        begin = time.perf_counter()
        losses: list[WorkerLost] = [] if before is None else [before]
        for ask in (self._ask_here, self._ask_alone)[len(losses) : 1 + self.plan.confirm]:
            try:
                replies = self._outlast(ask, question, header)
            except WorkerLost as lost:
                if self.supply.stop.is_set():
                    return None  # the run is given up, and the worker was killed for that
                losses.append(lost)
                if lost.outside:  # so often that it is the problem's fault: not asked again
                    break
                continue
            printed = ""
            if "traceback" in replies[-1][0] and self.supply.worker is not None:
                printed = self.supply.worker.printed()
            return Answer(index, time.perf_counter() - begin, replies, before=next(iter(losses), None), printed=printed)
        return Answer(index, time.perf_counter() - begin, lost=losses[-1])

    def _header(self, problem: Problem, mode: str, device: str) -> dict[str, Any]:
        return {
            "problem": problem.id,
            "framework": self.supply.framework.name,
            "mode": mode,
            "device": device,
            "arithmetic": SWITCHES[self.plan.arithmetic],
            "limit": self.plan.limit or problem.limit,
        }

    def _outlast(
        self, ask: Callable[[Question, dict[str, Any]], list[Reply]], question: Question, header: dict[str, Any]
    ) -> list[Reply]:
        """The replies to a question, asked again where the worker was killed from outside. Raises WorkerLost."""
        for left in reversed(range(OUTSIDE_LOSSES if self.plan.confirm else 1)):
            try:
                return ask(question, header)
            except WorkerLost as lost:
                unit = {name: header[name] for name in ("problem", "mode", "device")}
                self.tell("lost", lost.message, **unit)
                if not lost.outside or not left or self.supply.stop.is_set():
                    raise
        raise AssertionError  # the last turn returns or raises

    def _ask_here(self, question: Question, header: dict[str, Any]) -> list[Reply]:
        """Ask the lane's worker. Raises WorkerLost; a lost worker is gone."""
        ready = self.supply.worker or self.supply.ready()
        if ready is None:
            raise WorkerLost("crash", self.supply.missing, "")
        try:
            replies = self._ask_calls(ready, question, header, self.meanwhile)
        except WorkerLost:
            self.supply.lost()
            raise
        self.supply.answered()
        return replies

    def _ask_alone(self, question: Question, header: dict[str, Any]) -> list[Reply]:
        """Ask a worker that is started for it. Raises WorkerLost."""
        try:
            with self.supply.start() as worker:
                return self._ask_calls(worker, question, header, None)
        except IncompleteError as error:
            raise WorkerLost("crash", str(error), "") from None

    def _ask_calls(
        self, worker: Worker, question: Question, header: dict[str, Any], meanwhile: Callable[[], object] | None
    ) -> list[Reply]:
        """The replies to the calls of a question, up to the first that is no answer. Raises WorkerLost."""
        replies: list[Reply] = []
        for call in question.calls:
            if call.fresh:
                threads = {} if call.threads is None else dict.fromkeys(THREADS, str(call.threads))
                with self.supply.start(more=threads) as other:
                    replies.append(self._ask(other, call, header, None))
            else:
                replies.append(self._ask(worker, call, header, meanwhile))
            if replies[-1][0]["outcome"] != "answer":
                break
        return replies

    def _ask(self, worker: Worker, call: Call, header: dict[str, Any], meanwhile: Callable[[], object] | None) -> Reply:
        return worker.ask(*self._asked(call, header), meanwhile)

    @staticmethod
    def _asked(call: Call, header: dict[str, Any]) -> Asked:
        asked = {**header, "verb": call.verb, "settings": call.settings}
        return asked, call.arrays, asked.pop("limit")


def _unit(problem: Problem, mode: str, device: str) -> str:
    """How a unit is remembered by the worker that was asked."""
    return f"{problem.id} {mode} {device}"


def _among(turns: Sequence[Turn], printed: str) -> str:
    """What was printed since units were asked in one go; whose it is, is not known."""
    return f"printed since the first of {len(turns)} units asked in one go:\n{printed}" if printed else ""
