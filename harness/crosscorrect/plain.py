"""Ways to multiply matrices without a low part: in float64, in float32 where that is sound, and digit by digit.

Each is a ``slides.Product``. ``PLAIN``, ``MIXED`` and ``SINGLE`` make a value and its scale S, the product of the
absolute values; ``Digits`` makes the exact digits of sums of whole numbers of any size, and their scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crosscorrect.slides import Array, Floats, Parts


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


PLAIN, MIXED, SINGLE = Plain(), Mixed(), Single()


def digits(whole: Array, bits: int) -> list[Floats]:
    """The digits of 64-bit integers, lowest first: all nonnegative but the highest, which has the sign."""
    found = []
    for _ in range(-(-65 // bits) - 1):
        found.append((whole & whole.dtype.type((1 << bits) - 1)).astype(np.float64))
        whole = whole >> whole.dtype.type(bits)
    return [*found, whole.astype(np.float64)]
