"""What the documents say works as written: commands parse, what can run here runs and prints what is shown."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING

import click
import pytest

from crosscorrect.model import Exit, Outcome, Reason
from crosscorrect.suite import find_suites, lint, load_suite
from pages import FOLLOWED, LEFT_OUT, PAGES, ROOT, Command, Reader, alike, blocks, commands, parse

if TYPE_CHECKING:
    from pathlib import Path

LISTS = "it lists what can be asked, with the reader's own names in it"
NOT_FOLLOWED = {
    "docs/index.md": "its two commands are those of the tutorial",
    "README.md": LISTS,
    "CONTRIBUTING.md": "make and tox build environments; tests/test_docs.py asks whether each exists",
    "docs/outputs.md": "its job is for GitHub; tests/test_outputs_doc.py reads it",
    "docs/pytest.md": "tests/test_docs_pytest.py follows it, with pytest's own commands",
    "docs/runs.md": LISTS,
    "docs/terminal.md": "it shows the options that all commands have; tests/test_terminal.py tries each",
    "docs/scale.md": "it needs a cluster; tests/test_cluster.py has one",
}
"""The other pages that show commands, and why those are parsed only."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shown(program: str) -> list[Command]:
    found = [command for page in PAGES for command in commands(page) if command.words[0] == program]
    assert found, f"no page shows {program}"
    return found


@pytest.mark.parametrize("page", FOLLOWED, ids=name)
def test_a_page_works_when_it_is_followed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)
    reader.follow(page)
    assert reader.ran, f"nothing on {name(page)} is run"


def test_every_page_with_commands_is_followed_or_says_why_not() -> None:
    with_commands = {name(page) for page in PAGES if commands(page)}
    assert with_commands <= {*map(name, FOLLOWED), *NOT_FOLLOWED}
    assert set(NOT_FOLLOWED) <= with_commands


def test_every_reason_to_leave_a_command_out_is_needed() -> None:
    texts = [command.text for page in FOLLOWED for command in commands(page)]
    for pattern in LEFT_OUT:
        assert any(re.search(pattern, text) for text in texts), pattern


@pytest.mark.parametrize("command", shown("crosscorrect"), ids=lambda c: f"{c.place} {c.text}")
def test_every_command_shown_is_one_that_the_parser_knows(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "expectations").mkdir()  # a folder of the reader's
    parse(command)


