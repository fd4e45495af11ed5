"""One restart at work: each problem is made ready in every worker, loops are fixed, rounds follow in shuffled order.

A sample's ``calls`` are chosen once per worker and restart and then frozen; the order of the arms is drawn anew in each
round (research/timing.md 3.3). What was sampled goes into the log round by round, so that a run which is cut short goes
on at the round after.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import verdicts
from crosscorrect.model import Event, Outcome
from crosscorrect.process import WorkerLost
from crosscorrect.speed import conditions, fitness, gpu
from crosscorrect.speed.conditions import SAMPLE, SHORT
from crosscorrect.speed.model import WRONG, Phase, Role
from crosscorrect.speed.roofline import COPY, MULTIPLY, SIDES, SIZES, part_of
from crosscorrect.tables import ROUND, row_record
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crosscorrect.plan import Prepared
    from crosscorrect.process import Reply
    from crosscorrect.speed.conditions import Budget
    from crosscorrect.speed.subjects import Subject
    from crosscorrect.speed.workers import Arm, Workers
    from crosscorrect.store import Segment

    Array = np.ndarray[Any, Any]

SIDE = 256
"""The sentinel multiplies two square matrices of this side: 34 million operations, about half a millisecond."""
STREAM = 2**22
"""It copies so many bytes: more than the nearer caches hold."""
TRIALS, SLOW = 3, 5e-3
"""How often a loop is tried; seconds from which a call is a sample by itself, whatever a second try would say."""
FASTEST = 1e-9
"""Seconds that a call is taken to last at least."""
OVERHEAD = 0.3e-3
"""Seconds that asking for a sample takes beside it, about; to plan with."""
REFUSED = "not timed"
"""The event that takes an arm out of a comparison, as ``WRONG`` does."""
OTHERS, DISTURBED, TIMED = "others", "disturbed", "timed"
"""The events that tell who else was at work, what was wrong with a GPU, and that a problem has all its rounds."""
CEILING_ROUNDS, CEILING_LIMIT = 15, 60.0
"""How often each ceiling is sampled in a restart; seconds that a sample of it may take."""


class Refused(Exception):  # noqa: N818  it is an answer of the framework
    """A framework refused a call, or raised; its words."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How an arm samples a problem in this restart: so many calls, after so many untimed ones; ``seconds`` a call.

    A slope makes ``times`` as many calls.
    """

    calls: int
    warm: int
    seconds: float
    times: int = 1

    @property
    def cost(self) -> float:
        """Seconds of one sample with all around it."""
        return (self.times * self.calls + self.warm) * self.seconds + OVERHEAD


@dataclass(slots=True)
class Sampling:
    """A restart's samples. ``digests`` has, for each unit and direction, the output that conformance was judged by.

    ``tell`` hears what a person should see while it goes on.
    """

    workers: Workers
    segment: Segment
    restart: int
    budget: Budget
    arithmetic: str
    seed: int
    digests: Mapping[tuple[str, ...], str]
    tell: Callable[[str], None] = lambda _: None
    _losses: int = 0
    _sentinel: dict[Arm, Loop] = field(default_factory=dict)
    _order: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._order = random.Random(f"{self.seed} {self.restart}")  # noqa: S311  an order, no secret

    def imports(
        self,
        hellos: Mapping[tuple[str, str], Mapping[str, Any]],
        key: tuple[str, str] = ("", ""),
        arm: Arm | None = None,
    ) -> None:
        """Write down how long each framework took to be imported, for one arm and problem or for all."""
        for (framework, kind), hello in hellos.items():
            if kind == Role.ARM:
                everybody = {"framework": framework, "mode": "", "device": "", "role": Role.ARM}
                columns = everybody if arm is None else arm.who._asdict()
                self._write_phase(key, columns, Phase.IMPORT, int(hello["import_seconds"] * 1e9))

    def measure(self, subject: Subject, arms: Sequence[Arm], done: int) -> None:
        """The rounds of one problem that are still to come; ``done`` are there already."""
        before, devices = self._look(), {arm.device: gpu.state(arm.device) for arm in arms}
        begin = time.monotonic()
        loops, answers = self._make_ready(subject, arms)
        alive = any(arm.role in (Role.ARM, Role.TWIN) for arm in loops)
        for number in range(done, self._rounds(loops.values()) if alive else 0):
            if not self._round(subject, loops, number):
                break
        self._check_last(subject, loops, answers)
        self._tell_others(subject, before, time.monotonic() - begin)
        self._tell_devices(subject, devices)

    def timed(self, subject: Subject, arm: Arm | None = None) -> None:
        """Write down that a problem has all its rounds of this restart, of one arm or of all."""
        problem, part = subject.key
        who = (arm.framework.name, arm.mode, arm.device) if arm is not None else ("", "", "")
        detail = json.dumps({"part": part, "restart": self.restart})
        self._write_event(Event(TIMED, who[0], problem, who[1], who[2], detail=detail))

    def ceilings(self, arms: Sequence[Arm]) -> None:
        """What these processors can do at most: products and copies of several sizes, by the sentinel."""
        for arm in arms:
            what, sizes = (MULTIPLY, SIDES) if arm.role is Role.COMPUTE else (COPY, SIZES)
            for size in sizes:
                try:
                    self._ceiling(arm, part_of(what, size), *_yardstick(arm.role, size))
                except WorkerLost:  # too little memory for the largest: the others tell
                    self.workers.start_again(arm)
                except Refused:
                    continue

    def _ceiling(self, arm: Arm, part: str, call: dict[str, Any], arrays: Mapping[str, Array]) -> None:
        _answered(self.workers.prepare(arm, call, arrays, CEILING_LIMIT))
        loop = self._calibrated(arm, CEILING_LIMIT)
        for number in range(CEILING_ROUNDS):
            said, _ = _answered(self.workers.sample(arm, loop.calls, loop.warm, CEILING_LIMIT))
            self._write_round(("", part), number, [self._row(arm, 0, said)])

    def _make_ready(
        self, subject: Subject, arms: Sequence[Arm]
    ) -> tuple[dict[Arm, Loop], dict[Arm, Mapping[str, str]]]:
        """The loops and the digests of the answers of those arms that have a right one."""
        loops: dict[Arm, Loop] = {}
        answers: dict[Arm, Mapping[str, str]] = {}

        def take(arm: Arm) -> None:
            ready = self._ready(subject, arm)
            if ready is not None:
                loops[arm], answers[arm] = ready

        for arm in arms:
            before = self._losses
            take(arm)
            if self._losses > before:  # what its worker had ready in other modes is gone with it
                for other in [other for other in loops if other.seat == arm.seat and other is not arm]:
                    del loops[other]
                    take(other)
        return loops, answers

    def _ready(self, subject: Subject, arm: Arm) -> tuple[Loop, Mapping[str, str]] | None:
        """Make a problem ready in an arm: its loop, and the digests of its answer; None where it has no right one."""
        if arm in self._sentinel:
            return self._sentinel[arm], {}
        call, arrays = _call_of(subject, arm)
        limit = subject.prepared.problem.limit
        try:
            reply = said, results = _answered(self.workers.prepare(arm, call, arrays, limit))
            for phase in (Phase.PUT, Phase.TRACE, Phase.COMPILE, Phase.FIRST, Phase.SECOND):
                if phase in said:
                    self._write_phase(subject.key, arm.who._asdict(), phase, said[phase])
            if arm.role in (Role.ARM, Role.TWIN) and not self._is_right(subject, arm, reply):
                return None
            loop = self._calibrated(arm, limit)
        except (WorkerLost, Refused) as error:
            self._gone(subject, arm, error)
            return None
        if arm.role not in (Role.ARM, Role.TWIN):
            self._sentinel[arm] = loop  # it does the same in every problem
        return loop, {name: digest(array) for name, array in results.items()}

    def _is_right(self, subject: Subject, arm: Arm, reply: Reply) -> bool:
        """Whether the answer is that which conformance judged, or passes as well.

        Of a training more comes back than the losses that have a digest: it is judged.
        """
        if subject.call.verb == "train":
            return self._passes(subject, arm, reply)
        results, where = reply[1], (subject.prepared.problem.id, arm.framework.name, arm.mode, arm.device)
        names = {direction: name for name, direction in subject.call.answers.items()}
        same = [
            digest(results[names[d]]) == self.digests.get((*where, d)) if names[d] in results else False
            for d in subject.directions
        ]
        return all(same) or self._passes(subject, arm, reply)

    def _passes(self, subject: Subject, arm: Arm, reply: Reply) -> bool:
        """Judge an answer as a conformance run does; one that does not pass is written down."""
        prepared: Prepared = subject.prepared
        sent = prepared.sent[subject.index]
        found, _ = verdicts.of(prepared, subject.question, sent, [reply], self.arithmetic)
        bad = next((verdict for verdict in found.values() if verdict.outcome is not Outcome.PASS), None)
        if bad is None:
            return True
        self._event(WRONG, subject, arm, f"{bad.outcome} {bad.reason} {bad.message}".strip())
        return False

    def _calibrated(self, arm: Arm, limit: float) -> Loop:
        """The loop that makes a sample about as long as it should be. Raises WorkerLost."""
        said, _ = _answered(self.workers.sample(arm, 1, 0, limit))
        seconds, calls = max(FASTEST, said["wall"] * 1e-9), 1
        for _ in range(2 if seconds < SLOW else 0):
            trials = [_answered(self.workers.sample(arm, calls, 1, limit)) for _ in range(TRIALS)]
            # a slope may be nothing by chance
            seconds = max(FASTEST, statistics.median(said["wall"] for said, _ in trials) / calls * 1e-9)
            calls = max(1, round(SAMPLE / seconds))
        return Loop(calls, int(seconds <= SHORT), seconds, 1 if arm.device == "cpu" else 3)

    def _rounds(self, loops: Any) -> int:
        fits = int(self.budget.seconds / sum(loop.cost for loop in loops))
        return max(self.budget.least, min(self.budget.rounds, fits))

    def _round(self, subject: Subject, loops: dict[Arm, Loop], number: int) -> bool:
        """One sample of each arm, in an order of its own, written down; whether there is anybody left."""
        order = list(loops)
        self._order.shuffle(order)
        limit = subject.prepared.problem.limit
        samples: list[dict[str, Any]] = []
        for place, arm in enumerate(order):
            loop = loops[arm]
            try:
                said, _ = _answered(self.workers.sample(arm, loop.calls, loop.warm, limit))
            except (WorkerLost, Refused) as error:
                self._gone(subject, arm, error)
                for other in [other for other in loops if other is arm or not self._is_there(other, arm, error)]:
                    del loops[other]
                return any(arm.role in (Role.ARM, Role.TWIN) for arm in loops)
            samples.append(self._row(arm, place, said))
        self._write_round(subject.key, number, samples)
        return True

    @staticmethod
    def _row(arm: Arm, place: int, said: Mapping[str, Any]) -> dict[str, Any]:
        """One sample without what its whole round shares."""
        numbers = {name: int(said[name]) for name in ("calls", "wall", "cpu", "switches", "faults", "residual")}
        return {**arm.who._asdict(), "phase": Phase.STEADY, "place": place, **numbers}

    def _write_round(self, key: tuple[str, str], number: int, samples: list[dict[str, Any]]) -> None:
        where = dict(zip(ROUND, (*key, self.restart, number), strict=True))
        self.segment.write("round", {**where, "samples": samples})

    def _check_last(
        self, subject: Subject, loops: Mapping[Arm, Loop], answers: Mapping[Arm, Mapping[str, str]]
    ) -> None:
        """Look at the last answer that was timed: it must be the first one, or pass as well."""
        gone = set()
        for arm, loop in loops.items():
            if arm.role not in (Role.ARM, Role.TWIN):
                continue
            if arm.seat in gone:
                self._event(REFUSED, subject, arm, "its worker was lost before its last answer was looked at")
                continue
            try:
                limit = subject.prepared.problem.limit
                reply = said, results = _answered(self.workers.sample(arm, 1, loop.warm, limit, show=True))
            except (WorkerLost, Refused) as error:
                self._gone(subject, arm, error)
                if isinstance(error, WorkerLost):
                    gone.add(arm.seat)
                continue
            if {name: digest(array) for name, array in results.items()} != answers[arm]:
                # a sample has no arrays of its own: the prepared ones are still there
                said["inputs"] = subject.prepared.sent[subject.index][0]
                self._passes(subject, arm, reply)

    def _tell_others(self, subject: Subject, before: conditions.Look, seconds: float) -> None:
        """Write down who else was at work meanwhile, and how much time the host took."""
        after = self._look()
        said = [fitness.culprits(before.used, after.used, seconds)]
        if after.stolen - before.stolen > 0.01 * seconds:
            said.append(f"the host took {(after.stolen - before.stolen) / seconds:.0%} of a processor")
        share = conditions.occupied(before, after, seconds, len(self.workers.cpus))
        if share > fitness.OCCUPIED:
            said.append(f"others used {share:.0%} of the processors that were measured")
        message = ", ".join(filter(None, said))
        if message:
            problem, part = subject.key
            detail = json.dumps({"part": part, "restart": self.restart, "share": round(share, 3)})
            self._write_event(Event(OTHERS, problem=problem, message=message, detail=detail))

    def _look(self) -> conditions.Look:
        return conditions.look({os.getpid(), *self.workers.pids}, self.workers.cpus)

    def _tell_devices(self, subject: Subject, before: Mapping[str, gpu.State | None]) -> None:
        """Write down what speaks against what was measured on a device beside the processor."""
        for device, state in before.items():
            message = gpu.complaint(device, state, gpu.state(device), self.workers.pids)
            if message:
                problem, part = subject.key
                detail = json.dumps({"part": part, "restart": self.restart})
                self._write_event(Event(DISTURBED, problem=problem, device=device, message=message, detail=detail))

    def _gone(self, subject: Subject, arm: Arm, error: WorkerLost | Refused) -> None:
        """Write down that an arm is out of a problem; a lost worker is started again for the next."""
        if isinstance(error, Refused):
            self._event(REFUSED, subject, arm, str(error))
            return
        self._losses += 1
        self._event(REFUSED, subject, arm, f"its worker was lost: {error.message}")
        self.workers.start_again(arm)
        self._sentinel = {other: loop for other, loop in self._sentinel.items() if other.seat != arm.seat}

    @staticmethod
    def _is_there(other: Arm, arm: Arm, error: WorkerLost | Refused) -> bool:
        """Whether another arm can still be sampled: with its worker a lost one's other modes are lost."""
        return isinstance(error, Refused) or other.seat != arm.seat

    def _event(self, what: str, subject: Subject, arm: Arm, message: str) -> None:
        problem, part = subject.key
        detail = json.dumps({"part": part, "restart": self.restart, "role": arm.role})
        self.tell(f"{arm.who.name} {problem} {part}: {what}: {message}")
        self._write_event(Event(what, arm.framework.name, problem, arm.mode, arm.device, message, detail))

    def _write_event(self, event: Event) -> None:
        self.segment.write("events", row_record(event))

    def _write_phase(self, key: tuple[str, str], arm: Mapping[str, Any], phase: Phase, wall: int) -> None:
        problem, part = key
        nothing = {"cpu": 0, "switches": 0, "faults": 0, "residual": 0}
        where = {"problem": problem, "part": part, "restart": self.restart, "round": -1, "place": 0}
        self.segment.write("samples", {**where, **arm, "phase": phase, "calls": 1, "wall": wall, **nothing})


def _answered(reply: Reply) -> Reply:
    """The reply to a call that was answered. Raises Refused for another."""
    said = reply[0]
    if said["outcome"] == "answer":
        return reply
    refused = said["outcome"] == "unsupported"
    raise Refused(said["message"] if refused else f"{said['exception']}: {said['message']}")


def _call_of(subject: Subject, arm: Arm) -> tuple[dict[str, Any], Mapping[str, Array]]:
    """What an arm is asked: the problem's call, or what the sentinel always does."""
    if arm.role in (Role.COMPUTE, Role.STREAMING):
        return _yardstick(arm.role, SIDE if arm.role is Role.COMPUTE else STREAM)
    return {"verb": subject.call.verb, "settings": subject.call.settings}, subject.call.arrays


def _yardstick(role: Role, size: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """What the sentinel does: multiply matrices of a side, or copy so many bytes."""
    if role is Role.COMPUTE:
        square = np.random.default_rng(0).standard_normal((size, size), np.float32)
        return {"verb": "matmul", "settings": {}}, {"a": square, "b": square.T.copy()}
    return {"verb": "copy", "settings": {}}, {"x": np.arange(size // 4, dtype=np.float32)}
