"""In which order somebody else's arrays have their axes, and the way there from ours, (N, C, *space) and OIHW."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]

SPACE = "DHW"
KNOWN = ("HW", "CHW", "NCHW", "NHWC", "W", "NCW", "NWC", "NCDHW", "NDHWC")
"""The usual ones; without N there is one example, without C one input and one output channel."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes of an image by their letters: N examples, C channels, then or before them the axes of space, of DHW.

    The kernel goes with it: ``(O, I, *kernel)``, ``(*kernel, I, O)`` where the channels come last, and ``(*kernel)``
    where there is no C.
    """

    letters: str

    @classmethod
    def of(cls, letters: str) -> Layout:
        """The layout of these letters. Raises UsageError for what is none."""
        if letters not in KNOWN:
            raise UsageError(f"layout {letters!r} is none of {', '.join(KNOWN)}")
        return cls(letters)

    @property
    def rank(self) -> int:
        """The number of axes of space."""
        return sum(letter in SPACE for letter in self.letters)

    def holds(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether a problem of these shapes, as ours or two-dimensional, can be told in this layout."""
        x, w = shapes["x"], shapes["w"]
        if len(x) == 2:
            return self.rank == 2
        if len(x) != self.rank + 2:
            return False
        one = "C" in self.letters or (x[1] == 1 and w[:2] == (1, 1))
        return one and ("N" in self.letters or x[0] == 1)

    def image(self, array: Array) -> Array:
        """An image of ours, or a gradient of an output, in this layout."""
        array = _lifted(array)
        if self._last:
            return array.transpose(0, *range(2, array.ndim), 1)
        for letter in "NC":  # an axis that this layout lacks has one element
            array = array if letter in self.letters else array[0]
        return array

    def kernel(self, array: Array) -> Array:
        """A kernel of ours in this layout."""
        array = _lifted(array)
        if "C" not in self.letters:
            return np.asarray(array[0, 0])
        return array.transpose(*range(2, array.ndim), 1, 0) if self._last else array

    def image_back(self, array: Array, axes: int) -> Array:
        """An output, or a gradient of an image, of this layout as ours with so many axes.

        One that has other axes than the layout has other axes than ours afterwards, too.
        """
        if self._last:
            fits = array.ndim == len(self.letters)
            array = array.transpose(0, array.ndim - 1, *range(1, array.ndim - 1)) if fits else array
        for letter in "CN":
            array = array if letter in self.letters else array[None]
        return _lowered(array, axes)

    def kernel_back(self, array: Array, axes: int) -> Array:
        """The gradient of a kernel of this layout as ours with so many axes, like ``image_back``."""
        if "C" not in self.letters:
            array = array[None, None]
        elif self._last and array.ndim == self.rank + 2:
            array = array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
        return _lowered(array, axes)

    @property
    def _last(self) -> bool:
        return self.letters.endswith("C")


def assumed(layout: Layout) -> str:
    """What to tell a person whose function took no layout, so that this one was assumed."""
    axes = ", ".join(layout.letters)
    return f'no order of axes was accepted by it; ({axes}) was assumed: say layout="NCHW" or "NHWC"'


def _lifted(array: Array) -> Array:
    """A two-dimensional image or kernel with one example and one channel."""
    return array[None, None] if array.ndim == 2 else array


def _lowered(array: Array, axes: int) -> Array:
    return array[0, 0] if axes == 2 and array.ndim == 4 and array.shape[:2] == (1, 1) else array
