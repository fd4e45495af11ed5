"""Training runs judged: every loss and weight inside the rounding envelope, then the digits that a source prints."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import compare
from crosscorrect.model import Outcome, Reason, Verdict

if TYPE_CHECKING:
    from crosscorrect.problem import Problem
    from crosscorrect.trajectory import Trajectory

    Array = np.ndarray[Any, Any]


def judge(problem: Problem, losses: Array, weights: Array, biases: Array, reference: Trajectory) -> Verdict:
    """Judge a training run: every loss and every weight inside the rounding envelope, then the printed digits.

    ``losses`` is (steps,), ``weights`` (steps + 1, *kernel), ``biases`` (steps + 1, 1) or empty.
    """
    histories = [("loss", losses, reference.losses, reference.loss_bounds)]
    histories.append(("weight", weights, reference.weights, reference.weight_bounds))
    if reference.biases is not None and reference.biases.size:
        histories.append(("bias", biases, reference.biases, reference.bias_bounds))
    worst = Verdict(Outcome.PASS, tier="A", error=0.0, ratio=0.0)
    for name, got, expected, bound in histories:
        malformed = compare.malformed(problem.dtype if name != "loss" else None, got, expected)
        malformed = malformed or compare.not_finite(got, expected, bound)
        if malformed is not None:
            return replace(malformed, message=f"{name} history: {malformed.message}", tier="A")
        values = compare.numbers(got).astype(np.float64)
        verdict = compare.within(values - expected, values, expected, bound, Reason.TRAJECTORY, "A")
        if verdict.outcome is not Outcome.PASS:
            return _at_first_step(name, values, expected, bound)
        if not np.isfinite(bound).all():
            return compare.without_bound(bound, f"{name} history: ")
        if (verdict.ratio or 0.0) >= (worst.ratio or 0.0):
            worst = verdict
    return _printed_digits(problem, losses, weights) or worst


def _at_first_step(name: str, got: Array, expected: Array, bound: Array) -> Verdict:
    """The verdict on a history that leaves its envelope, told at the first step that does."""
    for step in range(len(got)):
        index = (slice(step, step + 1),)
        values = got[index]
        verdict = compare.within(
            values - expected[index], values, expected[index], bound[index], Reason.TRAJECTORY, "A"
        )
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
