"""Adapters with the defects that a hunt must find, shrink and keep: by shape, by numbers, by chance, by dying."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np

from crosscorrect.adapter import Unsupported
from crosscorrect_adapters.numpy import NumpyAdapter


class ForgetsStride(NumpyAdapter):
    """Wrong where the first axis has a stride of 2 or more and there are two examples: the second is the first."""

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        y = super().conv2d(x, w, b, geometry)
        if geometry.stride[0] > 1 and len(y) > 1:
            y = np.concatenate([y[:1], y[:1], y[2:]])
        return y


class Picky(NumpyAdapter):
    """Wrong for one image only: the first of the numbers that hunt/0-0 has."""

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        y = super().conv2d(x, w, b, geometry)
        return y + 1 if float(x.flat[0]) == float(os.environ.get("TORCH_PICKY", "nan")) else y


class Moody(NumpyAdapter):
    """Wrong once, in the second answer it gives."""

    ANSWERED = 0

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        Moody.ANSWERED += 1
        y = super().conv2d(x, w, b, geometry)
        return y + 1 if Moody.ANSWERED == 2 else y


class DiesOfDilation(NumpyAdapter):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        if max(geometry.dilation) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().conv2d(x, w, b, geometry)


class RefusesGroups(NumpyAdapter):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        if geometry.groups > 1:
            raise Unsupported("groups are not offered")
        return super().conv2d(x, w, b, geometry)
