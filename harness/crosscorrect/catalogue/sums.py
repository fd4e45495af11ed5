"""Sums in other arithmetics, emulated: accumulators that truncate or are narrow, Winograd's algorithms, FFT.

Each takes float arrays and a plain (not transposed) geometry and returns the output in the dtype of ``x``; None where
the algorithm does not apply to the geometry.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes, oracle
from crosscorrect.catalogue.arithmetic import rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Array

DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
LARGEST = 2**24
"""The most multiplications that a sequential sum is emulated for: larger problems stay right."""


def accumulated(x: Array, w: Array, geometry: Geometry, add: Callable[[Array], Array]) -> Array | None:
    """Sum product by product, each partial sum put through ``add``: a sequential accumulator of another kind."""
    if geometry.transposed:
        return None
    groups, out = geometry.groups, w.shape[0] // geometry.groups
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    if len(x) * w.size * prod(size) > LARGEST:
        return None
    seen = oracle.windows(x, w.shape[2:], geometry)  # (N, *output, C, *kernel)
    seen = seen.reshape(-1, groups, w.shape[1] * prod(w.shape[2:]))
    kernel = np.asarray(w, np.float64).reshape(groups, out, -1)
    total = np.zeros((seen.shape[0], groups, out))
    for k in range(seen.shape[2]):
        total = add(total + seen[:, :, None, k] * kernel[None, :, :, k])
    y = total.reshape(len(x), *size, w.shape[0])
    return np.moveaxis(y, -1, 1).astype(x.dtype)


def winograd(x: Array, w: Array, geometry: Geometry, tile: int) -> Array | None:
    """Winograd's minimal filtering F(tile, 3), nested over the axes, every product and sum rounded to ``x.dtype``.

    Only kernels of three taps an axis, stride and dilation 1, one or two axes. The transforms are Toom–Cook's with the
    usual points 0, ±1, ±2, ±1/2 and infinity (A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks",
    2016); two in F(2, 3), four in F(4, 3), six in F(6, 3) beside 0 and infinity.
    """
    steps = (1,) * geometry.rank
    fits = geometry.stride == geometry.dilation == steps and w.shape[2:] == (3,) * geometry.rank
    if not fits or geometry.transposed or geometry.rank > 2 or x.dtype.kind != "f":
        return None
    back, kernel, image = (m.astype(x.dtype) for m in transforms(tile))
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    tiles = [-(-n // tile) for n in size]
    pads = geometry.pads(x.shape[2:], w.shape[2:])
    widths = [(b, tile * t + 2 - n - b) for (b, _), n, t in zip(pads, x.shape[2:], tiles, strict=True)]
    wide = np.pad(x, [(0, 0), (0, 0), *((b, max(e, 0)) for b, e in widths)])
    groups, out = geometry.groups, w.shape[0] // geometry.groups
    y = np.zeros((len(x), w.shape[0], *(tile * t for t in tiles)), x.dtype)
    spectrum = _along(w, kernel, geometry.rank).reshape(groups, out, *w.shape[1:2], -1)
    for place in product(*map(range, tiles)):
        into: Any = (..., *(slice(tile * t, tile * t + tile + 2) for t in place))
        onto: Any = (..., *(slice(tile * t, tile * t + tile) for t in place))
        part = wide[into]
        seen = _along(part, image, geometry.rank).reshape(len(x), groups, 1, w.shape[1], -1)
        sums = (seen * spectrum).sum(3, dtype=x.dtype).reshape(len(x), w.shape[0], *(tile + 2,) * geometry.rank)
        y[onto] = _along(sums, back, geometry.rank)
    inside: Any = (..., *(slice(n) for n in size))
    return np.ascontiguousarray(y[inside])


def transforms(tile: int) -> tuple[Array, Array, Array]:
    """The matrices A^T (tile, n), G (n, 3) and B^T (n, n) with ``y = A^T [(G g) * (B^T d)]`` and n = tile + 2."""
    points = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5][: tile + 1])
    n = tile + 2
    back, kernel = np.zeros((tile, n)), np.zeros((n, 3))
    back[:, :-1], back[-1, -1] = points[None, :] ** np.arange(tile)[:, None], 1.0
    scale = [prod(p - q for q in points if q != p) for p in points]
    kernel[:-1] = points[:, None] ** np.arange(3)[None, :] / np.array(scale)[:, None]
    kernel[-1, -1] = 1.0
    # B^T follows from the two: sum over i of A^T[j, i] G[i, k] B^T[i, l] is 1 where l = j + k and 0 elsewhere
    left = (back[:, None, :] * kernel.T[None, :, :]).reshape(tile * 3, n)
    right = np.zeros((tile * 3, n))
    for j, k in product(range(tile), range(3)):
        right[j * 3 + k, j + k] = 1.0
    image, *_ = np.linalg.lstsq(left, right, rcond=None)
    return back, kernel, np.round(image * 64) / 64  # the entries are multiples of 1/4 or coarser: drop lstsq's rounding


def fft(x: Array, w: Array, geometry: Geometry) -> Array | None:
    """Correlate by a Fourier transform of the whole padded image in the precision of ``x.dtype`` (float32, float64)."""
    if geometry.transposed or x.dtype.name not in ("float32", "float64"):
        return None
    axes = tuple(range(2, x.ndim))
    pads = geometry.pads(x.shape[2:], w.shape[2:])
    wide = np.pad(x, [(0, 0), (0, 0), *((max(b, 0), max(e, 0)) for b, e in pads)])
    spans = geometry.spans(w.shape[2:])
    stuffed = np.zeros((*w.shape[:2], *spans), w.dtype)
    spread: Any = (..., *(slice(None, None, d) for d in geometry.dilation))
    stuffed[spread] = w
    groups, out, length = geometry.groups, w.shape[0] // geometry.groups, wide.shape[2:]
    image = np.fft.rfftn(wide, length, axes).reshape(len(x), groups, 1, w.shape[1], *_half(length))
    kernel = np.conj(np.fft.rfftn(stuffed, length, axes)).reshape(groups, out, w.shape[1], *_half(length))
    product_ = (image * kernel).sum(3).reshape(len(x), w.shape[0], *_half(length))
    full = np.fft.irfftn(product_, length, axes)
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    taken: Any = (..., *(slice(0, (n - 1) * s + 1, s) for n, s in zip(size, geometry.stride, strict=True)))
    return np.ascontiguousarray(full[taken]).astype(x.dtype)


def computed(name: str, x: Array, w: Array, geometry: Geometry) -> Array | None:
    """The output (without bias) of the arithmetic entry of this name; None where it does not apply."""
    x, w = dtypes.widen(x), dtypes.widen(w)
    if x.dtype.kind != "f" or not (x.size and w.size):
        return None
    digits = DIGITS[x.dtype.name]
    ways: dict[str, Callable[[], Array | None]] = {
        "truncating-accumulator": lambda: accumulated(x, w, geometry, lambda a: rounded(a, digits, truncate=True)),
        "fp16-accumulator": lambda: accumulated(x, w, geometry, lambda a: rounded(a, min(digits, 11), -14)),
        "bf16-accumulator": lambda: accumulated(x, w, geometry, lambda a: rounded(a, min(digits, 8))),
        "winograd-f2": lambda: winograd(x, w, geometry, 2),
        "winograd-f4": lambda: winograd(x, w, geometry, 4),
        "winograd-f6": lambda: winograd(x, w, geometry, 6),
        "fft": lambda: fft(x, w, geometry),
    }
    return ways[name]()


def _along(a: Array, matrix: Array, rank: int) -> Array:
    """Apply a matrix along each of the last ``rank`` axes."""
    for axis in range(a.ndim - rank, a.ndim):
        a = np.moveaxis(np.tensordot(a, matrix, axes=([axis], [1])), -1, axis)
    return a


def _half(length: Any) -> tuple[int, ...]:
    return (*length[:-1], length[-1] // 2 + 1)
