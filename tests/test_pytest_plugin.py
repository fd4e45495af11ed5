"""YAML suites as pytest items: selected, reported, expected to fail and shared out by pytest's own means."""

from __future__ import annotations

import os
import re
import shlex
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from crosscorrect import store
from crosscorrect.shards import merge
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

SUITE = """\
crosscorrect: 1
suite: small
cases:
  - {id: first, operation: corr2d, x: [[0, 1, 2], [3, 4, 5], [6, 7, 8]], w: [[0, 1], [2, 3]]}
  - {id: second, operation: conv2d, x: {fill: integers, shape: [2, 3, 5, 4]}, w: {fill: integers, shape: [4, 3, 2, 3]},
     directions: [forward, grad_weight]}
  - {id: third, operation: corr2d, sweep: {dtype: [float32, float64]}, x: [[1, 2, 4]], w: [[1, -1]]}
  - {id: torch-only, only: [torch], operation: corr2d, x: [[1, 2, 4]], w: [[1, -1]]}
  - {id: compiled-only, modes: [compiled], operation: corr2d, x: [[1, 2, 4]], w: [[1, -1]]}
"""
ITEMS = ["first", "second", "third@dtype=float32", "third@dtype=float64"]
MUTANT = """\
from crosscorrect_adapters.numpy import NumpyAdapter


class Mutant(NumpyAdapter):
    def corr2d(self, x, k):
        y = super().corr2d(x, k)
        y[-1, -1] = 0
        return y
"""


