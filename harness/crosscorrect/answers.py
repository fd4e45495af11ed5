"""From a map and its operands to the reference: which answers are legitimate, and what each stands for.

``sums`` takes the sums. Integers are then what machines hold of them (``whole``); NaN, infinity and subnormal inputs
are ``special``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscorrect import dtypes, special, whole
from crosscorrect.plain import PLAIN, Digits
from crosscorrect.products import rounding
from crosscorrect.slides import SUM
from crosscorrect.sums import EXACTLY, Sum, sampled, summed

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.slides import Map

Array: TypeAlias = np.ndarray[Any, Any]
Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

CONJUGATED, PLAINLY = "gradient conjugated", "gradient not conjugated"

_WHOLE = 2.0**53


@dataclass(frozen=True, slots=True)
class Reference:
    """A right answer and what its rounding error is measured against; arrays of one shape.

    ``value`` is the answer (float64, or complex128), ``scale`` the sum S of the absolute values of its terms (for
    complex data ``(|xr| + |xi|) * (|wr| + |wi|)``, which bounds both components), ``terms`` their number n: only taps
    that fall inside the image count, and a bias counts as one.

    The value is itself rounded: by at most ``own`` where that is given, else ``bounds.reference_error`` says by how
    much. Where float64 alone is not enough, ``value + low`` is the answer.

    ``special`` marks the elements whose non-finite value IEEE arithmetic determines, whatever the order of summation.
    Where several answers are legitimate, ``property`` names what this one stands for and ``others`` holds the rest.
    ``single`` marks the elements with at most one nonzero product, and that one exact in the problem's dtype: there
    any sum must copy bits.
    """

    value: Array
    scale: Floats
    terms: Counts
    low: Array | None = None
    own: Floats | None = None
    special: Bools | None = None
    property: str = ""
    others: tuple[Reference, ...] = ()
    single: Bools | None = None

    def reshaped(self, change: Callable[[Array], Array]) -> Reference:
        """The same reference with every array of it, and of the other answers, indexed or reshaped alike."""
        return Reference(
            change(self.value),
            change(self.scale),
            change(self.terms),
            None if self.low is None else change(self.low),
            None if self.own is None else change(self.own),
            None if self.special is None else change(self.special),
            self.property,
            tuple(other.reshaped(change) for other in self.others),
            None if self.single is None else change(self.single),
        )


def answer(bilinear: Map, a: Array, b: Array, bias: Array | None, dtype: str) -> Reference:
    """The reference of a map of two operands and a bias that broadcasts to it, for a problem of this dtype."""
    if dtype in dtypes.INTEGER:
        return _integers(bilinear, a, b, bias, dtype)
    kept = _padded(bilinear, a, b, bias, dtype)
    near = [None if o is None else special.flushed(o, dtype) for o in (a, b, bias)]
    if near[0] is a and near[1] is b and near[2] is bias:
        return _joined(kept)
    flushed = _padded(bilinear, near[0], near[1], near[2], dtype)  # type: ignore[arg-type]
    return _joined([_named(r, special.KEPT) for r in kept] + [_named(r, special.FLUSHED) for r in flushed])


def conjugated(kept: Reference, other: Reference) -> Reference:
    """A complex gradient: the conjugated convention (PyTorch's), with the other one (JAX's) as an alternative."""
    first = [_named(r, CONJUGATED) for r in (replace(kept, others=()), *kept.others)]
    return _joined(first + [_named(r, PLAINLY) for r in (replace(other, others=()), *other.others)])


def _named(reference: Reference, name: str) -> Reference:
    return replace(reference, property="; ".join(filter(None, (name, reference.property))))


def _joined(references: list[Reference]) -> Reference:
    return replace(references[0], others=tuple(references[1:])) if len(references) > 1 else references[0]


def _padded(bilinear: Map, a: Array, b: Array, bias: Array | None, dtype: str) -> list[Reference]:
    """The answer; or, where padding meets non-finite numbers, all three answers, skipped padding first."""
    operands = [o for o in (a, b, bias) if o is not None]
    exactly = dtype in EXACTLY  # an error-free product has no use for infinities
    if not exactly or all(np.isfinite(o).all() for o in operands):
        found = summed(bilinear, a, b, bias, dtype)
        if exactly or found.scale.max(initial=0) < np.inf or all(np.isfinite(o).all() for o in operands):
            return [_reference(found, bilinear, a, b, bias, _single(bilinear, a, b, bias, dtype, found))]
    near = [special.finite(o) for o in operands]
    plain = _reference(
        summed(bilinear, near[0], near[1], near[2] if bias is not None else None, dtype), bilinear, a, b, bias
    )
    if np.iscomplexobj(plain.value):
        return [_undecided(plain, special.spread(bilinear, a, b, bias))]
    marks = special.marks(bilinear, a, b, bias)
    base = _determined(plain, marks.determined, marks.value)
    if not marks.padding.any():
        return [base]
    padding = np.broadcast_to(marks.padding, plain.value.shape)
    multiplied = _determined(plain, marks.determined | padding, np.where(padding, np.nan, marks.value))
    return [
        replace(base, property=special.SKIPPED),
        replace(multiplied, property=special.MULTIPLIED),
        replace(_undecided(base, padding), property=special.MIXED),
    ]


def _reference(
    found: Sum, bilinear: Map, a: Array, b: Array, bias: Array | None, single: Bools | None = None
) -> Reference:
    terms = np.broadcast_to(bilinear.terms(a, b) + (bias is not None), found.value.shape)
    return Reference(found.value, found.scale, terms, found.low, found.own, single=single)


def _determined(plain: Reference, where: Array, value: Array) -> Reference:
    """The reference with what non-finite inputs determine."""
    where = np.broadcast_to(where, plain.value.shape)
    low = None if plain.low is None else np.where(where, 0.0, plain.low)
    own = None if plain.own is None else np.where(where, 0.0, plain.own)
    return replace(
        plain,
        value=np.where(where, value, plain.value),
        scale=np.where(where, np.inf, plain.scale),
        low=low,
        own=own,
        special=where.copy(),
    )


def _undecided(plain: Reference, where: Array) -> Reference:
    """The reference with elements about which nothing is said: their own error is unbounded."""
    where = np.broadcast_to(where, plain.value.shape)
    own = rounding(plain.scale, plain.terms) if plain.own is None else plain.own
    determined = np.zeros(where.shape, np.bool_) if plain.special is None else plain.special & ~where
    return replace(plain, own=np.where(where, np.inf, own), special=determined)


def _integers(bilinear: Map, a: Array, b: Array, bias: Array | None, dtype: str) -> Reference:
    """The exact sums, and what a machine that wraps or saturates makes of those that the dtype does not hold."""
    most = int(bilinear.terms(a, b).max(initial=0))
    value, scale = bilinear(a.astype(np.float64), b.astype(np.float64), PLAIN)
    if bias is not None:
        value, scale = value + bias.astype(np.float64), scale + np.abs(bias.astype(np.float64))
    if scale.max(initial=0) < _WHOLE:
        found = whole.small(value, dtype)
    else:
        product = Digits(most)
        kind = np.uint64 if np.dtype(dtype).kind == "u" else np.int64
        *planes, _ = bilinear(a.astype(kind), b.astype(kind), product)
        found = whole.large(planes, None if bias is None else bias.astype(kind), product.bits, dtype)
        scale = scale * (1.0 + 2.0**-50)  # reading 64 bits as float64 rounds
    terms = np.broadcast_to(bilinear.terms(a, b) + (bias is not None), value.shape)
    own = np.broadcast_to(np.float64(0.0), value.shape)
    wrapped = Reference(found.wrapped[0], scale, terms, found.wrapped[1], own)
    if found.fits:
        return wrapped
    saturated = replace(wrapped, value=found.saturated[0], low=found.saturated[1], property=whole.SATURATES)
    return replace(wrapped, property=whole.WRAPS, others=(saturated,))


def _single(bilinear: Map, a: Array, b: Array, bias: Array | None, dtype: str, plain: Sum) -> Bools | None:
    """Elements with at most one nonzero product, exact in the dtype; None unless an operand is mostly zeros."""
    sparse = [o for o in (a, b) if _sparse(o)]
    if np.iscomplexobj(plain.value) or not sparse:
        return None
    (count,) = bilinear((a != 0).astype(np.float64), (b != 0).astype(np.float64), SUM)
    if bias is not None:
        count = count + (bias != 0)
    found: Bools = count <= 1
    if dtype not in EXACTLY:
        with np.errstate(over="ignore", invalid="ignore"):
            found &= dtypes.widen(dtypes.narrow(plain.value, dtype)).astype(np.float64) == plain.value
        return found
    if not any(_powers(o) for o in sparse):
        return None
    found &= (np.abs(plain.value) >= 2.0 ** special.LOWEST[dtype]) | (plain.scale == 0)
    return found


def _powers(a: Array) -> bool:
    """Whether all numbers are powers of two or zero: every product with them is exact."""
    mantissa = np.abs(np.frexp(a)[0])
    return bool(((mantissa == 0.5) | (mantissa == 0)).all())


def _sparse(a: Array) -> bool:
    some = sampled(a)
    return bool(2 * np.count_nonzero(some) <= some.size)
