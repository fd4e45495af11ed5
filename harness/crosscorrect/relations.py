"""Relations that need no oracle: what must hold between the answers to two or more related questions.

Each relation is a statement ``left == right`` about outputs of the framework under test. Multiplying by a power of two
and changing the sign commute with every rounding, so there the bits must agree; so must they when nothing at all was
changed (``repeat``, ``process``). Elsewhere both sides are sums of the same terms in another order or arrangement: each
lies within its own rounding bound of one exact value, so they differ by at most the sum of both bounds, and by nothing
on data whose sums are exact. Whether the bits agree there is reported as a property.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from crosscorrect import bounds, oracle
from crosscorrect.ask import Call, conv2d_call, grads_call
from crosscorrect.model import Direction, Outcome, Reason, Verdict
from crosscorrect.related import RELATIONS, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Floats, Reference
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]
    Inputs = dict[str, Array]
    Outputs = Sequence[Mapping[str, Array]]

EXACT = ("scale", "negate", "repeat", "process")
"""Relations that must hold bit for bit on any data."""

SAME_QUESTION = ("repeat", "process", "threads")
"""Relations that ask one question several times; where they do not hold, the answer depends on something hidden."""


def calls(problem: Problem, inputs: Inputs) -> list[Call]:
    """The calls of a relation problem; the first is the plain question."""
    if _name(problem) == "adjoint":
        gradients = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT)
        return [conv2d_call(problem, inputs), grads_call(problem, inputs, gradients)]
    return [conv2d_call(problem, inputs), *RELATIONS[_name(problem)].calls(problem, inputs)]


def references(problem: Problem, inputs: Inputs) -> dict[Direction, Reference]:
    """The plain question's reference, of which a relation uses the error scale only."""
    geometry = cast("Geometry", problem.geometry)
    x, w, b = inputs["x"], inputs["w"], inputs.get("b")
    found = {Direction.FORWARD: oracle.forward(x, w, b, geometry)}
    if _name(problem) == "adjoint":
        found.update(oracle.gradients(x, w, b, inputs["dy"], geometry))
    return found


def judge(
    problem: Problem, inputs: Inputs, outputs: Outputs, references: Mapping[Direction, Reference]
) -> dict[Direction, Verdict]:
    """The verdict of each direction from the answers to ``calls``, in order. All outputs are well-formed."""
    if _name(problem) == "adjoint":
        return _adjoint(problem, inputs, outputs, references)
    name, relation = _name(problem), RELATIONS[_name(problem)]
    answers = [numbers(answer["output"]) for answer in outputs]
    left, right = relation.sides(problem, inputs, answers)
    reference = references[Direction.FORWARD]
    exact = bounds.exact(inputs.values(), reference, problem.dtype)
    if name in EXACT or exact:
        bound = np.zeros(left.shape)
    else:
        bound = 2.0 * np.broadcast_to(bounds.tier_a(reference, problem.dtype), left.shape)
    return {Direction.FORWARD: _compare(name, relation.claim, left, right, bound, exact=exact)}


def _compare(name: str, claim: str, left: Floats, right: Floats, bound: Floats, *, exact: bool) -> Verdict:
    tier = "relation"
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(same, 0.0, np.abs(left - right))
        ratio = np.where(same, 0.0, error / bound)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    if not ratio.size:
        return Verdict(Outcome.PASS, tier=tier, error=0.0, ratio=0.0)
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape))
    worst, largest = float(ratio[where]), float(np.nanmax(error))
    if worst > 1:
        reason = Reason.DETERMINISM if name in SAME_QUESTION else Reason.RELATION
        message = (
            f"{claim}, but {int((ratio > 1).sum())} of {ratio.size} elements differ; at {where} "
            f"{left[where]:.9g} stands against {right[where]:.9g}"
        )
        values = float(left[where]), float(right[where])
        return Verdict(Outcome.FAIL, reason, message, tier, largest, worst, where, *values)
    if not np.isfinite(bound[~same]).all():
        return Verdict(Outcome.UNBOUNDED, message="the sides differ where no sound bound tells by how much", tier=tier)
    property_ = "" if exact or name in EXACT else f"{name}: bits {'agree' if same.all() else 'differ'}"
    return Verdict(Outcome.PASS, tier=tier, error=largest, ratio=worst, property=property_)


def _adjoint(
    problem: Problem, inputs: Inputs, outputs: Outputs, references: Mapping[Direction, Reference]
) -> dict[Direction, Verdict]:
    """``<dy, x ⋆ w> = <dx, x> = <dw, w>``: gradients against the forward result, without finite differences."""
    forward, grads = outputs
    y, dy = numbers(forward["output"]), numbers(inputs["dy"])
    if "b" in inputs:
        y = y - numbers(inputs["b"]).reshape(-1, *(1,) * (y.ndim - 2))
    found = {}
    exact = all(bounds.exact(inputs.values(), r, problem.dtype) for r in references.values())
    sides = {Direction.GRAD_INPUT: ("dx", "x"), Direction.GRAD_WEIGHT: ("dw", "w")}
    spread = _spread(dy, bounds.tier_a(references[Direction.FORWARD], problem.dtype), y)
    for direction, (gradient, operand) in sides.items():
        g, v = numbers(grads[gradient]), numbers(inputs[operand])
        left, right = np.sum(dy * y), np.sum(g * v)
        bound = spread + _spread(v, bounds.tier_a(references[direction], problem.dtype), g)
        claim = f"<dy, y> must equal <{gradient}, {operand}>"
        limit = np.zeros(1) if exact else np.asarray([bound])
        found[direction] = _compare("adjoint", claim, np.asarray([left]), np.asarray([right]), limit, exact=True)
    return found


def _spread(factor: Floats, bound: Floats, value: Floats) -> float:
    """What errors within ``bound``, and adding up here, can make of a scalar product."""
    adding = bounds.gamma(value.size + 1, bounds.REFERENCE.u) * np.sum(np.abs(factor * value))
    return float(np.sum(np.abs(factor) * bound) + adding)


def _name(problem: Problem) -> str:
    return str(problem.settings["relation"])
