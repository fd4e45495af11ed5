"""A report in Markdown for a pull request: the verdict, totals, surprises, and one row of glyphs per case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.model import Exit, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.causes import others
from crosscorrect_reports.commands import again
from crosscorrect_reports.outcomes import ALWAYS, STYLES, headline, tally
from crosscorrect_reports.page import suites
from crosscorrect_reports.refusals import cards
from crosscorrect_reports.text import code, markdown, measured, plural

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run
    from crosscorrect_reports.page import SuiteTable
    from crosscorrect_reports.refusals import Card

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
    for table in suites(run, judged, anchors, {}):
        lines += _suite(run, table)
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
        if card.place:
            lines[-1] += f" Against {code(card.place)}: {markdown(card.why, 200)}"
    if len(cards_) > MOST_SURPRISES:
        lines.append(f"- and {len(cards_) - MOST_SURPRISES} more, in report.html")
    return [*lines, *(f"- {markdown(other, 400)}" for other in rest), ""]


def _suite(run: Run, table: SuiteTable) -> list[str]:
    counts = f"{plural(len(table.cases), 'case')}, {plural(table.checks, 'check')}"
    heads = [f"{framework} {mode}" for framework, mode, _ in frames.places(run)]
    lines = [
        f"<details><summary>{markdown(table.name)}: {counts}</summary>",
        "",
        _row(["case", "source", *(markdown(head) for head in heads), "error / bound"]),
        _row(["---", "---", *(":-:" for _ in heads), "---:"]),
    ]
    for case in table.cases:
        cells = []
        for cell in case.cells:
            count = "" if cell is None or cell.passed == cell.total else f" {cell.passed}/{cell.total}"
            glyph = "" if cell is None else STYLES[Outcome(cell.outcome)].glyph
            cells.append(f"**{glyph}**{count}" if cell is not None and cell.surprise else f"{glyph}{count}")
        lines.append(_row([markdown(case.title or case.case), markdown(case.source), *cells, measured(case.ratio)]))
    return [*lines, "", "</details>", ""]


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
