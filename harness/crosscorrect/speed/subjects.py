"""What is timed: the parts of a problem that are one call each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.ask import Call, Question
    from crosscorrect.plan import Prepared
    from crosscorrect.speed.model import Key

PARTS = {
    Direction.FORWARD: "forward",
    Direction.GRAD_INPUT: "gradients",
    Direction.GRAD_WEIGHT: "gradients",
    Direction.GRAD_BIAS: "gradients",
    Direction.TRAIN: "train",
}
"""Which part of a problem each direction belongs to: what one call computes is timed together."""
VERBS = ("corr2d", "layer", "conv2d", "matmul", "grads", "train")
"""The verbs whose answer is a result; what is asked besides is what a framework says to a loop."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One part of a problem. ``index`` is that of its question."""

    prepared: Prepared
    index: int
    part: str

    @property
    def key(self) -> Key:
        """What names it: the problem's id and the part."""
        return self.prepared.problem.id, self.part

    @property
    def question(self) -> Question:
        """What is asked."""
        return self.prepared.questions[self.index]

    @property
    def call(self) -> Call:
        """The one call of it."""
        return self.question.calls[0]

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions whose verdicts it stands under."""
        return self.question.directions


def subjects(prepared: Prepared) -> Iterator[Subject]:
    """The parts of a problem that can be timed: one call each, whose answer is a result.

    Not those whose right answer is an error, nor those of which nothing is computed: their times say nothing.
    """
    problem = prepared.problem
    if problem.invalid or problem.operation == "relation":
        return
    for index, question in enumerate(prepared.questions):
        call = question.calls[0]
        empty = any(0 in array.shape for array in call.arrays.values())
        if call.verb in VERBS and len(question.calls) == 1 and not call.fresh and not empty:
            yield Subject(prepared, index, PARTS[question.directions[0]])
