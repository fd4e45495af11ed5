"""What the command line prints after a run: a table of outcomes, the surprises, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.model import Exit, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.causes import telling
from crosscorrect_reports.frames import PLACE
from crosscorrect_reports.outcomes import STYLES, headline, tally
from crosscorrect_reports.text import encodable, one_line

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

MOST_FINDINGS = 12
"""How many causes of surprise a terminal shows; the report has them all."""

LONGEST = 170
"""How many characters of a sentence a terminal shows."""

PLAIN = ("", "eager", "cpu")
"""Framework, mode and device: where all are these, a terminal has no column for them."""


def summary(run: Run, ruling: Ruling) -> RenderableType:
    """Framework × outcome counts, the surprises, and the next step, for ``rich.console.Console.print``.

    Text of frameworks and case files is printed as it is: no markup in it is obeyed, no escape sequence gets through.
    What the console's encoding cannot write is written in ASCII.
    """
    return _Summary(run, ruling)


@dataclass(frozen=True, slots=True)
class _Summary:
    """The summary before it is known where it is printed."""

    run: Run
    ruling: Ruling

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        from rich.text import Text  # noqa: PLC0415  rich is loaded when something is printed

        run, ruling, encoding = self.run, self.ruling, console.encoding
        counts = frames.totals(run)
        used = [o for o in Outcome if counts[o.value].sum()]
        yield _table(run, counts, used, encoding)
        if used:
            yield Text("  ".join(f"{glyph(o, encoding)} {o}" for o in used), style="dim")
        outcome = Outcome.PASS if ruling.exit is Exit.OK else Outcome.FAIL
        verdict = Text(f"{glyph(outcome, encoding)} {headline(ruling)} ", style=STYLES[outcome].rich)
        verdict.append(tally(run, ruling), style="default")
        yield verdict
        told = telling(ruling, LONGEST, run)
        for cause in told[:MOST_FINDINGS]:
            yield Text(f"  {encodable(cause.line, encoding)}")
            if cause.diagnosis:
                yield Text(f"    {encodable(cause.diagnosis, encoding)}", style="italic")
        if len(told) > MOST_FINDINGS:
            yield Text(f"  and {len(told) - MOST_FINDINGS} more")
        page = run.folder / "report.html"
        place = f"report: {one_line(page)}" if page.exists() else f"run folder: {one_line(run.folder)}"
        yield Text(encodable(place, encoding), style="dim")
        if ruling.findings and len(run.checks):
            yield Text(encodable(f"next: crosscorrect explain {one_line(run.folder)} PROBLEM", encoding), style="dim")


def glyph(outcome: Outcome, encoding: str) -> str:
    """An outcome's glyph, or what stands for it where an encoding has none."""
    style = STYLES[outcome]
    return style.glyph if encodable(style.glyph, encoding) == style.glyph else style.ascii


def _table(run: Run, counts: pd.DataFrame, used: list[Outcome], encoding: str) -> RenderableType:
    """The counts, narrow enough for 80 columns: an outcome that none has, and what is plain for all, has no column."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    places = frames.places(run)
    words = [i for i, plain in enumerate(PLAIN) if any(place[i] != plain for place in places)]
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for i in words:
        table.add_column(PLACE[i], overflow="fold")  # an ellipsis is no ASCII
    for outcome in used:
        table.add_column(glyph(outcome, encoding), justify="right", no_wrap=True, overflow="crop")
    table.add_column("checks", justify="right", no_wrap=True, overflow="crop")
    for place, row in zip(places, counts.to_dict("records"), strict=True):
        numbers = [Text(str(row[o.value]), style=STYLES[o].rich if row[o.value] else "dim") for o in used]
        table.add_row(*(Text(encodable(one_line(place[i]), encoding)) for i in words), *numbers, str(row["total"]))
    return table
