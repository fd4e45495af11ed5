"""Float64 references for every geometry, each with the scale and the number of terms that bound its rounding.

Forward, input gradient and kernel gradient, plain and transposed, are all one sliding sum (``_slide``) with
different arguments. Values, scales and counts come from the same maps applied to ``(a, b)``, ``(|a|, |b|)`` and
``(1, 1)``, so a bound can never describe another computation than the one it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product as every
from math import gcd, prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscorrect import dtypes
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

Array: TypeAlias = np.ndarray[Any, Any]
Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Sizes: TypeAlias = tuple[int, ...]
Bilinear: TypeAlias = Callable[[Floats, Floats, Geometry, Sizes], Floats]

_COLUMNS = 2**22
"""The most elements unrolled at once (32 MiB); a larger problem is split along its first output axis."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A right answer and what its rounding error is measured against; arrays of one shape.

    ``value`` is the answer (float64, or complex128), ``scale`` the sum S of the absolute values of its terms (for
    complex data ``(|xr| + |xi|) * (|wr| + |wi|)``, which bounds both components), ``terms`` their number n: only taps
    that fall inside the image count, and a bias counts as one.

    The value is itself rounded: by at most ``own`` where that is given, else ``bounds.reference_error`` says by how
    much. Where float64 alone is not enough, ``value + low`` is the answer.

    ``special`` marks the elements whose non-finite value IEEE arithmetic determines, whatever the order of summation.
    Where several answers are legitimate, ``property`` names what this one stands for and ``others`` holds the rest.
    ``single`` marks the elements with at most one nonzero product, and that one exact in the problem's dtype: there
    any sum must copy bits.
    """

    value: Array
    scale: Floats
    terms: Counts
    low: Array | None = None
    own: Floats | None = None
    special: Bools | None = None
    property: str = ""
    others: tuple[Reference, ...] = ()
    single: Bools | None = None


def forward(x: Array, w: Array, b: Array | None, geometry: Geometry, dtype: str | None = None) -> Reference:
    """The cross-correlation ``(N, C, *space), (O, C / groups, *kernel), (O,) -> (N, O, *output)``.

    A transposed geometry takes kernels ``(C, O / groups, *kernel)``. Any real or integer dtype is read exactly as
    float64. Raises ValueError where shapes do not fit together, TypeError for complex data.
    """
    x, w, geometry = _checked(x, w, geometry)
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    if geometry.transposed:
        reference = _reference(_adjoint, x, w, geometry, size, w.shape[0] // geometry.groups)
    else:
        reference = _reference(_correlation, x, w, geometry, size, w.shape[1])
    if b is None:
        return reference
    bias = _float64(b)
    if bias.shape != (reference.value.shape[1],):
        raise ValueError(f"bias of shape {bias.shape} for {reference.value.shape[1]} output channels")
    bias = bias.reshape(-1, *(1,) * geometry.rank)
    return Reference(reference.value + bias, reference.scale + np.abs(bias), reference.terms + 1)


def gradients(
    x: Array, w: Array, b: Array | None, dy: Array, geometry: Geometry, dtype: str | None = None
) -> dict[Direction, Reference]:
    """The gradients of ``sum(forward(x, w, b) * dy)``: input, kernel and, where there is a bias, bias.

    Shapes are those of ``x``, ``w`` and ``b``. Raises ValueError if ``dy`` has not the shape of the output.
    """
    x, w, geometry = _checked(x, w, geometry)
    dy = _float64(dy)
    if dy.shape != geometry.output_shape(x.shape, w.shape):
        raise ValueError(f"dy of shape {dy.shape} for an output of shape {geometry.output_shape(x.shape, w.shape)}")
    image, kernel, groups = x.shape[2:], w.shape[2:], geometry.groups
    if geometry.transposed:
        dx = _reference(_correlation, dy, w, geometry, image, w.shape[1])
        dw = _reference(_kernel_gradient, dy, x, geometry, kernel, len(x))
    else:
        dx = _reference(_adjoint, dy, w, geometry, image, w.shape[0] // groups)
        dw = _reference(_kernel_gradient, x, dy, geometry, kernel, len(x))
    found = {Direction.GRAD_INPUT: dx, Direction.GRAD_WEIGHT: dw}
    if b is not None:
        axes = (0, *range(2, dy.ndim))
        count = np.full(dy.shape[1], len(dy) * prod(dy.shape[2:]), np.int64)
        found[Direction.GRAD_BIAS] = Reference(dy.sum(axes), np.abs(dy).sum(axes), count)
    return found


def corr2d(x: Array, k: Array, b: Array | None = None) -> Reference:
    """The chapter's ``(H, W), (h, w) -> (H - h + 1, W - w + 1)``, with a scalar bias of one element if given."""
    bias = None if b is None else np.reshape(b, 1)
    lifted = forward(np.asarray(x)[None, None], np.asarray(k)[None, None], bias, Geometry())
    return Reference(lifted.value[0, 0], lifted.scale[0, 0], lifted.terms[0, 0])


