"""From the replies to a question to the verdict of each of its directions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds, checksum, compare, dtypes, judge, operations, oracle, relations, trained
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction, Outcome, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crosscorrect.ask import Call, Question
    from crosscorrect.diagnosis import Cause
    from crosscorrect.plan import Prepared
    from crosscorrect.problem import Problem
    from crosscorrect.trajectory import Trajectory

    Array = np.ndarray[Any, Any]
    Verdicts = dict[Direction, Verdict]

OPERANDS = {Direction.GRAD_INPUT: "x", Direction.GRAD_WEIGHT: "w", Direction.GRAD_BIAS: "b"}
"""What each gradient has the shape of."""

Reply = tuple[dict[str, Any], "dict[str, Array]"]
"""The header of a worker's reply and its arrays."""


def of(
    prepared: Prepared, question: Question, sent: Sequence[dict[str, str]], replies: Sequence[Reply], arithmetic: str
) -> tuple[Verdicts, Trajectory | None]:
    """The verdict of each direction of a question, and the reference trajectory when it was a training.

    ``sent`` are the digests of the arrays of each call, ``replies`` the worker's headers with their arrays, in order.
    """
    for call, digests, (reply, _) in zip(question.calls, sent, replies, strict=False):
        verdict = _not_answered(prepared, call, digests, reply)
        if verdict is not None:
            return dict.fromkeys(question.directions, verdict), None
    first, results = question.calls[0], replies[0][1]
    if first.verb == "train":
        return _training(prepared, results)
    if prepared.problem.operation == "relation":
        return _related(prepared, question, [results for _, results in replies]), None
    found = {}
    for name, direction in first.answers.items():
        if name in results:
            found[direction] = _one(prepared, direction, results[name], arithmetic)
        elif first.verb == "differentiate":
            found[direction] = judge.no_gradient()
        elif direction in OPERANDS:
            message = f"{direction}: no gradient reaches {OPERANDS[direction]}"
            found[direction] = Verdict(Outcome.ERROR, message=message)
        else:
            found[direction] = Verdict(Outcome.ERROR, message=f"the adapter returned no {name}")
    return found, None


def _not_answered(prepared: Prepared, call: Call, sent: dict[str, str], reply: dict[str, Any]) -> Verdict | None:
    """The verdict on a call that has no answer to judge, or whose inputs were tampered with; else None."""
    if reply["inputs"] != sent:
        changed = sorted(name for name in sent if reply["inputs"].get(name) != sent[name])
        return Verdict(Outcome.ERROR, message=f"input {', '.join(changed)} was changed on its way or by the call")
    if reply["outcome"] == "answer":
        return None
    refused = reply["outcome"] == "unsupported"
    said = reply["message"] if refused else f"{reply['exception']}: {reply['message']}"
    if prepared.problem.invalid:  # here an error is the right answer
        return Verdict(Outcome.PASS, message=said, tier="invalid")
    # Problem 2 asks what the framework says to the loop: there its exception is the answer, a refusal
    kind = Outcome.UNSUPPORTED if refused or call.verb == "differentiate" else Outcome.ERROR
    return Verdict(kind, message=said)


def _one(prepared: Prepared, direction: Direction, output: Array, arithmetic: str) -> Verdict:
    problem = prepared.problem
    if problem.invalid:
        return _invalid(prepared, direction, output)
    if problem.verify == "checksum":
        return _checksum(problem, output, prepared.references[direction], prepared.inputs)
    return judge.hold(problem, direction, output, prepared.standards(direction, arithmetic), arithmetic)


def _meaning(prepared: Prepared, direction: Direction) -> oracle.Reference | None:
    """What the formulas make of invalid arguments, where they make anything of them: negative padding crops."""
    problem, inputs = prepared.problem, prepared.inputs
    geometry = problem.geometry
    if geometry is None or direction is not Direction.FORWARD or not problem.shapes["output"]:
        return None  # not the forward direction, or no formula, or one for more elements than there may be
    if min((*geometry.stride, *geometry.dilation, geometry.groups)) < 1:
        return None
    try:
        return oracle.forward(inputs["x"], inputs["w"], inputs.get("b"), geometry)
    except ValueError:
        return None


def _invalid(prepared: Prepared, direction: Direction, output: Array) -> Verdict:
    """Judge an answer to invalid arguments, where an error is right.

    A framework may give the arguments the meaning that the formulas give them: negative padding crops, a kernel that
    does not fit has no windows, and what has no output has gradients of zero. A right answer then passes.
    """
    problem = prepared.problem
    if direction is not Direction.FORWARD:
        operand = prepared.inputs[OPERANDS[direction]]
        if 0 in problem.shapes["output"] and output.shape == operand.shape and not np.any(compare.numbers(output)):
            return Verdict(Outcome.PASS, property="a gradient of zeros instead of an error", tier="invalid")
    elif 0 in output.shape and output.shape == problem.shapes["output"]:
        return Verdict(Outcome.PASS, property="an empty result instead of an error", tier="invalid")
    reference = _meaning(prepared, direction)
    if reference is not None and output.shape == reference.value.shape and output.dtype.kind == "f":
        bound = bounds.tier_a(reference, problem.dtype)
        got = compare.numbers(output)
        error = compare.difference(got, reference)
        verdict = compare.within(error, got, reference.value, bound, Reason.VALUE, "invalid")
        if verdict.outcome is Outcome.PASS:
            return replace(verdict, property="computed by the formula instead of an error")
        return verdict
    message = f"no error, but a result of shape {output.shape}, where these arguments have no meaning"
    return Verdict(Outcome.FAIL, Reason.SHAPE, message, tier="invalid")


