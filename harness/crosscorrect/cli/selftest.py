"""The command that tests the tests: mutants through the suites, and the score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crosscorrect.cli import complete, options
from crosscorrect.cli.bench import BUDGETS
from crosscorrect.cli.options import RESULTS, Choice
from crosscorrect.cli.terminal import hushed, say_json, tick
from crosscorrect.model import Exit

if TYPE_CHECKING:
    from crosscorrect.selftest import Score

BAR = "selftest"


@click.command(short_help="Test the tests: each wrong adapter must be caught.")
@options.suites()
@click.option("--level", type=options.level, default="smoke", show_default=True, help="Cases up to this level.")
@click.option(
    "-k",
    "--mutant",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=complete.mutants,
    help="Only this mutant; repeat.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Other data of the same kind in every fill.")
@click.option("--minimal", "smallest", is_flag=True, help="Print a small set of problems that kills every mutant.")
@click.option("--noise", is_flag=True, help="Measure a framework against itself instead: what is this machine worth?")
@click.option(
    "-f",
    "--framework",
    default="numpy",
    show_default=True,
    metavar="NAME",
    shell_complete=complete.frameworks,
    help="Which one, with --noise.",
)
@options.python("Its interpreter, with --noise.")
@click.option("--budget", type=Choice(BUDGETS), default="standard", show_default=True, help="How much, with --noise.")
@click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="Processors, with --noise.")
@click.option("--results", type=RESULTS, default=Path("results"), show_default=True, help="Run folders, with --noise.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing of the mutants that are killed and named.")
@options.as_json
def selftest(
    suites: tuple[str, ...],
    level: str,
    names: tuple[str, ...],
    seed: int,
    smallest: bool,
    noise: bool,
    framework: str,
    pythons: dict[str, str],
    budget: str,
    cpus: int,
    results: Path,
    quiet: bool,
    as_json: bool,
) -> None:
    """Put every mutant of the NumPy adapter through suites: each must be caught, and its cause named.

    A mutant is an adapter that is wrong in one way of the catalogue. Exit code 0 where each is killed by two or more
    cases, and every failure is diagnosed as that mutant or as one that is identical on that problem; else 1.

    With --noise, several workers of one framework are timed as if they were different ones: how often what is the same
    comes out different, how wide an interval is for each budget, and whether known times are read right. Exit code 6
    where this machine is not fit to compare speeds.

    \b
    crosscorrect selftest                               every mutant through the smoke cases of all suites
    crosscorrect selftest smoke -k flipped-kernel
    crosscorrect selftest smoke --minimal               which problems would be enough
    crosscorrect selftest --noise -f torch              what this machine's noise does to comparisons of speed
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    if noise:
        from crosscorrect.cli.noise import audit

        sys.exit(audit(framework, pythons, budget, cpus, results, as_json=as_json))
    from crosscorrect import registry, selftest as trial
    from crosscorrect.cli.bars import Bars
    from crosscorrect.selection import Selection
    from crosscorrect.suite import find_suites, load_suite

    base = registry.known("numpy").load()
    selection = Selection([load_suite(path) for path in find_suites(list(suites))], level=level)
    selection.check()
    problems = list(selection)
    with Bars(silent=hushed(quiet=quiet, as_json=as_json)) as bars:
        bars.add(BAR, len(problems), said="problems, each by every mutant")
        scores = trial.selftest(base, problems, names, lambda _: bars.update(BAR, advance=1), seed)
    lost = [s for s in scores if not s.killed]
    misnamed = [s for s in scores if s.cases and not s.recognised]
    code = Exit.NOT_CONFORMANT if lost or misnamed else Exit.OK
    if as_json:
        say_json({"exit": int(code), **_told(scores, trial.minimal(scores) if smallest else None)})
    else:
        _print(scores, quiet=quiet)
        if smallest:
            click.echo("\n".join(["", "a minimal set of problems:", *trial.minimal(scores)]))
    sys.exit(code)


def _told(scores: list[Score], smallest: list[str] | None) -> dict[str, object]:
    rows = [
        {"name": s.name, "kind": s.kind, "problems": sorted(s.problems), "cases": len(s.cases),
         "diagnosed": s.diagnosed, "named": s.named, "instead": dict(s.instead)}
        for s in scores
    ]  # fmt: skip
    killed = sum(s.killed for s in scores)
    told = {"mutants": len(scores), "killed": killed, "recognised": sum(s.recognised for s in scores), "scores": rows}
    return told if smallest is None else {**told, "minimal": smallest}


def _print(scores: list[Score], *, quiet: bool) -> None:
    width = max((len(s.name) for s in scores), default=0)
    for s in scores:
        if quiet and s.killed and s.recognised:
            continue
        mark = tick(good=s.killed and s.recognised)
        instead = f"  instead: {', '.join(n for n, _ in s.instead.most_common(3))}" if s.instead else ""
        click.echo(
            f"{mark} {s.name:<{width}}  {s.kind:<10}  killed by {len(s.cases):3} cases, {len(s.problems):4} problems; "
            f"named in {s.named} of {s.diagnosed}{instead}"
        )
    failures, named = sum(s.diagnosed for s in scores), sum(s.named for s in scores)
    share = f"{100 * named / failures:.1f} %" if failures else "none"
    click.echo(
        f"{len(scores)} mutants: {sum(s.killed for s in scores)} killed by two cases or more, "
        f"{sum(bool(s.cases) for s in scores)} by one; {named} of {failures} failures named rightly ({share})"
    )
