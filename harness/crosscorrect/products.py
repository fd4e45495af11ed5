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

_GOAL_BITS = 58
GOAL = 2.0**-_GOAL_BITS
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

    room = 2

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

    room = 2

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

    room = 2

    def left(self, a: Array) -> tuple[Array, Array]:
        return a, np.abs(a)

    def times(self, left: tuple[Array, Array], columns: Array) -> Parts:
        value, scale = left
        return np.matmul(value, columns), np.matmul(scale, np.abs(columns))


class Exact:
    """Value, low part, bound and scale: ``|value + low - exact| <= bound``, at the speed of a few BLAS products.

    Both operands are cut into slices of so few bits that the products of two slices, and their sums over K, are whole
    numbers below ``2**53`` in their own unit: BLAS makes no error on them, in whatever order it sums. Pairs of slices
    with the same unit share one BLAS product, side by side; these are added in double-double. Slices are taken until
    what is left of the operands is bounded by ``GOAL`` times S everywhere, or nothing is left; elements where six are
    not enough are summed as fractions if they are few.
    """

    room = 10

    def left(self, a: Array) -> tuple[Array, Array, _Slices]:
        a = np.asarray(a, np.float64)
        high = _exponents(a, -1)
        moderate = _moderate(high)
        near, power = (a, high) if moderate else (np.ldexp(a, -high), np.zeros_like(high))
        return a, high, _Slices(near, power, -1, _bits(a.shape[-1]))

    def times(self, left: tuple[Array, Array, _Slices], columns: Array) -> Parts:
        a, high_a, rows = left
        b = np.asarray(columns, np.float64)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            high_b = _exponents(b, -2)
            if rows.a is a and _moderate(high_b):
                *parts, met = _split(rows, b, high_b)
                return tuple(parts) if met else _one_by_one(a, b, parts)
            return _one_by_one(a, b, _normalised(a, b, high_a, high_b))


class Digits:
    """Whole numbers of any size, exactly: the digits of sums of at most ``terms`` products, and their scale.

    Operands are int64 or uint64. ``times`` makes int64 planes, to be weighted by ``2**(i * bits)`` and summed, and then
    the scale. A digit has so few bits that all sums of products of two digits are below ``2**53``.
    """

    room = 8

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
    peak = _peak(a, axis)
    return np.where(peak > 0, np.frexp(peak)[1], -_EXPONENTS)


def _peak(a: Array, axis: int) -> Array:
    return np.asarray(np.maximum(a.max(axis, keepdims=True), -a.min(axis, keepdims=True)))


def _moderate(exponents: Array) -> bool:
    return bool(exponents.min() >= -_EXPONENTS and exponents.max() <= _EXPONENTS)


class _Slices:
    """One operand cut into slices along K, one more whenever asked.

    With all of a row (or column) below ``2**e``, slice i (from 1) holds multiples of the unit ``2**(e - i bits)``, to
    nearest: at most ``2**bits`` units in the first, half as many in the others; half a unit at most is left.
    """

    def __init__(self, a: Array, exponents: Array, axis: int, bits: int) -> None:
        self.a, self.rest, self.bits = a, a, bits
        self.exponents = exponents
        self.peak = _peak(a, axis)
        self.sum = np.abs(a).sum(axis, keepdims=True)
        self.slices: list[Array] = []
        self.captured = False

    def cut(self, depth: int) -> None:
        """Have so many slices, or fewer where nothing is left."""
        while len(self.slices) < depth and not self.captured:
            shift = np.ldexp(1.5, self.exponents - (len(self.slices) + 1) * self.bits + 52)
            part = self.rest + shift
            part -= shift
            self.rest = self.rest - part
            self.slices.append(part)
            self.captured = not self.rest.any()

    def left(self, depth: int) -> Array:
        """Bound the elements of what so many slices leave: half a unit, or nothing."""
        nothing = self.captured and depth >= len(self.slices)
        return np.ldexp((self.peak > 0) * (0.0 if nothing else 0.5), self.exponents - depth * self.bits)

    def largest(self, place: int) -> Array:
        """Bound the elements of one slice (from 0), which rounding may have enlarged."""
        return self.peak + self.left(1) if place == 0 else self.left(place)


def _bits(terms: int) -> int:
    """How many bits a slice has: sums of up to six pairs of slices, K products each, are below ``2**53`` units."""
    return (52 - (terms - 1).bit_length()) // 2


