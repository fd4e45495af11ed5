"""The command that looks at one problem of a run: values, causes, and a script that shows the failure by itself."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscorrect.cli import complete
from crosscorrect.cli.options import RUN_FOLDER, STDOUT, Choice, as_json as json_option, pairs
from crosscorrect.cli.terminal import say, say_json
from crosscorrect.errors import UsageError
from crosscorrect.model import FINE, Direction, Outcome
from crosscorrect.nearest import nearest

if TYPE_CHECKING:
    import numpy as np

    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Reference
    from crosscorrect.repro import Script
    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]
    Row = dict[str, Any]

MOST_NAMES = 6
"""So many problem ids are offered for one that is incomplete."""
MOST_CAUSES = 5
"""So many causes of a failure are told, the likeliest first."""
TOLD = (
    *("framework", "mode", "device", "direction", "outcome", "reason", "message", "tier", "property", "diagnosis"),
    *("error", "ratio", "where", "stderr"),
)
"""What a machine is told of a check."""


@click.command(short_help="Show one problem of a run: values, cause, script.")
@click.argument("folder", metavar="RUN", type=RUN_FOLDER, shell_complete=complete.runs)
@click.argument("problem", shell_complete=complete.ran)
@click.option(
    "-f",
    "--framework",
    "names",
    multiple=True,
    metavar="NAME",
    shell_complete=complete.frameworks,
    help="Only this framework; repeat.",
)
@click.option("-m", "--mode", metavar="MODE", shell_complete=complete.modes, help="Only this mode.")
@click.option("--direction", type=Choice([d.value for d in Direction]), help="Only this direction.")
@click.option(
    "--script",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Write a stand-alone script that shows the failure; - prints nothing else. Put it last, or give a FILE.",
)
@click.option(
    "--adapter", "targets", multiple=True, callback=pairs, metavar="NAME=MODULE:CLASS",
    help="An adapter that is not installed as an entry point: its package has the script's template.",
)  # fmt: skip
@json_option
def explain(
    folder: Path,
    problem: str,
    names: tuple[str, ...],
    mode: str | None,
    direction: str | None,
    script: str | None,
    targets: dict[str, str],
    as_json: bool,
) -> None:
    """Show one PROBLEM of a RUN: its inputs, what is right, what each framework returned, the verdict and its cause.

    PROBLEM is an id, or the beginning of one or the name of a case where one problem of that name is there or failed.

    \b
    crosscorrect explain results/latest chapter/edge-detection@operation=corr2d,dtype=float32
    crosscorrect explain RUN PROBLEM -f torch --script bug.py      a script that shows it, to attach to a report
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect import store

    if as_json and script is not None:
        raise UsageError("--json prints a document and --script writes a script: ask for one after the other")
    loaded = store.load(folder)
    problem = _found(problem, loaded, folder, names)
    rows = loaded.checks[loaded.checks["problem"] == problem]
    for column, wanted in (("framework", names), ("mode", (mode,)), ("direction", (direction,))):
        if any(wanted):
            rows = rows[rows[column].isin(wanted)]
        if rows.empty:
            there = loaded.checks[loaded.checks["problem"] == problem][column].unique()
            near = ", ".join(filter(None, (nearest(name, there) for name in wanted)))
            hint = f"did you mean {near}?" if near else f"it has {', '.join(there)}"
            raise UsageError(f"{folder} has no check of {problem!r} in {', '.join(map(str, wanted))}; {hint}")
    records = [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
    # a script that cannot be written is told by itself, not below everything else
    made = None if script is None else _script(loaded, records, script, targets)
    if as_json:
        say_json(_told(loaded, problem, records))
    elif script != STDOUT:
        _tell(loaded, problem, records)
    if script is not None and made is not None:
        _write(made, records, script)


def _found(problem: str, loaded: Run, folder: Path, names: tuple[str, ...]) -> str:
    """The full id of what a person called a problem. Raises UsageError where that is none or several."""
    known = list(loaded.problems["problem"])
    if problem in known:
        return problem
    called = [row for row in loaded.problems.to_dict("records") if _called(row, problem)]
    ids = [str(row["problem"]) for row in called]
    checks = loaded.checks[loaded.checks["problem"].isin(ids) & ~loaded.checks["outcome"].isin(FINE)]
    failing = list(dict.fromkeys(checks[checks["framework"].isin(names)]["problem"] if names else checks["problem"]))
    for candidates in (ids, failing):
        if len(candidates) == 1:
            return str(candidates[0])
    if ids:
        some = failing or ids
        hint = f"it is swept into {', '.join(some[:MOST_NAMES])}{' …' if len(some) > MOST_NAMES else ''}"
    else:
        near = _near(problem, known)
        hint = f"did you mean {near!r}?" if near else "the report lists what is there"
    raise UsageError(f"{folder} has no problem {problem!r}; {hint}")


def _near(problem: str, known: list[str]) -> str:
    """The nearest problem, looked for among those of the nearest case: a run may have a million."""
    case = nearest(problem.partition("@")[0], dict.fromkeys(name.partition("@")[0] for name in known), 0.3)
    return nearest(problem, (name for name in known if name.partition("@")[0] == case), 0.3) if "@" in problem else case


def _called(row: Any, name: str) -> bool:
    return name in (row["case"], f"{row['suite']}/{row['case']}") or str(row["problem"]).startswith(name)


def _tell(loaded: Run, problem: str, rows: list[Row]) -> None:
    from crosscorrect.evidence import record_of

    known = record_of(loaded, problem)
    say(f"{problem}\n{known['source']}: {known['title']}")
    if known["note"]:
        say(click.wrap_text(known["note"], 100))
    if known.get("url"):
        say(f"see {known['url']}")
    shown: set[str] = set()
    for row in rows:
        _show_inputs(loaded, row, shown)
        _show_check(loaded, row, known)
    click.echo(f"\nagain: {_again(loaded, known, rows)}")


def _told(loaded: Run, problem: str, rows: list[Row]) -> Row:
    """The same for a machine."""
    from crosscorrect.cli.arrays import described, told
    from crosscorrect.evidence import record_of

    known = record_of(loaded, problem)
    checks = []
    for row in rows:
        failed = row["outcome"] == Outcome.FAIL
        causes = [asdict(cause) for cause in _causes(loaded, row, known)] if failed else []
        arrays = {name: described(loaded.array(key)) for name, key in json.loads(row["arrays"]).items()}
        worst = {name: told(row[name]) if row["where"] else None for name in ("expected", "got")}
        checks.append({**{name: row.get(name) for name in TOLD}, **worst, "causes": causes, "arrays": arrays})
    about = {key: known.get(key, "") for key in ("source", "title", "note", "url", "operation", "dtype")}
    again = _again(loaded, known, rows)
    return {"run": str(loaded.folder), "problem": problem, **about, "checks": checks, "again": again}


def _again(loaded: Run, known: Row, rows: list[Row]) -> str:
    """The command that asks a problem again, as this run did."""
    from crosscorrect_reports.commands import asked_by

    problem = known["problem"]
    asked = " ".join(_asked_again(loaded, name) for name in dict.fromkeys(row["framework"] for row in rows))
    return f"crosscorrect {asked_by(loaded, known['suite'])} -k '{problem}' {asked}"


def _script(loaded: Run, rows: list[Row], file: str, targets: dict[str, str]) -> Script:
    """The script of the row that is chosen for it. Raises UsageError where it cannot be written."""
    from crosscorrect import repro

    row, _ = _chosen(rows)
    stem = "" if file == STDOUT else _path(file, row).stem
    return repro.script(loaded, row, stem=stem, target=targets.get(row["framework"], ""))


def _write(script: Script, rows: list[Row], file: str) -> None:
    row, others = _chosen(rows)
    if file == STDOUT:
        click.echo(script.text, nl=False)
        return
    written = script.write(_path(file, row))
    click.echo(f"script: {' and '.join(map(str, written))} ({row['framework']} {row['mode']} {row['direction']})")
    if others:
        told = ", ".join(f"{r['mode']} {r['direction']}" for r in others)
        click.echo(f"        others failed too: {told}; choose with --mode and --direction")


def _chosen(rows: list[Row]) -> tuple[Row, list[Row]]:
    """The first row that failed, else the first that was answered, and the others that failed. Raises UsageError."""
    failed = [row for row in rows if row["outcome"] not in (*FINE, Outcome.MISSING)]
    frameworks = list(dict.fromkeys(row["framework"] for row in failed or rows))
    if len(frameworks) > 1:
        raise UsageError(f"a script is for one framework: choose one with -f ({', '.join(frameworks)})")
    return (failed or rows)[0], failed[1:]


def _path(file: str, row: Row) -> Path:
    return Path(file or f"{_stem(row)}.py")


def _stem(row: Row) -> str:
    name = f"repro-{row['framework']}-{row['problem']}-{row['direction']}"
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[:100].strip("-")


def _asked_again(loaded: Run, framework: str) -> str:
    """The options that ask for a framework as this run did; where its interpreter lay is not in the run."""
    from crosscorrect_reports.commands import asked_of, shell

    own = loaded.env[(loaded.env["framework"] == framework) & (loaded.env["key"] == "found")]
    given = "option" in set(own["value"])
    return shell(*asked_of(loaded, framework)) + (f" --python {framework}=PATH" if given else "")


def _show_inputs(loaded: Run, row: Row, shown: set[str]) -> None:
    from crosscorrect.cli.arrays import show_array
    from crosscorrect.repro import ANSWERS

    for name, key in json.loads(row["arrays"]).items():
        if name in ANSWERS or key in shown:
            continue
        shown.add(key)
        show_array(name, loaded.array(key))


def _show_check(loaded: Run, row: Row, known: Row) -> None:
    from crosscorrect.cli.arrays import show_array

    arrays = json.loads(row["arrays"])
    click.echo(
        f"\n{row['framework']} {row['mode']} {row['device']} {row['direction']}: {row['outcome']}"
        + (f" ({row['reason']})" if row["reason"] else "")
        + (f", tier {row['tier']}" if row["tier"] else "")
    )
    if row["message"]:
        say(f"  {row['message']}")
    if row.get("property"):
        say(f"  property: {row['property']}")
    if row["ratio"] == row["ratio"] and row["ratio"] is not None:
        click.echo(f"  largest error {row['error']:.3g}, error over bound {row['ratio']:.3g}")
    if row["where"]:
        click.echo(f"  worst at ({row['where']}): right {_both(row['expected'])}, returned {_both(row['got'])}")
    for name in ("reference", "output", "weights"):
        if name in arrays and (name != "reference" or row["outcome"] != "pass"):
            show_array(name, loaded.array(arrays[name]))
    _show_causes(loaded, row, known)
    if row["stderr"]:
        say("  the worker printed:\n" + "\n".join("    " + line for line in row["stderr"].splitlines()[-30:]))


def _show_causes(loaded: Run, row: Row, known: Row) -> None:
    """Print the causes of a failure, the likeliest first; where they cannot be computed again, what the run says."""
    if row["outcome"] != Outcome.FAIL:
        return
    causes = list(_causes(loaded, row, known))
    for place, cause in enumerate(causes, 1):
        evidence = f" ({cause.evidence})" if cause.evidence else ""
        say(f"  cause {place}: {cause.name}: {cause.sentence}{evidence}")
    if not causes and row.get("diagnosis"):
        say(f"  cause: {row['diagnosis']}")


def _causes(loaded: Run, row: Row, known: Row) -> list[Any]:
    """The causes that explain a wrong output; none where its inputs or the output itself are not to be had."""
    from crosscorrect import diagnosis, repro

    key = json.loads(row["arrays"]).get("output")
    output = None if key is None else loaded.array(key)
    if output is None or row["operation"] not in ("conv2d", "corr2d", "layer") or known.get("invalid"):
        return []
    try:
        inputs = repro.inputs_of(loaded, row)
    except UsageError:
        return []
    geometry, reference = _reference(row, known, inputs)
    direction, arithmetic = Direction(row["direction"]), str(row["arithmetic"])
    return diagnosis.diagnose(
        geometry, row["operation"], direction, inputs, output, reference, row["dtype"], arithmetic, MOST_CAUSES
    )


def _reference(row: Row, known: Row, inputs: dict[str, Array]) -> tuple[Geometry | None, Reference]:
    """The geometry of a row, None for the double loop, and the right answer with what bounds its rounding."""
    from crosscorrect import oracle
    from crosscorrect.geometry import Geometry

    x, w, b = inputs["x"], inputs["w"], inputs.get("b")
    if row["operation"] != "conv2d":
        return None, oracle.corr2d(x, w, b)
    geometry = Geometry.from_json(json.loads(known["geometry"]))
    if row["direction"] == Direction.FORWARD:
        return geometry, oracle.forward(x, w, b, geometry, row["dtype"])
    return geometry, oracle.gradients(x, w, b, inputs["dy"], geometry, row["dtype"])[Direction(row["direction"])]


def _both(value: float) -> str:
    return f"{value!r} = {float(value).hex()}"
