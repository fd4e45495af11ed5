"""One unit's answers, and what becomes of a verdict when the unit is asked once more and says something else."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from crosscorrect.model import Outcome, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from crosscorrect.model import Direction
    from crosscorrect.plan import Prepared
    from crosscorrect.process import Worker, WorkerLost
    from crosscorrect.trajectory import Trajectory
    from crosscorrect.verdicts import Reply

    Array = np.ndarray[Any, Any]

SUSPICIOUS = (Outcome.FAIL, Outcome.ERROR)
"""What is asked once more, alone in a fresh process, before a framework is blamed for it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question: replies, or a ``standing`` verdict, or the loss of the worker.

    ``before`` is a loss after which the question was asked again, alone, and answered.
    """

    index: int
    seconds: float = 0.0
    replies: list[Reply] = field(default_factory=list)
    standing: Verdict | None = None
    lost: WorkerLost | None = None
    before: WorkerLost | None = None
    printed: str = ""

    @property
    def own_seconds(self) -> float:
        """What of ``seconds`` the framework took for itself, computing and moving arrays, as far as it answered."""
        return math.fsum(reply.get(name, 0.0) for reply, _ in self.replies for name in ("seconds", "transfer_seconds"))


@dataclass(frozen=True, slots=True)
class Hearing:
    """The answers of a unit in order. ``asked`` says how many units the same worker was asked before, ``prefix`` which.

    ``prefix`` has the last ones only, and is empty where the worker was fresh; ``among`` are those that were asked
    in one go with this one, before it. ``worker`` is the one that answered
    last, None where it was asked alone.
    """

    prepared: Prepared
    mode: str
    device: str
    answers: list[Answer]
    asked: int = 0
    prefix: tuple[str, ...] = ()
    among: tuple[str, ...] = ()
    worker: Worker | None = None

    def told(self) -> str:
        """What was asked before in the same worker, as JSON."""
        return json.dumps({"asked": self.asked, "last": [*self.prefix, *self.among]}, ensure_ascii=False)


@dataclass(slots=True)
class Judged:
    """The verdict on one direction with what its row is made of."""

    answer: Answer
    verdict: Verdict
    output: Array | None = None
    trained: Trajectory | None = None


Ruling = dict["Direction", Judged]
"""Every direction of a unit."""


def is_suspicious(ruling: Ruling) -> bool:
    """Whether something failed that was not asked twice already."""
    return any(j.verdict.outcome in SUSPICIOUS and j.answer.before is None for j in ruling.values())


def after_loss(verdict: Verdict, answer: Answer, asked: int) -> Verdict:
    """The verdict on an answer that was given when asked again after the loss of a worker.

    A pass is no pass then: asked the same, the framework did two things.
    """
    if answer.before is None or verdict.outcome is not Outcome.PASS:
        return verdict
    reason = Reason.ORDER if asked else Reason.DETERMINISM
    return Verdict(Outcome.FAIL, reason, f"{answer.before.message}; {_alone('it passes', asked)}")


def differs(first: Ruling, second: Ruling) -> bool:
    """Whether two hearings of a unit came to different verdicts."""
    return any(_said(judged.verdict) != _said(second[d].verdict) for d, judged in first.items() if d in second)


def settled(first: Ruling, alone: Ruling, again: Ruling | None, asked: int) -> Ruling:
    """The ruling of a unit that said something else when it was asked alone in a fresh process.

    ``again`` is what the worker of the first hearing said when it was asked once more, None where it is gone. What
    fails there again and passes alone depends on what was asked before it; what passes there too is not determined.
    """
    ruling = {}
    for direction, judged in first.items():
        verdict, other = judged.verdict, alone[direction].verdict
        if verdict.outcome in SUSPICIOUS and _said(verdict) != _said(other):
            same = again is None or again[direction].verdict.outcome is not Outcome.PASS
            ruling[direction] = replace(judged, verdict=_unsettled(verdict, other, asked, same=same))
        else:
            ruling[direction] = judged
    return ruling


def _unsettled(verdict: Verdict, alone: Verdict, asked: int, *, same: bool) -> Verdict:
    said = verdict.message or _words(verdict)
    if alone.outcome is not Outcome.PASS:  # to blame in either case; what it said the second time is told
        return replace(verdict, message=f"{said}; {_alone(f'it says: {_words(alone)}', asked)}")
    if same:
        return replace(
            verdict, outcome=Outcome.FAIL, reason=Reason.ORDER, message=f"{said}; {_alone('it passes', asked)}"
        )
    message = f"{said}; asked again, in the same worker and alone in a fresh process, it passes"
    return replace(verdict, outcome=Outcome.FAIL, reason=Reason.DETERMINISM, message=message)


def _alone(what: str, asked: int) -> str:
    after = f", here {asked} other {'unit was' if asked == 1 else 'units were'} asked before it" if asked else ""
    return f"asked again alone in a fresh process {what}{after}"


def _said(verdict: Verdict) -> tuple[Outcome, Reason]:
    return verdict.outcome, verdict.reason


def _words(verdict: Verdict) -> str:
    reason = f" ({verdict.reason})" if verdict.reason else ""
    return f"{verdict.outcome}{reason}"


def changed(ruling: Ruling) -> Iterable[Direction]:
    """The directions whose verdict is that asking twice gives two answers."""
    return [d for d, j in ruling.items() if j.verdict.reason in (Reason.ORDER, Reason.DETERMINISM)]
