"""What the README says works as written: its YAML lints and runs, its Python runs, its commands and names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from crosscorrect.cli import main
from crosscorrect.suite import find_suites, lint, load_suite

if TYPE_CHECKING:
    import click

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def blocks(language: str) -> list[str]:
    found = [text for name, text in BLOCKS if name == language]
    assert found, f"the README has no {language} block"
    return found


def commands() -> list[str]:
    lines = [line.partition("#")[0].strip() for text in blocks("sh") for line in text.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith("crosscorrect ")])
def test_every_command_of_the_readme_parses(line: str) -> None:
    arguments = shlex.split(line)[1:]
    command: click.Command = main
    while hasattr(command, "commands") and arguments:
        command = command.commands[arguments.pop(0)]
    # a folder of results need not be there for a command to be well-formed; anything else must be
    parser = command.make_parser(command.make_context(command.name, ["--help"], resilient_parsing=True))
    options, rest, _ = parser.parse_args(list(arguments))
    assert options or rest or not arguments


@pytest.mark.parametrize("target", [c.split()[1] for c in commands() if c.startswith("make ")])
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_problem_that_the_readme_explains_exists() -> None:
    ids = re.findall(r"\bchapter/\S+", "\n".join(commands()))
    assert ids
    known = {problem.id for path in find_suites(["chapter"]) for problem in load_suite(path).problems()}
    assert set(ids) <= known


@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_case_of_the_readme_is_clean_and_passes(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert lint(tmp_path / "mine.yaml") == []
    arguments = ["run", str(tmp_path / "mine.yaml"), "-f", "numpy", "--results", str(tmp_path), "--no-report", "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert '"total": 3' in done.output


@pytest.mark.parametrize("text", blocks("python"))
def test_the_python_of_the_readme_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102  it is our own README
    assert len(names["again"].checks) == len(names["run"].checks) > 90  # type: ignore[attr-defined]


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_file_the_readme_links_to_exists(link: str) -> None:
    assert (ROOT / link).exists()
