"""Wrong adapters, each wrong in a way that frameworks and ports of frameworks really are; the harness catches all."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect_adapters.numpy import NumpyAdapter

if TYPE_CHECKING:
    from crosscorrect.adapter import Grads, Trained


def flipped(k: Any) -> Any:
    """Both spatial axes reversed: convolution where correlation was asked for."""
    return k[..., ::-1, ::-1]


class FlippedKernel(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        return super().corr2d(x, flipped(k))

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        return super().layer(x, flipped(w), b)

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x, flipped(w), b, geometry)


class DroppedBias(NumpyAdapter):
    def layer(self, x: Any, w: Any, b: Any) -> Any:
        return super().layer(x, w, np.zeros_like(b))

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x, w, None, geometry)


class TransposedImage(NumpyAdapter):
    """Rows read as columns: on a square image only the values tell."""

    def corr2d(self, x: Any, k: Any) -> Any:
        return super().corr2d(np.ascontiguousarray(x.T), k)

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        return super().layer(np.ascontiguousarray(x.T), w, b)

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(np.ascontiguousarray(np.swapaxes(x, -1, -2)), w, b, geometry)


class TransposedKernel(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        return super().corr2d(x, np.ascontiguousarray(k.T))

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        return super().layer(x, np.ascontiguousarray(w.T), b)

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x, np.ascontiguousarray(np.swapaxes(w, -1, -2)), b, geometry)


class LostLastTap(NumpyAdapter):
    @staticmethod
    def cut(k: Any) -> Any:
        k = k.copy()
        k[..., -1, -1] = 0
        return k

    def corr2d(self, x: Any, k: Any) -> Any:
        return super().corr2d(x, self.cut(k))

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        return super().layer(x, self.cut(w), b)

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x, self.cut(w), b, geometry)


class ReducedPrecision(NumpyAdapter):
    """Inputs rounded to ten bits of mantissa, as TF32 does."""

    @staticmethod
    def reduce(a: Any) -> Any:
        bits = np.asarray(a, np.float32).view(np.uint32)
        return ((bits + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32).astype(a.dtype)

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(self.reduce(x), self.reduce(w), b, geometry)


class Narrowed(NumpyAdapter):
    """float64 silently computed and returned as float32."""

    def corr2d(self, x: Any, k: Any) -> Any:
        return super().corr2d(x.astype(np.float32), k.astype(np.float32))

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        return super().layer(*(a.astype(np.float32) for a in (x, w, b)))

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        b = None if b is None else b.astype(np.float32)
        return super().conv2d(x.astype(np.float32), w.astype(np.float32), b, geometry)


class NotFinite(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        y = super().corr2d(x, k)
        y[-1, -1] = np.nan
        return y


class Unwritten(NumpyAdapter):
    """The last output element is never written."""

    def corr2d(self, x: Any, k: Any) -> Any:
        y = super().corr2d(x, k)
        y[-1, -1] = 0
        return y


class ExtraRow(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        y = super().corr2d(x, k)
        return np.concatenate([y, y[-1:]])


class SwappedGradients(NumpyAdapter):
    """The kernel's gradient comes out flipped, as from a backward pass written for convolution."""

    def grads(self, x: Any, w: Any, b: Any, dy: Any, geometry: Any) -> Grads:
        right = super().grads(x, w, b, dy, geometry)
        return replace(right, dw=flipped(right.dw))


class ForgottenTwo(NumpyAdapter):
    """Trains on half the gradient: the 2 of the squared error's derivative is lost."""

    def train(self, x: Any, y: Any, w0: Any, b0: Any, lr: float, *rest: Any) -> Trained:
        return super().train(x, y, w0, b0, lr / 2, *rest)


class LostStep(NumpyAdapter):
    """The last update is reported and not made."""

    def train(self, *arguments: Any) -> Trained:
        right = super().train(*arguments)
        return replace(right, weights=[*right.weights[:-1], right.weights[-2]])


class WritesItsInput(NumpyAdapter):
    """Shares memory with the message and scales the image in place."""

    def put(self, array: Any) -> Any:
        return array

    def corr2d(self, x: Any, k: Any) -> Any:
        y = super().corr2d(x, k)
        x *= 2
        return y


class Raises(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        raise RuntimeError("could not create a descriptor for \x1b[31m<b>this</b>")


class LeavesQuietly(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        os._exit(0)


class LeavesByExit(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        raise SystemExit(0)


class Killed(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


class Stopped(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSTOP)


class Hangs(NumpyAdapter):
    def corr2d(self, x: Any, k: Any) -> Any:
        while True:
            time.sleep(3600)


class Noisy(NumpyAdapter):
    """Prints a megabyte on stdout for every call, as some frameworks nearly do."""

    def corr2d(self, x: Any, k: Any) -> Any:
        print("noise " * 170_000)
        return super().corr2d(x, k)


class BrokenInstall(NumpyAdapter):
    """A framework that is installed and broken."""

    @classmethod
    def identity(cls) -> Any:
        raise ImportError("libbroken.so.1: cannot open shared object file")


class OnlyDouble(NumpyAdapter):
    @classmethod
    def identity(cls) -> Any:
        return replace(super().identity(), dtypes=("float64",))
