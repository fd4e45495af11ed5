"""One self-contained HTML page for a run: no network, no script; figures, grids and tables inside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from crosscorrect.model import Exit, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.causes import others
from crosscorrect_reports.commands import again
from crosscorrect_reports.examples import examples
from crosscorrect_reports.learning import lessons
from crosscorrect_reports.outcomes import ALWAYS, STYLES, headline, tally
from crosscorrect_reports.refusals import LOOPS, cards, speeches
from crosscorrect_reports.text import clean, measured, number, one_line, plural, slug

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

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


UNSAID: dict[str, Any] = {"suites": [], "arithmetic": "strict", "filter": []}
"""What ``run.json`` may leave out: a run that was broken off early has not said it yet."""

FOUND = {"option": "given by --python", "current": "this environment", "tox": "tox"}
"""How an interpreter was chosen, in words."""


@dataclass(slots=True)
class CheckCell:
    """One cell of the full table: an outcome, where it leads, and what a pointer shows."""

    outcome: str
    href: str
    hint: str
    surprise: bool


@dataclass(slots=True)
class CheckLine:
    """One problem and direction."""

    problem: str
    anchor: str
    first: bool
    label: str
    direction: str
    ratio: float | None
    tier: str
    cells: list[CheckCell | None]


@dataclass(slots=True)
class CaseCell:
    """All checks of a case in one place: the gravest outcome, how many passed, of how many."""

    outcome: str
    passed: int
    total: int
    href: str
    surprise: bool


@dataclass(slots=True)
class CaseLine:
    """One case."""

    case: str
    anchor: str
    source: str
    title: str
    note: str
    example: str
    ratio: float | None
    cells: list[CaseCell | None] = field(default_factory=list)
    lines: list[CheckLine] = field(default_factory=list)


@dataclass(slots=True)
class SuiteTable:
    """One suite: its cases, and in them its checks."""

    name: str
    title: str
    anchor: str
    cases: list[CaseLine]
    checks: int


def render(run: Run, ruling: Ruling, judged: pd.DataFrame) -> str:
    """Return the page as text. ``judged`` is ``frames.judged(run)``."""
    surprises, refusals, anchors = cards(judged)
    drawn, learned = examples(run, judged), lessons(run)
    shown = {f"{e.suite}/{e.panels[0].problems[0][0].partition('@')[0].partition('/')[2]}": e.anchor for e in drawn}
    shown.update({lesson.case: lesson.anchor for lesson in reversed(learned)})
    total = Counter(run.checks["outcome"])
    template = _environment().get_template("page.html")
    return template.render(
        run={**UNSAID, **run.info},
        ruling=ruling,
        exit=ruling.exit,
        tally=tally(run, ruling),
        headline=headline(ruling),
        ok=ruling.exit is Exit.OK,
        places=frames.places(run),
        headings=headings(run),
        totals=frames.totals(run).to_dict("records"),
        total=total,
        outcomes=[outcome.value for outcome in Outcome if outcome in ALWAYS or outcome.value in total],
        versions=frames.versions(run),
        suites=suites(run, judged, anchors, shown),
        agreement=_agreement(run),
        examples=drawn,
        lessons=learned,
        figures=_figures(run, learned),
        loops=LOOPS,
        speeches=speeches(run, judged, anchors),
        surprises=surprises,
        refusals=refusals,
        others=others(ruling),
        found=FOUND,
        commands=again(run, _interesting(judged)),
        tables=[f"{name}.csv" for name in ("checks", "problems", "training", "env")],
        style=Markup((files("crosscorrect_reports") / "templates" / "style.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
    )


def _interesting(judged: pd.DataFrame) -> str:
    """Return the problem that a reader will look into first: a surprise, else a failure, else any."""
    for rows in (judged[judged["surprise"] != ""], judged[judged["outcome"] != Outcome.PASS], judged):
        if len(rows):
            return str(rows["problem"].iloc[0])
    return ""


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crosscorrect_reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else clean(value),
    )
    environment.filters.update(number=number, measured=measured, plural=plural, slug=slug, one_line=one_line)
    environment.globals.update(
        zip=zip,
        glyphs={o.value: style.glyph for o, style in STYLES.items()},
        meanings={o.value: style.meaning for o, style in STYLES.items()},
    )
    return environment


def headings(run: Run) -> list[tuple[str, list[str]]]:
    """Return the two rows of column headings: each framework with its modes (and devices, where there are several)."""
    several = len(set(run.checks["device"])) > 1
    found: dict[str, list[str]] = {}
    for framework, mode, device in frames.places(run):
        found.setdefault(framework, []).append(f"{mode} {device}" if several else mode)
    return list(found.items())


def suites(run: Run, judged: pd.DataFrame, anchors: dict[int, str], shown: dict[str, str]) -> list[SuiteTable]:
    """Every check of the run in the order of the suites; each check is in exactly one cell."""
    rows, known, places = judged.to_dict("records"), frames.problems(run), frames.places(run)
    titles = {suite["name"]: suite["title"] for suite in run.info.get("suites", [])}
    tables: dict[str, SuiteTable] = {}
    cases: dict[tuple[str, str], CaseLine] = {}
    seen: set[str] = set()
    for (suite, case, problem, direction), numbers in frames.matrix(run).iterrows():
        own = [rows[n] for n in numbers if n >= 0]
        table = tables.setdefault(suite, SuiteTable(suite, titles.get(suite, ""), "suite-" + slug(suite), [], 0))
        if (suite, case) not in cases:
            name = f"{suite}/{case}"
            cases[suite, case] = CaseLine(
                case,
                "case-" + slug(name),
                own[0]["source"],
                own[0]["title"],
                known.get(problem, {}).get("note", ""),
                shown.get(name, ""),
                None,
            )
            table.cases.append(cases[suite, case])
        cells = [_cell(rows[n], anchors.get(int(n), "")) if n >= 0 else None for n in numbers]
        tiers = ", ".join(dict.fromkeys(row["tier"] for row in own if row["tier"]))
        label = _variant(problem) or own[0]["operation"]
        cases[suite, case].lines.append(
            CheckLine(problem, slug(problem), problem not in seen, label, direction, _largest(own), tiers, cells)
        )
        table.checks += len(own)
        seen.add(problem)
    for line in cases.values():
        line.ratio = max((r.ratio for r in line.lines if r.ratio is not None), default=None)
        line.cells = [_gathered([r.cells[i] for r in line.lines], line.anchor) for i in range(len(places))]
    return list(tables.values())


def _variant(problem: str) -> str:
    """Return the values of a problem's sweep, without their keys, which the reader sees in the id."""
    parts = problem.partition("@")[2].split(",")
    return " ".join(part.rpartition("=")[2] for part in parts if part)


