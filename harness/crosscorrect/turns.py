"""What a lane asks next: its units in order, made ready ahead of their turn, and several small ones in one go.

A message to a worker, and the change from one process to the other, cost more than a small unit itself. So small
units are sent together; the worker still answers one after the other, and each answer is judged by itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.errors import CrosscorrectError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crosscorrect.ask import Call
    from crosscorrect.hearing import Answer
    from crosscorrect.model import Verdict
    from crosscorrect.plan import Preparation, Prepared
    from crosscorrect.problem import Problem
    from crosscorrect.process import WorkerLost

MOST = 32
"""How many units are asked in one go, at most: more save little, and are lost together with a worker."""
SMALL_BYTES = 2**16
"""How much memory a unit may take, made ready, that is asked with others: so much of each is held at once."""
FAST, SLOW = 0.01, 0.04
"""Seconds of the framework in one go, below which the next is twice as large, and above which it is half."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A unit whose worker was lost among others: its answers until then, and what was asked before, as of a hearing.

    ``how`` is None where the loss has nothing to do with the unit.
    """

    answers: tuple[Answer, ...]
    how: WorkerLost | None
    asked: int
    prefix: tuple[str, ...]


@dataclass(slots=True)
class Turn:
    """A unit to be asked. ``standing`` is a verdict that stands without asking, ``prepared`` None until it is made.

    ``lost`` is how the worker was lost when this was at hand, among others; it is then asked by itself.
    """

    problem: Problem
    mode: str
    device: str
    standing: Verdict | None = None
    prepared: Prepared | None = None
    lost: Lost | None = None

    @property
    def small(self) -> bool:
        """Whether it may be asked in one go with others."""
        if self.prepared is None or self.standing is not None or self.lost is not None or self.problem.isolate:
            return False
        return (
            # what depends on the answer before it is asked by itself
            all(len(question.calls) == 1 and not question.calls[0].fresh for question in self.prepared.questions)
            and self.prepared.nbytes <= SMALL_BYTES
        )

    @property
    def calls(self) -> list[Call]:
        """The calls of a small unit, one for each of its questions."""
        return [] if self.prepared is None else [question.calls[0] for question in self.prepared.questions]


class Turns:
    """The turns of a lane, one after the other; each is made ready by ``preparation`` when it is looked at."""

    def __init__(self, source: Iterable[Turn], preparation: Preparation) -> None:
        self._source, self._preparation = iter(source), preparation
        self._waiting: deque[Turn] = deque()
        self._size = 1
        self._broken: CrosscorrectError | None = None

    @property
    def wants_worker(self) -> bool:
        """Whether what comes next, as far as somebody looked ahead, wants a worker of its own."""
        return bool(self._waiting) and self._waiting[0].problem.isolate

    def look_ahead(self) -> None:
        """Make ready what comes next: as many small units as go together, or up to a large one."""
        while len(self._waiting) <= self._size and (not self._waiting or self._waiting[-1].small) and self._fetch():
            pass

    def take(self) -> list[Turn]:
        """The units to be asked in one go; none at the end, or at a problem that makes no sense: see ``check``."""
        taken: list[Turn] = []
        while len(taken) < self._size and (self._waiting or self._fetch()):
            if taken and not self._waiting[0].small:
                break
            taken.append(self._waiting.popleft())
            if not taken[0].small:
                break
        return taken

    def check(self) -> None:
        """Raise the CrosscorrectError at which the problems ended."""
        if self._broken is not None:
            raise self._broken

    def put_back(self, turns: Sequence[Turn], lost: Lost | None = None) -> None:
        """Let these come next, in this order and the first by itself; ``lost`` goes with it."""
        if turns:
            self._size = 1
            turns[0].lost = lost
            self._waiting.extendleft(reversed(turns))

    def learn(self, count: int, seconds: float, *, silent: bool) -> None:
        """Choose how many go together next, from how long the framework took for so many.

        One that prints is asked one unit at a time, so that what it prints is known to be of that unit.
        """
        if not silent:
            self._size = 1
        elif seconds > SLOW:
            self._size = max(1, self._size // 2)
        elif seconds < FAST and count == self._size:
            self._size = min(2 * self._size, MOST)

    def _fetch(self) -> bool:
        """Take one more from the source, and make it ready; False where there is none."""
        turn = None
        if self._broken is None:
            try:
                turn = next(self._source, None)
            except CrosscorrectError as error:
                self._broken = error
        if turn is None:
            return False
        turn.prepared = self._preparation.ahead(turn.problem)
        self._waiting.append(turn)
        return True
