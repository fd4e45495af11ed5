"""The run itself: every problem through every framework's worker, each answer judged at once and written as a row."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from crosscorrect import rows, verdicts
from crosscorrect.adapter import SWITCHES
from crosscorrect.errors import CrosscorrectError, IncompleteError
from crosscorrect.model import Check, Direction, Outcome, Reason, Verdict
from crosscorrect.plan import Greeting, Plan, Preparation, Prepared
from crosscorrect.process import Worker, WorkerLost
from crosscorrect.store import KEEP_ALWAYS, KEEP_ON_FAILURE, Segment, check_record, problem_record, row_record
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from crosscorrect.ask import Call, Question
    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework

    Array = np.ndarray[Any, Any]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""The environment variables by which a worker is told how many threads it may use."""


def execute(plan: Plan, segment: Segment, make: Callable[..., Lane] | None = None) -> Iterator[Check | Greeting]:
    """Run a plan, one lane (a thread and a worker) per framework; yields events as they happen.

    ``make`` makes another kind of lane from the same arguments. Every row is in the segment before it is yielded.
    Closing the iterator stops the lanes and their workers.
    """
    events: queue.SimpleQueue[Check | Greeting | BaseException | None] = queue.SimpleQueue()
    preparation, stop = Preparation(plan.seed), threading.Event()
    lanes = [(make or Lane)(plan, framework, segment, preparation, events.put, stop) for framework in plan.frameworks]
    threads = [threading.Thread(target=lane.run, name=lane.framework.name, daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            event = events.get()
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                raise event
            else:
                yield event
    finally:
        stop.set()
        for lane in lanes:
            lane.abandon()
        for thread in threads:
            thread.join()


@dataclass(slots=True)
class Lane:
    """One framework's way through a plan: its worker, restarted whenever it is lost.

    ``spare`` is a worker that starts ahead of need, ``starts`` the number of problems still to come that want a worker
    of their own, ``upcoming`` the next problem, ``refused`` and ``absent`` say why of modes and devices.

    Every row is in the segment before ``emit`` is called with it. A lane belongs to the thread that greets.
    """

    plan: Plan
    framework: Framework
    segment: Segment
    preparation: Preparation = field(default_factory=Preparation)
    emit: Callable[[Any], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    worker: Worker | None = None
    spare: Worker | None = None
    starts: int = 0
    upcoming: Problem | None = None
    modes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ("native",)
    refused: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    diagnosed: set[tuple[str, str, str]] = field(default_factory=set)

    def run(self) -> None:
        """The thread's body: every problem, then the end mark; a defect of the harness itself is handed over."""
        try:
            self.greet()
            # a problem of its own process costs the next one a start, so those come last
            ordered = sorted(self.plan.problems, key=lambda p: p.isolate)
            self.starts = sum(len(self.places(problem)) for problem in ordered if problem.isolate)
            self._warm_up()
            for problem, self.upcoming in zip(ordered, [*ordered[1:], None], strict=True):
                for device, mode in self.places(problem):
                    if self.stop.is_set():
                        return
                    self.solve(problem, mode, device)
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            if not self.stop.is_set():
                self.emit(error)
        finally:
            self.close()
            if self.spare is not None:
                self.spare.close()
            self.emit(None)

    def close(self) -> None:
        """End the worker, if there is one."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def abandon(self) -> None:
        """Called from outside when the run is given up: the worker's death ends whatever this lane waits for."""
        for worker in (self.worker, self.spare):
            if worker is not None:
                worker.kill()

    def greet(self) -> None:
        """Start the worker, write down its environment, and find the modes to run in."""
        worker = self._ready()
        if worker is None:
            self.modes = self.plan.modes or ("eager",)
            self.emit(Greeting(self.framework.name, None, self.missing))
            return
        hello = worker.hello
        self.modes = self.plan.modes or tuple(hello["modes"])
        self.dtypes = tuple(hello["dtypes"])
        self.spellings = tuple(hello["spellings"])
        self.refused = {m: rows.refusal(hello, m) for m in self.modes if m not in hello["modes"]}
        offered = ", ".join(hello["devices"])
        self.absent = {
            device: f"framework {self.framework.name!r} sees no device {device!r} here, only {offered}"
            for device in self.plan.devices
            if device not in hello["devices"]
        }
        for record in rows.environment(self.framework, hello):
            self.segment.write("env", record)
        self.emit(Greeting(self.framework.name, hello, "; ".join(self.absent.values())))

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
        """Every call of one problem in one mode on one device, judged and written down."""
        prepared = self.preparation.get(problem)
        if self.segment.first(problem.id):
            self.segment.write("problems", problem_record(problem))
        if problem.isolate:
            self.close()
            self.starts -= 1
        checks = [c for index in range(len(prepared.questions)) for c in self._answer(prepared, index, mode, device)]
        if problem.isolate:
            self.close()
        return checks

    def _ready(self) -> Worker | None:
        """The live worker, started again if it was lost; None, with ``missing`` set, where it cannot be."""
        if self.worker is not None and not self.worker.alive:
            self.close()
        if self.spare is not None and not self.spare.alive:
            self.spare.close()
            self.spare = None
        if self.worker is None and not self.missing:
            try:
                # known to the lane before its hello, so that a run that is given up need not wait for an import
                self.worker, self.spare = self.spare or Worker(self.framework, greet=False), None
                if not self.worker.hello:
                    self.worker.greet()
            except IncompleteError as error:
                self.missing, self.worker = str(error), None
            self._warm_up()
        return None if self.missing else self.worker

    def _warm_up(self) -> None:
        """Start the worker of the next problem that wants one of its own, while the present one is busy."""
        if self.starts > 0 and self.spare is None and not self.missing and not self.stop.is_set():
            with contextlib.suppress(IncompleteError):
                self.spare = Worker(self.framework, greet=False)

    def _answer(self, prepared: Prepared, index: int, mode: str, device: str) -> list[Check]:
        """One question in one mode on one device: its rows."""
        problem, question, sent = prepared.problem, prepared.questions[index], prepared.sent[index]
        where = rows.place(problem, self.framework.name, mode, device, self.plan.arithmetic, sent)
        worker = self._ready()
        standing = self._standing(problem, mode, device)
        if worker is None or standing is not None:
            standing = standing or Verdict(Outcome.MISSING, message=self.missing)
            return self._record([rows.judged(where, d, standing) for d in question.directions])
        header = {name: where[name] for name in ("problem", "framework", "mode", "device", "arithmetic")}
        self.segment.write("start", {**header, "verb": question.calls[0].verb})
        begin = time.perf_counter()
        try:
            replies = self._ask_all(question, header, self.plan.limit or problem.limit)
        except WorkerLost as lost:
            if self.stop.is_set():
                return []  # the run is given up, and the worker was killed for that
            verdict = Verdict(Outcome(lost.kind), message=lost.message)
            rest: dict[str, Any] = {"total_seconds": time.perf_counter() - begin, "stderr": lost.stderr}
            inputs = {d: self._keep(prepared, index, None, None, d, verdict) for d in question.directions}
            return self._record([rows.judged(where, d, verdict, **rest, **inputs[d]) for d in question.directions])
        answered = replace(question, calls=question.calls[: len(replies)])
        found, trained = verdicts.of(prepared, answered, sent, replies, self.plan.arithmetic)
        rest = rows.costs([reply for reply, _ in replies], time.perf_counter() - begin)
        if "traceback" in replies[-1][0]:
            rest["stderr"] = replies[-1][0]["traceback"] + (self.worker.printed() if self.worker else "")
        results = replies[0][1]
        if trained is not None:
            for step in rows.training_steps(where, problem, results, trained):
                self.segment.write("training", row_record(step))
        checks = []
        names = {direction: name for name, direction in question.calls[0].answers.items()}
        for direction in question.directions:
            output = results.get(names.get(direction, "output"))
            verdict = self._diagnosed(prepared, direction, output, found[direction], mode)
            kept = self._keep(prepared, index, output, results.get("weights"), direction, verdict)
            checks.append(rows.judged(where, direction, verdict, **rest, **kept))
        return self._record(checks)

    def _ask_all(self, question: Question, header: dict[str, Any], limit: float) -> list[verdicts.Reply]:
        """The replies to the calls of a question, up to the first that is no answer. Raises WorkerLost."""
        replies: list[verdicts.Reply] = []
        for call in question.calls:
            replies.append(self._ask(call, header, limit))
            if replies[-1][0]["outcome"] != "answer":
                break
        return replies

    def _ask(self, call: Call, header: dict[str, Any], limit: float) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send one call to this lane's worker, or to one started for it. Raises WorkerLost; a lost worker is gone."""
        asked = {**header, "arithmetic": SWITCHES[header["arithmetic"]], "verb": call.verb, "settings": call.settings}
        if call.fresh:
            threads = {} if call.threads is None else dict.fromkeys(THREADS, str(call.threads))
            with self.start(more=threads) as worker:
                return worker.ask(asked, call.arrays, limit)
        ready = self._ready()
        if ready is None:
            raise WorkerLost("crash", self.missing, "")
        try:
            return ready.ask(asked, call.arrays, limit, self._look_ahead)
        except WorkerLost:
            self.close()
            raise

    def start(self, **options: Any) -> Worker:
        """A new worker of this lane's framework."""
        return Worker(self.framework, greet=False, **options)

    def _diagnosed(
        self, prepared: Prepared, direction: Direction, output: Array | None, verdict: Verdict, mode: str
    ) -> Verdict:
        """The verdict with the cause of a failure; asked once per case, since its problems fail alike."""
        problem = prepared.problem
        key = (f"{problem.suite}/{problem.case}", direction, mode)
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

    def _look_ahead(self) -> None:
        """Make the next problem ready while the framework works; what is wrong with it, its own turn tells."""
        if self.upcoming is not None:
            with contextlib.suppress(CrosscorrectError):
                self.preparation.get(self.upcoming)

    def _keep(
        self,
        prepared: Prepared,
        index: int,
        output: Array | None,
        weights: Array | None,
        direction: Direction,
        verdict: Verdict,
    ) -> dict[str, Any]:
        """Keep the arrays that go with a row, as far as they are small or tell of a failure; their columns."""
        show = prepared.problem.show or verdict.outcome is not Outcome.PASS
        limit = KEEP_ON_FAILURE if show else KEEP_ALWAYS
        digests = dict(prepared.sent[index][0])
        arrays = {**prepared.questions[index].calls[0].arrays, "output": output, "weights": weights}
        if output is not None:
            digests["output"] = digest(output)
        reference = prepared.references.get(direction)
        arrays["reference"] = None if reference is None else reference.value
        kept = {
            key: self.segment.keep(array, digests.get(key))
            for key, array in arrays.items()
            if array is not None and array.nbytes <= limit
        }
        return {"arrays": kept, "output_digest": digests.get("output", "")}

    def _record(self, checks: list[Check]) -> list[Check]:
        for check in checks:
            self.segment.write("checks", check_record(check))
            self.emit(check)
        return checks
