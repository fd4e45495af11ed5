"""The commands about speed: bench measures, speed judges what was measured again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from crosscorrect.cli import complete, options
from crosscorrect.cli.options import Choice, asking
from crosscorrect.cli.signals import watched
from crosscorrect.cli.terminal import console, hushed, say_json
from crosscorrect.model import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.speed.model import Comparison
    from crosscorrect.store import Run

STOPPING = "stopping: the rounds that were measured are kept; once more to stop at once"
BUDGETS = ("quick", "standard", "rigorous")
MARGIN = click.option(
    "--margin",
    type=click.FloatRange(min=0, max=1),
    default=0.03,
    show_default=True,
    help="What differs by less is equivalent: 0.03 is ±3 %.",
)
STRICT = click.option("--strict", is_flag=True, help="Exit 6 where anything is unfit or inconclusive.")


@click.command(short_help="Compare how fast frameworks are.")
@options.suites()
@asking
@options.only
@click.option(
    "--level", type=options.level, default="nightly", show_default=True, help="Problems of this level and below."
)
@click.option(
    "--reference",
    metavar="NAME",
    shell_complete=complete.frameworks,
    help="Whom the others are compared with. Default: torch if it is asked.",
)
@click.option("--budget", type=Choice(BUDGETS), default="standard", show_default=True, help="How much is sampled.")
@click.option(
    "--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="Processors that every worker may use."
)
@MARGIN
@click.option("--cold", is_flag=True, help="Measure what a start costs: import, trace, compile, first call.")
@options.against
@options.results
@options.resume
@STRICT
@options.report
@options.quiet
@options.as_json
def bench(
    suites: tuple[str, ...],
    names: tuple[str, ...],
    pythons: dict[str, str],
    targets: dict[str, str],
    mode: str,
    devices: tuple[str, ...],
    arithmetic: str,
    only: tuple[str, ...],
    level: str,
    reference: str | None,
    budget: str,
    cpus: int,
    margin: float,
    cold: bool,
    against: Path | None,
    results: Path,
    resume: Path | None,
    strict: bool,
    with_report: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare how fast frameworks are, each in its own environment, and say how sure that is.

    Problems are judged first: what is not right has no speed. Then all frameworks take turns, sample by sample, on
    the same processors. SUITE is as for run; the default is the suite speed.

    \b
    crosscorrect bench                                  the shipped problems, in every framework there is here
    crosscorrect bench networks -k resnet50-real        every distinct convolution of ResNet-50
    crosscorrect bench my.yaml -f torch -f jax --budget rigorous
    crosscorrect bench -k batch --cold --mode all       what a start costs, and when it has paid off
    crosscorrect bench -f torch -f jax --resume         go on with a timed run that was cut short
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect import api, garbage
    from crosscorrect.cli.pace import Pace
    from crosscorrect.speed import judgement, session

    garbage.seldom()
    base = _base(against)
    if cold and (base is not None or strict):
        raise click.UsageError("--cold ranks nobody: it goes with neither --against nor --strict")
    silent = hushed(quiet=quiet, as_json=as_json)
    pace = Pace(silent=silent)

    plan = api.planned(
        suites or ("speed",),
        names or None,
        modes=() if mode == "all" else (mode,),
        devices=devices,
        arithmetic=arithmetic,
        pythons=pythons,
        adapters=targets,
        only=only,
        level=level,
    )
    with watched(pace, STOPPING, "measured", resume or results / "latest") as hear:
        run = session.measure(
            plan,
            reference=reference,
            budget=budget,
            cpus=cpus,
            rule=judgement.Rule(margin),
            cold=cold,
            results=results,
            resume=resume,
            on_event=hear,
        )
    rows = session.comparisons(run)
    if rows and rows[0].margin != margin:  # a finished one that was resumed
        _, rows = session.rejudge(run, judgement.Rule(margin))
    code = _tell(run, rows, base, strict=strict, as_json=as_json, quiet=quiet)
    if with_report:  # after the verdicts are on the screen: drawing takes a few seconds
        paths = options.written(run, None, silent=silent)
        if not (quiet or as_json):
            click.echo(f"report: {paths[0]}")
    sys.exit(code)


@click.command(short_help="Judge a timed run again, or against another.")
@options.run_folder
@MARGIN
@options.against
@click.option("--history", is_flag=True, help="RUN is a folder of timed runs: since when is what slower or faster?")
@STRICT
@options.quiet
@options.as_json
def speed(
    folder: Path, margin: float, against: Path | None, history: bool, strict: bool, quiet: bool, as_json: bool
) -> None:
    """Judge a finished timed run again from its raw samples, maybe under another margin or against another run.

    \b
    crosscorrect speed                                  the latest timed run again
    crosscorrect speed RUN --margin 0.1                 what differs by less than 10 % is equivalent
    crosscorrect speed NEW --against OLD                what became slower; exit code 5 if anything did
    crosscorrect speed results --history                steps over all timed runs in a folder
    """  # noqa: D301  as above
    from crosscorrect import store
    from crosscorrect.speed import judgement, session

    if history:
        given = click.get_current_context().get_parameter_source("folder") is not click.core.ParameterSource.DEFAULT
        sys.exit(_tell_history(folder if given else folder.parent, as_json=as_json, quiet=quiet))
    base = _base(against)
    run = store.load(folder)
    _, comparisons = session.rejudge(run, judgement.Rule(margin))
    sys.exit(_tell(run, comparisons, base, strict=strict, as_json=as_json, quiet=quiet))


def _base(folder: Path | None) -> Run | None:
    """The timed run to compare with, looked at before anything is measured. Raises UsageError."""
    from crosscorrect import store
    from crosscorrect.speed.against import check

    if folder is None:
        return None
    base = store.load(folder)
    check(base)
    return base


def _tell(run: Run, found: list[Comparison], base: Run | None, *, strict: bool, as_json: bool, quiet: bool) -> Exit:
    """Print the verdicts, if they are wanted; the exit code."""
    from crosscorrect.gate import rule
    from crosscorrect.speed import against

    if run.info["bench"]["cold"]:
        return _tell_cold(run, rule(run, None).exit, as_json=as_json, quiet=quiet)
    from crosscorrect.tables import row_record

    changes = None if base is None else against.compare(run, base)
    ruling = rule(run, None)
    code = against.exit_code(found, changes, strict=strict, ruling=ruling.exit, findings=bool(ruling.findings))
    if as_json:
        said: dict[str, Any] = {"run": str(run.folder), "exit": int(code)}
        said["verdicts"] = [row_record(row) for row in found]
        if changes is not None:
            said["changes"] = [change.record() for change in changes]
        say_json(said)
    elif code or not quiet:
        from crosscorrect_reports.speeds import changes_table, summary

        shown = console()
        shown.print(summary(run, found))
        if changes is not None:
            shown.print(changes_table(changes))
    return code


def _tell_cold(run: Run, ruling: Exit, *, as_json: bool, quiet: bool) -> Exit:
    """Print what starts cost; the exit code, ``ruling`` where that is another."""
    from crosscorrect.speed import cold

    found = cold.starts(run.samples)
    code = ruling or (Exit.OK if found else Exit.NOTHING_RAN)
    if as_json:
        told = [
            {
                "problem": start.subject[0],
                "part": start.subject[1],
                "arm": start.who.name,
                "steady": start.steady._asdict(),
                **{str(phase): times._asdict() for phase, times in start.phases.items()},
            }
            for start in found
        ]
        say_json({"run": str(run.folder), "exit": int(code), "starts": told})
    elif code or not quiet:
        from crosscorrect_reports.speeds import cold_summary

        console().print(cold_summary(found))
        click.echo(f"run folder: {run.folder}")
    return code


def _tell_history(results: Path, *, as_json: bool, quiet: bool) -> Exit:
    """Print the steps of all series; exit code 5 where the last step of one made it slower."""
    from crosscorrect.speed import history
    from crosscorrect.speed.model import Speed

    found = history.series(results)
    told = history.steps(found)
    last = {step.names: step.speed for step in told}
    code = Exit.SLOWER if Speed.SLOWER in last.values() else Exit.OK
    if as_json:
        steps = [{**step.names._asdict(), "speed": step.speed, "run": step.run, "change": step.change} for step in told]
        say_json({"exit": int(code), "series": len(found), "steps": steps})
    elif code or not quiet:
        for step in told:
            problem, part, framework, mode, _ = step.names
            click.echo(f"{framework} {mode} {problem} {part}: {step.change:.2f} times its time, since {step.run}")
        longest = max(map(len, found.values()))
        click.echo(f"{len(told)} steps in {len(found)} series of up to {longest} timed runs")
    return code
