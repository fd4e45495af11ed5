"""Ways to multiply matrices for the oracle, each with what is known of its error: plain, mixed, error-free, digits.

Each is a ``slides.Product``. ``PLAIN``, ``MIXED`` and ``SINGLE`` make a value and its scale S (the product of the
absolute values); ``EXACT`` makes value, low part, rigorous bound and scale; ``Digits`` makes the exact digits of whole
numbers of any size, and their scale.

Error-free splitting: K. Ozaki, T. Ogita, S. Oishi, S. Rump, "Error-free transformations of matrix multiplication by
using fast routines of matrix multiplication and its applications", Numerical Algorithms 59 (2012).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crosscorrect.slides import Array, Floats, Parts

U = 2.0**-53
"""The unit roundoff of float64."""

TINY = 2.0**-1074
"""The smallest positive float64."""

GOAL = 2.0**-60
"""How small, in units of S, the error-free product makes its bound before it stops taking slices."""

_GUARD = 1.0 + 2.0**-40
"""Makes up for the rounding of the bounds' own arithmetic, sums of nonnegative float64 numbers."""

_MOST_SLICES = 6
_EXPONENTS = 440
"""Rows and columns whose largest elements lie within ``2**±440`` can be multiplied, 6 slices deep, as they are."""

_PATIENCE = 50_000
"""The most terms summed one by one, as fractions, where slices were not enough."""


class Plain:
    """Value and scale in float64: the value is off by at most ``gamma(K, 2**-53) S``, in any order of summation."""

    def left(self, a: Array) -> tuple[Array, Array]:
        a = np.asarray(a, np.float64)
        return a, np.abs(a)

    def times(self, left: tuple[Array, Array], columns: Array) -> Parts:
        value, scale = left
        return np.matmul(value, columns), np.matmul(scale, np.abs(columns))


class Mixed:
    """The value in float64, the scale in float32 and rounded up, so that it is never below S where ``holds`` says so.

    A float32 sum of K nonnegative products is at least ``1 - gamma(K, 2**-24)`` times what it should be; the left
    operand is enlarged by a little more than that makes up for.
    """

    def left(self, a: Array) -> tuple[Array, Array]:
        more = np.float32(1.0 + 1.1 * (a.shape[-1] + 3) * 2.0**-24)
        return np.asarray(a, np.float64), np.abs(np.asarray(a, np.float32)) * more

    def times(self, left: tuple[Array, Array], columns: Array) -> Parts:
        value, scale = left
        upper = np.matmul(scale, np.abs(columns))
        return np.matmul(value, columns.astype(np.float64)), upper

    @staticmethod
    def holds(scale: Array, terms: int) -> bool:
        """Whether the scale is an upper bound: not so many terms, no overflow, and nothing that underflowed matters.

        A product that underflows loses at most ``2**-149``: of a sum above ``2**-100 terms``, less than the spare part
        of the enlargement. A sum that small, or zero, may have lost everything.
        """
        return terms <= 2**16 and bool(scale.min() > 2.0**-100 * terms) and bool(scale.max() < np.inf)


class Single:
    """Value and scale in float32, of float32 operands: exact for whole numbers with S below ``2**24``."""

    def left(self, a: Array) -> tuple[Array, Array]:
        return a, np.abs(a)

    def times(self, left: tuple[Array, Array], columns: Array) -> Parts:
        value, scale = left
        return np.matmul(value, columns), np.matmul(scale, np.abs(columns))


class Exact:
    """Value, low part, bound and scale: ``|value + low - exact| <= bound``, at the speed of a few BLAS products.

    Both operands are cut into slices of so few bits that the products of two slices, and their sums over K, are whole
    numbers below ``2**53`` in their own unit: BLAS makes no error on them, in whatever order it sums. They are added in
    double-double. Slices are taken until what is left of the operands is bounded by ``GOAL`` times S everywhere, or
    nothing is left; elements where six are not enough are summed as fractions if they are few.
    """

    def left(self, a: Array) -> Array:
        return np.asarray(a, np.float64)

    def times(self, left: Array, columns: Array) -> Parts:
        a, b = left, np.asarray(columns, np.float64)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            high_a, high_b = _exponents(a, -1), _exponents(b, -2)
            if _moderate(high_a) and _moderate(high_b):
                parts = _split(a, b, high_a, high_b)
            else:
                parts = _normalised(a, b, high_a, high_b)
            return _finished(a, b, *parts)


