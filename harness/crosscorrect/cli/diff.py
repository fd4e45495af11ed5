"""The command that puts two runs beside each other: diff."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscorrect.cli import complete, options
from crosscorrect.cli.options import LATEST, RUN_FOLDER, STDOUT
from crosscorrect.cli.terminal import console, hushed, say_json
from crosscorrect.errors import UsageError
from crosscorrect.model import Exit

if TYPE_CHECKING:
    from crosscorrect.changes import Changes
    from crosscorrect.store import Run

STEPS = {"checking the seals": 1.0, "comparing": 10.0, "writing": 3.0}
"""What is done one after the other, each with about what share of the time runs of a million checks take for it."""


@click.command(short_help="What changed from one run to another.")
@click.argument("base", metavar="A", type=RUN_FOLDER, shell_complete=complete.runs)
@click.argument("folder", metavar="B", type=RUN_FOLDER, default=LATEST, shell_complete=complete.runs)
@options.expectations
@click.option(
    "--margin",
    type=click.FloatRange(min=0, max=1),
    default=0.05,
    show_default=True,
    help="What became slower or faster by less is as before.",
)
@click.option("--markdown", metavar="FILE", help="Write what changed for a pull request; - prints it and nothing else.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a page.")
@click.option("--exit-zero", is_flag=True, help="Only show: exit 0 whatever changed.")
@options.quiet
@options.as_json
def diff(
    base: Path,
    folder: Path,
    expectations: Path | None,
    margin: float,
    markdown: str | None,
    html: Path | None,
    exit_zero: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Tell what changed from run A to run B (default: the latest): verdicts, checks, bits and speeds.

    What differs between the two beside the checks, such as a framework's version, is told first.

    Exit codes: 0 nothing got worse, 1 something regressed that the expectations do not list, 3 checks vanished
    although they were asked for, 4 the runs have nothing in common, 5 only slower.

    \b
    crosscorrect diff results/OLD                   what changed from OLD to the latest run
    crosscorrect diff OLD NEW --html diff.html      as a page that needs no network
    crosscorrect diff OLD NEW --markdown -          for a comment on a pull request
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect.beside import compare
    from crosscorrect.cli.bars import Steps

    if markdown == STDOUT and as_json:
        raise click.UsageError("--markdown - and --json both print: name a file for the Markdown")
    for file in (markdown if markdown != STDOUT else None, html):  # before anything is compared
        if file is not None:
            _writable(Path(file))
    with Steps("diff", STEPS, silent=hushed(quiet=quiet, as_json=as_json)) as steps:
        steps.begin("checking the seals")
        then, now = _load(base), _load(folder)
        steps.begin("comparing")
        changes = compare(now, then, expectations, margin)
        steps.begin("writing")
        _write(changes, markdown, html)
    code = Exit.OK if exit_zero else changes.exit
    if as_json:
        from crosscorrect_reports.diff.record import record
        from crosscorrect_reports.strict import strict

        say_json({**strict(record(changes)), "exit": int(code)})
    elif markdown == STDOUT:
        _print(changes)
    elif code or not quiet:
        from crosscorrect_reports.diff.terminal import summary

        console().print(summary(changes))
        if html is not None:
            click.echo(f"page: {html}")
    sys.exit(code)


def _writable(file: Path) -> None:
    """Raise UsageError for a file that is a folder, or in a folder that is not there."""
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file in it")
    if not file.parent.is_dir():
        raise UsageError(f"{file} cannot be written: there is no folder {file.parent}; make it first")


def _load(folder: Path) -> Run:
    """A run as it was written: what is judged is held to its seal first, as for the gate."""
    from crosscorrect import sealed, store

    run = store.load(folder)
    sealed.verify(folder, finished=run.info["finished"])
    return run


def _print(changes: Changes) -> None:
    from crosscorrect_reports.diff import markdown as text

    click.echo(text.render(changes), nl=False)


def _write(changes: Changes, markdown: str | None, html: Path | None) -> None:
    """Write the files that are asked for, each whole or not at all."""
    from crosscorrect import sealed

    if markdown is not None and markdown != STDOUT:
        from crosscorrect_reports.diff import markdown as text

        sealed.replace(Path(markdown), text.render(changes).encode("utf-8"))
    if html is not None:
        from crosscorrect_reports.diff import page

        sealed.replace(html, page.render(changes, html.parent).encode("utf-8"))
