"""What GitHub Actions takes from a step beside its exit code: annotations, and a summary in Markdown."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

LARGEST = 2**20 - 2**14
"""How many bytes a step's summary may have, less a little for what else the step says."""


@contextmanager
def inert(*, wanted: bool) -> Iterator[None]:
    """What is printed inside is obeyed by no runner: a framework's message, wrapped, may look like a command."""
    token = secrets.token_hex(16)
    if wanted:
        click.echo(f"::stop-commands::{token}")
    try:
        yield
    finally:
        if wanted:
            click.echo(f"::{token}::")


def annotate(run: Run, ruling: Ruling, expectations: Path | None, slower: Sequence[str]) -> None:
    """Print the annotations of a run; files are those of the checkout, else of the current folder."""
    from crosscorrect.expectations import shipped_folder
    from crosscorrect_reports import frames
    from crosscorrect_reports.annotate import commands

    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".")
    folder = expectations or shipped_folder()
    for line in commands(run, ruling, frames.judged(run, expectations), root, folder, slower):
        click.echo(line)


def add_summary(run: Run, ruling: Ruling, expectations: Path | None) -> None:
    """Add the Markdown of a run to the summary of the step; outside GitHub Actions, say that there is none."""
    from crosscorrect_reports import frames, markdown
    from crosscorrect_reports.outcomes import headline, tally

    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        click.echo("no step summary: GITHUB_STEP_SUMMARY is not set", err=True)
        return
    text = markdown.render(run, ruling, frames.judged(run, expectations))
    if len(text.encode()) > LARGEST:
        lines = (
            f"## crosscorrect: {headline(ruling)}",
            tally(run, ruling),
            "All of it, too long here, is `report.md`.",
        )
        text = "\n\n".join(lines) + "\n"
    with Path(target).open("a", encoding="utf-8") as stream:
        stream.write(text)
