"""From runs to what a person reads: frames, tables, figures, pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.store import Run

__all__ = ["write"]


def write(run: Run, expectations: Path | None = None) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``junit.xml`` and the CSV tables into the run folder; return their paths.

    ``expectations`` is the folder that the run is judged against (default: those that ship with crosscorrect). Each
    file is replaced whole or not at all, and the same run gives the same bytes.
    """
    from crosscorrect import gate, store  # noqa: PLC0415  pandas, and all that follows, is for those who write
    from crosscorrect_reports import frames, junit, markdown, page  # noqa: PLC0415

    ruling = gate.rule(run, expectations)
    judged = frames.judged(run, expectations)
    documents = {
        "report.html": page.render(run, ruling, judged).encode("utf-8"),
        "report.md": markdown.render(run, ruling, judged).encode("utf-8"),
        "junit.xml": junit.render(run, ruling, judged),
    }
    written = []
    for name, content in documents.items():
        part = run.folder / f".{name}.part"
        part.write_bytes(content)
        written.append(part.replace(run.folder / name))
    return [*written, *store.write_csv(run)]
