"""The commands that run, judge and report: run, report, gate, merge."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscorrect.cli.options import asking, finite, part
from crosscorrect.problem import LEVELS

if TYPE_CHECKING:
    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

RESULTS = click.Path(file_okay=False, path_type=Path)
RUN_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("suites", nargs=-1, metavar="[SUITE]...")
@asking
@click.option(
    "-k", "--problem", "only", multiple=True, metavar="PATTERN", help="Only problems whose id matches; repeat."
)
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True, max=86400),
    callback=finite,
    metavar="SECONDS",
    help="Time limit of one call, in place of the cases' own.",
)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="ci",
    show_default=True,
    help="How much is asked: seconds, minutes, a night.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Other data of the same kind in every fill.")
@click.option("--shard", callback=part, metavar="I/N", help="Only part I of N of the problems; merge joins the parts.")
@click.option("--results", type=RESULTS, default=Path("results"), show_default=True, help="Where run folders go.")
@click.option(
    "--expectations", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of your own."
)
@click.option("--report/--no-report", "with_report", default=True, show_default=True, help="Write the report too.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is not as expected.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def run(
    suites: tuple[str, ...],
    names: tuple[str, ...],
    pythons: dict[str, str],
    targets: dict[str, str],
    mode: str,
    devices: tuple[str, ...],
    arithmetic: str,
    only: tuple[str, ...],
    limit: float | None,
    level: str,
    seed: int,
    shard: tuple[int, int] | None,
    results: Path,
    expectations: Path | None,
    with_report: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run suites of cases through frameworks and judge every result.

    SUITE is the name of a shipped suite or a path to a YAML file; the default is all shipped suites.

    \b
    crosscorrect run                                    everything, in every framework there is here
    crosscorrect run chapter -f torch                   one suite, one framework
    crosscorrect run my.yaml -f jax --python jax=../venv/bin/python
    crosscorrect run -f torch --shard 2/8               the second of eight parts that cost about the same
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect import api
    from crosscorrect.cli.progress import Progress
    from crosscorrect.expectations import check_folder
    from crosscorrect.gate import rule

    check_folder(expectations)  # a defect there is told before anything runs
    progress = Progress(expectations, silent=quiet or as_json)
    try:
        with progress:
            finished = api.run(
                suites,
                names or None,
                modes=() if mode == "all" else (mode,),
                devices=devices,
                arithmetic=arithmetic,
                pythons=pythons,
                adapters=targets,
                only=only,
                limit=limit,
                level=level,
                seed=seed,
                shard=shard,
                results=results,
                on_event=progress.hear,
            )
    except KeyboardInterrupt:
        folder = (results / "latest").resolve()
        said = f"; what was judged so far is in {folder}" if progress.begun else ""
        raise KeyboardInterrupt(f"interrupted{said}") from None
    ruling = rule(finished, expectations)
    _tell(finished, ruling, quiet=quiet, as_json=as_json)
    if with_report:  # after the verdict is on the screen: drawing takes a few seconds
        paths = _write_report(finished, expectations)
        if not (quiet or as_json):
            click.echo(f"report: {paths[0]}")
    sys.exit(ruling.exit)


@click.command()
@click.argument("folder", metavar="RUN", type=RUN_FOLDER, default=Path("results/latest"))
@click.option(
    "--expectations", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of your own."
)
def report(folder: Path, expectations: Path | None) -> None:
    """Write report.html, report.md, junit.xml and CSV tables into a run folder (default: the latest)."""
    from crosscorrect import store

    for path in _write_report(store.load(folder), expectations):
        click.echo(str(path))


@click.command()
@click.argument("folder", metavar="RUN", type=RUN_FOLDER, default=Path("results/latest"))
@click.option(
    "--expectations", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of your own."
)
@click.option("--require", default="", metavar="NAMES", help="Frameworks that must be in the run, separated by commas.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is not as expected.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def gate(folder: Path, expectations: Path | None, require: str, quiet: bool, as_json: bool) -> None:
    """Judge a run against the committed expectations, strictly both ways; the exit code is the answer."""
    from crosscorrect import store
    from crosscorrect.gate import rule

    finished = store.load(folder)
    ruling = rule(finished, expectations)
    for name in sorted({n.strip() for n in require.split(",") if n.strip()} - set(finished.info["frameworks"])):
        ruling.missing.append(name)
        ruling.findings.append(f"{name}: required, and not in the run")
    _tell(finished, ruling, quiet=quiet, as_json=as_json)
    sys.exit(ruling.exit)


@click.command()
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=RUN_FOLDER)
@click.option("--require", default="", metavar="NAMES", help="Frameworks that must be there, separated by commas.")
@click.option("--results", type=RESULTS, default=Path("results"), show_default=True, help="Where the merged run goes.")
def merge(shards: tuple[Path, ...], require: str, results: Path) -> None:
    """Join the shards of a run into one: those that separate environments left, and the parts of ``run --shard``.

    Missing, overlapping, stale and mismatched ones are refused.
    """
    from crosscorrect.shards import merge as join

    merged = join(shards, [n.strip() for n in require.split(",") if n.strip()], results)
    click.echo(str(merged.folder))


def _write_report(finished: Run, expectations: Path | None) -> list[Path]:
    from crosscorrect_reports import write

    return write(finished, expectations)


def _tell(finished: Run, ruling: Ruling, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        said = {
            "run": str(finished.folder),
            "exit": int(ruling.exit),
            "total": ruling.total,
            "passed": ruling.passed,
            "expected": ruling.expected,
            "findings": ruling.findings,
            "missing": ruling.missing,
        }
        click.echo(json.dumps(said, indent=1))
    elif not quiet or ruling.exit:
        from rich.console import Console

        from crosscorrect_reports.terminal import summary

        Console().print(summary(finished, ruling))
