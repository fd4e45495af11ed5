"""A geometry in PyTorch's own words: padding it can say is its argument, what it cannot is padded or cropped apart.

What makes no sense (a stride of zero, groups that do not divide, a wrong rank) is handed on, for PyTorch to answer.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812  as every user of PyTorch calls it

from crosscorrect.adapter import Unsupported
from crosscorrect_adapters._counts import counts

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@lru_cache(maxsize=1024)
def spell(
    geometry: Geometry, image: tuple[int, ...], kernel: tuple[int, ...], *, apart: bool = False
) -> tuple[Any, ...]:
    """Say a geometry as the settings of ``correlate`` or ``transpose``: plain values, which a graph keeps as constants.

    PyTorch's padding is a count per axis for both sides, or the word ``valid``, or ``same`` at stride 1 (the odd zero
    at the end). What it cannot say, and all of it with ``apart``, is padded, or for a transposed correlation cropped,
    by an operation of its own: ``ends``.
    """
    word, stride, more = (
        None if apart else own_padding(geometry, image, kernel),
        geometry.stride,
        geometry.output_padding,
    )
    rest, none = (geometry.groups, geometry.dilation), (0,) * geometry.rank
    pads = counts(geometry, image, kernel)
    if geometry.transposed:
        # "output padding must be smaller than either stride or dilation"
        small = all(extra < max(s, d) for extra, s, d in zip(more, stride, geometry.dilation))
        if word is not None and small:
            return geometry.rank, stride, word, more, *rest, None
        cropped = [(-begin, extra - end) for (begin, end), extra in zip(pads, more)]
        return geometry.rank, stride, none, none, *rest, _flat(cropped)
    if word is None:
        return geometry.rank, stride, none, *rest, _flat(pads)
    if word == "same":
        _hush()
    return geometry.rank, stride, word, *rest, None


def own_padding(geometry: Geometry, image: tuple[int, ...], kernel: tuple[int, ...]) -> Any:
    """The padding as an argument of PyTorch's operators and layers: a word, or a count per axis; None if neither."""
    if geometry.padding == "valid" and not geometry.transposed:
        return "valid"
    if geometry.padding == "same_upper" and max(geometry.stride) <= 1:
        return "same"
    pads = counts(geometry, image, kernel)
    return tuple(begin for begin, _ in pads) if all(begin == end for begin, end in pads) else None


def correlate(x: Any, w: Any, b: Any, call: tuple[Any, ...]) -> Any:
    """Correlate as ``spell`` says, padding first where it asks for that."""
    rank, stride, padding, groups, dilation, ends = call
    image = x if ends is None else F.pad(x, ends)
    return CONV[rank](image, w, b, stride, padding, dilation, groups)


def transpose(x: Any, w: Any, b: Any, call: tuple[Any, ...]) -> Any:
    """Apply the adjoint as ``spell`` says, cropping the full output where it asks for that, before the bias."""
    rank, stride, padding, more, groups, dilation, ends = call
    function = TRANSPOSED[rank]
    if ends is None:
        return function(x, w, b, stride, padding, more, groups, dilation)
    y = F.pad(function(x, w, None, stride, padding, more, groups, dilation), ends)
    # the channels by their number: a bias of one element would be broadcast
    return y if b is None else y + b.reshape(y.shape[1], *[1] * rank)


def channels_last(tensor: Any) -> Any:
    """Lay a tensor of the operator so that its channels are the fastest axis; a bias stays. Its shape stays, too."""
    if tensor is None or tensor.ndim == 1:
        return tensor
    try:
        return tensor.contiguous(memory_format=torch.channels_last if tensor.ndim != 5 else torch.channels_last_3d)
    except RuntimeError as error:  # "required rank 4 tensor to use channels_last format"
        raise Unsupported(str(error)) from error


def _flat(pads: Any) -> tuple[int, ...]:
    return tuple(count for pair in reversed(pads) for count in pair)  # F.pad counts from the last axis


@lru_cache(maxsize=1)
def _hush() -> None:
    # once per process PyTorch warns that an uneven "same" copies the image: no fault, but an error under ``-W error``
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        F.conv1d(torch.zeros(1, 1, 3, device="meta"), torch.zeros(1, 1, 2, device="meta"), padding="same")
