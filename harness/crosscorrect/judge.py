"""From output and reference to verdict: shape, dtype, non-finite values, exactness, bounds; no fixed tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds, compare, dtypes, probable
from crosscorrect.model import Direction, Outcome, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crosscorrect.oracle import Reference
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

REFUSED_GRADIENT = "the framework reports no error, and no gradient: it is None"
NAMED = ("tf32", "bf16", "fp16", "winograd", "fft")
"""The contracts that ``default`` may turn out to mean."""


@dataclass(frozen=True, slots=True)
class Standard:
    """What every framework's output of one direction is held to: made once, for it depends on the problem alone.

    ``bound`` is the largest error that is allowed, per element: zero where tier C (exact integers) or D (one product,
    to be copied) judges, infinite where nothing sound can be said. ``random`` says that tier B judges too. ``free``
    marks elements that nothing is asked of, ``zeros`` says that an input holds a negative zero. ``whole`` is what
    float32 accumulators make of whole numbers in a 16-bit format (``_whole``), ``bias`` what tier B has to know of it,
    ``operands`` what some contracts are bounded by.
    """

    reference: Reference
    bound: Array
    tier: str
    exact: bool
    random: bool
    free: Array | None
    zeros: bool = False
    whole: Array | None = None
    bias: Any = 0.0
    operands: bounds.Operands | None = None


def standard(
    problem: Problem,
    direction: Direction,
    inputs: Mapping[str, Array],
    reference: Reference,
    arithmetic: str = "strict",
) -> Standard:
    """The standard of a direction under a declared arithmetic, one of ``adapter.ARITHMETICS``."""
    arithmetic = "strict" if arithmetic == "default" else arithmetic
    # integers that overflow are exact too: modulo a power of two, the order of summation does not matter
    exact = problem.dtype in dtypes.INTEGER or bounds.exact(inputs.values(), reference, problem.dtype)
    operands = _operands(problem, direction, inputs)
    if exact:
        bound, tier = np.zeros(reference.value.shape), "C"
    else:
        bound, tier = bounds.tier_a(reference, problem.dtype, arithmetic, operands), "A"
        if arithmetic == "strict" and reference.single is not None:
            bound = np.where(reference.single, 0.0, bound)
            tier = "D" if reference.single.all() else "A+D"
    zeros = any(_negative_zero(array) for array in inputs.values())
    free = None if reference.own is None or np.isfinite(reference.own).all() else ~np.isfinite(reference.own)
    if reference.special is not None:
        bound = np.where(reference.special, 0.0, bound)
    random = not exact and probable.applies(problem)
    whole = None if exact or random else _whole(problem, inputs, reference, arithmetic)
    bias = probable.bias_of(inputs, direction, reference.value.ndim) if random else 0.0
    return Standard(reference, bound, tier, exact, random, free, zeros, whole, bias, operands)


def _whole(problem: Problem, inputs: Mapping[str, Array], reference: Reference, arithmetic: str) -> Array | None:
    """Bound whole numbers in a 16-bit format by what tier B expects there: sums in float32, which holds every one.

    Two roundings to the format are allowed, of the sum and, where a bias is added apart, of the result:
    ``u (S + |y|) + eta``, whatever the number of terms. None where tier C or random data judge, or S exceeds ``2**24``.
    """
    if problem.dtype not in ("float16", "bfloat16") or arithmetic != "strict":
        return None
    wide = [dtypes.widen(array) for array in inputs.values()]
    if not bounds.exact(wide, reference, "float32"):
        return None
    form = bounds.floating(problem.dtype)
    bound = form.u * (reference.scale + np.abs(reference.value)) + form.eta
    return np.where(reference.scale < form.largest, bound, np.inf)


def judge(
    problem: Problem,
    direction: Direction,
    inputs: Mapping[str, Array],
    output: Array,
    reference: Reference,
    arithmetic: str = "strict",
) -> Verdict:
    """Judge one output of a problem. ``output`` is what the framework returned, in its own dtype.

    Where several answers are legitimate (integers may wrap or saturate), the verdict's ``property`` tells which this
    is. See ``hold`` for the tiers.
    """
    references = (reference, *reference.others)
    return hold(
        problem,
        direction,
        output,
        [standard(problem, direction, inputs, r, arithmetic) for r in references],
        arithmetic,
    )


def hold(
    problem: Problem, direction: Direction, output: Array, standards: Sequence[Standard], arithmetic: str = "strict"
) -> Verdict:
    """Hold an output to the legitimate answers: the nearest that it meets gives the verdict, else the first does.

    Tier C (zero tolerance) applies where integer inputs make every partial sum exact, tier D (zero tolerance) where one
    product makes up an element, tier A (a sound rounding bound) otherwise, and tier B (a probable one) beside it on
    random data; a literal expectation is judged too, and first. Data that are generated and prove nothing are
    ``mistrusted`` instead of passing. Under ``default`` an output that only a named arithmetic explains is
    ``unbounded``.
    """
    malformed = compare.malformed(problem.dtype, output, standards[0].reference.value)
    if malformed is not None:
        return malformed
    verdicts = [_held(problem, direction, output, held, arithmetic) for held in standards]
    met = [i for i, verdict in enumerate(verdicts) if verdict.outcome is not Outcome.FAIL]
    if not met:
        return verdicts[0]
    nearest = min(met, key=lambda i: verdicts[i].error or 0.0)  # of equally near ones the first
    return replace(
        verdicts[nearest], property=_properties(verdicts[nearest], standards[nearest], output, problem.dtype)
    )


def _held(problem: Problem, direction: Direction, output: Array, held: Standard, arithmetic: str) -> Verdict:
    got, reference = compare.numbers(output), held.reference
    lost = _not_finite(got, held)
    if lost is not None:
        return lost
    written = _written(problem, direction)
    if written is not None:
        verdict = compare.within(got - written, got, written, held.bound, Reason.VALUE, "literal")
        if verdict.outcome is not Outcome.PASS:
            return verdict
    error = compare.difference(got, reference)
    if held.free is not None:
        error = np.where(held.free, 0.0, error)
    verdict = _bounded_by(error, got, held, problem.dtype, arithmetic)
    if arithmetic == "default" and verdict.reason in (Reason.BOUND_A, Reason.BOUND_B):
        return _named(problem, error, held, verdict)
    if verdict.outcome is Outcome.PASS and _generated(problem):
        doubt = bounds.trusted(reference)
        if doubt is not None:
            return replace(verdict, outcome=Outcome.MISTRUSTED, message=doubt)
    return verdict


def _bounded_by(error: Array, got: Array, held: Standard, dtype: str, arithmetic: str) -> Verdict:
    """The sound bound first; on an output inside it the probable one, or none where there is no bound at all."""
    reason = Reason.EXACTNESS if held.exact else Reason.BOUND_A
    verdict = compare.within(error, got, held.reference.value, held.bound, reason, held.tier)
    if verdict.outcome is not Outcome.PASS:
        return verdict
    if held.random:
        return _probably(error, got, held, dtype, arithmetic, verdict)
    if held.whole is not None and np.isfinite(held.whole).all():
        return compare.within(error, got, held.reference.value, held.whole, Reason.BOUND_B, "B")
    return verdict if _bounded(held) else _unbounded(held)


def _probably(error: Array, got: Array, held: Standard, dtype: str, arithmetic: str, verdict: Verdict) -> Verdict:
    """The verdict of tier B, on an output that tier A accepts."""
    declared = "strict" if arithmetic == "default" else arithmetic
    finding = probable.judge(error, held.reference, dtype, declared, held.bias)
    if finding is None:
        return replace(verdict, tier=f"{held.tier}+B" if _bounded(held) else "B")
    where = finding.where
    expected, value = (compare.component(a, where) for a in (held.reference.value, got))
    return replace(
        verdict, outcome=Outcome.FAIL, reason=Reason.BOUND_B, message=finding.message, tier="B",
        ratio=finding.ratio, where=where, expected=expected, got=value,
    )  # fmt: skip


def _named(problem: Problem, error: Array, held: Standard, verdict: Verdict) -> Verdict:
    """Under ``default``: which named arithmetic would explain an output that strict arithmetic does not."""
    sizes = np.maximum(np.abs(error.real), np.abs(error.imag)) if error.dtype.kind == "c" else np.abs(error)
    for name in NAMED:
        bound = bounds.tier_a(held.reference, problem.dtype, name, held.operands)
        if np.all(np.isfinite(bound) & (sizes <= bound)) and np.any(sizes > held.bound):
            message = f"outside strict arithmetic ({verdict.message}), inside the bound of {name}: declare that"
            return replace(verdict, outcome=Outcome.UNBOUNDED, reason=Reason.NONE, message=message)
    return verdict


def _operands(problem: Problem, direction: Direction, inputs: Mapping[str, Array]) -> bounds.Operands | None:
    if problem.geometry is None:
        return None
    return bounds.Operands(inputs["x"], inputs["w"], inputs.get("b"), problem.geometry, direction, inputs.get("dy"))


def _bounded(held: Standard) -> bool:
    finite = np.isfinite(held.bound)
    return bool((finite if held.free is None else finite | held.free).all())


def _properties(verdict: Verdict, held: Standard, output: Array, dtype: str) -> str:
    """What this answer shows beyond being right: which of several legitimate ones it is; what tiny results became."""
    found = [held.reference.property] if held.reference.property else []
    if dtype in bounds.FORMATS and verdict.outcome is Outcome.PASS and output.size:
        smallest = 2.0 ** bounds.FORMATS[dtype].lowest
        right = held.reference.value
        tiny = (np.abs(right) < smallest) & (right != 0)
        if tiny.any() and (held.reference.scale[tiny] < smallest).any():
            flushed = bool((compare.numbers(output)[tiny] == 0).all())
            found.append(f"subnormal results {'flushed' if flushed else 'kept'}")
    if held.zeros and verdict.outcome is Outcome.PASS:
        found.append(f"negative zeros {'returned' if _negative_zero(output) else 'lost'}")
    return "; ".join(found)


def _negative_zero(array: Array) -> bool:
    wide = dtypes.widen(array)
    return wide.dtype.kind == "f" and bool((np.signbit(wide) & (wide == 0)).any())


def no_gradient() -> Verdict:
    """The verdict on a framework that answers a request for a gradient with None and without an error."""
    return Verdict(Outcome.UNSUPPORTED, message=REFUSED_GRADIENT)


def _not_finite(got: Array, held: Standard) -> Verdict | None:
    """A failing verdict where an element is finite or not, or infinite with a sign, otherwise than is determined."""
    if got.dtype.kind in "iub":
        return None
    right, finite = held.reference.value, np.isfinite(held.bound)
    if held.reference.special is None:
        return compare.not_finite(got, right, held.bound)
    special = held.reference.special
    with np.errstate(invalid="ignore"):
        same = (got == right) | (np.isnan(got) & np.isnan(right))
    wrong = np.where(special, ~same, ~np.isfinite(got) & finite)
    if held.free is not None:
        wrong &= ~held.free
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    message = (
        f"{int(wrong.sum())} of {got.size} elements are finite or not, otherwise than their windows say; the first at "
        f"{where}: {right[where]:g} is right and {got[where]:g} was returned"
    )
    return Verdict(
        Outcome.FAIL,
        Reason.NONFINITE,
        message,
        held.tier,
        where=where,
        expected=float(right[where]),
        got=float(got[where]),
    )


def _unbounded(held: Standard) -> Verdict:
    bound = held.bound if held.free is None else np.where(held.free, 0.0, held.bound)
    return replace(compare.without_bound(bound, ""), tier=held.tier)


def _written(problem: Problem, direction: Direction) -> Array | None:
    if direction is not Direction.FORWARD or not problem.expect or "output" not in problem.expect:
        return None
    literal = np.asarray(problem.expect["output"], dtype=np.float64)
    return literal.reshape(-1, 1) if problem.operation == "matrix" else literal


def _generated(problem: Problem) -> bool:
    """Whether the data are drawn at large, so that a suspicious output proves nothing.

    Worked examples are exempt, and so is what was designed: impulses, single elements put, empty arrays.
    """
    if problem.dirty or (problem.expect and "output" in problem.expect):
        return False  # where memory is made dirty, that a zero was written is the question
    fills = [spec for spec in problem.arrays.values() if isinstance(spec, dict) and "fill" in spec]
    designed = any(spec["fill"] == "impulse" or "put" in spec for spec in fills)
    empty = any(0 in shape for shape in problem.shapes.values())
    return bool(fills) and not designed and not empty
