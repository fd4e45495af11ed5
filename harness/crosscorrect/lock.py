"""One controller per run folder: the second is refused, and a lock does not outlive the process that holds it."""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crosscorrect.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. Raises LockedError, naming the holder, where another process has it.

    The lock is the operating system's (``flock``), which lets go of it when the process ends, however it ends.
    """
    path = folder / NAME
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise LockedError(f"the run folder {folder} cannot be locked ({error.strerror}); is it yours?") from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 200).decode("utf-8", "replace").strip()
            raise LockedError(
                f"the run folder {folder} is in use by {holder or 'another process'}; wait for it, or stop it"
            ) from None
        except OSError as error:  # a file system without locks cannot keep a second controller out
            raise LockedError(
                f"the run folder {folder} cannot be locked ({error.strerror}); choose a local disk with --results"
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(fd)
