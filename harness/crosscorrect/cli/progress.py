"""What a person or a CI log sees while a run goes on: how far it is, and at once what does not pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from crosscorrect import expectations, gate
from crosscorrect.model import Check, Outcome
from crosscorrect.tables import check_record

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.plan import Greeting, Plan

LONGEST = 120
"""How many characters of a message are shown; the report has all of it."""


class Progress:
    """A bar per framework where standard error is a terminal, and a line for each check that does not pass.

    Elsewhere bars do not move, so each framework also says a line when it has started and one at its first verdict.
    ``folder`` holds the expectations (None: those that ship): what they expect is marked as such. ``begun`` is whether
    there is a run folder.
    """

    def __init__(self, folder: Path | None = None, *, silent: bool = False) -> None:
        self.begun = False
        self._folder, self._silent = folder, silent
        self._progress: Any = None
        self._bars: dict[str, Any] = {}
        self._outcomes: dict[str, Counter[str]] = {}
        self._expected: dict[str, expectations.Expectations] = {}
        self._told: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def hear(self, plan: Plan, event: Check | Greeting | None) -> None:
        """Take one event of ``api.run``."""
        self.begun = True
        if self._silent:
            return
        if event is None:
            self._start(plan)
        elif isinstance(event, Check):
            self._judged(event)
        else:
            self._greeted(plan, event)

    def _start(self, plan: Plan) -> None:
        """Only when a run has begun: a request that is refused leaves its message alone on the screen."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bars, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", markup=False),
        )
        self._progress = Bars(*columns, console=Console(stderr=True))
        self._progress.start()
        for framework in plan.frameworks:
            self._bars[framework.name] = self._progress.add_task(framework.name, total=None, said="starting")
            self._outcomes[framework.name] = Counter()

    def _greeted(self, plan: Plan, greeting: Greeting) -> None:
        name, hello = greeting.framework, greeting.hello
        said, total = greeting.message, checks(plan, name, plan.modes or ("eager",))
        if hello is not None:
            versions = ", ".join(f"{part} {version}" for part, version in list(hello["versions"].items())[:2])
            said = "; ".join(filter(None, (versions, said)))
            total = checks(plan, name, plan.modes or tuple(hello["modes"]))
            self._expected[name] = expectations.load(name, hello["versions"].get(name, ""), self._folder)
        self._progress.update(self._bars[name], total=total, said=_line(said))
        if not self._progress.console.is_terminal:
            self._say(f"{name}: {'started' if hello is not None else 'missing'}, {total} checks: {_line(said)}")
            self._told.add((name, greeting.message))

    def _judged(self, check: Check) -> None:
        outcomes = self._outcomes[check.framework]
        if not outcomes and not self._progress.console.is_terminal:
            self._say(f"{check.framework}: first verdict: {check.outcome} ({check.problem})")
        outcomes[check.outcome] += 1
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        self._progress.update(self._bars[check.framework], advance=1, said=said)
        if check.outcome is Outcome.PASS:
            return
        if check.outcome is Outcome.MISSING:  # what is not there is not there for every check: said once
            if (check.framework, check.message) in self._told:
                return
            self._told.add((check.framework, check.message))
        if not self._surprises(check):
            return  # hundreds of refusals are listed; what is new must not drown in them
        said = f"{check.outcome} ({check.reason})" if check.reason else str(check.outcome)
        said += f", {_line(check.message)}" if check.message else ""
        self._say(f"{check.framework} {check.mode} {check.problem} {check.direction}: {said}")

    def _surprises(self, check: Check) -> bool:
        entry = None
        if check.framework in self._expected:
            known = self._expected[check.framework]
            entry = known.of(check.problem, check.direction, check.mode, check.device)
        return bool(gate.as_expected(check_record(check), entry))

    def _say(self, line: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text(line), soft_wrap=True)


def checks(plan: Plan, framework: str, modes: tuple[str, ...]) -> int:
    """How many checks a plan asks of a framework: problems × directions × modes × devices, as far as they apply."""
    about = [p for p in plan.problems if not p.only or framework in p.only]
    places = [sum(not p.modes or mode in p.modes for mode in modes) * len(plan.devices) for p in about]
    return sum(len(problem.directions) * count for problem, count in zip(about, places, strict=True))


def _line(text: str) -> str:
    """The first line of what somebody else wrote, short and with nothing in it that a terminal would obey."""
    from crosscorrect_reports.text import one_line

    return one_line(text.strip().partition("\n")[0], LONGEST)
