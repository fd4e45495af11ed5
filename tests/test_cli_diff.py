"""The command diff: what it prints and writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commandline import SUITE, invoke
from crosscorrect.model import Exit, Outcome
from crosscorrect_reports.diff.markdown import MARKER
from made_runs import check, finished

FAIL = Outcome.FAIL


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """A run in which all passes, and one in which a check fails."""
    then = finished(tmp_path / "then", [check("s/one"), check("s/two")])
    return then, finished(tmp_path / "now", [check("s/one"), check("s/two", outcome=FAIL, message="25 is right")])


def test_a_regression_is_exit_code_1_and_is_told(runs: tuple[Path, Path]) -> None:
    said = invoke("diff", *runs)
    assert said.exit_code == Exit.NOT_CONFORMANT
    assert "1 check regressed." in said.stdout
    assert "s/two" in said.stdout


def test_the_other_way_round_it_is_fixed_and_exit_code_0(runs: tuple[Path, Path]) -> None:
    said = invoke("diff", *reversed(runs))
    assert said.exit_code == Exit.OK
    assert "Nothing got worse." in said.stdout
    assert "fixed: 1 check" in said.stdout


def test_a_run_beside_itself_says_no_change(runs: tuple[Path, Path]) -> None:
    said = invoke("diff", runs[0], runs[0])
    assert (said.exit_code, "No change." in said.stdout) == (Exit.OK, True)


def test_to_only_show_ends_with_zero_and_quiet_says_nothing_unless_something_got_worse(
    runs: tuple[Path, Path],
) -> None:
    assert json.loads(invoke("diff", *runs, "--exit-zero", "--json").stdout)["exit"] == Exit.OK
    shown = invoke("diff", *runs, "--exit-zero")
    assert (shown.exit_code, "1 check regressed." in shown.stdout) == (Exit.OK, True)
    assert invoke("diff", *reversed(runs), "-q").stdout == ""
    assert "1 check regressed." in invoke("diff", *runs, "-q").stdout


def test_the_json_is_one_object_with_the_exit_code_of_the_command(runs: tuple[Path, Path]) -> None:
    said = invoke("diff", *runs, "--json")
    told = json.loads(said.stdout)
    assert (told["schema"], told["exit"], said.exit_code) == (1, 1, 1)
    assert told["counts"]["regressed"] == 1
    assert [one["problem"] for one in told["checks"]] == ["s/two"]


def test_markdown_is_printed_alone_or_written(runs: tuple[Path, Path], tmp_path: Path) -> None:
    said = invoke("diff", *runs, "--markdown", "-")
    assert said.stdout.startswith(f"{MARKER}\n## ✘ crosscorrect: 1 check regressed.\n")
    written = invoke("diff", *runs, "--markdown", tmp_path / "diff.md")
    assert (tmp_path / "diff.md").read_text(encoding="utf-8") == said.stdout
    assert MARKER not in written.stdout
    assert said.exit_code == written.exit_code == Exit.NOT_CONFORMANT


def test_a_page_is_written_whole_beside_a_run_without_breaking_its_seal(runs: tuple[Path, Path]) -> None:
    invoke("report", runs[1])
    said = invoke("diff", *runs, "--html", runs[1] / "diff.html")
    assert f"page: {runs[1] / 'diff.html'}" in said.stdout.replace("\n", "")
    assert 'href="report.html#s/two"' in (runs[1] / "diff.html").read_text(encoding="utf-8")
    assert invoke("verify", runs[1]).exit_code == Exit.OK


@pytest.mark.parametrize("option", ["--html", "--markdown"])
def test_a_folder_that_is_not_there_is_one_sentence_with_the_names_that_the_user_gave(
    runs: tuple[Path, Path], tmp_path: Path, option: str
) -> None:
    file = tmp_path / "nowhere" / "diff.x"
    said = invoke("diff", *runs, option, file)
    told = f"crosscorrect: {file} cannot be written: there is no folder {file.parent}; make it first\n"
    assert (said.exit_code, said.stderr, said.stdout) == (Exit.USAGE, told, "")


@pytest.mark.parametrize("name", ["", "."])
def test_a_folder_is_no_file_to_write_to(runs: tuple[Path, Path], name: str) -> None:
    said = invoke("diff", *runs, "--markdown", name)
    assert (said.exit_code, said.stderr) == (Exit.USAGE, "crosscorrect: . is a folder; name a file in it\n")


def test_two_outputs_cannot_both_be_printed(runs: tuple[Path, Path]) -> None:
    said = invoke("diff", *runs, "--markdown", "-", "--json")
    assert (said.exit_code, "name a file" in said.stderr) == (Exit.USAGE, True)


def test_what_is_no_run_is_refused_and_a_changed_byte_is_damage(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert "is not a run folder" in invoke("diff", runs[0], tmp_path).stderr
    with (runs[1] / "checks.parquet").open("ab") as stream:
        stream.write(b"x")
    assert invoke("diff", *runs).exit_code == Exit.DAMAGED


@pytest.mark.parametrize("content", ["[" * 10**6, '{"finished": true, "schema": 3}', "null", '{"a": ' * 10**5])
def test_a_hostile_run_json_is_one_sentence_on_either_side(runs: tuple[Path, Path], content: str) -> None:
    (runs[0] / "run.json").write_text(content, encoding="utf-8")
    for sides in (runs, reversed(runs)):
        said = invoke("diff", *sides)
        assert said.exit_code in (Exit.USAGE, Exit.DAMAGED)
        assert said.stderr.startswith("crosscorrect: ")
        assert said.stderr.count("\n") == 1


def test_the_latest_run_is_the_second_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for adapter in ((), ("--adapter", "numpy=mutants:Unwritten")):
        invoke("run", "tiny.yaml", "-f", "numpy", *adapter, "--no-report", "-q")
    first, _ = sorted(path for path in Path("results").iterdir() if not path.is_symlink())
    said = invoke("diff", first, "--json")
    told = json.loads(said.stdout)
    assert said.exit_code == Exit.NOT_CONFORMANT
    assert [(one["problem"], one["kind"]) for one in told["checks"]] == [("tiny/one", "regressed")]
    assert [(one["what"], one["framework"]) for one in told["around"]] == [("code", "numpy")]


def test_expectations_of_ones_own_say_which_regressions_are_known(runs: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    text = "crosscorrect: 1\nframework: fw\nversions: ''\nexpect:\n- {problems: s/two, outcome: fail, reason: seen}\n"
    (folder / "fw.yaml").write_text(text, encoding="utf-8")
    said = invoke("diff", *runs, "--expectations", folder)
    assert said.exit_code == Exit.OK
    assert "known, fw.yaml:5: seen" in said.stdout
