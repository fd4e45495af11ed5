"""NaN and infinity: which elements of a result they determine, whatever the order of summation, and which they do not.

A sum is NaN as soon as one of its products is (a NaN operand, or infinity times zero), or when products of both
infinities enter it; else it is the infinity that enters it. All of that is counted exactly, by the same map that makes
the value, over arrays of zeros and ones. Two cases are open, and the answers to them are several:

- *padding × non-finite*: where padding meets a non-finite number, an implementation may skip the padding, or multiply
  it: 0 × inf is NaN. Frameworks do both, even the same one for different shapes (research, semantics d).
- *subnormal inputs*: an implementation may read them as zero. ``flushed`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect.slides import SUM, adjoint, kernel_gradient

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crosscorrect.slides import Array, Map

    Bools = NDArray[np.bool_]

LOWEST = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022, "complex64": -126, "complex128": -1022}
"""The exponent of the smallest normal number of a format."""

KEPT, FLUSHED = "subnormal inputs kept", "subnormal inputs flushed"
SKIPPED, MULTIPLIED, MIXED = (f"padding × non-finite {how}" for how in ("skipped", "multiplied", "mixed"))


@dataclass(frozen=True, slots=True)
class Marks:
    """What non-finite inputs do to a result: where they determine it, to what, and where padding meets them."""

    determined: Bools
    value: Array
    """NaN, infinity or, where nothing non-finite enters, zero."""
    padding: Bools
    """Elements that a non-finite number would enter through padding, and which are not NaN already."""


def finite(a: Array) -> Array:
    """The array with zeros for what is not finite."""
    return np.where(np.isfinite(a), a, np.zeros((), a.dtype))


def flushed(a: Array, dtype: str) -> Array:
    """The array with zeros for the numbers that are subnormal in ``dtype``; the array itself if there are none."""
    if dtype not in LOWEST:
        return a
    if np.iscomplexobj(a):
        parts = (a.real, a.imag)
        real, imaginary = (flushed(part, dtype) for part in parts)
        return a if real is parts[0] and imaginary is parts[1] else real + 1j * imaginary
    subnormal = (np.abs(a) < 2.0 ** LOWEST[dtype]) & (a != 0)
    return np.where(subnormal, np.zeros((), a.dtype), a) if subnormal.any() else a


def marks(bilinear: Map, a: Array, b: Array, bias: Array | None) -> Marks:
    """Count the special products of a map and its bias (which broadcasts to the result); real operands."""
    nan = _count(bilinear, np.isnan(a), np.ones(b.shape)) + _count(bilinear, np.ones(a.shape), np.isnan(b))
    nan = nan + _count(bilinear, np.isinf(a), b == 0) + _count(bilinear, a == 0, np.isinf(b))
    up_a, down_a, up_b, down_b = a == np.inf, a == -np.inf, b == np.inf, b == -np.inf
    up = _count(bilinear, up_a, b > 0) + _count(bilinear, down_a, b < 0)
    up = up + _count(bilinear, a > 0, up_b) + _count(bilinear, a < 0, down_b)
    down = _count(bilinear, up_a, b < 0) + _count(bilinear, down_a, b > 0)
    down = down + _count(bilinear, a < 0, up_b) + _count(bilinear, a > 0, down_b)
    if bias is not None:
        nan, up, down = nan + np.isnan(bias), up + (bias == np.inf), down + (bias == -np.inf)
    return _decided(nan, up, down, _padding(bilinear, a, b))


def summed(rows: Array) -> Marks:
    """The same for sums over the last axis: a bias gradient."""
    nan, up, down = ((test.sum(-1)) for test in (np.isnan(rows), rows == np.inf, rows == -np.inf))
    return _decided(nan, up, down, np.zeros(rows.shape[:-1], np.bool_))


def spread(bilinear: Map, a: Array, b: Array, bias: Array | None) -> Bools:
    """Elements that anything non-finite enters, through a product, padding or the bias; complex operands too."""
    loose_a, loose_b = ~np.isfinite(a), ~np.isfinite(b)
    found = _count(bilinear, loose_a, np.ones(b.shape)) + _whole(bilinear, loose_b)
    return (found + (0 if bias is None else ~np.isfinite(bias))) > 0


def _decided(nan: Array, up: Array, down: Array, padding: Array) -> Marks:
    is_nan = (nan > 0) | ((up > 0) & (down > 0))
    value = np.where(is_nan, np.nan, np.where(up > 0, np.inf, np.where(down > 0, -np.inf, 0.0)))
    return Marks(value != 0, value, padding & ~is_nan)


def _padding(bilinear: Map, a: Array, b: Array) -> Bools:
    """Where the second operand has something non-finite for a place outside the image (or between strides)."""
    loose = ~np.isfinite(b)
    if not loose.any():
        return np.zeros((), np.bool_)
    return _whole(bilinear, loose) > _count(bilinear, np.ones(a.shape), loose)


def _whole(bilinear: Map, loose: Array) -> Array:
    """How many marked elements of the second operand belong to each element of the result, inside the image or not."""
    count, rank, groups = loose.astype(np.float64), bilinear.geometry.rank, bilinear.geometry.groups
    if bilinear.way is adjoint:  # (O, C / groups, *kernel): all outputs of the group and all taps
        per_group = count.reshape(groups, len(count) // groups, count.shape[1], -1).sum((1, 3))
        found: Array = per_group.reshape(1, -1, *(1,) * rank)
    elif bilinear.way is kernel_gradient:  # (N, O, *output)
        found = count.sum((0, *range(2, 2 + rank))).reshape(-1, 1, *(1,) * rank)
    else:
        found = count.sum(tuple(range(1, 2 + rank))).reshape(1, -1, *(1,) * rank)
    return found


def _count(bilinear: Map, a: Array, b: Array) -> Array:
    """How many products have both factors marked; without a map over them where there are none."""
    if not (a.any() and b.any()):
        return np.zeros(())
    (found,) = bilinear(a.astype(np.float64), b.astype(np.float64), SUM)
    return found
