"""A geometry in the words of ``lax.conv_general_dilated``, spelt natively, padded apart, or with the channels last.

What makes no sense (a stride of zero, groups that do not divide, a wrong rank) is handed on, for JAX to answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from crosscorrect_adapters._counts import counts

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry

WORDS = {"valid": "VALID", "same_upper": "SAME", "same_lower": "SAME_LOWER"}
SPACE = "HWD"


def correlate(x: Any, w: Any, b: Any | None, geometry: Geometry, spelling: str) -> Any:
    """``lax.conv_general_dilated`` of arrays that lie as ``laid`` leaves them; the bias is added."""
    last = spelling == "channels_last"
    image, kernel = (x.shape[1:-1], w.shape[:-2]) if last else (x.shape[2:], w.shape[2:])
    if geometry.transposed:
        y = _transposed(x, w, geometry, image, kernel, spelling)
    else:
        padding: Any = WORDS[geometry.padding] if isinstance(geometry.padding, str) else geometry.padding
        if spelling == "apart":
            x, padding = jnp.pad(x, ((0, 0), (0, 0), *counts(geometry, image, kernel))), "VALID"
        y = _convolve(x, w, padding, geometry, spelling)
    if b is None:
        return y
    # the channels by their number: a bias of one element would be broadcast
    return y + b.reshape((y.shape[-1],) if last else (y.shape[1], *[1] * geometry.rank))


def recorded(x: Any, w: Any, b: Any | None, geometry: Geometry, spelling: str) -> Any:
    """Compute the same while gradients are recorded: the primal result of ``jax.vjp``."""
    return jax.vjp(lambda x, w, b: correlate(x, w, b, geometry, spelling), x, w, b)[0]


def pull_back(x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry, spelling: str) -> Any:
    """Gradients of ``sum(correlate(x, w, b) * dy)`` with respect to x, w and b."""
    return jax.vjp(lambda x, w, b: correlate(x, w, b, geometry, spelling), x, w, b)[1](dy)


def laid(x: Any, w: Any, dy: Any | None, geometry: Geometry, spelling: str) -> tuple[Any, Any, Any]:
    """Image, kernel and output gradient as the spelling wants them to lie: ``(N, *space, C)``, ``(*kernel, I, O)``."""
    if spelling != "channels_last":
        return x, w, dy
    axes = (*range(2, w.ndim), *((0, 1) if geometry.transposed else (1, 0)))
    return jnp.moveaxis(x, 1, -1), jnp.transpose(w, axes), None if dy is None else jnp.moveaxis(dy, 1, -1)


def unlaid(y: Any, spelling: str) -> Any:
    """An output or an image's gradient as the harness has it, ``(N, C, *space)``."""
    return jnp.moveaxis(y, -1, 1) if spelling == "channels_last" else y


def unlaid_kernel(dw: Any, geometry: Geometry, spelling: str) -> Any:
    """A kernel's gradient as the harness has it."""
    if spelling != "channels_last":
        return dw
    first, second = (dw.ndim - 2, dw.ndim - 1) if geometry.transposed else (dw.ndim - 1, dw.ndim - 2)
    return jnp.transpose(dw, (first, second, *range(dw.ndim - 2)))


def _convolve(x: Any, w: Any, padding: Any, geometry: Geometry, spelling: str, spread: Any = None) -> Any:
    space, layout = SPACE[: geometry.rank], None
    if spelling == "channels_last":
        layout = (f"N{space}C", f"{space}IO", f"N{space}C")
    return lax.conv_general_dilated(
        x,
        w,
        geometry.stride if spread is None else (1,) * geometry.rank,
        padding,
        lhs_dilation=spread,
        rhs_dilation=geometry.dilation,
        dimension_numbers=layout,
        feature_group_count=geometry.groups,
    )


def _transposed(x: Any, w: Any, geometry: Geometry, image: Any, kernel: Any, spelling: str) -> Any:
    # lax.conv_transpose has no groups, and by default (transpose_kernel=False) its kernel lies the other way round. So
    # what it does inside is spelt here. y[q] collects x[p] w[t] over all p * stride + t * dilation - begin = q. That is
    # the correlation, at stride 1, of the image spread out by the stride (lhs_dilation) with the flipped kernel, whose
    # input and output channels change places within each group. Padding by span - 1 gives the full result; the
    # geometry's padding is taken off it (below zero it crops) and output_padding is added at its end.
    last, groups = spelling == "channels_last", max(geometry.groups, 1)
    if last:  # (*kernel, in, out / groups)
        w = jnp.moveaxis(w, (-2, -1), (0, 1))
    inputs, outputs = w.shape[:2]
    w = w.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    w = jnp.flip(w.reshape(groups * outputs, inputs // groups, *kernel), tuple(range(2, 2 + len(kernel))))
    if last:
        w = jnp.moveaxis(w, (0, 1), (-1, -2))
    taken = counts(geometry, image, kernel)
    whole = [(span - 1 - begin, span - 1 - end) for span, (begin, end) in zip(geometry.spans(kernel), taken)]
    if spelling != "apart":
        pads = [(begin, end + more) for (begin, end), more in zip(whole, geometry.output_padding)]
        return _convolve(x, w, pads, geometry, spelling, geometry.stride)
    full = [(span - 1, span - 1) for span in geometry.spans(kernel)]
    y = _convolve(x, w, full, geometry, spelling, geometry.stride)
    crops = [(-begin, more - end, 0) for (begin, end), more in zip(taken, geometry.output_padding)]
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), (0, 0, 0), *crops])