class Digits:
    """Whole numbers of any size, exactly: the digits of sums of at most ``terms`` products, and their scale.

    Operands are int64 or uint64. ``times`` makes int64 planes, to be weighted by ``2**(i * bits)`` and summed, and then
    the scale. A digit has so few bits that all sums of products of two digits are below ``2**53``.
    """

    def __init__(self, terms: int) -> None:
        self.bits = (53 - max(terms - 1, 0).bit_length()) // 2

    def left(self, a: Array) -> tuple[list[Floats], Floats]:
        return digits(a, self.bits), np.abs(a.astype(np.float64))

    def times(self, left: tuple[list[Floats], Floats], columns: Array) -> Parts:
        upper, scale = left
        lower = digits(columns, self.bits)
        planes = []
        for order in range(2 * len(upper) - 1):
            places = range(max(0, order - len(lower) + 1), min(order + 1, len(upper)))
            sums = [np.matmul(upper[i], lower[order - i]).astype(np.int64) for i in places]
            planes.append(np.add.reduce(sums))
        upward = 1.0 + 2.0**-50  # reading 64 bits as float64 rounds
        return *planes, np.matmul(scale, np.abs(columns.astype(np.float64))) * upward


PLAIN, MIXED, SINGLE, EXACT = Plain(), Mixed(), Single(), Exact()


