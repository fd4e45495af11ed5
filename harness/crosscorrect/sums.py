"""Real and complex sums at the precision that a dtype asks for, by the cheapest product that is sound for the data.

Up to float32 (and complex64) the sum is taken in float64; float64 and complex128 get a low part and a rigorous bound
from the error-free product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crosscorrect.plain import MIXED, PLAIN, SINGLE
from crosscorrect.products import EXACT, Double, added, rounding
from crosscorrect.slides import SUM

if TYPE_CHECKING:
    from crosscorrect.slides import Array, Map

EXACTLY = ("float64", "complex128")
"""The dtypes for which float64 alone is no reference."""

_LARGE = 2**22
"""From so many multiplications on, it pays to look at the data for a cheaper way to sum them."""

_SAMPLE = 1009


class Sum(NamedTuple):
    """A sum of products and, so far as they are needed, its low part and the bound of its error."""

    value: Array
    scale: Array
    low: Array | None = None
    own: Array | None = None


def summed(bilinear: Map, a: Array, b: Array, bias: Array | None, dtype: str) -> Sum:
    """The map of two finite operands plus a bias that broadcasts to it, for a problem of this dtype.

    Where operands are not finite, value and scale are no numbers or infinite (up to float32 only).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.iscomplexobj(a) or np.iscomplexobj(b):
            return (_complex_exactly if dtype in EXACTLY else _complex)(bilinear, a, b, bias)
        bias = None if bias is None else np.asarray(bias, np.float64)
        if dtype in EXACTLY:
            value, low, own, scale = _with(_exactly(bilinear, a, b), bias)
            return Sum(value, scale, low, own)
        most = int(bilinear.terms(a, b).max(initial=0))
        value, scale = _cheaply(bilinear, a, b, most) or bilinear(np.asarray(a, np.float64), b, PLAIN)
        return Sum(value, scale) if bias is None else Sum(value + bias, scale + np.abs(bias))


def sampled(a: Array) -> Array:
    """About a thousand elements, evenly spread; all, if there are not more."""
    return a.ravel()[:: a.size // _SAMPLE | 1]


def _cheaply(bilinear: Map, a: Array, b: Array, most: int) -> tuple[Array, Array] | None:
    """Value and scale by float32 products so far as that is sound and the problem is large; else None."""
    if most * a.size < _LARGE:
        return None
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    if _integral(sampled(a)) and _integral(sampled(b)):
        if not (_integral(a) and _integral(b) and _peak(a) * _peak(b) * most < 2.0**24):
            return None
        value, scale = bilinear(a, b, SINGLE)
        return value.astype(np.float64), scale.astype(np.float64)
    value, scale = bilinear(a, b, MIXED)
    return (value, scale.astype(np.float64)) if MIXED.holds(scale, most) else None


def _integral(a: Array) -> bool:
    return bool((np.rint(a) == a).all())


def _peak(a: Array) -> float:
    return max(float(a.max(initial=0)), -float(a.min(initial=0)))


def _exactly(bilinear: Map, a: Array, b: Array) -> Double:
    return Double(*bilinear(np.asarray(a, np.float64), b, EXACT))


def _with(found: Double, bias: Array | None) -> Double:
    """The sum and its bias."""
    if bias is None:
        return found
    zero = np.zeros(bias.shape)
    return added(found, Double(bias, zero, zero, np.abs(bias)))


def _parts(a: Array) -> tuple[Array, Array]:
    return np.asarray(a.real, np.float64), np.asarray(a.imag, np.float64)


def _complex(bilinear: Map, a: Array, b: Array, bias: Array | None) -> Sum:
    """Four real maps. A component sums twice as many products; the bound holds for the modulus as well."""
    (p, q), (r, s) = _parts(a), _parts(b)
    (scale,) = bilinear(np.abs(p) + np.abs(q), np.abs(r) + np.abs(s), SUM)
    real, minus, across, along = (bilinear(u, v, SUM)[0] for u, v in ((p, r), (q, s), (p, s), (q, r)))
    value = _compose(real - minus, across + along)
    if bias is not None:
        value, scale = value + bias, scale + (np.abs(bias.real) + np.abs(bias.imag))
    return Sum(value, scale, None, rounding(scale, 2 * bilinear.terms(a, b) + 2) * 1.5)


def _complex_exactly(bilinear: Map, a: Array, b: Array, bias: Array | None) -> Sum:
    """The same without error; of the scale only the sum over both components of each factor is kept."""
    (p, q), (r, s) = _parts(a), _parts(b)
    extra = (None, None) if bias is None else _parts(bias)
    real = _with(added(_exactly(bilinear, p, r), _exactly(bilinear, -q, s)), extra[0])
    imaginary = _with(added(_exactly(bilinear, p, s), _exactly(bilinear, q, r)), extra[1])
    own = np.hypot(real.own, imaginary.own) * (1.0 + 2.0**-40)
    value, low = _compose(real.value, imaginary.value), _compose(real.low, imaginary.low)
    return Sum(value, real.scale + imaginary.scale, low, own)


def _compose(real: Array, imaginary: Array) -> Array:
    """A complex array of two components, infinities and all."""
    found = np.empty(real.shape, np.complex128)
    found.real, found.imag = real, imaginary
    return found
