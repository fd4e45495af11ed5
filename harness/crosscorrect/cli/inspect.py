"""The commands that look at what is here: cases, frameworks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crosscorrect.cli import complete, options
from crosscorrect.cli.terminal import console, say, say_json
from crosscorrect.errors import UsageError
from crosscorrect.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crosscorrect.suite import Suite
    from crosscorrect.sweep import Sweep

Row = dict[str, Any]

MOST = 12
"""So many problems of a case are listed where it has more; ``cases list --problems`` lists them all."""
WIDE = 120
"""From how many columns a terminal shows the adapters beside what was probed."""


@click.group(short_help="List, check and show case files.")
def cases() -> None:
    """List, check and show case files."""


@cases.command("list")
@options.suites()
@click.option("--problems", is_flag=True, help="Every problem id instead of every case.")
@options.as_json
def list_cases(suites: tuple[str, ...], problems: bool, as_json: bool) -> None:
    """List the cases of suites (default: all that ship).

    \b
    crosscorrect cases list                             every case that ships, and where it comes from
    crosscorrect cases list chapter --problems          every problem id of one suite
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    from crosscorrect.suite import find_suites, load_suite

    found = (load_suite(path) for path in find_suites(suites))
    if as_json:
        say_json([_listed(suite, problems=problems) for suite in found])
        return
    for suite in found:
        sweeps = [suite.sweep(place) for place in range(len(suite.cases))]
        say(f"{suite.name}: {suite.title} (cases: {len(sweeps)}, problems: {sum(map(len, sweeps))})")
        for case, sweep in zip(suite.cases, sweeps, strict=True):
            if not problems:
                say(f"  {case['id']:<32} {case.get('source', ''):<28} {case.get('title', '')}")
                continue
            for place in range(len(sweep)):
                click.echo(f"  {suite.name}/{case['id']}{sweep.suffix(place)}")


def _listed(suite: Suite, *, problems: bool) -> Row:
    """A suite for a machine; each case with how many problems it has, or with their ids."""
    listed = []
    for place, case in enumerate(suite.cases):
        sweep, name = suite.sweep(place), f"{suite.name}/{case['id']}"
        own = [name + sweep.suffix(point) for point in range(len(sweep))] if problems else len(sweep)
        listed.append({"case": name, **{key: case.get(key, "") for key in ("source", "title")}, "problems": own})
    return {"suite": suite.name, "title": suite.title, "file": str(suite.path), "cases": listed}


