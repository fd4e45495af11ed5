"""The convolutions of the MXNet adapter as functions of an operator namespace, run eagerly or hybridized.

A Gluon HybridBlock is handed ``F``, which is ``mxnet.nd`` when it runs eagerly and ``mxnet.sym`` when it is traced.
Symbols have no shape, so every function here takes the shapes of its tensors as plain tuples beside them.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from mxnet import nd
from mxnet.gluon import HybridBlock

from crosscorrect_adapters._counts import counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.geometry import Geometry, Pads

    Shape = tuple[int, ...]


def execute(mode: str, function: Callable[..., Any], *static: Any, tensors: tuple[Any, ...]) -> Any:
    """Call ``function(F, *static, *tensors)``: imperative in mode ``eager``, hybridized in mode ``compiled``."""
    if mode == "eager":
        return function(nd, *static, *tensors)
    return _hybridized(function, len(tensors), *static)(*tensors)


@functools.lru_cache(maxsize=256)
def _hybridized(function: Callable[..., Any], _count: int, *static: Any) -> HybridBlock:
    """Keep one block per function, number of tensors and static arguments, every shape among them: none is retraced."""
    block = _Traced(function, static)
    block.hybridize(static_alloc=False)
    return block


class _Traced(HybridBlock):
    def __init__(self, function: Callable[..., Any], static: tuple[Any, ...]) -> None:
        super().__init__()
        self._function, self._static = function, static

    def hybrid_forward(self, F: Any, *tensors: Any) -> Any:
        return self._function(F, *self._static, *tensors)


def stacked(F: Any, image: Shape, kernel: Shape, x: Any, k: Any) -> Any:
    """Collect and stack the elements of the chapter's double loop instead of assigning them: it has a gradient."""
    (h, w), rows, columns = kernel, image[0] - kernel[0] + 1, image[1] - kernel[1] + 1
    elements = [F.sum(F.slice(x, begin=(i, j), end=(i + h, j + w)) * k) for i in range(rows) for j in range(columns)]
    return F.reshape(F.stack(*elements), shape=(rows, columns))


def dot(F: Any, a: Any, b: Any) -> Any:
    """Multiply matrices ``(m, k), (k, n) -> (m, n)``."""
    return F.dot(a, b)


def convolution(F: Any, geometry: Geometry, spelling: str, image: Shape, kernel: Shape, x: Any, w: Any, *b: Any) -> Any:
    """Apply ``F.Convolution`` for shapes ``image`` (N, C, *space) and ``kernel`` (O, C / groups, *kernel).

    Its ``pad`` is one number for both sides of an axis; where they differ, or apart, zeros are put round the image
    first.
    """
    pads = counts(geometry, image[2:], kernel[2:])
    if not symmetric(pads) or (spelling == "apart" and any(map(any, pads))):
        x, pads = _padded(F, x, pads), ((0, 0),) * geometry.rank
    x, w = _laid(F, (x, w), spelling, geometry.rank)
    y = F.Convolution(
        x, w, *b, kernel=kernel[2:], stride=geometry.stride, dilate=geometry.dilation, pad=begins(pads),
        num_filter=kernel[0], num_group=geometry.groups, no_bias=not b, layout=_layout(spelling, geometry.rank),
    )  # fmt: skip
    return _unlaid(F, y, spelling, geometry.rank)


def _layout(spelling: str, rank: int) -> str | None:
    return {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank] if spelling == "channels_last" else None


def _laid(F: Any, tensors: tuple[Any, ...], spelling: str, rank: int) -> tuple[Any, ...]:
    """Image and kernel as a layout with the channels last has them: ``(N, *space, C)``, ``(O, *kernel, I)``."""
    if spelling != "channels_last":
        return tensors
    return tuple(F.transpose(t, axes=(0, *range(2, rank + 2), 1)) for t in tensors)


def _unlaid(F: Any, y: Any, spelling: str, rank: int) -> Any:
    return F.transpose(y, axes=(0, rank + 1, *range(1, rank + 1))) if spelling == "channels_last" else y


