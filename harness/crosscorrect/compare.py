"""Outputs against right answers, element by element: shape, dtype, finite or not, error over bound."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes
from crosscorrect.model import Outcome, Reason, Verdict

if TYPE_CHECKING:
    from crosscorrect.oracle import Reference

    Array = np.ndarray[Any, Any]


def numbers(output: Array) -> Array:
    """An output in a dtype that is calculated with; integers stay integers, so that none is rounded."""
    wide: Array = dtypes.widen(output)
    if wide.dtype.kind in "iub":
        return wide
    return wide.astype(np.complex128 if wide.dtype.kind == "c" else np.float64)


def difference(got: Array, reference: Reference) -> Array:
    """``got - (value + low)``, in float64 or complex128; equal infinities, and two NaN, do not differ."""
    whole = got.astype(np.float64) if got.dtype.kind in "iub" else got
    with np.errstate(invalid="ignore", over="ignore"):
        error: Array = whole - reference.value
        if got.dtype.kind in "iu" and got.dtype.itemsize == 8:  # 53 bits do not hold them
            error = error + _rest(got, whole)
        if reference.low is not None:
            error = error - reference.low
    same = (whole == reference.value) & ~np.isfinite(whole) | (np.isnan(whole) & np.isnan(reference.value))
    return np.where(same, 0.0, error) if same.any() else error


def _rest(got: Array, whole: Array) -> Array:
    """What rounding 64-bit integers to float64 took off, exactly."""
    return np.array([int(g) - int(w) for g, w in zip(got.ravel(), whole.ravel(), strict=True)], np.float64).reshape(
        got.shape
    )


def malformed(dtype: str | None, output: Array, right: Array) -> Verdict | None:
    if output.shape != right.shape:
        return Verdict(Outcome.FAIL, Reason.SHAPE, f"shape {output.shape} where {right.shape} is right")
    name = dtypes.name_of(output.dtype)
    if dtype is not None and name != dtype:
        return Verdict(Outcome.FAIL, Reason.DTYPE, f"dtype {name} where {dtype} was asked for")
    return None


def not_finite(output: Array, right: Array, bound: Array) -> Verdict | None:
    """A failing verdict where an element is not finite although every correct one would be."""
    got = numbers(output)
    lost = ~np.isfinite(got) & np.isfinite(bound)
    if not lost.any():
        return None
    where = tuple(int(i) for i in np.argwhere(lost)[0])
    message = f"{int(lost.sum())} of {got.size} elements are not finite, the first at {where}"
    return Verdict(
        Outcome.FAIL,
        Reason.NONFINITE,
        message,
        where=where,
        expected=component(right, where),
        got=component(got, where),
    )


def without_bound(bound: Array, what: str) -> Verdict:
    without = int((~np.isfinite(bound)).sum())
    message = (
        f"{what}{without} of {bound.size} elements have no sound bound: n·u reaches 1, or a partial sum may overflow "
        "or wrap; the others are right"
    )
    return Verdict(Outcome.UNBOUNDED, message=message, tier="A")


def within(error: Array, got: Array, expected: Array, bound: Array, reason: Reason, tier: str) -> Verdict:
    """Compare element by element where there is a bound; the verdict tells the largest error over its bound.

    The bound of a complex number holds for its real and its imaginary part alike.
    """
    if got.size == 0:
        return Verdict(Outcome.PASS, tier=tier, error=0.0, ratio=0.0)
    sizes = np.maximum(np.abs(error.real), np.abs(error.imag)) if error.dtype.kind == "c" else np.abs(error)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a bound may be as small as a subnormal
        sizes = np.where(np.isfinite(bound), sizes, 0.0)
        ratio = np.where(sizes == 0, 0.0, sizes / bound)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    largest, over = float(sizes.max()), float(ratio[where])
    if over <= 1:
        return Verdict(Outcome.PASS, tier=tier, error=largest, ratio=over)
    outside = int((sizes > bound).sum())
    message = (
        f"{outside} of {got.size} elements are wrong; at {where} {expected[where]:.9g} is right and "
        f"{got[where]:.9g} was returned"
    )
    if math.isfinite(over):
        message += f", {over:.3g} times the bound away"
    values = component(expected, where), component(got, where)
    return Verdict(Outcome.FAIL, reason, message, tier, largest, over, where, *values)


def component(array: Array, where: tuple[int, ...] | None) -> float | None:
    """The value at a place, the real part of a complex one."""
    return None if where is None else float(np.real(array[where]))