def digits(whole: Array, bits: int) -> list[Floats]:
    """The digits of 64-bit integers, lowest first: all nonnegative but the highest, which has the sign."""
    found = []
    for _ in range(-(-65 // bits) - 1):
        found.append((whole & whole.dtype.type((1 << bits) - 1)).astype(np.float64))
        whole = whole >> whole.dtype.type(bits)
    return [*found, whole.astype(np.float64)]


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The float64 sum and its exact error (D. Knuth, The Art of Computer Programming 2, section 4.2.2, theorem B)."""
    total = a + b
    there = total - a
    return total, (a - (total - there)) + (b - there)


def rounding(scale: Array, terms: Array | int) -> Floats:
    """Bound the error of a float64 sum of so many products: ``gamma(n, u) S``, and what may underflow."""
    n = np.asarray(terms, np.float64)
    found: Floats = (n * U / (1.0 - n * U) * scale * (1.0 + 4.0 * n * U) + n * TINY) * _GUARD
    return found


def _exponents(a: Array, axis: int) -> Array:
    """Per row or column, e with all magnitudes below ``2**e``; least where all are zero."""
    peak = np.maximum(a.max(axis, keepdims=True), -a.min(axis, keepdims=True))
    return np.where(peak > 0, np.frexp(peak)[1], -_EXPONENTS)


def _moderate(exponents: Array) -> bool:
    return bool(exponents.min() >= -_EXPONENTS and exponents.max() <= _EXPONENTS)


class _Slices:
    """One operand cut into slices, one more whenever asked, with the magnitudes that bound what is left out."""

    def __init__(self, a: Array, exponents: Array, axis: int, bits: int) -> None:
        self.axis, self.bits, self.rest = axis, bits, a
        self.exponents = exponents
        self.slices: list[Array] = []
        self.peaks: list[Array] = []
        self.sums: list[Array] = []
        self.rests = [self._magnitude(a)]  # (peak, sum) of the operand less its first i slices

    def cut(self) -> None:
        """Take one more slice: multiples of its unit, of at most ``2**bits`` units."""
        unit = self.exponents - (len(self.slices) + 1) * self.bits
        shift = np.ldexp(1.5, unit + 52)
        part = (self.rest + shift) - shift
        self.rest = self.rest - part
        self.slices.append(part)
        peak, total = self._magnitude(part)
        self.peaks.append(peak)
        self.sums.append(total)
        self.rests.append(self._magnitude(self.rest))

    def _magnitude(self, a: Array) -> tuple[Array, Array]:
        positive = np.abs(a)
        return positive.max(self.axis, keepdims=True), positive.sum(self.axis, keepdims=True)


def _split(a: Array, b: Array, high_a: Array, high_b: Array) -> Parts:
    """Value, low, bound and scale of operands whose exponents are moderate: nothing overflows or underflows."""
    terms = a.shape[-1]
    scale = np.matmul(np.abs(a), np.abs(b))
    bits = (53 - (terms - 1).bit_length()) // 2
    rows, columns = _Slices(a, high_a, -1, bits), _Slices(b, high_b, -2, bits)
    for depth in range(1, _MOST_SLICES + 1):
        rows.cut()
        columns.cut()
        left_out = _left_out(rows, columns, depth)
        # products that underflow belong to a scale that may have lost them
        left_out = np.where(scale > 0, left_out, np.minimum(left_out, terms * TINY))
        if bool((left_out <= GOAL * scale).all()):
            break
    pairs = [
        (i, order - i)
        for order in range(depth)
        for i in range(order + 1)
        if rows.peaks[i].any() and columns.peaks[order - i].any()
    ]
    high, low = np.zeros_like(scale), np.zeros_like(scale)
    for i, j in pairs:
        high, error = two_sum(high, np.matmul(rows.slices[i], columns.slices[j]))
        low += error
    value, low = two_sum(high, low)
    # slices rounded to nearest are together at most 3.1 times what they are slices of: all partial sums stay below
    # 10 S, the errors of T additions below 10 T u S, and those of adding these T up below 10 T² u² S
    adding = 0.0 if len(pairs) <= 1 else 32.0 * len(pairs) ** 2 * U * U
    return value, low, (left_out + adding * scale) * _GUARD, scale


def _left_out(rows: _Slices, columns: _Slices, depth: int) -> Array:
    """Bound the products that are not made: slice i with all behind slice ``depth - i``, and the rests with all.

    The smaller of the largest in the row times the sum of the column, and the sum of the row times the largest in the
    column.
    """
    by_row: Array = np.zeros(())
    by_column: Array = np.zeros(())
    for i in range(depth + 1):
        last = i == depth
        peak, total = rows.rests[depth] if last else (rows.peaks[i], rows.sums[i])
        rest_peak, rest_total = columns.rests[0 if last else depth - i]
        by_row, by_column = by_row + peak * rest_total, by_column + total * rest_peak
    return np.asarray(np.minimum(by_row, by_column) * _GUARD)


def _normalised(a: Array, b: Array, high_a: Array, high_b: Array) -> Parts:
    """The same for any exponents: every row and column is scaled by a power of two first, and the product back.

    Elements ``2**1022`` times smaller than the largest of their row are rounded by that; what results are subnormal
    are rounded too. Both are added to the bound.
    """
    near, far = np.ldexp(a, -high_a), np.ldexp(b, -high_b)
    value, low, own, _ = _split(near, far, np.zeros_like(high_a), np.zeros_like(high_b))
    lost_a = (np.ldexp(near, high_a) != a).any(-1, keepdims=True)
    lost_b = (np.ldexp(far, high_b) != b).any(-2, keepdims=True)
    own = own + (2 * a.shape[-1] * TINY) * (lost_a | lost_b)
    power = high_a + high_b
    found = [np.ldexp(part, power) for part in (value, low, own)]
    inexact = np.zeros(value.shape)
    for part, scaled in zip((value, low, own), found, strict=True):
        inexact += (np.ldexp(scaled, -power) != part) & (part != 0)
    found[2] += inexact * TINY
    return *found, np.matmul(np.abs(a), np.abs(b))  # small products vanish from the scaled one


def _finished(a: Array, b: Array, value: Array, low: Array, own: Array, scale: Array) -> Parts:
    """Elements whose bound misses the goal summed as fractions if they are few; those that overflow without a bound."""
    over = ~np.isfinite(value + low)
    if bool(over.any()):
        value[over], low[over], own[over] = np.matmul(a, b)[over], 0.0, np.inf
    poor = np.argwhere(own > GOAL * scale + a.shape[-1] * TINY)
    if 0 < len(poor) * a.shape[-1] <= _PATIENCE:
        for at in map(tuple, poor):
            *batch, row, column = at
            value[at], low[at], own[at] = _exactly(a[(*batch[-(a.ndim - 2) :], row)], b[(*batch, slice(None), column)])
    return value, low, own, scale


def _exactly(a: Array, b: Array) -> tuple[float, float, float]:
    """Value, low part and bound of one sum of products, by fractions."""
    exact = sum((Fraction(p) * Fraction(q) for p, q in zip(a.tolist(), b.tolist(), strict=True)), Fraction(0))
    try:
        value = float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else -float("inf"), 0.0, float("inf")
    low = float(exact - Fraction(value))
    own = abs(exact - Fraction(value) - Fraction(low))
    return value, low, float(own) * _GUARD + TINY if own else 0.0
