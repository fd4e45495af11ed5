"""Which arithmetic an output was computed in: by predictions from rounded inputs, by its numbers, by its bits.

The effective bits of an output are ``-log2 rms(error / sqrt(x² * w²))`` (the sum of squares in place of the sum): they
do not depend on the number of terms for inputs that were rounded, 11.7 for TF32 and float16, 8.7 for bfloat16, and are
22.4 to 22.8 for Winograd's F(2, 3), 19.1 to 20.3 for F(4, 3), 17.6 to 18.3 for F(6, 3) (research numerics 2.4, and
measured again on the emulations of the catalogue).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import bounds, catalogue
from crosscorrect.catalogue import arithmetic as ways, sums
from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.diagnosis.question import Answer, Cause, bound_of, inside, stored
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.catalogue import Entry
    from crosscorrect.oracle import Array, Floats, Reference

UNITS = {"bf16-output": 2.0**-8, "fp16-output": 2.0**-11, "tf32-output": 2.0**-11}
NARROW = {"bf16-output": "bf16-accumulator", "fp16-output": "fp16-accumulator"}
WINOGRAD = {"winograd-f2": (21.4, 23.4), "winograd-f4": (18.7, 21.2), "winograd-f6": (16.8, 18.7)}
"""The effective bits between which an output in float32 is taken for Winograd's."""
EMULATED = 2**17
"""Images of up to this many elements are put through the emulations."""
SINGLE = 30.0
"""The effective bits from which an output is better than float32 can be."""
BEYOND = 4.0
"""How many times the sum of its absolute terms an element may be and still be some arithmetic's."""
LEAST = 3.0
"""The effective bits below which an output is not taken for an inaccurate right one."""


def recognised(answer: Answer, declared: str = "strict") -> list[Cause]:
    """The arithmetics that an output is consistent with, the strongest evidence first; empty where none is."""
    if answer.wrong is None or not np.all(np.isfinite(answer.output)) or not (answer.wrong.any() or answer.tight):
        return []
    if answer.given.dtype not in bounds.FORMATS:
        return list(_predicted(answer, math.nan, declared))
    if np.any(np.abs(answer.output) > BEYOND * answer.right.scale + bounds.FORMATS[answer.given.dtype].eta):
        return []  # no arithmetic makes more of a sum than its terms: that is memory, not rounding
    bits = effective_bits(answer)
    if not answer.tight and answer.wrong.sum() < min(3, answer.wrong.size / 4) and not _all_over(answer):
        return []  # one or two elements are damage, no arithmetic
    found = list(_predicted(answer, bits, declared)) or [*_grid(answer, bits)]
    if found or not bits > LEAST:
        return found
    found = [*_summed(answer, bits)]
    return found or [*_reduced(answer, bits)]


def effective_bits(answer: Answer) -> float:
    """The effective bits of an output; infinite where it is right in every bit, nan where nothing can be told."""
    squares = _squares(answer)
    if squares is None:
        return math.nan
    error = np.abs(answer.output - answer.right.value)
    told = (squares > 0) & np.isfinite(error)
    if not told.any():
        return math.nan
    mean = float(np.mean(error[told] ** 2 / squares[told]))
    return -0.5 * math.log2(mean) if mean > 0 else math.inf


def _all_over(answer: Answer) -> bool:
    """Whether the elements inside the bound are less accurate, too, than a sum in the dtype would be.

    The effective bits of a sequential sum of n terms are about ``p - log2(n) / 2`` (research numerics 2.4): a bit less
    than that, by the median of the errors, is no such sum.
    """
    squares = _squares(answer)
    if squares is None or not (squares > 0).any():
        return False
    told = squares > 0
    middle = float(np.median(np.abs(answer.output - answer.right.value)[told] / np.sqrt(squares[told]))) * 1.48
    terms = max(float(np.median(answer.right.terms)), 1.0)
    digits = bounds.floating(answer.given.dtype).digits
    return middle > 0 and -math.log2(middle) < digits - 0.25 - 0.5 * math.log2(terms)


