"""What stops a run: the first Ctrl-C, SIGTERM or SIGHUP lets the problems at hand finish, the second ends it now."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal that asks a command to stop; ``code`` is the exit code that shells have for it."""

    def __init__(self, number: int, message: str = "interrupted") -> None:
        super().__init__(message)
        self.code = 128 + number


@contextmanager
def heard(said: str) -> Iterator[None]:
    """Turn the signals into ``Stopped``; at the first one say what happens now."""
    if threading.current_thread() is not threading.main_thread():  # only there can signals be heard
        yield
        return
    told = False

    def stop(number: int, _: object) -> NoReturn:
        nonlocal told
        if not told:
            told = True
            click.echo(f"\n{said}", err=True)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
