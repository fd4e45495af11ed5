"""Integer arithmetic as machines have it: exact sums reduced modulo ``2**bits``, or held at the ends of the range.

Sums come as float64 where S is below ``2**53``, so that each of them is exact, and else as the digits that
``plain.Digits`` makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.plain import digits
from crosscorrect.products import two_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.slides import Array

WRAPS, SATURATES = "integer overflow wraps", "integer overflow saturates"


@dataclass(frozen=True, slots=True)
class Whole:
    """What an integer dtype makes of exact sums; value and low part are float64 and add up to it."""

    fits: bool
    wrapped: tuple[Array, Array | None]
    saturated: tuple[Array, Array | None]


def small(sums: Array, dtype: str) -> Whole:
    """Of float64 sums that are exact whole numbers below ``2**53``."""
    info = np.iinfo(dtype)
    fits = bool(((sums >= info.min) & (sums <= info.max)).all())
    if fits:
        return Whole(True, (sums, None), (sums, None))
    return Whole(False, _split(sums.astype(np.int64).astype(dtype)), (np.clip(sums, info.min, info.max), None))


def large(planes: Sequence[Array], bias: Array | None, bits: int, dtype: str) -> Whole:
    """Of digit planes (int64, weighted by powers of ``2**bits``) and a bias that broadcasts to them."""
    info = np.iinfo(dtype)
    sums = list(planes)
    if bias is not None:
        for place, digit in enumerate(digits(bias, bits)):
            sums[place] = sums[place] + digit.astype(np.int64)
    carry = np.zeros_like(sums[0])
    for place in range(len(sums)):
        total = sums[place] + carry
        sums[place], carry = total & ((1 << bits) - 1), total >> bits
    low = np.zeros(carry.shape, np.uint64)  # the sum modulo 2**64
    for place, digit in enumerate(sums):
        if place * bits < 64:
            low |= digit.astype(np.uint64) << np.uint64(place * bits)
    negative = carry < 0
    exact = low.astype(dtype)
    fits = _same(sums, carry, exact, bits)
    return Whole(bool(fits.all()), _split(exact), _split(np.where(fits, exact, _held(exact, negative, info))))


def _same(sums: Sequence[Array], carry: Array, exact: Array, bits: int) -> Array:
    """Whether the reduced number has the digits of the sum itself, its sign included."""
    rest = exact.astype(np.int64 if exact.dtype.kind == "i" else np.uint64)
    same = np.ones(carry.shape, np.bool_)
    for digit in sums:
        same &= (rest & rest.dtype.type((1 << bits) - 1)).astype(np.int64) == digit
        rest = rest >> rest.dtype.type(bits)
    return np.asarray(same & (rest.astype(np.int64) == carry))


def _held(exact: Array, negative: Array, info: Any) -> Array:
    return np.asarray(np.where(negative, exact.dtype.type(info.min), exact.dtype.type(info.max)))


def _split(exact: Array) -> tuple[Array, Array | None]:
    """Integers as float64 value and low part; no low part where float64 holds them all."""
    if exact.dtype.itemsize < 8:
        return exact.astype(np.float64), None
    cut = exact.dtype.type(0x7FF)
    value, low = two_sum((exact & ~cut).astype(np.float64), (exact & cut).astype(np.float64))
    return value, (low if low.any() else None)
