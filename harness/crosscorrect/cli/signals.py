"""What stops a run: the first Ctrl-C, SIGTERM or SIGHUP lets the problems at hand finish, the second ends it now."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crosscorrect.plan import Plan

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal that asks a command to stop; ``code`` is the exit code that shells have for it."""

    def __init__(self, number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.code = 128 + number


class Ears:
    """Turns the signals into ``Stopped`` while it is entered, and says ``said`` at the first one.

    Only the main thread can hear signals; entered elsewhere, it does nothing.
    """

    def __init__(self, said: str) -> None:
        self._said = said
        self._told = self._closed = False
        self._waiting: list[int] = []
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let a signal wait until the block ends: what is cut off while it prints is printed twice or in half."""
        self._closed = True
        try:
            yield
        finally:
            self._closed = False
        if self._waiting:
            self._stop(self._waiting.pop())

    def _hear(self, number: int, _: object) -> None:
        if self._closed and not self._waiting:
            self._waiting.append(number)
        else:  # the second ends even what cannot print, because nobody reads it
            self._stop(number)

    def _stop(self, number: int) -> None:
        if not (self._told or self._closed):
            self._told = True
            click.echo(f"\n{self._said}", err=True)
        raise Stopped(number)


class Watcher(Protocol):
    """What shows a run to a person while it goes on; ``begun``: there is a run folder."""

    begun: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def hear(self, plan: Plan, event: Any) -> None:
        """Take one event."""


@contextmanager
def watched(watcher: Watcher, stopping: str, done: str, folder: Path) -> Iterator[Callable[[Plan, Any], None]]:
    """What hears the events of a run for a watcher; signals wait meanwhile and stop the run, saying ``stopping``.

    Whoever is stopped then learns what became of what was ``done`` until then: it is in ``folder``.
    """
    ears = Ears(stopping)

    def hear(plan: Plan, event: Any) -> None:
        with ears.closed():
            watcher.hear(plan, event)

    try:
        with watcher, ears:
            yield hear
    except Stopped as stopped:
        if watcher.begun:
            told = (
                f"interrupted; what was {done} so far is in {folder.resolve()}: the same command with --resume goes on"
            )
            stopped.args = (told,)
        raise
