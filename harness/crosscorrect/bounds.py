"""How far a correctly rounded computation may be from the reference: sound bounds, and when the bound is zero.

What exceeds the bound of the declared arithmetic was not computed in it: a proof, not a suspicion. The theorem behind
every bound is in ``formats``, the arithmetics that may be declared in ``contracts`` and ``fast``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import contracts, dtypes, fast
from crosscorrect.contracts import Operands
from crosscorrect.formats import (
    FORMATS,
    GUARD,
    REFERENCE,
    Format,
    complex_rounding,
    floating,
    gamma,
    rounding,
)
from crosscorrect.oracle import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crosscorrect.oracle import Array, Floats

__all__ = [
    "FORMATS",
    "REFERENCE",
    "Format",
    "Operands",
    "complex_rounding",
    "exact",
    "floating",
    "gamma",
    "reference_error",
    "rounding",
    "tier_a",
    "trusted",
]


def reference_error(reference: Reference) -> Floats:
    """Bound the error of the reference itself, of either component where it is complex.

    Its own statement where it makes one, else ``gamma_n(2**-53) S`` (complex: as ``complex_rounding``), by the same
    theorem.
    """
    if reference.own is not None:
        return np.asarray(reference.own, np.float64)
    bound = complex_rounding if np.iscomplexobj(reference.value) else rounding
    return bound(_scale(reference), reference.terms, REFERENCE)


def tier_a(reference: Reference, dtype: str, arithmetic: str = "strict", operands: Operands | None = None) -> Floats:
    """Bound, per element, ``|y - (value + low)|`` of a correct ``dtype`` result: ``gamma_n S + u |y| + …``.

    Of a complex result both the real and the imaginary part obey the bound. The terms of ``strict``, in order:

    - ``gamma_n(u) S``: n roundings at most touch any term, its product and n - 1 additions (the first addition, to
      zero, is exact); padding adds exact zeros, so n counts only the taps inside the image (research numerics 2.2);
      complex: ``2 gamma_{n+4}(u) S'`` or ``gamma_2n(u) S'``, see ``formats.complex_rounding``;
    - underflow: see ``formats.rounding``;
    - ``u |y|``: an accumulator wider than ``dtype`` is rounded once more when it is stored; the sum of both covers that
      too, for ``gamma_n(u / 2) (1 + u) <= gamma_n(u)``;
    - the reference's own error, and again ``u`` times it inside ``|y|``.

    ``tf32``, ``bf16`` and ``fp16`` allow rounded inputs and other accumulators (``contracts.reduced``) for the dtypes
    that they touch; a 16-bit result may be rounded once more before its bias is added. ``winograd`` and ``fft`` allow
    ``strict`` or the algorithm (``fast``): they need the ``operands``, and without them are ``strict``. ``default`` is
    ``strict``. ValueError for another name.

    Elements without a sound bound (``n u >= 1``, possible overflow, not finite: those of ``reference.special`` too,
    which have no distance) are infinite, and so are all of an integer dtype: ``exact`` judges those.
    """
    if arithmetic not in contracts.NAMES:
        raise ValueError(f"unknown arithmetic {arithmetic!r}; known: {', '.join(contracts.NAMES)}")
    if dtype in dtypes.INTEGER:
        return np.full(reference.value.shape, np.inf)
    form = floating(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        own, scale = reference_error(reference), _scale(reference)
        summed, stores = contracts.strict_error(reference, scale, dtype), 1.0 * _component(reference.value)
        if arithmetic in contracts.REDUCED:
            found = contracts.reduced(arithmetic, scale, reference.terms, dtype, operands)
            if found is not None:
                summed, stores = found, stores + (scale if form.digits < 24 else 0.0)  # a bias added afterwards
        elif operands is not None and arithmetic in fast.BOUNDS:
            summed = np.maximum(summed, fast.BOUNDS[arithmetic](operands, dtype, reference.value.shape))
        stored = form.u * (stores + 2.0 * summed + own) + 2.0 * form.eta
        bound = (summed + stored + own) * GUARD
    return np.where(np.isnan(bound), np.inf, bound)


def exact(arrays: Iterable[Array], reference: Reference, dtype: str) -> bool:
    """Whether tier C applies: integers so small that every partial sum in any order is exact, tolerance zero.

    All ``arrays`` (the inputs) must hold integers, and S must be at most ``2**p``: every partial sum is then an
    integer of at most S, which the format holds; of complex data the components must be integers and ``2 S'`` at most
    ``2**p``, which no partial sum of three products exceeds (``formats.complex_rounding``). Integer dtypes hold what
    ``iinfo`` says. The reference is exact under the same condition, but a computed S of ``2**53`` may have been
    rounded down to it: that one is refused, unless the reference says that its ``value + low`` is exact.
    """
    twice = 2.0 if dtype in dtypes.COMPLEX else 1.0
    limit = 2.0 ** floating(dtype).digits if dtype in FORMATS else float(np.iinfo(dtype).max)
    if reference.low is None or reference.own is None or np.any(reference.own != 0):
        limit = min(limit, 2.0**53 - 1.0)
    elif limit >= 2.0**53:
        limit *= 1.0 - 2.0**-40  # S itself is a rounded sum
    whole = all(map(_whole, arrays))
    return whole and bool(np.all(reference.scale <= limit / twice))


def trusted(reference: Reference | Array) -> str | None:
    """Why an output proves nothing, or None: more than half zeros, or the same number everywhere.

    Meant for generated data; literal worked examples are exempt, and so is an output of one element or none. Elements
    of a ``Reference`` that no tap reaches are zero by definition and not counted, and those that are not finite have
    been judged by what they must be.
    """
    values = dtypes.widen(reference.value if isinstance(reference, Reference) else reference)
    reached = np.ones(values.shape, np.bool_)
    if isinstance(reference, Reference) and values.size:
        reached = np.broadcast_to(reference.terms > 0, values.shape)
        if not reached.any():
            return "no tap of any output element falls inside the image"
    values = values[reached & np.isfinite(values)]
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
    return np.asarray(reference.scale * (1.0 + 2.0 * gamma(reference.terms + 2, REFERENCE.u)))


def _component(value: Array) -> Floats:
    """The magnitude of a value, of the larger component of a complex one."""
    if np.iscomplexobj(value):
        return np.asarray(np.maximum(np.abs(value.real), np.abs(value.imag)))
    return np.asarray(np.abs(value))


def _whole(array: Array) -> bool:
    """Whether all numbers are finite integers, of complex ones both components."""
    wide = dtypes.widen(array)
    if wide.dtype.kind in "iub":
        return True
    parts = (wide.real, wide.imag) if np.iscomplexobj(wide) else (wide,)
    return all(bool(np.all(np.isfinite(part) & (np.rint(part) == part))) for part in parts)