@pytest.fixture(autouse=True, scope="module")
def _tables_are_read_once_before(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pytester forgets what a test imports, and pyarrow cannot be imported twice."""
    folder = tmp_path_factory.mktemp("any")
    merge([finished(folder / "run", [check()])], [], folder / "results")


@pytest.fixture(autouse=True)
def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with one suite, one YAML file that is none, and an adapter that loses the last element."""
    pytester.path.joinpath("small.yaml").write_text(SUITE, encoding="utf-8")
    pytester.path.joinpath("other.yaml").write_text("services: [a, b]\n", encoding="utf-8")
    site = pytester.path / "site"
    metadata = site / "mutant-1.0.dist-info"
    metadata.mkdir(parents=True)
    site.joinpath("mutant.py").write_text(MUTANT, encoding="utf-8")
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: mutant\nVersion: 1.0\n", encoding="utf-8")
    points = "[crosscorrect.adapters]\nmutant = mutant:Mutant\n"
    metadata.joinpath("entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))


def run(pytester: pytest.Pytester, *arguments: str | Path, framework: str = "numpy") -> pytest.RunResult:
    """A pytest session of its own; without hypothesis' plugin, whose import takes longer than all the rest."""
    quick = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    return pytester.runpytest_subprocess(*quick, *(["--crosscorrect", framework] if framework else []), *arguments)


def test_items_pass_and_fail_as_their_checks_do_and_are_in_the_junit_file_and_in_the_shard(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, "-v", "--junit-xml", "junit.xml", "--crosscorrect-shard", "shard", framework="mutant")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = result.stdout.str()
    words = ["FAILED", "PASSED", "FAILED", "FAILED"]
    assert re.findall(r"::(\S+)\[mutant-eager\] (\w+)", said) == list(zip(ITEMS, words, strict=True))
    told = "mutant eager small/first forward: unexpected fail (exactness): 1 of 4 elements are wrong; "
    assert f"\n{told}at (1, 1) 43 is right and 0 was returned\n" in said
    assert "pytest_plugin.py" not in said
    cases = list(ET.parse(pytester.path / "junit.xml").iter("testcase"))  # noqa: S314  written by pytest a moment ago
    assert [case.attrib["name"] for case in cases] == [f"{name}[mutant-eager]" for name in ITEMS]
    failures = ["".join(failure.text or "" for failure in case.iter("failure")) for case in cases]
    assert "43 is right and 0 was returned" in failures[0]
    assert not failures[1]
    assert f"crosscorrect: the rows of this run are in {pytester.path / 'shard'}" in said
    shard = store.load(pytester.path / "shard")
    assert shard.info["finished"]
    assert shard.info["totals"] == {"fail": 3, "pass": 2}
    assert (shard.info["frameworks"], shard.info["filter"], shard.info["problems"]) == (["mutant"], [], 6)
    assert [s["file"] for s in shard.info["suites"]] == ["small.yaml"]
    assert not (pytester.path / "latest").exists()


@pytest.mark.parametrize(("option", "wanted"), [("-k", "third"), ("-m", "float64 or conv2d")])
def test_k_and_markers_choose_items(pytester: pytest.Pytester, option: str, wanted: str) -> None:
    result = run(pytester, "--collect-only", "-q", "--strict-markers", option, wanted)
    chosen = ITEMS[2:] if option == "-k" else [ITEMS[1], ITEMS[3]]
    assert re.findall(r"::(\S+)\[numpy-eager\]", result.stdout.str()) == chosen


def test_without_the_option_no_yaml_file_is_collected(pytester: pytest.Pytester) -> None:
    assert run(pytester, framework="").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_x_stops_at_the_first_failure(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-x", framework="mutant")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)


def test_an_expected_failure_is_an_xfail_and_one_that_passes_or_ends_otherwise_is_a_failure(
    pytester: pytest.Pytester,
) -> None:
    folder = pytester.path / "expectations"
    folder.mkdir()
    entries = [("small/first", "unsupported"), ("small/second", "fail"), ("small/third*", "fail")]
    lines = [f"  - {{problems: '{p}', outcome: {o}, reason: a known loss}}\n" for p, o in entries]
    text = "crosscorrect: 1\nframework: mutant\nversions: ''\nexpect:\n" + "".join(lines)
    folder.joinpath("own.yaml").write_text(text, encoding="utf-8")
    result = run(pytester, "-rx", "--crosscorrect-expectations", folder, framework="mutant")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=2, xfailed=2)
    said = result.stdout.str()
    assert "small/first forward: fail where own.yaml:5 expects unsupported" in said
    assert "small/second forward: passes, but own.yaml:6 expects fail; remove the entry" in said
    assert re.search(r"XFAIL .*third@dtype=float32.* - a known loss", said)


def test_parts_share_the_items_out_and_are_merged_into_a_whole_run(pytester: pytest.Pytester) -> None:
    items = []
    for number in (1, 2, 3):
        folder = f"part-{number}"
        result = run(pytester, "-v", "--crosscorrect-part", f"{number}/3", "--crosscorrect-shard", folder)
        items += re.findall(r"::(\S+)\[numpy-eager\] PASSED", result.stdout.str())
        info = store.read_info(pytester.path / folder)
        assert (info["shard"], info["problems"], info["filter"]) == (f"{number}/3", 6, [])
    assert sorted(items) == sorted(ITEMS)
    parts = [pytester.path / f"part-{number}" for number in (1, 2, 3)]
    merged = merge(parts, ["numpy"], pytester.path / "results")
    assert merged.info["shard"] == ""
    assert sorted(merged.checks["problem"]) == sorted(f"small/{name}" for name in [*ITEMS, "second"])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--crosscorrect-part", "4/3"), "there is no shard 4/3"),
        (("--crosscorrect-shard", "1/3"), "part 1/3 of the problems is --crosscorrect-part 1/3"),
    ],
)
def test_a_part_that_is_none_and_one_in_the_place_of_the_folder_are_usage_errors(
    pytester: pytest.Pytester, option: tuple[str, str], said: str
) -> None:
    result = run(pytester, *option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()


def test_two_xdist_workers_leave_one_sealed_shard_with_all_rows(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed here")
    result = run(pytester, "-n", "2", "--crosscorrect-shard", "shard", framework="mutant")
    result.assert_outcomes(passed=1, failed=3)
    shard = store.load(pytester.path / "shard")
    assert shard.info["finished"]
    assert sorted(shard.checks["problem"]) == sorted(f"small/{name}" for name in [*ITEMS, "second"])
    assert shard.info["filter"] == []
    assert not shard.env.drop(columns="value").duplicated()[shard.env["section"] == "version"].any()
    assert not list((pytester.path / "shard").glob("segment-*"))


def test_a_selection_is_written_down_as_one_and_replaces_an_earlier_shard(pytester: pytest.Pytester) -> None:
    finished(pytester.path / "shard", [check()])
    run(pytester, "--crosscorrect-shard", "shard", "-k", "first")
    shard = store.load(pytester.path / "shard")
    assert list(shard.checks["problem"]) == ["small/first"]
    assert shard.info["filter"] == ["pytest selection"]


def test_a_folder_that_is_no_run_is_not_replaced(pytester: pytest.Pytester) -> None:
    mine = pytester.path / "mine"
    mine.mkdir()
    mine.joinpath("notes").write_text("keep", encoding="utf-8")
    result = run(pytester, "--crosscorrect-shard", "mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: */mine is not a run folder: *"])
    assert mine.joinpath("notes").read_text(encoding="utf-8") == "keep"


def test_a_defect_in_a_suite_is_a_collection_error_with_file_and_line(pytester: pytest.Pytester) -> None:
    bad = pytester.path / "bad.yaml"
    bad.write_text("crosscorrect: 1\nsuite: bad\ncases:\n  - {id: one, opration: corr2d}\n", encoding="utf-8")
    result = run(pytester, "--crosscorrect-shard", "shard")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"{bad}:4: one.opration: this key has no meaning here; did you mean operation?"])
    said = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said