def _checksum(problem: Problem, output: Array, reference: oracle.Reference, inputs: Mapping[str, Array]) -> Verdict:
    """Judge a large output by its channel checksums; see ``checksum`` for what that can see."""
    geometry = problem.geometry
    assert geometry is not None  # noqa: S101  only conv2d has a checksum
    shape = geometry.output_shape(inputs["x"].shape, inputs["w"].shape)
    malformed = compare.malformed(problem.dtype, output, np.broadcast_to(np.zeros(()), shape))
    if malformed is not None:
        return malformed
    if not np.isfinite(compare.numbers(output)).all():
        return Verdict(Outcome.FAIL, Reason.NONFINITE, "an element is not finite", tier="checksum")
    sums = checksum.sums(output, geometry.groups)
    exact = bounds.exact(inputs.values(), reference, problem.dtype)
    bound = np.zeros(sums.shape) if exact else checksum.limit(reference, output, geometry.groups, problem)
    return compare.within(
        sums - reference.value, sums, reference.value, bound, Reason.EXACTNESS if exact else Reason.BOUND_A, "checksum"
    )


def _related(prepared: Prepared, question: Question, outputs: Sequence[dict[str, Array]]) -> Verdicts:
    """The verdict on a relation, whose outputs must first have a shape and the problem's dtype."""
    problem = prepared.problem
    for call, results in zip(question.calls, outputs, strict=True):
        for name in call.answers:
            if name not in results:
                verdict = Verdict(Outcome.ERROR, message=f"the adapter returned no {name}")
                return dict.fromkeys(question.directions, verdict)
            malformed = _misshapen(problem.dtype, call, name, results[name])
            if malformed is not None:
                return dict.fromkeys(question.directions, malformed)
    return relations.judge(problem, prepared.inputs, outputs, prepared.references)


def _misshapen(dtype: str, call: Call, name: str, output: Array) -> Verdict | None:
    x, w = call.arrays.get("x"), call.arrays.get("w")
    shape: tuple[int, ...]
    if call.verb == "matmul":
        shape = (len(call.arrays["a"]), call.arrays["b"].shape[1])
    elif x is None or w is None:
        return None
    elif name == "output":
        shape = Geometry.from_json(call.settings["geometry"]).output_shape(x.shape, w.shape)
    else:
        shape = {"dx": x.shape, "dw": w.shape, "db": output.shape}[name]
    if output.shape != tuple(shape):
        return Verdict(Outcome.FAIL, Reason.SHAPE, f"{name} of shape {output.shape} where {tuple(shape)} is right")
    got = dtypes.name_of(output.dtype)
    if got != dtype:
        return Verdict(Outcome.FAIL, Reason.DTYPE, f"{name} of dtype {got} where {dtype} was asked for")
    return None


def _training(prepared: Prepared, results: dict[str, Array]) -> tuple[Verdicts, Trajectory | None]:
    problem, inputs = prepared.problem, prepared.inputs
    weights, biases = results["weights"], results["biases"]
    start = inputs["start"] if "start" in inputs else weights[0] if weights.size else None
    if start is None or start.size != inputs["w"].size:
        shape = None if start is None else start.shape
        message = f"a history of weights of shape {shape} for a kernel of shape {inputs['w'].shape}"
        return {Direction.TRAIN: Verdict(Outcome.ERROR, message=message)}, None
    reference = operations.training_reference(problem, inputs, start.reshape(inputs["w"].shape), inputs.get("bias"))
    return {Direction.TRAIN: trained.judge(problem, results["losses"], weights, biases, reference)}, reference


def diagnosed(prepared: Prepared, direction: Direction, output: Array, verdict: Verdict, arithmetic: str) -> Verdict:
    """The same failing verdict with its most likely cause, where one explains the output."""
    from crosscorrect import diagnosis  # noqa: PLC0415  only failures need the catalogue

    found = causes(prepared, direction, output, arithmetic)
    return replace(verdict, diagnosis=diagnosis.phrase(found)) if found else verdict


def causes(prepared: Prepared, direction: Direction, output: Array, arithmetic: str) -> list[Cause]:
    """What may have caused a wrong output, the likeliest first; nothing where no prediction can be made."""
    from crosscorrect import diagnosis  # noqa: PLC0415  as above

    problem = prepared.problem
    reference = prepared.references.get(direction)
    asked = problem.verify or problem.operation in ("relation", "train")
    if reference is None or asked or not all(array.size for array in prepared.inputs.values()):
        return []
    return diagnosis.diagnose(
        problem.geometry, problem.operation, direction, prepared.inputs, output, reference, problem.dtype, arithmetic
    )
