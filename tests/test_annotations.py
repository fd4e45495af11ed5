"""GitHub's annotations: at the line of the case, in commands that nothing a stranger wrote can end or begin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from commandline import invoke
from crosscorrect import gate, store
from crosscorrect.model import Exit, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.annotate import Sources, command, commands
from crosscorrect_reports.causes import telling
from crosscorrect_reports.refusals import by_cause, cards as refusals
from crosscorrect_reports.text import clean
from made_runs import check, finished
from test_reports import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

FAIL = Outcome.FAIL
COMMAND = re.compile(r"::(?P<kind>[a-z-]+) (?P<properties>[^:]*)::(?P<data>.*)", re.DOTALL)
EXPECT = "crosscorrect: 1\nframework: fw\nversions: ''\nexpect:\n- {problems: s/first, outcome: fail, reason: seen}\n"


def parsed(line: str) -> dict[str, str]:
    """A command as the runner reads it (ActionCommand.TryParseV2 of github.com/actions/runner)."""
    found = COMMAND.fullmatch(line)
    assert found, line
    properties = dict(part.split("=", 1) for part in found["properties"].split(","))
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        properties = {name: value.replace(escaped, plain) for name, value in properties.items()}
    data = found["data"]
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        data = data.replace(escaped, plain)
    return {"kind": found["kind"], "says": data, **properties}


def told(run: Path, root: Path, expectations: Path | None = None, **more: Any) -> list[dict[str, str]]:
    loaded = store.load(run)
    ruling, judged = gate.rule(loaded, expectations), frames.judged(loaded, expectations)
    return [parsed(line) for line in commands(loaded, ruling, judged, root, expectations, **more)]


def suite(path: Path, name: str = "s", case: str = "first") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cases = f"  - {{id: other, operation: corr2d}}\n  - id: {case}\n    operation: corr2d\n"
    path.write_text(f"crosscorrect: 1\nsuite: {name}\ncases:\n{cases}", encoding="utf-8")
    return path


@given(st.text(st.characters(), max_size=80), st.text(st.characters(), max_size=40))
def test_a_command_is_one_line_and_reads_back_as_what_was_meant(message: str, title: str) -> None:
    line = command("error", message, title=title, place=("a, b:c.yaml", 3))
    assert len(line.splitlines()) == 1
    read = parsed(line)
    assert (read["kind"], read["file"], read["line"]) == ("error", "a, b:c.yaml", "3")
    assert set(read) == {"kind", "says", "file", "line", "title"}


@pytest.mark.parametrize(
    "message",
    ["x\n::add-mask::secret", "x\r::stop-commands::y", "%0A::error::z", "::error::x", "a::b,c=d", "x\u2028::error::y"],
)
def test_no_message_begins_a_second_command(message: str) -> None:
    line = command("error", message, title=message, place=(message, 1))
    assert line.count("\n") == line.count("\r") == 0
    assert [part for part in re.split(r"[\r\n\u2028\u2029\x85]", line) if part.lstrip().startswith("::")] == [line]
    assert parsed(line)["says"] == clean(message)


def test_a_surprise_is_at_the_line_of_its_case(tmp_path: Path) -> None:
    suite(tmp_path / "cases" / "mine" / "s.yaml")
    run = finished(tmp_path / "results" / "run", [check(outcome=FAIL, message="25 is right", diagnosis="flipped (2)")])
    error, notice = told(run, tmp_path)
    assert (error["kind"], error["file"], error["line"]) == ("error", "cases/mine/s.yaml", "5")
    assert error["title"] == "crosscorrect: fw eager: fail"
    assert "25 is right\nflipped (2)" in error["says"]
    assert notice["kind"] == "notice"
    assert "1 surprise" in notice["says"]


def test_what_passes_against_an_expectation_is_at_the_entry_that_is_to_be_removed(tmp_path: Path) -> None:
    folder = tmp_path / "known"
    folder.mkdir()
    (folder / "fw.yaml").write_text(EXPECT, encoding="utf-8")
    suite(tmp_path / "s.yaml")
    error, _ = told(finished(tmp_path / "run", [check()]), tmp_path, folder)
    assert (error["file"], error["line"]) == ("known/fw.yaml", "5")


def test_a_stale_entry_is_at_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "known"
    folder.mkdir()
    (folder / "fw.yaml").write_text(EXPECT, encoding="utf-8")
    error, _ = told(finished(tmp_path / "run", [check("s/other")]), tmp_path, folder)
    assert "stale" in error["says"]
    assert (error["file"], error["line"]) == ("known/fw.yaml", "5")


@pytest.mark.parametrize("case", ["absent", "elsewhere", "another suite", "another case", "no yaml", "hidden"])
def test_what_has_no_place_in_the_checkout_is_told_without_one(tmp_path: Path, case: str) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    if case == "elsewhere":
        (root / "s.yaml").symlink_to(suite(tmp_path / "s.yaml"))
    elif case == "another suite":
        suite(root / "s.yaml", name="t")
    elif case == "another case":
        suite(root / "s.yaml", case="second")
    elif case == "no yaml":
        (root / "s.yaml").write_text("{{{", encoding="utf-8")
    elif case == "hidden":
        suite(root / ".tox" / "s.yaml")
    error, _ = told(finished(tmp_path / "run", [check(outcome=FAIL)]), root)
    assert "file" not in error
    assert "s/first" in error["says"]


@pytest.mark.parametrize("file", ["../s.yaml", "/etc/passwd", "s.yaml\0", "a/s.yaml", ""])
def test_no_path_that_a_run_says_is_opened(tmp_path: Path, file: str) -> None:
    suite(tmp_path / "s.yaml")
    suite(tmp_path / "root" / "a" / "s.yaml")
    suites = [{"name": "s", "title": "S", "file": file, "digest": "d"}]
    run = store.load(finished(tmp_path / "run", [check(outcome=FAIL)], suites=suites))
    assert Sources(run, tmp_path / "root").of_problem("s/first") is None


def test_a_thousand_failures_with_one_cause_are_one_annotation(tmp_path: Path) -> None:
    rows = [check(f"s/{i}", outcome=FAIL, diagnosis=f"flipped ({i})") for i in range(1000)]
    error, notice = told(finished(tmp_path / "run", rows), tmp_path)
    assert "1000 checks: s/0, s/1, s/2 and 997 more" in error["says"]
    assert "1000 surprises" in notice["says"]


GRAVE = [
    *(check(f"s/refused{n}", outcome=Outcome.UNSUPPORTED, message=f"no operator for {n} channels") for n in range(9)),
    *(check(f"s/float{n}", outcome=Outcome.UNSUPPORTED, message="not in this dtype") for n in range(3)),
    *(check(f"s/raised{n}", outcome=Outcome.ERROR, message="ValueError") for n in range(7)),
    check("s/killed", outcome=Outcome.CRASH, message="killed"),
    *(check(f"s/late{n}", outcome=Outcome.TIMEOUT, message="no answer") for n in range(2)),
    check("s/shifted", outcome=FAIL, message="7 is wrong", diagnosis="shifted (4)"),
    *(check(f"s/flipped{n}", outcome=FAIL, message=f"{n} is wrong", diagnosis=f"flipped ({n})") for n in range(4)),
]
"""Surprises from the lightest to the gravest, and what is as grave from many to few and the other way round."""

IN_ORDER = ["s/flipped0", "s/shifted", "s/late0", "s/killed", "s/raised0", "s/refused0", "s/float0"]
"""The first of each kind of these, the gravest first, then the most."""


def test_the_gravest_annotations_come_first_and_refusals_for_another_reason_are_another(tmp_path: Path) -> None:
    *errors, _ = told(finished(tmp_path / "run", GRAVE), tmp_path)
    problems = [re.search(r"s/[a-z]+[0-9]?", error["says"]) for error in errors]
    assert [found and found[0] for found in problems] == IN_ORDER
    assert "9 checks" in errors[5]["says"], "a number in a message is no other reason"
    assert "3 checks" in errors[6]["says"]


def test_terminal_and_page_tell_surprises_in_the_same_order(tmp_path: Path) -> None:
    run = store.load(finished(tmp_path / "run", [row for row in GRAVE if "refused" not in row.problem]))
    printed = "\n".join(cause.line for cause in telling(gate.rule(run), run=run))
    cards = [group[0] for _, group in by_cause(refusals(run, frames.judged(run))[0])]
    names = [name for name in IN_ORDER if "refused" not in name]
    assert sorted(names, key=printed.index) == names
    assert [card.checks[0]["problem"] for card in cards] == names


def test_what_is_as_grave_and_as_many_stays_in_the_order_of_the_run(tmp_path: Path) -> None:
    rows = [check(f"s/{name}", outcome=Outcome.ERROR, message=name) for name in "dacb"]
    *errors, _ = told(finished(tmp_path / "run", rows), tmp_path)
    assert [error["says"].rpartition(": ")[2] for error in errors] == list("dacb")


def test_each_entry_that_no_longer_holds_has_an_annotation_at_its_own_line(tmp_path: Path) -> None:
    folder = tmp_path / "known"
    folder.mkdir()
    (folder / "fw.yaml").write_text(f"{EXPECT}- {{problems: s/two, outcome: fail, reason: seen}}\n", encoding="utf-8")
    *errors, _ = told(finished(tmp_path / "run", [check(), check("s/two")]), tmp_path, folder)
    assert [error["line"] for error in errors] == ["5", "6"]


def test_of_each_kind_there_are_as_many_as_github_shows_and_the_rest_is_counted(tmp_path: Path) -> None:
    rows = [check(f"s/{i}", outcome=FAIL, diagnosis=f"{'abcdefghijklm'[i]} wrong") for i in range(13)]
    found = told(finished(tmp_path / "run", rows), tmp_path, slower=["slow"])
    assert [one["kind"] for one in found] == ["error"] * 10 + ["notice"]
    assert "4 errors more are in the report" in found[-1]["says"]


def test_what_became_slower_is_an_error(tmp_path: Path) -> None:
    found = told(finished(tmp_path / "run", [check()]), tmp_path, slower=["p forward takes 1.2 times as long"])
    assert [(one["kind"], one["title"]) for one in found] == [
        ("error", "crosscorrect: slower"),
        ("notice", "crosscorrect"),
    ]


def test_a_run_as_expected_is_a_notice_alone(tmp_path: Path) -> None:
    (notice,) = told(finished(tmp_path / "run", [check()]), tmp_path)
    assert notice["says"].startswith("Every check came out as expected.")


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    suite(tmp_path / "s.yaml")
    hostile = f"x\n::add-mask::secret {HOSTILE}"
    return finished(tmp_path / "run", [check(outcome=FAIL, message=hostile)])


def test_the_gate_prints_annotations_where_it_is_asked_to_and_only_then(failing: Path) -> None:
    said = invoke("gate", failing, "--annotations", "github")
    assert said.exit_code == Exit.NOT_CONFORMANT
    assert "::error file=s.yaml,line=5,title=" in said.stdout
    assert "::" not in invoke("gate", failing).stdout.replace("::add-mask::", "")


def test_what_the_gate_prints_for_people_is_obeyed_by_no_runner(failing: Path) -> None:
    lines = invoke("gate", failing, "--annotations", "github").stdout.splitlines()
    (token,) = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[0]).groups()  # type: ignore[union-attr]
    end = lines.index(f"::{token}::")
    assert any("add-mask" in line for line in lines[1:end])
    kinds = {line.split()[0] for line in lines[end + 1 :]}
    assert kinds == {"::error", "::notice"}


def test_a_quiet_gate_that_is_as_expected_says_nothing(tmp_path: Path) -> None:
    said = invoke("gate", finished(tmp_path / "run", [check()]), "--annotations", "github", "-q")
    assert (said.exit_code, said.stdout) == (Exit.OK, "")


def test_annotations_and_json_are_not_printed_into_one_another(failing: Path) -> None:
    said = invoke("gate", failing, "--annotations", "github", "--json")
    assert (said.exit_code, "choose one" in said.stderr) == (Exit.USAGE, True)


def test_the_step_summary_is_added_to_what_is_there_where_it_is_asked_for(failing: Path, tmp_path: Path) -> None:
    target = tmp_path / "summary.md"
    target.write_text("before\n", encoding="utf-8")
    invoke("gate", failing, "-q")
    assert target.read_text(encoding="utf-8") == "before\n"
    invoke("gate", failing, "--step-summary")
    assert target.read_text(encoding="utf-8").startswith("before\n## ✘ crosscorrect: Something came out otherwise")


def test_a_summary_that_is_longer_than_github_takes_is_the_verdict_alone(
    failing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosscorrect.cli.github.LARGEST", 100)
    invoke("gate", failing, "--step-summary")
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "1 surprise" in text
    assert "report.md" in text
    assert "s/first" not in text


def test_outside_of_github_there_is_no_step_summary_and_that_is_said(
    failing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    said = invoke("gate", failing, "--step-summary")
    assert said.exit_code == Exit.NOT_CONFORMANT
    assert "GITHUB_STEP_SUMMARY is not set" in said.stderr