def windows(x: Array, kernel: Sequence[int], geometry: Geometry) -> Floats:
    """What the kernel sees: ``(N, C, *space) -> (N, *output, C, *kernel)`` in float64, zeros where it sees padding."""
    x, kernel = _float64(x), tuple(kernel)
    geometry = _explicit(geometry, x.shape[2:], kernel)
    size = geometry.output_size(x.shape[2:], kernel)
    seen = _unroll(x, kernel, _begins(geometry), geometry.stride, geometry.dilation, size)
    rank = geometry.rank
    return np.ascontiguousarray(seen.transpose(1 + rank, *range(2 + rank, 2 + 2 * rank), 0, *range(1, 1 + rank)))


def _reference(bilinear: Bilinear, a: Floats, b: Floats, geometry: Geometry, size: Sizes, repeats: int) -> Reference:
    """The same map on ``(a, b)``, ``(|a|, |b|)`` and ``(1, 1)``; ``repeats`` terms (channels, examples) per tap."""
    with np.errstate(invalid="ignore", over="ignore"):
        value = bilinear(a, b, geometry, size)
        scale = bilinear(np.abs(a), np.abs(b), geometry, size)
    counts = _taps(bilinear, geometry, a.shape[2:], b.shape[2:], size) * repeats
    return Reference(value, scale, np.broadcast_to(counts, value.shape))


@lru_cache(maxsize=1024)
def _taps(bilinear: Bilinear, geometry: Geometry, a: Sizes, b: Sizes, size: Sizes) -> Counts:
    """How many taps of one channel fall inside the image: one map of ones per axis, for the axes are independent."""
    pads = geometry.pads(a, b)
    counts = np.ones((), np.int64)
    for axis in range(geometry.rank):
        line = Geometry((geometry.stride[axis],), (pads[axis],), (geometry.dilation[axis],))
        ones = bilinear(np.ones((1, 1, a[axis])), np.ones((1, 1, b[axis])), line, (size[axis],))
        counts = np.multiply.outer(counts, ones[0, 0].astype(np.int64))
    counts.setflags(write=False)
    return counts


def _correlation(x: Floats, w: Floats, geometry: Geometry, size: Sizes) -> Floats:
    """``y[o, i] = sum over c, a of x[c, i * stride + a * dilation - begin] * w[o, c, a]``."""
    return _slide(x, w, _begins(geometry), geometry.stride, geometry.dilation, size, geometry.groups)


