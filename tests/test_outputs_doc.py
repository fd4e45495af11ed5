"""What docs/outputs.md says works: its commands parse, its job is YAML, its files are what a report writes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from commandline import invoke
from crosscorrect.changes import Kind
from crosscorrect.cli import main
from crosscorrect_reports import summary
from crosscorrect_reports.diff.words import MARKS
from made_runs import check, finished

if TYPE_CHECKING:
    import click

TEXT = (Path(__file__).parent.parent / "docs" / "outputs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)


def blocks(language: str) -> list[str]:
    found = [text for name, text in BLOCKS if name == language]
    assert found, f"there is no {language} block"
    return found


def job() -> dict[str, Any]:
    read: dict[str, Any] = YAML(typ="safe", pure=True).load(blocks("yaml")[0])
    return read


def commands() -> list[str]:
    lines = [
        line.partition(" #")[0].partition(" || ")[0].strip() for text in blocks("sh") for line in text.splitlines()
    ]
    for step in job()["jobs"]["conformance"]["steps"]:
        told = step.get("run", "").replace("if test -d base && ", "")
        lines += [line.partition(" || ")[0] for line in told.splitlines()]
    return [line for line in lines if line.startswith("crosscorrect ")]


@pytest.mark.parametrize("line", commands())
def test_every_command_parses(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command: click.Command = main.commands[name]
    parser = command.make_parser(command.make_context(name, ["--help"], resilient_parsing=True))
    options, rest, _ = parser.parse_args(arguments)
    assert options or rest


def test_the_job_runs_compares_comments_and_judges_in_this_order() -> None:
    steps = "\n".join(step.get("run", "") for step in job()["jobs"]["conformance"]["steps"])
    places = [
        steps.index(word)
        for word in ("crosscorrect run", "gh run download", "crosscorrect diff", "gh pr comment", "crosscorrect gate")
    ]
    assert places == sorted(places)


def test_the_files_are_those_that_a_report_writes(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", [check()])
    written = {Path(line).name for line in invoke("report", run).stdout.splitlines()}
    table = TEXT.partition("## ")[0]
    named = set(re.findall(r"`([\w.]+\.(?:html|md|xml|json|svg|csv))`", table))
    assert named == {name for name in written if not name.endswith(".csv")} | {"checks.csv"}


def test_the_summary_that_is_shown_has_the_keys_and_types_of_the_schema() -> None:
    shown = json.loads(blocks("json")[0])
    schema = summary.schema()
    for key, value in shown.items():
        whole = {"$defs": schema["$defs"], **schema["properties"][key]}
        missing = [
            error
            for error in jsonschema.Draft202012Validator(whole).iter_errors(value)
            if error.validator != "required"
        ]
        assert missing == [], key  # it is shortened, and else as the schema says


def test_every_kind_of_change_is_explained_with_its_glyph() -> None:
    assert all(f"{MARKS[kind].glyph} {kind}" in TEXT for kind in Kind)
