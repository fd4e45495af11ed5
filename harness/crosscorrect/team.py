"""Threads at work beside each other, and what they say in one stream."""

from __future__ import annotations

import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


LOOK = 0.02
"""How often, in seconds, it is looked whether a ``Stop`` was set."""


class Stop(threading.Event):
    """An event without a lock: the exception of a signal may strike while it is being set, and it is then set again.

    Of ``threading.Event`` the lock would stay locked, and whoever gives the run up would wait for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is = False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is

    def set(self) -> None:
        """Set it."""
        self._is = True

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is set within so many seconds."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self._is and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))
        return self._is


class Team:
    """Threads that begin together; iterating gives each event that they ``say``, until the last one has ended.

    ``stop`` is set when they are to begin nothing more.
    """

    def __init__(self) -> None:
        self.stop = Stop()
        self._events: queue.SimpleQueue[list[Any] | BaseException | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def start(self, bodies: Iterable[Callable[[], None]]) -> None:
        """Run each of these in a thread of its own."""
        self._threads = [threading.Thread(target=self._run, args=(body,), daemon=True) for body in bodies]
        for thread in self._threads:
            thread.start()

    def say(self, event: Any) -> None:
        """Give an event, or a list of some, to whoever iterates; called by the threads."""
        self._events.put(event if isinstance(event, list) else [event])

    def __iter__(self) -> Iterator[Any]:
        """Every event. Raises what a thread ended with, unless that was after the stop."""
        running = len(self._threads)
        while running:
            event = self._events.get()
            if event is None:
                running -= 1
            elif isinstance(event, BaseException):
                raise event
            else:
                yield from event

    def wait(self, seconds: float = threading.TIMEOUT_MAX) -> None:
        """Wait until all have ended, for so many seconds at most."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX))

    def _run(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            if not self.stop.is_set():
                self._events.put(error)
        finally:
            self._events.put(None)
