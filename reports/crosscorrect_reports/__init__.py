"""From runs to what a person reads: frames, tables, figures, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.store import Run

__all__ = ["write"]


def write(run: Run, expectations: Path | None = None) -> list[Path]:
    """Write ``report.html``, ``report.md`` and all else that ``documents`` are into the run folder; return their paths.

    The CSV tables are written, too. ``expectations`` is the folder that the run is judged against (default: those that
    ship with crosscorrect). Each document is replaced whole or not at all, and the same run gives the same bytes.
    Raises UsageError where one cannot be written.
    """
    from crosscorrect import gate, sealed, store  # noqa: PLC0415  pandas, and all that follows, is for those who write
    from crosscorrect_reports import badge, frames, junit, markdown, page, summary  # noqa: PLC0415

    ruling = gate.rule(run, expectations)
    judged = frames.judged(run, expectations)
    documents = {
        "report.html": page.render(run, ruling, judged).encode("utf-8"),
        "report.md": markdown.render(run, ruling, judged).encode("utf-8"),
        "junit.xml": junit.render(run, ruling, judged),
        "summary.json": summary.render(run, ruling, judged).encode("utf-8"),
        "badge.svg": badge.render(ruling).encode("utf-8"),
        "badge.json": badge.endpoint(ruling).encode("utf-8"),
    }
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
