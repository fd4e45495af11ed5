"""The commands that look at what is here: cases, frameworks."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import click

from crosscorrect.cli.explain import say, show_array
from crosscorrect.cli.options import pairs
from crosscorrect.errors import UsageError


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
        sweeps = [suite.sweep(place) for place in range(len(suite.cases))]
        say(f"{suite.name}: {suite.title} (cases: {len(sweeps)}, problems: {sum(map(len, sweeps))})")
        for case, sweep in zip(suite.cases, sweeps, strict=True):
            if not problems:
                say(f"  {case['id']:<32} {case.get('source', ''):<28} {case.get('title', '')}")
                continue
            for place in range(len(sweep)):
                click.echo(f"  {suite.name}/{case['id']}{sweep.suffix(place)}")


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
    say("\n".join(filter(None, (found.id, about, found.note))))
    click.echo(f"operation {found.operation}, directions {', '.join(found.directions)}")
    if found.geometry is not None:
        click.echo(f"geometry {json.dumps(found.geometry.to_json())}")
    if found.settings:
        click.echo(f"settings {json.dumps(dict(found.settings))}")
    for name, array in found.inputs().items():
        show_array(name, array)


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