def _largest(rows: list[dict[str, Any]]) -> float | None:
    known = [float(row["ratio"]) for row in rows if row["ratio"] is not None and row["ratio"] == row["ratio"]]
    return max(known, default=None)


def _cell(row: dict[str, Any], anchor: str) -> CheckCell:
    hint = row["outcome"]
    if row["outcome"] != Outcome.PASS:
        reason = f" ({row['reason']})" if row["reason"] else ""
        hint = f"{row['outcome']}{reason}: {one_line(row['message'], 160)}"
    return CheckCell(row["outcome"], anchor, hint, bool(row["surprise"]))


def _gathered(cells: list[CheckCell | None], anchor: str) -> CaseCell | None:
    asked = [cell for cell in cells if cell is not None]
    if not asked:
        return None
    worst = min(asked, key=lambda cell: (not cell.surprise, SEVERITY.index(Outcome(cell.outcome))))
    passed = sum(cell.outcome == Outcome.PASS for cell in asked)
    return CaseCell(worst.outcome, passed, len(asked), worst.href or anchor, worst.surprise)


def _agreement(run: Run) -> tuple[list[str], dict[str, dict[str, tuple[int, int]]]]:
    table: dict[str, dict[str, tuple[int, int]]] = {}
    for row in frames.agreement(run).to_dict("records"):
        table.setdefault(row["left"], {})[row["right"]] = (row["same"], row["both"])
    return list(table), table


def _figures(run: Run, learned: list[Any]) -> dict[str, Markup]:
    """Draw a figure for the first start of every training case that asks to be shown, and of all that failed."""
    from crosscorrect_reports import figures  # noqa: PLC0415  matplotlib is loaded for pages with curves only

    drawn: dict[str, Markup] = {}
    cases: set[str] = set()
    for lesson in learned:
        wanted = (lesson.show and lesson.case not in cases) or lesson.passed < lesson.total
        if wanted and any(len(curve.losses) for curve in lesson.curves):
            drawn[lesson.anchor] = figures.learning(lesson, run.info["frameworks"])
            cases.add(lesson.case)
    return drawn
