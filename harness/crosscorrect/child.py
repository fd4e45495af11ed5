"""A child process with a thread of its own, which starts it, drains what it prints, and stays until it is gone.

The thread must stay: Linux kills a child that asked for it when the *thread* that started it ends, and not only when
the whole controller does. So a worker may be made in any thread and used in any other.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRINTED_TAIL = 16 * 1024
"""How many bytes of what a process printed last are kept."""

READS = 64
"""How often what it prints is read at once, at most: one that never stops must not hold up who listens."""

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""``ru_maxrss`` is in bytes on macOS and in KiB elsewhere."""


class Child:
    """A process in a session, and so a process group, of its own. It is ``gone`` once it has ended and was reaped.

    ``code`` is then its exit code, negative for a signal, or None where somebody else reaped it; ``peak`` the most
    memory in bytes that it, or a child of its own, ever held, or None where that cannot be told.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str, pass_fds: tuple[int, ...]
    ) -> None:
        """Start ``command`` in ``folder``. Raises OSError when it cannot be started."""
        self.gone = False
        self.code: int | None = None
        self.peak: int | None = None
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._silent = False
        self._printing, self._reaping = threading.Lock(), threading.Lock()
        self._started, self._ended = threading.Event(), threading.Event()
        self._failure: OSError | None = None
        # before its program replaces it, the child is a copy of this process, whose peak then counts as its own
        self._inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        read, write = os.pipe()
        self._pending = select.poll()
        self._pending.register(read, select.POLLIN)
        options = {"env": dict(environment), "cwd": folder, "pass_fds": pass_fds, "stdout": write, "stderr": write}
        self._output = read
        self._thread = threading.Thread(target=self._live, args=(list(command), options), daemon=True)
        self._thread.start()
        self._started.wait()
        os.close(write)
        if self._failure is not None:
            raise self._failure

    def _live(self, command: list[str], options: dict[str, Any]) -> None:
        with os.fdopen(self._output, "rb", buffering=0) as stream:
            try:
                self._process = subprocess.Popen(  # noqa: S603  the interpreter is the user's own choice
                    command, stdin=subprocess.DEVNULL, start_new_session=True, **options
                )
            except OSError as error:
                self._failure = error
                return
            finally:
                self._started.set()
            more = select.poll()
            more.register(stream, select.POLLIN)
            while not self._silent:
                more.poll()
                with self._printing:
                    self._drain()
        self._ended.wait()

    def _drain(self) -> None:
        """Keep what it has printed by now; for who holds ``_printing``."""
        for _ in range(READS):
            if self._silent or not self._pending.poll(0):
                return
            chunk = os.read(self._output, 65536)
            self._silent = not chunk
            self._chunks.append(chunk[-PRINTED_TAIL:])
            self._size += len(self._chunks[-1])
            while self._size - len(self._chunks[0]) >= PRINTED_TAIL:
                self._size -= len(self._chunks.popleft())

    def printed(self) -> str:
        """What it printed last, since ``forget`` was called; of a process that is gone, to its last byte.

        A descendant that still holds its output open is waited for one second at most.
        """
        if self.gone:
            self._thread.join(1)
        with self._printing:
            self._drain()
            return b"".join(self._chunks)[-PRINTED_TAIL:].decode("utf-8", "backslashreplace")

    def forget(self) -> None:
        """Drop what was printed so far."""
        with self._printing:
            self._drain()
            self._chunks.clear()
            self._size = 0

    @property
    def pid(self) -> int:
        """The process id, which is that of its group too."""
        return self._process.pid

    def poll(self) -> bool:
        """Whether it has ended. The first to learn so ends its group and reaps it."""
        with self._reaping:
            if not self.gone and self._dead():
                self._reap()
            return self.gone

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        deadline, pause = time.monotonic() + seconds, 0.0005
        while not self.poll():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its whole group; nothing where they are gone."""
        if not self.gone:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _dead(self) -> bool:
        """Whether it may be reaped. What is left of its group is ended first: the group's number is still its own."""
        if not hasattr(os, "waitid"):  # macOS
            return True
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
            self.signal(signal.SIGKILL)
        return True

    def _reap(self) -> None:
        try:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:  # a host program that reaps every child was quicker
            self._leave(0)
            return
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
            if usage.ru_maxrss > self._inherited:
                self.peak = usage.ru_maxrss * MAXRSS_UNIT
            self._leave(self.code)

    def _leave(self, code: int) -> None:
        self._process.returncode = code  # so that it asks no more of a number that may soon be another process's
        self.gone = True
        self._ended.set()
