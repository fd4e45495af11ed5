"""What the command line prints after a run: a table of outcomes, the surprises, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.model import Exit, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.outcomes import EXITS, STYLES, tally
from crosscorrect_reports.text import clean, one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

MOST_FINDINGS = 12
"""How many surprises a terminal shows; the report has them all."""


def summary(run: Run, ruling: Ruling) -> RenderableType:
    """Framework × outcome counts, the surprises, and the next step, for ``rich.console.Console.print``.

    Text of frameworks and case files is printed as it is: no markup in it is obeyed, no escape sequence gets through.
    """
    from rich.console import Group  # noqa: PLC0415  rich is loaded when something is printed
    from rich.text import Text  # noqa: PLC0415

    fine = ruling.exit is Exit.OK
    style = STYLES[Outcome.PASS if fine else Outcome.FAIL]
    verdict = Text(f"{style.glyph} {EXITS[ruling.exit]} ", style=style.rich)
    verdict.append(tally(ruling), style="default")
    parts: list[RenderableType] = [_table(run), verdict]
    told = list(dict.fromkeys([*ruling.findings, *ruling.missing]))
    parts += [Text(f"  {one_line(finding, 170)}") for finding in told[:MOST_FINDINGS]]
    if len(told) > MOST_FINDINGS:
        parts.append(Text(f"  and {len(told) - MOST_FINDINGS} more"))
    page = run.folder / "report.html"
    parts.append(Text(f"report: {clean(page)}" if page.exists() else f"run folder: {clean(run.folder)}", style="dim"))
    if ruling.findings and len(run.checks):
        parts.append(Text(f"next: crosscorrect explain {clean(run.folder)} PROBLEM", style="dim"))
    return Group(*parts)


def _table(run: Run) -> RenderableType:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    counts = frames.totals(run)
    used = [o for o in Outcome if counts[o.value].sum() or o in (Outcome.PASS, Outcome.FAIL)]
    table = Table(title_justify="left", header_style="bold")
    for name in ("framework", "mode", "device"):
        table.add_column(name)
    for outcome in used:
        table.add_column(f"{STYLES[outcome].glyph} {outcome}", justify="right")
    table.add_column("checks", justify="right")
    for place, row in zip(frames.places(run), counts.to_dict("records"), strict=True):
        numbers = [Text(str(row[o.value]), style=STYLES[o].rich if row[o.value] else "dim") for o in used]
        table.add_row(*(Text(one_line(word)) for word in place), *numbers, Text(str(row["total"])))
    return table
