"""Every command: its exit codes and what it shows."""

from __future__ import annotations

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commandline import SUITE, invoke
from crosscorrect import __version__, store
from crosscorrect.cli import INTERRUPTED
from crosscorrect.model import Exit, Outcome
from made_runs import check, finished

UNWRITTEN = "Unwritten=mutants:Unwritten"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, suite: Path) -> Path:
    """A results folder with one run in it, of numpy and of an adapter that loses the last element of the loop."""
    folder = tmp_path_factory.mktemp("results")
    frameworks = ("-f", "numpy", "-f", "Unwritten", "--adapter", UNWRITTEN)
    result = invoke("run", suite, *frameworks, "--results", folder, "--no-report", "--json")
    assert result.exit_code == Exit.NOT_CONFORMANT, result.stderr
    said = json.loads(result.stdout)
    assert (said["exit"], said["total"], said["passed"], said["missing"]) == (1, 4, 3, [])
    (finding,) = said["findings"]
    assert finding.startswith("Unwritten eager tiny/one forward: unexpected fail (bound A)")
    assert result.stderr == ""
    return folder


def test_a_run_in_which_all_pass_ends_with_zero_and_says_so_in_one_json_object(suite: Path, tmp_path: Path) -> None:
    result = invoke("run", suite, "-f", "numpy", "--results", tmp_path, "--no-report", "--json")
    assert result.exit_code == Exit.OK
    said = json.loads(result.stdout)
    assert (said["total"], said["passed"], said["findings"]) == (2, 2, [])
    assert Path(said["run"]).is_dir()
    assert (tmp_path / "latest").resolve() == Path(said["run"]).resolve()


def test_a_quiet_run_in_which_all_pass_says_nothing(suite: Path, tmp_path: Path) -> None:
    result = invoke("run", suite, "-f", "numpy", "--results", tmp_path, "--no-report", "-q", "-k", "tiny/two")
    assert (result.exit_code, result.stdout, result.stderr) == (Exit.OK, "", "")


def test_a_log_hears_of_each_framework_s_start_and_first_verdict_and_of_what_does_not_pass_as_it_happens(
    suite: Path, tmp_path: Path
) -> None:
    frameworks = ("-f", "numpy", "-f", "Unwritten", "--adapter", UNWRITTEN)
    lines = invoke("run", suite, *frameworks, "--results", tmp_path, "--no-report").stderr.splitlines()
    for name in ("numpy", "Unwritten"):
        (start,) = [place for place, line in enumerate(lines) if line.startswith(f"{name}: started, 2 checks: numpy ")]
        (verdict,) = [place for place, line in enumerate(lines) if line.startswith(f"{name}: first verdict: ")]
        assert start < verdict
    (failure,) = [line for line in lines if " eager " in line]
    assert failure.startswith("Unwritten eager tiny/one forward: fail (bound A), ")
    assert lines.index(failure) < len(lines) - 1  # the counts come last
    assert any(line.startswith("numpy") and "2/2" in line for line in lines)


