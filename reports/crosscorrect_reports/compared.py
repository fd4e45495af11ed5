"""The table of every comparison: time, ratio and verdict, how fast that is, and what would decide what is open."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.speed.model import Role, Speed
from crosscorrect_reports.forest import tooltip
from crosscorrect_reports.roofs import GIGA, rate
from crosscorrect_reports.speeds import interval, is_reference, unit_of
from crosscorrect_reports.text import slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.speed.cold import Range
    from crosscorrect.speed.model import Comparison, Who
    from crosscorrect_reports.timed import Subject, Timed

LEAST = 0.01
"""Below so many per cent of the roofline nothing is told: such a call does something else than multiply."""


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
    """The comparisons of a case, their times in one ``unit``, how fast that is in multiples of ``rate``."""

    anchor: str
    case: str
    title: str
    unit: str
    rate: str
    counts: str
    rows: list[Compared]


def compared(timed: Timed) -> list[CaseTable]:
    """Every comparison and the reference's own times, by case."""
    found = [_case(timed, case, subjects) for case, subjects in timed.cases().items()]
    return [table for table in found if table.rows]


def _case(timed: Timed, case: str, subjects: Sequence[Subject]) -> CaseTable:
    told = [
        (subject, who, timed.told[subject.key, who])
        for subject in subjects
        for who in (timed.reference, *(w for w in timed.arms if w != timed.reference), timed.twin)
        if (subject.key, who) in timed.told
    ]
    times = {(s.key, who): timed.seconds(s.key, who) for s, who, _ in told}
    unit, factor = unit_of([time.median for time in times.values() if time is not None])
    rates = {(s.key, who): rate(row, times[s.key, who]) for s, who, row in told}
    name, size = _multiple([found.median for found in rates.values() if found is not None])
    spans = Counter(subject.key for subject, _, _ in told)
    rows = []
    for subject, who, row in told:
        span = spans.pop(subject.key, 0)
        time, rated = times[subject.key, who], rates[subject.key, who]
        texts = ("" if time is None else f"{interval(*(v * factor for v in time))} {unit}", _text(rated, size))
        rows.append(_row(timed, subject, who, row, span, texts, _share(row, rated)))
    counts = Counter(row.speed for _, who, row in told if who.role is Role.ARM and who != timed.reference)
    said = ", ".join(f"{counts[speed]} {speed}" for speed in Speed if counts[speed])
    title = next((subject.title for subject in subjects if subject.title), "")
    return CaseTable(f"speed-case-{slug(case)}", case, title, unit, name, said, rows)


def _multiple(rates: Sequence[float]) -> tuple[str, float]:
    """The multiple that suits several rates together, and how many it is."""
    middle = math.sqrt(min(rates) * max(rates)) if rates else GIGA
    return next(((name, size) for name, size in (("G", 1e9), ("M", 1e6)) if middle >= size), ("k", 1e3))


def _text(found: Range | None, size: float) -> str:
    return "" if found is None else interval(*(value / size for value in found))


def _share(row: Comparison, rated: Range | None) -> str:
    """The share of what is attainable, in per cent, as uncertain as the rate is: two digits."""
    if row.attainable is None or rated is None:
        return ""
    if 100 * row.attainable < LEAST:
        return f"< {LEAST:g} %"
    share, least, most = (f"{100 * row.attainable * value / rated.median:#.2g}".rstrip(".") for value in rated)
    return f"{share} [{least}, {most}] %"


def _row(
    timed: Timed, subject: Subject, who: Who, row: Comparison, span: int, texts: tuple[str, str], share: str
) -> Compared:
    own, is_control = is_reference(row), who.role is Role.TWIN and row.ratio is not None
    fit, asked = len(timed.fit(subject.key, who)), timed.bench["budget"]["restarts"]
    reason = "the reference" if own else "; ".join(filter(None, [row.message, row.suspect]))
    return Compared(
        anchor=f"speed-{slug('-'.join(subject.key))}" if span else "",
        span=span,
        label=subject.label,
        problem=subject.name,
        who=who.name,
        time=texts[0],
        ratio=interval(row.ratio, row.low, row.high),
        speed="" if own or is_control else str(row.speed),
        reason="the same again, as a control" if is_control else reason,
        rate=texts[1],
        share=share,
        restarts=f"{fit} of {asked}",
        hint=tooltip(timed, subject, row),
    )
