"""Cross-correlation as one matrix product (Problem 3), in its two forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crosscorrect.oracle import Array


def unrolled(x: Array, w: Array) -> tuple[Array, Array]:
    """Return the windows as rows ``(OH * OW, h * w)`` and the flattened kernel ``(h * w, 1)``.

    ``x`` is ``(H, W)``, ``w`` is ``(h, w)``; each keeps its dtype. The product, reshaped to ``(OH, OW)``, is their
    correlation. Raises ValueError where the kernel does not fit.
    """
    rows, columns = _output(x, w)
    views = np.lib.stride_tricks.sliding_window_view(x, w.shape)
    return views.reshape(rows * columns, w.size), np.ascontiguousarray(w).reshape(-1, 1)


def toeplitz(x: Array, w: Array) -> tuple[Array, Array]:
    """Return the kernel's doubly blocked Toeplitz matrix ``(OH * OW, H * W)`` and the flattened image ``(H * W, 1)``.

    Row ``(i, j)`` holds the kernel where its window lies in the flattened image, and zeros elsewhere: blocks of
    ``(OW, W)`` repeat along the block diagonals, and inside each block the numbers repeat along its diagonals.
    """
    rows, columns = _output(x, w)
    a = np.zeros((rows, columns, *x.shape), w.dtype)
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    for (di, dj), tap in np.ndenumerate(w):
        a[i, j, i + di, j + dj] = tap
    return a.reshape(rows * columns, x.size), np.ascontiguousarray(x).reshape(-1, 1)


def _output(x: Array, w: Array) -> tuple[int, int]:
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError(f"an image and a kernel of two axes are needed, not {x.shape} and {w.shape}")
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"kernel {w.shape} does not fit image {x.shape}")
    return rows, columns
