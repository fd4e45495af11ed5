"""Adapters that are fair when they are judged and not when they are timed, importable by a worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crosscorrect_adapters.numpy import NumpyAdapter

if TYPE_CHECKING:
    from crosscorrect.adapter import Identity

JUDGED = 1
"""How many calls of a problem a conformance run makes."""


class Same(NumpyAdapter):
    """NumPy under another name."""


class Late(NumpyAdapter):
    """Returns at once and computes in another thread; ``sync`` does not wait, ``get`` does."""

    _pool = ThreadPoolExecutor(1)

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        def compute() -> Any:
            time.sleep(0.002)
            return super(Late, self).conv2d(*arguments, **options)

        return self._pool.submit(compute)

    def get(self, tensor: Any) -> Any:
        return tensor.result() if isinstance(tensor, Future) else tensor


class Counts(NumpyAdapter):
    """Knows how often it was asked."""

    asked = 0

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        type(self).asked += 1
        return self.answer(super().conv2d(*arguments, **options))

    def answer(self, right: Any) -> Any:
        return right


class WrongLater(Counts):
    """Wrong once it is hot."""

    def answer(self, right: Any) -> Any:
        return right if self.asked < 30 else right + 1


class WrongInBulk(Counts):
    """Wrong from the second call of a process on: never seen by who asks once."""

    def answer(self, right: Any) -> Any:
        return right if self.asked == JUDGED else right + 1


class DiesLater(Counts):
    """Killed once it is hot."""

    def answer(self, right: Any) -> Any:
        if self.asked == 30:
            os.kill(os.getpid(), signal.SIGKILL)
        return right


class RaisesLater(Counts):
    """Raises once it is hot."""

    def answer(self, right: Any) -> Any:
        if self.asked > 30:
            raise MemoryError("no room for more")
        return right


class Parallel(NumpyAdapter):
    """Keeps a second thread busy beside each call."""

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        stop = threading.Event()
        thread = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)])
        thread.start()
        try:
            return super().conv2d(*arguments, **options)
        finally:
            stop.set()
            thread.join()


class DiesCompiled(NumpyAdapter):
    """Has a compiled mode, which dies from its second call in a process on: when it is judged, it is asked once."""

    asked = 0

    def __init__(self, device: str, mode: str) -> None:
        super().__init__(device, "eager")
        self._mode = mode

    @classmethod
    def identity(cls) -> Identity:
        own = NumpyAdapter.identity()
        return replace(own, modes=("eager", "compiled"))

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        if self._mode == "compiled":
            type(self).asked += 1
            if self.asked > JUDGED:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().conv2d(*arguments, **options)
