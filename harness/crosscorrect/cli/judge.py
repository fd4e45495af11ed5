"""The commands that run, judge, report and check a run: run, report, gate, merge, verify."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscorrect.cli import complete, options
from crosscorrect.cli.options import RESULTS, RUN_FOLDER, Choice, asking, finite, part
from crosscorrect.cli.signals import watched
from crosscorrect.cli.terminal import console, hushed, say_json
from crosscorrect.model import Exit
from crosscorrect.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

GATE = {"checking the seal": 1.0, "judging": 3.0}
"""The steps of the gate, each with about what share of the time a run of a million checks takes for it."""
STOPPING = "stopping: the problems at hand are finished first, for 10 s at most; once more to stop at once"


@click.command(short_help="Run suites through frameworks, judge every result.")
@options.suites()
@asking
@options.only
@click.option(
    "--limit",
    type=click.FloatRange(min=0, min_open=True, max=86400),
    callback=finite,
    metavar="SECONDS",
    help="Time limit of one call, in place of the cases' own.",
)
@click.option(
    "--level",
    type=options.level,
    default="ci",
    show_default=True,
    help="How much is asked: seconds, minutes, a night.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Other data of the same kind in every fill.")
@click.option("--shard", callback=part, metavar="I/N", help="Only part I of N of the problems; merge joins the parts.")
@options.results
@options.expectations
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1, max=1024),
    default=1,
    show_default=True,
    help="How many agent processes share the problems.",
)
@click.option("--dask", "cluster", default="", metavar="ADDRESS", help="Run on the cluster of this Dask scheduler.")
@options.resume
@click.option(
    "--memory",
    type=click.FloatRange(min=0, max=2**20),
    metavar="GIB",
    help="How much memory a worker may take; 0: any. Default: a share of what there is.",
)
@options.report
@options.quiet
@options.as_json
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
    jobs: int,
    cluster: str,
    resume: Path | None,
    memory: float | None,
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
    crosscorrect run chapter -f torch --resume          go on with a run of this command that was cut short
    crosscorrect run -f torch --shard 2/8               the second of eight parts that cost about the same
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect import api, garbage
    from crosscorrect.cli.progress import Progress
    from crosscorrect.expectations import check_folder
    from crosscorrect.gate import rule

    garbage.seldom()
    check_folder(expectations)  # a defect there is told before anything runs
    silent = hushed(quiet=quiet, as_json=as_json)
    progress = Progress(expectations, silent=silent)
    limits = {} if memory is None else {"memory": int(memory * 2**30) or None}
    with watched(progress, STOPPING, "judged", resume or results / "latest") as hear:
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
            jobs=jobs,
            cluster=cluster,
            resume=resume,
            **limits,
            on_event=hear,
        )
    ruling = rule(finished, expectations)
    _tell(finished, ruling, quiet=quiet, as_json=as_json)
    if with_report:  # after the verdict is on the screen: drawing takes a few seconds
        paths = options.written(finished, expectations, silent=silent)
        if not (quiet or as_json):
            click.echo(f"report: {paths[0]}")
    sys.exit(ruling.exit)


@click.command(short_help="Write the report of a run: HTML, Markdown, JUnit, CSV.")
@options.run_folder
@options.expectations
@options.quiet
@options.as_json
def report(folder: Path, expectations: Path | None, quiet: bool, as_json: bool) -> None:
    """Write the report into a run folder (default: the latest): page, Markdown, JUnit XML, summary, badges, CSV tables.

    \b
    crosscorrect report                                 of the latest run
    crosscorrect report RUN --expectations mine         judged by expectations of your own
    """  # noqa: D301  as above
    from crosscorrect import store

    written = options.written(store.load(folder), expectations, silent=hushed(quiet=quiet, as_json=as_json))
    if as_json:
        say_json({"run": str(folder), "written": [str(path) for path in written]})
    elif not quiet:
        for path in written:
            click.echo(str(path))


@click.command(short_help="Is a run as expected? The exit code is the answer.")
@options.run_folder
@options.expectations
@options.require
@options.against
@click.option("--annotations", type=Choice(["github"]), help="Also print what GitHub shows beside the cases.")
@click.option("--step-summary", is_flag=True, help="Add the Markdown to the file that GITHUB_STEP_SUMMARY names.")
@options.quiet
@options.as_json
def gate(
    folder: Path,
    expectations: Path | None,
    require: str,
    against: Path | None,
    annotations: str | None,
    step_summary: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Judge a run against the committed expectations, strictly both ways; the exit code is the answer.

    Of a timed run, also whether anything is slower than in an earlier one.

    \b
    crosscorrect gate                                   the latest run
    crosscorrect gate RUN --require torch,jax -q        says nothing where all is as expected
    crosscorrect gate NEW --against OLD                 two timed runs: exit code 5 where anything is slower
    crosscorrect gate --annotations github              also beside the lines of the cases, on GitHub
    """  # noqa: D301  as above
    from crosscorrect import sealed, store
    from crosscorrect.cli import github
    from crosscorrect.cli.bars import Steps
    from crosscorrect.gate import rule

    if annotations and as_json:
        raise click.UsageError("--annotations and --json both print: choose one")
    finished = store.load(folder)
    with Steps("gate", GATE, silent=hushed(quiet=quiet, as_json=as_json)) as steps:
        steps.begin("checking the seal")
        sealed.verify(folder, finished=finished.info["finished"])
        steps.begin("judging")
        ruling = rule(finished, expectations)
    there = finished.info["frameworks"]
    for name in options.names(require):
        if name not in there:
            hint = meant(name, there)
            ruling.missing.append(name)
            ruling.findings.append(f"{name}: required, and not in the run{f'; {hint}' if hint else ''}")
    slower: list[str] = []
    code = ruling.exit
    if against is not None:
        slower, speed = _slower(finished, store.load(against))
        code = code or speed
    with github.inert(wanted=annotations is not None and not (quiet and not code)):
        more = {} if against is None else {"slower": slower}
        _tell(finished, ruling, quiet=quiet, as_json=as_json, code=code, more=more)
    if annotations and not (quiet and not code):
        github.annotate(finished, ruling, expectations, slower)
    if step_summary:
        github.add_summary(finished, ruling, expectations)
    sys.exit(code)