def _adjoint(y: Floats, w: Floats, geometry: Geometry, image: Sizes) -> Floats:
    """``x[c, j] = sum over o and all (i, a) with j = i * stride + a * dilation - begin of y[o, i] * w[o, c, a]``.

    The image falls into ``prod(stride)`` phases, each a correlation of stride 1 with every so many-th tap, in
    reverse order: no work is spent on stuffed zeros, and the products stay in ``_slide``.
    """
    groups, out = geometry.groups, w.shape[0]
    w = w.reshape(groups, out // groups, *w.shape[1:]).swapaxes(1, 2)
    w = w.reshape(groups * w.shape[1], out // groups, *w.shape[3:])
    x = np.zeros((len(y), len(w), *image))
    axes = zip(geometry.stride, geometry.dilation, _begins(geometry), image, w.shape[2:], strict=True)
    for phases in every(*[_phases(*axis) for axis in axes]):
        rows, taps, begins, spreads, size = zip(*phases, strict=True)
        part = _slide(y, w[(..., *taps)], begins, (1,) * geometry.rank, spreads, size, groups)
        x[(..., *rows)] = part
    return x


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


def _kernel_gradient(x: Floats, y: Floats, geometry: Geometry, kernel: Sizes) -> Floats:
    """``w[o, c, a] = sum over n, i of x[n, c, i * stride + a * dilation - begin] * y[n, o, i]``.

    A correlation whose kernel is ``y``: examples and channels change places, and so do stride and dilation.
    """
    groups, channels = geometry.groups, x.shape[1]
    x = np.moveaxis(x.reshape(len(x), groups, channels // groups, *x.shape[2:]), (2, 1, 0), (0, 1, 2))
    x = x.reshape(channels // groups, groups * y.shape[0], *x.shape[3:])
    y = y.swapaxes(0, 1)
    return _slide(x, y, _begins(geometry), geometry.dilation, geometry.stride, kernel, groups).swapaxes(0, 1)


def _slide(x: Floats, w: Floats, begins: Sizes, steps: Sizes, spreads: Sizes, size: Sizes, groups: int) -> Floats:
    """The one sliding sum: ``(N, C, *space), (O, C / groups, *kernel) -> (N, O, *size)``.

    The window at ``i`` reads ``x[i * steps + a * spreads - begins]``, zero outside. Unrolled and multiplied by BLAS.
    """
    n, channels, out, kernel = *x.shape[:2], w.shape[0], w.shape[2:]
    if n * channels * prod(kernel) * prod(size) > _COLUMNS and size[0] > 1:
        half = size[0] // 2
        later = (begins[0] - half * steps[0], *begins[1:])
        parts = (
            _slide(x, w, begins, steps, spreads, (half, *size[1:]), groups),
            _slide(x, w, later, steps, spreads, (size[0] - half, *size[1:]), groups),
        )
        return np.concatenate(parts, axis=2)
    if not x.size or not w.size:
        return np.zeros((n, out, *size))
    columns = _unroll(x, kernel, begins, steps, spreads, size)
    columns = columns.reshape(groups, w.shape[1] * prod(kernel), n * prod(size))
    sums = _multiply(w.reshape(groups, out // groups, -1), columns)
    return sums.reshape(out, n, *size).swapaxes(0, 1)


def _multiply(a: Floats, b: Floats) -> Floats:
    """Every product of the oracle: the seam for a reference better than float64.

    Its error is at most ``gamma(n, 2**-53)`` times the product of the absolute values, in any order of summation.
    """
    found: Floats = np.matmul(a, b)
    return found


def _unroll(x: Floats, kernel: Sizes, begins: Sizes, steps: Sizes, spreads: Sizes, size: Sizes) -> Floats:
    """A strided view of all windows, ``(C, *kernel, N, *size)``, over a frame of zeros where any are needed."""
    extents = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, steps, kernel, spreads, strict=True)]
    frame = _frame(x, begins, extents)
    per_n, per_c, *per = frame.strides
    strides = (
        per_c,
        *(d * p for d, p in zip(spreads, per, strict=True)),
        per_n,
        *(s * p for s, p in zip(steps, per, strict=True)),
    )
    return np.ndarray((x.shape[1], *kernel, len(x), *size), np.float64, buffer=frame.data, strides=strides)


def _frame(x: Floats, begins: Sizes, extents: Sequence[int]) -> Floats:
    """``x`` placed ``begins`` into zeros of spatial size ``extents`` and cropped to it; ``x`` itself if it covers."""
    if not any(begins) and all(e <= size for e, size in zip(extents, x.shape[2:], strict=True)):
        return np.ascontiguousarray(x)
    frame = np.zeros((*x.shape[:2], *extents))
    source: list[slice] = []
    target: list[slice] = []
    for begin, extent, size in zip(begins, extents, x.shape[2:], strict=True):
        skip, start = max(-begin, 0), max(begin, 0)
        length = max(min(size - skip, extent - start), 0)
        source.append(slice(skip, skip + length))
        target.append(slice(start, start + length))
    frame[(slice(None), slice(None), *target)] = x[(slice(None), slice(None), *source)]
    return frame


def _begins(geometry: Geometry) -> Sizes:
    """The zeros before the image, per axis, of a geometry that spells its padding as counts."""
    return tuple(begin for begin, _ in geometry.pads((), ()))


def _explicit(geometry: Geometry, image: Sizes, kernel: Sizes) -> Geometry:
    """The geometry with hashable counts, for an image and a kernel whose output is not empty."""
    if not geometry.rank == len(image) == len(kernel):
        raise ValueError(f"geometry of {geometry.rank} axes for image {image} and kernel {kernel}")
    size = geometry.output_size(image, kernel)
    if min(size) < 1:
        raise ValueError(f"kernel {kernel} does not fit image {image}: output size {size}")
    pads = tuple((int(begin), int(end)) for begin, end in geometry.pads(image, kernel))
    return Geometry(
        tuple(geometry.stride),
        pads,
        tuple(geometry.dilation),
        geometry.groups,
        geometry.transposed,
        tuple(geometry.output_padding),
    )


def _checked(x: Array, w: Array, geometry: Geometry) -> tuple[Floats, Floats, Geometry]:
    """Both in float64 and the explicit geometry, or ValueError where channels, groups or sizes do not fit."""
    x, w = _float64(x), _float64(w)
    geometry = _explicit(geometry, x.shape[2:], w.shape[2:])
    groups = geometry.groups
    fits = x.shape[1] == (w.shape[0] if geometry.transposed else w.shape[1] * groups) and w.shape[0] % groups == 0
    if not fits:
        raise ValueError(f"input of shape {x.shape} and kernel of shape {w.shape} do not fit with {groups} groups")
    return x, w, geometry


def _float64(array: Array) -> Floats:
    """The same numbers in float64; complex data have no order and no bound here (TypeError)."""
    if np.iscomplexobj(array):
        raise TypeError("the oracle answers for real data only")
    return np.asarray(dtypes.widen(array), np.float64)
