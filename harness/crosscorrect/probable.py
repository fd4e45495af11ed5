"""Tier B: what rounding errors that do not conspire stay within; the powerful judge of random data.

A sum rounded to nearest makes, at each step, an error whose variance is at most ``u**2 / 3`` times the square of the
partial sum s_k, and of mean zero. The partial sums of random products walk from 0 (or the bias) to the result y, in a
bridge: ``sum of s_k**2`` is about ``n y**2 / 3 + n**2 q**2 / 6`` for n products of root mean square q. From y, S and n
alone that gives the spread of the error of the *worst* order of summation, the sequential one; every other order stays
below. On it stand three tests, per element, for the mean square, and for the mean (the constants are at their names;
docs/numerics.md has the simulations): what rounds inputs, outputs or sums to fewer bits, or sums toward zero, breaks
one of them long before it breaks the sound bound ``gamma_n S``, which assumes that every error has the worst sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds, contracts, dtypes
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crosscorrect.oracle import Array, Floats, Reference
    from crosscorrect.problem import Problem

PEAK = 1.6
"""The largest ratio of a random product's root mean square to its mean magnitude: normal times normal has 1.57, normal
times uniform 1.45, uniform times uniform 1.33."""

ELEMENT = 10.0
"""Spreads that one element may be off. Sequential sums of 10**9 random products stayed below 4.2; the tail, a Gaussian
of a random variance, falls like ``exp(-2.4 t)``: 10**-10 at ten."""

FIRST = 6.0
"""Times ``sqrt(n) u S`` that one element may be off: below ELEMENT spreads for the fewest terms (research 2.2)."""

STALL = 0.5
"""Times ``u**2 n**2 y**2 / S`` that sums of same-signed data may drift: once the partial sums are so large that a
product is few of their units, rounding it to whole units favours zero. Sequential sums of uniform products drift 0.12
(n = 5·10**4), 0.06 (3·10**5) and 0.04 (10**6); sums that truncate 0.36 n u S, which is 10**3 to 10 times more there."""

MEAN_SQUARE = (25.0, 100.0)
"""The mean square may be 1 plus these over the root of the number of elements, and over the number: the variance of a
square is at most 6. Right sums have 0.7 at most in the long run, for u is the worst of a binade."""

LEAN = (6.0, 10.0)
"""Times the root of the number of elements, and as such, that the errors may add up to beside their drift: eight
standard deviations of right sums."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What tier B objects to: the ``test`` (element, variance, bias), the worst element, by how much, in words.

    ``ratio`` is the tested quantity over its limit, above 1.
    """

    test: str
    where: tuple[int, ...]
    ratio: float
    message: str


@dataclass(frozen=True, slots=True)
class _Model:
    """Per element: the ``spread`` of the error, how far it may ``drift`` one way, and the ``limit`` of its size."""

    spread: Floats
    drift: Floats
    limit: Floats

    def fields(self) -> tuple[Floats, Floats, Floats]:
        return self.spread, self.drift, self.limit


def applies(problem: Problem) -> bool:
    """Whether all that is multiplied is random: ``normal`` or ``uniform`` fills with nothing put into them.

    ``b`` may be anything. Rounding errors of designed data may conspire (2**24 followed by ones).
    """
    used = [problem.arrays[name] for name in ("x", "w", "dy") if name in problem.arrays]
    return len(used) >= 2 and problem.operation != "train" and all(map(_random, used))


def bias_of(inputs: Mapping[str, Array], direction: Direction, axes: int) -> Array | float:
    """What a direction adds to its sum of products, as ``judge`` takes it: the bias, or 0.0 where there is none.

    ``axes`` is the number of axes of the output; a bias of one element is added everywhere, another per channel.
    """
    bias = inputs.get("b")
    if bias is None or direction is not Direction.FORWARD:
        return 0.0
    return bias.reshape(()) if bias.size == 1 else bias.reshape(-1, *(1,) * (axes - 2))


def judge(
    error: Array, reference: Reference, dtype: str, arithmetic: str = "strict", bias: Array | float | None = None
) -> Finding | None:
    """What tier B objects to in an error ``y - (value + low)`` (float64, or complex128), or None.

    ``bias`` is what was added to the sum of products, of a shape that broadcasts to the output, 0.0 where nothing
    was; None where that is not known, which costs power: partial sums may then have been as large as S.

    ``strict`` means sums in the dtype, in float32 for 16-bit dtypes, which may truncate there as tensor cores do,
    with one more rounding of the result before a bias is added; ``default`` is the same. ``tf32`` and ``bf16`` allow
    rounded inputs besides. Of the others, and of integers, nothing probable is known: None. Elements that are not
    finite, determined by IEEE, or without any term, are not judged here. Tests, in this order: ``element``, each
    alone; ``variance``, the mean square over the expected one; ``bias``, the mean, of the error and of the error
    toward zero, over the allowed drift.
    """
    if dtype in dtypes.INTEGER or arithmetic in ("fp16", "winograd", "fft"):
        return None
    model = _model(reference, dtype, arithmetic, None if bias is None else dtypes.widen(bias))
    e, value = _components(error), _components(reference.value)
    usable = np.isfinite(e) & np.isfinite(model.limit) & (model.spread > 0)
    if reference.special is not None:
        usable &= ~reference.special[..., None]
    e, value, spread, drift, limit = (np.where(usable, a, 0.0) for a in (e, value, *model.fields()))
    count, size = int(usable.sum()), np.abs(e)
    if not count:
        return None
    over = size / np.where(usable, limit, 1.0)
    if over.max() > 1:
        return _finding("element", over, float(over.max()), size)
    unit = np.where(usable, spread, 1.0)
    units = np.maximum(size - drift, 0.0) / unit
    square = float(np.sum(units * units)) / count
    if square > (most := 1.0 + MEAN_SQUARE[0] / np.sqrt(count) + MEAN_SQUARE[1] / count):
        return _finding("variance", units, float(square / most), size)
    allowed = float(np.sum(drift / unit)) + LEAN[0] * np.sqrt(count) + LEAN[1]
    for lean in (e / unit, np.sign(value) * e / unit):
        total = float(np.sum(lean))
        if abs(total) > allowed:
            return _finding("bias", np.sign(total) * lean, float(abs(total) / allowed), size)
    return None


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


def _model(reference: Reference, dtype: str, arithmetic: str, bias: Array | None) -> _Model:
    """The error that an arithmetic is expected to make."""
    out, short = bounds.floating(dtype), dtype in ("float16", "bfloat16")
    form = bounds.floating("float32") if short else out
    u, n, scale = form.u, np.maximum(reference.terms, 1).astype(np.float64), reference.scale
    split = dtype in dtypes.COMPLEX
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ends, before, line = _walk(reference.value, scale, n, bias)
        walk = (scale * PEAK) ** 2  # n**2 q**2; a bridge has 1/6 of it, a free walk 1/2
        energy = line + walk * (1.0 / 2.0 if split else 1.0 / 3.0)
        variance = u * u / 3.0 * (energy + walk / n * (3.0 if split else 1.0))
        drift = STALL * np.where(scale > 0, (u * n * ends) ** 2 / scale, 0.0)
        drift += bounds.reference_error(reference) + 2.0 * n * form.eta + 2.0 * out.eta
        reduced = contracts.REDUCED.get(arithmetic)
        reduces = reduced is not None and dtype in reduced.applies and not short
        if reduced is not None and reduces:  # each product by two errors of at most u_in, which may all shorten it
            variance = variance + reduced.input_u**2 * (2.0 / 3.0) * walk / n
            drift = drift + reduced.input_u * ends
        if short or reduces:  # tensor cores truncate: at most 2 u times the sum of |s_k|
            drift = drift + 2.0 * u * np.sqrt(n * energy)
        limit = drift + ELEMENT * np.sqrt(variance)
        if not (short or reduces):
            first = FIRST * np.sqrt(n) * u * scale * (2.0 if split else 1.0)
            limit = np.minimum(limit, drift + first)
        if short:
            stored = out.u * (1.0 + 2.0 * out.u) * (np.abs(reference.value) + before)
            variance, limit = variance + stored * stored / 3.0, limit + stored
        if split or bias is None or np.any(bias):
            # what a bias loses on the grid of the sums is the same for all elements of a channel; and so is what the
            # sum of a weight's two parts loses in three products
            drift = drift + out.u * (ends + scale / n)
    found = (np.sqrt(variance), drift, limit)
    return _Model(*(np.repeat(a[..., None], 2 if split else 1, axis=-1) for a in found))


def _walk(value: Array, scale: Floats, n: Floats, bias: Array | None) -> tuple[Floats, Floats, Floats]:
    """How partial sums run: their largest end, the sum before the bias (0 without one), and the energy of their line.

    Of a line from a to c in n steps that is ``n (a**2 + a c + c**2) / 3``; the bias may be its start or come last. The
    three products of a complex sum end at up to twice ``|re| + |im|``, and there are three.
    """
    split = np.iscomplexobj(value)
    if bias is None:
        return scale, scale, n * scale * scale * (2.0 if split else 1.0)
    before, sizes = value - bias, contracts.magnitude
    ends = np.maximum(np.maximum(sizes(value), sizes(before)), sizes(bias))
    if split:
        return 2.0 * ends, sizes(before), 2.0 * n * ends * ends
    line = np.maximum(bias * bias + bias * value + value * value, before * before) / 3.0
    return ends, np.asarray(np.abs(before) * (bias != 0)), np.asarray(n * line)


def _finding(test: str, over: Floats, ratio: float, sizes: Floats) -> Finding:
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(over)), over.shape))
    where = place[:-1]  # the last axis holds the components of a complex number
    most = f"{ratio:.3g} times what rounding to nearest may make"
    said = {
        "element": f"an error of {sizes[place]:.3g} at {where} is {most}",
        "variance": f"the mean square error is {most} on average; worst at {where}",
        "bias": f"the errors lean to one side, {most} them; worst at {where}",
    }
    return Finding(test, where, ratio, said[test])


def _components(array: Array) -> Floats:
    """Real numbers with one more axis: of one element, or of two for the components of complex ones."""
    parts = (array.real, array.imag) if np.iscomplexobj(array) else (array,)
    return np.stack([np.asarray(part, np.float64) for part in parts], axis=-1)


def _random(spec: Any) -> bool:
    return isinstance(spec, dict) and spec.get("fill") in ("normal", "uniform") and "put" not in spec