def _split(rows: _Slices, b: Array, high_b: Array) -> tuple[Array, Array, Array, Array, bool]:
    """Value, low, bound, scale and whether the goal was met, of operands with moderate exponents."""
    a, terms = rows.a, b.shape[-2]
    scale = np.matmul(np.abs(a), np.abs(b))
    columns = _Slices(b, high_b, -2, rows.bits)
    met = False
    for depth in range(1, _MOST_SLICES + 1):
        rows.cut(depth)
        columns.cut(depth)
        if depth * rows.bits < _GOAL_BITS and not (rows.captured and columns.captured):
            continue  # cannot be enough
        left_out = _left_out(rows, columns, depth)
        if not scale.all():  # products that underflow belong to a scale that may have lost them
            left_out = np.where(scale > 0, left_out, np.minimum(left_out, terms * TINY))
        met = bool((left_out <= GOAL * scale).all())
        if met:
            break
    upper = np.concatenate(rows.slices[:depth], -1)
    lower = np.concatenate(columns.slices[depth - 1 :: -1] if depth else [], -2)
    count_a, count_b = min(depth, len(rows.slices)), min(depth, len(columns.slices))
    sums: list[Array] = []
    for order in range(min(depth, count_a + count_b - 1)):
        # all pairs i + j = order in one product: they share their unit, and their sum is exact as well
        first, last = max(0, order - count_b + 1), min(order + 1, count_a)
        start = (count_b - 1 - order + first) * terms
        sums.append(
            np.matmul(upper[..., first * terms : last * terms], lower[..., start : start + (last - first) * terms, :])
        )
    value = sums[0]
    low = np.zeros_like(value)
    for part in sums[1:]:
        value, error = two_sum(value, part)
        low += error
    if len(sums) > 1:
        value, low = two_sum(value, low)
        # slices rounded to nearest are together at most 3.1 times what they are slices of: all partial sums stay below
        # 10 S, the errors of T additions below 10 T u S, and those of adding these T up below 10 T² u² S
        left_out = left_out + (32.0 * len(sums) ** 2 * U * U) * scale
    return value, low, left_out * _GUARD, scale, met


def _left_out(rows: _Slices, columns: _Slices, depth: int) -> Array:
    """Bound the products that are not made: slice i with all behind slice ``depth - i``, and the rest with all."""
    terms = columns.rest.shape[-2]
    left = [rows.largest(i) * float(terms) for i in range(min(depth, len(rows.slices)))]
    right = [columns.left(depth - i) for i in range(len(left))]
    left.append(rows.left(depth))
    right.append(columns.sum)
    found: Array = np.matmul(np.concatenate(left, -1), np.concatenate(right, -2))
    found *= _GUARD
    return found


def _normalised(a: Array, b: Array, high_a: Array, high_b: Array) -> list[Array]:
    """The same for any exponents: every row and column is scaled by a power of two first, and the product back.

    Elements ``2**1022`` times smaller than the largest of their row are rounded by that; what results are subnormal
    are rounded too. Both are added to the bound. Elements that overflow have none.
    """
    near, far = np.ldexp(a, -high_a), np.ldexp(b, -high_b)
    rows = _Slices(near, np.zeros_like(high_a), -1, _bits(a.shape[-1]))
    value, low, own, _, _ = _split(rows, far, np.zeros_like(high_b))
    lost_a = (np.ldexp(near, high_a) != a).any(-1, keepdims=True)
    lost_b = (np.ldexp(far, high_b) != b).any(-2, keepdims=True)
    own = own + (2 * a.shape[-1] * TINY) * (lost_a | lost_b)
    power = high_a + high_b
    found = [np.ldexp(part, power) for part in (value, low, own)]
    inexact = np.zeros(value.shape)
    for part, scaled in zip((value, low, own), found, strict=True):
        inexact += (np.ldexp(scaled, -power) != part) & (part != 0)
    found[2] += inexact * TINY
    over = ~np.isfinite(found[0] + found[1])
    if bool(over.any()):
        found[0][over], found[1][over], found[2][over] = np.matmul(a, b)[over], 0.0, np.inf
    return [*found, np.matmul(np.abs(a), np.abs(b))]  # small products vanish from the scaled one


def _one_by_one(a: Array, b: Array, parts: list[Array]) -> Parts:
    """Elements whose bound misses the goal summed as fractions, if they are few."""
    value, low, own, scale = parts
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