@pytest.mark.parametrize("line", ["crosscorrect runs", "crosscorrect run --no-such", "crosscorrect run --mode lazy"])
def test_a_command_that_does_not_exist_would_be_told(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(Command("here", line, 0))


@pytest.mark.parametrize("command", shown("make"), ids=lambda c: c.place)
def test_every_make_target_exists(command: Command) -> None:
    assert re.search(rf"^{command.words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_environment_shown_exists() -> None:
    environments = (ROOT / "tox.ini").read_text(encoding="utf-8")
    seen = set[str]()
    for page in PAGES:
        for command in commands(page):
            if command.words[0].endswith("tox") and "-e" in command.words:
                for wanted in command.words[command.words.index("-e") + 1].split(","):
                    seen.add(wanted)
                    assert re.search(rf"[\[:{{,]{wanted}[\]}},]", environments), command
    assert seen


def test_every_extra_that_a_page_installs_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for command in shown("pip"):
        for wanted in re.findall(r"\[([\w,]+)\]", command.text):
            assert set(wanted.split(",")) <= set(extras), command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_a_page_links_to_exists(page: Path) -> None:
    code = re.compile(r"^```.*?^```|<!--.*?-->|`[^`]*`", re.DOTALL | re.MULTILINE)
    text = code.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\((?!http|#|mailto)([^)#\s]+)", text):
        assert (page.parent / link).exists(), link


def test_the_problems_of_the_chapter_that_pages_name_exist() -> None:
    named = {
        word
        for page in PAGES
        for command in commands(page)
        for word in command.words
        if re.match(r"(chapter|problems)/[\w-]+@?[^*?]*$", word)
    }
    suites = find_suites(["chapter", "problems"])
    known = {problem.id for path in suites for problem in load_suite(path).problems()}
    assert named
    assert named <= known | {problem.partition("@")[0] for problem in known}


@pytest.mark.parametrize(
    ("told", "printed", "right"),
    [
        ("report: results/20261125T041730.698-26518/x", "report: results/20300101T000000.000-1/x", True),
        ("done in 3 s", "done in 4.25 s", True),
        ("1 passed\n…\nend", "1 passed\nand\nmore\nend", True),
        ("1 passed", "2 passed", False),
        ("1 passed", "1 passed\nand more", False),
    ],
)
def test_what_is_printed_is_compared_but_for_times_and_folders(told: str, printed: str, right: bool) -> None:
    assert alike(told, printed) is right


def made(name: str) -> str:
    """What the site makes of a comment in a page of the reference."""
    spec = importlib.util.spec_from_file_location("docs_keys", ROOT / "docs" / "keys.py")
    assert spec is not None
    assert spec.loader is not None
    keys = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(keys)
    text: str = keys.filled(f"<!-- {name} -->")
    return text


@pytest.mark.parametrize("name", ["suite.schema.json", "expectations.schema.json"])
def test_the_reference_has_every_key_of_a_schema(name: str) -> None:
    text = made(f"keys: {name}")

    def keys(node: object) -> set[str]:
        if isinstance(node, dict):
            own = set(node["properties"]) if isinstance(node.get("properties"), dict) else set()
            return own.union(*map(keys, node.values()))
        return set().union(*map(keys, node)) if isinstance(node, list) else set()

    wanted = keys(json.loads((files("crosscorrect_cases") / name).read_text(encoding="utf-8")))
    assert len(wanted) > 10
    assert wanted <= set(re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE))
    for link in re.findall(r"\]\(#([\w-]+)\)", text):
        assert re.search(rf"^## `?{link}`?$", text, flags=re.MULTILINE), link


def test_the_reference_tells_the_values_of_a_key() -> None:
    text = made("keys: suite.schema.json")
    assert "| `layer` | `builtin`, `custom` |" in text
    assert "| `steps` | integer from 1 to 100000 |" in text
    assert "| `x` | list or [mapping](#array) |" in text
    assert "| `crosscorrect` (required) | `1` |" in text


def test_the_reference_has_every_exit_code_by_its_name() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, flags=re.MULTILINE)
    assert [(int(code), word) for code, word in told] == [(code.value, code.name) for code in Exit]


def test_the_reference_has_every_outcome_and_reason() -> None:
    page = (ROOT / "docs/howto/verdict.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|([^|]*)\|", page, flags=re.MULTILINE))))
    assert told >= {*Outcome} | {*Reason} - {Reason.NONE}


def test_a_command_that_ends_otherwise_than_shown_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=r"here: crosscorrect cases lint none\.yaml: exit code 2"):
        Reader(tmp_path).run(Command("here", "crosscorrect cases lint none.yaml", 0))
    with pytest.raises(AssertionError, match="nobody knows how to run"):
        Reader(tmp_path).run(Command("here", "curl example.org", 0))


README = ROOT / "README.md"


def of_readme(language: str) -> list[str]:
    found = [block.text for block in blocks(README) if block.language == language]
    assert found, f"the README has no {language} block"
    return found


@pytest.mark.parametrize("text", of_readme("yaml"))
def test_the_case_of_the_readme_is_clean_and_passes(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    assert lint(tmp_path / "mine.yaml") == []
    printed = Reader(tmp_path, lambda _: None).run(
        Command("README.md", "crosscorrect run mine.yaml -f numpy --no-report --json", 0)
    )
    assert '"total": 3' in str(printed)


def test_the_python_of_the_readme_runs_and_its_wrong_loop_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for text in of_readme("python"):
        exec(compile(text, "README.md", "exec"), names)  # noqa: S102  it is our own README
    assert "the kernel is flipped: convolution instead of cross-correlation" in capsys.readouterr().out
    assert len(names["again"].checks) == len(names["run"].checks) > 90  # type: ignore[attr-defined]