def _slower(finished: Run, base: Run) -> tuple[list[str], Exit]:
    """What became slower since an earlier timed run, in words, and the exit code. Raises UsageError."""
    from crosscorrect.speed.against import compare, exit_code
    from crosscorrect.speed.model import Speed
    from crosscorrect_reports.speeds import interval

    changes = compare(finished, base)
    said = [
        f"{' '.join(change.names[:4])}: takes "
        f"{interval(change.change, change.low, change.high)} times as long as in {base.folder}"
        for change in changes
        if change.speed is Speed.SLOWER
    ]
    return said, exit_code([], changes)


@click.command(short_help="Join the shards of a run into one.")
@click.argument("shards", metavar="SHARD...", nargs=-1, required=True, type=RUN_FOLDER, shell_complete=complete.runs)
@options.require
@click.option("--results", type=RESULTS, default=Path("results"), show_default=True, help="Where the merged run goes.")
@options.quiet
@options.as_json
def merge(shards: tuple[Path, ...], require: str, results: Path, quiet: bool, as_json: bool) -> None:
    """Join the shards of a run into one: those that separate environments left, and the parts of ``run --shard``.

    Missing, overlapping, stale and mismatched ones are refused.

    \b
    crosscorrect merge shards/torch shards/jax --require torch,jax
    crosscorrect merge part/*                           all parts of run --shard I/N
    """  # noqa: D301  as above
    from crosscorrect.cli.bars import Steps
    from crosscorrect.shards import STEPS, merge as join

    with Steps("merge", STEPS, silent=hushed(quiet=quiet, as_json=as_json)) as steps:
        merged = join(shards, options.names(require), results, steps.begin)
    if as_json:
        say_json({"run": str(merged.folder), "frameworks": merged.info["frameworks"], "checks": len(merged.checks)})
    elif not quiet:
        click.echo(str(merged.folder))


@click.command(short_help="Check every byte of a run folder.")
@options.run_folder
@options.quiet
@options.as_json
def verify(folder: Path, quiet: bool, as_json: bool) -> None:
    """Check every byte of a run folder: that of a finished run against its seal, of another against its checksums.

    Exit codes: 0 as it was sealed, 3 not finished and as it was written, 65 damaged.

    \b
    crosscorrect verify                                 the latest run
    crosscorrect verify RUN --json
    """  # noqa: D301  as above
    from crosscorrect import sealed, store
    from crosscorrect.tables import TABLES

    run = store.load(folder)
    finished = run.info["finished"]
    said = sealed.verify(folder, finished=finished)
    for table in TABLES:
        getattr(run, table)  # which looks at its columns and values
    code = Exit.OK if finished else Exit.INCOMPLETE
    if as_json:
        say_json({"run": str(folder), "exit": int(code), "finished": finished, "said": said})
    elif code or not quiet:
        click.echo(said)
    sys.exit(code)


def _tell(
    finished: Run,
    ruling: Ruling,
    *,
    quiet: bool,
    as_json: bool,
    code: Exit | None = None,
    more: Mapping[str, list[str]] | None = None,
) -> None:
    """Print a ruling, and ``more`` findings that it does not know of; ``code`` is the exit code if it is another."""
    if as_json:
        said = {
            "run": str(finished.folder),
            "exit": int(ruling.exit if code is None else code),
            "total": ruling.total,
            "passed": ruling.passed,
            "expected": ruling.expected,
            "findings": ruling.findings,
            "missing": ruling.missing,
            **(more or {}),
        }
        say_json(said)
    elif not quiet or ruling.exit or any((more or {}).values()):
        from crosscorrect_reports.terminal import summary
        from crosscorrect_reports.text import one_line

        console().print(summary(finished, ruling))
        for what, lines in (more or {}).items():
            for line in lines:
                click.echo(one_line(f"{what}: {line}"))
