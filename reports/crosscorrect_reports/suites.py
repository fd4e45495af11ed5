"""Every check of a run by suite, case, problem and direction: what the tables of the page and the Markdown show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.model import Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.text import one_line, slug

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

    Row = dict[str, Any]

SEVERITY = (
    Outcome.CRASH,
    Outcome.ERROR,
    Outcome.TIMEOUT,
    Outcome.FAIL,
    Outcome.MISSING,
    Outcome.UNBOUNDED,
    Outcome.MISTRUSTED,
    Outcome.UNSUPPORTED,
    Outcome.PASS,
)

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
    """One case. ``tags`` are what sets its problems apart: a level, a spelling, that they have to be refused."""

    case: str
    anchor: str
    source: str
    title: str
    note: str
    url: str
    tags: list[str]
    example: str
    ratio: float | None
    cells: list[Gathered | None] = field(default_factory=list)
    lines: list[CheckLine] = field(default_factory=list)

    @property
    def problems(self) -> int:
        """The number of its problems."""
        return sum(line.span > 0 for line in self.lines)

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
    """Every check of the run in the order of the suites; each check is in exactly one cell.

    ``anchors`` leads from the number of a row of ``judged`` to what is told of it, ``shown`` from a case
    to its example.
    """
    rows, known, places = judged.to_dict("records"), frames.problems(run), frames.places(run)
    titles = {suite["name"]: suite["title"] for suite in run.info.get("suites", [])}
    drawn = {problem["suite"] for problem in known.values() if problem["show"]}
    tables: dict[str, SuiteTable] = {}
    cases: dict[tuple[str, str], CaseLine] = {}
    heads: dict[str, CheckLine] = {}
    for (suite, case, problem, direction), numbers in zip(*_matrix(run), strict=True):
        own = [rows[n] for n in numbers if n >= 0]
        if suite not in tables:
            tables[suite] = SuiteTable(suite, titles.get(suite, ""), "suite-" + slug(suite), suite in drawn)
        table = tables[suite]
        if (suite, case) not in cases:
            cases[suite, case] = _case(own[0], known.get(problem, {}), shown)
            table.cases.append(cases[suite, case])
        cells = [_cell(rows[n], anchors.get(n, "")) if n >= 0 else None for n in numbers]
        tiers = ", ".join(dict.fromkeys(row["tier"] for row in own if row["tier"]))
        label = _variant(problem) or own[0]["operation"]
        line = CheckLine(problem, slug(problem), 0, label, direction, _largest(own), tiers, cells)
        heads.setdefault(problem, line).span += 1
        cases[suite, case].lines.append(line)
        table.checks += len(own)
        table.surprises += sum(bool(row["surprise"]) for row in own)
    of_case: dict[tuple[str, str], list[Row]] = {}
    for row in known.values():
        of_case.setdefault((row["suite"], row["case"]), []).append(row)
    for key, one in cases.items():
        one.ratio = max((line.ratio for line in one.lines if line.ratio is not None), default=None)
        one.cells = [_gathered([line.cells[i] for line in one.lines], one.anchor) for i in range(len(places))]
        one.tags = _tags(of_case.get(key, []))
    for table in tables.values():
        checks = [line.cells for case in table.cases for line in case.lines]
        table.cells = [_gathered([cells[i] for cells in checks], table.anchor) for i in range(len(places))]
    return list(tables.values())


def _matrix(run: Run) -> tuple[list[tuple[str, str, str, str]], list[list[int]]]:
    table = frames.matrix(run)
    return list(table.index), table.to_numpy().tolist()


def _case(row: Row, problem: Row, shown: dict[str, str]) -> CaseLine:
    name = f"{row['suite']}/{row['case']}"
    note, url = problem.get("note", ""), problem.get("url", "")
    example = shown.get(name, "")
    return CaseLine(row["case"], "case-" + slug(name), row["source"], row["title"], note, url, [], example, None)


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


def _largest(rows: list[Row]) -> float | None:
    known = [float(row["ratio"]) for row in rows if row["ratio"] is not None and row["ratio"] == row["ratio"]]
    return max(known, default=None)


def _cell(row: Row, anchor: str) -> CheckCell:
    hint = ""  # of a pass the mark says it all
    if row["outcome"] != Outcome.PASS:
        reason = f" ({row['reason']})" if row["reason"] else ""
        hint = f"{row['outcome']}{reason}: {one_line(row['message'], LONGEST_HINT)}"
    return CheckCell(row["outcome"], anchor, hint, bool(row["surprise"]))


def _gathered(cells: list[CheckCell | None], anchor: str) -> Gathered | None:
    asked = [cell for cell in cells if cell is not None]
    if not asked:
        return None
    worst = min(asked, key=lambda cell: (not cell.surprise, SEVERITY.index(Outcome(cell.outcome))))
    passed = sum(cell.outcome == Outcome.PASS for cell in asked)
    return Gathered(worst.outcome, passed, len(asked), worst.href or anchor, worst.surprise)
