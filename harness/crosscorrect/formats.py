"""Binary floating-point formats, and the theorem that bounds a rounded sum of products in one of them.

With ``u`` the unit roundoff of a format and ``gamma(n, u) = n u / (1 - n u)``, a sum of n products computed in any
order, with fused multiply-add or not, is off by at most ``gamma(n, u)`` times the sum S of the absolute terms
(N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from crosscorrect.oracle import Floats

Number: TypeAlias = float | NDArray[Any]

GUARD = 1.0 + 2.0**-40
"""Makes up for the rounding of a bound's own arithmetic, a few dozen operations on nonnegative float64 numbers."""


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format.

    ``digits`` counts the significand bits p with the hidden one (unit roundoff ``u = 2**-p``), ``lowest`` is the
    exponent of the smallest normal number, ``largest`` the largest number. ``eta`` bounds the absolute error of one
    operation whose result underflows: half the smallest subnormal number, or, since JAX and TensorFlow set results
    that would be subnormal to zero, the smallest normal number; float16 results keep their subnormals everywhere.
    Inputs that are subnormal themselves are *not* allowed to read as zero.
    """

    digits: int
    lowest: int
    largest: float
    flushes: bool = True

    @property
    def u(self) -> float:
        """The unit roundoff."""
        return 2.0**-self.digits

    @property
    def eta(self) -> float:
        """The absolute error of one operation that underflows."""
        return 2.0**self.lowest if self.flushes else 2.0 ** (self.lowest - self.digits)

    def truncating(self) -> Format:
        """The format as an accumulator that may round toward zero: one bit less, ``u`` doubled."""
        return replace(self, digits=self.digits - 1)


FORMATS = {
    "float16": Format(11, -14, 65504.0, flushes=False),
    "bfloat16": Format(8, -126, (2.0 - 2.0**-7) * 2.0**127),
    "float32": Format(24, -126, (2.0 - 2.0**-23) * 2.0**127),
    "float64": Format(53, -1022, float(np.finfo(np.float64).max)),
}
FORMATS["complex64"], FORMATS["complex128"] = FORMATS["float32"], FORMATS["float64"]  # that of each component

REFERENCE = FORMATS["float64"]
"""The arithmetic of the oracle. NumPy does not flush, but half of float64's smallest subnormal is no float64."""


def floating(dtype: str) -> Format:
    """The format of a dtype name, of a component for complex ones; ValueError for a dtype without one."""
    try:
        return FORMATS[dtype]
    except KeyError:
        raise ValueError(f"no rounding bound for dtype {dtype!r}; known: {', '.join(FORMATS)}") from None


def gamma(n: Number, u: float) -> Floats:
    """``n u / (1 - n u)``, infinite from ``n u = 1`` on, where no bound holds (Higham, lemma 3.1)."""
    nu = np.asarray(n, np.float64) * u
    bounded = nu < 1.0
    return np.where(bounded, nu / np.where(bounded, 1.0 - nu, 1.0), np.inf)


def rounding(scale: Floats, n: Number, form: Format) -> Floats:
    """Bound the error of a sum of n products in any order: ``gamma_n S`` and what may underflow.

    ``scale`` is S. n products and n additions (one to spare) may each underflow by ``eta``, which later
    roundings can enlarge by ``1 + gamma_n``. Infinite where a partial sum may overflow, or S is not a number.
    """
    growth = gamma(n, form.u)
    with np.errstate(invalid="ignore", over="ignore"):
        bound = (growth * scale + 2.0 * np.asarray(n, np.float64) * form.eta * (1.0 + growth)) * GUARD
        sound = (1.0 + growth) * scale < form.largest
    return np.where(sound, bound, np.inf)


def complex_rounding(scale: Floats, n: Number, form: Format) -> Floats:
    """Bound the error of either component of a sum of n complex products, by four real sums or by three.

    ``scale`` is ``S' = (|xr| + |xi|) ⋆ (|wr| + |wi|) (+ |br| + |bi|)``. With four products a component is a sum of at
    most 2n real ones, whose S is at most S': ``gamma_2n S'``. With three (Gauss; PyTorch), ``a = xr ⋆ wr + br``,
    ``b = xi ⋆ wi``, ``c = (xr + xi) ⋆ (wr + wi) + (br + bi)``, real part ``a - b``, imaginary part ``c - a - b``:
    a term of c is rounded n times in the sum, twice where its factors are added, and twice in the subtractions, so
    that c costs ``gamma_{n+4} S'``, and a and b together, whose S add up to at most S', as much again:
    ``2 gamma_{n+4} S'`` (N. Higham, "Stability of a method for multiplying complex matrices with three real matrix
    multiplications", SIMAX 13(3), 1992). Other choices of the three products have the same bound. The larger of both
    is given: four products have it where ``n (n + 4) u > 4``. Sums of inputs are taken not to be flushed to zero.
    """
    n = np.asarray(n, np.float64)
    three, four = gamma(n + 4.0, form.u), gamma(2.0 * n, form.u)
    growth = np.maximum(2.0 * three, four)
    with np.errstate(invalid="ignore", over="ignore"):
        bound = (growth * scale + (6.0 * n + 8.0) * form.eta * (1.0 + growth)) * GUARD
        sound = (1.0 + growth) * 2.0 * scale < form.largest
    return np.where(sound, bound, np.inf)
