"""The commands that look: explain, cases, frameworks."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscorrect.cli.options import pairs
from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from crosscorrect.store import Run


def _say(text: str) -> None:
    """Print text that a case file or a framework wrote, without what would act on the terminal."""
    from crosscorrect_reports.text import clean

    click.echo(clean(text))


SMALL = 200
"""Arrays of up to this many numbers are printed whole."""


MOST_NAMES = 6
"""So many problem ids are offered for one that is incomplete."""


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("problem")
@click.option("-f", "--framework", "names", multiple=True, metavar="NAME", help="Only this framework; repeat.")
def explain(folder: Path, problem: str, names: tuple[str, ...]) -> None:
    """Show one PROBLEM of a RUN: its inputs, what is right, what each framework returned, and the verdict."""
    from crosscorrect import store

    loaded = store.load(folder)
    rows = loaded.checks[loaded.checks["problem"] == problem]
    if rows.empty:
        raise UsageError(f"{folder} has no problem {problem!r}; {_nearest(problem, loaded)}")
    if names:
        rows = rows[rows["framework"].isin(names)]
        if rows.empty:
            raise UsageError(f"{folder} has no check of {problem!r} in {', '.join(names)}")
    known = loaded.problems[loaded.problems["problem"] == problem].iloc[0]
    _say(f"{problem}\n{known['source']}: {known['title']}")
    if known["note"]:
        _say(click.wrap_text(known["note"], 100))
    shown: set[str] = set()
    for row in rows.to_dict("records"):
        _show_inputs(loaded, row, shown)
        _show_check(loaded, row)
    asked = " ".join(_asked_again(loaded, name) for name in dict.fromkeys(rows["framework"]))
    click.echo(f"\nagain: crosscorrect run {_spelling(known['suite'], loaded)} -k '{problem}' {asked}")


def _spelling(suite: str, loaded: Run) -> str:
    """How a person asks for a suite of this run again: by name if it ships, else by its file."""
    from crosscorrect.suite import shipped_suites

    files = [s["file"] for s in loaded.info.get("suites", []) if s["name"] == suite]
    shipped = shipped_suites().get(suite)
    return suite if shipped is not None and shipped.name in files else (files or ["SUITE"])[0]


def _asked_again(loaded: Run, framework: str) -> str:
    """The options that ask for a framework as this run did; where its interpreter lay is not in the run."""
    own = loaded.env[(loaded.env["framework"] == framework) & (loaded.env["key"] == "found")]
    given = "option" in set(own["value"])
    return f"-f {framework}" + (f" --python {framework}=PATH" if given else "")


def _nearest(problem: str, loaded: Run) -> str:
    swept = [name for name in loaded.problems["problem"] if name.partition("@")[0] == problem]
    if swept:
        return f"it is swept into {', '.join(swept[:MOST_NAMES])}{' …' if len(swept) > MOST_NAMES else ''}"
    near = difflib.get_close_matches(problem, loaded.problems["problem"], n=1, cutoff=0.3)
    return f"did you mean {near[0]!r}?" if near else "the report lists what is there"


def _show_inputs(loaded: Run, row: dict[str, Any], shown: set[str]) -> None:
    for name, key in json.loads(row["arrays"]).items():
        if name in ("output", "reference", "weights") or key in shown:
            continue
        shown.add(key)
        _show_array(name, loaded.array(key))


def _show_check(loaded: Run, row: dict[str, Any]) -> None:
    arrays = json.loads(row["arrays"])
    click.echo(
        f"\n{row['framework']} {row['mode']} {row['device']} {row['direction']}: {row['outcome']}"
        + (f" ({row['reason']})" if row["reason"] else "")
        + (f", tier {row['tier']}" if row["tier"] else "")
    )
    if row["message"]:
        _say(f"  {row['message']}")
    if row["ratio"] == row["ratio"] and row["ratio"] is not None:
        click.echo(f"  largest error {row['error']:.3g}, error over bound {row['ratio']:.3g}")
    if row["where"]:
        click.echo(f"  worst at ({row['where']}): right {_both(row['expected'])}, returned {_both(row['got'])}")
    for name in ("reference", "output", "weights"):
        if name in arrays and (name != "reference" or row["outcome"] != "pass"):
            _show_array(name, loaded.array(arrays[name]))
    if row["stderr"]:
        _say("  the worker printed:\n" + "\n".join("    " + line for line in row["stderr"].splitlines()[-30:]))


def _both(value: float) -> str:
    return f"{value!r} = {float(value).hex()}"


def _show_array(name: str, array: np.ndarray[Any, Any] | None) -> None:
    import numpy as np

    if array is None:
        return
    click.echo(f"  {name}: {array.dtype} {array.shape}")
    if array.size <= SMALL:
        click.echo("\n".join("    " + line for line in np.array2string(np.squeeze(array), separator=", ").splitlines()))


@click.group()
def cases() -> None:
    """List, check and show case files."""


@cases.command("list")
@click.argument("suites", nargs=-1)
@click.option("--problems", is_flag=True, help="Every problem id instead of every case.")
def list_cases(suites: tuple[str, ...], problems: bool) -> None:
    """List the cases of suites (default: all that ship)."""
    from crosscorrect.suite import find_suites, load_suite

    for path in find_suites(suites):
        suite = load_suite(path)
        found = list(suite.problems())
        _say(f"{suite.name}: {suite.title} (cases: {len(suite.cases)}, problems: {len(found)})")
        seen: set[str] = set()
        for problem in found:
            if problems:
                click.echo(f"  {problem.id}")
            elif problem.case not in seen:
                seen.add(problem.case)
                _say(f"  {problem.case:<32} {problem.source:<28} {problem.title}")


@cases.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "-f", "--framework", "names", multiple=True, metavar="NAME", help="A framework whose adapter is not installed."
)
def lint(files: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Check case files; one line per defect, with file, line and key."""
    from crosscorrect.suite import find_suites, lint as find_defects

    defects = [defect for path in find_suites(files) for defect in find_defects(path, names)]
    for defect in defects:
        click.echo(str(defect), err=True)
    if defects:
        raise UsageError(f"{len(defects)} defect{'s' if len(defects) > 1 else ''}")
    click.echo("clean")


