"""A report in Markdown for a pull request: the verdict, totals, surprises, properties, and rows of glyphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.model import Exit, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.causes import others
from crosscorrect_reports.commands import again
from crosscorrect_reports.outcomes import ALWAYS, STYLES, headline, tally
from crosscorrect_reports.properties import topics
from crosscorrect_reports.refusals import cards
from crosscorrect_reports.suites import suites
from crosscorrect_reports.text import code, markdown, measured, plural

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run
    from crosscorrect_reports.refusals import Card
    from crosscorrect_reports.suites import Gathered, SuiteTable

MOST_SURPRISES = 40
"""How many surprises are told one by one; a comment on a pull request has a limit of length."""


def render(run: Run, ruling: Ruling, judged: pd.DataFrame) -> str:
    """Return the report as text. ``judged`` is ``frames.judged(run)``."""
    surprises, refusals, anchors = cards(run, judged)
    mark = STYLES[Outcome.PASS if ruling.exit is Exit.OK else Outcome.FAIL].glyph
    lines = [
        f"## {mark} crosscorrect: {headline(ruling)}",
        "",
        f"{tally(run, ruling)} Exit code {ruling.exit.value}.",
        "",
        *_totals(run),
        *_surprises(surprises, others(ruling)),
    ]
    tables = suites(run, judged, anchors, {})
    lines += _suites(run, tables)
    for table in tables:
        lines += _suite(run, table)
    lines += _properties(run)
    lines += _refusals(refusals)
    lines += [
        "<details><summary>Run it again</summary>",
        "",
        *(f"- {code(line)}" for line in again(run)),
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _totals(run: Run) -> list[str]:
    table = frames.totals(run)
    used = [o for o in Outcome if table[o.value].sum() or o in ALWAYS]
    versions = frames.versions(run)
    lines = [
        _row(["framework", "mode", "device", *(f"{STYLES[o].glyph} {o}" for o in used), "checks"]),
        _row(["---", "---", "---", *("---:" for _ in used), "---:"]),
    ]
    for (framework, mode, device), row in zip(frames.places(run), table.to_dict("records"), strict=True):
        version = versions.get(framework, {}).get("version", {}).get(framework, "")
        lines.append(
            _row(
                [
                    markdown(f"{framework} {version}".strip()),
                    markdown(mode),
                    markdown(device),
                    *(str(row[o.value]) for o in used),
                    str(row["total"]),
                ]
            )
        )
    return [*lines, ""]


def _surprises(cards_: list[Card], rest: list[str]) -> list[str]:
    if not cards_ and not rest:
        return []
    lines = ["### Not as expected", ""]
    for card in cards_[:MOST_SURPRISES]:
        row = card.checks[0]
        which = f"{code(row['problem'])} {row['direction']}"
        if len(card.checks) > 1:
            which = f"{plural(len(card.checks), 'check')} ({code(card.some)})"
        reason = f" ({card.reason})" if card.reason else ""
        lines.append(
            f"- {STYLES[Outcome(card.outcome)].glyph} **{markdown(card.framework)}** {markdown(card.modes)} "
            f"{which}: {card.outcome}{reason}. {markdown(card.message, 400)}"
        )
        if card.diagnosis:
            lines[-1] += f"; diagnosis: {markdown(card.diagnosis, 300)}"
        if card.place:
            lines[-1] += f" Against {code(card.place)}: {markdown(card.why, 200)}"
    if len(cards_) > MOST_SURPRISES:
        lines.append(f"- and {len(cards_) - MOST_SURPRISES} more, in report.html")
    return [*lines, *(f"- {markdown(other, 400)}" for other in rest), ""]


def _heads(run: Run) -> list[str]:
    return [markdown(f"{framework} {mode}") for framework, mode, _ in frames.places(run)]


def _cell(cell: Gathered | None, *, total: bool = False) -> str:
    """A glyph, bold where something is not as expected, and how many passed where not all did (or ``total``)."""
    if cell is None:
        return ""
    glyph = STYLES[Outcome(cell.outcome)].glyph
    count = f" {cell.passed}/{cell.total}" if cell.passed != cell.total else f" {cell.total}" if total else ""
    return f"{f'**{glyph}**' if cell.surprise else glyph}{count}"


def _suites(run: Run, tables: list[SuiteTable]) -> list[str]:
    if not tables:
        return []
    heads = _heads(run)
    rows = (
        [markdown(table.name), str(len(table.cases)), *(_cell(cell, total=True) for cell in table.cells)]
        for table in tables
    )
    return [
        _row(["suite", "cases", *heads]),
        _row(["---", "---:", *(":-:" for _ in heads)]),
        *(_row(row) for row in rows),
        "",
    ]


def _suite(run: Run, table: SuiteTable) -> list[str]:
    """The cases of a suite, but only those in which something does not pass, unless it is one that shows examples."""
    told = [case for case in table.cases if table.shown or not case.plain]
    if not told:
        return []
    heads = _heads(run)
    counts = f"{plural(len(table.cases), 'case')}, {plural(table.checks, 'check')}"
    lines = [
        f"<details><summary>{markdown(table.name)}: {counts}</summary>",
        "",
        _row(["case", "source", *heads, "error / bound"]),
        _row(["---", "---", *(":-:" for _ in heads), "---:"]),
    ]
    for case in told:
        cells = [_cell(cell) for cell in case.cells]
        lines.append(_row([markdown(case.title or case.case), markdown(case.source), *cells, measured(case.ratio)]))
    rest = len(table.cases) - len(told)
    return [*lines, "", *([f"{plural(rest, 'other case')} passed everywhere.", ""] if rest else []), "</details>", ""]


def _properties(run: Run) -> list[str]:
    """The properties in which frameworks, or checks of one, differ; of the others the number."""
    found = topics(run)
    told = [topic for topic in found if topic.differs]
    if not found:
        return []
    heads, alike = _heads(run), len(found) - len(told)
    lines = ["<details><summary>Properties: where frameworks legitimately differ</summary>", ""]
    if told:
        lines += [_row(["property", *heads, "for example"]), _row(["---", *("---" for _ in heads), "---"])]
    for topic in told:
        cells = [", ".join(f"{markdown(way.way)} {way.count}" for way in cell) for cell in topic.cells]
        lines.append(_row([markdown(topic.name), *cells, code(topic.example)]))
    counted = "1 property is" if alike == 1 else f"{alike} properties are"
    return [*lines, "", *([f"{counted} the same in every check.", ""] if alike else []), "</details>", ""]


def _refusals(cards_: list[Card]) -> list[str]:
    if not cards_:
        return []
    heading = f"<details><summary>Expected refusals and failures: {len(cards_)}</summary>"
    return [heading, "", *(_refusal(card) for card in cards_), "", "</details>", ""]


def _refusal(card: Card) -> str:
    glyph, count = STYLES[Outcome(card.outcome)].glyph, plural(len(card.checks), "check")
    problem, said = code(card.checks[0]["problem"]), code(card.message, 200) if card.message else ""
    why = markdown(card.why, 300)
    return f"- {glyph} **{markdown(card.framework)}**, {count} such as {problem}: {why} {said}".rstrip()