def test_a_terminal_has_bars_that_know_their_total_and_a_line_for_what_does_not_pass(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ("-f", "Unwritten", "--adapter", UNWRITTEN, "--results", tmp_path, "--no-report")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", invoke("run", suite, *arguments).stderr)
    assert "Unwritten eager tiny/one forward: fail (bound A), " in shown
    assert "2/2" in shown
    assert "first verdict" not in shown


def test_a_message_in_the_log_is_its_first_line_and_no_terminal_obeys_it(suite: Path, tmp_path: Path) -> None:
    arguments = ("-f", "Raises", "--adapter", "Raises=mutants:Raises", "--results", tmp_path, "--no-report")
    told = invoke("run", suite, *arguments, "-k", "tiny/one").stderr
    words = "error, RuntimeError: could not create a descriptor for ␛[31m<b>this</b>"
    assert f"Raises eager tiny/one forward: {words}\n" in told
    assert "\x1b" not in told


def test_what_the_expectations_list_is_not_told_as_it_happens(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "crosscorrect: 1\nframework: Raises\nversions: ''\n"
        "expect:\n- {problems: tiny/one, outcome: error, reason: It raises., message: descriptor}\n",
        encoding="utf-8",
    )
    arguments = ("-f", "Raises", "--adapter", "Raises=mutants:Raises", "--results", tmp_path / "results")
    result = invoke("run", suite, *arguments, "--expectations", tmp_path, "--no-report")
    assert result.exit_code == Exit.OK, result.stderr
    assert "Raises eager tiny/one" not in result.stderr


def test_what_is_missing_is_said_once_and_not_for_each_check(suite: Path, tmp_path: Path) -> None:
    arguments = ("-f", "Broken", "--adapter", "Broken=mutants:BrokenInstall", "--results", tmp_path, "--no-report")
    told = invoke("run", suite, *arguments).stderr
    assert "Broken: missing, 2 checks: " in told
    assert told.count("libbroken.so.1") == 1


def test_the_number_of_checks_that_is_told_at_the_start_is_how_many_there_are_in_the_end(tmp_path: Path) -> None:
    told = invoke("run", "chapter", "problems", "-f", "numpy", "-m", "all", "--results", tmp_path, "--no-report").stderr
    (promised,) = re.findall(r"numpy: started, (\d+) checks", told)
    assert int(promised) == len(store.load(tmp_path / "latest").checks) > 90


def test_a_framework_that_cannot_be_used_makes_the_run_incomplete(suite: Path, tmp_path: Path) -> None:
    arguments = (
        "-f",
        "Broken",
        "--adapter",
        "Broken=mutants:BrokenInstall",
        "--results",
        tmp_path,
        "--no-report",
        "--json",
    )
    result = invoke("run", suite, *arguments)
    assert result.exit_code == Exit.INCOMPLETE
    assert "libbroken.so.1" in json.loads(result.stdout)["missing"][0]


def test_a_suite_that_is_about_other_frameworks_ran_nothing(tmp_path: Path) -> None:
    path = tmp_path / "others.yaml"
    path.write_text(SUITE.replace("suite: tiny", "suite: others\ndefaults: {only: [torch]}"), encoding="utf-8")
    result = invoke("run", path, "-f", "numpy", "--results", tmp_path / "results", "--no-report", "--json")
    assert result.exit_code == Exit.NOTHING_RAN
    assert json.loads(result.stdout)["total"] == 0


def test_the_gate_judges_a_run_again_with_the_same_answer(results: Path) -> None:
    result = invoke("gate", results / "latest", "--json")
    assert result.exit_code == Exit.NOT_CONFORMANT
    assert len(json.loads(result.stdout)["findings"]) == 1
    shown = invoke("gate", results / "latest")
    assert shown.exit_code == Exit.NOT_CONFORMANT
    assert "tiny/one" in shown.stdout


def test_the_gate_asks_for_required_frameworks(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", [check("s/first", "one")])
    assert invoke("gate", run, "--require", "one", "--json").exit_code == Exit.OK
    result = invoke("gate", run, "--require", "one, two", "--json")
    assert result.exit_code == Exit.INCOMPLETE
    assert json.loads(result.stdout)["findings"] == ["two: required, and not in the run"]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [([Outcome.PASS], 0), ([Outcome.PASS, Outcome.FAIL], 1), ([Outcome.FAIL, Outcome.MISSING], 3), ([], 4)],
)
def test_the_gate_s_exit_code_is_the_answer(tmp_path: Path, outcomes: list[Outcome], code: int) -> None:
    rows = [check(f"s/{i}", "one", outcome) for i, outcome in enumerate(outcomes)]
    run = finished(tmp_path / "run", rows, frameworks=["one"])
    assert invoke("gate", run, "--json").exit_code == code
    assert invoke("gate", run, "-q").exit_code == code
    assert (invoke("gate", run, "-q").stdout == "") is (code == 0)


@pytest.mark.parametrize("command", [["gate"], ["report"], ["merge"], ["explain", "PROBLEM"]])
def test_a_folder_that_is_no_run_is_told_by_every_command_that_reads_one(tmp_path: Path, command: list[str]) -> None:
    result = invoke(command[0], tmp_path, *(["tiny/one"] if "PROBLEM" in command else []))
    assert result.exit_code == Exit.USAGE
    (message,) = result.stderr.splitlines()
    assert message == f"crosscorrect: {tmp_path} is not a run folder: it has no run.json; 'crosscorrect run' makes one"


def test_an_unfinished_run_is_incomplete(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", [check()])
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**info, "finished": False}), encoding="utf-8")
    result = invoke("gate", run)
    assert result.exit_code == Exit.INCOMPLETE
    assert "not finished" in result.stdout


def test_merging_prints_the_folder_of_the_merged_run(tmp_path: Path) -> None:
    shards = [finished(tmp_path / "shards" / name, [check(framework=name)]) for name in ("one", "two")]
    result = invoke("merge", *shards, "--require", "one,two", "--results", tmp_path / "results")
    assert result.exit_code == Exit.OK
    assert invoke("gate", result.stdout.strip(), "--require", "one,two", "--json").exit_code == Exit.OK
    refused = invoke("merge", *shards, "--require", "one,two,three", "--results", tmp_path / "none")
    assert refused.exit_code == Exit.INCOMPLETE
    assert refused.stderr == "crosscorrect: no shard of three; run its environment first\n"
    assert not (tmp_path / "none").exists()


