"""How far a correctly rounded computation may be from the reference: sound bounds, and when the bound is zero.

With ``u`` the unit roundoff of a format and ``gamma(n, u) = n u / (1 - n u)``, a sum of n products computed in any
order, with fused multiply-add or not, is off by at most ``gamma(n, u)`` times the sum S of the absolute terms
(N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). What exceeds that was not computed
in the format it claims: a proof, not a suspicion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscorrect.oracle import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crosscorrect.oracle import Array, Floats

Number: TypeAlias = float | NDArray[Any]

_GUARD = 1.0 + 2.0**-40
"""Makes up for the rounding of the bound's own arithmetic, a few dozen operations on nonnegative float64 numbers."""


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


FORMATS = {
    "float16": Format(11, -14, 65504.0, flushes=False),
    "bfloat16": Format(8, -126, (2.0 - 2.0**-7) * 2.0**127),
    "float32": Format(24, -126, (2.0 - 2.0**-23) * 2.0**127),
    "float64": Format(53, -1022, float(np.finfo(np.float64).max)),
}
REFERENCE = FORMATS["float64"]
"""The arithmetic of the oracle. NumPy does not flush, but half of float64's smallest subnormal is no float64."""


def floating(dtype: str) -> Format:
    """The format of a dtype name; ValueError for a dtype that is no real floating-point format."""
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
        bound = (growth * scale + 2.0 * np.asarray(n, np.float64) * form.eta * (1.0 + growth)) * _GUARD
        sound = (1.0 + growth) * scale < form.largest
    return np.where(sound, bound, np.inf)


def reference_error(reference: Reference) -> Floats:
    """Bound the error of the float64 reference itself: ``gamma_n(2**-53) S``, by the same theorem."""
    return rounding(_scale(reference), reference.terms, REFERENCE)


def tier_a(reference: Reference, dtype: str) -> Floats:
    """Bound, per element, the distance of a correct ``dtype`` result from the reference: ``gamma_n S + u |y| + …``.

    The terms, in order:

    - ``gamma_n(u) S``: n roundings at most touch any term, its product and n - 1 additions (the first addition, to
      zero, is exact); padding adds exact zeros, so n counts only the taps inside the image (research numerics 2.2);
    - underflow: see ``rounding``;
    - ``u |y|``: an accumulator wider than ``dtype`` is rounded once more when it is stored; the sum of both covers that
      too, for ``gamma_n(u / 2) (1 + u) <= gamma_n(u)``;
    - ``gamma_n(2**-53) S``: the reference's own error, and again ``u`` times it inside ``|y|``.

    Elements without a sound bound (``n u >= 1``, possible overflow, not finite) are infinite, and so are all of an
    integer dtype: ``exact`` judges those. Not covered, since they are no such sums: Winograd, FFT, inputs rounded to
    fewer bits, accumulators that truncate.
    """
    if dtype not in FORMATS and np.dtype(dtype).kind in "iu":
        return np.full(reference.value.shape, np.inf)
    form, own = floating(dtype), reference_error(reference)
    with np.errstate(invalid="ignore", over="ignore"):
        stored = form.u * (np.abs(reference.value) + own) + form.eta
        bound = (rounding(_scale(reference), reference.terms, form) + stored + own) * _GUARD
    return np.where(np.isnan(bound), np.inf, bound)


def exact(arrays: Iterable[Array], reference: Reference, dtype: str) -> bool:
    """Whether tier C applies: integers so small that every partial sum in any order is exact, tolerance zero.

    All ``arrays`` (the inputs) must hold integers, and S must be at most ``2**p``: every partial sum is then an
    integer of at most S, which the format holds. Integer dtypes hold what ``iinfo`` says. The reference is exact
    under the same condition, but a computed S of ``2**53`` may have been rounded down to it: that one is refused.
    """
    if dtype in FORMATS:
        limit = min(2.0 ** FORMATS[dtype].digits, 2.0**53 - 1.0)
    else:
        limit = min(float(np.iinfo(dtype).max), 2.0**53 - 1.0)
    whole = all(bool(np.all(np.isfinite(a) & (np.rint(a) == a))) for a in map(_plain, arrays))
    return whole and bool(np.all(reference.scale <= limit))


def trusted(reference: Reference | Array) -> str | None:
    """Why an output proves nothing, or None: more than half zeros, or the same number everywhere.

    Meant for generated data; literal worked examples are exempt, and so is an output of one element. Elements of a
    ``Reference`` that no tap reaches are zero by definition and not counted.
    """
    values = reference
    if isinstance(reference, Reference):
        values = reference.value[reference.terms > 0]
        if not values.size:
            return "no tap of any output element falls inside the image"
    values = np.asarray(values)
    if values.size <= 1:
        return None
    zeros = int(np.count_nonzero(values == 0))
    if 2 * zeros > values.size:
        return f"{zeros} of {values.size} output elements are zero"
    if bool(np.all(values == values.flat[0])):
        return f"all {values.size} output elements are {values.flat[0]:g}"
    return None


def _scale(reference: Reference) -> Floats:
    """An upper bound of the exact S: the computed one is itself a rounded sum of n terms."""
    return reference.scale * (1.0 + 2.0 * gamma(reference.terms, REFERENCE.u))


def _plain(array: Array) -> Array:
    """Integers as they are, everything else in float64 (also formats that NumPy knows only by extension)."""
    array = np.asarray(array)
    return array if array.dtype.kind in "iub" else array.astype(np.float64)
