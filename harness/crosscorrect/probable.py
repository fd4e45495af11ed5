"""Tier B: what rounding errors that do not conspire stay within; the powerful judge of random data.

A first version with the per-element limit alone; the aggregate tests follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds, dtypes

if TYPE_CHECKING:
    from crosscorrect.oracle import Array, Floats, Reference
    from crosscorrect.problem import Problem


@dataclass(frozen=True, slots=True)
class Finding:
    """What tier B objects to: the ``test`` (element, variance, bias), the worst element, by how much, in words."""

    test: str
    where: tuple[int, ...]
    ratio: float
    message: str


def applies(problem: Problem) -> bool:
    """Whether all that is multiplied is random: ``normal`` or ``uniform`` fills with nothing put into them.

    ``b`` may be anything. Rounding errors of designed data may conspire (2**24 followed by ones).
    """
    used = [problem.arrays[name] for name in ("x", "w", "dy") if name in problem.arrays]
    return len(used) >= 2 and problem.operation != "train" and all(map(_random, used))


def _random(spec: Any) -> bool:
    return isinstance(spec, dict) and spec.get("fill") in ("normal", "uniform") and "put" not in spec


def judge(
    error: Array, reference: Reference, dtype: str, arithmetic: str = "strict", bias: Array | float | None = None
) -> Finding | None:
    """What tier B objects to in an error ``y - (value + low)``, or None.

    ``bias`` is what was added to the sum of products, of a shape that broadcasts to the output, 0.0 where nothing
    was; None where that is not known, which costs power.
    """
    if dtype in dtypes.INTEGER or arithmetic not in ("strict", "default"):
        return None
    u, out = bounds.floating("float32" if dtype in ("float16", "bfloat16") else dtype).u, bounds.floating(dtype)
    limit = 6.0 * np.sqrt(reference.terms) * u * reference.scale + out.eta * reference.terms
    if out.u > u:
        limit = limit + out.u * (np.abs(reference.value) + reference.scale)
    limit = limit + bounds.reference_error(reference)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.maximum(np.abs(error.real), np.abs(error.imag))
        ratio = np.where(size > 0, size / limit, 0.0)
    if not ratio.size or not np.nanmax(ratio) > 1:
        return None
    where = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(ratio)), ratio.shape))
    over = float(ratio[where])
    return Finding("element", where, over, f"an error of {size[where]:.3g} at {where} is {over:.3g} times the limit")


def effective_bits(error: Array, squares: Floats) -> float:
    """``-log2 rms(error / sqrt(squares))``: the precision in use, whatever the number of terms; inf without error.

    ``squares`` is ``x**2 ⋆ w**2``: the variance that independent relative errors of the products would have, per unit.
    About 24 for float32, 19 Winograd F(4), 11.7 TF32 or float16, 8.7 bfloat16 inputs. Elements without a square or a
    finite error do not count.
    """
    usable = np.isfinite(error) & (squares > 0) & np.isfinite(squares)
    if not usable.any():
        return float("inf")
    mean = float(np.mean(np.abs(error[usable]) ** 2 / squares[usable]))
    return float("inf") if mean == 0 else -0.5 * float(np.log2(mean))
