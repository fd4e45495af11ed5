"""Small emulations of the arithmetics that convolutions are computed in: right ones, reduced ones, fast ones, defects.

Everything here works on plain arrays and shares no code with the bounds that it tests, but the interpolation points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes, fast

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]
Pads = tuple[tuple[int, int], ...]


def factors(x: Array, w: Array, pads: Pads) -> tuple[Array, Array]:
    """What each output of a plain 2-D correlation of stride 1 sums: windows (N·H·W, n) and kernels (O, n)."""
    frame = np.pad(x, ((0, 0), (0, 0), *pads))
    seen = np.lib.stride_tricks.sliding_window_view(frame, w.shape[2:], axis=(2, 3))
    return seen.transpose(0, 2, 3, 1, 4, 5).reshape(-1, w[0].size), w.reshape(len(w), -1)


def shaped(sums: Array, x: Array, w: Array, pads: Pads) -> Array:
    """Sums (N·H·W, O) as the output (N, O, H, W)."""
    size = [n + sum(p) - k + 1 for n, p, k in zip(x.shape[2:], pads, w.shape[2:], strict=True)]
    return sums.reshape(len(x), *size, len(w)).transpose(0, 3, 1, 2)


def sequential(a: Array, b: Array) -> Array:
    """``(..., n), (..., n) -> (...)``: products and sums rounded to the arrays' dtype, one after the other."""
    return np.add.accumulate(a * b, axis=-1, dtype=a.dtype)[..., -1]


def pairwise(a: Array, b: Array) -> Array:
    return np.sum(a * b, axis=-1, dtype=a.dtype)


def lanes(a: Array, b: Array, width: int = 8) -> Array:
    """As SIMD code sums: so many partial sums side by side, then those."""
    p = a * b
    p = np.concatenate([p, np.zeros((*p.shape[:-1], -p.shape[-1] % width), p.dtype)], axis=-1)
    side = np.add.accumulate(p.reshape(*p.shape[:-1], -1, width), axis=-2, dtype=p.dtype)[..., -1, :]
    return np.add.accumulate(side, axis=-1, dtype=p.dtype)[..., -1]


def blas(a: Array, b: Array) -> Array:
    return (a[..., None, :] @ b[..., :, None])[..., 0, 0]


def rounded(products: Array, rounding: Callable[[Array], Array], block: int = 1) -> Array:
    """Sum exact products, ``block`` of them exactly between two roundings: block 1 to nearest is fused multiply-add."""
    steps = np.moveaxis(products, -1, 0)
    total = np.zeros(steps.shape[1:])
    for start in range(0, len(steps), block):
        total = np.asarray(rounding(total + steps[start : start + block].sum(axis=0)), np.float64)
    return total


def fused(a: Array, b: Array) -> Array:
    return rounded(a.astype(np.float64) * b, float32).astype(np.float32)


def truncated(a: Array, b: Array, block: int = 1) -> Array:
    """A float32 accumulator that rounds toward zero, as tensor cores have it, ``block`` products at a time."""
    return rounded(a.astype(np.float64) * b, toward_zero, block).astype(np.float32)


def float32(values: Array) -> Array:
    return np.asarray(values).astype(np.float32)


def toward_zero(values: Array) -> Array:
    near = float32(values)
    beyond = np.abs(near.astype(np.float64)) > np.abs(values)
    return np.where(beyond, np.nextafter(near, np.float32(0)), near)


def tf32(values: Array) -> Array:
    """To nearest, ties to even, with 10 bits after the point."""
    bits = float32(values).view(np.uint32)
    return ((bits + np.uint32(0x0FFF) + ((bits >> 13) & np.uint32(1))) & np.uint32(0xFFFFE000)).view(np.float32)


