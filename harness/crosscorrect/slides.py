"""The one sliding sum of which every direction of every geometry is a case, over any way to multiply matrices.

Forward, input gradient and kernel gradient, plain and transposed, are ``Map``s: bilinear in two arrays. A map unrolls
its first operand into columns and hands them, with its second, to a ``Product``. Values, error bounds, scales, counts
of terms and of special values all come from the same map with different products or arrays, so that none of them can
describe another computation than the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product as every
from math import gcd, prod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array: TypeAlias = np.ndarray[Any, Any]
Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]
Sizes: TypeAlias = tuple[int, ...]
Parts: TypeAlias = "tuple[Array, ...]"

_COLUMNS = 2**21
"""The most elements unrolled at once (16 MiB in float64); a larger problem is taken in blocks."""

_LEAST = 64
"""The fewest columns in one block, if there are more: with fewer, reading the other operand again costs too much."""

_FOLD = 128
"""Below so many columns per example, all examples share one matrix product."""

_KEPT = 2**12
"""The most elements of a result whose counts of terms are kept for the next problem of the same geometry."""


class Product(Protocol):
    """A way to multiply matrices, into one or several results of the same shape (a value and its scale, say).

    ``room`` says how many times their own size the columns take in it, at most, so that blocks can be smaller.
    ``left`` prepares ``(G, M, K)`` once; ``times`` multiplies what it made by ``(..., G, K, L)`` into arrays
    ``(..., G, M, L)``. The columns are the product's to read only: they may be a view of the caller's data.
    """

    room: int

    def left(self, a: Array) -> Any:
        """What ``times`` takes as its first argument."""
        ...

    def times(self, left: Any, columns: Array) -> Parts:
        """The products, each ``(..., G, M, L)``."""
        ...


@dataclass(frozen=True, slots=True)
class Map:
    """One bilinear map: which sum, how it moves, and the spatial size of its result; hashable.

    ``geometry`` spells its padding as counts. The first operand is the one that padding surrounds.
    """

    way: Callable[[Array, Array, Geometry, Sizes, Product], Parts]
    geometry: Geometry
    size: Sizes

    def __call__(self, a: Array, b: Array, product: Product) -> Parts:
        """The map of the two operands; as many arrays as the product makes."""
        return self.way(a, b, self.geometry, self.size, product)

    def terms(self, a: Array, b: Array) -> Counts:
        """How many terms each element has, one for every tap inside the image; broadcasts to the result."""
        if self.way is bias_gradient:
            return np.full(1, len(a) * prod(a.shape[2:]), np.int64)
        if self.way is correlation:
            repeats = b.shape[1]
        else:
            repeats = len(b) // self.geometry.groups if self.way is adjoint else len(a)
        # a thousand counts of large images would be more than is worth keeping
        taps = _taps if prod(self.size) <= _KEPT else _taps.__wrapped__
        found: Counts = taps(self, a.shape[2:], b.shape[2:]) * repeats
        return found


def correlation(x: Array, w: Array, geometry: Geometry, size: Sizes, product: Product) -> Parts:
    """``y[o, i] = sum over c, a of x[c, i * stride + a * dilation - begin] * w[o, c, a]``.

    ``(N, C, *space), (O, C / groups, *kernel) -> (N, O, *size)``.
    """
    return _slide(x, w, begins(geometry), geometry.stride, geometry.dilation, size, geometry.groups, product)


def adjoint(y: Array, w: Array, geometry: Geometry, image: Sizes, product: Product) -> Parts:
    """``x[c, j] = sum over o and all (i, a) with j = i * stride + a * dilation - begin of y[o, i] * w[o, c, a]``.

    ``(N, O, *space), (O, C / groups, *kernel) -> (N, C, *image)``. The image falls into ``prod(stride)`` phases, each a
    correlation of stride 1 with every so many-th tap, in reverse order: no work is spent on stuffed zeros, and the
    products stay in ``_slide``.
    """
    groups, out = geometry.groups, w.shape[0]
    w = w.reshape(groups, out // groups, *w.shape[1:]).swapaxes(1, 2)
    w = w.reshape(groups * w.shape[1], out // groups, *w.shape[3:])
    axes = zip(geometry.stride, geometry.dilation, begins(geometry), image, w.shape[2:], strict=True)
    found: Parts = ()
    for phases in every(*[_phases(*axis) for axis in axes]):
        rows, taps, first, spreads, size = zip(*phases, strict=True)
        parts = _slide(y, w[(..., *taps)], first, (1,) * geometry.rank, spreads, size, groups, product)
        if size == image:
            return parts
        found = found or tuple(np.zeros((len(y), len(w), *image), part.dtype) for part in parts)
        for whole, part in zip(found, parts, strict=True):
            whole[(..., *rows)] = part
    return found or _nothing((len(y), len(w), *image), product)


def kernel_gradient(x: Array, y: Array, geometry: Geometry, kernel: Sizes, product: Product) -> Parts:
    """``w[o, c, a] = sum over n, i of x[n, c, i * stride + a * dilation - begin] * y[n, o, i]``.

    ``(N, C, *space), (N, O, *output) -> (O, C / groups, *kernel)``. A correlation whose kernel is ``y``: examples and
    channels change places, and so do stride and dilation.
    """
    groups, channels = geometry.groups, x.shape[1]
    x = np.moveaxis(x.reshape(len(x), groups, channels // groups, *x.shape[2:]), (2, 1, 0), (0, 1, 2))
    x = x.reshape(channels // groups, groups * y.shape[0], *x.shape[3:])
    y = y.swapaxes(0, 1)
    parts = _slide(x, y, begins(geometry), geometry.dilation, geometry.stride, kernel, groups, product)
    return tuple(part.swapaxes(0, 1) for part in parts)


def bias_gradient(y: Array, one: Array, geometry: Geometry, size: Sizes, product: Product) -> Parts:  # noqa: ARG001
    """``b[o] = sum over n, i of y[n, o, i] * 1``: ``(N, O, *output), (1,) -> (O,)``. No padding, no geometry."""
    if not y.size:
        return _nothing((y.shape[1],), product)
    rows = np.moveaxis(y, 1, 0).reshape(1, y.shape[1], -1)
    parts = product.times(product.left(rows), np.broadcast_to(one, (1, rows.shape[-1], 1)))
    return tuple(part.reshape(-1) for part in parts)


def begins(geometry: Geometry) -> Sizes:
    """The zeros before the image, per axis, of a geometry that spells its padding as counts."""
    return tuple(begin for begin, _ in geometry.pads((), ()))


def unroll(x: Array, kernel: Sizes, first: Sizes, steps: Sizes, spreads: Sizes, size: Sizes) -> Array:
    """A strided view of all windows, ``(C, *kernel, N, *size)``, over a frame of zeros where any are needed."""
    extents = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, steps, kernel, spreads, strict=True)]
    frame = _frame(x, first, extents)
    per_n, per_c, *per = frame.strides
    strides = (
        per_c,
        *(d * p for d, p in zip(spreads, per, strict=True)),
        per_n,
        *(s * p for s, p in zip(steps, per, strict=True)),
    )
    return np.ndarray((x.shape[1], *kernel, len(x), *size), frame.dtype, buffer=frame.data, strides=strides)


@lru_cache(maxsize=1024)
def _taps(bilinear: Map, a: Sizes, b: Sizes) -> Counts:
    """How many taps of one channel fall inside the image: one map of ones per axis, for the axes are independent."""
    geometry = bilinear.geometry
    counts = np.ones((1, 1), np.int64)
    for axis, pads in enumerate(geometry.pads((), ())):
        line = Geometry((geometry.stride[axis],), (pads,), (geometry.dilation[axis],))
        along = Map(bilinear.way, line, (bilinear.size[axis],))
        (ones,) = along(np.ones((1, 1, a[axis])), np.ones((1, 1, b[axis])), SUM)
        counts = np.multiply.outer(counts, ones[0, 0].astype(np.int64))
    counts.setflags(write=False)
    return counts


class _Sum:
    """The product in float64 and nothing beside it: values, and exact counts of terms of some kind."""

    room = 1

    def left(self, a: Array) -> Array:
        return a

    def times(self, left: Array, columns: Array) -> Parts:
        return (np.matmul(left, columns),)


SUM = _Sum()


def _phases(
    stride: int, dilation: int, begin: int, image: int, kernel: int
) -> list[tuple[slice, slice, int, int, int]]:
    """Per residue of one axis that any tap reaches: its rows, its taps (reversed), begin padding, spread and size."""
    common = gcd(stride, dilation)
    step, spread = stride // common, dilation // common
    found = []
    for first in range(min(step, kernel)):  # the phases differ in their first tap
        row = (first * dilation - begin) % stride
        taps = range(first, kernel, step)
        size = len(range(row, image, stride))
        offset = (row + begin - first * dilation) // stride
        if size:
            begin_here = (len(taps) - 1) * spread - offset
            found.append((slice(row, None, stride), slice(taps[-1], None, -step), begin_here, spread, size))
    return found


def _slide(
    x: Array, w: Array, first: Sizes, steps: Sizes, spreads: Sizes, size: Sizes, groups: int, product: Product
) -> Parts:
    """The one sliding sum: ``(N, C, *space), (O, C / groups, *kernel) -> (N, O, *size)``.

    The window at ``i`` reads ``x[i * steps + a * spreads - first]``, zero outside.
    """
    shape = (len(x), w.shape[0], *size)
    if not (x.size and w.size and prod(shape)):
        return _nothing(shape, product)
    left = product.left(w.reshape(groups, w.shape[0] // groups, -1))
    kernel = w.shape[2:]
    taps = max(x.shape[1] * prod(kernel), shape[1])
    most = max(_COLUMNS // product.room, _LEAST * taps)
    rows = max(1, most // (taps * prod(size[1:])))  # of one example in one block
    examples = max(1, most // (taps * prod(size))) if rows >= size[0] else 1
    if rows >= size[0] and examples >= len(x):
        return _block(x, left, kernel, first, steps, spreads, size, groups, shape[1], product)
    whole: Parts = ()
    for n, row in every(range(0, len(x), examples), range(0, size[0], rows)):
        here = (min(rows, size[0] - row), *size[1:])
        begin = (first[0] - row * steps[0], *first[1:])
        some = x[n : n + examples]
        parts = _block(some, left, kernel, begin, steps, spreads, here, groups, shape[1], product)
        whole = whole or tuple(np.empty(shape, part.dtype) for part in parts)
        for target, part in zip(whole, parts, strict=True):
            target[n : n + examples, :, row : row + rows] = part
    return whole


def _block(
    x: Array,
    left: Any,
    kernel: Sizes,
    first: Sizes,
    steps: Sizes,
    spreads: Sizes,
    size: Sizes,
    groups: int,
    out: int,
    product: Product,
) -> Parts:
    """One matrix product per group, of the windows as columns: with all examples side by side where each is small."""
    n, area, rank = len(x), prod(size), len(size)
    columns: Array
    seen = unroll(x, kernel, first, steps, spreads, size)
    taps = x.shape[1] // groups * prod(kernel)
    if (n > 1 and area < _FOLD) or size[-1] < kernel[-1]:
        if size[-1] < kernel[-1]:  # copy along the longer axis; BLAS reads either order
            seen = seen.transpose(*range(1 + rank, 2 + 2 * rank), *range(1 + rank))
            columns = seen.reshape(n * area, groups, taps).transpose(1, 2, 0)
        else:
            columns = seen.reshape(groups, taps, n * area)
        return tuple(part.reshape(out, n, *size).swapaxes(0, 1) for part in product.times(left, columns))
    if n == 1:
        columns = seen.reshape(1, groups, taps, area)
    else:
        columns = np.moveaxis(seen, 1 + rank, 0).reshape(n, groups, taps, area)
    return tuple(part.reshape(n, out, *size) for part in product.times(left, columns))


def _nothing(shape: Sizes, product: Product) -> Parts:
    """Zeros of what the product makes: sums of no terms."""
    zero = np.zeros((1, 1, 1), np.int64)
    parts = product.times(product.left(zero), zero)
    return tuple(np.zeros(shape, part.dtype) for part in parts)


def _frame(x: Array, first: Sizes, extents: Sequence[int]) -> Array:
    """``x`` placed ``first`` into zeros of spatial size ``extents`` and cropped to it; ``x`` itself if it covers."""
    if not any(first) and all(e <= size for e, size in zip(extents, x.shape[2:], strict=True)):
        return np.ascontiguousarray(x)
    frame = np.zeros((*x.shape[:2], *extents), x.dtype)
    source: list[slice] = []
    target: list[slice] = []
    for begin, extent, size in zip(first, extents, x.shape[2:], strict=True):
        skip, start = max(-begin, 0), max(begin, 0)
        length = max(min(size - skip, extent - start), 0)
        source.append(slice(skip, skip + length))
        target.append(slice(start, start + length))
    frame[(slice(None), slice(None), *target)] = x[(slice(None), slice(None), *source)]
    return frame