@cases.command(short_help="Check case files: every defect, with its line.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=complete.case_files)
@click.option(
    "-f", "--framework", "names", multiple=True, metavar="NAME", help="A framework whose adapter is not installed."
)
@options.quiet
@options.as_json
def lint(files: tuple[str, ...], names: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Check case files; one line per defect, with file, line and key.

    \b
    crosscorrect cases lint my.yaml
    crosscorrect cases lint my.yaml --json              for an editor: file, line, key, remedy
    """  # noqa: D301  as above
    from crosscorrect.suite import find_suites, lint as find_defects

    defects = [defect for path in find_suites(files) for defect in find_defects(path, names)]
    if as_json:
        keys = ("file", "line", "key", "remedy")
        told = [{"message": str(d), **{key: getattr(d, key) for key in keys}, "file": str(d.file)} for d in defects]
        say_json({"files": list(files), "defects": told})
    else:
        for defect in defects:
            click.echo(str(defect), err=True)
    if defects:
        raise UsageError(f"{len(defects)} defect{'s' if len(defects) > 1 else ''}")
    if not (quiet or as_json):
        click.echo("clean")


@cases.command()
@click.argument("problem", shell_complete=complete.problems)
@click.option(
    "--suite",
    metavar="FILE",
    shell_complete=complete.case_files,
    help="The case file of the problem, where its suite is not a shipped one.",
)
@options.as_json
def show(problem: str, suite: str | None, as_json: bool) -> None:
    """Show one problem by its id, with its input arrays.

    Of a case that is swept into several, shown by its name, it says which they are.

    \b
    crosscorrect cases show chapter/edge-detection@operation=corr2d,dtype=float32
    crosscorrect cases show mine/sharpen --suite my.yaml
    """  # noqa: D301  as above
    from crosscorrect.cli.arrays import described, show_array
    from crosscorrect.shipped import shipped_suites
    from crosscorrect.suite import find_suites, load_suite

    name = problem.partition("/")[0]
    if suite is None and name not in (shipped := shipped_suites()):
        near = nearest(name, shipped)
        hint = f"did you mean {near}, or " if near else ""
        raise UsageError(f"no suite called {name} ships; {hint}name the problem's case file with --suite FILE")
    loaded = load_suite(find_suites([suite or name])[0])
    case = next((own for own, keys in enumerate(loaded.cases) if problem == f"{loaded.name}/{keys['id']}"), None)
    if case is not None:
        sweep = loaded.sweep(case)
        if len(sweep) > 1:
            _show_case(loaded.cases[case], problem, sweep, as_json=as_json)
            return
        problem += sweep.suffix(0)
    found = loaded.problem(problem)
    geometry = None if found.geometry is None else found.geometry.to_json()
    if as_json:
        told = {key: getattr(found, key) for key in ("source", "title", "note", "operation", "dtype", "directions")}
        inputs = {key: described(array) for key, array in found.inputs().items()}
        say_json({"problem": found.id, **told, "geometry": geometry, "settings": found.settings, "inputs": inputs})
        return
    about = ": ".join(filter(None, (found.source, found.title)))
    say("\n".join(filter(None, (found.id, about, found.note))))
    click.echo(f"operation {found.operation}, directions {', '.join(found.directions)}")
    if geometry is not None:
        click.echo(f"geometry {json.dumps(geometry)}")
    if found.settings:
        click.echo(f"settings {json.dumps(dict(found.settings))}")
    for key, array in found.inputs().items():
        show_array(key, array)


def _show_case(keys: Mapping[str, Any], case: str, sweep: Sweep, *, as_json: bool) -> None:
    """A case that is swept into several problems: what it is, how many they are, and the first of them."""
    first = [case + sweep.suffix(place) for place in range(min(len(sweep), MOST))]
    said = {key: str(keys.get(key, "")) for key in ("source", "title", "note")}
    if as_json:
        say_json({"case": case, **said, "problems": len(sweep), "first": first})
        return
    about = ": ".join(filter(None, (said["source"], said["title"])))
    say("\n".join(filter(None, (case, about, said["note"]))))
    click.echo(f"swept into {len(sweep)} problems" + (f", the first {len(first)}:" if len(sweep) > MOST else ":"))
    for problem in first:
        say(f"  {problem}")


@cases.command()
def schema() -> None:
    """Print the JSON Schema of case files, for editors.

    \b
    crosscorrect cases schema > suite.schema.json
    """  # noqa: D301  as above
    from importlib.resources import files

    click.echo((files("crosscorrect_cases") / "suite.schema.json").read_text(encoding="utf-8"), nl=False)


@click.command(short_help="List the adapters and where their frameworks are.")
@options.python("A framework's interpreter.")
@click.option("--probe", is_flag=True, help="Start each one and ask for versions, devices and modes.")
@options.as_json
def frameworks(pythons: dict[str, str], probe: bool, as_json: bool) -> None:
    """List the adapters and where their frameworks are; without --probe nothing is imported.

    \b
    crosscorrect frameworks                             which there are, and where
    crosscorrect frameworks --probe                     versions, devices and modes too; starts each
    crosscorrect frameworks --python torch=../venv/bin/python --probe
    """  # noqa: D301  as above
    from crosscorrect.cli.bars import Steps
    from crosscorrect.cli.terminal import hushed
    from crosscorrect.registry import adapters, known

    given = {known(name).name: Path(path) for name, path in pythons.items()}
    points = adapters()
    with Steps("frameworks", dict.fromkeys(points, 1.0), silent=hushed(quiet=not probe, as_json=as_json)) as steps:
        rows = []
        for name, point in points.items():
            steps.begin(name)
            rows.append({"framework": name, "adapter": point.value, **_found(name, given, probe=probe)})
    if as_json:
        say_json(rows)
    else:
        _print(rows, probe=probe)


def _found(name: str, given: dict[str, Path], *, probe: bool) -> Row:
    """Where a framework is, None where it is not here; probed, also what it says of itself."""
    from crosscorrect.errors import IncompleteError
    from crosscorrect.registry import importable, locate, tox_python

    if not (name in given or importable(name) or tox_python(name) is not None):
        return {"found": None, "python": None}
    framework = locate(name, given)
    where: Row = {"found": framework.found, "python": str(framework.python)}
    if not probe:
        return where
    from crosscorrect.process import Worker

    try:
        with Worker(framework) as worker:
            return {**where, **{key: worker.hello[key] for key in ("versions", "devices", "modes")}}
    except IncompleteError as error:
        return {**where, "error": str(error)}


def _print(rows: Iterable[Row], *, probe: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from crosscorrect_reports.text import clean

    shown = console()
    # what is asked for least gives way where there is little room
    wide = not probe or shown.width >= WIDE
    adapter, more = ("adapter",) if wide else (), ("versions", "devices", "modes") if probe else ()
    table = Table("framework", *adapter, "where", *more)
    for column in table.columns:
        column.overflow = "fold"  # an ellipsis would hide what a person looks for, and is no ASCII
    for row in rows:
        here = {None: "not here", "current": "this environment"}.get(row["found"], row["python"])
        versions = "\n".join(f"{part} {version}" for part, version in row.get("versions", {}).items())
        told = {**row, "where": row.get("error", here), "versions": versions}
        told |= {key: ", ".join(row.get(key, ())) for key in ("devices", "modes")}
        table.add_row(*(Text(clean(told[key])) for key in ("framework", *adapter, "where", *more)))
    shown.print(table)
