"""The section on speed of a timed run's page: what came of it, whether that can be trusted, figures and tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crosscorrect.speed.model import RANKS, Speed
from crosscorrect_reports import families, forest, roofs, rounds, sentinel, starts, sweeps, timed as timed_runs
from crosscorrect_reports.commands import shell
from crosscorrect_reports.compared import CaseTable, compared
from crosscorrect_reports.gates import GLYPHS, WORDS, Fitness, panel
from crosscorrect_reports.speeds import STYLES
from crosscorrect_reports.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.store import Run
    from crosscorrect_reports.drawing import Figure
    from crosscorrect_reports.timed import Timed


FOREST = "speed-forest"
"""The anchor of the figures after which the table of all comparisons comes."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How the comparisons of one arm came out."""

    name: str
    counts: dict[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Group:
    """Figures under one heading, and how they are read."""

    anchor: str
    heading: str
    how: str
    figures: list[Figure]


@dataclass(slots=True)
class SpeedSection:
    """What ``templates/speed.html`` shows."""

    headline: str
    about: list[tuple[str, str]]
    commands: list[str]
    tallies: list[Tally]
    fitness: Fitness
    groups: list[Group]
    tables: list[CaseTable]
    cold: bool
    glyphs: dict[str, str] = field(default_factory=lambda: {str(speed): glyph for speed, (glyph, _) in STYLES.items()})
    states: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {state: (GLYPHS[state], WORDS[state]) for state in WORDS}
    )


def speed_section(run: Run) -> SpeedSection | None:
    """What a run says of speed; None where it is no timed run."""
    timed = timed_runs.of(run)
    if timed is None:
        return None
    cold = bool(timed.bench["cold"])
    return SpeedSection(
        headline=_headline(timed),
        about=_about(timed),
        commands=_commands(timed),
        tallies=[] if cold else _tallies(timed),
        fitness=panel(timed),
        groups=[group for group in _groups(timed) if group.figures],
        tables=[] if cold else compared(timed),
        cold=cold,
    )


def _groups(timed: Timed) -> Iterator[Group]:
    """The figures under their headings."""
    yield Group("speed-machine", "", "", sentinel.timeline(timed))
    if timed.bench["cold"]:
        yield Group("speed-cold", "What a start costs", starts.HOW, starts.cold_starts(timed))
        return
    yield Group(FOREST, "Who is faster", f"{forest.HOW} {families.method()}", forest.forests(timed))
    yield Group("speed-growth", "How time grows", sweeps.HOW, sweeps.scaling(timed))
    yield Group("speed-limits", "What the processors could do", roofs.HOW, roofs.rooflines(timed))
    yield Group("speed-samples", "The samples themselves", rounds.HOW, rounds.strips(timed))


def _headline(timed: Timed) -> str:
    if not timed.run.info["finished"]:
        return "The timed run was not finished: nothing is judged yet; --resume goes on."
    if timed.bench["cold"]:
        return "Cold starts: what a start costs, one framework after the other. Nothing is ranked by these."
    rows = timed.compared
    expected = len(timed.subjects) * sum(who != timed.reference for who in timed.arms)
    measured = sum(row.seconds is not None for row in rows)
    ranked = sum(row.speed in RANKS for row in rows)
    said = f"{measured} of {plural(expected, 'comparison')} with {timed.reference.name} were measured"
    return f"{said}, {ranked} of them are ranked." if expected else "Nothing was compared."


def _about(timed: Timed) -> list[tuple[str, str]]:
    bench, budget = timed.bench, timed.bench["budget"]
    found = [("reference", timed.reference.name)]
    if timed.told:
        margin = next(iter(timed.told.values())).margin
        found.append(("margin", f"±{100 * margin:.3g} %: what differs by less is equivalent"))
    rounds = f"{plural(budget['restarts'], 'restart')} of up to {plural(budget['rounds'], 'round')}"
    found.append(("budget", f"{rounds}, at most {budget['seconds']:g} s a problem and restart"))
    numbers = ", ".join(map(str, bench["cpus"]))
    found.append(("processors", f"number {numbers}; {plural(bench['threads'], 'thread')} asked of everybody"))
    env = timed.run.env
    machine = env[env["section"] == "machine"]
    said = dict(zip(machine["key"], machine["value"], strict=True))
    if said:
        names = ("model name", "processors", "memory", "system")
        words = {"processors": "{} processors", "memory": "{} memory"}
        found.append(("machine", "; ".join(words.get(name, "{}").format(said[name]) for name in names if name in said)))
    return found


def _commands(timed: Timed) -> list[str]:
    """Command lines that judge the run again from its samples."""
    folder = f"results/{timed.run.info['run']}"
    if timed.bench["cold"] or not timed.run.info["finished"]:
        return []
    return [shell("crosscorrect", "speed", folder, *more) for more in (("--margin", "0.05"), ("--against", "OLDER"))]


def _tallies(timed: Timed) -> list[Tally]:
    found = []
    for who in timed.arms:
        if who == timed.reference:
            continue
        counts = Counter(str(row.speed) for row in timed.compared if timed_runs.who_of(row) == who)
        found.append(Tally(who.name, {str(speed): counts[str(speed)] for speed in Speed}, counts.total()))
    return found
