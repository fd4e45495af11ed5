"""The command that searches for defects: random problems, what surprises shrunk to the smallest that still does."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import click

from crosscorrect.cli import options
from crosscorrect.cli.options import Choice, asking, finite
from crosscorrect.cli.terminal import hushed
from crosscorrect.problem import DTYPES

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Search for defects with random correct problems.")
@asking
@click.option(
    "--problems", "count", type=click.IntRange(1, 10**7), default=1000, show_default=True, help="How many problems."
)
@click.option("--from", "first", type=click.IntRange(0), default=0, help="The index of the first: a search goes on.")
@click.option("--seed", type=click.IntRange(0), help="Another search, other problems.  [default: 0]")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=Choice(DTYPES),
    metavar="DTYPE",
    default=("float32", "float64"),
    show_default=True,
    help="Dtypes that take turns; repeat.",
)
@click.option(
    "-k", "--problem", "only", multiple=True, metavar="ID", help="This problem again, such as hunt/7-123; repeat."
)
@click.option(
    "--time",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    callback=finite,
    metavar="SECONDS",
    help="After these no new problem begins.",
)
@click.option("--shrink/--no-shrink", default=True, show_default=True, help="Look for the smallest that still fails.")
@options.results
@options.expectations
@options.quiet
@options.as_json
def hunt(
    names: tuple[str, ...],
    pythons: dict[str, str],
    targets: dict[str, str],
    mode: str,
    devices: tuple[str, ...],
    arithmetic: str,
    count: int,
    first: int,
    seed: int | None,
    dtypes: tuple[str, ...],
    only: tuple[str, ...],
    seconds: float | None,
    shrink: bool,
    results: Path,
    expectations: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Search for defects with random correct problems; shrink what surprises to the smallest that still does.

    Refusals are counted, not reported. What is found is an ordinary case file, found.yaml in the run folder.

    \b
    crosscorrect hunt -f torch                          a thousand problems
    crosscorrect hunt -f torch --from 1000              the next thousand
    crosscorrect hunt -f torch -k hunt/0-123            one of them again
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect.cli.finds import HuntProgress, show
    from crosscorrect.expectations import check_folder
    from crosscorrect.hunt import Problems, chosen, hunt as search

    check_folder(expectations)
    seed, wanted = chosen(only, seed, dtypes)
    progress = HuntProgress(expectations, seconds, silent=hushed(quiet=quiet, as_json=as_json))
    try:
        with progress:
            hunted = search(
                Problems(seed, count, dtypes, first, wanted),
                names or None,
                modes=() if mode == "all" else (mode,),
                devices=devices,
                arithmetic=arithmetic,
                pythons=pythons,
                adapters=targets,
                seconds=math.inf if seconds is None else seconds,
                shrinking=shrink,
                expected=expectations,
                results=results,
                on_event=progress.listen,
            )
    except KeyboardInterrupt:
        if progress.hunted is not None:
            show(progress.hunted, as_json=as_json)
        raise KeyboardInterrupt("interrupted") from None
    if as_json or not quiet or hunted.exit:
        show(hunted, as_json=as_json)
    sys.exit(hunted.exit)