def _squares(answer: Answer) -> Floats | None:
    square = Map(np.square, back=lambda _, y: y)
    found = answer.ask(Change(answer.given.geometry, x=square, w=square, b=square, dy=square), "squares")
    return None if found is None or found.value.shape != answer.output.shape else np.abs(found.value)


def _predicted(answer: Answer, bits: float, declared: str) -> Iterator[Cause]:
    """Entries that predict values: rounded inputs, integers that wrap or saturate or are read in another way."""
    g = answer.given
    setting = Setting.of(g.x, g.w, g.b, g.geometry)
    candidates: list[tuple[float, Cause]] = []
    for entry in catalogue.entries(("arithmetic",)):
        if entry.name in ways.SUMS or entry.name in ways.OUTPUTS:
            continue
        if (entry.name in ways.INTEGERS) == (g.dtype in bounds.FORMATS):
            continue
        if declared == entry.name.partition("-")[0] or (entry.name == "float32-computation" and g.dtype != "float64"):
            continue
        for place, change in enumerate(entry.changes(setting)):
            reference = answer.ask(change, f"{entry.name} {place}")
            if reference is None or reference.value.shape != answer.output.shape:
                continue
            words = ways.INPUTS.get(entry.name, ("", None))[0]
            sentence = (change.sentence or entry.sentence).format(words=words)
            cause = _fits(answer, entry, sentence, reference, bits)
            if cause is not None:
                candidates.append((_distance(answer, reference), cause))
    best = min((d for d, _ in candidates), default=0.0)
    kept = [cause for d, cause in sorted(candidates, key=lambda c: c[0]) if d <= best * 1.001]
    yield from _joined(kept)


def _fits(answer: Answer, entry: Entry, sentence: str, reference: Reference, bits: float) -> Cause | None:
    """The cause, where every element lies within the bound of a prediction that is not the right answer.

    The bound is twice tier A, for units that take such inputs often truncate; an output in the inputs' own short format
    may be rounded to it once more.
    """
    g, right = answer.given, answer.right.value
    dtype = "float32" if entry.name == "float32-computation" else g.dtype
    whole = entry.kind == "arithmetic" and g.dtype not in bounds.FORMATS
    held = stored(reference, g.dtype) if whole else reference
    bound = bound_of(held, dtype, exact=whole, tight=answer.tight) * 2.0
    short = {"bf16-inputs": "bf16-output", "bf16-inputs-truncated": "bf16-output", "fp16-inputs": "fp16-output"}
    name = short.get(entry.name)
    if name and _made_of(answer.output, name):
        bound = bound + UNITS[name] * np.abs(held.value)
    if entry.name == "float32-computation":
        if not LEAST < bits < SINGLE:
            return None
    elif np.array_equal(held.value, right, equal_nan=True) or not answer.nearer(held.value):
        return None  # it predicts what is right anyway, or nothing better
    if not bool(np.all(inside(answer.output, held.value, bound))):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(answer.output - held.value)
        ratio = float(np.max(np.nan_to_num(np.where(error == 0, 0.0, error / bound), nan=0.0), initial=0.0))
    if whole:
        evidence = f"all {answer.output.size} elements equal this prediction exactly"
    else:
        evidence = f"{_bits(bits)}; all {answer.output.size} elements lie within the bound of this prediction"
    return Cause(entry.name, sentence, evidence, ratio, 1.0, "arithmetic", (entry.name,))


def _distance(answer: Answer, reference: Reference) -> float:
    held = stored(reference, answer.given.dtype)
    return float(np.sqrt(np.mean(np.abs(np.nan_to_num(answer.output - held.value)) ** 2)))


