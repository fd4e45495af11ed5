"""What a person or a CI log sees while a run goes on: how far it is, and at once what does not pass."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

from crosscorrect import expectations, gate
from crosscorrect.cli.bars import Bars
from crosscorrect.model import Check, Outcome
from crosscorrect.selection import Selection
from crosscorrect.tables import check_record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from crosscorrect.plan import Greeting, Plan
    from crosscorrect.problem import Problem

LONGEST, LONGEST_REMEDY = 120, 480
"""How many characters of a message are shown, and of one whose end says what to do; the report has all of it."""

MOST = 500
"""How many checks of a framework that are not as expected get a line of their own, which takes a terminal 0.7 ms."""

MOST_ALIKE = 3
"""How many of those that have one outcome and one message do; the summary counts them all."""


Kinds = Counter[tuple[tuple[str, ...], tuple[str, ...], str]]


class Progress:
    """A bar per framework where standard error is a terminal, and a line for each check that does not pass.

    Elsewhere bars do not move, so each framework also says a line when it has started, one at its first verdict and
    one a minute. ``folder`` holds the expectations (None: those that ship): what they expect is not told of. ``begun``
    is whether there is a run folder.
    """

    def __init__(self, folder: Path | None = None, *, silent: bool = False) -> None:
        self.begun = False
        self._folder, self._silent = folder, silent
        self._bars = Bars(silent=silent)
        self._outcomes: dict[str, Counter[str]] = {}
        self._expected: dict[str, expectations.Expectations] = {}
        self._told: set[tuple[str, str]] = set()
        self._surprises: Counter[str] = Counter()
        self._alike: Counter[tuple[str, str]] = Counter()
        self._kinds: Kinds = Counter()
        self._estimated: set[str] = set()
        self._before: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._estimated:
            self._bars.update(name, total=self._before[name] + self._outcomes[name].total())
        self._bars.stop()

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
        for framework in plan.frameworks:
            self._bars.add(framework.name, said="starting")
            self._outcomes[framework.name] = Counter()

    def _greeted(self, plan: Plan, greeting: Greeting) -> None:
        name, hello = greeting.framework, greeting.hello
        said, modes, spellings = greeting.message, plan.modes or ("eager",), ("native",)
        if hello is not None:
            versions = ", ".join(f"{part} {version}" for part, version in list(hello["versions"].items())[:2])
            said = "; ".join(filter(None, (versions, said)))
            modes, spellings = plan.modes or tuple(hello["modes"]), tuple(hello["spellings"])
            self._expected[name] = expectations.load(name, hello["versions"].get(name, ""), self._folder)
        total = self._total(plan, name, modes, spellings)
        self._before[name] = greeting.done
        self._bars.update(name, total=total, completed=greeting.done, said=line(said))
        if not self._bars.moves:
            about = "about " if name in self._estimated else ""
            counted = f", {about}{total} checks" if total is not None else ""
            counted += f", {greeting.done} of them judged before" if greeting.done else ""
            self._bars.say(
                f"{name}: {'started' if hello is not None else 'missing'}{counted}: {line(said, LONGEST_REMEDY)}"
            )
            self._told.add((name, greeting.message))

    def _judged(self, check: Check) -> None:
        outcomes = self._outcomes[check.framework]
        if not outcomes and not self._bars.moves:
            self._bars.say(f"{check.framework}: first verdict: {check.outcome} ({check.problem})")
        outcomes[check.outcome] += 1
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        self._bars.update(check.framework, advance=1, said=said)
        if check.outcome is Outcome.PASS:
            return
        if check.outcome is Outcome.MISSING:  # what is not there is not there for every check: said once
            if (check.framework, check.message) in self._told:
                return
            self._told.add((check.framework, check.message))
        if self._surprising(check):  # hundreds of refusals are listed; what is new must not drown in them
            self._surprised(check)

    def _surprised(self, check: Check) -> None:
        """Say what came of a check, unless that has been said often enough."""
        said = f"{check.outcome} ({check.reason})" if check.reason else str(check.outcome)
        whole = f"{said}, {check.message}"
        alike = self._alike[check.framework, whole]
        if alike > MOST_ALIKE:
            return
        self._surprises[check.framework] += 1
        if self._surprises[check.framework] > MOST:
            if self._surprises[check.framework] == MOST + 1:
                self._bars.say(
                    f"{check.framework}: more than {MOST} checks are not as expected; the report has them all"
                )
            return
        self._alike[check.framework, whole] += 1
        said += f", {line(check.message)}" if check.message else ""
        if alike == MOST_ALIKE:
            self._bars.say(f"{check.framework}: … and more like it: {said}")
        else:
            self._bars.say(f"{check.framework} {check.mode} {check.problem} {check.direction}: {said}")

    def _total(self, plan: Plan, name: str, modes: tuple[str, ...], spellings: tuple[str, ...]) -> int | None:
        """How many checks a framework is asked for, as far as that can be told beforehand."""
        selection = plan.problems if isinstance(plan.problems, Selection) else None
        if selection is not None and not selection.countable:
            return None
        if not self._kinds:
            each = selection.kinds() if selection is not None else ((problem, 1) for problem in plan.problems)
            self._kinds = kinds(each)
        if selection is not None and not selection.exact:
            self._estimated.add(name)
        return checks(self._kinds, name, modes, spellings) * len(plan.devices)

    def _surprising(self, check: Check) -> bool:
        entry = None
        if check.framework in self._expected:
            known = self._expected[check.framework]
            entry = known.of(check.problem, check.direction, check.mode, check.device)
        return bool(gate.as_expected(check_record(check), entry))


def kinds(problems: Iterable[tuple[Problem, int]]) -> Kinds:
    """How many checks there are in one mode, by what decides who is asked for them: ``only``, modes and spelling."""
    counts: Kinds = Counter()
    for problem, count in problems:
        counts[problem.only, problem.modes, problem.spelling] += len(problem.directions) * count
    return counts


def checks(kinds: Kinds, framework: str, modes: tuple[str, ...], spellings: tuple[str, ...]) -> int:
    """How many checks a framework that has these modes and spellings is asked for on one device."""
    return sum(
        count * sum(not own or mode in own for mode in modes)
        for (only, own, spelling), count in kinds.items()
        if (not only or framework in only) and spelling in spellings
    )


def line(text: str, longest: int = LONGEST) -> str:
    """The first line of what somebody else wrote, short and with nothing in it that a terminal would obey."""
    from crosscorrect_reports.text import one_line

    return one_line(text.strip().partition("\n")[0], longest)
