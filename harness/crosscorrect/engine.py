"""The run itself: every problem through every framework's worker, each answer judged at once and written as a row."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect import judge, operations, rows
from crosscorrect.errors import CrosscorrectError, IncompleteError
from crosscorrect.model import Check, Direction, Outcome, Verdict
from crosscorrect.plan import Greeting, Plan, Preparation, Prepared
from crosscorrect.process import Worker, WorkerLost
from crosscorrect.store import KEEP_ALWAYS, KEEP_ON_FAILURE, Segment, check_record, problem_record, row_record
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework
    from crosscorrect.trajectory import Trajectory

    Array = np.ndarray[Any, Any]


def execute(plan: Plan, segment: Segment) -> Iterator[Check | Greeting]:
    """Run a plan, one lane (a thread and a worker) per framework; yields events as they happen.

    Every row is in the segment before it is yielded. Closing the iterator stops the lanes and their workers.
    """
    events: queue.SimpleQueue[Check | Greeting | BaseException | None] = queue.SimpleQueue()
    preparation, stop = Preparation(), threading.Event()
    lanes = [Lane(plan, framework, segment, preparation, events.put, stop) for framework in plan.frameworks]
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
    refused: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    missing: str = ""

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
        """The (device, mode) pairs in which a problem is to run; none where the case is about other frameworks."""
        if problem.only and self.framework.name not in problem.only:
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
        checks = [c for index in range(len(prepared.calls)) for c in self._one(prepared, index, mode, device)]
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

    def _one(self, prepared: Prepared, index: int, mode: str, device: str) -> list[Check]:
        """One call in one mode on one device: its rows."""
        problem, call, sent = prepared.problem, prepared.calls[index], prepared.sent[index]
        where = rows.place(problem, self.framework.name, mode, device, self.plan.arithmetic, sent)
        worker = self._ready()
        standing = self._standing(prepared.problem, mode, device)
        if worker is None or standing is not None:
            standing = standing or Verdict(Outcome.MISSING, message=self.missing)
            return self._record([rows.judged(where, d, standing) for d in call.answers.values()])
        header = {name: where[name] for name in ("problem", "framework", "mode", "device", "arithmetic")}
        header["verb"] = call.verb
        self.segment.write("start", header)
        begin = time.perf_counter()
        try:
            asked = {**header, "settings": call.settings}
            reply, results = worker.ask(asked, call.arrays, self.plan.limit or problem.limit, self._look_ahead)
        except WorkerLost as lost:
            if self.stop.is_set():
                return []  # the run is given up, and the worker was killed for that
            self.close()
            verdict = Verdict(Outcome(lost.kind), message=lost.message)
            rest: dict[str, Any] = {"total_seconds": time.perf_counter() - begin, "stderr": lost.stderr}
            return self._record([rows.judged(where, d, verdict, **rest) for d in call.answers.values()])
        verdicts, trained = _verdicts(prepared, call, sent, reply, results)
        rest = {name: reply.get(name) for name in ("seconds", "transfer_seconds")}
        rest["total_seconds"] = time.perf_counter() - begin
        if reply["outcome"] == "raised":
            rest["stderr"] = reply["traceback"] + worker.printed()
        if trained is not None:
            for step in rows.training_steps(where, problem, results, trained):
                self.segment.write("training", row_record(step))
        checks = []
        for name, direction in call.answers.items():
            kept = self._keep(prepared, index, results, name, direction, verdicts[direction])
            checks.append(rows.judged(where, direction, verdicts[direction], **rest, **kept))
        return self._record(checks)

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
        results: dict[str, Array],
        name: str,
        direction: Direction,
        verdict: Verdict,
    ) -> dict[str, Any]:
        """Keep the arrays that go with a row, as far as they are small or tell of a failure; their columns."""
        show = prepared.problem.show or verdict.outcome is not Outcome.PASS
        limit = KEEP_ON_FAILURE if show else KEEP_ALWAYS
        digests = dict(prepared.sent[index])
        arrays = {**prepared.calls[index].arrays, "output": results.get(name), "weights": results.get("weights")}
        if arrays["output"] is not None:
            digests["output"] = digest(arrays["output"])
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


def _verdicts(
    prepared: Prepared, call: operations.Call, sent: dict[str, str], reply: dict[str, Any], results: dict[str, Array]
) -> tuple[dict[Direction, Verdict], Trajectory | None]:
    """The verdict of each direction of a call, and the reference trajectory when it was a training."""
    directions = list(call.answers.values())
    if reply["inputs"] != sent:
        changed = sorted(name for name in sent if reply["inputs"].get(name) != sent[name])
        message = f"input {', '.join(changed)} was changed on its way or by the call"
        return dict.fromkeys(directions, Verdict(Outcome.ERROR, message=message)), None
    if reply["outcome"] == "unsupported":
        return dict.fromkeys(directions, Verdict(Outcome.UNSUPPORTED, message=reply["message"])), None
    if reply["outcome"] == "raised":
        # Problem 2 asks what the framework says to the loop: there its exception is the answer, a refusal
        kind = Outcome.UNSUPPORTED if call.verb == "differentiate" else Outcome.ERROR
        message = f"{reply['exception']}: {reply['message']}"
        return dict.fromkeys(directions, Verdict(kind, message=message)), None
    if call.verb == "train":
        return _training_verdict(prepared, results)
    found = {}
    for name, direction in call.answers.items():
        if name in results:
            found[direction] = judge.judge(
                prepared.problem, direction, prepared.inputs, results[name], prepared.references[direction]
            )
        elif call.verb == "differentiate":
            found[direction] = judge.no_gradient()
        else:
            found[direction] = Verdict(Outcome.ERROR, message=f"the adapter returned no {name}")
    return found, None


def _training_verdict(
    prepared: Prepared, results: dict[str, Array]
) -> tuple[dict[Direction, Verdict], Trajectory | None]:
    problem, inputs = prepared.problem, prepared.inputs
    weights, biases = results["weights"], results["biases"]
    start = inputs["start"] if "start" in inputs else weights[0] if weights.size else None
    if start is None or start.size != inputs["w"].size:
        shape = None if start is None else start.shape
        message = f"a history of weights of shape {shape} for a kernel of shape {inputs['w'].shape}"
        return {Direction.TRAIN: Verdict(Outcome.ERROR, message=message)}, None
    reference = operations.training_reference(problem, inputs, start.reshape(inputs["w"].shape), inputs.get("bias"))
    return {Direction.TRAIN: judge.judge_training(problem, results["losses"], weights, biases, reference)}, reference