def test_explain_shows_inputs_both_values_in_decimal_and_hex_and_how_to_run_it_again(results: Path) -> None:
    result = invoke("explain", results / "latest", "tiny/one", "-f", "Unwritten")
    assert result.exit_code == Exit.OK
    shown = result.stdout
    assert shown.startswith("tiny/one\nIn [1]: First\nLook here.\n")
    assert "x: float32 (3, 3)" in shown
    assert "Unwritten eager cpu forward: fail (bound A), tier A" in shown
    assert f"worst at (1,1): right 43.0 = {(43.0).hex()}, returned 0.0 = 0x0.0p+0" in shown
    assert "[37., 43.]" in shown
    assert "[37.,  0.]" in shown
    assert f"again: crosscorrect run tiny.yaml -k 'tiny/one' -f Unwritten --adapter {UNWRITTEN}\n" in shown


def test_explain_says_first_that_there_is_no_script_for_an_adapter_without_a_template(results: Path) -> None:
    asked = ("explain", results / "latest", "tiny/one", "-f", "Unwritten", "--adapter", UNWRITTEN)
    result = invoke(*asked, "--script", results / "bug.py")
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert "the adapter of Unwritten (mutants:Unwritten) ships no template for scripts" in result.stderr
    assert not (results / "bug.py").exists()


def test_explain_shows_every_framework_unless_asked_for_one(results: Path) -> None:
    shown = invoke("explain", results / "latest", "tiny/one").stdout
    assert "numpy eager cpu forward: pass, tier A" in shown
    assert "Unwritten eager cpu forward: fail" in shown
    assert shown.count("x: float32 (3, 3)") == 1
    assert "Unwritten" not in invoke("explain", results / "latest", "tiny/one", "-f", "numpy").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["tiny/onee"], "did you mean 'tiny/one'?"), (["tiny/one", "-f", "torch"], "no check of 'tiny/one' in torch")],
)
def test_explain_tells_what_is_not_in_the_run(results: Path, arguments: list[str], words: str) -> None:
    result = invoke("explain", results / "latest", *arguments)
    assert result.exit_code == Exit.USAGE
    assert words in result.stderr


def test_the_report_command_writes_the_report_s_files(results: Path) -> None:
    result = invoke("report", results / "latest")
    assert result.exit_code == Exit.OK
    written = [Path(line) for line in result.stdout.split()]
    assert {"report.html", "report.md", "junit.xml", "checks.csv"} <= {path.name for path in written}
    assert all(path.stat().st_size for path in written)


def test_cases_are_listed_with_their_source_and_every_problem_if_asked(suite: Path) -> None:
    listed = invoke("cases", "list", suite).stdout.splitlines()
    assert listed[0] == "tiny: tiny (cases: 2, problems: 2)"
    assert [line.split()[0] for line in listed[1:]] == ["one", "two"]
    assert "In [1]" in listed[1]
    assert invoke("cases", "list", "--problems", suite).stdout.splitlines()[1:] == ["  tiny/one", "  tiny/two"]


