"""What two runs have changed as one self-contained page: no network, no script, links into the reports beside it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from crosscorrect.adapter import MODES
from crosscorrect.changes import VERDICTS, Kind
from crosscorrect.speed.model import Speed, Who
from crosscorrect_reports import frames
from crosscorrect_reports.diff.words import (
    MARKS,
    differs,
    headline,
    look,
    messages,
    moved,
    other_bits,
    places,
    tally,
    told,
)
from crosscorrect_reports.page import environment, own
from crosscorrect_reports.speeds import STYLES as SPEEDS, interval
from crosscorrect_reports.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.changes import Changes, Group, Row
    from crosscorrect.speed.against import Change
    from crosscorrect.store import Run

MOST_LINES = 1000
"""How many problems the table of changed checks has; the groups above it count them all."""
MOST_GROUPS, MOST_LISTED = 200, 100
"""How many groups of each kind are told, and how many checks of each are listed."""
MOST_SPEEDS = 500
LONGEST = 1000
"""How many characters of a message are shown."""
WIDTH, REACHES = 220, (1.25, 1.5, 2.0, 4.0)
"""The drawing of an interval: pixels, and the largest ratio on either side: the least of these that all fit in."""
TURN = (Speed.SLOWER, Speed.FASTER)
"""The speeds that come first."""
SHOWN = (Kind.REGRESSED, Kind.VANISHED, Kind.CHANGED, Kind.FIXED, Kind.APPEARED)
"""The kinds that have a heading and cells in the table."""
LOOKS = {Speed.SLOWER: "fail", Speed.FASTER: "pass", Speed.EQUIVALENT: "unsupported"}
"""The style of a speed; all others are in doubt."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Where the reports of the two runs lie, as addresses from the page's own folder; empty where there is none."""

    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One changed check in the table: what it was and is, and where each is told."""

    then: str
    now: str
    reason: str
    mark: str
    look: str
    hint: str


@dataclass(frozen=True, slots=True)
class Line:
    """One problem and direction of the table, with a cell for each place, None where nothing changed."""

    suite: str
    problem: str
    direction: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True, slots=True)
class Pace:
    """One speed: its words, and its interval in pixels; ``low`` and ``high`` are cut where the drawing ends."""

    change: Change
    name: str
    glyph: str
    look: str
    interval: str
    low: float
    at: float
    high: float


def render(changes: Changes, folder: Path | None = None) -> str:
    """Return the page as text. Reports of the two runs are linked to from a page in ``folder``, if they are there."""
    groups = [(kind, MARKS[kind], changes.groups(kind)) for kind in SHOWN]
    where, lines, more = _lines(changes)
    paces = sorted(changes.speed, key=lambda change: TURN.index(change.speed) if change.speed in TURN else len(TURN))
    reach = _reach(paces)
    return (
        environment()
        .get_template("diff.html")
        .render(
            base=changes.base.info,
            run=changes.run.info,
            reports=Reports(*(_report(one, folder) for one in (changes.base, changes.run))),
            mark=look(changes),
            headline=headline(changes),
            tally=tally(changes),
            exit=changes.exit,
            around=[differs(one) for one in changes.around],
            counts=[(kind, MARKS[kind], count) for kind, count in changes.counts.items()],
            groups=[entry for entry in groups if entry[2]],
            apart=changes.groups(Kind.ONLY_THEN, Kind.ONLY_NOW),
            where=where,
            lines=lines,
            more=more,
            bits=[(bits, other_bits(bits)) for bits in moved(changes.bits)],
            paces=[_pace(change, reach) for change in paces[:MOST_SPEEDS]],
            reach=reach,
            untold_paces=max(0, len(paces) - MOST_SPEEDS),
            changes=changes,
            marks=MARKS,
            verdicts=VERDICTS,
            most_groups=MOST_GROUPS,
            most_listed=MOST_LISTED,
            longest=LONGEST,
            width=WIDTH,
            places=places,
            messages=messages,
            rows=_rows,
            address=address,
            style=own("templates/style.css") + own("templates/diff.css"),
        )
    )


def _report(run: Run, folder: Path | None) -> str:
    """The address of a run's report from a folder; empty where there is no report, or no folder to go from."""
    report = run.folder / "report.html"
    if folder is None or not report.is_file():
        return ""
    path = Path(os.path.relpath(report.resolve(), folder.resolve()))
    return "/".join(quote(part, safe="") for part in path.parts)


def address(row: Row) -> str:
    """Return where a report tells of one check, as its script reads it: the view of the problem, with that check."""
    return urlencode(
        {name: row[name] for name in ("problem", "framework", "mode", "device", "direction")}, errors="replace"
    )


def _rows(group: Group) -> list[Row]:
    """The first checks of a group."""
    rows: list[Row] = group.table[:MOST_LISTED].to_dict("records")
    return rows


def _lines(changes: Changes) -> tuple[list[tuple[str, str, str]], list[Line], int]:
    """The places that have a changed check, the lines of the table, and how many lines it leaves out."""
    table = changes.table[changes.table["kind"].isin(SHOWN)]
    where = list(table[frames.PLACE].drop_duplicates().itertuples(index=False, name=None))
    names = list(dict.fromkeys([*changes.run.info["frameworks"], *changes.base.info["frameworks"]]))
    where.sort(key=lambda place: (names.index(place[0]), place[2], place[1] not in MODES[:1], place[1]))
    found: dict[tuple[str, str, str], dict[tuple[str, str, str], Cell]] = {}
    for row in table.to_dict("records"):
        name = (row["suite"], row["problem"], row["direction"])
        if name in found or len(found) < MOST_LINES:
            found.setdefault(name, {})[row["framework"], row["mode"], row["device"]] = _cell(row)
    count = len(table[["problem", "direction"]].drop_duplicates())
    return where, [Line(*name, [cells.get(p) for p in where]) for name, cells in found.items()], count - len(found)


def _cell(row: Row) -> Cell:
    mark = MARKS[row["kind"]]
    reason = row["reason_now"] or row["reason_then"] if row["kind"] in VERDICTS else row["why"]
    look = row["outcome_now"] or mark.look
    return Cell(row["outcome_then"], row["outcome_now"], reason, mark.glyph, look, one_line(told(row), LONGEST))


def _reach(paces: Sequence[Change]) -> float:
    """The largest ratio that is drawn."""
    ends = [abs(math.log(end)) for change in paces for end in (change.low, change.high) if end is not None and end > 0]
    return next((reach for reach in REACHES if math.log(reach) >= max(ends, default=0)), REACHES[-1])


def _pace(change: Change, reach: float) -> Pace:
    glyph, _ = SPEEDS[change.speed]
    name = Who(change.names.framework, change.names.mode, change.names.device).name
    ends = [_pixel(value, reach) for value in (change.low, change.change, change.high)]
    said = interval(change.change, change.low, change.high)
    return Pace(change, name, glyph, LOOKS.get(change.speed, "mistrusted"), said, *ends)


def _pixel(ratio: float | None, reach: float) -> float:
    """Where a ratio is drawn, on a logarithmic scale with 1 in the middle."""
    if ratio is None or not ratio > 0:
        return WIDTH / 2
    share = math.log(ratio) / math.log(reach)
    return round(WIDTH / 2 * (1 + min(1.0, max(-1.0, share))), 1)