def deconvolution(
    F: Any, geometry: Geometry, spelling: str, dtype: str, image: Shape, kernel: Shape, x: Any, w: Any, *b: Any
) -> Any:
    """Apply ``F.Deconvolution`` for shapes ``image`` (N, C, *space) and ``kernel`` (C, O / groups, *kernel).

    Its ``pad`` is one number for both sides, and its ``adj`` must lie below the stride ("adj(y) must be samller than
    stride[0]"). Otherwise the full adjoint is cut to its window, with zeros where the window reaches past it.
    Over three axes it exists for float32 without ``dilate`` only ("Dilate is not supported in 3d deconvolution", "Only
    1D or 2D Deconvolution is natively supported"), so that a convolution with the flipped kernel stands in for it.
    """
    pads, extra = counts(geometry, image[2:], kernel[2:]), geometry.output_padding
    channels, zeros = kernel[1] * geometry.groups, (0,) * geometry.rank
    native = (
        geometry.rank < 3 or dtype not in ("float32", "float64") or (dtype, max(geometry.dilation)) == ("float32", 1)
    )
    direct = native and symmetric(pads) and all(e < s for e, s in zip(extra, geometry.stride)) and spelling != "apart"
    if min(map(min, pads), default=0) < 0:  # for MXNet to answer, and not a slice from the end
        direct, pads = True, tuple((min(pair), min(pair)) for pair in pads)
    size = geometry.output_size(image[2:], kernel[2:])
    full = tuple(n + sum(p) - e for n, p, e in zip(size, pads, extra))
    ends = tuple(p[0] + n for p, n in zip(pads, size))
    missing = tuple((0, 0 if direct else max(end - f, 0)) for end, f in zip(ends, full))
    grows = any(sum(m) for m in missing)
    given = () if grows else b  # what grows at its end has the bias there, too
    if native:
        # The weight goes in as it is: the gradient of a weight that another operator has computed fails with "could
        # not execute a primitive", and after that every oneDNN operator of the process does.
        x, w = _laid(F, (x, w), spelling, geometry.rank)
        y = F.Deconvolution(
            x, w, *given, kernel=kernel[2:], stride=geometry.stride, dilate=geometry.dilation,
            pad=begins(pads) if direct else zeros, adj=extra if direct else zeros, num_filter=channels,
            num_group=geometry.groups, no_bias=not given, layout=_layout(spelling, geometry.rank),
        )  # fmt: skip
        y = _unlaid(F, y, spelling, geometry.rank)
    else:
        y = _adjoint(F, geometry, image, kernel, x, w, *given)
    if direct:
        return y
    y = _padded(F, y, missing) if grows else y
    y = F.slice(y, begin=(0, 0, *begins(pads)), end=(image[0], channels, *ends))
    if given or not b:
        return y
    # the sum tells a bias of another length, which reshape would not
    none = F.zeros_like(F.slice(y, begin=(0,) * len(image), end=(1, channels, *(1 for _ in zeros))))
    bias = F.elemwise_add(b[0], F.reshape(none, shape=(-1,)))
    return F.broadcast_add(y, F.reshape(bias, shape=(1, channels) + (1,) * geometry.rank))


def _adjoint(F: Any, geometry: Geometry, image: Shape, kernel: Shape, x: Any, w: Any, *b: Any) -> Any:
    """Compute the full adjoint by correlating the image, zeros between its elements, with the kernel flipped.

    Groups keep their channels together while input and output channels change places: ``(O, C / groups, *kernel)``.
    """
    groups, space = max(geometry.groups, 1), kernel[2:]
    per_group = F.reshape(w, shape=(groups, kernel[0] // groups, kernel[1], -1))
    flipped = F.reverse(F.transpose(per_group, axes=(0, 2, 1, 3)), axis=3)
    swapped = (kernel[1] * groups, kernel[0] // groups, *space)
    return F.Convolution(
        _spread(F, x, image, geometry.stride), F.reshape(flipped, shape=swapped), *b,
        kernel=space, dilate=geometry.dilation, pad=tuple(span - 1 for span in geometry.spans(space)),
        num_filter=swapped[0], num_group=groups, no_bias=not b,
    )  # fmt: skip


def symmetric(pads: Pads) -> bool:
    """Whether MXNet's one number per axis can say this padding."""
    return all(begin == end for begin, end in pads)


def begins(pads: Pads) -> Shape:
    """The padding at the begin of each axis."""
    return tuple(begin for begin, _ in pads)


def _padded(F: Any, x: Any, pads: Pads) -> Any:
    """Put zeros round (N, C, *space). ``F.pad`` takes 4 or 5 axes, so one spatial axis borrows a second of size 1."""
    flat = len(pads) == 1
    width = (0, 0, 0, 0) + ((0, 0) if flat else ()) + tuple(count for axis in pads for count in axis)
    padded = F.pad(F.expand_dims(x, axis=2) if flat else x, mode="constant", constant_value=0, pad_width=width)
    return F.squeeze(padded, axis=2) if flat else padded


def _spread(F: Any, x: Any, shape: Shape, steps: Shape) -> Any:
    """Put ``step - 1`` zeros between the elements of each spatial axis of a tensor of this shape."""
    for axis, step in enumerate(steps, start=2):
        before, size, after = shape[:axis], shape[axis], shape[axis + 1 :]
        if step == 1:
            continue
        # each element of the axis becomes a row of its own, which is lengthened from 1 to `step`
        rows = F.reshape(x, shape=(1, -1, 1, math.prod(after)))
        longer = F.pad(rows, mode="constant", constant_value=0, pad_width=(0, 0, 0, 0, 0, step - 1, 0, 0))
        shape = (*before, step * (size - 1) + 1, *after)
        x = F.slice_axis(F.reshape(longer, shape=(*before, size * step, *after)), axis=axis, begin=0, end=shape[axis])
    return x
