"""From verdicts to the rows of a run: checks, training steps, environments."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

from crosscorrect.model import Check, TrainingStep
from crosscorrect.process import switches
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from crosscorrect.hearing import Judged
    from crosscorrect.model import Direction, Verdict
    from crosscorrect.plan import Prepared
    from crosscorrect.problem import Problem
    from crosscorrect.registry import Framework
    from crosscorrect.store import Unit
    from crosscorrect.trajectory import Trajectory

    Array = np.ndarray[Any, Any]
    Place = dict[str, Any]


def training_steps(
    where: Place, problem: Problem, results: dict[str, Array], reference: Trajectory
) -> Iterator[TrainingStep]:
    """The rows of the ``training`` table for one training run; ``where`` says which."""
    printed = {int(step): digits for step, digits in (problem.expect or {}).get("losses", {}).items()}
    losses = results["losses"].ravel()
    for step, weight in enumerate(results["weights"][: len(reference.weights)]):
        has_loss = step < min(len(losses), len(reference.losses))
        yield TrainingStep(
            problem=where["problem"],
            framework=where["framework"],
            mode=where["mode"],
            device=where["device"],
            step=step,
            loss=float(losses[step]) if has_loss else None,
            loss_reference=float(reference.losses[step]) if has_loss else None,
            loss_bound=float(reference.loss_bounds[step]) if has_loss else None,
            weight=[float(v) for v in weight.ravel()],
            weight_reference=[float(v) for v in reference.weights[step].ravel()],
            weight_bound=[float(v) for v in reference.weight_bounds[step].ravel()],
            printed=printed.get(step + 1, ""),
        )


def place(
    problem: Problem, framework: str, mode: str, device: str, arithmetic: str, sent: Sequence[dict[str, str]]
) -> Place:
    """The columns that say where a check stands in the run; ``sent`` are the digests of the arrays of its calls."""
    pieces = "|".join(f"{n}:{d}" for call in sent for n, d in sorted(call.items()))
    sealed = hashlib.sha256(pieces.encode()).hexdigest()[:32]
    return {
        "suite": problem.suite,
        "case": problem.case,
        "problem": problem.id,
        "source": problem.source,
        "title": problem.title,
        "operation": problem.operation,
        "dtype": problem.dtype,
        "framework": framework,
        "mode": mode,
        "device": device,
        "arithmetic": arithmetic,
        "input_digest": sealed,
    }


def costs(replies: Sequence[dict[str, Any]], total: float) -> dict[str, Any]:
    """The columns of time: the framework's own seconds over all calls, None where one did not answer, and all of it."""
    own: dict[str, list[Any]] = {
        name: [reply.get(name) for reply in replies] for name in ("seconds", "transfer_seconds")
    }
    summed = {name: None if None in found else math.fsum(map(float, found)) for name, found in own.items()}
    return {**summed, "total_seconds": total}


def add(
    unit: Unit,
    prepared: Prepared,
    direction: Direction,
    judged: Judged,
    arithmetic: str,
    keep: Callable[[Array, str], str],
) -> None:
    """Put the row of one direction into its unit, with the steps of its training and the arrays that ``keep`` keeps.

    ``keep`` is given an array and its digest, empty where that is not known, and returns the digest or, of one that is
    not kept, nothing.
    """
    answer, sent = judged.answer, prepared.sent[judged.answer.index]
    where = place(prepared.problem, unit.framework, unit.mode, unit.device, arithmetic, sent)
    if answer.standing is not None:
        unit.checks.append(row(where, direction, judged.verdict))
        return
    rest: dict[str, Any] = {"total_seconds": answer.seconds}
    results: dict[str, Array] = {}
    if answer.lost is not None:
        rest["stderr"] = answer.lost.stderr
    else:
        results = answer.replies[0][1]
        rest = costs([reply for reply, _ in answer.replies], answer.seconds)
        if "traceback" in answer.replies[-1][0]:
            rest["stderr"] = answer.replies[-1][0]["traceback"] + answer.printed
    if judged.trained is not None:
        unit.training += training_steps(where, prepared.problem, results, judged.trained)
    known = dict(sent[0])
    arrays = {**prepared.questions[answer.index].calls[0].arrays, "weights": results.get("weights")}
    if judged.output is not None:
        known["output"] = digest(judged.output)
        arrays["output"] = judged.output
    if direction in prepared.references:
        arrays["reference"] = prepared.references[direction].value
    kept = {name: keep(array, known.get(name, "")) for name, array in arrays.items() if array is not None}
    rest.update(arrays={name: key for name, key in kept.items() if key}, output_digest=known.get("output", ""))
    unit.checks.append(row(where, direction, judged.verdict, **rest))


def row(where: Place, direction: Direction, verdict: Verdict, **rest: Any) -> Check:
    """The row of one direction; ``rest`` are the columns that are neither place nor verdict (times, arrays, stderr)."""
    return Check(
        **where,
        direction=direction,
        outcome=verdict.outcome,
        reason=verdict.reason,
        message=verdict.message,
        tier=verdict.tier,
        error=verdict.error,
        ratio=verdict.ratio,
        where="" if verdict.where is None else ",".join(map(str, verdict.where)),
        expected=verdict.expected,
        got=verdict.got,
        property=verdict.property,
        diagnosis=verdict.diagnosis,
        **rest,
    )


def refusal(hello: dict[str, Any], mode: str) -> str:
    """Why a framework does not offer a mode, in its adapter's words where it has any."""
    notes = [note for note in hello["notes"] if f"mode {mode}" in note]
    return "; ".join(notes) or f"mode {mode} is not offered here"


def environment(framework: Framework, hello: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The rows of the ``env`` table that a worker's hello gives."""
    sections = {
        "version": hello["versions"],
        "interpreter": {"python": hello["python"], "numpy": hello["numpy"], "found": framework.found},
        "offer": {name: ", ".join(hello[name]) for name in ("devices", "modes", "dtypes", "spellings")},
        "start": {"import_seconds": f"{hello['import_seconds']:.3f}"},
        "note": {str(i): note for i, note in enumerate(hello["notes"])},
        "switch": switches(),
    }
    for section, items in sections.items():
        for key, value in items.items():
            yield {"framework": framework.name, "section": section, "key": key, "value": str(value)}
