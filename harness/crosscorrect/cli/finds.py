"""What a person sees of a hunt: how far it is, each find as it is met, and in the end every find with its case."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from crosscorrect.casefile import case_text
from crosscorrect.cli.progress import LONGEST_REMEDY, Progress, line
from crosscorrect.cli.terminal import say, say_json
from crosscorrect.hunt import REPEATS, Find

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.hunt import Hunted
    from crosscorrect.model import Check
    from crosscorrect.plan import Greeting, Plan

SHOWN = 8
"""So many ids of the problems that look like a find are printed."""


def show(hunted: Hunted, *, as_json: bool) -> None:
    """Print what a hunt came to, for a person or as one JSON object."""
    if as_json:
        say_json(_said(hunted))
    else:
        _tell(hunted)


class HuntProgress(Progress):
    """The bars of a run, which count problems here; a line for each find instead of one for each failing check."""

    def __init__(self, folder: Path | None, seconds: float | None, *, silent: bool) -> None:
        """``seconds`` is after how many no new problem begins, if there is such a time."""
        super().__init__(folder, silent=silent)
        self._ends = None if seconds is None else time.monotonic() + seconds
        self.hunted: Hunted | None = None
        self._finds: Counter[str] = Counter()

    def listen(self, plan: Plan, hunted: Hunted, event: Check | Greeting | Find | None) -> None:
        """Take one event of ``hunt.hunt``."""
        self.hunted = hunted
        if isinstance(event, Find):
            self._finds[event.kind.framework] += 1
            if not self._silent:
                self._bars.say(f"{event.kind.framework}: {line(_headline(event))}")
        else:
            self.hear(plan, event)

    def _greeted(self, _: Plan, greeting: Greeting) -> None:
        assert self.hunted is not None  # noqa: S101  the first event sets it
        said = greeting.message
        if greeting.hello is not None:
            versions = greeting.hello["versions"]
            said = "; ".join(filter(None, (f"{greeting.framework} {versions.get(greeting.framework, '')}", said)))
        self._bars.update(greeting.framework, total=self.hunted.problems, ends=self._ends, said=line(said))
        if not self._bars.moves:
            how = "started" if greeting.hello is not None else "missing"
            self._bars.say(f"{greeting.framework}: {how}: {line(said, LONGEST_REMEDY)}")

    def _judged(self, check: Check) -> None:
        assert self.hunted is not None  # noqa: S101  the first event sets it
        done, outcomes = self.hunted.asked[check.framework], self.hunted.outcomes.get(check.framework, Counter())
        said = ", ".join([*_counts(outcomes), f"{self._finds[check.framework]} found"])
        self._bars.update(check.framework, completed=done, said=said)


def _counts(outcomes: Counter[str]) -> list[str]:
    return [f"{count} {outcome}" for outcome, count in sorted(outcomes.items())]


def _headline(find: Find) -> str:
    check, many = find.check, len(find.problems)
    said = f"{check.outcome} ({check.reason})" if check.reason else str(check.outcome)
    shrunk = f" → {find.draft}" if find.shrunk else ""
    return f"{find.kind.mode} {check.direction} {check.dtype}: {said}, {find.problems[0]}" + (
        f" and {many - 1} more{shrunk}" if many > 1 else shrunk
    )


def _tell(hunted: Hunted) -> None:
    """Print what was asked, what came of it, and each find with its case."""
    for place, find in enumerate(hunted.finds, 1):
        say(f"\n{place}. {find.kind.framework} {_headline(find)}")
        say(f"   {find.check.message.partition(chr(10))[0]}")
        if find.cause:
            say(f"   cause: {find.cause}")
        for note in filter(None, (find.note, _met(find))):
            say(f"   {note}")
        say(case_text(find.case).rstrip())
    for name in sorted({*hunted.outcomes, *hunted.missing}):
        outcomes = hunted.outcomes.get(name, Counter())
        asked = f"{hunted.asked[name]} of {hunted.problems} problems, {outcomes.total()} checks"
        why = f"; {hunted.missing[name]}" if name in hunted.missing else ""
        click.echo(f"{name}: {asked}: {', '.join(_counts(outcomes)) or 'none'}{why}")
    click.echo(f"found: {len(hunted.finds)}; run folder: {hunted.folder}")
    if hunted.finds:
        click.echo(f"again: crosscorrect run {hunted.folder / 'found.yaml'} -f {hunted.finds[0].kind.framework}")
        click.echo(f"why:   crosscorrect explain {hunted.folder} {hunted.finds[0].check.problem} --script")


def _met(find: Find) -> str:
    """Which problems look like a find, and whether it fails each time."""
    some, more = find.problems[:SHOWN], len(find.problems) - SHOWN
    met = f"met in {', '.join(some)}{f' and {more} more' if more > 0 else ''}"
    return met if not find.failed or find.failed == REPEATS else f"{met}; fails in {find.failed} of {REPEATS} tries"


def _said(hunted: Hunted) -> dict[str, Any]:
    finds = [
        {
            "framework": find.kind.framework,
            "mode": find.kind.mode,
            "direction": find.check.direction,
            "dtype": find.check.dtype,
            "outcome": find.check.outcome,
            "reason": find.check.reason,
            "message": find.check.message,
            "diagnosis": find.cause,
            "problem": find.check.problem,
            "case": find.case,
            "problems": find.problems,
            "shrunk": find.shrunk,
            "failed": find.failed,
            "note": find.note,
        }
        for find in hunted.finds
    ]
    return {
        "run": str(hunted.folder),
        "exit": int(hunted.exit),
        "problems": hunted.problems,
        "asked": dict(hunted.asked),
        "outcomes": {name: dict(outcomes) for name, outcomes in hunted.outcomes.items()},
        "missing": hunted.missing,
        "found": finds,
    }
