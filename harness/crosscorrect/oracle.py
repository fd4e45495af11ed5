"""Right answers for every direction, geometry and dtype, each with the scale and the terms that bound its rounding.

What is summed is decided here: which ``slides.Map`` a direction is, and whether shapes fit. How a map is summed, and
which answers are legitimate, ``answers`` decides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes
from crosscorrect.answers import Array, Bools, Counts, Floats, Reference, answer, conjugated
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.slides import (
    SUM,
    Map,
    Sizes,
    adjoint,
    begins,
    bias_gradient,
    correlation,
    kernel_gradient,
    unroll,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Array",
    "Bools",
    "Counts",
    "Floats",
    "Reference",
    "Sizes",
    "corr2d",
    "forward",
    "gradients",
    "squares",
    "windows",
]


def forward(x: Array, w: Array, b: Array | None, geometry: Geometry, dtype: str | None = None) -> Reference:
    """The cross-correlation ``(N, C, *space), (O, C / groups, *kernel), (O,) -> (N, O, *output)``.

    A transposed geometry takes kernels ``(C, O / groups, *kernel)``. Arrays are of any dtype of ``dtypes.NAMES``, and
    read exactly; ``dtype`` is that of the problem, by default the arrays' own. Batches, channels and images may have
    no elements. Raises ValueError where shapes do not fit together.
    """
    dtype = dtype or _name(x, w)
    x, w = _read(x, dtype), _read(w, dtype)
    bilinear = _forward(x.shape, w.shape, geometry)
    if b is None:
        return answer(bilinear, x, w, None, dtype)
    bias = _read(b, dtype)
    channels = w.shape[1] * geometry.groups if geometry.transposed else len(w)
    if bias.shape != (channels,):
        raise ValueError(f"bias of shape {bias.shape} for {channels} output channels")
    return answer(bilinear, x, w, bias.reshape(-1, *(1,) * geometry.rank), dtype)


def gradients(
    x: Array, w: Array, b: Array | None, dy: Array, geometry: Geometry, dtype: str | None = None
) -> dict[Direction, Reference]:
    """The gradients of ``sum(forward(x, w, b) * dy)``: input, kernel and, where there is a bias, bias.

    Shapes are those of ``x``, ``w`` and ``b``. Complex data: the gradients of ``Re(sum(conj(dy) * forward(x, w, b)))``
    as PyTorch has them, from ``conj(w)`` and ``conj(x)``; those without the conjugation (JAX) are among ``others``.
    Raises ValueError if ``dy`` has not the shape of the output.
    """
    dtype = dtype or _name(x, w, dy)
    x, w, dy = _read(x, dtype), _read(w, dtype), _read(dy, dtype)
    found: dict[Direction, Reference] = {}
    for direction in (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT):
        bilinear, first, second = _gradient(direction, x, w, dy, geometry)
        if np.iscomplexobj(x):
            # only dy is not conjugated: it is the first operand or the second
            sides = (first, second.conj()) if first is dy else (first.conj(), second)
            found[direction] = conjugated(
                answer(bilinear, *sides, None, dtype), answer(bilinear, first, second, None, dtype)
            )
        else:
            found[direction] = answer(bilinear, first, second, None, dtype)
    if b is not None:
        one = np.ones(1, dy.dtype)
        found[Direction.GRAD_BIAS] = answer(Map(bias_gradient, Geometry(), (dy.shape[1],)), dy, one, None, dtype)
    return found


def corr2d(x: Array, k: Array, b: Array | None = None, dtype: str | None = None) -> Reference:
    """The chapter's ``(H, W), (h, w) -> (H - h + 1, W - w + 1)``, with a scalar bias of one element if given."""
    bias = None if b is None else np.reshape(b, 1)
    lifted = forward(np.asarray(x)[None, None], np.asarray(k)[None, None], bias, Geometry(), dtype)
    return lifted.reshaped(lambda array: array[0, 0])


def squares(direction: Direction, x: Array, w: Array, geometry: Geometry, dy: Array | None = None) -> Floats:
    """The sum of the squares of every element's terms, in float64, without bias: ``x² ⋆ w²`` and its gradients' kin.

    Its root is what random rounding errors are proportional to (research, numerics 2.4). A gradient needs ``dy``.
    """
    x, w = _squared(x), _squared(w)
    if direction is Direction.FORWARD:
        return _forward(x.shape, w.shape, geometry)(x, w, SUM)[0]
    if dy is None:
        raise ValueError(f"the squares of {direction} need dy")
    dy = _squared(dy)
    if direction is Direction.GRAD_BIAS:
        total: Floats = dy.sum((0, *range(2, dy.ndim)))
        return total
    bilinear, first, second = _gradient(direction, x, w, dy, geometry)
    return bilinear(first, second, SUM)[0]