def test_all_shipped_cases_are_listed_when_none_is_named() -> None:
    result = invoke("cases", "list")
    assert result.exit_code == Exit.OK
    heads = [line.partition(":")[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert heads[:4] == ["chapter", "problems", "kernels", "recovery"]
    assert set(heads[4:]) == {
        "smoke", "geometry", "dtypes", "special", "gradients", "relations", "networks", "regressions", "speed",
        "handmade",
    }  # fmt: skip


def test_one_problem_is_shown_with_its_arrays() -> None:
    first = invoke("cases", "list", "chapter", "--problems").stdout.splitlines()[1].strip()
    result = invoke("cases", "show", first)
    assert result.exit_code == Exit.OK
    assert result.stdout.startswith(f"{first}\n")
    assert "operation " in result.stdout
    assert "x: float" in result.stdout


def test_a_problem_that_is_not_there_is_told_with_the_nearest() -> None:
    result = invoke("cases", "show", "chapter/worked-exampel")
    assert result.exit_code == Exit.USAGE
    assert "there is no problem chapter/worked-exampel; did you mean chapter/worked-example" in result.stderr


def test_a_problem_of_one_s_own_file_is_shown_and_without_the_file_the_message_says_how(suite: Path) -> None:
    result = invoke("cases", "show", "tiny/one", "--suite", suite)
    assert result.exit_code == Exit.OK
    assert result.stdout.startswith("tiny/one\nIn [1]: First\n")
    assert "x: float32 (3, 3)" in result.stdout
    refused = invoke("cases", "show", "tiny/one")
    assert refused.exit_code == Exit.USAGE
    assert refused.stderr == (
        "crosscorrect: no suite called tiny ships; name the problem's case file with --suite FILE\n"
    )
    assert "did you mean chapter, or name" in invoke("cases", "show", "chaptr/edge").stderr
    assert "did you mean tiny/one" in invoke("cases", "show", "tiny/onne", "--suite", suite).stderr


def test_lint_is_told_of_frameworks_that_are_not_installed(tmp_path: Path) -> None:
    path = tmp_path / "others.yaml"
    path.write_text(SUITE.replace("suite: tiny", "suite: others\ndefaults: {only: [acme]}"), encoding="utf-8")
    assert "no adapter has this name (got 'acme')" in invoke("cases", "lint", path).stderr
    assert invoke("cases", "lint", path, "-f", "acme").stdout == "clean\n"


def test_a_clean_file_is_clean(suite: Path) -> None:
    result = invoke("cases", "lint", suite)
    assert (result.exit_code, result.stdout) == (Exit.OK, "clean\n")


def test_the_schema_is_printed_as_it_ships() -> None:
    from importlib.resources import files

    shipped = (files("crosscorrect_cases") / "suite.schema.json").read_text(encoding="utf-8")
    assert invoke("cases", "schema").stdout == shipped


def test_frameworks_are_listed_with_where_they_are_and_probing_tells_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.setenv("COLUMNS", "200")
    plain, probed = invoke("frameworks"), invoke("frameworks", "--probe")
    for name in ("numpy", "mxnet", "torch", "tensorflow", "jax"):
        assert name in plain.stdout
    assert "this environment" in plain.stdout
    assert f"numpy {np.__version__}" in probed.stdout


def test_frameworks_refuses_interpreters_of_what_it_does_not_know() -> None:
    assert invoke("frameworks", "--python", "torhc=/usr/bin/python3").exit_code == Exit.USAGE
    assert invoke("frameworks", "--python", "torch").exit_code == Exit.USAGE


def outside(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crosscorrect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=cwd)


def test_as_a_process_it_has_the_same_exit_codes_and_messages(suite: Path, tmp_path: Path) -> None:
    done = outside("run", suite, "-f", "numpy", "--no-report", cwd=tmp_path)
    assert done.returncode == Exit.OK, done.stderr
    assert (tmp_path / "results" / "latest" / "checks.parquet").is_file()
    done = outside("run", "chaptr", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert done.stderr == "crosscorrect: there is no suite chaptr; did you mean chapter, or the path of a YAML file\n"


def test_an_interrupted_run_ends_with_130_and_one_sentence_that_says_where_it_is(suite: Path, tmp_path: Path) -> None:
    arguments = ["run", str(suite), "-f", "Hangs", "--adapter", "Hangs=mutants:Hangs", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "crosscorrect", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("Hangs: started"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == INTERRUPTED
    folder = (tmp_path / "latest").resolve()
    said = f"interrupted; what was judged so far is in {folder}: the same command with --resume goes on"
    assert rest.splitlines()[-1] == f"crosscorrect: {said}"
    assert "Traceback" not in rest
    assert "Aborted" not in rest
    assert not store.load(folder).info["finished"]


def test_any_command_that_is_interrupted_or_meets_a_broken_disk_says_so_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(error: BaseException) -> Any:
        def load(_: Path) -> Any:
            raise error

        return load

    monkeypatch.setattr(store, "load", raising(KeyboardInterrupt()))
    result = invoke("gate", tmp_path)
    assert (result.exit_code, result.stdout, result.stderr.strip()) == (INTERRUPTED, "", "crosscorrect: interrupted")
    monkeypatch.setattr(store, "load", raising(OSError(errno.EIO, "Input/output error", "/some/file")))
    result = invoke("gate", tmp_path)
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert result.stderr == "crosscorrect: /some/file: Input/output error\n"


def test_a_report_that_cannot_be_written_is_told_by_its_command(results: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree((results / "latest").resolve(), run)
    (run / "report.html").unlink(missing_ok=True)  # another test's
    (run / "report.html").mkdir()
    result = invoke("report", run)
    assert (result.exit_code, result.stdout) == (Exit.USAGE, "")
    assert result.stderr == f"crosscorrect: the report cannot be written: {run / 'report.html'}: Is a directory\n"


def test_it_tells_its_version(tmp_path: Path) -> None:
    assert outside("--version", cwd=tmp_path).stdout == f"crosscorrect, version {__version__}\n"