@cases.command()
@click.argument("problem")
@click.option("--suite", metavar="FILE", help="The case file of the problem, where its suite is not a shipped one.")
def show(problem: str, suite: str | None) -> None:
    """Show one problem by its id, with its input arrays."""
    from crosscorrect.suite import find_suites, load_suite, shipped_suites

    name = problem.partition("/")[0]
    if suite is None and name not in (shipped := shipped_suites()):
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}, or " if near else ""
        raise UsageError(f"no suite called {name} ships; {hint}name the problem's case file with --suite FILE")
    found = load_suite(find_suites([suite or name])[0]).problem(problem)
    about = ": ".join(filter(None, (found.source, found.title)))
    _say("\n".join(filter(None, (found.id, about, found.note))))
    click.echo(f"operation {found.operation}, directions {', '.join(found.directions)}")
    if found.geometry is not None:
        click.echo(f"geometry {json.dumps(found.geometry.to_json())}")
    if found.settings:
        click.echo(f"settings {json.dumps(dict(found.settings))}")
    for name, array in found.inputs().items():
        _show_array(name, array)


@cases.command()
def schema() -> None:
    """Print the JSON Schema of case files, for editors."""
    from importlib.resources import files

    click.echo((files("crosscorrect_cases") / "suite.schema.json").read_text(encoding="utf-8"), nl=False)


@click.command()
@click.option(
    "--python", "pythons", multiple=True, callback=pairs, metavar="NAME=PATH", help="A framework's interpreter."
)
@click.option("--probe", is_flag=True, help="Start each one and ask for versions, devices and modes.")
def frameworks(pythons: dict[str, str], probe: bool) -> None:
    """List the adapters and where their frameworks are; without --probe nothing is imported."""
    from rich.console import Console
    from rich.table import Table

    from crosscorrect.errors import IncompleteError
    from crosscorrect.registry import adapters, importable, known, locate, tox_python

    given = {known(name).name: Path(path) for name, path in pythons.items()}
    table = Table("framework", "adapter", "where", *(("versions", "devices", "modes") if probe else ()))
    for name, point in adapters().items():
        here = name in given or importable(name) or tox_python(name) is not None
        if not here:
            table.add_row(name, point.value, "not here", *((("",) * 3) if probe else ()))
            continue
        framework = locate(name, given)
        where = {"current": "this environment"}.get(framework.found, str(framework.python))
        if not probe:
            table.add_row(name, point.value, where)
            continue
        from crosscorrect.process import Worker

        try:
            with Worker(framework) as worker:
                hello = worker.hello
        except IncompleteError as error:
            table.add_row(name, point.value, str(error), "", "", "")
            continue
        versions = "\n".join(f"{k} {v}" for k, v in hello["versions"].items())
        table.add_row(name, point.value, where, versions, ", ".join(hello["devices"]), ", ".join(hello["modes"]))
    Console().print(table)
