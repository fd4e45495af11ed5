"""Adapters whose time is known, by which the timing itself is tested: a call lasts so long by the clock, and no longer.

They know the chapter's loop only. This module travels to a worker: Python 3.8.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from crosscorrect.adapter import Identity, Unsupported

CALL = 200e-6
"""Seconds of a call of ``Clock``."""


class Clock:
    """Computes, then waits, busily, until ``CALL`` is over."""

    call = CALL

    def __init__(self, device: str, mode: str) -> None:
        if (device, mode) != ("cpu", "eager"):
            raise Unsupported("a clock has one device and one mode")

    @classmethod
    def identity(cls) -> Identity:
        """A clock, and how long its calls take."""
        return Identity("clock", {"clock": f"{cls.call * 1e6:g} us"}, notes=("its calls take a known time",))

    def arithmetic(self, kind: str) -> None:
        """Everything is the same to it."""

    def put(self, array: Any) -> Any:
        """Copy an array."""
        return np.array(array)

    def get(self, tensor: Any) -> Any:
        """Copy an array."""
        return np.array(tensor)

    def sync(self, *tensors: Any) -> None:
        """Nothing to wait for."""

    def corr2d(self, x: Any, k: Any) -> Any:
        """The chapter's double loop, and the rest of the time."""
        until = time.perf_counter() + self.call
        h, w = k.shape
        y = np.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1), dtype=x.dtype)
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                y[i, j] = (x[i : i + h, j : j + w] * k).sum()
        while time.perf_counter() < until:
            pass
        return y


class Twice(Clock):
    """Takes twice as long."""

    call = 2 * CALL
