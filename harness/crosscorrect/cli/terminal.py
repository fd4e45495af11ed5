"""Where commands print: a console that colours only where colour is wanted, and JSON that any parser reads."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console


def console(*, err: bool = False) -> Console:
    """A console on standard output, or on standard error: colour and moving bars on a terminal only.

    ``NO_COLOR`` and ``CLICOLOR=0`` take the colour away, ``FORCE_COLOR`` and ``CLICOLOR_FORCE`` give it to a pipe,
    where nothing moves all the same (CI sets them, and its logs keep every frame); ``TERM=dumb`` has neither.
    ``TTY_COMPATIBLE=1`` says that what reads the pipe is a terminal.
    """
    from rich.console import Console

    plain, forced = _colour(os.environ)
    stream = sys.stderr if err else sys.stdout
    terminal = {"0": False, "1": True}.get(os.environ.get("TTY_COMPATIBLE", ""), stream.isatty())
    return Console(
        stderr=err,
        force_terminal=terminal,
        no_color=plain,
        color_system="standard" if forced and not plain else "auto",
    )


def _colour(said: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether colour is not wanted, and whether it is wanted even where no terminal is; what is not wanted wins."""
    forced = bool(said.get("FORCE_COLOR")) or said.get("CLICOLOR_FORCE", "0") not in ("", "0")
    return bool(said.get("NO_COLOR")) or (said.get("CLICOLOR") == "0" and not forced), forced


def moves(shown: Console) -> bool:
    """Whether what a console shows can be drawn anew in its place."""
    return shown.is_terminal and not shown.is_dumb_terminal


def say(text: str) -> None:
    """Print text that a case file or a framework wrote, without what would act on the terminal."""
    from crosscorrect_reports.text import clean

    click.echo(clean(text))


def say_json(document: Any) -> None:
    """Print one JSON document, as every reader of JSON takes it."""
    from crosscorrect_reports.strict import dump

    click.echo(dump(document), nl=False)


def tick(*, good: bool) -> str:
    """A mark for what is right, or is not, in characters that standard output can write."""
    from crosscorrect.model import Outcome
    from crosscorrect_reports.terminal import glyph

    return glyph(Outcome.PASS if good else Outcome.FAIL, sys.stdout.encoding or "ascii")


def hushed(*, quiet: bool, as_json: bool) -> bool:
    """Whether progress is not shown: who wants silence gets it, and beside a document only a terminal has bars."""
    return quiet or (as_json and not sys.stderr.isatty())
