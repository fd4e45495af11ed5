"""A lane: every problem through one framework's worker, each answer judged at once and written as rows."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from crosscorrect import hearing, rows, tables, verdicts
from crosscorrect.errors import UsageError
from crosscorrect.hearing import Judged
from crosscorrect.inquiry import Inquiry
from crosscorrect.ledger import Ledger
from crosscorrect.model import Check, Direction, Event, Outcome, Reason, Verdict
from crosscorrect.nearest import meant
from crosscorrect.plan import Greeting, Plan, Preparation, Prepared
from crosscorrect.selection import ordered
from crosscorrect.store import Segment, Unit
from crosscorrect.supply import Supply
from crosscorrect.turns import Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np

    from crosscorrect.ask import Question
    from crosscorrect.hearing import Answer, Hearing, Ruling
    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework

    Array = np.ndarray[Any, Any]


CHANGED = "one unit got two answers"
"""Why a worker is recycled whose unit said something else when it was asked again."""
TOLD_SECONDS = 0.05
"""How often checks are told of: to wake who listens costs as much as a small check itself."""


@dataclass(slots=True)
class Lane:
    """One framework's way through a plan.

    ``turns`` is what comes next, ``waiting`` the hearings that are judged while the worker has the next questions,
    ``doubted`` those of them that may have to be asked again, ``refused`` and ``absent`` say why of modes and devices,
    ``confirmed`` are the failures that were asked twice, ``outbox`` are the checks that nobody was told of yet, because
    the next time to tell, ``telling``, has not come.

    Every row is in the segment before ``emit`` is called with it, in a list of checks. A lane belongs to the thread
    that greets.
    """

    plan: Plan
    framework: Framework
    segment: Segment
    preparation: Preparation = field(default_factory=Preparation)
    emit: Callable[[Any], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    ledger: Ledger = field(default_factory=Ledger)
    supply: Supply = None  # type: ignore[assignment]  # made from the others
    inquiry: Inquiry = field(init=False)
    turns: Turns | None = None
    waiting: list[Hearing] = field(default_factory=list)
    doubted: list[tuple[Hearing, Ruling]] = field(default_factory=list)
    modes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ("native",)
    refused: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    outbox: list[Check] = field(default_factory=list)
    telling: float = 0.0
    diagnosed: set[tuple[str, ...]] = field(default_factory=set)
    confirmed: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.supply is None:
            self.supply = Supply(self.framework, self.stop, {"memory": self.plan.memory})
        self.supply.tell = self._tell
        self.inquiry = Inquiry(self.plan, self.supply, self._tell, self._meanwhile)

    def run(self) -> None:
        """The thread's body: every problem."""
        try:
            self.greet()
            self.work(ordered(self.plan.problems))
        finally:
            self.supply.close_all()

    def abandon(self) -> None:
        """Called from outside when the run is given up: the worker's death ends whatever this lane waits for."""
        self.supply.abandon()

    def greet(self) -> None:
        """Start the worker, write down its environment, and find the modes to run in."""
        worker = self.supply.ready()
        if worker is None:
            self.modes = self.plan.modes or ("eager",)
            self.emit(Greeting(self.framework.name, None, self.supply.missing))
            return
        hello = worker.hello
        self._check_versions(hello["versions"])
        self.modes = self.plan.modes or tuple(hello["modes"])
        self.dtypes = tuple(hello["dtypes"])
        self.spellings = tuple(hello["spellings"])
        self.refused = {m: rows.refusal(hello, m) for m in self.modes if m not in hello["modes"]}
        offered = ", ".join(hello["devices"])
        self.absent = {
            device: f"framework {self.framework.name!r} sees no device {device!r} here, only {offered}"
            + (f"; {hint}" if (hint := meant(device, hello["devices"])) else "")
            for device in self.plan.devices
            if device not in hello["devices"]
        }
        for record in rows.environment(self.framework, hello):
            self.segment.write("env", record)
        self.emit(Greeting(self.framework.name, hello, "; ".join(self.absent.values())))

    def _check_versions(self, versions: Mapping[str, str]) -> None:
        """Raise UsageError where other versions answered in the part of the run that is there already."""
        for part, before in self.ledger.versions.get(self.framework.name, {}).items():
            if versions.get(part) != before:
                raise UsageError(
                    f"the run began with {part} {before} for {self.framework.name!r}, and here it is "
                    f"{versions.get(part)}: verdicts of the two do not belong into one run; begin a new one"
                )

    def places(self, problem: Problem) -> list[tuple[str, str]]:
        """The (device, mode) pairs in which a problem is to run.

        None where the case is about other frameworks, or spelt in a way that this one does not offer.
        """
        if problem.only and self.framework.name not in problem.only:
            return []
        if problem.spelling not in self.spellings:
            return []
        return [(d, m) for d in self.plan.devices for m in self.modes if not problem.modes or m in problem.modes]

    def solve(self, problem: Problem, mode: str, device: str) -> list[Check]:
        """Every question of one problem in one mode on one device, judged and written down."""
        heard = self._ask(Turn(problem, mode, device, self._standing(problem, mode, device)))
        if heard is None:
            return []
        checks, changed = self._conclude(heard, self._judge(heard))
        if changed:
            self._recycle(CHANGED, heard)
        return checks

    def work(self, problems: Iterable[Problem]) -> None:
        """Solve problems in this order, as far as they have no verdict yet, until the run is stopped.

        The answers to some are judged while the worker has the next.
        """
        self.turns = Turns(self._units(problems), self.preparation)
        while not self.stop.is_set() and (taken := self.turns.take()):
            heard = self._hear(self.turns, taken)
            self._conclude_waiting()
            self.waiting = heard
        self._conclude_waiting()
        self.tell_all()
        self.turns.check()

    def _units(self, problems: Iterable[Problem]) -> Iterator[Turn]:
        for problem in problems:
            for device, mode in self.places(problem):
                if not self.ledger.has(problem.id, self.framework.name, mode, device):
                    yield Turn(problem, mode, device, self._standing(problem, mode, device))

    def tell_all(self) -> None:
        """Emit the checks that are in the segment and were not told yet, all at once."""
        if self.outbox:
            self.emit(self.outbox)
        self.outbox = []
        self.telling = time.monotonic() + TOLD_SECONDS

    def _hear(self, turns: Turns, taken: list[Turn]) -> list[Hearing]:
        """Ask the units of some turns, in one go if they are several; what has no answer comes next."""
        if turns.wants_worker:
            self.supply.warm_up()
        worker = self.supply.ready() if len(taken) > 1 else None
        if worker is None:
            turns.put_back(taken[1:])
            if taken[0].prepared is None:
                self._conclude_waiting()  # what is wrong with this one ends the lane
            heard = self._ask(taken[0])
            found = [] if heard is None else [heard]
        else:
            self.segment.begin(self._named(turn.problem, turn.mode, turn.device) for turn in taken)
            found, lost = self.inquiry.hear_together(taken)
            if len(found) < len(taken):
                turns.put_back(taken[len(found) :], lost)
            self._suspect(*found)
        self._learn(turns, found)
        return found

    def _ask(self, turn: Turn) -> Hearing | None:
        """Write down that a unit begins, and ask it by itself; None where the run is given up meanwhile."""
        problem, mode, device = turn.problem, turn.mode, turn.device
        if problem.isolate:
            self.supply.close()
        prepared = turn.prepared or self.preparation.get(problem)
        self.segment.begin([self._named(problem, mode, device)])
        heard = self.inquiry.hear(prepared, mode, device, turn.standing, turn.lost)
        if heard is not None:
            self._suspect(heard)
        if problem.isolate:
            self.supply.close()
        return heard

    def _learn(self, turns: Turns, found: list[Hearing]) -> None:
        """Let the turns know what it took to answer so many."""
        answers = [answer for heard in found for answer in heard.answers if answer.replies]
        if self.supply.worker is not None and answers:
            seconds = sum(answer.own_seconds for answer in answers)
            turns.learn(len(found), seconds, silent=not self.supply.worker.printed())

    def _meanwhile(self) -> None:
        """While the framework works: judge what it answered before, then make ready what comes next."""
        if self.outbox and time.monotonic() >= self.telling:
            self.tell_all()
        self._judge_waiting()
        if self.turns is not None:
            self.turns.look_ahead()

    def _judge_waiting(self) -> None:
        """Judge the hearings that wait, and write down those units that need not be asked again."""
        waiting, self.waiting = self.waiting, []
        settled = []
        for heard in waiting:
            ruling = self._judge(heard)
            if hearing.is_suspicious(ruling) or hearing.changed(ruling):
                self.doubted.append((heard, ruling))
            else:
                settled.append(self._unit(heard, ruling))
        self._write(settled)

    def _conclude_waiting(self) -> None:
        """Judge what is still to be judged, ask again what is to be asked again, and write down the units."""
        self._judge_waiting()
        doubted, self.doubted = self.doubted, []
        changed = [heard for heard, ruling in doubted if self._conclude(heard, ruling)[1]]
        if changed:  # only now: each of them may have had to be asked there again
            self._recycle(CHANGED, changed[0])

    def _judge(self, heard: Hearing) -> Ruling:
        """The verdict on every direction of a unit."""
        ruling: Ruling = {}
        prepared = heard.prepared
        for answer in heard.answers:
            question = prepared.questions[answer.index]
            if answer.standing is not None:
                ruling.update({d: Judged(answer, answer.standing) for d in question.directions})
            elif answer.lost is not None:
                verdict = Verdict(Outcome(answer.lost.kind), message=answer.lost.message)
                ruling.update({d: Judged(answer, verdict) for d in question.directions})
            else:
                ruling.update(self._judge_replies(heard, answer, question))
        return ruling

    def _judge_replies(self, heard: Hearing, answer: Answer, question: Question) -> Ruling:
        prepared, sent = heard.prepared, heard.prepared.sent[answer.index]
        answered = question.up_to(len(answer.replies))
        found, trained = verdicts.of(prepared, answered, sent, answer.replies, self.plan.arithmetic)
        results = answer.replies[0][1]
        names = {direction: name for name, direction in question.calls[0].answers.items()}
        ruling = {}
        for direction in question.directions:
            output = results.get(names.get(direction, "output"))
            verdict = hearing.after_loss(found[direction], answer, heard.asked)
            verdict = self._diagnosed(prepared, direction, output, verdict, heard.mode)
            ruling[direction] = Judged(answer, verdict, output, trained)
        return ruling

    def _conclude(self, heard: Hearing, ruling: Ruling) -> tuple[list[Check], bool]:
        """Ask a failing unit once more, alone, before the framework is blamed; write it down.

        Returns its rows, and whether its worker gave two answers. One that should be asked again and cannot be, because
        the run is stopped, is not written down: a resumed run asks it.
        """
        events: list[Event] = []
        if self._doubts(heard, ruling):
            confirmed = None if self.stop.is_set() else self._confirm(heard, ruling)
            if confirmed is None:
                return [], False
            ruling, events = confirmed
        unit = self._unit(heard, ruling)
        unit.events += events
        self._write([unit])
        return unit.checks, bool(hearing.changed(ruling))

    def _unit(self, heard: Hearing, ruling: Ruling) -> Unit:
        """The rows of a unit."""
        unit = self._named(heard.prepared.problem, heard.mode, heard.device)
        for direction, judged in ruling.items():
            limit = self.keeps(heard.prepared.problem, judged.verdict)
            rows.add(unit, heard.prepared, direction, judged, self.plan.arithmetic, partial(self._kept, unit, limit))
        return unit

    def _named(self, problem: Problem, mode: str, device: str) -> Unit:
        return Unit(problem, self.framework.name, mode, device)

    def _write(self, units: list[Unit]) -> None:
        """Write units down, then tell of their checks when it is time."""
        if units:
            self.segment.commit(*units)
            self.outbox += [check for unit in units for check in unit.checks]
        if time.monotonic() >= self.telling:
            self.tell_all()

    def keeps(self, problem: Problem, verdict: Verdict) -> int:
        """Up to how many bytes each array is kept that goes with a verdict."""
        return self.segment.limit(show=problem.show or verdict.outcome is not Outcome.PASS)

    def _kept(self, unit: Unit, limit: int, array: Array, known: str) -> str:
        """The digest of an array that is kept; empty for one that is too large."""
        return self.segment.keep(array, known, unit) if array.nbytes <= limit else ""

    def _doubts(self, heard: Hearing, ruling: Ruling) -> bool:
        """Whether a unit failed in a worker that had been asked others, in a way that was not confirmed before."""
        if not self.plan.confirm or not heard.asked or not hearing.is_suspicious(ruling):
            return False
        keys = self._failures(heard, ruling)
        is_new = not keys <= self.confirmed
        if not self.stop.is_set():
            self.confirmed |= keys
        return is_new

    @staticmethod
    def _failures(heard: Hearing, ruling: Ruling) -> set[tuple[str, ...]]:
        """What failed, by case: its problems fail alike, and one is asked twice for all of them."""
        problem = heard.prepared.problem
        failed = [(d, j.verdict) for d, j in ruling.items() if j.verdict.outcome in hearing.SUSPICIOUS]
        return {(problem.suite, problem.case, heard.mode, heard.device, d, v.outcome, v.reason) for d, v in failed}

    def _confirm(self, heard: Hearing, ruling: Ruling) -> tuple[Ruling, list[Event]] | None:
        """The ruling after a second hearing, and what is to be told where that came to something else.

        None where the run is given up meanwhile.
        """
        heard_alone = self.inquiry.hear_alone(heard)
        if heard_alone is None:
            return None
        alone, again = self._judge(heard_alone), None
        if not hearing.differs(ruling, alone):
            return ruling, []
        if heard.worker is not None and self.supply.worker is heard.worker:
            heard_again = self.inquiry.hear(heard.prepared, heard.mode, heard.device)
            if heard_again is None:
                return None
            again = self._judge(heard_again)
        settled = hearing.settled(ruling, alone, again, heard.asked)
        self.confirmed -= self._failures(heard, ruling)  # the next one of this case is asked twice as well
        place = {"problem": heard.prepared.problem.id, "mode": heard.mode, "device": heard.device}
        message = "; ".join(dict.fromkeys(j.verdict.message for j in settled.values() if j.verdict.message))
        return settled, [Event("asked again", self.framework.name, **place, message=message, detail=heard.told())]

    def _suspect(self, *found: Hearing) -> None:
        """End a worker that may not be what it was; the next question starts another."""
        worker = self.supply.worker
        if found and worker is not None and worker.suspicion():
            self._recycle(worker.suspicion(), found[-1])

    def _recycle(self, reason: str, heard: Hearing) -> None:
        if self.supply.worker is not None:
            self._tell("recycled", reason, problem=heard.prepared.problem.id, mode=heard.mode, device=heard.device)
            self.supply.close()

    def _tell(self, what: str, message: str, **place: str) -> None:
        """Write down what happened beside the verdicts."""
        self.segment.write("events", tables.row_record(Event(what, self.framework.name, message=message, **place)))

    def _diagnosed(
        self, prepared: Prepared, direction: Direction, output: Array | None, verdict: Verdict, mode: str
    ) -> Verdict:
        """The verdict with the cause of a failure; asked once per case, operation, dtype and spelling.

        The other problems of a sweep fail alike; an operation or a dtype may fail by itself, and has other bounds.
        """
        problem = prepared.problem
        key = (problem.suite, problem.case, problem.operation, problem.dtype, problem.spelling, direction, mode)
        failed = verdict.outcome is Outcome.FAIL and verdict.reason not in (Reason.DTYPE, Reason.NONFINITE)
        if not failed or output is None or problem.invalid or key in self.diagnosed:
            return verdict
        self.diagnosed.add(key)
        return verdicts.diagnosed(prepared, direction, output, verdict, self.plan.arithmetic)

    def _standing(self, problem: Problem, mode: str, device: str) -> Verdict | None:
        """The verdict that stands without asking: a device, mode or dtype that the adapter says it does not have."""
        if device in self.absent:
            return Verdict(Outcome.MISSING, message=self.absent[device])
        if mode in self.refused:
            return Verdict(Outcome.UNSUPPORTED, message=self.refused[mode])
        if self.dtypes and problem.dtype not in self.dtypes:
            return Verdict(
                Outcome.UNSUPPORTED, message=f"{problem.dtype} is not among the dtypes that the adapter offers"
            )
        return None
