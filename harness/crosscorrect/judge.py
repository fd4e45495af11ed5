"""From output and reference to verdict: shape, dtype, non-finite values, exactness, bounds; no fixed tolerance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds
from crosscorrect.model import Direction, Outcome, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crosscorrect.oracle import Reference
    from crosscorrect.problem import Problem
    from crosscorrect.trajectory import Trajectory

    Array = np.ndarray[Any, Any]

REFUSED_GRADIENT = "the framework reports no error, and no gradient: it is None"


def judge(
    problem: Problem, direction: Direction, inputs: Mapping[str, Array], output: Array, reference: Reference
) -> Verdict:
    """Judge one output of a problem. ``output`` is what the framework returned, in its own dtype.

    Tier C (zero tolerance) applies where integer inputs make every partial sum exact, tier A (a sound rounding
    bound) otherwise; a literal expectation is judged too, and first. Data that are generated and prove nothing are
    ``mistrusted`` instead of passing.
    """
    malformed = _malformed(problem.dtype, output, reference.value)
    if malformed is not None:
        return malformed
    exact = bounds.exact(inputs.values(), reference, problem.dtype)
    bound = np.zeros_like(reference.value) if exact else bounds.tier_a(reference, problem.dtype)
    tier = "C" if exact else "A"
    lost = _not_finite(output, reference.value, bound)
    if lost is not None:
        return lost
    got = output.astype(np.float64)
    written = _written(problem, direction)
    if written is not None:
        verdict = _within(got, written, bound, Reason.VALUE, "literal")
        if verdict.outcome is not Outcome.PASS:
            return verdict
    verdict = _within(got, reference.value, bound, Reason.EXACTNESS if exact else Reason.BOUND_A, tier)
    if verdict.outcome is Outcome.PASS and not np.isfinite(bound).all():
        return _unbounded(bound, tier)
    if verdict.outcome is Outcome.PASS and _generated(problem):
        doubt = bounds.trusted(reference)
        if doubt is not None:
            return Verdict(Outcome.MISTRUSTED, message=doubt, tier=tier, error=verdict.error, ratio=verdict.ratio)
    return verdict


def judge_training(problem: Problem, losses: Array, weights: Array, biases: Array, reference: Trajectory) -> Verdict:
    """Judge a training run: every loss and every weight inside the rounding envelope, then the printed digits.

    ``losses`` is (steps,), ``weights`` (steps + 1, *kernel), ``biases`` (steps + 1, 1) or empty.
    """
    histories = [("loss", losses, reference.losses, reference.loss_bounds)]
    histories.append(("weight", weights, reference.weights, reference.weight_bounds))
    if reference.biases is not None and reference.biases.size:
        histories.append(("bias", biases, reference.biases, reference.bias_bounds))
    worst = Verdict(Outcome.PASS, tier="A", error=0.0, ratio=0.0)
    for name, got, expected, bound in histories:
        malformed = _malformed(problem.dtype if name != "loss" else None, got, expected)
        malformed = malformed or _not_finite(got, expected, bound)
        if malformed is not None:
            return replace(malformed, message=f"{name} history: {malformed.message}", tier="A")
        verdict = _within(got.astype(np.float64), expected, bound, Reason.TRAJECTORY, "A")
        if verdict.outcome is not Outcome.PASS:
            return _at_first_step(name, got.astype(np.float64), expected, bound)
        if not np.isfinite(bound).all():
            doubt = _unbounded(bound, "A")
            return replace(doubt, message=f"{name} history: {doubt.message}")
        if (verdict.ratio or 0.0) >= (worst.ratio or 0.0):
            worst = verdict
    return _printed_digits(problem, losses, weights) or worst


def no_gradient() -> Verdict:
    """The verdict on a framework that answers a request for a gradient with None and without an error."""
    return Verdict(Outcome.UNSUPPORTED, message=REFUSED_GRADIENT)


def _malformed(dtype: str | None, output: Array, right: Array) -> Verdict | None:
    if output.shape != right.shape:
        return Verdict(Outcome.FAIL, Reason.SHAPE, f"shape {output.shape} where {right.shape} is right")
    if dtype is not None and output.dtype.name != dtype:
        return Verdict(Outcome.FAIL, Reason.DTYPE, f"dtype {output.dtype.name} where {dtype} was asked for")
    return None


def _not_finite(output: Array, right: Array, bound: Array) -> Verdict | None:
    """A failing verdict where an element is not finite although every correct one would be."""
    lost = np.argwhere(~np.isfinite(output.astype(np.float64)) & np.isfinite(bound))
    if not lost.size:
        return None
    where = tuple(int(i) for i in lost[0])
    message = f"{len(lost)} of {output.size} elements are not finite, the first at {where}"
    expected, got = float(right[where]), float(output[where])
    return Verdict(Outcome.FAIL, Reason.NONFINITE, message, where=where, expected=expected, got=got)


def _unbounded(bound: Array, tier: str) -> Verdict:
    without = int((~np.isfinite(bound)).sum())
    message = (
        f"{without} of {bound.size} elements have no sound bound: n·u reaches 1, or a partial sum may overflow "
        "or wrap; the others are right"
    )
    return Verdict(Outcome.UNBOUNDED, message=message, tier=tier)


def _within(got: Array, expected: Array, bound: Array, reason: Reason, tier: str) -> Verdict:
    """Compare element by element where there is a bound; the verdict tells the largest error over its bound."""
    if got.size == 0:
        return Verdict(Outcome.PASS, tier=tier, error=0.0, ratio=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(np.isfinite(bound), np.abs(got - expected), 0.0)
        ratio = np.where(error == 0, 0.0, error / bound)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    largest, over = float(error.max()), float(ratio[where])
    if over <= 1:
        return Verdict(Outcome.PASS, tier=tier, error=largest, ratio=over)
    outside = int((error > bound).sum())
    message = (
        f"{outside} of {got.size} elements are wrong; at {where} {expected[where]:.9g} is right and "
        f"{got[where]:.9g} was returned"
    )
    if math.isfinite(over):
        message += f", {over:.3g} times the bound away"
    return Verdict(Outcome.FAIL, reason, message, tier, largest, over, where, float(expected[where]), float(got[where]))


def _at_first_step(name: str, got: Array, expected: Array, bound: Array) -> Verdict:
    """The verdict on a history that leaves its envelope, told at the first step that does."""
    for step in range(len(got)):
        index = (slice(step, step + 1),)
        verdict = _within(got[index], expected[index], bound[index], Reason.TRAJECTORY, "A")
        if verdict.outcome is not Outcome.PASS:
            where = (step, *(verdict.where or (0,))[1:])
            label = f"the {name} leaves the rounding envelope at step {step + 1 if name == 'loss' else step}: "
            return Verdict(
                verdict.outcome,
                verdict.reason,
                label + verdict.message,
                "A",
                verdict.error,
                verdict.ratio,
                where,
                verdict.expected,
                verdict.got,
            )
    raise AssertionError("a history that is outside as a whole is outside at some step")


def _printed_digits(problem: Problem, losses: Array, weights: Array) -> Verdict | None:
    """A failing verdict where a printed number of the source does not come out digit for digit, else None."""
    expect = problem.expect or {}
    compared = [(f"loss after step {s}", p, float(losses[int(s) - 1])) for s, p in expect.get("losses", {}).items()]
    final = weights[-1].ravel()
    compared += [(f"weight {i}", p, float(final[i])) for i, p in enumerate(expect.get("weight", ()))]
    for label, printed, value in compared:
        if same_digits(printed, value):
            continue
        message = f"{label} prints as {_as_printed(printed, value)} where the source prints {printed}"
        return Verdict(Outcome.FAIL, Reason.VALUE, message, "literal", expected=float(printed), got=value)
    return None


def same_digits(printed: str, value: float) -> bool:
    """Whether a value, printed with as many decimals as ``printed`` has, gives the very same digits."""
    return _as_printed(printed, value) == printed.strip()


def _as_printed(printed: str, value: float) -> str:
    decimals = len(printed.strip().partition(".")[2])
    return f"{value:.{decimals}f}"


def _written(problem: Problem, direction: Direction) -> Array | None:
    if direction is not Direction.FORWARD or not problem.expect or "output" not in problem.expect:
        return None
    literal = np.asarray(problem.expect["output"], dtype=np.float64)
    return literal.reshape(-1, 1) if problem.operation == "matrix" else literal


def _generated(problem: Problem) -> bool:
    """Whether the data are generated, so that a suspicious output proves nothing; worked examples are exempt."""
    specs: Sequence[Any] = list(problem.arrays.values())
    written = bool(problem.expect and "output" in problem.expect)
    return not written and any(isinstance(spec, dict) and "fill" in spec for spec in specs)
