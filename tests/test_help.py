"""Help: quick because of what it does not import, and with examples that are true."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from commandline import invoke
from crosscorrect.cli import main
from crosscorrect.filters import wild
from crosscorrect.registry import known
from crosscorrect.selection import Selection
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAVY = {
    *("numpy", "pandas", "pyarrow", "scipy", "rich", "jinja2", "matplotlib", "jsonschema", "packaging"),
    *("ruamel", "psutil", "mxnet", "torch", "tensorflow", "jax", "crosscorrect_adapters", "crosscorrect_reports"),
}


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands())
PATHS = [(), *COMMANDS]


def examples() -> list[str]:
    """Every example of every help, without what it is said to do."""
    texts = [main.help or "", *(command.help or "" for command in COMMANDS.values())]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [re.split(r" {2,}", line)[0] for line in lines if line.startswith("crosscorrect ")]


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """The top-level packages that each help, and each completion that reads no suite and no run, imports: all apart."""
    program = """
import json, os, sys
from io import StringIO
from contextlib import redirect_stdout, suppress
found = {}
def after(name, work):
    before = set(sys.modules)
    with redirect_stdout(StringIO()), suppress(SystemExit):
        work()
    found[name] = sorted({module.partition(".")[0] for module in sys.modules})
from crosscorrect.cli import main
for path in json.loads(sys.argv[1]):
    after(" ".join([*path, "--help"]), lambda: main([*path, "--help"], prog_name="crosscorrect"))
from click.shell_completion import get_completion_class
complete = get_completion_class("bash")
for line in json.loads(sys.argv[2]):
    os.environ.update(COMP_LINE=line, COMP_POINT=str(len(line)))
    after(line, lambda: complete(main, {}, "crosscorrect", "_CROSSCORRECT_COMPLETE").complete())
print(json.dumps(found))
"""
    lines = ["run ", "run -f ", "run -k ch", "run -d ", "gate ", "run --mode ", "merge --require ", "run --python "]
    asked = (json.dumps([list(path) for path in PATHS]), json.dumps([f"crosscorrect {line}" for line in lines]))
    command = [sys.executable, "-c", program, *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    said: dict[str, list[str]] = json.loads(done.stdout)
    assert len(said) == len(PATHS) + len(lines)
    return said


def test_no_help_and_no_completion_of_names_imports_anything_heavy(imported: dict[str, list[str]]) -> None:
    assert {name: heavy for name, found in imported.items() if (heavy := HEAVY & set(found))} == {}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_a_line_in_the_list_and_an_example(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    listed = command.get_short_help_str(60)
    assert listed.endswith(".")
    assert not listed.endswith("..")
    if not isinstance(command, click.Group):
        assert any(line.startswith(f"crosscorrect {' '.join(path)}") for line in examples())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the examples about files and runs can be carried out, with NumPy in the place of others."""
    folder = tmp_path_factory.mktemp("lab")
    text = "crosscorrect: 1\nsuite: mine\ncases:\n  - {id: sharpen, operation: corr2d, x: [[1, 2, 4]], w: [[1, -1]]}\n"
    (folder / "my.yaml").write_text(text, encoding="utf-8")
    (folder / "mine").mkdir()
    done = invoke(
        "run", "chapter", "-f", "numpy", "-k", "edge-detection", "--results", folder / "results", "--no-report"
    )
    assert done.exit_code == 0, done.output
    for part in ("1/2", "2/2"):
        where = folder / "part" / part.replace("/", "-of-")
        invoke("run", "chapter", "-f", "numpy", "--shard", part, "--results", where, "--no-report", "-q")
    return folder


@pytest.mark.parametrize("line", examples())
def test_an_example_is_understood_and_what_it_names_is_there(
    lab: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab)
    arguments = shlex.split(line.replace("*", "x").partition(" > ")[0])[1:]
    command: click.Command = main
    context = click.Context(main, info_name="crosscorrect")
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
        context = click.Context(command, parent=context, info_name=name)
    # as the program does it, with every value converted and checked
    params = command.make_context(context.info_name, list(arguments)).params
    suites = [name for name in params.get("suites") or () if not name.endswith(".yaml")]
    assert set(suites) <= set(shipped_suites())
    frameworks = params.get("names") or params.get("framework") or ()
    if context.info_name != "selftest":
        for framework in (frameworks,) if isinstance(frameworks, str) else frameworks:
            known(framework)
    for framework in [*(params.get("pythons") or {}), *filter(None, (params.get("require") or "").split(","))]:
        known(framework)
    patterns = [p for p in params.get("only") or () if not p.startswith("hunt/")]
    if patterns:
        paths = [shipped_suites()[name] for name in suites or (["speed"] if "bench" in line else shipped_suites())]
        Selection([load_suite(path) for path in paths], [p for p in patterns if wild(p)] or patterns).check()


LOCAL = (
    *("report", "gate", "explain", "verify", "cases", "completion", "merge", "frameworks", "run my.yaml"),
    *("hunt -f torch -k", "selftest smoke -k"),
)
"""What examples begin with that are about files and runs, or take no minutes."""


@pytest.mark.parametrize(
    "line",
    [e for e in examples() if e.startswith(tuple(f"crosscorrect {name}" for name in LOCAL)) and "NEW" not in e],
)
def test_an_example_about_files_and_runs_can_be_carried_out(
    lab: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab)
    text = line.partition(" > ")[0].replace("torch,jax", "numpy")
    text = re.sub(r"\b(torch|jax)\b(?=$| )", "numpy", text).replace("RUN", "results/latest")
    text = text.replace("PROBLEM", "chapter/edge-detection@operation=conv2d,dtype=float32")
    text = re.sub(r"\w+=\S*python$|(?<=--python )\S+", f"numpy={sys.executable}", text)
    if "merge" in text:
        parts = [str(path.parent) for path in sorted(lab.glob("part/*/latest/run.json"))]
        text = re.sub(r"shards\S* shards\S*|part/\*", " ".join(parts), text)
    if " run " in text or " hunt " in text:
        text += " --results elsewhere"
    done = invoke(*shlex.split(text)[1:])
    assert done.exit_code == 0, done.output
    assert done.stdout or "-q" in text
