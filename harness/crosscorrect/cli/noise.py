"""What ``selftest --noise`` does: measure a framework against itself, and say what this machine's noise is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crosscorrect.cli.terminal import console, hushed, say_json, tick
from crosscorrect.model import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.speed.noise import Noise

MOST_FALSE = 0.05
"""The share of comparisons of the same that may come out different."""


def audit(name: str, pythons: dict[str, str], budget: str, cpus: int, results: Path, *, as_json: bool) -> Exit:
    """Measure, print what was found, and give the exit code: 6 on a machine that was not fit, 1 where timing is off."""
    from crosscorrect import api
    from crosscorrect.cli.pace import Pace
    from crosscorrect.speed import noise, session

    plan = api.planned(("speed",), only=noise.PROBLEMS, level="nightly", chosen=noise.frameworks(name, pythons, {}))
    pace = Pace(silent=hushed(quiet=False, as_json=as_json), hushed=noise.TARGETS)
    with pace:
        first = noise.copy_of(name, 1)
        run = session.measure(plan, reference=first, budget=budget, cpus=cpus, results=results, on_event=pace.hear)
    found = noise.noise(run)
    code = _code(found)
    if as_json:
        say_json({"run": str(run.folder), "exit": int(code), **_told(found)})
    else:
        _print(found, code)
        click.echo(f"run folder: {run.folder}")
    return code


def _code(found: Noise) -> Exit:
    if found.rates is None or found.fit < found.restarts / 2:
        return Exit.UNFIT
    if not all(control.holds for control in found.controls):
        return Exit.NOT_CONFORMANT
    return Exit.UNFIT if found.interval[0] > MOST_FALSE else Exit.OK


def _told(found: Noise) -> dict[str, Any]:
    budgets = [
        {"restarts": restarts, "rounds": rounds, **rates._asdict()}
        for (restarts, rounds), rates in found.budgets.items()
    ]
    return {
        "problems": found.problems,
        "fit": found.fit,
        "restarts": found.restarts,
        "rates": found.rates._asdict() if found.rates else None,
        "interval": list(found.interval),
        "budgets": budgets,
        "controls": [{"name": c.name, "holds": c.holds, "said": c.said} for c in found.controls],
    }


def _print(found: Noise, code: Exit) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = console()
    shown.print(f"{found.fit} of {found.restarts} restarts of {found.problems} problems were fit")
    for control in found.controls:
        shown.print(Text(f"{tick(good=control.holds)} {control.name}: {control.said}"))
    if found.rates is not None:
        low, high = found.interval
        shown.print(
            f"what is the same differs in {found.rates.plain:.1%} of comparisons [{low:.1%}, {high:.1%}] without a "
            f"margin, in {found.rates.beyond:.1%} beyond it; a slow-down of 5 % is found in {found.rates.found:.1%}"
        )
    if found.budgets:
        table = Table.grid(padding=(0, 2))
        table.add_row("restarts", "rounds", "half-width", "false", "beyond margin", "+5 % found")
        for (restarts, rounds), rates in found.budgets.items():
            shares = (f"{value:.1%}" for value in (rates.plain, rates.beyond, rates.found))
            table.add_row(str(restarts), str(rounds), f"±{rates.half_width:.2%}", *shares)
        shown.print(table)
    said = {Exit.OK: "this machine is fit", Exit.UNFIT: "this machine is not fit to tell who is faster"}
    shown.print(said.get(code, "the timing itself is off: a known time was misread"))
