"""No process and no folder of a worker outlives the controller, whatever ends it.

Every worker's environment carries a mark, which its children inherit wherever they go. When a worker ends, whatever
still carries its mark is killed. When the controller ends, by whatever signal, the guardian does the same for all of
its workers: a small process of its own session that waits for the end of a pipe which only the controller holds.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import psutil

from crosscorrect.worker import guardian

MARK = "CROSSCORRECT_WORKER"

_lock = threading.Lock()
_numbers = itertools.count(1)


class _Guard:
    """The controller's mark, and its end of the guardian's pipe."""

    mark = ""
    process: subprocess.Popen[bytes] | None = None


def mark() -> dict[str, str]:
    """The environment variable of a new worker; the guardian is started with the first one."""
    with _lock:
        if not _Guard.mark:
            _Guard.mark = uuid.uuid4().hex
            _start()
        return {MARK: f"{_Guard.mark}.{next(_numbers)}."}


def tell(folder: str) -> None:
    """Let the guardian know of a folder that is to go with the controller, if it is still there then."""
    process = _Guard.process
    if process is not None and process.stdin is not None:
        with _lock, contextlib.suppress(OSError):
            process.stdin.write(folder.encode() + b"\0")
            process.stdin.flush()


def sweep(marked: dict[str, str]) -> list[str]:
    """End every process that carries a worker's mark; their names."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == marked[MARK] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
                process.kill()
    return found


def _start() -> None:
    if sys.platform != "linux":  # elsewhere there is no /proc to find them by; the pipes' ends must do
        return
    with contextlib.suppress(OSError):  # without a guardian workers still end with the controller
        _Guard.process = subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, "-I", "-S", str(Path(guardian.__file__)), MARK, _Guard.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _Guard.process.wait()  # it leaves a child of its own behind, which is nobody's here