def tf32_cut(values: Array) -> Array:
    """The same with the other bits just dropped."""
    return (float32(values).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def bfloat16(values: Array) -> Array:
    return np.asarray(dtypes.widen(dtypes.narrow(values, "bfloat16")))


def float16(values: Array) -> Array:
    return np.asarray(values).astype(np.float16).astype(np.float32)


def winograd(x: Array, w: Array, pads: Pads, name: str) -> Array:
    """F(m, 3) x F(m, 3) in the arrays' dtype, tile by tile; ``(N, C, H, W), (O, C, 3, 3) -> (N, O, H', W')``."""
    at, g, bt = (matrix.astype(np.float64).astype(x.dtype) for matrix in fast.transforms(name))
    m = len(at)
    kernels = np.einsum("ia,ocab,jb->ijoc", g, w, g)
    size = [n + sum(p) - 2 for n, p in zip(x.shape[2:], pads, strict=True)]
    frame = np.pad(x, ((0, 0), (0, 0), *((p[0], p[1] + m) for p in pads)))
    out = np.zeros((len(x), len(w), size[0] + m, size[1] + m), x.dtype)
    for top in range(0, size[0], m):
        for left in range(0, size[1], m):
            tile = np.einsum("ia,ncab,jb->ijcn", bt, frame[:, :, top : top + m + 2, left : left + m + 2], bt)
            out[:, :, top : top + m, left : left + m] = np.einsum("ai,ijon,bj->noab", at, kernels @ tile, at)
    return out[:, :, : size[0], : size[1]]


def winograd_gradient(x: Array, dy: Array, pads: Pads, name: str) -> Array:
    """The kernel gradient (O, C, 3, 3) by F(3, m), the transposed algorithm, in the arrays' dtype."""
    at, g, bt = (matrix.astype(np.float64).astype(x.dtype) for matrix in fast.transforms(name))
    m = len(at)
    frame = np.pad(x, ((0, 0), (0, 0), *((p[0], p[1] + m) for p in pads)))
    padded = np.pad(dy, ((0, 0), (0, 0), (0, m), (0, m)))
    total = np.zeros((m + 2, m + 2, dy.shape[1], x.shape[1]), x.dtype)
    for top in range(0, dy.shape[2], m):
        for left in range(0, dy.shape[3], m):
            tile = np.einsum("ia,ncab,jb->ijnc", bt, frame[:, :, top : top + m + 2, left : left + m + 2], bt)
            other = np.einsum("ai,noab,bj->ijon", at, padded[:, :, top : top + m, left : left + m], at)
            total = total + other @ tile
    return np.einsum("ia,ijoc,jb->ocab", g, total, g)


def fourier(x: Array, w: Array, pads: Pads) -> Array:
    """The correlation by way of radix-2 transforms in complex64: ``(N, C, H, W), (O, C, h, w) -> (N, O, H', W')``."""
    frame = np.pad(x, ((0, 0), (0, 0), *pads))
    length = [1 << (n - 1).bit_length() for n in frame.shape[2:]]
    spectra = [_spectrum(a, length) for a in (frame, w)]
    product = np.einsum("ncab,ocab->noab", spectra[0], spectra[1].conj(), dtype=np.complex64)
    back = _radix2(_radix2(product.conj()).swapaxes(2, 3)).swapaxes(2, 3).conj() / np.float32(length[0] * length[1])
    size = [n - k + 1 for n, k in zip(frame.shape[2:], w.shape[2:], strict=True)]
    return np.ascontiguousarray(back.real[:, :, : size[0], : size[1]])


def _spectrum(array: Array, length: list[int]) -> Array:
    fill = [(0, n - size) for n, size in zip(length, array.shape[2:], strict=True)]
    return _radix2(_radix2(np.pad(array, ((0, 0), (0, 0), *fill)).astype(np.complex64)).swapaxes(2, 3)).swapaxes(2, 3)


def _radix2(array: Array) -> Array:
    """The transform along the last axis, of a power of two, with twiddles right to float32's u."""
    n = array.shape[-1]
    if n == 1:
        return array
    even, odd = _radix2(array[..., ::2]), _radix2(array[..., 1::2])
    odd = odd * np.exp(-2j * np.pi * np.arange(n // 2) / n).astype(np.complex64)
    return np.concatenate([even + odd, even - odd], axis=-1)


def gauss(a: Array, b: Array, add: Callable[[Array, Array], Array] = sequential) -> Array:
    """A sum of complex products by three real ones, as PyTorch has it."""
    first, second = add(a.real, b.real), add(a.imag, b.imag)
    third = add(a.real + a.imag, b.real + b.imag)
    return (first - second) + 1j * (third - first - second)


def schoolbook(a: Array, b: Array, add: Callable[[Array, Array], Array] = sequential) -> Array:
    """A sum of complex products by four real ones, all in one sum."""
    real = add(np.concatenate([a.real, -a.imag], axis=-1), np.concatenate([b.real, b.imag], axis=-1))
    imag = add(np.concatenate([a.real, a.imag], axis=-1), np.concatenate([b.imag, b.real], axis=-1))
    return real + 1j * imag
