"""Adapters that misbehave as native code does: they hang, die, leave things behind, or speak out of turn."""

from __future__ import annotations

import atexit
import fcntl
import itertools
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import numpy as np

from crosscorrect_adapters.numpy import NumpyAdapter


class Leaves(NumpyAdapter):
    """A worker that leaves things behind: what, its subclasses say."""

    def corr2d(self, x: Any, k: Any) -> Any:
        self.leave()
        return super().corr2d(x, k)

    def leave(self) -> None:
        raise NotImplementedError


class LeavesADaemon(Leaves):
    def leave(self) -> None:
        subprocess.Popen(["/bin/sleep", "4242"], start_new_session=True)


class LeavesAChild(Leaves):
    def leave(self) -> None:
        subprocess.Popen(["/bin/sleep", "4243"])


class LeavesAndHangs(Leaves):
    def leave(self) -> None:
        subprocess.Popen(["/bin/sleep", "4244"], start_new_session=True)
        with open(os.path.join(os.environ["TMPDIR"], "hangs"), "w"):
            pass
        time.sleep(3600)


class Moves(Leaves):
    """Changes and then removes its working directory."""

    def leave(self) -> None:
        place = tempfile.mkdtemp()
        os.chdir(place)
        os.rmdir(place)
        time.sleep(0.15)


class Forks(Leaves):
    """The child comes back into the loop, as after a fork in a library that forgets to end it."""

    def leave(self) -> None:
        os.fork()


class ClosesStreams(Leaves):
    def leave(self) -> None:
        for fd in (0, 1, 2):
            os.close(fd)


class Floods(Leaves):
    """A hundred megabytes without a line's end, not UTF-8, on both streams."""

    def leave(self) -> None:
        for _ in range(50):
            os.write(1, b"\xff" * 2**20)
            os.write(2, b"\xfe" * 2**20)


class Masks(Leaves):
    """Takes signals, the umask and the locale for itself."""

    def leave(self) -> None:
        os.umask(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.environ.clear()


class HangsInC(Leaves):
    """A loop in C that holds the interpreter's lock."""

    def leave(self) -> None:
        sum(itertools.repeat(0))


class HangsMasked(Masks):
    def leave(self) -> None:
        super().leave()
        while True:
            time.sleep(0.01)


class Deadlocks(Leaves):
    def leave(self) -> None:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()


class HangsAtExit(Leaves):
    def leave(self) -> None:
        atexit.register(time.sleep, 3600)
        raise SystemExit(0)


class Greedy(Leaves):
    """Asks for more memory than a worker may have, and holds on to what it gets."""

    def leave(self) -> None:
        self.held = [np.ones(2**27) for _ in range(64)]


class Overflows(Leaves):
    """The C stack runs over."""

    def leave(self) -> None:
        sys.setrecursionlimit(10**9)
        held: Any = []
        for _ in range(10**6):
            held = [held]
        repr(held)


class Threads(Leaves):
    def leave(self) -> None:
        for _ in range(300):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        time.sleep(0.15)


class Descriptors(Leaves):
    def leave(self) -> None:
        self.held = [os.open("/dev/null", os.O_RDONLY) for _ in range(800)]
        time.sleep(0.15)


class BadString(Exception):  # noqa: N818  it is raised, and cannot be shown
    def __str__(self) -> str:
        raise ValueError("no text")


class RaisesUnshowable(Leaves):
    def leave(self) -> None:
        raise BadString


class RaisesLong(Leaves):
    def leave(self) -> None:
        raise ValueError("\udc80\0<script>" + "x" * 10**7)


class RaisesKeyboardInterrupt(Leaves):
    def leave(self) -> None:
        raise KeyboardInterrupt


class RaisesBase(Leaves):
    def leave(self) -> None:
        raise BaseException("nobody catches this")  # noqa: TRY002  which is what it is for


class ClosesChannel(Leaves):
    """Closes every descriptor but the first three, and goes on running."""

    def leave(self) -> None:
        os.closerange(3, 1000)
        time.sleep(3600)


class SendsGarbage(Leaves):
    def leave(self) -> None:
        for fd in writable_pipes():
            os.write(fd, b"no frame at all, and long enough to be read as one")


class SendsHalf(Leaves):
    """The first half of a frame, and then nothing."""

    def leave(self) -> None:
        for fd in writable_pipes():
            os.write(fd, b"XCF1\x10\0\0\0")
        time.sleep(3600)


class SendsHuge(Leaves):
    """A frame that claims 2^63 bytes."""

    def leave(self) -> None:
        for fd in writable_pipes():
            os.write(fd, struct.pack("<4sIQ", b"XCF1", 2, 2**63) + b"{}")
        time.sleep(3600)


class AnswersTwice(Leaves):
    """A second answer to a question that was answered."""

    def leave(self) -> None:
        for fd in writable_pipes():
            body = b'{"type":"reply","nonce":1,"outcome":"answer","inputs":{},"arrays":[]}'
            os.write(fd, struct.pack("<4sIQ", b"XCF1", len(body), 0) + body)


def writable_pipes() -> list[int]:
    """The write end of the channel: of the pipes above the standard streams, the one that can be written."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2:
            try:
                is_pipe = os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")
                if is_pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                    found.append(fd)
            except OSError:
                continue
    return found
