"""Every check of a run by suite, case, problem and direction: what the tables of the page and the Markdown show.

All is counted in one ``Sheet``; only the lines that are listed become objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from crosscorrect.model import Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.sheet import Sheet
from crosscorrect_reports.text import one_line, slug

if TYPE_CHECKING:
    from crosscorrect.store import Run

    Row = dict[str, Any]

MOST_LINES = 20
"""How many lines of a case are listed in a run of more than ``frames.MANY`` checks."""

LONGEST_HINT = 100
"""How many characters of a message a cell shows to a pointer; the card that it leads to has all of them."""


@dataclass(slots=True)
class CheckCell:
    """One cell of the full table: an outcome, where it leads, and what a pointer shows."""

    outcome: str
    href: str
    hint: str
    surprise: bool


@dataclass(slots=True)
class CheckLine:
    """One problem and direction; ``span`` is the number of lines of the problem on its first, and 0 on the others."""

    problem: str
    anchor: str
    span: int
    label: str
    direction: str
    ratio: float | None
    tier: str
    cells: list[CheckCell | None]


@dataclass(slots=True)
class Gathered:
    """All checks of a case or a suite in one place: the gravest outcome, how many passed, of how many.

    ``surprise`` is whether one of them is not as expected; then the outcome is the gravest of those.
    """

    outcome: str
    passed: int
    total: int
    href: str
    surprise: bool


@dataclass(slots=True)
class CaseLine:
    """One case. ``tags`` are what sets its problems apart: a level, a spelling, that they have to be refused.

    ``lines`` are those of its problems and directions that are listed, ``unlisted`` the problems without one. Of the
    lines that are not listed ``passed`` passed as expected everywhere, and ``others`` did not.
    """

    case: str
    anchor: str
    source: str
    title: str
    note: str
    url: str
    tags: list[str]
    example: str
    ratio: float | None
    problems: int
    cells: list[Gathered | None] = field(default_factory=list)
    lines: list[CheckLine] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    passed: int = 0
    others: int = 0

    @property
    def surprise(self) -> bool:
        """Whether a check of it is not as expected."""
        return any(cell is not None and cell.surprise for cell in self.cells)

    @property
    def plain(self) -> bool:
        """Whether every check of it passes as expected."""
        return all(cell is None or (cell.passed == cell.total and not cell.surprise) for cell in self.cells)


@dataclass(slots=True)
class SuiteTable:
    """One suite: its cases, and in them its checks. ``shown`` is whether a case of it asks to be drawn."""

    name: str
    title: str
    anchor: str
    shown: bool
    cases: list[CaseLine] = field(default_factory=list)
    cells: list[Gathered | None] = field(default_factory=list)
    checks: int = 0
    surprises: int = 0

    @property
    def open(self) -> bool:
        """Whether a reader sees its cases at once: those of the chapter, and where something is not as expected."""
        return self.shown or self.surprises > 0

    @property
    def problems(self) -> int:
        """The number of its problems."""
        return sum(case.problems for case in self.cases)


def suites(run: Run, judged: pd.DataFrame, anchors: dict[int, str], shown: dict[str, str]) -> list[SuiteTable]:
    """Every check of the run in the order of the suites; each check is counted in exactly one cell.

    ``anchors`` leads from the number of a row of ``judged`` to what is told of it, ``shown`` from a case
    to its example. Of more than ``frames.MANY`` checks only lines are listed in which one did not pass as expected, at
    most ``MOST_LINES`` of a case, first those with a surprise.
    """
    if not len(judged):
        return []
    known, titles = frames.problems(run), {suite["name"]: suite["title"] for suite in run.info.get("suites", [])}
    drawn = {problem["suite"] for problem in known.values() if problem["show"]}
    sheet = Sheet(run, judged)
    tables: dict[str, SuiteTable] = {}
    cases = _cases(sheet, known, shown)
    for (suite, _), case in cases.items():
        if suite not in tables:
            tables[suite] = SuiteTable(suite, titles.get(suite, ""), "suite-" + slug(suite), suite in drawn)
        tables[suite].cases.append(case)
    _gather(sheet, sheet.lines.groupby(["suite", "case"], sort=False), list(cases.values()), anchors)
    by_suite = sheet.lines.groupby("suite", sort=False)
    _gather(sheet, by_suite, list(tables.values()), anchors)
    for table, (_, own) in zip(tables.values(), by_suite, strict=True):
        table.checks, table.surprises = int(own["checks"].sum()), int(own["surprises"].sum())
    _list(sheet, cases, anchors)
    return list(tables.values())


def spots(tables: list[SuiteTable]) -> dict[str, str]:
    """Return where each problem is on the page: its line, or its case where it has none."""
    cases = [case for table in tables for case in table.cases]
    listed = {line.problem: line.anchor for case in cases for line in case.lines if line.span}
    return {problem: case.anchor for case in cases for problem in case.unlisted} | listed


def _cases(sheet: Sheet, known: dict[str, Row], shown: dict[str, str]) -> dict[tuple[str, str], CaseLine]:
    """The cases in their order, without their cells and lines."""
    lines = sheet.lines
    first = lines[~lines.duplicated(["suite", "case"])]
    of_case: dict[tuple[str, str], list[Row]] = {}
    for row in known.values():
        of_case.setdefault((row["suite"], row["case"]), []).append(row)
    numbers = [next(n for n in sheet.cells[line] if n >= 0) for line in first.index]
    rows = frames.records(sheet.judged[["source", "title"]], numbers)
    grouped = lines.groupby(["suite", "case"], sort=False)
    counts, ratios = grouped["problem"].nunique(), grouped["ratio"].max()
    made = {}
    for key, problem, number in zip(counts.index, first["problem"], numbers, strict=True):
        name, row, about = "/".join(key), rows[number], known.get(problem, {})
        made[key] = CaseLine(
            case=key[1],
            anchor="case-" + slug(name),
            source=row["source"],
            title=row["title"],
            note=about.get("note", ""),
            url=about.get("url", ""),
            tags=_tags(of_case.get(key, [])),
            example=shown.get(name, ""),
            ratio=_known(ratios[key]),
            problems=int(counts[key]),
        )
    return made


def _gather(sheet: Sheet, groups: Any, heads: list[CaseLine] | list[SuiteTable], anchors: dict[int, str]) -> None:
    """Give each case or suite a cell for each place: the gravest of its checks there, the first of those."""
    for head, found in zip(heads, sheet.gathered(groups), strict=True):
        for cell in found:
            if cell is None:
                head.cells.append(None)
            else:
                href = anchors.get(cell.check, "") or head.anchor
                head.cells.append(Gathered(cell.outcome, cell.passed, cell.total, href, cell.surprise))


def _listed(sheet: Sheet) -> pd.Series[bool]:
    """Whether each line is listed."""
    lines = sheet.lines
    if len(sheet.judged) <= frames.MANY:
        return pd.Series(data=True, index=lines.index)
    told = lines[~lines["plain"]]
    first = told.assign(calm=told["surprises"] == 0).sort_values("calm", kind="stable")
    some = first.groupby(["suite", "case"], sort=False).head(MOST_LINES).index
    return pd.Series(lines.index.isin(some), index=lines.index)


def _list(sheet: Sheet, cases: dict[tuple[str, str], CaseLine], anchors: dict[int, str]) -> None:
    """Give each case its lines, or say what is not listed."""
    listed = _listed(sheet)
    cells = sheet.cells[listed]
    columns = sheet.judged[["operation", "tier", "outcome", "reason", "message", "surprise"]]
    rows = frames.records(columns, cells[cells >= 0])
    spans: dict[str, CheckLine] = {}
    lines = sheet.lines[listed]
    for told, numbers in zip(lines.itertuples(index=False), cells.tolist(), strict=True):
        own = [rows[n] for n in numbers if n >= 0]
        line = CheckLine(
            problem=told.problem,
            anchor=slug(told.problem),
            span=0,
            label=_variant(told.problem) or own[0]["operation"],
            direction=told.direction,
            ratio=_known(told.ratio),
            tier=", ".join(dict.fromkeys(row["tier"] for row in own if row["tier"])),
            cells=[_cell(rows[n], anchors.get(n, "")) if n >= 0 else None for n in numbers],
        )
        spans.setdefault(told.problem, line).span += 1
        cases[told.suite, told.case].lines.append(line)
    rest = sheet.lines[~listed]
    for key, left in rest.groupby(["suite", "case"], sort=False):
        case = cases[key]
        case.passed, case.others = int(left["plain"].sum()), int((~left["plain"]).sum())
        case.unlisted = [problem for problem in left["problem"].unique() if problem not in spans]


def _known(ratio: float) -> float | None:
    return None if ratio != ratio else float(ratio)  # noqa: PLR0124  a missing number is NaN


def _tags(problems: list[Row]) -> list[str]:
    """Return what all problems of a case share that is not the plain way: their level, spelling, being wrong."""
    tags = [
        values.pop()
        for name, plain in (("level", "ci"), ("spelling", "native"))
        if len(values := {problem[name] or plain for problem in problems}) == 1 and values != {plain}
    ]
    return tags + (["has to be refused"] if problems and all(problem["invalid"] for problem in problems) else [])


def _variant(problem: str) -> str:
    """Return the values of a problem's sweep, without their keys, which the reader sees in the id."""
    parts = problem.partition("@")[2].split(",")
    return " ".join(part.rpartition("=")[2] for part in parts if part)


def _cell(row: Row, anchor: str) -> CheckCell:
    hint = ""  # of a pass the mark says it all
    if row["outcome"] != Outcome.PASS:
        reason = f" ({row['reason']})" if row["reason"] else ""
        hint = f"{row['outcome']}{reason}: {one_line(row['message'], LONGEST_HINT)}"
    return CheckCell(row["outcome"], anchor, hint, bool(row["surprise"]))
