"""The workers of one restart: each framework's, the reference's twin and the sentinel, one awake at a time.

They live on the same processors. One that does not measure is stopped (SIGSTOP): thread pools of some frameworks spin
for milliseconds after their work is done, and would spin on the next one's time (research/timing.md 3.2).
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from crosscorrect.adapter import SWITCHES
from crosscorrect.errors import IncompleteError
from crosscorrect.process import Worker, WorkerLost
from crosscorrect.speed.model import Role, Who

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np

    from crosscorrect.process import Reply
    from crosscorrect.registry import Framework
    from crosscorrect.speed.conditions import Conditions

    Array = np.ndarray[Any, Any]


CACHE, MOST_COPIES = 128 * 2**20, 64
"""More bytes than the last cache of today's devices holds (50 MiB on an H100); how many copies are made at most."""


@dataclass(frozen=True, slots=True, eq=False)  # each is itself alone: a framework cannot be hashed
class Arm:
    """Who is measured: a framework in one mode on one device, the reference's ``TWIN``, or a part of the sentinel."""

    framework: Framework
    mode: str
    device: str
    role: Role = Role.ARM

    @property
    def who(self) -> Who:
        """The columns that name it."""
        return Who(self.framework.name, self.mode, self.device, self.role)

    @property
    def seat(self) -> tuple[str, str]:
        """Which worker it shares: the modes of a framework have one between them, and so have the sentinel's parts."""
        kind = "sentinel" if self.role in (Role.COMPUTE, Role.STREAMING) else str(self.role)
        return self.framework.name, kind


def copies(arrays: Mapping[str, Array]) -> int:
    """How many copies of a call's arrays no cache of a device holds together."""
    size = sum(array.nbytes for array in arrays.values())
    return max(1, min(MOST_COPIES, math.ceil(CACHE / max(1, size))))


class Workers:
    """The live workers of one restart. Use as a context."""

    def __init__(
        self, arms: Iterable[Arm], conditions: Conditions, restart: int, more: Mapping[str, str] | None = None
    ) -> None:
        """Workers for these arms on the processors of the conditions; ``more`` are environment variables beside."""
        self._conditions = conditions
        self._options: dict[str, Any] = {
            "more": {**conditions.environment(restart), **(more or {})},
            "memory": conditions.memory,
            "cpus": conditions.cpus,
        }
        self._frameworks = {arm.seat: arm.framework for arm in arms}
        self._live: dict[tuple[str, str], Worker] = {}
        self.missing: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        """Start them one beside the other and wait until all are there; each then rests."""
        try:
            for seat, framework in self._frameworks.items():
                with self._may_miss(seat):
                    self._live[seat] = Worker(framework, greet=False, **self._options)
            for seat, worker in list(self._live.items()):
                with self._may_miss(seat):
                    worker.greet()
                    worker.rest()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End them all."""
        for worker in self._live.values():
            worker.close()
        self._live.clear()

    @property
    def cpus(self) -> tuple[int, ...]:
        """The processors that they run on."""
        return self._conditions.cpus

    @property
    def pids(self) -> set[int]:
        """Their process ids."""
        return {worker.pid for worker in self._live.values()}

    def hellos(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What each said of itself."""
        return {seat: worker.hello for seat, worker in self._live.items()}

    def prepare(self, arm: Arm, call: Mapping[str, Any], arrays: Mapping[str, Array], limit: float) -> Reply:
        """Make a call ready in the arm's slot, and its answer. Raises WorkerLost."""
        asked = {
            "type": "prepare",
            "slot": self._slot(arm),
            "mode": arm.mode,
            "device": arm.device,
            "arithmetic": SWITCHES[self._conditions.arithmetic],
            "copies": 1 if arm.device == "cpu" else copies(arrays),
            **call,
        }
        return self._ask(arm, asked, arrays, limit)

    def sample(self, arm: Arm, calls: int, warm: int, limit: float, *, show: bool = False) -> Reply:
        """One sample of what is ready in the arm's slot; with its last answer where that is to be shown.

        Raises WorkerLost.
        """
        asked = {"type": "time", "slot": self._slot(arm), "calls": calls, "warm": warm, "show": show}
        asked["slope"] = arm.device != "cpu"
        return self._ask(arm, asked, {}, limit)

    def start_again(self, arm: Arm) -> None:
        """A new worker in place of a lost one; what its slots held is gone. ``missing`` tells where it cannot start."""
        gone = self._live.pop(arm.seat, None)
        if gone is not None:
            gone.close()
        if arm.seat in self.missing:
            return
        with self._may_miss(arm.seat):
            self._live[arm.seat] = worker = Worker(self._frameworks[arm.seat], **self._options)
            worker.rest()

    @contextlib.contextmanager
    def _may_miss(self, seat: tuple[str, str]) -> Iterator[None]:
        try:
            yield
        except IncompleteError as error:
            self.missing[seat] = str(error)
            self._live.pop(seat, None)

    @staticmethod
    def _slot(arm: Arm) -> str:
        return f"{arm.role} {arm.mode} {arm.device}"

    def _ask(self, arm: Arm, asked: Mapping[str, Any], arrays: Mapping[str, Array], limit: float) -> Reply:
        worker = self._live.get(arm.seat)
        if worker is None:
            raise WorkerLost("crash", self.missing.get(arm.seat, "its worker is gone"), "")
        worker.wake()
        try:
            return worker.ask(asked, arrays, limit)
        finally:
            worker.rest()
