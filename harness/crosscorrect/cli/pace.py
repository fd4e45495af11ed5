"""What a person sees while a timed run goes on: what is judged, how much is timed, and what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from crosscorrect.cli.bars import Bars
from crosscorrect.model import Check, Outcome
from crosscorrect.plan import Greeting

if TYPE_CHECKING:
    from collections.abc import Container

    from crosscorrect.plan import Plan
    from crosscorrect.speed.session import Timing

BAR = "bench"
LONGEST = 160
"""How many characters of a message are shown."""


class Pace:
    """One bar with the time that is left, and a line for what went wrong.

    ``begun``: there is a run folder. Of the frameworks in ``hushed`` nothing is told that was not judged right.
    """

    def __init__(self, *, silent: bool = False, hushed: Container[str] = ()) -> None:
        self.begun = False
        self._silent, self._hushed = silent, hushed
        self._bars = Bars(silent=silent)
        self._judged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def hear(self, _: Plan, event: Check | Greeting | Timing | None) -> None:
        """Take one event of ``session.measure``."""
        self.begun = True
        if self._silent:
            return
        if event is None:
            self._bars.add(BAR)
        elif isinstance(event, Check):
            self._judged += 1
            self._bars.update(BAR, said=f"{self._judged} judged")
            if event.outcome is not Outcome.PASS and event.framework not in self._hushed:
                self._say(f"{event.framework} {event.problem} {event.direction}: {event.outcome}, not timed")
        elif isinstance(event, Greeting):
            if event.hello is None:
                self._say(f"{event.framework}: missing: {event.message}")
        else:
            if event.total:
                self._bars.update(BAR, said="timed", total=event.total, completed=event.done)
            if event.said:
                self._say(event.said)

    def _say(self, line: str) -> None:
        from crosscorrect_reports.text import one_line

        self._bars.say(one_line(line, LONGEST))
