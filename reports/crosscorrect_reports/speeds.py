"""What the command line prints after a timed run: who is faster, with the interval, and why where nobody knows."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from crosscorrect.speed import cold
from crosscorrect.speed.model import REFERENCE, Role, Speed, Who
from crosscorrect_reports.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import JustifyMethod, RenderableType
    from rich.table import Table
    from rich.text import Text

    from crosscorrect.speed.against import Change, Names
    from crosscorrect.speed.cold import Crossing, Start
    from crosscorrect.speed.model import Comparison
    from crosscorrect.store import Run

STYLES = {
    Speed.FASTER: ("▲", "green"),
    Speed.SLOWER: ("▼", "red"),
    Speed.EQUIVALENT: ("=", "default"),
    Speed.INCONCLUSIVE: ("?", "yellow"),
    Speed.UNFIT: ("!", "yellow"),
    Speed.WRONG: ("✘", "bold red"),
    Speed.NOT_COMPARABLE: ("–", "dim"),
}
"""Glyph and style of each speed verdict."""
UNITS = ((1e-6, "ns", 1e9), (1e-3, "µs", 1e6), (1.0, "ms", 1e3), (math.inf, "s", 1.0))
WIDTHS: tuple[tuple[int, JustifyMethod], ...] = ((22, "left"), (8, "right"), (20, "right"), (14, "left"))
"""The columns of framework, time, ratio with interval, and verdict, in characters."""
LONGEST, MOST_REASONS = 240, 8
"""How many characters of a reason a terminal shows, and how many reasons."""


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it, three digits; nothing for None."""
    if seconds is None:
        return ""
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    unit, factor = next((unit, factor) for limit, unit, factor in UNITS if seconds < limit)
    return f"{seconds * factor:.3g} {unit}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """A ratio with its interval, as many digits as the interval supports; nothing where there is none."""
    if value is None or low is None or high is None:
        return ""
    if not high < math.inf:
        return f"{value:.2f} [0, ∞]"
    width = high - low
    # what is much smaller than 1 needs more digits to be told at all
    most = 4 if not value > 0 else max(4, 2 - math.floor(math.log10(value)))
    digits = 2 if not 0 < width < math.inf else min(most, max(0, 1 - math.floor(math.log10(width))))
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def digits(value: float | None, low: float | None, high: float | None) -> str:
    """One number of an interval, as many digits as that supports."""
    return "" if value is None else interval(value, low, high).partition(" ")[0]


def unit_of(times: Sequence[float]) -> tuple[str, float]:
    """The unit that suits several times together, in seconds, and how many of it a second is."""
    middle = math.sqrt(min(times) * max(times)) if times else 1.0
    return next((unit, factor) for limit, unit, factor in UNITS if middle < limit)


def summary(run: Run, found: Sequence[Comparison]) -> RenderableType:
    """Each problem with a row per framework, the reasons, and how many verdicts of each kind there are."""
    from rich.console import Group  # noqa: PLC0415  rich is loaded when something is printed
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    body: list[RenderableType] = []
    for (problem, part), rows in itertools.groupby(found, key=lambda row: (row.problem, row.part)):
        body.append(Text(one_line(f"{problem} {part}"), style="bold"))
        table = Table.grid(padding=(0, 2))
        for width, justify in WIDTHS:
            table.add_column(min_width=width, justify=justify)
        for row in rows:
            if row.role is not Role.TWIN:
                table.add_row(*_cells(row))
        body.append(table)
    lines = [Text(line, style="dim") for line in _reasons(found)]
    return Group(*body, *lines, Text(_counts(found)), Text(_twins(found)), Text(f"run folder: {one_line(run.folder)}"))


def _cells(row: Comparison) -> list[Text]:
    from rich.text import Text  # noqa: PLC0415  as above

    glyph, style = STYLES[row.speed]
    said = "the reference" if is_reference(row) else f"{glyph} {row.speed}"
    numbers = (duration(row.seconds), interval(row.ratio, row.low, row.high))
    return [Text(f"  {_name(row)}"), *map(Text, numbers), Text(said, style="dim" if is_reference(row) else style)]


def changes_table(changes: Sequence[Change]) -> RenderableType:
    """A row per arm and problem whose speed changed, or nobody knows."""
    from rich.console import Group  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415

    table = _table("problem", "framework", "now over then", "verdict")
    for change in changes:
        if change.speed is not Speed.EQUIVALENT:
            glyph, style = STYLES[change.speed]
            table.add_row(
                Text(one_line(" ".join(change.names[:2]))),
                Text(_name(change.names)),
                interval(change.change, change.low, change.high),
                Text(f"{glyph} {change.speed}" + (f": {change.message}" if change.message else ""), style=style),
            )
    same = sum(change.speed is Speed.EQUIVALENT for change in changes)
    said = Text(f"{plural(same, 'comparison')} as before")
    return Group(table, said) if same < len(changes) else Group(said)


def cold_summary(found: Sequence[Start]) -> RenderableType:
    """What each framework takes from nothing, and after how many calls who starts later is ahead."""
    from rich.console import Group  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415

    crossings = cold.crossings(found)
    body: list[RenderableType] = []
    for subject, starts in itertools.groupby(found, key=lambda start: start.subject):
        body.append(Text(one_line(" ".join(subject)), style="bold"))
        table = _table("framework", *map(str, cold.SHOWN), "steady")
        for start in starts:
            times = [*map(start.phases.get, cold.SHOWN), start.steady]
            table.add_row(Text(one_line(start.who.name)), *("" if t is None else duration(t.median) for t in times))
        body.append(table)
        body += [Text(_crossed(crossing)) for crossing in crossings if crossing.subject == subject]
    return Group(*body)


def _crossed(crossing: Crossing) -> str:
    first, then = one_line(crossing.first.name), one_line(crossing.then.name)
    if crossing.calls is None:
        return f"  {first} starts sooner and stays ahead of {then}"
    return f"  {then} overtakes {first} after about {about(crossing.calls)} calls"


def about(calls: int | None) -> str:
    """A number of calls to two digits: medians of a few restarts support no more; nothing for None."""
    return "" if calls is None else f"{round(calls, -max(0, len(str(calls)) - 2)):,}"


def _reasons(found: Sequence[Comparison]) -> list[str]:
    """Why there is no ranking, or a speed is doubted: each reason once, with how many it is about."""
    counts, told = Counter[tuple[str, str]](), dict[tuple[str, str], str]()
    for row in found:
        if row.role is Role.ARM and not is_reference(row):
            if row.message and row.speed is not Speed.INCONCLUSIVE:
                for message in row.message.split("; "):
                    # alike but for their numbers: told once, by the first
                    kind = (str(row.speed), re.sub(r"[0-9.]+", "#", message))
                    told.setdefault(kind, one_line(message, LONGEST))
                    counts[kind] += 1
            if row.suspect:
                kind = ("suspect", f"{row.problem} {row.part} {_name(row)}: {row.suspect}")
                told[kind] = one_line(kind[1], LONGEST)
                counts[kind] += 1
    shown = [f"{kind[0]} ({count}): {told[kind]}" for kind, count in counts.most_common(MOST_REASONS)]
    return shown + ([f"and {len(counts) - MOST_REASONS} reasons more"] if len(counts) > MOST_REASONS else [])


def is_reference(row: Comparison) -> bool:
    """Whether a row is the reference's own, beside itself."""
    return row.role is Role.ARM and row.message == REFERENCE


def _table(*columns: str) -> Table:
    from rich import box  # noqa: PLC0415  as above
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _name(row: Comparison | Names) -> str:
    return one_line(Who(row.framework, row.mode, row.device).name)


def _counts(found: Sequence[Comparison]) -> str:
    arms = [row for row in found if row.role is Role.ARM and not is_reference(row)]
    counts = {speed: sum(row.speed is speed for row in arms) for speed in Speed}
    said = ", ".join(f"{count} {speed}" for speed, count in counts.items() if count)
    return f"{plural(len(arms), 'comparison')}: {said}" if arms else "nothing was compared"


def _twins(found: Sequence[Comparison]) -> str:
    """What the control says: the reference beside its own twin."""
    ratios = [row.ratio for row in found if row.role is Role.TWIN and row.ratio is not None]
    if not ratios:
        return "the reference beside its own twin: nothing that was fit"
    reach = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return f"the reference beside its own twin: {reach} over {plural(len(ratios), 'problem')}"
