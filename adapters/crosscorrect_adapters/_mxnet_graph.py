"""The convolutions of the MXNet adapter as functions of an operator namespace, run eagerly or hybridized.

A Gluon HybridBlock is handed ``F``, which is ``mxnet.nd`` when it runs eagerly and ``mxnet.sym`` when it is traced.
Symbols have no shape, so every function here takes the shapes of its tensors as plain tuples beside them.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Tuple

from mxnet import nd
from mxnet.gluon import HybridBlock

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry, Pads

    Shape = Tuple[int, ...]


def execute(mode: str, function: Callable[..., Any], *static: Any, tensors: Tuple[Any, ...]) -> Any:
    """``function(F, *static, *tensors)``, imperative in mode ``eager``, as a hybridized block in mode ``compiled``."""
    if mode == "eager":
        return function(nd, *static, *tensors)
    return _hybridized(function, *static)(*tensors)


@functools.lru_cache(maxsize=256)
def _hybridized(function: Callable[..., Any], *static: Any) -> HybridBlock:
    """One traced block per function and static arguments, among them every shape, so that no block is traced twice."""
    block = _Traced(function, static)
    block.hybridize(static_alloc=False)
    return block


class _Traced(HybridBlock):
    def __init__(self, function: Callable[..., Any], static: Tuple[Any, ...]) -> None:
        super().__init__()
        self._function, self._static = function, static

    def hybrid_forward(self, F: Any, *tensors: Any) -> Any:
        return self._function(F, *self._static, *tensors)


def stacked(F: Any, image: Shape, kernel: Shape, x: Any, k: Any) -> Any:
    """The chapter's double loop with its elements collected and stacked instead of assigned: it can be differentiated."""
    (h, w), rows, columns = kernel, image[0] - kernel[0] + 1, image[1] - kernel[1] + 1
    elements = [
        F.sum(F.slice(x, begin=(i, j), end=(i + h, j + w)) * k) for i in range(rows) for j in range(columns)
    ]
    return F.reshape(F.stack(*elements), shape=(rows, columns))


def dot(F: Any, a: Any, b: Any) -> Any:
    """The matrix product ``(m, k), (k, n) -> (m, n)``."""
    return F.dot(a, b)


def convolution(F: Any, geometry: Geometry, image: Shape, kernel: Shape, x: Any, w: Any, *b: Any) -> Any:
    """``F.Convolution`` for shapes ``image`` (N, C, *space) and ``kernel`` (O, C / groups, *kernel), bias optional.

    Its ``pad`` takes one number per axis for both sides; where begin and end differ, zeros are put round the image first.
    """
    pads = geometry.pads(image[2:], kernel[2:])
    if not _symmetric(pads):
        x, pads = _padded(F, x, pads), ((0, 0),) * geometry.rank
    return F.Convolution(
        x, w, *b, kernel=kernel[2:], stride=geometry.stride, dilate=geometry.dilation, pad=_counts(pads),
        num_filter=kernel[0], num_group=geometry.groups, no_bias=not b,
    )  # fmt: skip


def deconvolution(F: Any, geometry: Geometry, image: Shape, kernel: Shape, x: Any, w: Any, *b: Any) -> Any:
    """``F.Deconvolution`` for shapes ``image`` (N, C, *space) and ``kernel`` (C, O / groups, *kernel), bias optional.

    It refuses ``dilate`` over three axes ("Dilate is not supported in 3d deconvolution"): zeros are written into the
    kernel instead. It has no unequal pads and wants ``adj`` below the stride ("adj(y) must be samller than stride[0]"):
    then the full adjoint is cut to its window, with zeros where the window reaches past it, before the bias is added.
    """
    dilation, pads, extra = geometry.dilation, geometry.pads(image[2:], kernel[2:]), geometry.output_padding
    channels, space = kernel[1] * geometry.groups, kernel[2:]
    if geometry.rank == 3 and max(dilation) > 1:
        w, space, dilation = _dilated(F, w, kernel, dilation), geometry.spans(space), (1, 1, 1)
    native = _symmetric(pads) and all(e < s for e, s in zip(extra, geometry.stride))
    zeros = (0,) * geometry.rank
    y = F.Deconvolution(
        x, w, *(b if native else ()), kernel=space, stride=geometry.stride, dilate=dilation,
        pad=_counts(pads) if native else zeros, adj=extra if native else zeros,
        num_filter=channels, num_group=geometry.groups, no_bias=not (b and native),
    )  # fmt: skip
    if native:
        return y
    size = geometry.output_size(image[2:], kernel[2:])
    full = tuple(n + sum(p) - e for n, p, e in zip(size, pads, extra))
    window = [(p[0], min(p[0] + n, f)) for p, n, f in zip(pads, size, full)]
    y = F.slice(y, begin=(0, 0) + tuple(v[0] for v in window), end=(image[0], channels) + tuple(v[1] for v in window))
    missing = tuple((0, n - (end - begin)) for n, (begin, end) in zip(size, window))
    y = _padded(F, y, missing) if any(sum(m) for m in missing) else y
    return F.broadcast_add(y, F.reshape(b[0], shape=(1, channels) + (1,) * geometry.rank)) if b else y


def _symmetric(pads: Pads) -> bool:
    return all(begin == end for begin, end in pads)


def _counts(pads: Pads) -> Shape:
    return tuple(begin for begin, _ in pads)


def _padded(F: Any, x: Any, pads: Pads) -> Any:
    """Zeros round (N, C, *space). ``F.pad`` takes 4 or 5 axes, so one spatial axis borrows a second of size 1."""
    flat = len(pads) == 1
    width = (0, 0, 0, 0) + ((0, 0) if flat else ()) + tuple(count for axis in pads for count in axis)
    padded = F.pad(F.expand_dims(x, axis=2) if flat else x, mode="constant", constant_value=0, pad_width=width)
    return F.squeeze(padded, axis=2) if flat else padded


def _dilated(F: Any, w: Any, shape: Shape, dilation: Shape) -> Any:
    """The kernel of this shape with ``dilation - 1`` zeros after each element of each spatial axis but the last one."""
    for axis, step in enumerate(dilation, start=2):
        before, size, after = shape[:axis], shape[axis], shape[axis + 1 :]
        rows = size
        for count in before:
            rows *= count
        # each element of the axis becomes a row of its own, which is lengthened from 1 to `step`
        lengthened = F.pad(
            F.reshape(w, shape=(1, rows, 1, -1)), mode="constant", constant_value=0,
            pad_width=(0, 0, 0, 0, 0, step - 1, 0, 0),
        )  # fmt: skip
        w = F.reshape(lengthened, shape=(*before, size * step, *after))
        shape = (*before, step * (size - 1) + 1, *after)
        w = F.slice_axis(w, axis=axis, begin=0, end=shape[axis])
    return w
