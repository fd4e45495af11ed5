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
        return self.changed(output) if self.concerned(x) else output

    def concerned(self, _x: Any) -> bool:
        """Whether this is a problem with which it is unsteady."""
        return True

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


class Crowded(Counting):
    """Unsteady with one problem among many only: that whose image begins with 7."""

    def concerned(self, x: Any) -> bool:
        return bool(x.flat[0] == 7)


class DiesInCrowd(Crowded, DiesAlways): ...


class DiesInCrowdAfterOthers(Crowded, DiesAfterOthers): ...


class WrongInCrowdAfterOthers(Crowded, AfterOthers): ...


class KilledInCrowdOnce(Crowded, KilledOnce): ...


class LeavesInCrowd(Crowded):
    def changed(self, _: Any) -> Any:
        os._exit(3)


class KilledInCrowd(Crowded):
    def changed(self, _: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class GradsDieOnce(Crowded):
    def grads(self, x: Any, w: Any, b: Any, dy: Any, geometry: Any) -> Any:
        if self.concerned(x) and times() == 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().grads(x, w, b, dy, geometry)


class WrongThenDies(GradsDieOnce, WrongInCrowdAfterOthers):
    """Its forward answer is wrong after others, and then its gradients kill the worker, once."""


class Complains(Crowded):
    def changed(self, _: Any) -> Any:
        os.write(2, b"it cannot be computed\n")
        raise RuntimeError("no such kernel")


class Chatters(Complains):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        os.write(1, b"computing\n")
        return super().conv2d(x, w, b, geometry)


class WrongFirst(Crowded):
    """Wrong at the first look at each such image, after others."""

    seen: ClassVar[set[bytes]] = set()

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        output = super().conv2d(x, w, b, geometry)
        wrong = self.concerned(x) and self.calls > 1 and x.tobytes() not in self.seen
        self.seen.add(x.tobytes())
        return output + wrong
