"""Matrix products almost without error: value, low part and a rigorous bound, from products that BLAS makes exactly.

The splitting is that of K. Ozaki, T. Ogita, S. Oishi, S. Rump, "Error-free transformations of matrix multiplication by
using fast routines of matrix multiplication and its applications", Numerical Algorithms 59 (2012).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

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

_PIECE = 2**13
"""The most terms in one piece: longer sums are cut, for the more terms the fewer bits a slice has."""

_PATIENCE = 50_000
"""The most terms summed one by one, as fractions, where slices were not enough."""


class Double(NamedTuple):
    """A sum of float64 value and low part, with the bound of its error and the sum of absolute values."""

    value: Array
    low: Array
    own: Array
    scale: Array


class Exact:
    """Value, low part, bound and scale: ``|value + low - exact| <= bound``, at the speed of a few BLAS products.

    Both operands are cut into slices of so few bits that the products of two slices, and their sums over K, are whole
    numbers below ``2**53`` in their own unit: BLAS makes no error on them, in whatever order it sums. Pairs of slices
    with the same unit share one BLAS product, side by side; these are added in double-double. Slices are taken until
    what is left of the operands is bounded by ``GOAL`` times S everywhere, or nothing is left; elements where six are
    not enough are summed as fractions if they are few.
    """

    room = 16

    def left(self, a: Array) -> list[tuple[Array, Array, _Slices]]:
        a = np.asarray(a, np.float64)
        pieces = [a[..., start : start + _PIECE] for start in range(0, a.shape[-1], _PIECE)]
        highs = [_exponents(piece, -1) for piece in pieces]
        with np.errstate(over="ignore"):
            return [(p, high, _Slices(p, high, -1, _bits(p.shape[-1]))) for p, high in zip(pieces, highs, strict=True)]

    def times(self, left: list[tuple[Array, Array, _Slices]], columns: Array) -> Parts:
        columns = np.asarray(columns, np.float64)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            found = self._piece(*left[0], columns[..., :_PIECE, :])
            for place, piece in enumerate(left[1:], start=1):
                found = added(found, self._piece(*piece, columns[..., place * _PIECE : (place + 1) * _PIECE, :]))
        return found

    @staticmethod
    def _piece(a: Array, high_a: Array, rows: _Slices, b: Array) -> Double:
        high_b = _exponents(b, -2)
        if _moderate(high_a) and _moderate(high_b):
            found, met = _split(rows, b, high_b)
            return found if met else _one_by_one(a, b, found)
        return _one_by_one(a, b, _normalised(a, b, high_a, high_b))


EXACT = Exact()


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """The float64 sum and its exact error (D. Knuth, The Art of Computer Programming 2, section 4.2.2, theorem B)."""
    total = a + b
    there = total - a
    return total, (a - (total - there)) + (b - there)


def added(p: Double, q: Double) -> Double:
    """Two sums in one; what the low parts lose goes to the bound."""
    value, error = two_sum(p.value, q.value)
    value, low = two_sum(value, error + (p.low + q.low))
    lost = 2.0**-52 * (np.abs(error) + np.abs(p.low) + np.abs(q.low))
    return Double(value, low, (p.own + q.own + lost) * _GUARD, p.scale + q.scale)


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
        self.a, self.rest, self.axis, self.bits = a, a, axis, bits
        self.exponents = exponents
        self.peak = _peak(a, axis)
        self.sum = np.abs(a).sum(axis, keepdims=True)
        self.cuts, self.captured = 0, False
        shape = list(a.shape)
        shape[axis] *= _MOST_SLICES
        self._all = np.empty(shape)  # memory that is never written is never taken

    def cut(self, depth: int) -> None:
        """Have so many slices, or fewer where nothing is left."""
        while self.cuts < depth and not self.captured:
            shift = np.ldexp(1.5, self.exponents - (self.cuts + 1) * self.bits + 52)
            part = self.some(self.cuts, self.cuts + 1)
            np.add(self.rest, shift, out=part)
            part -= shift
            self.rest = self.rest - part
            self.cuts += 1
            self.captured = not self.rest.any()

    def some(self, first: int, last: int) -> Array:
        """Slices side by side along K, from ``first`` up to and without ``last``; those of columns in reverse."""
        terms = self.a.shape[self.axis]
        if self.axis == -1:
            return self._all[..., first * terms : last * terms]
        return self._all[..., (_MOST_SLICES - last) * terms : (_MOST_SLICES - first) * terms, :]

    def left(self, depth: int) -> Array:
        """Bound the elements of what so many slices leave: half a unit, or nothing."""
        nothing = self.captured and depth >= self.cuts
        half = (self.peak > 0) * (0.0 if nothing else 0.5)
        return np.asarray(np.ldexp(half, self.exponents - depth * self.bits))

    def largest(self, place: int) -> Array:
        """Bound the elements of one slice (from 0), which rounding may have enlarged."""
        return self.peak + self.left(1) if place == 0 else self.left(place)


def _bits(terms: int) -> int:
    """How many bits a slice has: sums of up to six pairs of slices, K products each, are below ``2**53`` units."""
    return (52 - (terms - 1).bit_length()) // 2


def _split(rows: _Slices, b: Array, high_b: Array) -> tuple[Double, bool]:
    """The product of operands with moderate exponents, and whether its bound meets the goal."""
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
    count_a, count_b = min(depth, rows.cuts), min(depth, columns.cuts)
    sums: list[Array] = []
    for order in range(min(depth, count_a + count_b - 1)):
        # all pairs i + j = order in one product: they share their unit, and their sum is exact as well
        first, last = max(0, order - count_b + 1), min(order + 1, count_a)
        sums.append(np.matmul(rows.some(first, last), columns.some(order + 1 - last, order + 1 - first)))
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
    return Double(value, low, left_out * _GUARD, scale), met


def _left_out(rows: _Slices, columns: _Slices, depth: int) -> Array:
    """Bound the products that are not made: slice i with all behind slice ``depth - i``, and the rest with all."""
    terms = columns.rest.shape[-2]
    left = [rows.largest(i) * float(terms) for i in range(min(depth, rows.cuts))]
    right = [columns.left(depth - i) for i in range(len(left))]
    left.append(rows.left(depth))
    right.append(columns.sum)
    found: Array = np.matmul(np.concatenate(left, -1), np.concatenate(right, -2))
    found *= _GUARD
    return found


def _normalised(a: Array, b: Array, high_a: Array, high_b: Array) -> Double:
    """The same for any exponents: every row and column is scaled by a power of two first, and the product back.

    Elements ``2**1022`` times smaller than the largest of their row are rounded by that; what results are subnormal
    are rounded too. Both are added to the bound. Elements that overflow have none.
    """
    near, far = np.ldexp(a, -high_a), np.ldexp(b, -high_b)
    rows = _Slices(near, np.zeros_like(high_a), -1, _bits(a.shape[-1]))
    (value, low, own, _), _ = _split(rows, far, np.zeros_like(high_b))
    lost_a = (np.ldexp(near, high_a) != a).any(-1, keepdims=True)
    lost_b = (np.ldexp(far, high_b) != b).any(-2, keepdims=True)
    own = own + (2 * a.shape[-1] * TINY) * (lost_a | lost_b)
    power = high_a + high_b
    scale = np.matmul(np.abs(a), np.abs(b))  # in the scaled one, small products would vanish
    found = Double(np.ldexp(value, power), np.ldexp(low, power), np.ldexp(own, power), scale)
    for part, scaled in zip((value, low, own), found, strict=False):
        found.own[...] += ((np.ldexp(scaled, -power) != part) & (part != 0)) * TINY
    over = ~np.isfinite(found.value + found.low)
    if bool(over.any()):
        found.value[over], found.low[over], found.own[over] = np.matmul(a, b)[over], 0.0, np.inf
    return found


def _one_by_one(a: Array, b: Array, found: Double) -> Double:
    """Elements whose bound misses the goal summed as fractions, if they are few."""
    value, low, own, scale = found
    poor = np.argwhere(own > GOAL * scale + a.shape[-1] * TINY)
    if 0 < len(poor) * a.shape[-1] <= _PATIENCE:
        for at in map(tuple, poor):
            *batch, row, column = at
            value[at], low[at], own[at] = _exactly(a[(*batch[-(a.ndim - 2) :], row)], b[(*batch, slice(None), column)])
    return found


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
