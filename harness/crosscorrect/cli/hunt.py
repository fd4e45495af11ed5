"""The command that searches for defects: random problems, what surprises shrunk to the smallest that still does."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscorrect.adapter import ARITHMETICS, MODES
from crosscorrect.cli.options import finite, pairs
from crosscorrect.cli.progress import Progress
from crosscorrect.problem import DTYPES

if TYPE_CHECKING:
    from crosscorrect.hunt import Find, Hunted
    from crosscorrect.model import Check
    from crosscorrect.plan import Greeting, Plan

SHOWN = 8
"""So many ids of the problems that look like a find are printed."""


@click.command()
@click.option(
    "-f", "--framework", "names", multiple=True, metavar="NAME", help="A framework; repeat. Default: all here."
)
@click.option(
    "--python", "pythons", multiple=True, callback=pairs, metavar="NAME=PATH", help="A framework's interpreter."
)
@click.option(
    "--adapter",
    "targets",
    multiple=True,
    callback=pairs,
    metavar="NAME=MODULE:CLASS",
    help="An adapter that is not installed as an entry point.",
)
@click.option(
    "-m",
    "--mode",
    type=click.Choice([*MODES, "all"]),
    default="eager",
    show_default=True,
    help="How frameworks execute; all: every mode each one offers.",
)
@click.option("-d", "--device", "devices", multiple=True, default=("cpu",), show_default=True, metavar="DEVICE")
@click.option(
    "--arithmetic",
    type=click.Choice(ARITHMETICS),
    default="strict",
    show_default=True,
    help="The numeric contract that results are judged by.",
)
@click.option(
    "--problems", "count", type=click.IntRange(1, 10**7), default=1000, show_default=True, help="How many problems."
)
@click.option("--from", "first", type=click.IntRange(0), default=0, help="The index of the first: a search goes on.")
@click.option("--seed", type=click.IntRange(0), help="Another search, other problems.  [default: 0]")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(DTYPES),
    metavar="DTYPE",
    default=("float32", "float64"),
    show_default=True,
    help="Dtypes that take turns; repeat.",
)
@click.option(
    "-k", "--problem", "only", multiple=True, metavar="ID", help="This problem again, such as hunt/7-123; repeat."
)
@click.option(
    "--time",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    metavar="SECONDS",
    help="After these no new problem begins.",
)
@click.option("--shrink/--no-shrink", default=True, show_default=True, help="Look for the smallest that still fails.")
@click.option("--results", type=click.Path(file_okay=False, path_type=Path), default=Path("results"), show_default=True)
@click.option(
    "--expectations", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of your own."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is found.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def hunt(
    names: tuple[str, ...],
    pythons: dict[str, str],
    targets: dict[str, str],
    mode: str,
    devices: tuple[str, ...],
    arithmetic: str,
    count: int,
    first: int,
    seed: int | None,
    dtypes: tuple[str, ...],
    only: tuple[str, ...],
    seconds: float | None,
    shrink: bool,
    results: Path,
    expectations: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Search for defects with random correct problems; shrink what surprises to the smallest that still does.

    Refusals are counted, not reported. What is found is an ordinary case file, found.yaml in the run folder.

    \b
    crosscorrect hunt -f torch                          a thousand problems
    crosscorrect hunt -f torch --from 1000              the next thousand
    crosscorrect hunt -f torch -k hunt/0-123            one of them again
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect.expectations import check_folder
    from crosscorrect.hunt import Problems, chosen, hunt as search

    check_folder(expectations)
    seed, wanted = chosen(only, seed, dtypes)
    progress = _Progress(expectations, silent=quiet or as_json)
    try:
        with progress:
            hunted = search(
                Problems(seed, count, dtypes, first, wanted),
                names or None,
                modes=() if mode == "all" else (mode,),
                devices=devices,
                arithmetic=arithmetic,
                pythons=pythons,
                adapters=targets,
                seconds=math.inf if seconds is None else seconds,
                shrinking=shrink,
                expected=expectations,
                results=results,
                on_event=progress.listen,
            )
    except KeyboardInterrupt:
        if progress.hunted is not None:
            _show(progress.hunted, as_json=as_json)
        raise KeyboardInterrupt("interrupted") from None
    if as_json or not quiet or hunted.exit:
        _show(hunted, as_json=as_json)
    sys.exit(hunted.exit)


def _show(hunted: Hunted, *, as_json: bool) -> None:
    click.echo(json.dumps(_said(hunted), indent=1)) if as_json else _tell(hunted)


class _Progress(Progress):
    """The bars of a run, which count problems here; a line for each find instead of one for each failing check."""

    def __init__(self, folder: Path | None, *, silent: bool) -> None:
        super().__init__(folder, silent=silent)
        self.hunted: Hunted | None = None
        self._finds: Counter[str] = Counter()

    def listen(self, plan: Plan, hunted: Hunted, event: Check | Greeting | Find | None) -> None:
        """Take one event of ``hunt.hunt``."""
        from crosscorrect.hunt import Find

        self.hunted = hunted
        if isinstance(event, Find):
            self._finds[event.kind.framework] += 1
            if not self._silent:
                self._say(f"{event.kind.framework}: {_headline(event)}")
        else:
            self.hear(plan, event)

    def _greeted(self, plan: Plan, greeting: Greeting) -> None:
        said = greeting.message
        if greeting.hello is not None:
            versions = greeting.hello["versions"]
            said = "; ".join(filter(None, (f"{greeting.framework} {versions.get(greeting.framework, '')}", said)))
        self._progress.update(self._bars[greeting.framework], total=len(plan.problems), said=said[:100])
        if not self._progress.console.is_terminal:
            self._say(f"{greeting.framework}: {'started' if greeting.hello is not None else 'missing'}: {said}")

    def _judged(self, check: Check) -> None:
        assert self.hunted is not None  # noqa: S101  the first event sets it
        done, outcomes = self.hunted.asked[check.framework], self.hunted.outcomes.get(check.framework, Counter())
        said = ", ".join([*_counts(outcomes), f"{self._finds[check.framework]} found"])
        self._progress.update(self._bars[check.framework], completed=done, said=said)


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
    from crosscorrect.casefile import case_text
    from crosscorrect.cli.explain import say

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
    from crosscorrect.hunt import REPEATS

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
