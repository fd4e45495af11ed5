"""A geometry in PyTorch's own words: padding it can say is its argument, what it cannot is padded or cropped apart."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812  as every user of PyTorch calls it

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@lru_cache(maxsize=1024)
def spell(geometry: Geometry, image: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[Any, ...]:
    """Say a geometry as the settings of ``correlate`` or ``transpose``: plain values, which a graph keeps as constants.

    PyTorch's padding is a count per axis for both sides, or the word ``valid``, or ``same`` at stride 1 (the odd zero
    at the end). What it cannot say is padded, or for a transposed correlation cropped, apart: ``ends``.
    """
    pads, stride, more = geometry.pads(image, kernel), tuple(geometry.stride), geometry.output_padding
    rest = geometry.groups, tuple(geometry.dilation)
    even = tuple(begin for begin, _ in pads) if all(begin == end >= 0 for begin, end in pads) else None
    none = (0,) * geometry.rank
    if geometry.transposed:
        # "output padding must be smaller than either stride or dilation"
        small = all(extra < max(s, d) for extra, s, d in zip(more, geometry.stride, geometry.dilation))
        if even is not None and small:
            return stride, even, tuple(more), *rest, None
        cropped = [(-begin, extra - end) for (begin, end), extra in zip(pads, more)]
        return stride, none, none, *rest, _flat(cropped)
    if geometry.padding == "valid":
        return stride, "valid", *rest, None
    if geometry.padding == "same_upper" and max(stride) == 1:
        _hush()
        return stride, "same", *rest, None
    return (stride, even, *rest, None) if even is not None else (stride, none, *rest, _flat(pads))


def correlate(x: Any, w: Any, b: Any, call: tuple[Any, ...]) -> Any:
    """Correlate as ``spell`` says, padding first where it asks for that."""
    stride, padding, groups, dilation, ends = call
    image = x if ends is None else F.pad(x, ends)
    return CONV[x.ndim - 2](image, w, b, stride, padding, dilation, groups)


def transpose(x: Any, w: Any, b: Any, call: tuple[Any, ...]) -> Any:
    """Apply the adjoint as ``spell`` says, cropping the full output where it asks for that, before the bias."""
    stride, padding, more, groups, dilation, ends = call
    function = TRANSPOSED[x.ndim - 2]
    if ends is None:
        return function(x, w, b, stride, padding, more, groups, dilation)
    y = F.pad(function(x, w, None, stride, padding, more, groups, dilation), ends)
    return y if b is None else y + b.reshape(-1, *[1] * (x.ndim - 2))


def _flat(pads: Any) -> tuple[int, ...]:
    return tuple(count for pair in reversed(pads) for count in pair)  # F.pad counts from the last axis


@lru_cache(maxsize=1)
def _hush() -> None:
    # once per process PyTorch warns that an uneven "same" copies the image: no fault, but an error under ``-W error``
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        F.conv1d(torch.zeros(1, 1, 3, device="meta"), torch.zeros(1, 1, 2, device="meta"), padding="same")
