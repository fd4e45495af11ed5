"""The table of every comparison: time, ratio and verdict, how fast that is, and what would decide what is open."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.speed.model import Role, Speed
from crosscorrect_reports.forest import tooltip
from crosscorrect_reports.roofs import GIGA, rate
from crosscorrect_reports.speeds import interval, unit_of
from crosscorrect_reports.text import slug
from crosscorrect_reports.timed import is_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.speed.cold import Range
    from crosscorrect.speed.model import Comparison, Who
    from crosscorrect_reports.timed import Subject, Timed


@dataclass(frozen=True, slots=True)
class Compared:
    """One row. Numbers are texts with their intervals; ``speed`` is empty of the reference's own row."""

    anchor: str
    span: int
    label: str
    problem: str
    who: str
    time: str
    ratio: str
    speed: str
    reason: str
    rate: str
    share: str
    restarts: str
    hint: str


@dataclass(frozen=True, slots=True)
class CaseTable:
    """The comparisons of a case, their times in one ``unit``."""

    anchor: str
    case: str
    title: str
    unit: str
    counts: str
    rows: list[Compared]


def compared(timed: Timed) -> list[CaseTable]:
    """Every comparison and the reference's own times, by case."""
    return [_case(timed, case, subjects) for case, subjects in timed.cases().items()]


def _case(timed: Timed, case: str, subjects: Sequence[Subject]) -> CaseTable:
    told = [
        (subject, who, timed.told[subject.key, who])
        for subject in subjects
        for who in (timed.reference, *(w for w in timed.arms if w != timed.reference), timed.twin)
        if (subject.key, who) in timed.told
    ]
    times = {(s.key, who): timed.seconds(s.key, who) for s, who, _ in told}
    unit, factor = unit_of([time.median for time in times.values() if time is not None])
    spans = Counter(subject.key for subject, _, _ in told)
    rows = []
    for subject, who, row in told:
        span = spans.pop(subject.key, 0)
        rows.append(_row(timed, subject, who, row, times[subject.key, who], span, unit, factor))
    counts = Counter(row.speed for _, who, row in told if who.role is Role.ARM and who != timed.reference)
    said = ", ".join(f"{counts[speed]} {speed}" for speed in Speed if counts[speed])
    title = next((subject.title for subject in subjects if subject.title), "")
    return CaseTable(f"speed-case-{slug(case)}", case, title, unit, said, rows)


def _row(
    timed: Timed, subject: Subject, who: Who, row: Comparison, time: Range | None, span: int, unit: str, factor: float
) -> Compared:
    own = is_reference(row)
    rated = rate(row, time)
    fit, asked = len(timed.fit(subject.key, who)), timed.bench["budget"]["restarts"]
    return Compared(
        anchor=f"speed-{slug('-'.join(subject.key))}" if span else "",
        span=span,
        label=subject.label,
        problem=subject.name,
        who=who.name,
        time="" if time is None else f"{interval(*(v * factor for v in time))} {unit}",
        ratio=interval(row.ratio, row.low, row.high),
        speed="" if own or (who.role is Role.TWIN and row.ratio is not None) else str(row.speed),
        reason="the reference" if own else "; ".join(filter(None, [row.message, row.suspect])),
        rate="" if rated is None else interval(*(v / GIGA for v in rated)),
        share="" if row.attainable is None else f"{100 * row.attainable:.2g} %",
        restarts=f"{fit} of {asked}",
        hint=tooltip(timed, subject, row),
    )
