"""One self-contained HTML page for a run: no network; figures, grids, tables, its data and one script inside it."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from crosscorrect.model import Exit, Outcome
from crosscorrect.tables import TABLES, TIMED
from crosscorrect_reports import figures, frames
from crosscorrect_reports.causes import others
from crosscorrect_reports.commands import again
from crosscorrect_reports.examples import examples
from crosscorrect_reports.heat import BANDS, MEANINGS, heat
from crosscorrect_reports.learning import lessons
from crosscorrect_reports.outcomes import ALWAYS, STYLES, headline, tally
from crosscorrect_reports.payload import payload
from crosscorrect_reports.properties import topics
from crosscorrect_reports.refusals import LOOPS, MOST_LISTED, by_cause, cards, speeches
from crosscorrect_reports.scatter import errors
from crosscorrect_reports.sheet import SEVERITY
from crosscorrect_reports.speed_page import speed_section
from crosscorrect_reports.suites import spots, suites
from crosscorrect_reports.support import support
from crosscorrect_reports.text import clean, measured, number, one_line, plural, slug, web_url

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

UNSAID: dict[str, Any] = {"suites": [], "arithmetic": "strict", "filter": [], "level": "", "seed": 0}
"""What ``run.json`` may leave out: a run that was broken off early has not said it yet."""

MOST_EVENTS = 200
"""So many events a page tells; the table has all."""

FOUND = {"option": "given by --python", "current": "this environment", "tox": "tox"}
"""How an interpreter was chosen, in words."""


def render(run: Run, ruling: Ruling, judged: pd.DataFrame) -> str:
    """Return the page as text. ``judged`` is ``frames.judged(run)``."""
    surprises, refusals, anchors = cards(run, judged)
    drawn, learned = examples(run, judged), lessons(run)
    shown = {f"{e.suite}/{e.panels[0].problems[0][0].partition('@')[0].partition('/')[2]}": e.anchor for e in drawn}
    shown.update({lesson.case: lesson.anchor for lesson in reversed(learned)})
    total = Counter(run.checks["outcome"].value_counts().to_dict())
    outcomes = [outcome.value for outcome in Outcome if outcome in ALWAYS or outcome.value in total]
    tables = suites(run, judged, anchors, shown)
    found = spots(tables)
    template = environment().get_template("page.html")
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
        outcomes=outcomes,
        heat=heat(run, judged),
        severity=[outcome.value for outcome in SEVERITY],
        labels=[(name, word) for name, words in headings(run) for word in words],
        heat_legend=[(mark, meaning) for (_, mark), meaning in zip(BANDS, MEANINGS, strict=True)],
        heat_outcomes=[name for name in outcomes if name != Outcome.PASS],
        scatter=errors(run),
        features=support(run),
        events=run.events.head(MOST_EVENTS).to_dict("records"),
        event_columns=list(run.events.columns),
        event_total=len(run.events),
        payload=payload(run, judged),
        versions=frames.versions(run),
        topics=topics(run),
        suites=tables,
        spot=lambda problem: found.get(problem, "cases"),
        many=len(judged) > frames.MANY,
        speed=speed_section(run),
        agreement=_agreement(run),
        examples=drawn,
        lessons=learned,
        figures=_figures(run, learned),
        loops=LOOPS,
        listed=MOST_LISTED,
        speeches=speeches(run, judged, anchors),
        surprises=surprises,
        causes=by_cause(surprises),
        refusals=refusals,
        others=others(ruling),
        found=FOUND,
        commands=again(run, _interesting(judged)),
        tables=[f"{name}.csv" for name in TABLES[:-1] if name not in TIMED or "bench" in run.info],
        style=own("templates/style.css") + own("templates/speed.css"),
        script=_script(),
        script_hash=_hash(_script()),
    )


@cache
def own(name: str) -> Markup:
    """Return a text of ours that stands in the page as it is."""
    return Markup((files("crosscorrect_reports") / name).read_text(encoding="utf-8"))  # noqa: S704  our own file


@cache
def _script() -> Markup:
    """Return the page's script, all its parts in the order of their names."""
    parts = sorted(part.name for part in (files("crosscorrect_reports") / "script").iterdir())
    return Markup("").join(own(f"script/{part}") for part in parts)


def _hash(script: str) -> str:
    """Return what lets this script run and no other, in the words of Content Security Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _interesting(judged: pd.DataFrame) -> str:
    """Return the problem that a reader will look into first: a surprise, else a failure, else any."""
    for rows in (judged[judged["surprise"] != ""], judged[judged["outcome"] != Outcome.PASS], judged):
        if len(rows):
            return str(rows["problem"].iloc[0])
    return ""


def environment() -> jinja2.Environment:
    """Return what renders our templates: all text escaped and seen, no name left undefined."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("crosscorrect_reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else clean(value),
    )
    made.filters.update(number=number, measured=measured, plural=plural, slug=slug, one_line=one_line, web_url=web_url)
    made.globals.update(
        zip=zip,
        glyphs={o.value: style.glyph for o, style in STYLES.items()},
        meanings={o.value: style.meaning for o, style in STYLES.items()},
    )
    return made


def headings(run: Run) -> list[tuple[str, list[str]]]:
    """Return the two rows of column headings: each framework with its modes (and devices, where there are several)."""
    several = len(run.checks["device"].unique()) > 1
    found: dict[str, list[str]] = {}
    for framework, mode, device in frames.places(run):
        found.setdefault(framework, []).append(f"{mode} {device}" if several else mode)
    return list(found.items())


def _agreement(run: Run) -> tuple[list[str], dict[str, dict[str, tuple[int, int]]]]:
    table: dict[str, dict[str, tuple[int, int]]] = {}
    for row in frames.agreement(run).to_dict("records"):
        table.setdefault(row["left"], {})[row["right"]] = (row["same"], row["both"])
    return list(table), table


def _figures(run: Run, learned: list[Any]) -> dict[str, Markup]:
    """Draw a figure for the first start of every training case that asks to be shown, and of all that failed."""
    drawn: dict[str, Markup] = {}
    cases: set[str] = set()
    for lesson in learned:
        wanted = (lesson.show and lesson.case not in cases) or lesson.passed < lesson.total
        if wanted and any(len(curve.losses) for curve in lesson.curves):
            drawn[lesson.anchor] = figures.learning(lesson, run.info["frameworks"])
            cases.add(lesson.case)
    return drawn
