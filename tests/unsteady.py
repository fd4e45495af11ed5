"""Adapters whose answers change: with what was asked before, or with how often it was asked, in whatever process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

from crosscorrect_adapters.numpy import NumpyAdapter

STATE = "TORCH_UNSTEADY"
"""The environment variable, of those that workers are given, with the file that counts across processes."""


def times() -> int:
    """How often this was called before, in any process of the test."""
    path = Path(os.environ[STATE])
    count = len(path.read_bytes()) if path.exists() else 0
    with path.open("ab") as stream:
        stream.write(b".")
    return count


class Counting(NumpyAdapter):
    """Knows how many calls this process had before."""

    calls = 0

    def corr2d(self, x: Any, k: Any) -> Any:
        type(self).calls += 1
        return super().corr2d(x, k)

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        output = super().conv2d(x, w, b, geometry)
        type(self).calls += 1
        return self.changed(output)

    def changed(self, output: Any) -> Any:
        return output


class AfterOthers(Counting):
    """Wrong as soon as something else was asked before."""

    def changed(self, output: Any) -> Any:
        return output + (self.calls > 1)


class DiesAfterOthers(Counting):
    """Dies as soon as something else was asked before."""

    def changed(self, output: Any) -> Any:
        if self.calls > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return output


class RaisesAfterOthers(Counting):
    def changed(self, output: Any) -> Any:
        if self.calls > 1:
            raise RuntimeError("the pool is closed")
        return output


class WrongOnce(Counting):
    """Wrong the first time that anybody asks."""

    def changed(self, output: Any) -> Any:
        return output + (times() == 0)


class DiesOnce(Counting):
    def changed(self, output: Any) -> Any:
        if times() == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        return output


class DiesAlways(Counting):
    def changed(self, output: Any) -> Any:
        times()
        os.kill(os.getpid(), signal.SIGSEGV)
        return output


class KilledOnce(Counting):
    """Killed the first time as by another process: the kernel, a batch system, a person."""

    def changed(self, output: Any) -> Any:
        if times() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return output


class WrongAlways(Counting):
    def changed(self, output: Any) -> Any:
        times()
        return output + 1


class Slow(NumpyAdapter):
    """Right, and slow enough to be met at work."""

    def corr2d(self, x: Any, k: Any) -> Any:
        time.sleep(0.7)
        return super().corr2d(x, k)


class Ticking(NumpyAdapter):
    """Right, a tenth of a second each."""

    def corr2d(self, x: Any, k: Any) -> Any:
        time.sleep(0.1)
        return super().corr2d(x, k)


class Crowded(NumpyAdapter):
    """Right; at the problem whose image begins with 7 ``act`` may change that. ``calls`` counts those before it."""

    calls = 0

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        output = super().conv2d(x, w, b, geometry)
        result = self.act(output) if x.flat[0] == 7 else output
        type(self).calls += 1
        return result

    def act(self, output: Any) -> Any:
        return output


class Dies(Crowded):
    def act(self, output: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)
        return output


class Leaves(Crowded):
    def act(self, _: Any) -> Any:
        os._exit(3)


class DiesAmongOthers(Crowded):
    def act(self, output: Any) -> Any:
        if self.calls:
            os.kill(os.getpid(), signal.SIGSEGV)
        return output


class WrongAmongOthers(Crowded):
    def act(self, output: Any) -> Any:
        return output + (self.calls > 0)


class KilledTwice(Crowded):
    def act(self, output: Any) -> Any:
        if times() < 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return output


class KilledAlways(Crowded):
    def act(self, output: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)
        return output


class GradsDieOnce(Crowded):
    def grads(self, x: Any, w: Any, b: Any, dy: Any, geometry: Any) -> Any:
        if x.flat[0] == 7 and times() == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().grads(x, w, b, dy, geometry)


class Complains(Crowded):
    def act(self, _: Any) -> Any:
        os.write(2, b"it cannot be computed\n")
        raise RuntimeError("no such kernel")


class Chatters(Complains):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        os.write(1, b"computing\n")
        return super().conv2d(x, w, b, geometry)


class WrongThenDies(GradsDieOnce, WrongAmongOthers):
    """Its forward answer is wrong among others, and then its gradients kill the worker, once."""


class WrongFirst(Crowded):
    """Wrong at the first look at each such image, among others."""

    seen: ClassVar[set[bytes]] = set()

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        output = super().conv2d(x, w, b, geometry)
        wrong = x.flat[0] == 7 and self.calls > 1 and x.tobytes() not in self.seen
        self.seen.add(x.tobytes())
        return output + wrong
