"""Cross-correlation and its two adjoints in plain NumPy, one matrix product per kernel tap, over any number of axes.

A tap is one position inside the kernel. With ``view(t)`` the part of the padded image that tap ``t`` meets, the
correlation is ``y = sum_t w[t] @ view(t)``; the adjoints swap the roles: ``view(t) += w[t].T @ dy`` gives the image's
gradient and ``dw[t] = dy @ view(t).T`` the kernel's.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crosscorrect.geometry import Geometry

    Array = np.ndarray[Any, Any]


def resize(image: Array, pads: Sequence[Sequence[int]]) -> Array:
    """Add (begin, end) zeros per spatial axis of ``(N, C, *space)``; a negative count takes elements off."""
    if not any(any(pair) for pair in pads):
        return image
    grown = np.pad(image, [(0, 0), (0, 0), *((max(b, 0), max(e, 0)) for b, e in pads)])
    inside = [slice(max(-b, 0), n - max(-e, 0)) for (b, e), n in zip(pads, grown.shape[2:])]
    return grown[(slice(None), slice(None), *inside)]


def correlate(image: Array, w: Array, geometry: Geometry) -> Array:
    """Correlate a padded image ``(N, C, *space)`` with ``w`` ``(O, C / groups, *kernel)`` to ``(N, O, *output)``."""
    spans, groups, batch = geometry.spans(w.shape[2:]), geometry.groups, len(image)
    size = [(n - span) // step + 1 for n, span, step in zip(image.shape[2:], spans, geometry.stride)]
    y = np.zeros((batch, groups, len(w) // groups, prod(size)), w.dtype)
    kernel = w.reshape(groups, len(w) // groups, *w.shape[1:])
    for tap, where in _taps(w.shape[2:], size, geometry):
        view = image[where].reshape(batch, groups, w.shape[1], prod(size))
        y += kernel[tap] @ view
    return y.reshape(batch, len(w), *size)


def scatter(dy: Array, w: Array, geometry: Geometry) -> Array:
    """Spread ``dy`` ``(N, O, *output)`` over the padded image it came from: the adjoint of ``correlate`` in the image.

    The result ``(N, C, *space)`` ends at the last element that the kernel reached, ``(output - 1) * stride + span``.
    """
    spans, groups, batch, size = geometry.spans(w.shape[2:]), geometry.groups, len(dy), dy.shape[2:]
    space = [max((n - 1) * step + span, 0) for n, step, span in zip(size, geometry.stride, spans)]
    image = np.zeros((batch, groups * w.shape[1], *space), w.dtype)
    kernel = w.reshape(groups, len(w) // groups, *w.shape[1:])
    flat = dy.reshape(batch, groups, len(w) // groups, prod(size))
    for tap, where in _taps(w.shape[2:], size, geometry):
        part = kernel[tap].transpose(0, 2, 1) @ flat
        image[where] += part.reshape(batch, groups * w.shape[1], *size)
    return image


def kernel_gradient(image: Array, dy: Array, shape: Sequence[int], geometry: Geometry) -> Array:
    """Differentiate ``sum(correlate(image, w) * dy)`` in ``w`` of this shape, ``(O, C / groups, *kernel)``."""
    groups, batch, size = geometry.groups, len(dy), dy.shape[2:]
    dw = np.zeros((groups, shape[0] // groups, *shape[1:]), dy.dtype)
    flat = dy.reshape(batch, groups, shape[0] // groups, prod(size))
    for tap, where in _taps(shape[2:], size, geometry):
        view = image[where].reshape(batch, groups, shape[1], prod(size))
        dw[tap] = (flat @ view.swapaxes(2, 3)).sum(axis=0, dtype=dy.dtype)
    return dw.reshape(shape)


def reject(x: Array, w: Array, b: Array | None, geometry: Geometry) -> None:
    """Raise ValueError where arguments do not fit each other; NumPy would broadcast, slice or reshape many of them."""
    rank, groups, pads = geometry.rank, geometry.groups, geometry.padding
    if not x.ndim == w.ndim == rank + 2:
        raise ValueError(f"{rank} spatial axes need x and w of {rank + 2} axes, not shapes {x.shape} and {w.shape}")
    if min(*geometry.stride, *geometry.dilation, groups) < 1:
        raise ValueError(f"stride, dilation and groups must be positive: {geometry}")
    if min(geometry.output_padding) < 0 or (not isinstance(pads, str) and min(min(pair) for pair in pads) < 0):
        raise ValueError(f"padding must not be negative: {geometry}")
    channels, outputs = (w.shape[0], w.shape[1] * groups) if geometry.transposed else (w.shape[1] * groups, w.shape[0])
    if w.shape[0] % groups:
        raise ValueError(f"{groups} groups do not divide a kernel of shape {w.shape}")
    if min(w.shape[2:]) < 1:
        raise ValueError(f"a kernel of shape {w.shape} has no elements")
    if x.shape[1] != channels:
        raise ValueError(f"x has {x.shape[1]} channels, but a kernel of shape {w.shape} in {groups} groups {channels}")
    if b is not None and b.shape != (outputs,):
        raise ValueError(f"a bias of shape {b.shape} does not fit {outputs} output channels")
    spans, size = geometry.spans(w.shape[2:]), geometry.output_size(x.shape[2:], w.shape[2:])
    padded = [n + sum(pair) for n, pair in zip(x.shape[2:], geometry.pads(x.shape[2:], w.shape[2:]))]
    # an image without elements is no smaller than a kernel of one element: there is no output, and nothing wrong
    if min(size) < 0 or (not geometry.transposed and any(n and not m for n, m in zip(padded, size))):
        raise ValueError(f"kernel of extent {spans} does not fit the padded image {tuple(padded)}")


def _taps(
    kernel: Sequence[int], output: Sequence[int], geometry: Geometry
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield each tap as an index of a ``(groups, O, C, *kernel)`` array, and of the image elements that it meets."""
    for tap in product(*(range(k) for k in kernel)):
        starts = [t * d for t, d in zip(tap, geometry.dilation)]
        inside = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, output, geometry.stride)]
        yield (*[slice(None)] * 3, *tap), (slice(None), slice(None), *inside)
