"""The worker that a lane asks: started when it is needed, started again when it was lost, and ended on suspicion."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.errors import IncompleteError
from crosscorrect.process import Worker

if TYPE_CHECKING:
    import threading

    from crosscorrect.registry import Framework

PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a worker is started again after a second loss in a row, doubled for each further one; the most."""
STARTS = 3
"""How many workers in a row may die before their hello; then the framework is missing."""
REMEMBERED = 1000
"""How many of the units that a worker was asked before are remembered, for what depends on the order."""


@dataclass(slots=True)
class Supply:
    """The live worker of one framework and, while some problem to come wants a worker of its own, a spare one.

    ``wanted`` is how many such problems are still to come, ``missing`` says why there can be no worker, ``losses``
    counts those in a row without an answer between them. ``before`` are the last units that the present worker was
    asked, ``asked`` how many there were. It belongs to the thread that asks; ``stop`` ends its pauses.
    """

    framework: Framework
    stop: threading.Event
    options: dict[str, Any] = field(default_factory=dict)
    worker: Worker | None = None
    spare: Worker | None = None
    wanted: int = 0
    missing: str = ""
    losses: int = 0
    asked: int = 0
    before: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def ready(self) -> Worker | None:
        """The live worker, started if there is none; None, with ``missing`` set, where there can be none."""
        if self.worker is not None and not self.worker.alive:
            self.close()
        if self.spare is not None and not self.spare.alive:
            self.spare.close()
            self.spare = None
        failures = 0
        while self.worker is None and not self.missing:
            self._pause()
            try:
                # known to the lane before its hello, so that a run that is given up need not wait for an import
                self.worker, self.spare = self.spare or self.start(), None
                if not self.worker.hello:
                    self.worker.greet()
            except IncompleteError as error:
                self.worker = None
                failures += 1
                self.losses += 1
                if getattr(error, "final", True) or failures == STARTS or self.stop.is_set():
                    self.missing = str(error)
        self.warm_up()
        return None if self.missing else self.worker

    def warm_up(self) -> None:
        """Start the worker of the next problem that wants one of its own, while the present one is busy."""
        if self.wanted > 0 and self.spare is None and not self.missing and not self.stop.is_set():
            with contextlib.suppress(IncompleteError):
                self.spare = self.start()

    def start(self, **options: Any) -> Worker:
        """A new worker, which has not said hello yet. Raises IncompleteError."""
        return Worker(self.framework, greet=False, **{**self.options, **options})

    def note(self, unit: str) -> None:
        """Remember that the present worker was asked this unit."""
        if self.worker is not None:
            self.before.append(unit)
            self.asked += 1

    def answered(self) -> None:
        """The worker answered: the losses before are over."""
        self.losses = 0

    def lost(self) -> None:
        """The worker is gone; the next one is started after a pause where this happens again and again."""
        self.losses += 1
        self.close()

    def close(self) -> None:
        """End the worker, if there is one."""
        self.before.clear()
        self.asked = 0
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def close_all(self) -> None:
        """End the worker and the spare one."""
        self.close()
        if self.spare is not None:
            self.spare.close()
            self.spare = None

    def abandon(self) -> None:
        """Called from another thread when the run is given up: the worker's death ends whatever this one waits for."""
        for worker in (self.worker, self.spare):
            if worker is not None:
                worker.kill()

    def _pause(self) -> None:
        if self.losses > 1:
            until = time.monotonic() + min(PAUSE * 2.0 ** (self.losses - 2), LONGEST_PAUSE)
            while not self.stop.is_set() and (left := until - time.monotonic()) > 0:
                self.stop.wait(left)