def windows(x: Array, kernel: Sequence[int], geometry: Geometry, dtype: Any = np.float64) -> Array:
    """What the kernel sees: ``(N, C, *space) -> (N, *output, C, *kernel)`` in ``dtype``, and zeros for padding."""
    x, kernel = np.asarray(dtypes.widen(x), dtype), tuple(kernel)
    geometry, size = _explicit(geometry, x.shape[2:], kernel)
    seen = unroll(x, kernel, begins(geometry), geometry.stride, geometry.dilation, size)
    rank = geometry.rank
    return np.ascontiguousarray(seen.transpose(1 + rank, *range(2 + rank, 2 + 2 * rank), 0, *range(1, 1 + rank)))


def _forward(x: Sizes, w: Sizes, geometry: Geometry) -> Map:
    """The map of the forward direction for these shapes, or ValueError where they do not fit."""
    geometry, size = _explicit(geometry, x[2:], w[2:])
    groups = geometry.groups
    if x[1] != (w[0] if geometry.transposed else w[1] * groups) or w[0] % groups:
        raise ValueError(f"input of shape {x} and kernel of shape {w} do not fit with {groups} groups")
    return Map(adjoint if geometry.transposed else correlation, geometry, size)


def _gradient(direction: Direction, x: Array, w: Array, dy: Array, geometry: Geometry) -> tuple[Map, Array, Array]:
    """The map of a gradient and its operands, or ValueError where shapes do not fit."""
    there = _forward(x.shape, w.shape, geometry)
    geometry = there.geometry
    shape = (len(x), w.shape[1] * geometry.groups if geometry.transposed else len(w), *there.size)
    if dy.shape != shape:
        raise ValueError(f"dy of shape {dy.shape} for an output of shape {shape}")
    if direction is Direction.GRAD_INPUT:
        return Map(correlation if geometry.transposed else adjoint, geometry, x.shape[2:]), dy, w
    operands = (dy, x) if geometry.transposed else (x, dy)
    return Map(kernel_gradient, geometry, w.shape[2:]), *operands


def _explicit(geometry: Geometry, image: Sizes, kernel: Sizes) -> tuple[Geometry, Sizes]:
    """The geometry with its padding as counts, and the size of the output; ValueError where there is none."""
    pads = geometry.padding if isinstance(geometry.padding, str) else tuple((b, e) for b, e in geometry.padding)
    return _resolved(
        tuple(geometry.stride),
        pads,
        tuple(geometry.dilation),
        geometry.groups,
        geometry.transposed,
        tuple(geometry.output_padding),
        image,
        kernel,
    )


@lru_cache(maxsize=1024)
def _resolved(
    stride: Sizes,
    padding: str | tuple[tuple[int, int], ...],
    dilation: Sizes,
    groups: int,
    transposed: bool,
    extra: Sizes,
    image: Sizes,
    kernel: Sizes,
) -> tuple[Geometry, Sizes]:
    geometry = Geometry(stride, padding, dilation, groups, transposed, extra)
    if not geometry.rank == len(image) == len(kernel):
        raise ValueError(f"geometry of {geometry.rank} axes for image {image} and kernel {kernel}")
    size = geometry.output_size(image, kernel)
    # an image without elements has an output without elements
    if not all(k >= 1 and (o >= 1 or o == n == 0) for n, k, o in zip(image, kernel, size, strict=True)):
        raise ValueError(f"kernel {kernel} does not fit image {image}: output size {size}")
    return geometry.explicit(image, kernel), size


def _name(*arrays: Array) -> str:
    """The dtype that a problem of these arrays has."""
    arrays = tuple(np.asarray(array) for array in arrays)
    names = {dtypes.name_of(array.dtype) for array in arrays}
    if len(names) == 1 and names <= set(dtypes.NAMES):
        return names.pop()
    common = np.result_type(*(dtypes.widen(array).dtype for array in arrays))
    return "int64" if common.kind == "b" else str(common.name) if common.name in dtypes.NAMES else "float64"


def _read(array: Any, dtype: str) -> Array:
    """The numbers exactly, in a NumPy dtype wide enough to hold them: integers as 64 bits, floats as they are."""
    plain: Array = np.asarray(dtypes.widen(array))
    if dtype in dtypes.INTEGER:
        return plain.astype(np.uint64 if plain.dtype == np.uint64 else np.int64)
    if dtype in dtypes.COMPLEX:
        return plain.astype(np.complex128) if plain.dtype.kind != "c" else plain
    return plain if plain.dtype.kind == "f" and plain.dtype.itemsize <= 8 else plain.astype(np.float64)


def _squared(array: Any) -> Floats:
    plain = np.asarray(dtypes.widen(array))
    if np.iscomplexobj(plain):
        return np.asarray(plain.real, np.float64) ** 2 + np.asarray(plain.imag, np.float64) ** 2
    return np.asarray(plain, np.float64) ** 2
