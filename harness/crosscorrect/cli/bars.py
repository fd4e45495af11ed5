"""Bars on standard error for work that takes long: what is done of how much, how fast, and how long it still takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task

WIDE, MIDDLE = 100, 60
"""From how many columns a terminal shows all of a bar, and from how many it shows more than the least."""
NAME = 12
"""Characters that a bar's name takes, so that bars begin below each other."""
EVERY = 60.0
"""Seconds between the lines that say how far a bar is where nothing can move, as in a log."""
PATIENCE = 1.0
"""Seconds that steps take before they are shown: what is quick says nothing."""


class Bars:
    """A bar for each thing that goes on, and lines above them. Where nothing can move, now and then a line for each.

    Nothing is loaded and nothing shown before the first bar. One that is ``silent`` shows nothing at all.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.moves = False
        self._progress: Progress | None = None
        self._bars: dict[str, Any] = {}
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, name: str, total: float | None = None, **fields: Any) -> None:
        """One more bar. ``total`` is how much there is to do, None where nobody knows; ``said`` stands behind it.

        ``ends`` is when it will be done, at the latest, on the clock ``time.monotonic``. With a ``total`` that is no
        integer only that counts: its work does not go on evenly.
        """
        if self.silent:
            return
        if self._progress is None:
            self._start()
        assert self._progress is not None  # noqa: S101  just started
        self._bars[name] = self._progress.add_task(name, total=total, **{"said": "", "ends": None, **fields})
        self._told[name] = time.monotonic()

    def _start(self) -> None:
        from rich.progress import Progress

        from crosscorrect.cli.terminal import console, moves

        shown = console(err=True)
        self.moves = moves(shown)
        # standard output may be the same terminal, and is for what comes out in the end
        self._progress = Progress(
            *_columns(shown),
            console=shown,
            redirect_stdout=False,
            disable=not self.moves,
            get_time=time.monotonic,
        )
        self._progress.start()

    def update(self, name: str, **changed: Any) -> None:
        """Change a bar: ``completed`` or ``advance``, ``total``, ``description``, and the fields of ``add``."""
        if self._progress is None:
            return
        self._progress.update(self._bars[name], **changed)
        if not self.moves and time.monotonic() - self._told[name] >= EVERY:
            self._told[name] = time.monotonic()
            self.say(f"{name}: {_amount(self._task(name))}")

    def say(self, line: str) -> None:
        """A line above the bars, whole however long it is; nothing in it is obeyed as markup."""
        if self._progress is None:
            return
        from rich.text import Text

        self._progress.console.print(Text(line), soft_wrap=True)

    def stop(self) -> None:
        """Leave what there is on the screen; where nothing moves, a last line for each bar."""
        if self._progress is None:
            return
        self._progress.stop()
        for name in () if self.moves else self._bars:
            self.say(": ".join(filter(None, (name, _amount(self._task(name)), self._task(name).fields["said"]))))
        self._progress = None

    def _task(self, name: str) -> Task:
        assert self._progress is not None  # noqa: S101  who asks has started it
        return next(task for task in self._progress.tasks if task.id == self._bars[name])


class Steps:
    """One bar for work of a few steps, which shows itself once they have taken a while, and only where it can move.

    ``costs`` maps each step to about what share of the time it takes, from which the time left is reckoned.
    """

    def __init__(self, name: str, costs: Mapping[str, float], *, silent: bool = False) -> None:
        self._name, self._costs = name, costs
        self._bars = Bars(silent=silent)
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True
        self._begun, self._done, self._step = time.monotonic(), 0.0, ""

    def __enter__(self) -> Self:
        from crosscorrect.cli.terminal import console, moves

        if not self._bars.silent and moves(console(err=True)):
            self._begun = time.monotonic()
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._bars.stop()
            self._bars.silent = True  # the timer may have been just about to show them

    def begin(self, step: str) -> None:
        """The step that comes next, a key of ``costs``; the one before it is done."""
        with self._lock:
            self._done += self._costs.get(self._step, 0.0)
            self._step = step
            self._bars.update(self._name, **self._state())

    def _show(self) -> None:
        with self._lock:
            self._bars.add(self._name, sum(self._costs.values()), **self._state())

    def _state(self) -> dict[str, Any]:
        taken, total = time.monotonic() - self._begun, sum(self._costs.values())
        ends = self._begun + taken * total / self._done if self._done else None
        return {"completed": self._done, "said": self._step, "ends": ends}


def _columns(shown: Console) -> list[ProgressColumn]:
    """What a bar is made of: less of it where the terminal is narrow, so that each stays one line."""
    from rich.progress import BarColumn, ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class Told(ProgressColumn):
        """Text of a bar, made anew whenever the bar is drawn; the ``last`` gives way where there is no room."""

        def __init__(self, make: Callable[[Task], str], *, last: bool = False) -> None:
            super().__init__(Column(no_wrap=not last, overflow="crop"))
            self._make = make

        def render(self, task: Task) -> Text:
            return Text(self._make(task), no_wrap=True, overflow="crop")

    name = Told(lambda task: f"{task.description:<{NAME}}")
    if shown.width < MIDDLE:
        return [name, Told(_count), Told(_left)]
    bar = BarColumn(30 if shown.width >= WIDE else 14)
    said = Told(lambda task: task.fields["said"], last=True)
    return [name, bar, Told(_count), Told(_rate), Told(_left), said]


def _count(task: Task) -> str:
    if isinstance(task.total, float):
        return f"{task.percentage:.0f} %"
    return f"{int(task.completed)}/{'?' if task.total is None else int(task.total)}"


def _rate(task: Task) -> str:
    """How much a second, lately; of steps, and of what has ended, nothing."""
    speed = None if task.finished or isinstance(task.total, float) else task.speed
    return "" if not speed else f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s"


def _left(task: Task) -> str:
    """How long it still takes, or how long it took."""
    if task.finished:
        return f"in {_clock(task.finished_time or 0)}"
    ends, even = task.fields["ends"], None if isinstance(task.total, float) else task.time_remaining
    left = [seconds for seconds in (even, ends and max(0.0, ends - time.monotonic())) if seconds is not None]
    return f"{_clock(min(left))} left" if left else _clock(task.elapsed or 0)


def _amount(task: Task) -> str:
    """The same as a sentence, for a log."""
    return ", ".join(filter(None, (_count(task), _rate(task), _left(task))))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
