"""What a person sees while a timed run goes on: what is judged, how much is timed, and what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from crosscorrect.model import Check, Outcome
from crosscorrect.plan import Greeting

if TYPE_CHECKING:
    from collections.abc import Container

    from crosscorrect.plan import Plan
    from crosscorrect.speed.session import Timing

LONGEST = 160
"""How many characters of a message are shown."""


class Pace:
    """One bar with the time that is left, and a line for what went wrong.

    ``begun``: there is a run folder. Of the frameworks in ``hushed`` nothing is told that was not judged right.
    """

    def __init__(self, *, silent: bool = False, hushed: Container[str] = ()) -> None:
        self.begun = False
        self._silent, self._hushed = silent, hushed
        self._bars: Any = None
        self._bar: Any = None
        self._judged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def hear(self, _: Plan, event: Check | Greeting | Timing | None) -> None:
        """Take one event of ``session.measure``."""
        self.begun = True
        if self._silent:
            return
        if event is None:
            self._start()
        elif isinstance(event, Check):
            self._judged += 1
            self._bars.update(self._bar, description=f"judged {self._judged}")
            if event.outcome is not Outcome.PASS and event.framework not in self._hushed:
                self._say(f"{event.framework} {event.problem} {event.direction}: {event.outcome}, not timed")
        elif isinstance(event, Greeting):
            if event.hello is None:
                self._say(f"{event.framework}: missing: {event.message}")
        else:
            if event.total:
                self._bars.update(self._bar, description="timed", total=event.total, completed=event.done)
            if event.said:
                self._say(event.said)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:<14}"), BarColumn(30), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=Console(stderr=True))
        self._bars.start()
        self._bar = self._bars.add_task("judging", total=None)

    def _say(self, line: str) -> None:
        from rich.text import Text

        from crosscorrect_reports.text import one_line

        self._bars.console.print(Text(one_line(line, LONGEST)), soft_wrap=True)