def _joined(causes: list[Cause]) -> Iterator[Cause]:
    if causes:
        said = " or ".join(dict.fromkeys(c.sentence for c in causes))
        names = tuple(dict.fromkeys(c.name for c in causes))
        yield replace(causes[0], sentence=said.replace("or consistent with", "or"), names=names)


def _made_of(output: Array, name: str) -> bool:
    """Whether every element is a number of the short format."""
    finite = np.isfinite(output)
    return bool(np.all(ways.OUTPUTS[name][1](output[finite]) == output[finite]))


def _grid(answer: Answer, bits: float) -> Iterator[Cause]:
    """Outputs that are made of the numbers of a shorter format: rounded once at the end, or after every addition."""
    g, right = answer.given, answer.right
    if np.iscomplexobj(answer.output):
        return
    made = [name for name in UNITS if UNITS[name] > bounds.floating(g.dtype).u and _made_of(answer.output, name)]
    once = []
    for name in made:
        limit = answer.bound + UNITS[name] * (np.abs(right.value) + answer.bound) + 2.0**-25 * (name == "fp16-output")
        known = not g.whole or np.array_equal(ways.OUTPUTS[name][1](right.value), answer.output)
        if known and bool(np.all(inside(answer.output, right.value, limit))):
            words = ways.OUTPUTS[name][0]
            evidence = f"every element is such a number; {_bits(bits)}"
            once.append(_weak(answer, name, f"consistent with {words}", evidence))
    if once:
        yield from _joined(once)
        return
    for name in made:
        if name in NARROW and bits > 0 and not _shallow(answer, UNITS[name]):
            evidence = f"every element is a number of that format and off by more than one rounding; {_bits(bits)}"
            yield _weak(answer, NARROW[name], f"consistent with {ways.SUMS[NARROW[name]]}", evidence)
            return


def _shallow(answer: Answer, unit: float) -> bool:
    """Whether whole numbers are so small, or wrong elements so few, that a narrow accumulator would have been exact."""
    wrong = answer.wrong
    if wrong is None or (wrong.sum() < 3 and not answer.tight):
        return True
    return answer.given.whole and float(np.min(answer.right.scale[wrong], initial=np.inf)) * unit < 1.0


def _summed(answer: Answer, bits: float) -> Iterator[Cause]:
    """Other ways to sum, told by bits, by the side of the errors, or by where there are errors at all."""
    g = answer.given
    if np.iscomplexobj(answer.output):
        return
    yield from (found := list(_narrow_before_bias(answer, bits)) or list(_truncated(answer, bits)))
    if found:
        return
    taps = int(np.prod(g.w.shape[2:]))
    empty = (answer.right.scale == 0) & (answer.output != answer.right.value)
    if empty.any() and taps > 1:
        evidence = f"{int(empty.sum())} elements whose every term is zero are not zero; {_bits(bits)}"
        yield _weak(answer, "fft", f"consistent with {ways.SUMS['fft']}, or another that spreads errors", evidence)
    near = list(_transformed(answer, bits))
    if taps > 1 and not empty.any() and not near and 0 < bounds.floating(g.dtype).digits - bits < 4:
        near = [_weak(answer, "fft", f"consistent with {ways.SUMS['fft']}", _bits(bits))]
    yield from _joined(near)


def _narrow_before_bias(answer: Answer, bits: float) -> Iterator[Cause]:
    """A narrow accumulator whose sum was widened before the bias was added: without it, it is made of short numbers."""
    g = answer.given
    if answer.direction is not Direction.FORWARD or g.b is None or answer.places is not None:
        return
    plain = answer.output - g.b.reshape(-1, *(1,) * g.geometry.rank)
    slack = bounds.floating(g.dtype).u * np.abs(answer.output)
    for name, narrow in NARROW.items():
        short = np.abs(ways.OUTPUTS[name][1](plain) - plain) <= slack
        if UNITS[name] > bounds.floating(g.dtype).u and bool(np.all(short)) and not _shallow(answer, UNITS[name]):
            evidence = f"without its bias every element is a number of that format; {_bits(bits)}"
            yield _weak(answer, narrow, f"consistent with {ways.SUMS[narrow]}", evidence)
            return


