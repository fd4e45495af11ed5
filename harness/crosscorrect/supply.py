"""The worker that a lane asks: started when it is needed, started again when it was lost, and ended on suspicion."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.errors import IncompleteError
from crosscorrect.process import NeverGreeted, Worker

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from crosscorrect.registry import Framework

PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds before a worker is started again after a second loss in a row, doubled for each further one; the most."""
STARTS, OUTSIDE_STARTS = 3, 12
"""How many workers in a row may die before their hello, by themselves and killed from outside; then it is missing."""
REMEMBERED = 1000
"""How many of the units that a worker was asked before are remembered, for what depends on the order."""


@dataclass(slots=True)
class Supply:
    """The live worker of one framework and, when the next problem wants a worker of its own, a spare one.

    ``missing`` says why there can be no worker, ``losses`` counts those in a row without an answer between them.
    ``before`` are the last units that the present worker was
    asked, ``asked`` how many there were. It belongs to the thread that asks; ``stop`` ends its pauses.
    """

    framework: Framework
    stop: threading.Event
    options: dict[str, Any] = field(default_factory=dict)
    worker: Worker | None = None
    spare: Worker | None = None
    missing: str = ""
    losses: int = 0
    asked: int = 0
    tell: Callable[[str, str], None] = lambda *_: None
    before: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def ready(self) -> Worker | None:
        """The live worker, started if there is none; None, with ``missing`` set, where there can be none."""
        if self.worker is not None and not self.worker.alive:
            self.close()
        if self.spare is not None and not self.spare.alive:
            self.spare.close()
            self.spare = None
        failures, killed = 0, 0
        while self.worker is None and not self.missing:
            self._pause()
            try:
                # known to the lane before its hello, so that a run that is given up need not wait for an import
                self.worker, self.spare = self.spare or self.start(), None
                if not self.worker.hello:
                    self.worker.greet()
            except NeverGreeted as error:
                self.worker = None
                self.losses += 1
                failures, killed = failures + (not error.outside), killed + error.outside
                if failures == STARTS or killed == OUTSIDE_STARTS or self.stop.is_set():
                    self.missing = str(error)
            except IncompleteError as error:
                self.worker, self.missing = None, str(error)
        return None if self.missing else self.worker

    def warm_up(self) -> None:
        """Start the worker that will be wanted next, while the present one is busy."""
        if self.spare is None and not self.missing and not self.stop.is_set():
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
            if self.worker.strays:
                self.tell("strays", f"it left behind: {', '.join(self.worker.strays)}")
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