def test_an_unknown_framework_is_a_usage_error_with_the_nearest_name(pytester: pytest.Pytester) -> None:
    result = run(pytester, framework="nunpy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: unknown framework 'nunpy'; did you mean 'numpy'? *"])


def test_a_missing_interpreter_ends_the_session_with_three(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--crosscorrect-python", "/no/such/python")
    assert result.ret == 3
    assert "there is no interpreter at /no/such/python" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_framework_that_cannot_be_imported_ends_the_session_with_three(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("site", "mutant.py").write_text("import no_such_framework\n", encoding="utf-8")
    result = run(pytester, framework="mutant")
    assert result.ret == 3
    said = result.stdout.str() + result.stderr.str()
    assert "framework 'mutant' cannot be used from" in said
    assert "No module named 'no_such_framework'" in said


def test_a_mode_that_is_not_offered_is_skipped_and_says_so(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-rs", "--crosscorrect-mode", "all", "--crosscorrect-shard", "shard", "small.yaml")
    result.assert_outcomes(passed=4, skipped=5)
    result.stdout.fnmatch_lines(["SKIPPED * numpy does not offer mode compiled here"])
    info = store.load(pytester.path / "shard").info
    assert (info["modes"], info["filter"]) == ([], []), "what a framework does not offer is no selection of a person's"


@pytest.mark.parametrize("spelling", ["{python}", "numpy={python}"])
def test_the_interpreter_is_a_path_with_or_without_the_name_of_its_framework(
    pytester: pytest.Pytester, spelling: str
) -> None:
    link = pytester.path / "python"
    link.symlink_to(sys.executable)
    given = spelling.format(python=link)
    result = run(pytester, "-k", "first", "--crosscorrect-shard", "shard", "--crosscorrect-python", given)
    result.assert_outcomes(passed=1, deselected=3)
    env = store.load(pytester.path / "shard").env
    assert "option" in list(env[env["key"] == "found"]["value"])


@pytest.mark.parametrize("given", ["torch=/venv/python", "numpy=", "=/venv/python"])
def test_an_interpreter_of_another_framework_is_a_usage_error_that_names_the_option(
    pytester: pytest.Pytester, given: str
) -> None:
    result = run(pytester, "--crosscorrect-python", given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = f"ERROR: --crosscorrect-python '{given}' is no interpreter of numpy; write --crosscorrect-python PATH"
    assert told in result.stderr.str().splitlines()


@pytest.mark.parametrize("given", ["/no/such/python", "numpy=/no/such/python", "/no/such=place/python"])
def test_a_missing_interpreter_is_told_with_the_option_of_pytest(pytester: pytest.Pytester, given: str) -> None:
    result = run(pytester, "--crosscorrect-python", given)
    assert result.ret == 3
    said = result.stderr.str()
    assert f"there is no interpreter at {given.removeprefix('numpy=')}" in said
    assert "--crosscorrect-python PATH" in said
    assert not re.search(r"(?<!\S)--python", said)


def test_a_framework_that_cannot_start_says_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("site", "mutant.py").write_text("import no_such_framework\n", encoding="utf-8")
    result = run(pytester, framework="mutant")
    assert result.ret == 3
    told = "install the framework there, or name the interpreter that it lives in with --crosscorrect-python PATH"
    said = result.stdout.str() + result.stderr.str()
    assert told in said


def test_a_misspelt_framework_in_a_case_is_a_collection_error(pytester: pytest.Pytester) -> None:
    bad = pytester.path / "bad.yaml"
    case = "  - {id: one, source: s, title: t, operation: corr2d, x: [[1, 2]], w: [[1]], only: [nunpy]}\n"
    bad.write_text(f"crosscorrect: 1\nsuite: bad\ntitle: t\ncases:\n{case}", encoding="utf-8")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"{bad}:5: *nunpy*numpy*"])


MARKED = [
    ("numpy and float32", ITEMS[:3]),
    ("float64", ITEMS[3:]),
    ("not grad_weight", [ITEMS[0], *ITEMS[2:]]),
    ("conv2d and grad_weight and small and ci", [ITEMS[1]]),
    ("small and eager and native", ITEMS),
    ("torch or nightly or compiled", []),
]


@pytest.mark.parametrize(("expression", "items"), MARKED)
def test_items_have_markers_of_framework_suite_operation_dtype_direction_level_mode_and_spelling(
    pytester: pytest.Pytester, expression: str, items: list[str]
) -> None:
    result = run(pytester, "--co", "-q", "--strict-markers", "-m", expression)
    assert re.findall(r"::(\S+)\[numpy-eager\]", result.stdout.str()) == items
    assert result.ret == (0 if items else pytest.ExitCode.NO_TESTS_COLLECTED)


def test_the_markers_are_listed_and_a_suite_called_like_a_marker_of_pytest_s_is_not_marked_so(
    pytester: pytest.Pytester,
) -> None:
    listed = run(pytester, "--markers").stdout.str()
    for name in ("numpy", "float32", "grad_weight", "nightly", "compiled", "channels_last", "relation"):
        assert f"@pytest.mark.{name}: a crosscorrect problem of this " in listed
    pytester.path.joinpath("xfail.yaml").write_text(SUITE.replace("suite: small", "suite: xfail"), encoding="utf-8")
    result = run(pytester, "xfail.yaml", "-k", "first or second", framework="mutant")
    result.assert_outcomes(failed=1, passed=1, deselected=2)


def test_a_failure_is_short_and_says_index_values_error_over_bound_cause_and_what_to_type(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, "-k", "first", framework="mutant")
    said = result.stdout.str()
    section = said.partition("= FAILURES =")[2].partition("= short test summary")[0].strip("=").splitlines()
    told = [line for line in section if line and not line.startswith(("=", "_"))]
    assert told[0].startswith("mutant eager small/first forward: unexpected fail (exactness): ")
    assert told[1].startswith("  at (1,1): expected 43.0, got 0.0, error over bound ")
    assert told[2].startswith("  cause: ")
    assert told[3] == f"again: crosscorrect run {pytester.path / 'small.yaml'} -f mutant -k small/first"
    assert len(told) == 4, "there is no run folder yet that anything could be explained from"


def test_what_a_failure_says_to_type_is_true(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    python = pytester.path / "a python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].partition(os.pathsep)[2])
    pytester.path.joinpath("site", "mutant.py").rename(pytester.path / "lossy.py")
    given = ("--crosscorrect-adapter", "lossy=lossy:Mutant", "--crosscorrect-python", f"lossy={python}")
    said = run(pytester, "-k", "first", *given, framework="lossy").stdout.str()
    (again,) = re.findall(r"^again: crosscorrect (.*)$", said, flags=re.MULTILINE)
    assert "why:" not in said
    asked = pytester.run(sys.executable, "-m", "crosscorrect", *shlex.split(again), "--no-report")
    assert asked.ret == 1
    asked.stderr.fnmatch_lines(["lossy eager small/first forward: *43 is right and 0 was returned"])


def test_where_the_rows_are_kept_a_failure_says_what_explains_it_from_them(pytester: pytest.Pytester) -> None:
    said = run(pytester, "-k", "first", "--crosscorrect-shard", "my shard", framework="mutant").stdout.str()
    assert f"why:   crosscorrect explain '{pytester.path / 'my shard'}' small/first -f mutant" in said
    assert "again:" not in said
    (why,) = re.findall(r"^why: +crosscorrect (.*)$", said, flags=re.MULTILINE)
    told = pytester.run(sys.executable, "-m", "crosscorrect", *shlex.split(why)).stdout.str()
    assert "worst at (1,1): right 43.0" in told


def test_a_problem_that_only_nightly_runs_have_and_own_expectations_are_asked_again_as_they_were(
    pytester: pytest.Pytester,
) -> None:
    suite = pytester.path / "small.yaml"
    suite.write_text(SUITE.replace("id: first,", "id: first, level: nightly,"), encoding="utf-8")
    folder = pytester.path / "expectations"
    folder.mkdir()
    text = "crosscorrect: 1\nframework: numpy\nversions: ''\nexpect:\n"
    text += "  - {problems: small/first, outcome: fail, reason: a known loss}\n"
    folder.joinpath("own.yaml").write_text(text, encoding="utf-8")
    given = ("--crosscorrect-level", "nightly", "--crosscorrect-expectations", folder)
    said = run(pytester, "-k", "first", *given).stdout.str()
    assert "passes, but" in said
    (again,) = re.findall(r"^again: crosscorrect (.*)$", said, flags=re.MULTILINE)
    asked = pytester.run(sys.executable, "-m", "crosscorrect", *shlex.split(again), "--no-report", "--json")
    assert asked.ret == 1
    assert "passes, but own.yaml" in asked.stdout.str()


@pytest.mark.parametrize("given", ["torch=lossy:Mutant", "lossy=", "lossy:Mutant"])
def test_an_adapter_of_another_framework_is_a_usage_error(pytester: pytest.Pytester, given: str) -> None:
    result = run(pytester, "--crosscorrect-adapter", given, framework="lossy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = f"--crosscorrect-adapter '{given}' is no adapter of lossy; write --crosscorrect-adapter lossy=MODULE:CLASS"
    assert f"ERROR: {told}" in result.stderr.str().splitlines()


def test_a_framework_without_an_entry_point_says_how_its_adapter_is_given(pytester: pytest.Pytester) -> None:
    result = run(pytester, framework="lossy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "an adapter that is no entry point is given with --crosscorrect-adapter lossy=MODULE:CLASS"
    assert told in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_no_terminal_obeys_what_a_framework_says(pytester: pytest.Pytester) -> None:
    raising = MUTANT.replace("y = super().corr2d(x, k)", 'raise RuntimeError("\\x1b[31mred\\x07\\nsecond line")')
    pytester.path.joinpath("site", "mutant.py").write_text(raising, encoding="utf-8")
    said = run(pytester, "-k", "first", framework="mutant").stdout.str()
    assert "\\x1b[31mred" in said
    assert not set(said) & {"\x1b", "\x07"}


def test_who_asks_for_expected_failures_as_failures_gets_them(pytester: pytest.Pytester) -> None:
    folder = pytester.path / "expectations"
    folder.mkdir()
    text = "crosscorrect: 1\nframework: mutant\nversions: ''\nexpect:\n"
    text += "  - {problems: small/first, outcome: fail, reason: a known loss}\n"
    folder.joinpath("own.yaml").write_text(text, encoding="utf-8")
    given = ("-k", "first", "--crosscorrect-expectations", folder)
    run(pytester, *given, framework="mutant").assert_outcomes(xfailed=1, deselected=3)
    run(pytester, *given, "--runxfail", framework="mutant").assert_outcomes(failed=1, deselected=3)


def test_junit_properties_say_what_was_asked_and_what_came_of_it(pytester: pytest.Pytester) -> None:
    run(pytester, "-k", "second", "--junit-xml", "junit.xml")
    (case,) = ET.parse(pytester.path / "junit.xml").iter("testcase")  # noqa: S314  as above
    told = {own.attrib["name"]: own.attrib["value"] for own in case.iter("property")}
    assert (told["problem"], told["framework"], told["mode"]) == ("small/second", "numpy", "eager")
    assert told["version"]
    assert (told["outcome forward"], told["outcome grad_weight"]) == ("pass", "pass")
    assert told["error over bound forward"] == "0"


def test_what_failed_last_and_stepwise_are_found_again(pytester: pytest.Pytester) -> None:
    cached = ("-p", "no:hypothesispytest", "--crosscorrect", "mutant", "-q")
    pytester.runpytest_subprocess(*cached).assert_outcomes(passed=1, failed=3)
    pytester.runpytest_subprocess(*cached, "--lf").assert_outcomes(failed=3)
    result = pytester.runpytest_subprocess(*cached, "--ff", "-vv")
    ran = re.findall(r"::(\S+)\[mutant-eager\]", result.stdout.str().partition("= FAILURES")[0])
    assert ran == [ITEMS[0], *ITEMS[2:], ITEMS[1]]
    pytester.runpytest_subprocess(*cached, "--sw").assert_outcomes(failed=1)
    pytester.runpytest_subprocess(*cached, "--sw", "--sw-skip").assert_outcomes(passed=1, failed=2)


@pytest.mark.parametrize("dist", ["load", "loadfile", "loadgroup", "worksteal", "each"])
def test_every_way_of_xdist_to_share_items_out_runs_all_of_them(pytester: pytest.Pytester, dist: str) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed here")
    twice = 2 if dist == "each" else 1
    run(pytester, "-n", "2", "--dist", dist, framework="mutant").assert_outcomes(passed=twice, failed=3 * twice)


def test_a_framework_that_cannot_start_ends_a_session_of_xdist_as_well(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed here")
    pytester.path.joinpath("site", "mutant.py").write_text("import no_such_framework\n", encoding="utf-8")
    result = run(pytester, "-n", "2", framework="mutant")
    assert result.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert "No module named 'no_such_framework'" in result.stdout.str() + result.stderr.str()


def test_several_frameworks_share_a_session_a_shard_and_the_references(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--crosscorrect", "mutant", "--crosscorrect-shard", "shard", "-v")
    result.assert_outcomes(passed=5, failed=3)
    shown = re.findall(r"::(\S+)\[(\w+)-eager\] (?:PASSED|FAILED)", result.stdout.str())
    assert shown == [(name, framework) for name in ITEMS for framework in ("numpy", "mutant")]
    shard = store.load(pytester.path / "shard")
    assert (shard.info["frameworks"], shard.info["filter"], shard.info["finished"]) == (["numpy", "mutant"], [], True)
    assert set(shard.checks["framework"]) == {"numpy", "mutant"}
    merged = merge([pytester.path / "shard"], ["numpy", "mutant"], pytester.path / "results")
    assert len(merged.checks) == 10
    some = run(pytester, "--crosscorrect", "mutant", "--crosscorrect-shard", "shard", "-k", "first", "-m", "numpy")
    some.assert_outcomes(passed=1, deselected=7)
    assert store.load(pytester.path / "shard").info["filter"] == ["pytest selection"]


def test_with_several_frameworks_an_interpreter_says_whose_it_is(pytester: pytest.Pytester) -> None:
    both = ("--crosscorrect", "mutant")
    named = [f"--crosscorrect-python={name}={sys.executable}" for name in ("numpy", "mutant")]
    run(pytester, *both, *named, "-k", "second").assert_outcomes(passed=2, deselected=6)
    result = run(pytester, *both, "--crosscorrect-python", sys.executable)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "does not say of which framework; write --crosscorrect-python numpy=PATH" in result.stderr.str()
    result = run(pytester, *both, "--crosscorrect-python", f"mutnat={sys.executable}")
    assert "did you mean mutant?" in result.stderr.str()


def test_collecting_alone_starts_nothing_and_leaves_an_earlier_shard_as_it_was(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("site", "mutant.py").write_text("import no_such_framework\n", encoding="utf-8")
    finished(pytester.path / "shard", [check()])
    result = run(pytester, "--co", "-q", "--crosscorrect-shard", "shard", framework="mutant")
    assert result.ret == 0
    assert len(store.load(pytester.path / "shard").checks) == 1


OWN = """\
[pytest]
addopts = --strict-markers --strict-config -p no:cacheprovider --durations=3
xfail_strict = true
filterwarnings = error
markers =
    slow: mine
    numpy: mine, too
"""


def test_a_user_s_own_strict_configuration_elsewhere_does_not_break_it(pytester: pytest.Pytester) -> None:
    project = pytester.path / "project"
    project.mkdir()
    project.joinpath("pytest.ini").write_text(OWN, encoding="utf-8")
    project.joinpath("test_mine.py").write_text(
        "import pytest\n\n\n@pytest.mark.slow\ndef test_mine():\n    pass\n", encoding="utf-8"
    )
    pytester.path.joinpath("small.yaml").rename(pytester.path / "outside.yaml")
    given = ("--rootdir", project, "-c", project / "pytest.ini", "--crosscorrect-shard", "shard")
    result = run(pytester, *given, project, "outside.yaml")
    result.assert_outcomes(passed=5)
    assert result.ret == 0
    assert store.load(pytester.path / "shard").info["finished"]
    result.stdout.fnmatch_lines(["*slowest 3 durations*"])
    pytester.path.joinpath("second.yaml").write_text(SUITE.replace("suite: small", "suite: second"), encoding="utf-8")
    listed = run(pytester, *given, "outside.yaml", "second.yaml", "--co", "-q").stdout.str()
    for name in ("outside.yaml", "second.yaml"):
        assert f"{pytester.path / name}::first[numpy-eager]\n" in listed, "each has an id of its own"
    run(pytester, *given, project, "outside.yaml", "-m", "slow or grad_weight").assert_outcomes(passed=2, deselected=3)


def test_a_session_that_does_not_ask_for_it_loads_none_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_loaded():
            own = sorted(name for name in sys.modules if name.partition(".")[0] == "crosscorrect")
            assert own == ["crosscorrect", "crosscorrect.adapter", "crosscorrect.pytest_plugin"]
            assert not {"numpy", "pandas", "pyarrow", "ruamel", "jsonschema", "rich", "click"} & set(sys.modules)
        """
    )
    run(pytester, framework="").assert_outcomes(passed=1)
