"""From runs to what a person reads: frames, tables, figures, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crosscorrect.store import Run

__all__ = ["STEPS", "write"]

STEPS = {"judging": 21.0, "report.html": 52.0, "report.md": 6.0, "junit.xml": 16.0, "tables": 5.0}
"""What is written one after the other, each with what percentage of the time it takes for a hundred thousand checks."""


def write(run: Run, expectations: Path | None = None, begin: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Write the page, all other documents and the CSV tables into the run folder; return their paths.

    ``expectations`` is the folder that the run is judged against (default: those that ship with crosscorrect). Each
    document is replaced whole or not at all, and the same run gives the same bytes. ``begin`` hears each of ``STEPS``
    when it begins. Raises UsageError where one cannot be written.
    """
    from crosscorrect import gate, sealed, store  # noqa: PLC0415  pandas, and all that follows, is for those who write
    from crosscorrect_reports import badge, frames, junit, markdown, page, summary  # noqa: PLC0415

    begin("judging")
    ruling = gate.rule(run, expectations)
    judged = frames.judged(run, expectations)
    makers: dict[str, Callable[[], str | bytes]] = {
        "report.html": lambda: page.render(run, ruling, judged),
        "report.md": lambda: markdown.render(run, ruling, judged),
        "junit.xml": lambda: junit.render(run, ruling, judged),
        "summary.json": lambda: summary.render(run, ruling, judged),
        "badge.svg": lambda: badge.render(ruling),
        "badge.json": lambda: badge.endpoint(ruling),
    }
    documents: dict[str, bytes] = {}
    for name, made in makers.items():
        if name in STEPS:
            begin(name)
        content = made()
        documents[name] = content.encode("utf-8") if isinstance(content, str) else content
    begin("tables")
    try:
        written = [_replace(run.folder / name, content) for name, content in documents.items()]
        written += store.write_csv(run)
        if run.info["finished"]:
            sealed.write(run.folder, written)
    except OSError as error:
        place = error.filename2 or error.filename or run.folder
        raise UsageError(f"the report cannot be written: {place}: {error.strerror or error}") from None
    return written


def _replace(target: Path, content: bytes) -> Path:
    """Write a file whole or not at all; what could not be finished does not stay."""
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_bytes(content)
        return part.replace(target)
    finally:
        part.unlink(missing_ok=True)
