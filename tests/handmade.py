"""Convolutions as people write them by hand, right and wrong in the ways that people get them wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]


def corr2d(x: Array, w: Array) -> Array:
    """The chapter's double loop."""
    h, k = w.shape
    y = np.zeros((x.shape[0] - h + 1, x.shape[1] - k + 1), x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + h, j : j + k] * w).sum()
    return y


def flipped(x: Array, w: Array) -> Array:
    return corr2d(x, w[::-1, ::-1])


def half_flipped(x: Array, w: Array) -> Array:
    return corr2d(x, w[:, ::-1])


def transposed(x: Array, w: Array) -> Array:
    return corr2d(x.T, w).T


def mean(x: Array, w: Array) -> Array:
    return corr2d(x, w) / x.dtype.type(w.size)


def border_lost(x: Array, w: Array) -> Array:
    """The loops end one too early, and the last row and column stay as they were made."""
    h, k = w.shape
    y = np.zeros((x.shape[0] - h + 1, x.shape[1] - k + 1), x.dtype)
    for i in range(y.shape[0] - 1):
        for j in range(y.shape[1] - 1):
            y[i, j] = (x[i : i + h, j : j + k] * w).sum()
    return y


def too_small(x: Array, w: Array) -> Array:
    """The output is one too small on each axis that can be."""
    y = corr2d(x, w)
    return y[: max(1, y.shape[0] - 1), : max(1, y.shape[1] - 1)]


def half_precision(x: Array, w: Array) -> Array:
    """A float16 accumulator."""
    h, k = w.shape
    y = np.zeros((x.shape[0] - h + 1, x.shape[1] - k + 1), x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            total = np.float16(0)
            for a in range(h):
                for b in range(k):
                    total = np.float16(total + x[i + a, j + b] * w[a, b])
            y[i, j] = total
    return y


def single_precision(x: Array, w: Array) -> Array:
    return corr2d(x.astype(np.float32), w.astype(np.float32)).astype(x.dtype)


def always_float64(x: Array, w: Array) -> Array:
    return corr2d(x.astype(np.float64), w.astype(np.float64))


def conv(
    x: Array,
    w: Array,
    bias: Array | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """(N, C, H, W) and (O, I, h, w), with everything: a loop over windows, einsum inside."""
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    rows, columns = ((n - e) // s + 1 for n, e, s in zip(padded.shape[2:], spans, stride, strict=True))
    inputs, outputs = w.shape[1], w.shape[0] // groups
    y = np.zeros((x.shape[0], w.shape[0], rows, columns), x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride[0], j * stride[1]
            seen = padded[:, :, top : top + spans[0] : dilation[0], left : left + spans[1] : dilation[1]]
            for g in range(groups):
                one, out = slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)
                y[:, out, i, j] = np.einsum("ncab,ocab->no", seen[:, one], w[out])
    return y if bias is None else y + bias[:, None, None]


def corr2d_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array]:
    """The adjoint of the double loop: each assignment, reversed."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i : i + w.shape[0], j : j + w.shape[1]] += dy[i, j] * w
            dw += dy[i, j] * x[i : i + w.shape[0], j : j + w.shape[1]]
    return dx, dw


def conv_backward(
    dy: Array,
    x: Array,
    w: Array,
    bias: Array | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
) -> tuple[Array, Array, Array | None]:
    """The same of ``conv`` without groups."""
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    dp, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            top, left = i * stride[0], j * stride[1]
            seen = np.s_[:, :, top : top + spans[0] : dilation[0], left : left + spans[1] : dilation[1]]
            dp[seen] += np.einsum("no,ocab->ncab", dy[:, :, i, j], w)
            dw += np.einsum("no,ncab->ocab", dy[:, :, i, j], padded[seen])
    (top, _), (left, _) = padding
    dx = dp[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return dx, dw, None if bias is None else dy.sum((0, 2, 3))


def wrong(change: Callable[..., dict[str, Any]]) -> Callable[..., Array]:
    """``conv`` with some arguments changed: ``change`` is given all of them and returns those."""

    def broken(
        x: Array,
        w: Array,
        bias: Array | None = None,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> Array:
        given = {"x": x, "w": w, "bias": bias, "stride": stride, "padding": padding, "dilation": dilation}
        given["groups"] = groups
        return conv(**(given | change(**given)))

    return broken


def edge_padded(x: Array, padding: Any, **_: Any) -> dict[str, Any]:
    return {"x": np.pad(x, ((0, 0), (0, 0), *padding), mode="edge"), "padding": ((0, 0), (0, 0))}


WRONG: dict[str, Callable[..., Array]] = {
    "bias-ignored": wrong(lambda **_: {"bias": None}),
    "bias-reversed": wrong(lambda bias, **_: {"bias": None if bias is None else bias[::-1]}),
    "swapped-padding-sides": wrong(lambda padding, **_: {"padding": tuple(p[::-1] for p in padding)}),
    "swapped-padding-axes": wrong(lambda padding, **_: {"padding": padding[::-1]}),
    "padding-ignored": wrong(lambda **_: {"padding": ((0, 0), (0, 0))}),
    "edge-padding": wrong(edge_padded),
    "swapped-stride": wrong(lambda stride, **_: {"stride": stride[::-1]}),
    "stride-ignored": wrong(lambda **_: {"stride": (1, 1)}),
    "swapped-dilation": wrong(lambda dilation, **_: {"dilation": dilation[::-1]}),
    "dilation-ignored": wrong(lambda **_: {"dilation": (1, 1)}),
    "input-channels-reversed": wrong(lambda x, **_: {"x": x[:, ::-1]}),
    "first-example-for-all": wrong(lambda x, **_: {"x": x[:1].repeat(len(x), 0)}),
    "flipped-kernel": wrong(lambda w, **_: {"w": w[:, :, ::-1, ::-1]}),
}
"""By the entry of the catalogue that names what is wrong."""