def _truncated(answer: Answer, bits: float) -> Iterator[Cause]:
    """Errors that point toward zero more often than chance allows."""
    error, value = answer.output - answer.right.value, answer.right.value
    moved = (error != 0) & (value != 0)
    count = int(moved.sum())
    inward = int((np.sign(error) == -np.sign(value))[moved].sum())
    if count >= 16 and inward - count / 2 > 2.0 * math.sqrt(count) and inward > 0.7 * count:
        evidence = f"{inward} of {count} errors point toward zero; {_bits(bits)}"
        yield _weak(
            answer, "truncating-accumulator", f"consistent with {ways.SUMS['truncating-accumulator']}", evidence
        )


def _transformed(answer: Answer, bits: float) -> Iterator[Cause]:
    """Winograd's algorithms and FFT whose emulation, on this very problem, leaves as many bits as the output has.

    Where the problem is too large to emulate, Winograd's by the bits that it leaves elsewhere.
    """
    g = answer.given
    three = (
        g.w.shape[2:] == (3,) * g.geometry.rank and g.geometry.stride == g.geometry.dilation == (1,) * g.geometry.rank
    )
    names = [*(WINOGRAD if three else ()), "fft"]
    if answer.direction is not Direction.FORWARD or g.dtype not in ("float32", "float64"):
        return
    if answer.places is not None or g.x.size > EMULATED:
        for name in names:
            low, high = WINOGRAD.get(name, (math.inf, 0.0))
            if low <= bits - (29 if g.dtype == "float64" else 0) <= high:
                yield _weak(answer, name, f"consistent with {ways.SUMS[name]}", _bits(bits))
        return
    distances = {}
    for name in names:
        y = sums.computed(
            name, g.x.astype(g.dtype), g.w.astype(g.dtype), g.geometry.explicit(g.x.shape[2:], g.w.shape[2:])
        )
        if y is not None:
            y = y if g.b is None else y + g.b.astype(g.dtype).reshape(-1, *(1,) * g.geometry.rank)
            emulated = replace(answer, output=y.astype(np.float64))
            distances[name] = abs(effective_bits(emulated) - bits)
    best = min(distances.values(), default=math.inf)
    for name in sorted(distances, key=lambda n: distances[n]):
        if distances[name] <= min(best + 0.3, 0.7):
            yield _weak(
                answer, name, f"consistent with {ways.SUMS[name]}", f"{_bits(bits)}, as its emulation on these data"
            )


def _reduced(answer: Answer, bits: float) -> Iterator[Cause]:
    """No known arithmetic: only how accurate the output is, where all of it is inaccurate and none of it wrong."""
    wrong = answer.wrong
    digits = bounds.floating(answer.given.dtype).digits
    if (
        wrong is None
        or (wrong.sum() < 0.2 * wrong.size and not answer.tight)
        or not bits < digits
        or not np.all(np.isfinite(answer.output))
    ):
        return
    scale = np.maximum(answer.right.scale, 2.0**-1000)
    if float(np.max(np.abs(answer.output - answer.right.value) / scale)) > 2.0**-6:
        return
    yield _weak(answer, "reduced-precision", "the output is right to fewer bits than its dtype has", _bits(bits))


def _weak(answer: Answer, name: str, sentence: str, evidence: str) -> Cause:
    """An explanation without a prediction of its own: how far the output is from the right one in bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.abs(answer.output - answer.right.value) / answer.bound
    finite = ratios[np.isfinite(ratios)]
    return Cause(name, sentence, evidence, float(finite.max(initial=0.0)), 1.0, "arithmetic", (name,))


def _bits(bits: float) -> str:
    return f"{bits:.1f} effective bits" if math.isfinite(bits) else "no effective bits to tell"
